"""The arrays on disk, and their fingerprints."""

import zipfile

import numpy as np
import pytest

from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError


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
    labelled = dataset.Labelled(drawn.images, drawn.labels, splits.assign_folds(drawn.labels, folds=3, seed=1))
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
