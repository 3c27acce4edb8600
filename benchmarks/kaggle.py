"""Run a profile of the pipeline on all of Kaggle's data, in a clone of what is committed; write what it scored
and cost to kaggle.json, its submission beside the data and, of the default profile, its pictures to kaggle/.

python -m benchmarks.kaggle data/digit-recognizer.zip [--profile quick]
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.measured import HERE, PROFILES, Cost, cloned, cost, machine, pipeline

PICTURES = ("confusion.png", "history.png", "mistakes.png", "samples.png")
REPORT = HERE / "kaggle.json"


def run(profile: str, raw: Path, folder: Path) -> tuple[Path, Cost]:
    """The clone in `folder` that has run it, and what that cost."""
    clone, commit = cloned(folder)
    spent = cost(pipeline(raw, PROFILES[profile]), clone)
    shutil.copy(clone / "data/submission.csv", raw.with_name(f"submission-{profile}.csv"))
    for picture in PICTURES if profile == "default" else ():
        shutil.copy(clone / "plots" / picture, HERE / "kaggle")
    report = json.loads(REPORT.read_text(encoding="utf-8")) if REPORT.exists() else {}
    report[profile] = {
        **json.loads((clone / "metrics/evaluate.json").read_text(encoding="utf-8")),
        "cpu_minutes": round(spent.cpu_seconds / 60, 1),
        "wall_minutes": round(spent.wall_seconds / 60, 1),
        "peak_mib": round(spent.peak_mib),
        "changes": PROFILES[profile],
        "commit": commit,
        **machine(),
        "runs": 1,
    }
    REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report[profile], indent=2), flush=True)
    return clone, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--profile", choices=PROFILES, default="default")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(wanted.profile, wanted.raw, Path(folder))


if __name__ == "__main__":
    main()
