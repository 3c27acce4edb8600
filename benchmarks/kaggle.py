"""Run the pipeline on Kaggle's data in a clone of what is committed; write what it scored and cost to kaggle.json,
its pictures to kaggle/ and its submission beside the data.

python benchmarks/kaggle.py data/digit-recognizer.zip [-S train.epochs=20 ...]
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PICTURES = ("confusion.png", "history.png", "mistakes.png", "samples.png")


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument(
        "-S", dest="changes", action="append", default=[], metavar="KEY=VALUE", help="as in dvc exp run"
    )
    wanted = parser.parse_args()
    changes = [f"raw={wanted.raw.resolve()}", *wanted.changes]

    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "digits"
        subprocess.run(["git", "clone", "--quiet", HERE.parent, clone], check=True)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
        started = time.monotonic()
        subprocess.run(["dvc", "exp", "run", *(f"-S{change}" for change in changes)], cwd=clone, check=True)
        seconds = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        scores = json.loads((clone / "metrics/evaluate.json").read_text(encoding="utf-8"))
        shutil.copy(clone / "data/submission.csv", wanted.raw.with_name("submission-kaggle.csv"))
        for picture in PICTURES:
            shutil.copy(clone / "plots" / picture, HERE / "kaggle")

    report = {
        **scores,
        "cpu_minutes": round((used.ru_utime + used.ru_stime) / 60, 1),
        "wall_minutes": round(seconds / 60, 1),
        "largest_process_mib": round(used.ru_maxrss / 1024),
        "changes": wanted.changes,
        "commit": commit.stdout.strip()[:12],
        "machine": f"{len(os.sched_getaffinity(0))} cores, {cpu_model()}",
        "tensorflow": version("tensorflow"),
        "runs": 1,
    }
    (HERE / "kaggle.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
