"""Two recipes on the same held-out images: what single members score there, and how sure the difference is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from benchmarks.shared import models
from stages.digits.base import splits
from stages.digits.base.dataset import Labelled
from stages.digits.prediction import ensemble
from stages.digits.training import cluster, member_cache
from stages.digits.training.recipe import Recipe

SMALLEST_PROBABILITY = 1e-7  # for the log loss: a float32 can be 0


class Score(NamedTuple):
    """A member's predictions of the fold that it holds out, with TTA and without k-NN."""

    seed: int  # of the training
    fold: int
    log_loss: float  # mean over the fold's images
    errors: int


class Comparison(NamedTuple):
    """A candidate's log loss against the baseline's: differences are candidate − baseline, so negative is better."""

    baseline: float  # mean over seeds and folds
    candidate: float
    difference: float
    standard_error: float  # of the difference, from its spread over the folds
    better_folds: int
    folds: int
    by_seed: list[float]  # the difference for each training seed
    baseline_errors: int  # sum over seeds and folds
    candidate_errors: int
    p_value: float  # that the candidate is no better: one-sided Wilcoxon signed-rank test over the folds


def score_folds(labelled: Labelled, recipe: Recipe, folds: Sequence[int], at_once: int) -> Iterator[list[Score]]:
    """The scores on these folds: a member for each is trained on Dask, `at_once` at a time.

    Finished members stay in the cache until `forget`, so an interrupted run trains only the rest.
    """
    labelled = _held_out_first(labelled, folds)
    for start in range(0, len(folds), at_once):
        stop = min(start + at_once, len(folds))
        members = cluster.train_members(labelled, _members(recipe, stop), lambda _: None, lambda _: None)
        yield [
            Score(recipe.seed, folds[member], *_evaluate(members[member].model, labelled, member))
            for member in range(start, stop)
        ]


def forget(labelled: Labelled, recipe: Recipe, folds: Sequence[int]) -> None:
    """Remove these folds' members from the cache."""
    for key in member_cache.keys(_held_out_first(labelled, folds), _members(recipe, len(folds))):
        for path in member_cache.FOLDER.glob(f"{key}.*"):
            path.unlink()


def compare(baseline: Iterable[Score], candidate: Iterable[Score]) -> Comparison:
    """Compare scores on the same seeds and folds; ValueError if they aren't the same."""
    before, after = (pd.DataFrame(scores).set_index(["seed", "fold"]).sort_index() for scores in (baseline, candidate))
    if not before.index.equals(after.index):
        raise ValueError("the two recipes were scored on different seeds or folds")
    differences = after["log_loss"] - before["log_loss"]
    by_fold = differences.groupby("fold").mean()  # folds share no image; two seeds of a fold share all of them
    return Comparison(
        baseline=before["log_loss"].mean(),
        candidate=after["log_loss"].mean(),
        difference=by_fold.mean(),
        standard_error=by_fold.std() / np.sqrt(len(by_fold)),
        better_folds=int((by_fold < 0).sum()),
        folds=len(by_fold),
        by_seed=differences.groupby("seed").mean().tolist(),
        baseline_errors=int(before["errors"].sum()),
        candidate_errors=int(after["errors"].sum()),
        p_value=float(wilcoxon(by_fold, alternative="less", zero_method="zsplit").pvalue),
    )


def _held_out_first(labelled: Labelled, folds: Sequence[int]) -> Labelled:
    """The folds renumbered, so that the first members hold out these, in this order."""
    others = np.setdiff1d(np.arange(labelled.folds.max() + 1), folds)
    new_numbers = np.argsort([*folds, *others]).astype(np.uint8)
    return labelled._replace(folds=new_numbers[labelled.folds])


def _members(recipe: Recipe, members: int) -> Recipe:
    return recipe.model_copy(update={"members": members})


def _evaluate(model: bytes, labelled: Labelled, member: int) -> tuple[float, int]:
    """Log loss and errors of a saved model on the fold that the member holds out."""
    network = models.load(model)
    held_out = labelled.folds == splits.held_out_fold(labelled, member)
    labels = labelled.labels[held_out]
    probabilities = ensemble.predict_proba(network, labelled.images[held_out])
    of_label = np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST_PROBABILITY)
    return float(-np.log(of_label).mean()), int((probabilities.argmax(axis=1) != labels).sum())
