"""Prepare Kaggle's labelled digits once, five- and tenfold, with noise; train two small members and four on the most.

python -m benchmarks.tenfold data/digit-recognizer.zip

Writes tenfold.csv: CPU seconds and the most memory of each.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measured import HERE, cloned, cost, pipeline
from stages.digits import kaggle

TIMES = (1, 5, 10)
NOISE = 8  # of ink, either way
SMALL = ["train.width=16", "train.epochs=1"]
RUNS = 3  # of each training: its peak differs from run to run


def repeated(table: kaggle.Table, times: int) -> kaggle.Table:
    """`table` so many times, every pixel moved by a random bit of ink."""
    random = np.random.default_rng(0)
    images = np.tile(table.images, (times, 1, 1)).astype(np.int16)
    images += random.integers(-NOISE, NOISE + 1, images.shape, dtype=np.int16)
    return kaggle.Table(images.clip(0, 255).astype(np.uint8), np.tile(table.labels, times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    wanted = parser.parse_args()
    labelled, unlabelled = kaggle.read_labelled(wanted.raw), kaggle.read_unlabelled(wanted.raw)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clone, _ = cloned(Path(folder))
        raw = Path(folder) / "raw"
        raw.mkdir()
        kaggle.write_table(raw / "test.csv", unlabelled)
        for times in TIMES:
            kaggle.write_table(raw / "train.csv", repeated(labelled, times))
            spent = cost(pipeline(raw, [], "prepare"), clone)
            rows.append({"stage": "prepare", "rows": times * len(labelled.images)} | spent._asdict())
        for members in (2, 4) * RUNS:
            cost(pipeline(raw, [*SMALL, f"train.members={members}"], "prepare"), clone)  # only sets the parameters
            spent = cost([sys.executable, "-m", "stages.train"], clone)
            rows.append({"stage": f"train, {members} members", "rows": rows[-1]["rows"]} | spent._asdict())
    table = pd.DataFrame(rows).round(0).astype({"cpu_seconds": int, "wall_seconds": int, "peak_mib": int})
    table.to_csv(HERE / "tenfold.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
