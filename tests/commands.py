"""What tests share that run commands: a clone, what is printed, and, where a process isn't needed, a thread."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from unittest import mock

import distributed
from dvc.repo import Repo

from stages.digits.training import cluster

ROOT = Path(__file__).parents[1]
PATIENCE = 600  # seconds until a test gives up waiting for another process: on a busy machine a start takes minutes


def run(folder: Path, *command: str, timeout: float | None = None, **environment: str) -> str:
    """What the command prints, both streams; AssertionError if it fails, TimeoutExpired after `timeout` seconds."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for(happened: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "gave up waiting"
        time.sleep(0.05)


def cluster_in_this_process() -> distributed.LocalCluster:
    """Dask with one worker, a thread of this process: a process of its own takes seconds to import TensorFlow."""
    return distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0")


def worker_in_this_process() -> AbstractContextManager[object]:
    """While it is open, training on this machine uses that one: for what isn't about processes."""
    return mock.patch.object(cluster, "_local_cluster", lambda _: cluster_in_this_process())


def dvc(folder: Path, *command: str) -> str:
    return run(folder, sys.executable, "-m", "dvc", *command)


def changed_stages(folder: Path) -> set[str]:
    """The stages that `dvc status` lists; asked in this process, since a start of DVC takes seconds."""
    with chdir(folder), Repo() as repo:
        return set(repo.status())


def ran(log: str) -> list[str]:
    """The stages that DVC says it ran."""
    return re.findall(r"Running stage '(\w+)'", log)


def commit(folder: Path, message: str) -> str:
    """Commit all that git doesn't ignore; its hash."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "-m", message)
    return run(folder, "git", "rev-parse", "HEAD").strip()


def clone(folder: Path) -> Path:
    """What `git clone` would give, on branch main, if all that git doesn't ignore were committed."""
    names = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    for name in filter(lambda name: (ROOT / name).is_file(), names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    run(folder, "git", "init", "--quiet", "--initial-branch", "main")
    identify(folder)
    commit(folder, "clone")
    return folder


def identify(folder: Path) -> None:
    """Give the repository an author of commits, whatever the user has."""
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@example.org")


def with_param(text: str, name: str, value: object) -> str:
    """The text of a params.yaml with another value for the one key of that name."""
    changed, count = re.subn(rf"(?m)^(  {name}:) \S+", rf"\1 {value}", text)
    assert count == 1, name
    return changed
