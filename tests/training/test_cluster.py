"""Members on Dask: real schedulers and workers in their own processes, and what happens when they die."""

import logging
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import dask
import distributed
import psutil
import pytest
from commands import PATIENCE, cluster_in_this_process, wait_for, worker_in_this_process

from stages import train
from stages.digits.base import dataset, files
from stages.digits.base.errors import InputError
from stages.digits.training import cluster, member, member_cache
from stages.digits.training.recipe import EpochMetrics, Recipe, TrainedMember

ROOT = Path(__file__).parents[2]


def ignore(_: object) -> None:
    pass


def finished() -> list[Path]:
    """A member is finished once its JSON file is there."""
    return list(member_cache.FOLDER.glob("*.json"))


@contextmanager
def process(*command: str, log: Path, folder: Path = ROOT, code: Path = ROOT) -> Iterator[subprocess.Popen]:
    """In its own process group, so that it can be killed with all its children; it imports the project from `code`."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(code)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        kill(started)


def kill(started: subprocess.Popen) -> None:
    """All of its group: what it started may go on after it has ended."""
    with suppress(ProcessLookupError):
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


def worker(address: str, folder: Path, name: str, code: Path = ROOT):
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder), "--name", name]
    return process("dask", "worker", address, *options, log=folder / f"{name}.log", folder=code, code=code)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def recipe(recipe) -> Recipe:
    """For two members."""
    return recipe.model_copy(update={"members": 2})


@pytest.fixture(scope="module")
def expected(labelled, recipe) -> list[TrainedMember]:
    """The members as a single process trains them, one after the other."""
    return [member.fit(labelled, number, recipe, ignore) for number in range(2)]


@pytest.mark.slow
def test_local_workers_train_the_same_bytes(labelled, recipe, expected):
    reported, ended = [], {}
    assert cluster.train_members(labelled, recipe, reported.append, ignore, ended.__setitem__) == expected
    assert sorted(reported) == sorted(row for member in expected for row in member.history)
    assert ended == {number: member.history for number, member in enumerate(expected)}


@pytest.mark.slow
def test_a_worker_killed_in_training_costs_a_retry_and_no_bit(folder, labelled, recipe, expected):
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "doomed") as doomed,
        worker(address, folder, "lasting"),
        dask.config.set({"scheduler-address": address}),
    ):
        killed = []

        def kill_one(_: EpochMetrics) -> None:
            if not killed:
                killed.append(doomed.pid)
                os.kill(doomed.pid, signal.SIGKILL)

        assert cluster.train_members(labelled, recipe, kill_one, ignore) == expected
        assert killed


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line_and_finished_members_stay(
    folder, labelled, recipe, expected, caplog, monkeypatch
):
    monkeypatch.setattr(logging.getLogger("distributed.client"), "handlers", [caplog.handler])
    with (
        scheduler(folder) as (address, started),
        worker(address, folder, "only"),
        dask.config.set({"scheduler-address": address, "distributed.comm.timeouts.connect": "2s"}),
        pytest.raises(InputError) as lost,
    ):
        Thread(target=lambda: (wait_for(finished), kill(started))).start()
        cluster.train_members(labelled, recipe, ignore, ignore)
    assert f"the Dask scheduler at {address} was lost" in str(lost.value)
    assert "\n" not in str(lost.value)
    assert caplog.text == ""  # what Dask would say
    assert len(member_cache.unfinished(member_cache.keys(labelled, recipe))) < 2
    with worker_in_this_process():
        assert cluster.train_members(labelled, recipe, ignore, ignore) == expected


@pytest.mark.slow
def test_a_failed_run_leaves_no_arrays_at_the_workers(labelled, recipe):
    diverging = recipe.model_copy(update={"members": 1, "learning_rate": 1e30})
    with cluster_in_this_process() as lasting, dask.config.set({"scheduler-address": lasting.scheduler_address}):
        with pytest.raises(InputError, match="training diverged: member 0, epoch 1") as caught:
            cluster.train_members(labelled, diverging, ignore, ignore)
        assert isinstance(caught.value.__context__, FloatingPointError), "by which a search tells it from other errors"
        with distributed.Client(lasting) as client:
            (plugins,) = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
    assert not [name for name in plugins if name.startswith("labelled")]


def test_too_few_open_files_are_one_line(labelled, recipe, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(
        InputError, match=r"^found a limit of 64 open files, expected at least \d+; raise it, or use fewer cores$"
    ):
        cluster.train_members(labelled, recipe, ignore, ignore)


def test_a_soft_limit_of_open_files_is_raised_as_far_as_is_needed(labelled, recipe, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 100_000))
    limits_set: list[tuple] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limits: limits_set.append(limits))

    def start(_: int) -> None:
        assert limits_set, "too late: workers start"
        raise InterruptedError

    monkeypatch.setattr(cluster, "_local_cluster", start)
    with pytest.raises(InterruptedError):
        cluster.train_members(labelled, recipe, ignore, ignore)
    [(limit, (soft, hard))] = limits_set
    assert limit == resource.RLIMIT_NOFILE
    assert 64 < soft < hard == 100_000


def test_a_missing_scheduler_is_one_line(labelled, recipe):
    nowhere = {"scheduler-address": "tcp://127.0.0.1:1", "distributed.comm.timeouts.connect": "1s"}
    with dask.config.set(nowhere), pytest.raises(InputError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        cluster.train_members(labelled, recipe, ignore, ignore)


def changed_clone(folder: Path) -> Path:
    """The project's code with one byte more in a module that a member depends on."""
    shutil.copytree(ROOT / "stages", folder / "changed/stages", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "changed/stages/digits/training/member.py").open("a") as module:
        module.write("\n")
    return folder / "changed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (changed_clone, "has different code or library versions: start it in a clone of this commit"),
        (lambda folder: folder, "can't import this project's code (No module named 'stages')"),
    ],
    ids=["changed", "missing"],
)
def test_a_worker_with_different_code_is_rejected_and_leaves_nothing_behind(folder, labelled, recipe, code, message):
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "stranger", code(folder)),
        dask.config.set({"scheduler-address": address}),
        pytest.raises(InputError) as rejected,
    ):
        cluster.train_members(labelled, recipe, ignore, ignore)
    assert message in str(rejected.value)
    assert "\n" not in str(rejected.value)
    assert not list(member_cache.FOLDER.glob("*"))


@pytest.mark.slow
def test_after_everything_is_killed_the_next_run_trains_only_what_is_unfinished(
    folder, labelled, recipe, expected, write_training
):
    """Killed after the first reported epoch: each member has two, so none but the cached one is surely finished."""
    write_training(labelled, recipe)
    keys = member_cache.keys(labelled, recipe)
    member_cache.write(keys[0], expected[0])
    with process("stages.train", log=folder / "first.log", folder=folder) as first:
        wait_for(lambda: "epoch  1/" in (folder / "first.log").read_text())
        kill(first)
    assert not dataset.MODELS.exists(), "nothing of an interrupted run is an output"
    left = len(member_cache.unfinished(keys))
    with process("stages.train", log=folder / "second.log", folder=folder) as second:
        assert second.wait() == 0
    assert f"{2 - left} of 2 members were finished by an earlier run" in (folder / "second.log").read_text()
    assert [path.read_bytes() for path in dataset.model_paths()] == [member.model for member in expected]
    assert not member_cache.FOLDER.exists()


ADVICE = "finished members are kept; run `dvc repro` to train the others"
PROGRESS = re.compile(r" *\d+/\d00000 |\d workers? on this machine|Running stage 'train'|> |$")
ENDLESS = {"members": 2, "width": 16, "epochs": 100_000, "patience": 100_000}


def alive(group: int) -> list[psutil.Process]:
    """The processes of a group, without those that have ended but that nobody has waited for."""
    running = []
    for candidate in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(candidate.pid) == group and candidate.status() != psutil.STATUS_ZOMBIE:
                running.append(candidate)
    return running


def lines_of_stopped_training(log: Path, number: int, *command: str) -> list[str]:
    """What is printed, without progress, if a terminal sends the signal to all processes of a training, twice."""
    with process(*command, log=log, folder=log.parent) as training:
        wait_for(lambda: "epoch  1/" in log.read_text())
        os.killpg(training.pid, number)
        time.sleep(0.5)
        os.killpg(training.pid, number)
        training.wait(PATIENCE)
        wait_for(lambda: not alive(training.pid))
    return [line for line in log.read_text().splitlines() if not PROGRESS.match(line)]


@pytest.mark.slow
def test_a_closed_terminal_stops_training_with_one_line_and_no_process_is_left(
    folder, labelled, recipe, write_training
):
    write_training(labelled, recipe.model_copy(update=ENDLESS | {"members": 1}))
    lines = lines_of_stopped_training(folder / "log", signal.SIGHUP, "stages.train")
    assert lines == [f"stopped by SIGHUP: {ADVICE}"]


@pytest.mark.slow
def test_ctrl_c_in_dvc_repro_prints_two_lines_and_leaves_no_process(folder, labelled, recipe, write_training):
    write_training(labelled, recipe.model_copy(update=ENDLESS))
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], check=True)
    (folder / "dvc.yaml").write_text(f"stages: {{train: {{cmd: {sys.executable} -m stages.train}}}}")
    ours, dvcs = lines_of_stopped_training(folder / "log", signal.SIGINT, "dvc", "repro")
    assert ours == f"stopped by SIGINT: {ADVICE}"
    assert dvcs.startswith("ERROR: failed to reproduce 'train'")
    assert dvcs.endswith(("exited with 130", "exited with -2"))  # -2: dash passes on the signal, bash the status


@pytest.mark.slow
def test_a_signal_while_workers_start_stops_them_too(folder, labelled, recipe, write_training):
    write_training(labelled, recipe.model_copy(update=ENDLESS))
    log = folder / "log"
    with process("stages.train", log=log, folder=folder) as training:
        wait_for(lambda: len(alive(training.pid)) > 1)
        os.kill(training.pid, signal.SIGTERM)
        assert training.wait(PATIENCE) == 128 + signal.SIGTERM
        wait_for(lambda: not alive(training.pid))
    assert log.read_text() == f"stopped by SIGTERM: {ADVICE}\n"


@pytest.mark.slow
def test_a_second_training_in_a_folder_waits_for_the_first(folder, labelled, recipe, write_training):
    """Where `dvc` was killed, its stage goes on, and the next `dvc repro` starts another."""
    write_training(labelled, recipe)
    log = folder / "train.log"
    with files.lock(train.LOCK, lambda: None), process("stages.train", log=log, folder=folder) as second:
        wait_for(lambda: log.read_text() == "waiting for another training in this folder to end\n")
        assert second.poll() is None


def test_a_lock_ends_with_the_process_that_holds_it(folder):
    code = (
        "import os, time\nfrom pathlib import Path\nfrom stages.digits.base import files\n"
        "with files.lock(Path('lock'), lambda: None):\n    print('held', flush=True)\n    time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=-1)
    assert holder.stdout.readline() == b"held\n"

    def kill_holder() -> None:
        holder.kill()
        holder.communicate()

    waited = []
    with files.lock(folder / "lock", lambda: waited.append(kill_holder())):
        assert waited


@pytest.mark.slow
def test_a_finished_member_that_is_lost_in_training_stops_the_run(labelled, recipe):
    keys = member_cache.keys(labelled, recipe)
    member_cache.write(keys[0], TrainedMember(b"a model", [EpochMetrics(0, 1, *[0.5] * 5)]))

    def remove_first(_: EpochMetrics) -> None:
        (member_cache.FOLDER / f"{keys[0]}.keras").unlink(missing_ok=True)

    with (
        worker_in_this_process(),
        pytest.raises(InputError, match="data/members: a finished member was removed or altered"),
    ):
        cluster.train_members(labelled, recipe, remove_first, ignore)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "needless"),
    [("stages.train", {"matplotlib", "sklearn", "tensorflow"}), ("stages.submit", {"matplotlib", "sklearn"})],
)
def test_what_needs_no_figures_scores_or_networks_imports_no_library_for_them_but_could(module, needless):
    code = f"import sys, {module}; print({needless} & {{*sys.modules}}); import matplotlib, sklearn"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT) == b"set()\n"
