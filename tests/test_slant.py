"""Digits set upright."""

import numpy as np
import pytest

from stages.digits import augmentation, slant

STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0}


def stroke(slope: float) -> np.ndarray:
    """One image (1, 28, 28) of a stroke through column 12 of row 10, so many pixels across for a pixel down."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    for row in range(4, 17):
        column = 12 + slope * (row - 10)
        left = int(np.floor(column))
        image[0, row, left : left + 2] = np.round(200 * np.array([1 - column + left, column - left]))
    return image


def upright(images: np.ndarray) -> np.ndarray:
    return np.asarray(slant.upright()(images))


@pytest.mark.parametrize("slope", [-0.5, 0, 0.25])
def test_a_stroke_leans_by_its_slope_about_its_own_centre(slope):
    assert slant.leans(stroke(slope)) == pytest.approx(np.array([[slope, 10]]), abs=0.01)


@pytest.mark.parametrize("slope", [-0.5, 0, 0.25])
def test_a_leaning_stroke_is_set_upright_where_it_stands(slope):
    found = upright(stroke(slope))
    rows = found[0, 4:17].astype(int)
    assert rows @ np.arange(28) / rows.sum(axis=1) == pytest.approx(12, abs=0.05)
    assert int(found.sum()) == pytest.approx(13 * 200, rel=0.01)


def test_a_blank_image_stays_blank():
    blank = np.zeros((1, 28, 28), dtype=np.uint8)
    assert not upright(blank).any()
    assert np.isfinite(slant.leans(blank)).all()


def test_a_level_stroke_stays_as_it_is():
    level = np.zeros((1, 28, 28), dtype=np.uint8)
    level[0, 13, 5:20] = 255
    assert np.array_equal(upright(level), level)


def test_a_dash_of_two_rows_leans_little():
    """Its halves' centres lie 8 pixels across for one down: the slope, were its height not taken as a pixel."""
    dash = np.zeros((1, 28, 28), dtype=np.uint8)
    dash[0, 13, 4:12] = dash[0, 14, 12:20] = 255
    assert slant.leans(dash) == pytest.approx(np.array([[2, 13.5]]), abs=0.01)


def test_many_images_lean_as_each_alone():
    images = np.concatenate([stroke(slope) for slope in np.linspace(-0.6, 0.6, 2100)])
    some = [0, 999, 1000, 2099]
    alone = np.concatenate([slant.leans(images[row : row + 1]) for row in some])
    assert slant.leans(images)[some] == pytest.approx(alone, abs=1e-4)


def test_training_sets_digits_upright_as_the_finished_network_does(labelled):
    still = augmentation.augmented(
        labelled.images, slant.leans(labelled.images), **STILL, random=np.random.default_rng(0)
    )
    differences = np.abs(still.astype(int) - upright(labelled.images))
    assert not np.array_equal(still, labelled.images)
    assert differences.max() <= 1  # of ink: the sums are made in another order
