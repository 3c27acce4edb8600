"""What a run costs, on which machine, and the profiles of the pipeline: what the benchmarks share."""

import os
import platform
import resource
import subprocess
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil

HERE = Path(__file__).parent
PROFILES: dict[str, list[str]] = {  # what `dvc exp run -S` changes; the README gives the same
    "quick": ["train.members=1", "train.width=48", "train.epochs=6", "train.learning_rate=0.008"],
    "default": [],
    "best": ["prepare.folds=40", "train.members=10"],
}


class Cost(NamedTuple):
    """Of a command and all that it started."""

    cpu_seconds: float  # user and system
    wall_seconds: float
    peak_mib: float  # of memory that isn't shared, all processes at once


def cost(command: list[str], folder: Path) -> Cost:
    """Run `command` in `folder`; CalledProcessError where it fails."""
    before, started = _cpu_of_children(), time.monotonic()
    process = subprocess.Popen(command, cwd=folder)
    peak = _Peak(process.pid)
    peak.start()
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(_cpu_of_children() - before, time.monotonic() - started, peak.mib)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Peak(threading.Thread):
    """Looks at the memory of a process and its descendants, twice a second, until it ends."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.top, self.mib = psutil.Process(pid), 0.0

    def run(self) -> None:
        while self.top.is_running() and self.top.status() != psutil.STATUS_ZOMBIE:
            total = sum(_memory(process) for process in [self.top, *self.top.children(recursive=True)])
            self.mib = max(self.mib, total / 2**20)
            time.sleep(0.5)


def _memory(process: psutil.Process) -> int:
    try:
        used = process.memory_info()
        return used.rss - used.shared
    except psutil.Error:  # it has just ended
        return 0


def cloned(folder: Path) -> tuple[Path, str]:
    """A clone, in `folder`, of what is committed, with the sample that the first `make` writes; and its commit."""
    clone = folder / "digits"
    subprocess.run(["git", "clone", "--quiet", HERE.parent, clone], check=True)
    subprocess.run(["dvc", "repro", "--quiet", "sample"], cwd=clone, check=True)
    return clone, commit(clone)


def commit(clone: Path) -> str:
    """The one that is checked out there."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, check=True, capture_output=True, text=True)
    return found.stdout.strip()[:12]


def pipeline(raw: Path, changes: list[str], *stages: str) -> list[str]:
    """The command that runs the pipeline on `raw`, in a clone, with changed parameters; of it, only up to `stages`."""
    return ["dvc", "exp", "run", *(f"-S{change}" for change in [f"raw={raw.resolve()}", *changes]), *stages]


def replace(path: Path, rows: list[dict], key: list[str]) -> None:
    """Write `rows` into the table at `path`, in place of those with the same key."""
    table = pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path)
        table = pd.concat([old[~old.set_index(key).index.isin(table.set_index(key).index)], table])
    table.sort_values(key, kind="stable").to_csv(path, index=False, lineterminator="\n")


def machine() -> dict[str, str]:
    """Cores, CPU and TensorFlow; a cloud's CPUs have the same name and other numbers."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = found.get("model name", platform.processor())
    numbers = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return {
        "machine": f"{len(os.sched_getaffinity(0))} cores, {name}{numbers}",
        "tensorflow": version("tensorflow"),
    }
