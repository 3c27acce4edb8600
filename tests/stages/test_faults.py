"""Faults of the machine, injected at each output of each stage: one line, and no output is half-written."""

import ctypes
import errno
import os
import secrets
import signal
import subprocess
import sys
import time
from importlib import import_module
from multiprocessing import synchronize
from pathlib import Path

import commands
import dask
import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.figure import Figure

from stages.digits.base import dataset, errors
from stages.digits.prediction import ensemble
from stages.digits.report import drawing
from stages.digits.training import cluster, member_cache
from stages.digits.training.recipe import EpochMetrics, TrainedMember

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
FOLDERS = {  # outputs that are folders, and what is written into them
    "data/sample": ["data/sample/train.csv", "data/sample/test.csv", "data/sample/sample_submission.csv"],
    "data/models": ["data/models/member-00.keras", "data/models/history.csv"],
}


def outputs(stage: str) -> list[Path]:
    """The files that a stage writes."""
    listed = [out if isinstance(out, str) else next(iter(out)) for out in STAGES[stage]["outs"]]
    return [Path(name) for out in listed for name in FOLDERS.get(out, [out])]


@pytest.fixture
def stages(project: Path, monkeypatch: pytest.MonkeyPatch, labelled: dataset.Labelled, small_params: str) -> Path:
    """A project in which every stage can run within a second: training, prediction and drawing are replaced."""
    settings = commands.with_param(small_params, "folds", 2)  # there are few digits
    (project / "params.yaml").write_text(settings.replace("raw: data/sample", "raw: data/raw"), encoding="utf-8")
    dataset.save_labelled(dataset.LABELLED, labelled)
    dataset.save_unlabelled(dataset.UNLABELLED, labelled.images[:20])
    dataset.save_own(dataset.OWN, dataset.NO_OWN)
    history = [EpochMetrics(0, 1, 0.5, 0.25, 0.75, 0.875, 0.008)]
    dataset.MODELS.mkdir(parents=True)
    pd.DataFrame(history).to_csv(dataset.MODELS / "history.csv", index=False)

    def train_members(*_: object) -> list[TrainedMember]:
        member_cache.FOLDER.mkdir(parents=True)
        return [TrainedMember(b"a model", history)]

    probabilities = np.eye(10)[labelled.labels]
    monkeypatch.setattr(cluster, "train_members", train_members)
    monkeypatch.setattr(ensemble, "load_members", list)
    monkeypatch.setattr(
        ensemble, "out_of_fold", lambda rows, *_: dataset.OutOfFold(rows, np.eye(10)[rows.labels], [1.0])
    )
    monkeypatch.setattr(ensemble, "predict", lambda images, *_: probabilities[: len(images)])
    for name in ("samples", "history", "confusion_matrix", "misclassified"):
        monkeypatch.setattr(drawing, name, lambda *_: Figure(figsize=(1, 1)))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # stages set handlers, which would stay for other tests
    return project


def run(stage: str) -> None:
    errors.run(import_module(f"stages.{stage}").main)


@pytest.mark.slow
@pytest.mark.usefixtures("stages")
@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_at_any_output_is_one_line_and_leaves_the_old_file(stage, monkeypatch):
    """The temporary file of one output after the other is a link to /dev/full, where the system lets nothing fit."""
    run(stage)
    whole = {path: path.read_bytes() for path in outputs(stage)}
    monkeypatch.setattr(secrets, "token_hex", lambda _: "temporary")
    for full in whole:
        for path in whole:
            path.write_bytes(b"old")
        link = full.with_name(f".{full.stem}-temporary{full.suffix}")
        link.symlink_to("/dev/full")
        with pytest.raises(errors.InputError) as failed:
            run(stage)
        assert failed.value.code == f"{full}: {os.strerror(errno.ENOSPC)}"
        assert full.read_bytes() == b"old"
        assert all(path.read_bytes() in (b"old", content) for path, content in whole.items())
        assert not list(full.parent.glob(".*-temporary*"))
        if stage == "train":
            assert member_cache.FOLDER.exists(), "finished members are kept"
            member_cache.FOLDER.rmdir()
    run(stage)
    assert {path: path.read_bytes() for path in outputs(stage)} == whole


CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24


def obey_permissions() -> None:
    """Before a program starts: root, whom permissions don't bind, gives that power up; to others nothing happens."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def run_sample(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """The stage `sample` in a process with nothing in its environment but the variables given."""
    return subprocess.run(
        [sys.executable, "-m", "stages.sample"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read_only", "named"), [(".", "data"), ("data/sample", "data/sample/train.csv")], ids=["project", "output"]
)
def test_a_read_only_folder_is_one_line(empty_project, read_only, named):
    if read_only != ".":
        (empty_project / read_only).mkdir(parents=True)
    (empty_project / read_only).chmod(0o555)
    try:
        done = run_sample(empty_project)
    finally:
        (empty_project / read_only).chmod(0o755)
    assert done.returncode == 1
    assert done.stderr == f"{named}: {os.strerror(errno.EACCES)}\n"


@pytest.mark.slow
def test_a_stage_needs_no_home_no_usable_tmpdir_and_no_path(empty_project):
    done = run_sample(empty_project, TMPDIR=str(empty_project / "nowhere"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.slow
def test_workers_that_cannot_start_are_one_line(empty_project, labelled, recipe):
    """Dask wants a folder for its files where there is a file."""
    (empty_project / "dask-scratch-space").touch()
    with dask.config.set({"temporary-directory": str(empty_project)}), pytest.raises(errors.InputError) as failed:
        cluster.train_members(labelled, recipe, lambda _: None, lambda _: None)
    assert failed.value.code.startswith("Dask can't start workers on this machine: ")
    assert "dask-scratch-space" in failed.value.code


@pytest.mark.slow
@pytest.mark.usefixtures("empty_project")
def test_semaphores_that_the_system_refuses_are_one_line(labelled, recipe, monkeypatch):
    """As where /dev/shm, which holds them, is full: Dask makes some for each worker."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", refuse)
    with pytest.raises(errors.InputError, match=r"^Dask can't start workers on this machine: .*are /dev/shm and"):
        cluster.train_members(labelled, recipe, lambda _: None, lambda _: None)


def dvc(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy_stage(empty_project: Path) -> Path:
    """A DVC project whose one stage says `started`, waits for the file `go`, and copies `dep` to `out`."""
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert dvc("init", "--quiet").returncode == 0
    command = "touch started; while ! test -e go; do sleep 0.1; done; cp dep out"
    stage = {"cmd": command, "deps": ["dep"], "outs": ["out"]}
    (empty_project / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"copy": stage}}), encoding="utf-8")
    (empty_project / "dep").write_text("content")
    return empty_project


@pytest.mark.slow
def test_of_two_runs_at_once_one_is_refused_by_name(copy_stage):
    first = subprocess.Popen([sys.executable, "-m", "dvc", "repro"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while not (copy_stage / "started").exists():
            assert first.poll() is None
            time.sleep(0.1)
        second = dvc("repro")
    finally:
        (copy_stage / "go").touch()
        first.communicate()
    assert second.returncode != 0
    assert f"is busy, it is being blocked by:\n  (PID {first.pid}): " in second.stderr
    assert first.returncode == 0
    assert (copy_stage / "out").read_text() == "content"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["deleted", "altered"])
def test_a_damaged_cache_entry_is_made_again(copy_stage, fault):
    """DVC hashes an entry that can be written to; one that is read-only, as DVC makes them, it trusts."""
    (copy_stage / "go").touch()
    assert dvc("repro").returncode == 0
    [entry] = (copy_stage / ".dvc/cache/files/md5").glob("*/*")
    entry.unlink()
    if fault == "altered":
        entry.write_text("CONTENT")
    (copy_stage / "out").unlink()
    done = dvc("repro")
    assert done.returncode == 0, done.stderr
    assert (copy_stage / "out").read_text() == entry.read_text() == "content"
