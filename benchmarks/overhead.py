"""The fraction of a preset's CPU time that is not gradient steps: the cost of a run without them by that of a run.

python -m benchmarks.overhead data/digit-recognizer.zip [--preset default]

Runs the preset as accuracy.py does, then again with no_gradient_steps.py preloaded into Dask's workers. Writes its
row of results/overhead.csv. Nothing else should run meanwhile.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import accuracy
from benchmarks.no_gradient_steps import FINISHED_MODELS
from benchmarks.shared import harness
from benchmarks.shared.presets import PRESETS
from stages.digits.base import dataset, params
from stages.digits.training.recipe import Recipe


def without_gradient_steps(preset: str, raw: Path, folder: Path, finished: Path) -> harness.Cost:
    """The cost of a run whose members get the models of those in the clone `finished`.

    ValueError if it predicts different digits.
    """
    clone = harness.clone(folder)
    epochs = params.section("train", Recipe).epochs
    environment = {
        FINISHED_MODELS: str(finished / dataset.MODELS),
        "DASK_DISTRIBUTED__WORKER__PRELOAD": "benchmarks.no_gradient_steps",
        "PYTHONPATH": str(clone),
    }
    changes = [*PRESETS[preset], f"train.patience={epochs}"]  # the validation loss stays as it is
    cost = harness.cost(harness.pipeline(raw, changes), clone, environment)
    submissions = [(path / "data/submission.csv").read_bytes() for path in (finished, clone)]
    if submissions[0] != submissions[1]:
        raise ValueError("the run without gradient steps predicted different digits")
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    arguments = parser.parse_args()
    seed = params.section("train", Recipe).seed
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        clone, whole = accuracy.run(arguments.preset, arguments.raw, Path(first), seed)
        rest = without_gradient_steps(arguments.preset, arguments.raw, Path(second), clone)
    row = {
        "preset": arguments.preset,
        "cpu_seconds": round(whole.cpu_seconds),
        "cpu_seconds_without_gradient_steps": round(rest.cpu_seconds),
        "fraction": round(rest.cpu_seconds / whole.cpu_seconds, 3),
        "runs": 1,
        **harness.machine(),
    }
    harness.upsert(harness.RESULTS / "overhead.csv", [row], ["preset"])
    print(pd.Series(row).to_string())


if __name__ == "__main__":
    main()
