"""Labelled digits that have to be bent least to become the one that is asked about."""

import numpy as np
import pytest

from stages.digits import neighbours


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def digits(labelled) -> np.ndarray:
    """Four images whose ink keeps clear of the border."""
    return labelled.images[:4] * (labelled.images[:4] > 50)


def distances(image: np.ndarray, others: np.ndarray) -> np.ndarray:
    return neighbours.bent(neighbours.edges(image[None])[0], neighbours.edges(others))


def test_edges_are_sobels_gradients_across_and_down():
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, :, 14:] = 128
    across, down = neighbours.edges(image)[0]
    assert across[10, 12:16].tolist() == [0, 16, 16, 0]  # 4 by 128, in 32nds
    assert not down[1:-1, :27].any()
    assert np.array_equal(neighbours.edges(image.transpose(0, 2, 1))[0, 1], across.T)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (-1, 2), (2, -2)])
def test_a_digit_moved_by_two_pixels_is_the_same_digit(digits, rows, columns):
    assert distances(np.roll(digits[0], (rows, columns), axis=(0, 1)), digits[:1]).tolist() == [0]


def test_a_digit_moved_by_three_pixels_is_another(digits):
    assert distances(np.roll(digits[0], 3, axis=1), digits[:1]) > 0


def test_the_distance_is_that_of_its_definition_for_the_harshest_edges(random):
    """Black and white pixels, by a sum over each place and each three by three of its surroundings, without bounds."""
    images = 255 * random.integers(0, 2, (3, 28, 28), dtype=np.uint8)
    images[1, ::2] = images[1, :, ::2] = 255 - images[1, ::2].max()
    here, *others = neighbours.edges(images).astype(int)
    found = []
    for other in others:
        framed, best = np.pad(other, ((0, 0), (2, 2), (2, 2))), np.full((28, 28), np.inf)
        for top in range(5):
            for left in range(5):
                squares = np.pad(((framed[:, top : top + 28, left : left + 28] - here) ** 2).sum(axis=0), 1)
                best = np.minimum(best, sum(squares[i : i + 28, j : j + 28] for i in range(3) for j in range(3)))
        found.append(best.sum())
    assert distances(images[0], images[1:]).tolist() == found


def test_nine_squares_of_the_largest_difference_there_is_fit_sixteen_bits():
    """Gradients are extreme where all nine pixels are black or white: all 512 ways, each against each."""
    ways = np.zeros((512, 28, 28), dtype=np.uint8)
    ways[:, 9:12, 9:12] = 255 * (np.arange(512)[:, None] >> np.arange(9) & 1).reshape(-1, 3, 3)
    gradients = neighbours.edges(ways)[:, :, 10, 10].astype(int)
    assert 9 * ((gradients[:, None] - gradients) ** 2).sum(axis=2).max() < 2**16


def test_the_nearest_by_pixels_come_in_order(random, monkeypatch):
    monkeypatch.setattr(neighbours, "NEAREST", 7)
    images, others = (random.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (2, 20))
    others[4] = images[1]
    gaps = ((images[:, None].astype(int) - others) ** 2).sum(axis=(2, 3))
    found = neighbours.nearest(images, others)
    assert found[1, 0] == 4
    assert np.array_equal(found, np.argsort(gaps, axis=1, kind="stable")[:, :7])


def test_images_equally_near_come_in_the_order_they_have():
    others = np.zeros((3, 28, 28), dtype=np.uint8)
    others[0] = 1
    assert neighbours.nearest(others[:1] * 0, others).tolist() == [[1, 2, 0]]


def test_only_the_likeliest_digits_get_votes_by_the_fourth_power_of_their_distance(labelled, monkeypatch):
    """Each image of a digit d is as far as d says; the nearest counts."""
    monkeypatch.setattr(neighbours, "edges", lambda images: images)
    monkeypatch.setattr(neighbours, "bent", lambda _, others: others[:, 0, 0].astype(int) + np.arange(len(others)))
    known = labelled.labels[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    found = neighbours.votes(known[:2], np.array([[2, 4, 8], [1, 3, 9]]), known, labelled.labels)
    assert found[0, [2, 4, 8]] == pytest.approx(np.array([256, 16, 1]) / 273)
    assert found.sum(axis=1) == pytest.approx([1, 1])
    assert np.flatnonzero(found[1]).tolist() == [1, 3, 9]


def test_an_image_that_is_known_gets_its_label(labelled):
    likeliest = np.array([[label, (label + 1) % 10, (label + 2) % 10] for label in labelled.labels[:10]])
    found = neighbours.votes(labelled.images[:10], likeliest, labelled.images, labelled.labels)
    assert (found[np.arange(10), labelled.labels[:10]] > 0.999).all()


def test_only_the_nearest_images_of_a_digit_are_bent(labelled, monkeypatch):
    """One of each digit: the last ten images find themselves, which others of their digit come before."""
    counts, bent = set(), neighbours.bent
    monkeypatch.setattr(neighbours, "NEAREST", 1)
    monkeypatch.setattr(neighbours, "bent", lambda asked, others: counts.add(len(others)) or bent(asked, others))
    images, labels = labelled.images[-10:], labelled.labels[-10:]
    likeliest = (labels[:, None] + np.arange(3)) % 10
    found = neighbours.votes(images, likeliest, labelled.images, labelled.labels)
    assert (found[np.arange(10), labels] > 0.999).all()
    assert counts == {1}


def test_only_unsure_answers_change_to_their_mean_with_the_votes(labelled, monkeypatch):
    """Of three images the second is unsure; its votes go to its third likeliest digit."""
    asked = []

    def votes(images: np.ndarray, likeliest: np.ndarray, *known: np.ndarray) -> np.ndarray:
        asked.append((images, likeliest, known))
        return np.eye(10)[likeliest[:, 2]]

    monkeypatch.setattr(neighbours, "votes", votes)
    said = np.full((3, 10), 0.01)
    said[0, 4], said[2, 0] = 0.91, 0.91
    said[1, [5, 6, 7]] = [0.6, 0.2, 0.13]
    found = neighbours.settled(said, labelled.images[:3], labelled.images[3:], labelled.labels[3:])
    assert np.array_equal(found[[0, 2]], said[[0, 2]])
    assert found[1] == pytest.approx((said[1] + np.eye(10)[7]) / 2)
    ((images, likeliest, known),) = asked
    assert np.array_equal(images, labelled.images[1:2])
    assert likeliest.tolist() == [[5, 6, 7]]
    assert [len(part) for part in known] == [117, 117]


def test_where_all_are_sure_no_neighbour_is_asked(labelled, monkeypatch):
    monkeypatch.setattr(neighbours, "votes", None)
    said = np.eye(10)[[1, 2]]
    assert np.array_equal(neighbours.settled(said, labelled.images[:2], labelled.images, labelled.labels), said)
