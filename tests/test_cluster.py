"""Members on Dask: real schedulers and workers in processes of their own, and what happens when they die."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import dask
import pytest

from stages.digits import cluster, dataset, member
from stages.digits.errors import InputError
from stages.digits.recipe import Epoch, Member

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds, until a test gives up waiting for another process


def ignore(_: object) -> None:
    pass


def wait_for(happened: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def finished() -> list[Path]:
    return [path for path in cluster.KEPT.glob("*") if path.suffix != ".part"]


@contextmanager
def process(*command: str, log: Path, folder: Path | None = None) -> Iterator[subprocess.Popen]:
    """A process group of its own, so that it can be killed with all its children."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder or ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        kill(started)


def kill(started: subprocess.Popen) -> None:
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    with process(*command, log=folder / "scheduler.log") as started:
        wait_for(lambda: answers(port))
        yield f"tcp://127.0.0.1:{port}", started


def answers(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def worker(address: str, folder: Path, name: str):
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder), "--name", name]
    return process("dask", "worker", address, *options, log=folder / f"{name}.log")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def expected(labelled, recipe) -> list[Member]:
    """The members as one process fits them, one after the other."""
    return [member.fit(labelled, number, recipe, ignore) for number in range(3)]


def test_local_workers_fit_the_same_bytes(labelled, recipe, expected):
    heard = []
    assert cluster.fitted(labelled, recipe, heard.append, ignore) == expected
    assert sorted(heard) == sorted(row for one in expected for row in one.history)


def test_a_worker_killed_mid_way_costs_a_retry_and_no_bit(folder, labelled, recipe, expected):
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "doomed") as doomed,
        worker(address, folder, "lasting"),
        dask.config.set({"scheduler-address": address}),
    ):
        killed = []

        def kill_one(_: Epoch) -> None:
            if not killed:
                killed.append(doomed.pid)
                os.kill(doomed.pid, signal.SIGKILL)

        assert cluster.fitted(labelled, recipe, kill_one, ignore) == expected
        assert killed


def test_a_lost_scheduler_is_said_in_one_line_and_finished_members_stay(folder, labelled, recipe, expected):
    with (
        scheduler(folder) as (address, started),
        worker(address, folder, "only"),
        dask.config.set({"scheduler-address": address, "distributed.comm.timeouts.connect": "2s"}),
        pytest.raises(InputError) as lost,
    ):
        Thread(target=lambda: (wait_for(finished), kill(started))).start()
        cluster.fitted(labelled, recipe, ignore, ignore)
    assert f"the Dask scheduler at {address} was lost" in str(lost.value)
    assert "\n" not in str(lost.value)
    assert len(cluster.missing(labelled, recipe)) < 3
    assert cluster.fitted(labelled, recipe, ignore, ignore) == expected


def test_a_failed_run_leaves_no_arrays_at_the_workers(folder, labelled, recipe):
    diverging = recipe.model_copy(update={"members": 1, "learning_rate": 1e30})
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "lasting"),
        dask.config.set({"scheduler-address": address}),
    ):
        with pytest.raises(InputError, match="training diverged: member 0, epoch 1"):
            cluster.fitted(labelled, diverging, ignore, ignore)
        with cluster._client(1, ignore) as client:
            (kept,) = client.run(
                lambda dask_worker: [type(one).__name__ for one in dask_worker.plugins.values()]
            ).values()
    assert cluster._Holder.__name__ not in kept


def test_no_scheduler_at_the_address_is_said_in_one_line(labelled, recipe):
    nowhere = {"scheduler-address": "tcp://127.0.0.1:1", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(nowhere), pytest.raises(InputError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        cluster.fitted(labelled, recipe, ignore, ignore)


def test_a_scheduler_without_our_code_is_said_in_one_line(folder, labelled, recipe, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", folder)
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "stranger"),
        dask.config.set({"scheduler-address": address}),
        pytest.raises(InputError, match="can't import this project's code"),
    ):
        cluster.fitted(labelled, recipe, ignore, ignore)


def test_killed_with_everything_the_next_run_fits_only_what_is_missing(folder, labelled, recipe, expected):
    dataset.LABELLED.parent.mkdir(parents=True)
    dataset.save_labelled(dataset.LABELLED, labelled)
    settings = "\n".join(f"  {key}: {value}" for key, value in recipe.model_dump().items())
    Path("params.yaml").write_text(f"train:\n{settings}\n", encoding="utf-8")
    with process("stages.train", log=folder / "first.log", folder=folder) as first:
        wait_for(finished)
        kill(first)
    before = len(finished())
    assert before < 3, "the run was over before it could be killed"
    with process("stages.train", log=folder / "second.log", folder=folder) as second:
        assert second.wait() == 0
    log = (folder / "second.log").read_text()
    assert f"{before} of 3 members were finished before" in log
    assert [path.read_bytes() for path in sorted((folder / "data/models").glob("*.keras"))] == [
        one.model for one in expected
    ]
    assert not cluster.KEPT.exists()


def test_dask_does_not_watch_its_own_workers_by_sampling():
    with cluster._client(1, ignore) as client:
        assert list(client.run(dask.config.get, "distributed.worker.profile.enabled").values()) == [False]


def test_the_client_does_without_tensorflow():
    code = "import sys, stages.train; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_member_has_a_name_of_its_own_however_many_there_are(labelled, recipe):
    more = cluster.member_names(labelled, recipe.model_copy(update={"members": 5}))
    assert len(set(more)) == 5
    assert more[:3] == cluster.member_names(labelled, recipe)


@pytest.mark.parametrize("change", ["recipe", "fold", "image", "label", "code"])
def test_whatever_a_member_depends_on_is_in_its_name(folder, labelled, recipe, monkeypatch, change):
    before = cluster.member_names(labelled, recipe)
    assert cluster.member_names(labelled, recipe) == before
    images, labels, folds = (array.copy() for array in labelled)
    if change == "recipe":
        recipe = recipe.model_copy(update={"zoom": 0.13})
    elif change == "fold":
        folds[5] = (folds[5] + 1) % 3
    elif change == "image":
        images[5, 5, 5] ^= 1
    elif change == "label":
        labels[5] = (labels[5] + 1) % 10
    else:
        shutil.copytree(Path(cluster.__file__).parent, folder / "digits")
        with (folder / "digits/member.py").open("a") as module:
            module.write("\n")
        monkeypatch.setattr(cluster, "__file__", str(folder / "digits/cluster.py"))
    assert not set(cluster.member_names(dataset.Labelled(images, labels, folds), recipe)) & set(before)
