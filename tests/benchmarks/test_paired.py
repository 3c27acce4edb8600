"""Recipes compared on the same held-out images."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import worker_in_this_process

from benchmarks.shared import paired
from benchmarks.shared.paired import Score
from stages.digits.base import splits
from stages.digits.model import network
from stages.digits.prediction import ensemble
from stages.digits.training import cluster, member, member_cache
from stages.digits.training.recipe import TrainedMember

ROOT = Path(__file__).parents[2]


def scores(losses: list[list[float]]) -> list[Score]:
    """A row for each seed, a column for each fold."""
    return [
        Score(seed, fold, loss, errors=10) for seed, row in enumerate(losses) for fold, loss in enumerate(row, start=5)
    ]


def test_the_spread_of_a_difference_is_that_over_the_folds_and_seeds_of_a_fold_are_averaged():
    baseline, candidate = scores([[0.3] * 3, [0.3] * 3]), scores([[0.1, 0.2, 0.2], [0.3, 0.2, 0.2]])
    result = paired.compare(baseline, reversed(candidate))
    assert result.difference == pytest.approx(-0.1)
    assert result.standard_error == pytest.approx(0)
    assert result.by_seed == pytest.approx([-0.4 / 3, -0.2 / 3])
    assert (result.better_folds, result.folds) == (3, 3)
    assert (result.baseline_errors, result.candidate_errors) == (60, 60)


@pytest.mark.parametrize(
    ("losses", "p_value"),
    [([0.1, 0.11, 0.12, 0.13, 0.14], 1 / 32), ([0.1, 0.11, 0.12, 0.13, 0.9], 10 / 32), ([0.9] * 5, 1)],
)
def test_five_folds_of_five_are_sure_and_one_much_worse_fold_takes_that_away(losses, p_value):
    result = paired.compare(scores([[0.2] * 5]), scores([losses]))
    assert result.p_value == pytest.approx(p_value)


def test_scores_of_different_folds_do_not_compare():
    with pytest.raises(ValueError, match="different seeds or folds"):
        paired.compare(scores([[0.2, 0.2]]), scores([[0.2, 0.2, 0.2]]))


@pytest.mark.slow
def test_each_fold_is_scored_by_a_member_that_holds_it_out(labelled, recipe, monkeypatch):
    model = member.finished(member.compile_network(recipe, member=0))
    held_out = []

    def train(labelled, recipe, *_):
        held_out.append([splits.split(labelled, index, 0.1, 1).held_out.tolist() for index in range(recipe.members)])
        return [TrainedMember(network.serialize(model), [])] * recipe.members

    monkeypatch.setattr(cluster, "train_members", train)
    first, second = paired.score_folds(labelled, recipe, folds=[2, 0], at_once=1)
    rows = {fold: np.flatnonzero(labelled.folds == fold) for fold in (0, 2)}
    assert held_out == [[rows[2].tolist()], [rows[2].tolist(), rows[0].tolist()]]
    for fold, ((score,), images) in zip((2, 0), ((first, rows[2]), (second, rows[0])), strict=True):
        probabilities = ensemble.predict_proba(model, labelled.images[images])
        of_label = probabilities[np.arange(len(images)), labelled.labels[images]]
        assert (score.seed, score.fold) == (recipe.seed, fold)
        assert score.log_loss == pytest.approx(-np.log(of_label).mean())
        assert score.errors == (probabilities.argmax(axis=1) != labelled.labels[images]).sum()


@pytest.mark.slow
def test_an_interrupted_run_trains_only_the_rest_until_its_members_are_forgotten(
    labelled, recipe, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    small = recipe.model_copy(update={"width": 16, "epochs": 1})
    with worker_in_this_process():
        before = next(paired.score_folds(labelled, small, folds=[2, 0], at_once=1))
    with monkeypatch.context() as patch:
        patch.setattr(cluster.distributed, "LocalCluster", None)  # training would fail
        assert next(paired.score_folds(labelled, small, folds=[2, 0], at_once=1)) == before
    paired.forget(labelled, small, folds=[2, 0])
    assert not list(member_cache.FOLDER.iterdir())


@pytest.mark.slow
def test_a_search_without_optuna_says_in_one_line_how_to_get_it():
    code = "import sys; sys.modules['optuna'] = None; import benchmarks.search"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("Optuna is missing: run `make search`")
    assert "\n" not in done.stderr.strip()
