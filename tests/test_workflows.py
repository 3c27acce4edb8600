"""What people do with the pipeline over days: try a change and prove it, share data, change branches, merge."""

import csv
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import commands
import psutil
import pytest
from commands import dvc, ran, run

TRY = """\
dvc exp run -n less-dropout -S train.dropout_rate=0.2
dvc params diff
dvc metrics diff
dvc plots diff
"""
REPEAT = """\
dvc exp run --queue -n repeat -S train.dropout_rate=0.2,0.4 -S train.seed=2,3
dvc queue start
make experiments
"""
KEEP = """\
dvc exp branch less-dropout try-less-dropout
dvc exp apply less-dropout
git commit --all --message "Less dropout"
"""
SHARE = """\
dvc remote add --default team ../shared-cache
git commit --message "Add a remote" .dvc/config
dvc push
"""
RESOLVE = """\
git checkout --ours dvc.lock metrics plots
dvc repro
git commit --all --message "Merge smoother"
"""
STARTS = 5  # of DVC's queue


def shell(folder: Path, command: str) -> str:
    """Run a line of the story; `make` doesn't set up an environment, since the tests have one."""
    return run(folder, "bash", "-c", re.sub("^make", "make --assume-old .venv/ready", command))


def experiments(folder: Path) -> set[str]:
    """The names of the experiments that have finished."""
    return set(run(folder, "git", "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps/??/*/*").split())


def workers(folder: Path) -> list[psutil.Process]:
    """DVC's processes that run the folder's queue."""
    processes = psutil.process_iter(["cmdline", "cwd"])
    return [p for p in processes if "queue-worker" in (p.info["cmdline"] or []) and p.info["cwd"] == str(folder)]


def run_queue(folder: Path, start: str) -> str:
    """Run the queued experiments; start again, as the README says, if DVC's worker stops between two (dvc#10428)."""
    printed: list[str] = []
    while not {f"repeat-{number}" for number in (1, 2, 3, 4)} <= experiments(folder):
        if not workers(folder):
            assert len(printed) < STARTS, "an experiment failed, or the queue never ends"
            printed.append(shell(folder, start))
        time.sleep(5)
    _, hanging = psutil.wait_procs(workers(folder), timeout=60)
    for process in hanging:
        process.kill()
    return "".join(printed)


def models(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "data/models").iterdir())]


def set_params(folder: Path, **values: float) -> None:
    path = folder / "params.yaml"
    for name, value in values.items():
        path.write_text(commands.with_param(path.read_text(encoding="utf-8"), name, value), encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_params) -> Path:
    """A clone whose small pipeline was run and committed."""
    folder = commands.clone(tmp_path_factory.mktemp("finished") / "digits")
    (folder / "params.yaml").write_text(small_params, encoding="utf-8")
    set_params(folder, members=1, epochs=3)
    dvc(folder, "repro")
    commands.commit(folder, "small")
    return folder


@pytest.fixture(scope="module")
def story(finished, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """The story of a change, told in a copy: the copy at its end, and what each command printed."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("story") / "digits")
    lines = (TRY + REPEAT + KEEP).splitlines()
    return folder, {line: (run_queue if line == "dvc queue start" else shell)(folder, line) for line in lines}


@pytest.fixture
def branched(finished, tmp_path) -> Path:
    """A copy with a branch `smoother`: on it and on main a parameter, a model and a metric were changed since.

    DVC records them as if the pipeline had been run.
    """
    folder = shutil.copytree(finished, tmp_path / "digits")

    def change(value: float, **parameters: float) -> None:
        set_params(folder, **parameters)
        with (folder / "data/models/history.csv").open("a", encoding="utf-8") as history:
            history.write(f"0,3,{value},{value},{value},{value}\n")
        metrics = folder / "metrics/evaluate.json"
        metrics.write_text(
            re.sub('"log_loss": .*,', f'"log_loss": {value},', metrics.read_text(encoding="utf-8")), encoding="utf-8"
        )
        dvc(folder, "commit", "--force")
        commands.commit(folder, str(parameters))

    run(folder, "git", "switch", "--quiet", "--create", "smoother")
    change(0.11, label_smoothing=0.1)
    run(folder, "git", "switch", "--quiet", "main")
    dvc(folder, "checkout")
    change(0.22, shear=0.3)
    return folder


def test_an_experiment_differs_from_its_commit_in_what_its_command_sets_and_in_nothing_else(story):
    folder, _ = story
    printed = run(folder, sys.executable, "-m", "dvc", "exp", "show", "--csv", "--num", "2")
    rows = {row["Experiment"] or row["rev"]: row for row in csv.DictReader(printed.splitlines())}
    parameters = [name for name in rows["less-dropout"] if re.match(r"(raw|sample|prepare|train)\b", name)]
    (before,) = (row for row in rows.values() if row["typ"] == "baseline" and row["train.dropout_rate"] == "0.4")
    changed = {
        name: {key: row[key] for key in parameters if row[key] != before[key]}
        for name, row in rows.items()
        if row["Experiment"]
    }
    assert changed.pop("less-dropout") == {"train.dropout_rate": "0.2"}
    for change in (
        {"train.dropout_rate": "0.2", "train.seed": "2"},
        {"train.dropout_rate": "0.2", "train.seed": "3"},
        {"train.seed": "2"},
        {"train.seed": "3"},
    ):
        assert change in changed.values()
    assert len(changed) == 4


def test_the_differences_are_those_to_the_last_commit(story):
    folder, printed = story
    assert re.search(r"params.yaml +train.dropout_rate +0.4 +0.2 *$", printed["dvc params diff"])
    assert re.search(r"metrics/evaluate.json +log_loss ", printed["dvc metrics diff"])
    page = (folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "HEAD" in page
    assert "workspace" in page


def test_the_table_of_experiments_has_a_row_for_each_and_fits_120_columns(story):
    _, printed = story
    table = [line for line in printed["make experiments"].splitlines() if line.strip()]
    assert max(map(len, table)) <= 120
    for column in ("log_loss", "train.dropout_rate", "train.seed"):
        assert column in "\n".join(table[:3])
    for name in ("less-dropout", "repeat-1", "repeat-2", "repeat-3", "repeat-4"):
        assert any(name in line for line in table), name


def test_the_queue_trains_the_same_bytes_as_a_run_in_the_folder(story, tmp_path):
    folder = shutil.copytree(story[0], tmp_path / "digits")
    dvc(folder, "exp", "apply", "repeat-1")
    queued = (folder / "dvc.lock").read_text(encoding="utf-8")
    dvc(folder, "repro", "--force", "--single-item", "train")
    assert (folder / "dvc.lock").read_text(encoding="utf-8") == queued


def test_what_is_kept_is_committed_with_its_data_and_the_branch_holds_the_same(story):
    folder, _ = story
    assert run(folder, "git", "status", "--porcelain") == ""
    assert run(folder, "git", "diff", "HEAD", "try-less-dropout", "--", "params.yaml", "dvc.lock", "metrics") == ""
    assert "dropout_rate: 0.2" in (folder / "params.yaml").read_text(encoding="utf-8")
    assert ran(dvc(folder, "repro")) == []


def test_a_clone_pulls_what_was_pushed_and_trains_nothing(branched, tmp_path):
    for line in SHARE.splitlines():
        shell(branched, line)
    run(tmp_path, "git", "clone", "--quiet", "digits", "elsewhere")
    dvc(tmp_path / "elsewhere", "pull")
    assert models(tmp_path / "elsewhere") == models(branched)
    assert ran(dvc(tmp_path / "elsewhere", "repro")) == []


def test_after_a_checkout_of_another_branch_dvc_checkout_brings_its_data(branched):
    of_main = models(branched)
    run(branched, "git", "switch", "--quiet", "smoother")
    assert re.search(r"modified: +data/models", dvc(branched, "status"))
    dvc(branched, "checkout")
    assert models(branched) != of_main
    assert "up to date" in dvc(branched, "status")
    assert ran(dvc(branched, "repro")) == []


def test_a_conflict_in_the_lock_is_resolved_by_a_run_with_the_merged_parameters(branched):
    merge = subprocess.run(["git", "merge", "smoother"], cwd=branched, capture_output=True, text=True, check=False)
    assert "Merge conflict in dvc.lock" in merge.stdout
    rejected = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=branched, capture_output=True, text=True, check=False
    )
    assert "'./dvc.lock' is invalid (possible merge conflicts)" in rejected.stderr
    for line in RESOLVE.splitlines():
        shell(branched, line)
    text = (branched / "params.yaml").read_text(encoding="utf-8")
    assert "label_smoothing: 0.1" in text
    assert "shear: 0.3" in text
    assert ran(dvc(branched, "repro")) == []
    assert run(branched, "git", "status", "--porcelain") == ""
