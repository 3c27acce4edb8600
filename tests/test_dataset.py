"""The folds, the parts of a member, and the arrays on disk."""

import numpy as np
import pandas as pd
import pytest

from stages.digits import dataset
from stages.digits.errors import InputError

COUNTS = [20, 21, 22, 23, 24, 25, 26, 27, 28, 59]  # rows of each digit: uneven on purpose
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), COUNTS)).astype(np.uint8)


@pytest.fixture
def labelled() -> dataset.Labelled:
    images = np.zeros((len(LABELS), 28, 28), dtype=np.uint8)
    return dataset.Labelled(images, LABELS, dataset.dealt(LABELS, folds=5, seed=1))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_every_row_is_dealt_to_one_of_the_folds(folds):
    fold_of = dataset.dealt(LABELS, folds, seed=1)
    assert fold_of.dtype == np.uint8
    assert fold_of.shape == LABELS.shape
    assert np.array_equal(np.unique(fold_of), np.arange(folds))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_each_digit_is_spread_evenly_over_the_folds(folds):
    fold_of = dataset.dealt(LABELS, folds, seed=1)
    counts = pd.crosstab(fold_of, LABELS)
    assert (counts.max() - counts.min()).max() <= 1


def test_the_same_seed_deals_the_same_folds_and_another_others():
    dealt = dataset.dealt(LABELS, folds=5, seed=1)
    assert np.array_equal(dealt, dataset.dealt(LABELS, folds=5, seed=1))
    assert not np.array_equal(dealt, dataset.dealt(LABELS, folds=5, seed=2))


@pytest.mark.parametrize("rows", [0, 1, 5, 9])
def test_too_few_rows_of_a_digit_are_refused_by_name(rows):
    labels = np.repeat(np.arange(10), [10, 10, 10, rows, 10, 10, 10, 10, 10, 10])
    with pytest.raises(InputError) as caught:
        dataset.dealt(labels, folds=5, seed=1)
    assert caught.value.code == (
        f"train.csv: label 3: found {rows} rows, "
        "expected at least 10, two for each of the 5 folds (prepare.folds in params.yaml)"
    )


def test_two_rows_a_fold_are_enough_for_all_that_follows():
    labels = np.tile(np.arange(10, dtype=np.uint8), 4)
    images = np.zeros((40, 28, 28), dtype=np.uint8)
    labelled = dataset.Labelled(images, labels, dataset.dealt(labels, folds=2, seed=1))
    part = dataset.parts(labelled, member=0, validation_fraction=0.05, seed=1)
    assert np.array_equal(np.sort(labels[part.validation]), np.arange(10))
    assert np.array_equal(np.sort(labels[part.fitted]), np.arange(10))


@pytest.mark.parametrize("fold", range(5))
def test_the_parts_of_a_member_hold_every_row_once(labelled, fold):
    part = dataset.parts(labelled, fold, validation_fraction=0.2, seed=1)
    assert np.array_equal(np.sort(np.concatenate(part)), np.arange(len(LABELS)))


@pytest.mark.parametrize(("member", "fold"), [(0, 0), (4, 4), (5, 0), (12, 2)])
def test_members_hold_out_one_fold_each_and_begin_again_after_the_last(labelled, member, fold):
    part = dataset.parts(labelled, member, validation_fraction=0.2, seed=1)
    assert np.array_equal(part.held_out, np.flatnonzero(labelled.folds == fold))


def test_members_of_one_fold_have_other_validation_parts(labelled):
    first, second = (dataset.parts(labelled, member, 0.2, seed=1) for member in (0, 5))
    assert not np.array_equal(first.validation, second.validation)


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_validation_has_the_digits_in_proportion(labelled, fraction):
    part = dataset.parts(labelled, 2, fraction, seed=1)
    outside = np.bincount(LABELS[labelled.folds != 2])
    assert len(part.validation) == round(fraction * outside.sum())
    assert np.abs(np.bincount(LABELS[part.validation]) - fraction * outside).max() < 1


def test_validation_has_at_least_an_image_of_each_digit_where_they_are_as_many(drawn):
    labelled = dataset.Labelled(drawn.images, drawn.labels, dataset.dealt(drawn.labels, folds=3, seed=1))
    part = dataset.parts(labelled, 0, validation_fraction=0.01, seed=1)
    assert np.array_equal(np.sort(drawn.labels[part.validation]), np.arange(10))


def test_the_same_seed_parts_alike_and_another_does_not(labelled):
    first, again, other = (dataset.parts(labelled, 0, 0.2, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first.validation, other.validation)


def test_the_largest_seed_works_for_every_fold(labelled):
    dataset.parts(labelled, 49, 0.2, seed=2**31 - 1)


def test_fingerprints_are_equal_where_the_images_are(drawn):
    images = np.concatenate([drawn.images, drawn.images[3:4]])
    prints = dataset.fingerprints(images)
    assert prints.shape == (len(images),)
    assert prints[-1] == prints[3]
    assert len(np.unique(prints)) == len(drawn.images)
    changed = drawn.images[3:4].copy()
    changed[0, 27, 27] ^= 1
    assert dataset.fingerprints(changed)[0] != prints[3]


def test_labelled_images_read_back_as_they_were_saved(tmp_path, drawn):
    labelled = dataset.Labelled(drawn.images, drawn.labels, dataset.dealt(drawn.labels, folds=3, seed=1))
    dataset.save_labelled(tmp_path / "labelled.npz", labelled)
    stored = dataset.load_labelled(tmp_path / "labelled.npz")
    for found, expected in zip(stored, labelled, strict=True):
        assert np.array_equal(found, expected)
        assert found.dtype == np.uint8


def test_unlabelled_images_read_back_as_they_were_saved(tmp_path, drawn):
    dataset.save_unlabelled(tmp_path / "unlabelled.npz", drawn.images)
    stored = dataset.load_unlabelled(tmp_path / "unlabelled.npz")
    assert np.array_equal(stored, drawn.images)
    assert stored.dtype == np.uint8


def test_arrays_saved_twice_are_the_same_bytes(tmp_path, labelled):
    for name in ("first", "second"):
        dataset.save_labelled(tmp_path / f"{name}.npz", labelled)
        dataset.save_unlabelled(tmp_path / f"{name}-unlabelled.npz", labelled.images)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    assert (tmp_path / "first-unlabelled.npz").read_bytes() == (tmp_path / "second-unlabelled.npz").read_bytes()
