"""Deskewing and random affine transforms."""

import numpy as np
import pytest

from stages.digits.model import geometry

STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0}


def slanted_stroke(slope: float) -> np.ndarray:
    """One image (1, 28, 28) of a stroke through column 12 of row 10; the slope is in pixels across per pixel down."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    for row in range(4, 17):
        column = 12 + slope * (row - 10)
        left = int(np.floor(column))
        image[0, row, left : left + 2] = np.round(200 * np.array([1 - column + left, column - left]))
    return image


def deskewed(images: np.ndarray) -> np.ndarray:
    return np.asarray(geometry.deskew_layer()(images))


def augmented(images: np.ndarray, seed: int = 0, **limits: float) -> np.ndarray:
    """Transformed at random within the limits, without deskewing."""
    no_skew = np.zeros((len(images), 2))
    return geometry.random_affine(images, no_skew, **(STILL | limits), random=np.random.default_rng(seed))


@pytest.fixture
def dot() -> np.ndarray:
    """One image with a 2 x 2 dot right of its centre."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 13:15, 20:22] = 200
    return image


def centroid(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.indices(image.shape)
    return (rows * image).sum() / image.sum(), (columns * image).sum() / image.sum()


@pytest.mark.parametrize("slope", [-0.5, 0, 0.25])
def test_skew_is_the_slope_of_a_stroke_and_the_row_of_its_centroid(slope):
    assert geometry.skew(slanted_stroke(slope)) == pytest.approx(np.array([[slope, 10]]), abs=0.01)


@pytest.mark.parametrize("slope", [-0.5, 0, 0.25])
def test_a_slanted_stroke_is_deskewed_in_place(slope):
    image = deskewed(slanted_stroke(slope))
    rows = image[0, 4:17].astype(int)
    assert rows @ np.arange(28) / rows.sum(axis=1) == pytest.approx(12, abs=0.05)
    assert int(image.sum()) == pytest.approx(13 * 200, rel=0.01)


def test_a_blank_image_stays_blank():
    blank = np.zeros((1, 28, 28), dtype=np.uint8)
    assert not deskewed(blank).any()
    assert np.isfinite(geometry.skew(blank)).all()


def test_a_level_stroke_is_left_alone():
    level = np.zeros((1, 28, 28), dtype=np.uint8)
    level[0, 13, 5:20] = 255
    assert np.array_equal(deskewed(level), level)


def test_a_dash_of_two_rows_has_little_skew():
    """Its halves' centroids lie 8 pixels across for one down: the slope, were its variance not taken as one pixel²."""
    dash = np.zeros((1, 28, 28), dtype=np.uint8)
    dash[0, 13, 4:12] = dash[0, 14, 12:20] = 255
    assert geometry.skew(dash) == pytest.approx(np.array([[2, 13.5]]), abs=0.01)


def test_skew_is_the_same_in_a_large_batch_as_alone():
    images = np.concatenate([slanted_stroke(slope) for slope in np.linspace(-0.6, 0.6, 2100)])
    some = [0, 999, 1000, 2099]
    alone = np.concatenate([geometry.skew(images[row : row + 1]) for row in some])
    assert geometry.skew(images)[some] == pytest.approx(alone, abs=1e-4)


def test_training_deskews_as_the_finished_network_does(labelled):
    still = geometry.random_affine(
        labelled.images, geometry.skew(labelled.images), **STILL, random=np.random.default_rng(0)
    )
    differences = np.abs(still.astype(int) - deskewed(labelled.images))
    assert not np.array_equal(still, labelled.images)
    assert differences.max() <= 1  # of ink: the sums are added in a different order


def test_augmentation_of_zero_strength_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    assert np.array_equal(augmented(images), images)


def test_augmented_images_keep_their_type_and_shape():
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    after = augmented(images, rotation=15, zoom=0.2, shift=3, shear=0.2)
    assert after.dtype == np.uint8
    assert after.shape == images.shape


@pytest.mark.parametrize("limit", [{"rotation": 30}, {"zoom": 0.2}, {"shift": 3}, {"shear": 0.5}])
def test_each_image_gets_its_own_transform(dot, limit):
    after = augmented(np.repeat(dot, 6, axis=0), **limit)
    assert len(np.unique(after.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("seed", range(5))
def test_rotation_keeps_the_distance_from_the_centre_and_stays_within_its_limit(dot, seed):
    row, column = centroid(augmented(dot, seed, rotation=30)[0])
    assert np.hypot(row - 13.5, column - 13.5) == pytest.approx(7, abs=0.3)
    assert abs(np.degrees(np.arctan2(row - 13.5, column - 13.5))) <= 31


@pytest.mark.parametrize("seed", range(5))
def test_shift_moves_by_at_most_its_pixels(dot, seed):
    row, column = centroid(augmented(dot, seed, shift=3)[0])
    assert abs(row - 13.5) <= 3.1
    assert 0.05 < abs(column - 20.5) <= 3.1


@pytest.mark.parametrize("seed", range(5))
def test_zoom_changes_the_distance_from_the_centre_by_at_most_its_fraction(dot, seed):
    row, column = centroid(augmented(dot, seed, zoom=0.2)[0])
    assert row == pytest.approx(13.5, abs=0.1)
    assert 7 / 1.25 - 0.3 <= column - 13.5 <= 7 * 1.25 + 0.3


def test_shear_moves_rows_apart_and_keeps_them_level(dot):
    above = np.roll(dot, -7, axis=1)
    both = augmented(np.concatenate([dot, above]), shear=0.5)
    (row, column), (row_above, column_above) = (centroid(image) for image in both)
    assert (row, row_above) == pytest.approx((13.5, 6.5), abs=0.1)
    assert abs(column - 20.5) < 0.3 < abs(column_above - 20.5) <= 3.6
