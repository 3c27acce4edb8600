"""Kill the pipeline at random moments: the next `dvc repro` must complete with the bytes of an undisturbed run.

python -m benchmarks.kill [--moments 20] [--seed 1]

Each time, `dvc repro` starts from nothing in a clone with small parameters. DVC, a stage, a worker, or all of them get
SIGKILL at a random moment of the time in which there are such processes. Then
- each output must be whole, and each entry of DVC's cache must have the hash that it is named by;
- `dvc repro` must complete, next to what the killed run may have left running;
- every output, and dvc.lock, must be as after an undisturbed run.
Updates results/kill.csv, and exits with 1 if a moment failed. A seed always gives the same targets and fractions.
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

import psutil
import yaml

from benchmarks.shared import harness

TARGETS = {  # the word of its command that tells a process apart
    "dvc": "dvc",
    "stage": "stages.",
    "worker": "spawn_main",
    "all": "",
}
SMALL = {
    "sample": {"labelled_per_digit": 20},
    "prepare": {"folds": 2},
    "train": {"members": 2, "epochs": 2, "batch_size": 5},
}
OUTPUTS = ("data/sample/*", "data/prepared/*", "data/models/*", "data/submission.csv", "metrics/*", "plots/*")
POLL_SECONDS = 0.02


def clone(folder: Path) -> Path:
    """A clone of what is committed, with small parameters."""
    path = harness.bare_clone(folder)
    params = yaml.safe_load((path / "params.yaml").read_text(encoding="utf-8"))
    for section, values in SMALL.items():
        params[section] |= values
    (path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    return path


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(["dvc", "repro", "--quiet"], cwd=folder, stdout=subprocess.DEVNULL)


def tree(dvc: subprocess.Popen) -> dict[psutil.Process, str]:
    """The processes of a run that hasn't ended, and their commands."""
    with suppress(psutil.NoSuchProcess):  # one ended just now
        processes = [psutil.Process(dvc.pid), *psutil.Process(dvc.pid).children(recursive=True)]
        return {process: " ".join(process.cmdline()) for process in processes}
    return {}


def spans(folder: Path) -> dict[str, tuple[float, float]]:
    """Run the pipeline undisturbed: for each target, the seconds at which there was a first and a last process."""
    dvc, began = start(folder), time.monotonic()
    seen: dict[str, list[float]] = {target: [] for target in TARGETS}
    while dvc.poll() is None:
        commands = tree(dvc).values()
        for target, word in TARGETS.items():
            if any(word in command for command in commands):
                seen[target].append(time.monotonic() - began)
        time.sleep(POLL_SECONDS)
    assert dvc.returncode == 0
    return {target: (moments[0], moments[-1]) for target, moments in seen.items()}


def kill(folder: Path, target: str, seconds: float) -> str:
    """Start the pipeline and kill the target `seconds` after its first process: the stage that ran then, if any did.

    Nothing is killed, and the answer is empty, if the pipeline has ended by then.
    """
    dvc = start(folder)
    first = None
    while dvc.poll() is None:
        commands = tree(dvc)
        victims = [process for process, command in commands.items() if TARGETS[target] in command]
        if victims and first is None:
            first = time.monotonic()
        if victims and time.monotonic() - first >= seconds:
            for process in victims if target == "all" else victims[:1]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            dvc.wait()
            return next((line.split("stages.")[1] for line in commands.values() if "stages." in line), "between stages")
        time.sleep(POLL_SECONDS)
    return ""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def outputs(folder: Path) -> dict[str, str]:
    """The hash of each file that a stage writes, as far as it is there."""
    paths = (path for name in OUTPUTS for path in folder.glob(name) if not path.name.startswith("."))
    return {str(path.relative_to(folder)): md5(path) for path in paths}


def half_written(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The outputs that are neither as before the run nor as after it, and the cache entries with a different hash."""
    torn = [name for name, content in outputs(folder).items() if content not in (before.get(name), after.get(name))]
    entries = [path for path in (folder / ".dvc/cache/files/md5").glob("*/*") if len(path.stem) == 30]
    return torn + [str(path) for path in entries if md5(path) != path.parent.name + path.stem]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        clean = clone(Path(temporary))
        undisturbed = shutil.copytree(clean, clean.with_name("undisturbed"))
        times = spans(undisturbed)
        before, after, lock = outputs(clean), outputs(undisturbed), (undisturbed / "dvc.lock").read_bytes()
        for moment in range(arguments.moments):
            target, fraction, stage = list(TARGETS)[moment % len(TARGETS)], rng.random(), ""
            first, last = times[target]
            while not stage:
                folder = shutil.copytree(clean, clean.with_name("killed"))
                stage = kill(folder, target, fraction * (last - first))
                if not stage:  # faster than undisturbed: the moment was after the end
                    fraction /= 2
                    shutil.rmtree(folder)
            torn = half_written(folder, before, after)
            completed = start(folder).wait() == 0
            same = completed and outputs(folder) == after and (folder / "dvc.lock").read_bytes() == lock
            row = {"seed": arguments.seed, "moment": moment, "target": target, "fraction": round(fraction, 3)}
            row |= {"stage": stage, "half_written": len(torn), "completed": completed, "same_bytes": same}
            print(*row.values(), *torn, sep="  ", flush=True)
            rows.append(row | harness.machine())
            harness.upsert(harness.RESULTS / "kill.csv", rows[-1:], ["seed", "moment"])
            shutil.rmtree(folder)
    sys.exit(any(row["half_written"] or not row["same_bytes"] for row in rows))


if __name__ == "__main__":
    main()
