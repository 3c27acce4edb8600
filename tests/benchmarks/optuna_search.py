"""The search with Optuna: run by `make test-search`, not by `make test`, whose environment has no Optuna."""

import os
import subprocess
import sys
from pathlib import Path

import commands
import optuna
import pytest
from optuna.trial import TrialState
from pictures import drawn_digits

from benchmarks import search
from benchmarks.shared import paired
from benchmarks.shared.paired import Score
from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError
from stages.digits.training.recipe import Recipe

ROOT = Path(__file__).parents[2]
FOLDS = list(search.SEARCH_FOLDS)


def loss(recipe: Recipe, fold: int) -> float:
    """An imaginary log loss: best where the dropout rate is 0.2."""
    return 0.02 + 0.001 * fold + (recipe.dropout_rate - 0.2) ** 2


class Training:
    """In place of training: scores by `loss`, and what was asked for."""

    def __init__(self):
        self.scored: list[tuple[float, int]] = []  # dropout rate and fold
        self.fail_at: dict[int, BaseException] = {}  # by how many folds were scored

    def score_folds(self, _, recipe: Recipe, folds, at_once: int):
        for start in range(0, len(folds), at_once):
            batch = folds[start : start + at_once]
            if error := self.fail_at.pop(len(self.scored), None):
                raise error
            self.scored += [(recipe.dropout_rate, fold) for fold in batch]
            yield [Score(recipe.seed, fold, loss(recipe, fold), errors=1) for fold in batch]


@pytest.fixture
def training(monkeypatch) -> Training:
    training = Training()
    monkeypatch.setattr(paired, "score_folds", training.score_folds)
    monkeypatch.setattr(paired, "forget", lambda *_: None)
    return training


@pytest.fixture
def run(tmp_path, labelled, recipe, training):  # noqa: ARG001 (it replaces the training)
    """Opens the study of a temporary folder and searches until it has that many trials."""

    def run(trials: int) -> optuna.Study:
        study = search.open_study(tmp_path, "test", recipe)
        search.search(study, labelled, recipe, trials, at_once=1)
        return study

    return run


def dropout_rates(study: optuna.Study) -> list[float]:
    return [trial.params["dropout_rate"] for trial in study.trials]


def test_every_parameter_is_one_of_the_recipe_and_valid_over_its_whole_range(recipe):
    for name, bounds in search.SPACE.items():
        for end in ("low", "high"):
            Recipe.model_validate(recipe.model_dump() | {name: bounds[end]})


def test_the_first_trial_is_what_params_yaml_says_on_all_folds(run, recipe):
    (trial,) = run(1).trials
    assert trial.params == {name: getattr(recipe, name) for name in search.SPACE}
    assert trial.intermediate_values == {fold: loss(recipe, fold) for fold in FOLDS}
    assert trial.state == TrialState.COMPLETE


def test_a_trial_that_is_worse_on_every_fold_is_pruned_before_the_last(run, capsys):
    study = run(12)
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    assert len(pruned) + len(finished) == 12
    assert pruned
    assert all(len(trial.intermediate_values) < len(FOLDS) for trial in pruned)
    assert all(len(trial.intermediate_values) == len(FOLDS) for trial in finished)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert sum("pruned" in line for line in lines) == len(pruned)


def test_a_study_continues_up_to_the_number_of_trials_in_all(training, run):
    run(3)
    assert len(run(5).trials) == 5
    scored = len(training.scored)
    run(5)
    assert len(training.scored) == scored


def test_a_continued_study_does_not_draw_the_same_parameters_again(run):
    run(3)
    rates = dropout_rates(run(6))
    assert len(set(rates)) == len(rates)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("the scheduler was lost"), MemoryError()])
def test_an_interrupted_trial_is_repeated_first_with_its_own_parameters(training, run, error):
    training.fail_at[7] = error
    with pytest.raises(type(error)):
        run(3)
    study = run(3)
    rates = dropout_rates(study)
    assert rates[2] == rates[1]
    assert len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))) == 3
    assert rates == dropout_rates(run(3)), "and only once"


def test_a_trial_of_a_killed_search_is_repeated(training, run, recipe):
    study = run(1)
    killed = search.suggest(study.ask(), recipe)
    assert study.trials[-1].state == TrialState.RUNNING
    run(2)
    assert training.scored[-1][0] == killed.dropout_rate


def test_training_that_diverges_is_a_pruned_trial_and_the_search_goes_on(training, run):
    try:
        try:
            raise FloatingPointError
        except FloatingPointError:
            raise InputError("training diverged") from None
    except InputError as error:
        training.fail_at[5] = error
    study = run(3)
    assert study.trials[1].state == TrialState.PRUNED
    assert len(study.trials) == 3


def test_the_comparison_uses_folds_and_seeds_that_the_search_did_not(training, labelled, recipe):
    better = recipe.model_copy(update={"dropout_rate": 0.25})
    result = search.confirm(labelled, recipe, better, seeds=[5, 6], at_once=2)
    assert not {fold for _, fold in training.scored} & set(FOLDS)
    assert len(training.scored) == 2 * 2 * len(search.CONFIRM_FOLDS)
    assert len(result.by_seed) == 2
    assert result.difference == pytest.approx(0.05**2 - 0.2**2)


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize(("rate", "kept"), [(0.25, "the best trial"), (0.6, "params.yaml")])
def test_the_conclusion_says_what_to_keep_and_the_command(labelled, recipe, rate, kept):
    candidate = recipe.model_copy(update={"dropout_rate": rate})
    text = search.conclusion(search.confirm(labelled, recipe, candidate, [1], at_once=5), recipe, candidate)
    assert f"Keep {kept}:" in text
    assert text.endswith(f"dvc exp run -S train.dropout_rate={rate}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small_params) -> Path:
    """A project folder whose prepared images have two folds, for trials of seconds."""
    folder = tmp_path_factory.mktemp("search")
    text = commands.with_param(commands.with_param(small_params, "epochs", 1), "batch_size", 5)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    images, labels = drawn_digits(each=20)[:2]
    prepared = dataset.Labelled(images, labels, splits.assign_folds(labels, folds=2, seed=0))
    dataset.save_labelled(folder / dataset.LABELLED, prepared)
    return folder


def command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.search", *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_trains_on_dask_draws_optunas_plots_and_ends_with_what_to_keep(folder):
    options = ["--trials", "3", "--seeds", "1", "--at-once", "5"]
    done = command(folder, *options)
    assert done.returncode == 0, done.stderr
    assert "3/3" in done.stdout
    assert "Keep " in done.stdout
    assert {path.name for path in (folder / "data/search").iterdir()} == {
        "study.db", "history.png", "importances.png", "pruning.png", "slices.png",
    }  # fmt: skip
    assert not list((folder / "data/members").iterdir()), "no member is left in the cache"
