"""Images moved at random."""

import numpy as np
import pytest

from stages.digits import augmentation

STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0}


def moved(images: np.ndarray, seed: int = 0, **limits: float) -> np.ndarray:
    as_they_lean = np.zeros((len(images), 2))
    return augmentation.augmented(images, as_they_lean, **(STILL | limits), random=np.random.default_rng(seed))


@pytest.fixture
def dot() -> np.ndarray:
    """One image with a 2 x 2 dot right of its centre."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 13:15, 20:22] = 200
    return image


def centre_of_ink(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


def test_augmentation_at_zero_strength_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    assert np.array_equal(moved(images), images)


def test_augmented_images_stay_ink():
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    after = moved(images, rotation=15, zoom=0.2, shift=3, shear=0.2)
    assert after.dtype == np.uint8
    assert after.shape == images.shape


@pytest.mark.parametrize("limit", [{"rotation": 30}, {"zoom": 0.2}, {"shift": 3}, {"shear": 0.5}])
def test_each_image_of_a_batch_is_moved_otherwise(dot, limit):
    after = moved(np.repeat(dot, 6, axis=0), **limit)
    assert len(np.unique(after.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("seed", range(5))
def test_rotation_keeps_the_distance_from_the_centre_and_within_its_limit(dot, seed):
    row, column = centre_of_ink(moved(dot, seed, rotation=30)[0])
    assert np.hypot(row - 13.5, column - 13.5) == pytest.approx(7, abs=0.3)
    assert abs(np.degrees(np.arctan2(row - 13.5, column - 13.5))) <= 31


@pytest.mark.parametrize("seed", range(5))
def test_shift_moves_by_at_most_its_pixels(dot, seed):
    row, column = centre_of_ink(moved(dot, seed, shift=3)[0])
    assert abs(row - 13.5) <= 3.1
    assert 0.05 < abs(column - 20.5) <= 3.1


@pytest.mark.parametrize("seed", range(5))
def test_zoom_changes_the_distance_from_the_centre_by_at_most_its_share(dot, seed):
    row, column = centre_of_ink(moved(dot, seed, zoom=0.2)[0])
    assert row == pytest.approx(13.5, abs=0.1)
    assert 7 / 1.25 - 0.3 <= column - 13.5 <= 7 * 1.25 + 0.3


def test_shear_moves_rows_apart_and_keeps_them_level(dot):
    above = np.roll(dot, -7, axis=1)
    both = moved(np.concatenate([dot, above]), shear=0.5)
    (row, column), (row_above, column_above) = (centre_of_ink(image) for image in both)
    assert (row, row_above) == pytest.approx((13.5, 6.5), abs=0.1)
    assert abs(column - 20.5) < 0.3 < abs(column_above - 20.5) <= 3.6
