"""What people do with the pipeline over days: try a change and prove it, share data, change branches, merge."""

import csv
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import documents
import pytest
from commands import dvc, ran, run
from documents import Story

pytestmark = pytest.mark.slow
RESOLVE = """\
git checkout --ours dvc.lock metrics plots
dvc repro
git commit --all --message "Merge seed"
"""


def models(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "data/models").iterdir())]


@pytest.fixture(scope="module")
def change(story: Callable[[str], Story]) -> Story:
    """The story of a change, from a try to what is kept."""
    return story("dvc queue start")


@pytest.fixture
def branched(change, tmp_path) -> Path:
    """The story's end, with another dropout rate on main, and a branch `seed` from before, with another seed.

    The queue has trained with both.
    """
    folder = shutil.copytree(change.folder, tmp_path / "digits", symlinks=True)
    dvc(folder, "exp", "branch", "repeat-2", "seed")
    return folder


def test_changed_hyperparameters_rerun_train_and_what_follows_and_going_back_uses_the_cache(
    change, small_params, tmp_path
):
    log = change.printed["dvc exp run -n less-dropout -S train.dropout_rate=0.2"]
    assert ran(log) == ["train", "evaluate", "submit"]
    folder = shutil.copytree(change.folder, tmp_path / "digits", symlinks=True)
    (folder / "params.yaml").write_text(small_params, encoding="utf-8")
    log = dvc(folder, "repro", "train")
    assert ran(log) == []
    assert "Stage 'train' is cached" in log


def settings(command: str) -> list[dict[str, str]]:
    """What each experiment of a printed command sets: a list of values makes as many experiments."""
    sets = [
        [(name, value) for value in values.split(",")] for name, values in re.findall(r"-S ([\w.]+)=(\S+)", command)
    ]
    return [dict(values) for values in itertools.product(*sets)]


def test_an_experiment_differs_from_its_commit_in_what_its_command_sets_and_in_nothing_else(change):
    printed = run(change.folder, sys.executable, "-m", "dvc", "exp", "show", "--csv", "--num", "2")
    rows = list(csv.DictReader(printed.splitlines()))
    parameters = [name for name in rows[0] if re.match(r"(raw|sample|prepare|train)\b", name)]
    (before,) = (row for row in rows if row["typ"] == "baseline" and row["train.dropout_rate"] == "0.4")
    changed = [
        {key: row[key] for key in parameters if row[key] != before[key]}
        for row in rows
        if row["typ"] not in ("baseline", "workspace")
    ]
    commands_run = [documents.smaller(command) for command in change.printed if "dvc exp run" in command]
    expected = [values for command in commands_run for values in settings(command)]
    unchanged = {key: before[key] for key in parameters}
    expected = [{key: value for key, value in values.items() if value != unchanged[key]} for values in expected]
    assert len(expected) >= 3
    assert sorted(sorted(values.items()) for values in changed) == sorted(sorted(values.items()) for values in expected)


def test_the_differences_are_those_to_the_last_commit(change):
    folder, printed = change
    assert re.search(r"params.yaml +train.dropout_rate +0.4 +0.2 *$", printed["dvc params diff"])
    assert re.search(r"metrics/evaluate.json +log_loss ", printed["dvc metrics diff"])
    page = (folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "HEAD" in page
    assert "workspace" in page


def test_the_table_of_experiments_has_a_row_for_each_and_fits_120_columns(change):
    _, printed = change
    table = [line for line in printed["make experiments"].splitlines() if line.strip()]
    assert max(map(len, table)) <= 120
    for column in ("log_loss", "train.dropout_rate", "train.seed"):
        assert column in "\n".join(table[:3])
    for name in ("less-dropout", "repeat-1", "repeat-2"):
        assert any(name in line for line in table), name


def test_the_queue_trains_the_same_bytes_as_a_run_in_the_folder(change, tmp_path):
    folder = shutil.copytree(change.folder, tmp_path / "digits", symlinks=True)
    dvc(folder, "exp", "apply", "repeat-1")
    queued = (folder / "dvc.lock").read_text(encoding="utf-8")
    dvc(folder, "repro", "--force", "--single-item", "train")
    assert (folder / "dvc.lock").read_text(encoding="utf-8") == queued


def test_what_is_kept_is_committed_with_its_data_and_the_branch_holds_the_same(change):
    folder, _ = change
    assert run(folder, "git", "status", "--porcelain") == ""
    assert run(folder, "git", "diff", "HEAD", "try-less-dropout", "--", "params.yaml", "dvc.lock", "metrics") == ""
    assert "dropout_rate: 0.2" in (folder / "params.yaml").read_text(encoding="utf-8")
    assert ran(dvc(folder, "repro")) == []


def test_a_clone_pulls_what_was_pushed_and_trains_nothing(story):
    """Beside the folder that pushed it: the remote of the story is a directory."""
    pushed = story("dvc push").folder
    clone = pushed.with_name("elsewhere")
    run(pushed.parent, "git", "clone", "--quiet", pushed.name, clone.name)
    dvc(clone, "pull")
    assert models(clone) == models(pushed)
    assert ran(dvc(clone, "repro")) == []


def test_after_a_checkout_of_another_branch_dvc_checkout_brings_its_data(branched):
    of_main = models(branched)
    run(branched, "git", "switch", "--quiet", "seed")
    assert re.search(r"modified: +data/models", dvc(branched, "status"))
    dvc(branched, "checkout")
    assert models(branched) != of_main
    assert "up to date" in dvc(branched, "status")
    assert ran(dvc(branched, "repro")) == []


def test_a_conflict_in_the_lock_is_resolved_by_a_run_with_the_merged_parameters(branched):
    merge = subprocess.run(["git", "merge", "seed"], cwd=branched, capture_output=True, text=True, check=False)
    assert "Merge conflict in dvc.lock" in merge.stdout
    rejected = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=branched, capture_output=True, text=True, check=False
    )
    assert "'./dvc.lock' is invalid (possible merge conflicts)" in rejected.stderr
    for line in RESOLVE.splitlines():
        run(branched, "bash", "-c", line)
    text = (branched / "params.yaml").read_text(encoding="utf-8")
    assert re.search(r"(?m)^  seed: 2$", text)
    assert "dropout_rate: 0.2" in text
    assert ran(dvc(branched, "repro")) == []
    assert run(branched, "git", "status", "--porcelain") == ""
