"""Run a profile of the pipeline on all of Kaggle's data, in a clone of what is committed, once for each seed.

Writes what it scored and cost to kaggle.csv; of the first seed, its submission beside the data and, of the default
profile, its pictures to kaggle/.

python -m benchmarks.kaggle data/digit-recognizer.zip [--profile quick] [--seeds 1 2 3]
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.measured import HERE, PROFILES, Cost, cloned, cost, machine, pipeline, replace
from stages.digits import params
from stages.digits.recipe import Recipe

PICTURES = ("confusion.png", "history.png", "mistakes.png", "samples.png")
KEY = ["profile", "seed"]
FIRST = params.section("train", Recipe).seed


def run(profile: str, raw: Path, folder: Path, seed: int = FIRST) -> tuple[Path, Cost]:
    """The clone in `folder` that has run it, and what that cost."""
    clone, commit = cloned(folder)
    spent = cost(pipeline(raw, [*PROFILES[profile], f"train.seed={seed}"]), clone)
    if seed == FIRST:
        shutil.copy(clone / "data/submission.csv", raw.with_name(f"submission-{profile}.csv"))
        for picture in PICTURES if profile == "default" else ():
            shutil.copy(clone / "plots" / picture, HERE / "kaggle")
    found = {
        "profile": profile,
        "seed": seed,
        **json.loads((clone / "metrics/evaluate.json").read_text(encoding="utf-8")),
        "cpu_minutes": round(spent.cpu_seconds / 60, 1),
        "wall_minutes": round(spent.wall_seconds / 60, 1),
        "peak_mib": round(spent.peak_mib),
        "changes": " ".join(PROFILES[profile]),
        "commit": commit,
        **machine(),
    }
    replace(HERE / "kaggle.csv", [found], KEY)
    print(json.dumps(found, indent=2), flush=True)
    return clone, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--profile", choices=PROFILES, default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[FIRST], help="of the training; the folds stay")
    wanted = parser.parse_args()
    for seed in wanted.seeds:
        with tempfile.TemporaryDirectory() as folder:
            run(wanted.profile, wanted.raw, Path(folder), seed)


if __name__ == "__main__":
    main()
