"""Which share of the default profile's CPU time is not gradient steps: the cost of a run without them by that of a run.

python -m benchmarks.share data/digit-recognizer.zip

Runs the default profile as kaggle.py does, then once more as stepless.py has it; writes share.json besides.
Nothing else should run meanwhile.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks import kaggle
from benchmarks.measured import HERE, Cost, cloned, cost, machine, pipeline
from stages.digits import dataset, params
from stages.digits.recipe import Recipe


def without_steps(raw: Path, folder: Path, done: Path) -> Cost:
    """What a run costs whose members get the weights of those in the clone `done`.

    ValueError where it predicts other digits.
    """
    clone, _ = cloned(folder)
    with (clone / "stages/digits/member.py").open("a", encoding="utf-8") as code:
        code.write(f"\nfrom benchmarks import stepless\n\nstepless.install({str(done / dataset.MODELS)!r})\n")
    epochs = params.section("train", Recipe).epochs
    spent = cost(pipeline(raw, [f"train.patience={epochs}"]), clone)  # the validation loss stays as it is
    submissions = [(path / "data/submission.csv").read_bytes() for path in (done, clone)]
    if submissions[0] != submissions[1]:
        raise ValueError("the run without gradient steps predicted other digits")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    raw = parser.parse_args().raw
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        done, whole = kaggle.run("default", raw, Path(first))
        rest = without_steps(raw, Path(second), done)
    report = {
        "cpu_seconds": round(whole.cpu_seconds),
        "without_gradient_steps": round(rest.cpu_seconds),
        "share_of_the_rest": round(rest.cpu_seconds / whole.cpu_seconds, 3),
        "runs": 1,
        **machine(),
    }
    (HERE / "share.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
