"""What the benchmarks share: a clone to run in, what a command costs, tables of results, and where they come from."""

import os
import platform
import resource
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil

from stages.digits.training import member_cache

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results"
POLL_SECONDS = 0.5  # between two readings of the memory


class Cost(NamedTuple):
    """What a command and all the processes it started used."""

    cpu_seconds: float  # user and system
    wall_seconds: float
    peak_mib: float  # unshared memory, summed over all processes at one moment


def cost(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Cost:
    """Run `command` in `folder`, with `environment` added to ours; CalledProcessError where it fails."""
    before, started = _cpu_seconds_of_children(), time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=os.environ | dict(environment or {}))
    memory = _PeakMemory(process.pid)
    memory.start()
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(_cpu_seconds_of_children() - before, time.monotonic() - started, memory.peak_mib)


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _PeakMemory(threading.Thread):
    """Reads the memory of a process and its descendants until it ends."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.peak_mib = psutil.Process(pid), 0.0

    def run(self) -> None:
        with suppress(psutil.NoSuchProcess):  # it may end at any moment
            while self.process.status() != psutil.STATUS_ZOMBIE:
                processes = [self.process, *self.process.children(recursive=True)]
                self.peak_mib = max(self.peak_mib, sum(map(_unshared_bytes, processes)) / 2**20)
                time.sleep(POLL_SECONDS)


def _unshared_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
        return memory.rss - memory.shared
    except psutil.Error:  # it has just ended
        return 0


def bare_clone(folder: Path) -> Path:
    """A clone, in `folder`, of what is committed here: no data, no cache."""
    path = folder / "digits"
    subprocess.run(["git", "clone", "--quiet", ROOT, path], check=True)
    return path


def clone(folder: Path) -> Path:
    """A clone, in `folder`, of what is committed here, with the embedded sample that the pipeline's graph needs."""
    path = bare_clone(folder)
    subprocess.run(["dvc", "repro", "--quiet", "sample"], cwd=path, check=True)
    return path


def pipeline(raw: Path, changes: Iterable[str], *stages: str) -> list[str]:
    """The command that runs the pipeline on `raw` with changed parameters: all of it, or only up to `stages`."""
    return ["dvc", "exp", "run", *(f"-S{change}" for change in [f"raw={raw.resolve()}", *changes]), *stages]


def upsert(path: Path, rows: list[dict], key: list[str]) -> None:
    """Write `rows` into the CSV table at `path`: each key of theirs replaces its old rows, all others stay."""
    table = pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path)
        table = pd.concat([old[~old.set_index(key).index.isin(table.set_index(key).index)], table])
        table = table.convert_dtypes()  # else a whole number beside a missing one becomes 1.0
    table.sort_values(key, kind="stable").to_csv(path, index=False, lineterminator="\n")


def commit(folder: Path) -> str:
    """The commit that is checked out in `folder`, 12 digits of it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return head.stdout.strip()[:12]


def machine() -> dict[str, str]:
    """Cores, CPU and TensorFlow; the family and model number tell apart a cloud's CPUs of one name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = cpu.get("model name", platform.processor())
    numbers = f" (family {cpu['cpu family']}, model {cpu['model']})" if "cpu family" in cpu else ""
    cores = len(os.sched_getaffinity(0))
    return {
        "machine": f"{cores} core{'s' * (cores > 1)}, {name}{numbers}",
        "tensorflow": member_cache.tensorflow_version(),
    }
