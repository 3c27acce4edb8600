"""How time and memory grow with train.csv: once, five and ten times Kaggle's rows, with noise.

python -m benchmarks.data_scaling data/digit-recognizer.zip

Prepares each file; then trains two small members, and four, on the longest. Writes results/data_scaling.csv.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.shared import harness
from stages.digits.tables import kaggle

TIMES = (1, 5, 10)
NOISE = 8  # of ink, either way
SMALL = ["train.width=16", "train.epochs=1"]
RUNS = 3  # of each training: its peak memory differs from run to run


def repeat(table: kaggle.Table, times: int) -> kaggle.Table:
    """`table` that many times, with noise on every pixel."""
    random = np.random.default_rng(0)
    images = np.tile(table.images, (times, 1, 1)).astype(np.int16)
    images += random.integers(-NOISE, NOISE + 1, images.shape, dtype=np.int16)
    return kaggle.Table(images.clip(0, 255).astype(np.uint8), np.tile(table.labels, times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    arguments = parser.parse_args()
    labelled, unlabelled = kaggle.read_labelled(arguments.raw), kaggle.read_unlabelled(arguments.raw)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clone = harness.clone(Path(folder))
        raw = Path(folder) / "raw"
        raw.mkdir()
        kaggle.write_table(raw / "test.csv", unlabelled)
        for times in TIMES:
            kaggle.write_table(raw / "train.csv", repeat(labelled, times))
            cost = harness.cost(harness.pipeline(raw, [], "prepare"), clone)
            rows.append({"stage": "prepare", "rows": times * len(labelled.images), "members": None} | cost._asdict())
        longest = rows[-1]["rows"]
        for members in (2, 4) * RUNS:
            harness.cost(harness.pipeline(raw, [*SMALL, f"train.members={members}"], "prepare"), clone)  # sets them
            cost = harness.cost([sys.executable, "-m", "stages.train"], clone)
            rows.append({"stage": "train", "rows": longest, "members": members} | cost._asdict())
    table = pd.DataFrame(rows).round(0).astype(dict.fromkeys(cost._fields, int)).astype({"members": "Int64"})
    table.to_csv(harness.RESULTS / "data_scaling.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
