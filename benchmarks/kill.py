"""Kill the pipeline at random moments: the next `dvc repro` must complete, with the bytes of an undisturbed run.

python -m benchmarks.kill [--moments 20] [--seed 1]

Each time, `dvc repro` starts from nothing in a clone with small parameters. At a random moment one of its processes
gets SIGKILL: DVC, the stage, a worker, or all of them. Then
- each output that exists must be whole, and each entry of DVC's cache must have the hash that it is named by;
- `dvc repro` must complete, beside what the killed one may have left running;
- every output must have the hash that it has in an undisturbed run.
Writes results/kill.csv, prints it, and exits with 1 if a moment failed. One seed always gives the same moments.
"""

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import yaml

from benchmarks import harness, verify

TARGETS = ("dvc", "stage", "worker", "all")
SMALL = {
    "sample": {"labelled_per_digit": 20},
    "prepare": {"folds": 2},
    "train": {"members": 2, "epochs": 3, "batch_size": 5},
}
POLL_SECONDS = 0.05


def clone(folder: Path) -> Path:
    """A clone of what is committed, with small parameters."""
    path = folder / "clean"
    subprocess.run(["git", "clone", "--quiet", harness.ROOT, path], check=True)
    params = yaml.safe_load((path / "params.yaml").read_text(encoding="utf-8"))
    for section, values in SMALL.items():
        params[section] |= values
    (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    return path


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(["dvc", "repro", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)


def victims(dvc: psutil.Process, target: str) -> list[psutil.Process]:
    """The processes to kill; none if the target doesn't run now."""
    children = dvc.children(recursive=True)
    if target in ("dvc", "all"):
        return [dvc, *children] if target == "all" else [dvc]
    marks = {"stage": lambda arg: arg.startswith("stages."), "worker": lambda arg: "spawn_main" in arg}
    return [child for child in children if any(map(marks[target], child.cmdline()))][:1]


def kill(folder: Path, target: str, seconds: float) -> str:
    """Start the pipeline and kill the target at that moment, or as soon as it runs: the command that was killed."""
    started = start(folder)
    time.sleep(seconds)
    killed = ""
    while not killed and started.poll() is None:
        try:
            found = victims(psutil.Process(started.pid), target)
            killed = " ".join(found[-1].cmdline())[:100] if found else ""
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        except psutil.NoSuchProcess:  # it ended by itself while we looked at it
            continue
        time.sleep(POLL_SECONDS)
    started.wait()
    return killed


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def files(folder: Path) -> dict[str, str]:
    """The hash of each file that a stage writes, as far as it is there."""
    names = ("data/sample/*", "data/prepared/*", "data/models/*", "data/submission.csv", "metrics/*", "plots/*")
    found = (path for name in names for path in folder.glob(name) if not path.name.startswith("."))
    return {str(path.relative_to(folder)): md5(path) for path in found}


def half_written(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The outputs that are neither as before the run nor as after it, and the cache entries with another hash."""
    outputs = [name for name, content in files(folder).items() if content not in (before.get(name), after.get(name))]
    cached = (folder / ".dvc/cache/files/md5").glob("*/*")
    entries = [path for path in cached if not path.name.startswith(".") and "." not in path.stem]
    return outputs + [str(path) for path in entries if md5(path) != path.parent.name + path.stem]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        clean = clone(Path(temporary))
        undisturbed = shutil.copytree(clean, clean.with_name("undisturbed"))
        began = time.monotonic()
        start(undisturbed).wait()
        seconds = time.monotonic() - began
        expected, before, after = verify.outputs(undisturbed), files(clean), files(undisturbed)
        for moment in range(arguments.moments):
            target, fraction = TARGETS[moment % len(TARGETS)], rng.random()
            folder = shutil.copytree(clean, clean.with_name(f"killed-{moment}"))
            killed = kill(folder, target, fraction * seconds)
            torn = half_written(folder, before, after)
            completed = start(folder).wait() == 0
            same = completed and verify.outputs(folder) == expected and files(folder) == after
            rows.append(
                {"seed": arguments.seed, "moment": moment, "target": target, "at": round(fraction, 3), "killed": killed}
                | {"half_written": len(torn), "completed": completed, "same_bytes": same}
                | harness.machine()
            )
            print(*rows[-1].values(), *torn, sep="  ", flush=True)
    harness.upsert(harness.RESULTS / "kill.csv", rows, ["seed", "moment"])
    table = pd.DataFrame(rows)
    bad = table[(table["half_written"] > 0) | ~table["completed"] | ~table["same_bytes"]]
    print(f"{len(table) - len(bad)} of {len(table)} moments: completed, same bytes, nothing half-written")
    if len(bad):
        sys.exit(1)


if __name__ == "__main__":
    main()
