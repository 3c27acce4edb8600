"""From the form to fewer errors on one's own hand, with DVC, in a clone with small parameters."""

import json
import sys
from pathlib import Path

import commands
import numpy as np
import pytest
from commands import dvc, ran, run
from PIL import Image

from benchmarks import hands

pytestmark = pytest.mark.slow
EACH = 8  # digits of each class


def show(folder: Path, *command: str) -> dict:
    return json.loads(dvc(folder, *command, "--json"))


@pytest.fixture(scope="module")
def collected(tmp_path_factory, small_params: str) -> tuple[Path, str]:
    """A clone, committed, with small parameters, whose own digits are tracked; and what `collect` printed."""
    folder = commands.clone(tmp_path_factory.mktemp("story"))
    settings = commands.with_param(small_params, "members", 2)  # as many as folds: each own digit is evaluated
    (folder / "params.yaml").write_text(settings, encoding="utf-8")
    run(folder, sys.executable, "-m", "handwriting.form")
    filled = hands.fill(hands.print_form(folder / "form.pdf"), hands.KEPT, np.random.default_rng(0), EACH)
    Image.fromarray(np.rot90(hands.scan(filled, np.random.default_rng(1)), 2)).save(folder / "scan-1.jpg")
    printed = run(folder, sys.executable, "-m", "handwriting.collect", "scan-1.jpg")
    (folder / "scan-1.jpg").unlink()
    dvc(folder, "add", "data/own")
    return folder, printed


@pytest.fixture(scope="module")
def compared(collected) -> tuple[Path, dict]:
    """The clone after a run that only evaluates the own digits, committed, and one that learns from them; the diff."""
    folder, _ = collected
    dvc(folder, "exp", "run", "-S", "own=data/own", "-S", "own_weight=0")
    commands.commit(folder, "my digits, evaluated")
    log = dvc(folder, "exp", "run", "-n", "learned", "-S", "own=data/own", "-S", "own_weight=3")
    assert ran(log) == ["prepare", "train", "evaluate", "submit"]
    return folder, show(folder, "metrics", "diff")["metrics/evaluate.json"]


def test_the_form_that_was_filled_in_is_collected_whole(collected):
    _, printed = collected
    assert f"scan-1.jpg: took {10 * EACH} digits into data/own/scan-1-" in printed


def test_own_digits_are_dvcs_and_never_gits(collected):
    folder, _ = collected
    assert (
        run(folder, "git", "status", "--porcelain", "data").split() == ["??", "data/own.dvc"]
        or (folder / "data/own.dvc").exists()
    )
    assert "data/own/" not in run(folder, "git", "ls-files", "--cached", "--others", "--exclude-standard")


def test_fewer_own_digits_are_misclassified_once_they_are_learned_from(compared):
    _, diff = compared
    assert diff["own_errors"]["new"] < diff["own_errors"]["old"]
    assert diff["own_accuracy"]["diff"] > 0


def test_kaggles_figures_still_count_the_same_images(compared):
    folder, diff = compared
    metrics = json.loads((folder / "metrics/evaluate.json").read_text())
    assert metrics["own_images"] == 10 * EACH
    assert metrics["evaluated_images"] == 10 * 20
    assert not {"own_images", "evaluated_images", "evaluated_folds"} & set(diff)


def test_experiments_with_and_without_are_shown_side_by_side(compared):
    folder, _ = compared
    table = dvc(folder, "exp", "show", "--csv", "--no-pager")
    assert "own_errors" in table.splitlines()[0]
    assert "own_weight" in table.splitlines()[0]
    assert "learned" in table


def test_the_page_of_the_plots_shows_own_errors_beside_the_others(compared, tmp_path):
    folder, _ = compared
    dvc(folder, "plots", "diff", "HEAD", "--out", str(tmp_path / "page"))
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "own errors" in page
    assert "own recall" in page


def test_a_push_and_a_pull_elsewhere_bring_the_own_digits(compared, tmp_path):
    folder, _ = compared
    dvc(folder, "remote", "add", "--default", "team", str(tmp_path / "cache"))
    commands.commit(folder, "a remote, and what was learned")
    dvc(folder, "push")
    run(tmp_path, "git", "clone", "--quiet", str(folder), "elsewhere")
    dvc(tmp_path / "elsewhere", "pull")
    names = [sorted(path.name for path in (one / "data/own").iterdir()) for one in (folder, tmp_path / "elsewhere")]
    assert names[0] == names[1] != []
    assert ran(dvc(tmp_path / "elsewhere", "repro", "--dry")) == []


def test_a_digit_that_is_taken_out_makes_dvc_run_again_what_depends_on_it(compared):
    folder, _ = compared
    [page] = (folder / "data/own").glob("scan-1-*.csv")
    before = page.read_text()
    assert not show(folder, "status")
    page.write_text("".join(before.splitlines(keepends=True)[:-1]))
    try:
        assert "prepare" in show(folder, "status")
    finally:
        page.write_text(before)
