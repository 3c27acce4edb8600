"""The folds, and a member's split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies

from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError

COUNTS = [20, 21, 22, 23, 24, 25, 26, 27, 28, 59]  # rows of each digit: uneven on purpose
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), COUNTS)).astype(np.uint8)


@pytest.fixture
def labelled() -> dataset.Labelled:
    images = np.zeros((len(LABELS), 28, 28), dtype=np.uint8)
    return dataset.Labelled(images, LABELS, splits.assign_folds(LABELS, folds=5, seed=1))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_every_row_is_assigned_to_one_of_the_folds(folds):
    folds_of = splits.assign_folds(LABELS, folds, seed=1)
    assert folds_of.dtype == np.uint8
    assert folds_of.shape == LABELS.shape
    assert np.array_equal(np.unique(folds_of), np.arange(folds))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_each_digit_is_spread_evenly_over_the_folds(folds):
    folds_of = splits.assign_folds(LABELS, folds, seed=1)
    counts = pd.crosstab(folds_of, LABELS)
    assert (counts.max() - counts.min()).max() <= 1


@given(
    counts=strategies.lists(strategies.integers(3, 30), min_size=10, max_size=10),
    folds=strategies.integers(2, 8),
    member=strategies.integers(0, 99),
    seed=strategies.integers(0, 2**31 - 1),
    validation_fraction=strategies.floats(0.001, 0.5),
)
@settings(max_examples=60, deadline=None)
def test_folds_and_a_members_parts_are_partitions_whatever_the_labels(counts, folds, member, seed, validation_fraction):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(10), counts)).astype(np.uint8)
    if min(counts) < 2 * folds:
        with pytest.raises(InputError, match="expected at least"):
            splits.assign_folds(labels, folds, seed)
        return
    folds_of = splits.assign_folds(labels, folds, seed)
    of_digit = pd.crosstab(folds_of, labels)
    assert of_digit.index.tolist() == list(range(folds))
    assert (of_digit.max() - of_digit.min()).max() <= 1
    labelled = dataset.Labelled(np.zeros((len(labels), 28, 28), dtype=np.uint8), labels, folds_of)
    parts = splits.split(labelled, member, validation_fraction, seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert np.array_equal(parts.held_out, np.flatnonzero(folds_of == member % folds))


def test_the_seed_decides_the_folds():
    folds = splits.assign_folds(LABELS, folds=5, seed=1)
    assert np.array_equal(folds, splits.assign_folds(LABELS, folds=5, seed=1))
    assert not np.array_equal(folds, splits.assign_folds(LABELS, folds=5, seed=2))


@pytest.mark.parametrize("rows", [0, 1, 5, 9])
def test_too_few_rows_of_a_digit_are_rejected_by_name(rows):
    labels = np.repeat(np.arange(10), [10, 10, 10, rows, 10, 10, 10, 10, 10, 10])
    with pytest.raises(InputError) as caught:
        splits.assign_folds(labels, folds=5, seed=1)
    assert caught.value.code == (
        f"train.csv: label 3: found {rows} rows, "
        "expected at least 10, two for each of the 5 folds (prepare.folds in params.yaml)"
    )


def test_two_rows_a_fold_are_enough_for_all_that_follows():
    labels = np.tile(np.arange(10, dtype=np.uint8), 4)
    images = np.zeros((40, 28, 28), dtype=np.uint8)
    labelled = dataset.Labelled(images, labels, splits.assign_folds(labels, folds=2, seed=1))
    split = splits.split(labelled, member=0, validation_fraction=0.05, seed=1)
    assert np.array_equal(np.sort(labels[split.validation]), np.arange(10))
    assert np.array_equal(np.sort(labels[split.train]), np.arange(10))


@pytest.mark.parametrize("fold", range(5))
def test_a_split_has_every_row_once(labelled, fold):
    split = splits.split(labelled, fold, validation_fraction=0.2, seed=1)
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(len(LABELS)))


@pytest.mark.parametrize(("member", "fold"), [(0, 0), (4, 4), (5, 0), (12, 2)])
def test_members_hold_out_one_fold_each_and_start_over_after_the_last(labelled, member, fold):
    split = splits.split(labelled, member, validation_fraction=0.2, seed=1)
    assert np.array_equal(split.held_out, np.flatnonzero(labelled.folds == fold))


def test_members_of_one_fold_have_different_validation_rows(labelled):
    first, second = (splits.split(labelled, member, 0.2, seed=1) for member in (0, 5))
    assert not np.array_equal(first.validation, second.validation)


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_validation_is_stratified(labelled, fraction):
    split = splits.split(labelled, 2, fraction, seed=1)
    remaining = np.bincount(LABELS[labelled.folds != 2])
    assert len(split.validation) == round(fraction * remaining.sum())
    assert np.abs(np.bincount(LABELS[split.validation]) - fraction * remaining).max() < 1


def test_validation_has_at_least_one_image_of_each_digit(drawn):
    labelled = dataset.Labelled(drawn.images, drawn.labels, splits.assign_folds(drawn.labels, folds=3, seed=1))
    split = splits.split(labelled, 0, validation_fraction=0.01, seed=1)
    assert np.array_equal(np.sort(drawn.labels[split.validation]), np.arange(10))


def test_the_seed_decides_the_split(labelled):
    first, again, different = (splits.split(labelled, 0, 0.2, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first.validation, different.validation)


def test_the_largest_seed_works_for_every_fold(labelled):
    splits.split(labelled, 49, 0.2, seed=2**31 - 1)
