"""From the form to fewer errors on one's own hand, with DVC: what the README's section left, as it is printed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import commands
import pytest
from commands import dvc, ran, run
from conftest import SMALL
from documents import Story

pytestmark = pytest.mark.slow
DIGITS = 80  # on the filled form


def show(folder: Path, *command: str) -> dict:
    return json.loads(dvc(folder, *command, "--json"))


@pytest.fixture(scope="module")
def learned(story: Callable[[str], Story]) -> Story:
    """The end of the story: the own digits were evaluated, committed, then learned from."""
    return story("python -m handwriting.form")


@pytest.fixture
def folder(learned, tmp_path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(learned.folder, tmp_path / "digits", symlinks=True)


@pytest.fixture(scope="module")
def diff(learned) -> dict:
    return show(learned.folder, "metrics", "diff")["metrics/evaluate.json"]


def test_the_form_that_was_filled_in_is_collected_whole(learned):
    printed = learned.printed["python -m handwriting.collect scan-1.jpg"]
    assert f"scan-1.jpg: took {DIGITS} digits into data/own/scan-1-" in printed


def test_own_digits_are_dvcs_and_never_gits(learned):
    tracked = run(learned.folder, "git", "ls-files", "--cached", "--others", "--exclude-standard", "data").split()
    assert "data/own.dvc" in tracked
    assert not [name for name in tracked if name.startswith("data/own/")]


def test_evaluating_own_digits_trains_nothing(learned):
    assert ran(learned.printed["dvc exp run -S own=data/own -S own_weight=0"]) == ["prepare", "evaluate"]


def test_learning_from_own_digits_runs_what_depends_on_them(learned):
    log = learned.printed["dvc exp run -S own=data/own -S own_weight=3"]
    assert ran(log) == ["prepare", "train", "evaluate", "submit"]


def test_fewer_own_digits_are_misclassified_once_they_are_learned_from(diff):
    assert diff["own_errors"]["new"] < diff["own_errors"]["old"]
    assert diff["own_accuracy"]["diff"] > 0


def test_kaggles_figures_still_count_the_same_images(learned, diff):
    metrics = json.loads((learned.folder / "metrics/evaluate.json").read_text(encoding="utf-8"))
    assert metrics["own_images"] == DIGITS / SMALL["folds"]  # the one member holds out one fold
    assert not {"own_images", "evaluated_images", "evaluated_folds"} & set(diff)


def test_experiments_with_and_without_are_shown_side_by_side(learned):
    header, *rows = dvc(learned.folder, "exp", "show", "--csv", "--no-pager").splitlines()
    weights = {row.split(",")[header.split(",").index("own_weight")] for row in rows if row.startswith((",", '""'))}
    assert "own_errors" in header
    assert {"0", "3"} <= weights


def test_the_page_of_the_plots_shows_own_errors_beside_the_others(learned, tmp_path):
    dvc(learned.folder, "plots", "diff", "HEAD", "--out", str(tmp_path / "page"))
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "own errors" in page
    assert "own recall" in page


def test_a_push_and_a_pull_elsewhere_bring_the_own_digits(folder, tmp_path):
    dvc(folder, "remote", "add", "--default", "team", str(tmp_path / "cache"))
    commands.commit(folder, "a remote, and what was learned")
    dvc(folder, "push")
    run(tmp_path, "git", "clone", "--quiet", str(folder), "elsewhere")
    dvc(tmp_path / "elsewhere", "pull")
    names = [sorted(path.name for path in (one / "data/own").iterdir()) for one in (folder, tmp_path / "elsewhere")]
    assert names[0] == names[1] != []
    assert ran(dvc(tmp_path / "elsewhere", "repro", "--dry")) == []


def test_a_digit_that_is_taken_out_makes_dvc_run_again_what_depends_on_it(folder):
    [page] = (folder / "data/own").glob("scan-1-*.csv")
    before = page.read_text(encoding="utf-8")
    assert not show(folder, "status")
    page.chmod(0o644)  # DVC's cache may be linked
    page.write_text("".join(before.splitlines(keepends=True)[:-1]), encoding="utf-8")
    assert "prepare" in show(folder, "status")
