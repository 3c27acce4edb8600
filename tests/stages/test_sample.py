"""The sample: scikit-learn's scans in Kaggle's form."""

from pathlib import Path

import numpy as np
import pytest

from stages import sample
from stages.digits.base import dataset
from stages.digits.tables import kaggle

NAMES = ["sample_submission.csv", "test.csv", "train.csv"]


def written(folder: Path, seed: int = 1, labelled_per_digit: int = 150) -> Path:
    """Run the stage in `folder`: what it wrote."""
    text = f"sample:\n  seed: {seed}\n  labelled_per_digit: {labelled_per_digit}\n"
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sample.main()
    return folder / sample.SAMPLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def labelled(folder: Path) -> kaggle.Table:
    return kaggle.read_labelled(folder)


@pytest.fixture(scope="module")
def unlabelled(folder: Path) -> kaggle.Table:
    return kaggle.read_unlabelled(folder)


def test_the_sample_is_the_same_bytes_each_time(folder, tmp_path):
    again = written(tmp_path)
    assert sorted(path.name for path in again.iterdir()) == NAMES
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in NAMES)


def test_seed_and_size_of_the_sample_are_parameters(labelled, tmp_path):
    changed = kaggle.read_labelled(written(tmp_path, seed=2, labelled_per_digit=170))
    assert len(changed.labels) == 1700
    assert not np.array_equal(changed.labels[:1500], labelled.labels)


def test_the_sample_has_kaggles_columns(folder):
    pixels = ",".join(f"pixel{i}" for i in range(784))
    assert (folder / "train.csv").read_bytes().startswith(f"label,{pixels}\n".encode())
    assert (folder / "test.csv").read_bytes().startswith(f"{pixels}\n".encode())


def test_labelled_rows_have_as_many_of_each_digit(labelled):
    assert np.bincount(labelled.labels).tolist() == [150] * 10


def test_labelled_rows_stand_in_mixed_order(labelled):
    assert len(np.unique(labelled.labels[:50])) == 10


def test_the_remaining_scans_are_the_unlabelled_rows(unlabelled):
    assert len(unlabelled.images) == 10 * 24


def test_no_image_occurs_twice(labelled, unlabelled):
    prints = dataset.fingerprints(np.concatenate([labelled.images, unlabelled.images]))
    assert len(np.unique(prints)) == 10 * 174


def test_ink_uses_the_whole_range_inside_the_box(labelled):
    assert labelled.images.min() == 0
    assert labelled.images.max() == 255
    assert labelled.images[:, 4:24, 4:24].any(axis=0).mean() > 0.9
    outside = labelled.images.copy()
    outside[:, 4:24, 4:24] = 0
    assert not outside.any()


def test_a_scan_keeps_its_shape_and_its_ink():
    scan = np.zeros((8, 8))
    scan[2:6, 1:7] = 16
    image = sample.upscale(scan)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert (image[11:17, 9:19] == 255).all()
    assert not image[:8].any()
    assert not image[20:].any()


def test_the_samples_own_submission_form_fits_its_test_rows(folder, unlabelled):
    kaggle.check_against_sample(folder, len(unlabelled.images))
    assert (folder / "sample_submission.csv").read_text().splitlines()[:2] == ["ImageId,Label", "1,0"]
