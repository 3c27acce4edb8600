"""Accuracy out of fold, and cost, of a preset on all of Kaggle's labelled digits.

python -m benchmarks.accuracy data/digit-recognizer.zip [--preset quick] [--seeds 1 2 3]

Runs the pipeline in a clone of what is committed, once for each seed of the training; the folds stay the same.
A run replaces its own row of results/accuracy.csv. With the seed of params.yaml it also leaves its submission beside
the data and, for the preset default, some of its plots in results/kaggle/.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.shared import harness
from benchmarks.shared.presets import PRESETS
from stages.digits.base import params
from stages.digits.training.recipe import Recipe

PLOTS = ("confusion_matrix.csv", "confusion_matrix.png", "history.png", "misclassified.png", "samples.png")
KEY = ["preset", "seed"]


def run(preset: str, raw: Path, folder: Path, seed: int) -> tuple[Path, harness.Cost]:
    """Run it in a clone in `folder` and record its metrics; the clone, and what the run cost."""
    clone = harness.clone(folder)
    cost = harness.cost(harness.pipeline(raw, [*PRESETS[preset], f"train.seed={seed}"]), clone)
    row = {
        "preset": preset,
        "seed": seed,
        **json.loads((clone / "metrics/evaluate.json").read_text(encoding="utf-8")),
        "cpu_minutes": round(cost.cpu_seconds / 60, 1),
        "wall_minutes": round(cost.wall_seconds / 60, 1),
        "peak_mib": round(cost.peak_mib),
        "changes": " ".join(PRESETS[preset]),
        "commit": harness.commit(clone),
        **harness.machine(),
    }
    harness.upsert(harness.RESULTS / "accuracy.csv", [row], KEY)
    print(json.dumps(row, indent=2), flush=True)
    return clone, cost


def keep_outputs(preset: str, raw: Path, clone: Path) -> None:
    """Copy the submission beside `raw` and, for the default, the plots to the results."""
    shutil.copy(clone / "data/submission.csv", raw.with_name(f"submission-{preset}.csv"))
    for plot in PLOTS if preset == "default" else ():
        shutil.copy(clone / "plots" / plot, harness.RESULTS / "kaggle")


def main() -> None:
    committed_seed = params.section("train", Recipe).seed
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[committed_seed], help="of the training")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            clone, _ = run(arguments.preset, arguments.raw, Path(folder), seed)
            if seed == committed_seed:
                keep_outputs(arguments.preset, arguments.raw, clone)


if __name__ == "__main__":
    main()
