"""The folds, a member's split, and the arrays on disk."""

import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies

from stages.digits.base import dataset
from stages.digits.base.errors import InputError

COUNTS = [20, 21, 22, 23, 24, 25, 26, 27, 28, 59]  # rows of each digit: uneven on purpose
LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), COUNTS)).astype(np.uint8)


@pytest.fixture
def labelled() -> dataset.Labelled:
    images = np.zeros((len(LABELS), 28, 28), dtype=np.uint8)
    return dataset.Labelled(images, LABELS, dataset.assign_folds(LABELS, folds=5, seed=1))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_every_row_is_assigned_to_one_of_the_folds(folds):
    folds_of = dataset.assign_folds(LABELS, folds, seed=1)
    assert folds_of.dtype == np.uint8
    assert folds_of.shape == LABELS.shape
    assert np.array_equal(np.unique(folds_of), np.arange(folds))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_each_digit_is_spread_evenly_over_the_folds(folds):
    folds_of = dataset.assign_folds(LABELS, folds, seed=1)
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
            dataset.assign_folds(labels, folds, seed)
        return
    folds_of = dataset.assign_folds(labels, folds, seed)
    of_digit = pd.crosstab(folds_of, labels)
    assert of_digit.index.tolist() == list(range(folds))
    assert (of_digit.max() - of_digit.min()).max() <= 1
    labelled = dataset.Labelled(np.zeros((len(labels), 28, 28), dtype=np.uint8), labels, folds_of)
    parts = dataset.split(labelled, member, validation_fraction, seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    assert np.array_equal(parts.held_out, np.flatnonzero(folds_of == member % folds))


def test_the_seed_decides_the_folds():
    folds = dataset.assign_folds(LABELS, folds=5, seed=1)
    assert np.array_equal(folds, dataset.assign_folds(LABELS, folds=5, seed=1))
    assert not np.array_equal(folds, dataset.assign_folds(LABELS, folds=5, seed=2))


@pytest.mark.parametrize("rows", [0, 1, 5, 9])
def test_too_few_rows_of_a_digit_are_rejected_by_name(rows):
    labels = np.repeat(np.arange(10), [10, 10, 10, rows, 10, 10, 10, 10, 10, 10])
    with pytest.raises(InputError) as caught:
        dataset.assign_folds(labels, folds=5, seed=1)
    assert caught.value.code == (
        f"train.csv: label 3: found {rows} rows, "
        "expected at least 10, two for each of the 5 folds (prepare.folds in params.yaml)"
    )


def test_two_rows_a_fold_are_enough_for_all_that_follows():
    labels = np.tile(np.arange(10, dtype=np.uint8), 4)
    images = np.zeros((40, 28, 28), dtype=np.uint8)
    labelled = dataset.Labelled(images, labels, dataset.assign_folds(labels, folds=2, seed=1))
    split = dataset.split(labelled, member=0, validation_fraction=0.05, seed=1)
    assert np.array_equal(np.sort(labels[split.validation]), np.arange(10))
    assert np.array_equal(np.sort(labels[split.train]), np.arange(10))


@pytest.mark.parametrize("fold", range(5))
def test_a_split_has_every_row_once(labelled, fold):
    split = dataset.split(labelled, fold, validation_fraction=0.2, seed=1)
    assert np.array_equal(np.sort(np.concatenate(split)), np.arange(len(LABELS)))


@pytest.mark.parametrize(("member", "fold"), [(0, 0), (4, 4), (5, 0), (12, 2)])
def test_members_hold_out_one_fold_each_and_start_over_after_the_last(labelled, member, fold):
    split = dataset.split(labelled, member, validation_fraction=0.2, seed=1)
    assert np.array_equal(split.held_out, np.flatnonzero(labelled.folds == fold))


def test_members_of_one_fold_have_different_validation_rows(labelled):
    first, second = (dataset.split(labelled, member, 0.2, seed=1) for member in (0, 5))
    assert not np.array_equal(first.validation, second.validation)


@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_validation_is_stratified(labelled, fraction):
    split = dataset.split(labelled, 2, fraction, seed=1)
    remaining = np.bincount(LABELS[labelled.folds != 2])
    assert len(split.validation) == round(fraction * remaining.sum())
    assert np.abs(np.bincount(LABELS[split.validation]) - fraction * remaining).max() < 1


def test_validation_has_at_least_one_image_of_each_digit(drawn):
    labelled = dataset.Labelled(drawn.images, drawn.labels, dataset.assign_folds(drawn.labels, folds=3, seed=1))
    split = dataset.split(labelled, 0, validation_fraction=0.01, seed=1)
    assert np.array_equal(np.sort(drawn.labels[split.validation]), np.arange(10))


def test_the_seed_decides_the_split(labelled):
    first, again, different = (dataset.split(labelled, 0, 0.2, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first.validation, different.validation)


def test_the_largest_seed_works_for_every_fold(labelled):
    dataset.split(labelled, 49, 0.2, seed=2**31 - 1)


def test_equal_images_have_equal_fingerprints(drawn):
    images = np.concatenate([drawn.images, drawn.images[3:4]])
    prints = dataset.fingerprints(images)
    assert prints.shape == (len(images),)
    assert prints[-1] == prints[3]
    assert len(np.unique(prints)) == len(drawn.images)
    changed = drawn.images[3:4].copy()
    changed[0, 27, 27] ^= 1
    assert dataset.fingerprints(changed)[0] != prints[3]


def test_labelled_images_load_as_they_were_saved(tmp_path, drawn):
    labelled = dataset.Labelled(drawn.images, drawn.labels, dataset.assign_folds(drawn.labels, folds=3, seed=1))
    dataset.save_labelled(tmp_path / "labelled.npz", labelled)
    stored = dataset.load_labelled(tmp_path / "labelled.npz")
    for array, expected in zip(stored[:3], labelled[:3], strict=True):
        assert np.array_equal(array, expected)
        assert array.dtype == np.uint8
    assert stored.own is None


def test_unlabelled_images_load_as_they_were_saved(tmp_path, drawn):
    dataset.save_unlabelled(tmp_path / "unlabelled.npz", drawn.images)
    stored = dataset.load_unlabelled(tmp_path / "unlabelled.npz")
    assert np.array_equal(stored, drawn.images)
    assert stored.dtype == np.uint8


def test_no_array_is_saved_as_zip64_whose_bytes_depend_on_the_version_of_python(tmp_path, labelled):
    dataset.save_labelled(tmp_path / "labelled.npz", labelled)
    with zipfile.ZipFile(tmp_path / "labelled.npz") as archive:
        assert {entry.create_version for entry in archive.infolist()} == {zipfile.DEFAULT_VERSION}


def test_arrays_saved_twice_are_the_same_bytes(tmp_path, labelled):
    for name in ("first", "second"):
        dataset.save_labelled(tmp_path / f"{name}.npz", labelled)
        dataset.save_unlabelled(tmp_path / f"{name}-unlabelled.npz", labelled.images)
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()
    assert (tmp_path / "first-unlabelled.npz").read_bytes() == (tmp_path / "second-unlabelled.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((6, 28, 28))}, "expected"),
        ({"images": np.zeros((6, 28, 27), np.uint8)}, "expected"),
        ({"labels": np.zeros(5, np.uint8)}, "expected"),
        ({"labels": np.full(6, 10, np.uint8)}, "found label 10, expected 0 to 9"),
        ({"folds": np.array([None] * 6)}, "damaged"),
    ],
)
def test_prepared_data_that_was_altered_is_rejected_by_name(tmp_path, change, message):
    arrays = {
        "images": np.zeros((6, 28, 28), np.uint8),
        "labels": np.zeros(6, np.uint8),
        "folds": np.zeros(6, np.uint8),
    }
    path = tmp_path / "labelled.npz"
    np.savez(path, **arrays | change)
    with pytest.raises(InputError) as rejected:
        dataset.load_labelled(path)
    assert rejected.value.code.startswith(f"{path}: ")
    assert message in rejected.value.code


@pytest.mark.parametrize("content", [None, b"", b"not a zip archive", "truncated"])
def test_prepared_data_that_is_missing_or_damaged_is_rejected_by_name(tmp_path, content):
    path = tmp_path / "unlabelled.npz"
    dataset.save_unlabelled(path, np.zeros((6, 28, 28), np.uint8))
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:2000] if content == "truncated" else content)
    with pytest.raises(InputError, match=r"unlabelled\.npz: (missing|damaged)"):
        dataset.load_unlabelled(path)
