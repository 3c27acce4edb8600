"""k-NN under the image distortion model."""

import numpy as np
import pytest

from stages.digits.prediction import neighbours


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def digits(labelled) -> np.ndarray:
    """Four images whose ink keeps clear of the border."""
    return labelled.images[:4] * (labelled.images[:4] > 50)


def distances(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return neighbours.idm_distance(neighbours.sobel(image[None])[0], neighbours.sobel(reference))


def test_sobel_gives_gradients_across_and_down():
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, :, 14:] = 128
    across, down = neighbours.sobel(image)[0]
    assert across[10, 12:16].tolist() == [0, 16, 16, 0]  # 4 by 128, in 32nds
    assert not down[1:-1, :27].any()
    assert np.array_equal(neighbours.sobel(image.transpose(0, 2, 1))[0, 1], across.T)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (2, 0), (-1, 2), (2, -2)])
def test_a_shift_by_two_pixels_has_no_distance(digits, rows, columns):
    assert distances(np.roll(digits[0], (rows, columns), axis=(0, 1)), digits[:1]).tolist() == [0]


def test_a_shift_by_three_pixels_has_a_distance(digits):
    assert distances(np.roll(digits[0], 3, axis=1), digits[:1]) > 0


def test_the_distance_is_its_definition_even_for_the_steepest_gradients(random):
    """Black and white pixels: a sum over each pixel and its three by three surroundings, in unbounded integers."""
    images = 255 * random.integers(0, 2, (3, 28, 28), dtype=np.uint8)
    images[1, ::2] = images[1, :, ::2] = 255 - images[1, ::2].max()
    query, *others = neighbours.sobel(images).astype(int)
    expected = []
    for other in others:
        padded, best = np.pad(other, ((0, 0), (2, 2), (2, 2))), np.full((28, 28), np.inf)
        for top in range(5):
            for left in range(5):
                squares = np.pad(((padded[:, top : top + 28, left : left + 28] - query) ** 2).sum(axis=0), 1)
                best = np.minimum(best, sum(squares[i : i + 28, j : j + 28] for i in range(3) for j in range(3)))
        expected.append(best.sum())
    assert distances(images[0], images[1:]).tolist() == expected


def test_nine_squares_of_the_largest_possible_difference_fit_sixteen_bits():
    """Gradients are extreme where all nine pixels are black or white: all 512 patterns, each against each."""
    patterns = np.zeros((512, 28, 28), dtype=np.uint8)
    patterns[:, 9:12, 9:12] = 255 * (np.arange(512)[:, None] >> np.arange(9) & 1).reshape(-1, 3, 3)
    gradients = neighbours.sobel(patterns)[:, :, 10, 10].astype(int)
    assert 9 * ((gradients[:, None] - gradients) ** 2).sum(axis=2).max() < 2**16


def test_nearest_neighbours_come_in_order(random, monkeypatch):
    monkeypatch.setattr(neighbours, "N_CANDIDATES", 7)
    images, others = (random.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (2, 20))
    others[4] = images[1]
    gaps = ((images[:, None].astype(int) - others) ** 2).sum(axis=(2, 3))
    rows = neighbours.nearest_neighbours(images, others)
    assert rows[1, 0] == 4
    assert np.array_equal(rows, np.argsort(gaps, axis=1, kind="stable")[:, :7])


def test_ties_keep_their_order():
    others = np.zeros((3, 28, 28), dtype=np.uint8)
    others[0] = 1
    assert neighbours.nearest_neighbours(others[:1] * 0, others).tolist() == [[1, 2, 0]]


def test_only_candidate_digits_get_weight_by_the_fourth_power_of_their_distance(labelled, monkeypatch):
    """The nearest image of a digit d is at distance d."""
    monkeypatch.setattr(neighbours, "sobel", lambda images: images)
    monkeypatch.setattr(
        neighbours, "idm_distance", lambda _, others: others[:, 0, 0].astype(int) + np.arange(len(others))
    )
    reference = labelled.labels[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    weights = neighbours.knn_proba(reference[:2], np.array([[2, 4, 8], [1, 3, 9]]), reference, labelled.labels)
    assert weights[0, [2, 4, 8]] == pytest.approx(np.array([256, 16, 1]) / 273)
    assert weights.sum(axis=1) == pytest.approx([1, 1])
    assert np.flatnonzero(weights[1]).tolist() == [1, 3, 9]


def test_an_image_in_the_reference_gets_its_label(labelled):
    candidates = np.array([[label, (label + 1) % 10, (label + 2) % 10] for label in labelled.labels[:10]])
    weights = neighbours.knn_proba(labelled.images[:10], candidates, labelled.images, labelled.labels)
    assert (weights[np.arange(10), labelled.labels[:10]] > 0.999).all()


def test_only_the_nearest_images_of_a_digit_get_an_idm_distance(labelled, monkeypatch):
    """With one candidate per digit, the last ten images still find themselves behind others of their digit."""
    counts, idm_distance = set(), neighbours.idm_distance
    monkeypatch.setattr(neighbours, "N_CANDIDATES", 1)
    monkeypatch.setattr(
        neighbours, "idm_distance", lambda query, others: counts.add(len(others)) or idm_distance(query, others)
    )
    images, labels = labelled.images[-10:], labelled.labels[-10:]
    candidates = (labels[:, None] + np.arange(3)) % 10
    weights = neighbours.knn_proba(images, candidates, labelled.images, labelled.labels)
    assert (weights[np.arange(10), labels] > 0.999).all()
    assert counts == {1}


def test_uncertain_predictions_become_their_mean_with_knn(labelled, monkeypatch):
    """Of three images the second is uncertain; k-NN prefers its third candidate."""
    calls = []

    def knn_proba(images: np.ndarray, candidates: np.ndarray, *reference: np.ndarray) -> np.ndarray:
        calls.append((images, candidates, reference))
        return np.eye(10)[candidates[:, 2]]

    monkeypatch.setattr(neighbours, "knn_proba", knn_proba)
    probabilities = np.full((3, 10), 0.01)
    probabilities[0, 4], probabilities[2, 0] = 0.91, 0.91
    probabilities[1, [5, 6, 7]] = [0.6, 0.2, 0.13]
    refined = neighbours.refine_uncertain(probabilities, labelled.images[:3], labelled.images[3:], labelled.labels[3:])
    assert np.array_equal(refined[[0, 2]], probabilities[[0, 2]])
    assert refined[1] == pytest.approx((probabilities[1] + np.eye(10)[7]) / 2)
    ((images, candidates, reference),) = calls
    assert np.array_equal(images, labelled.images[1:2])
    assert candidates.tolist() == [[5, 6, 7]]
    assert [len(part) for part in reference] == [117, 117]


def test_confident_predictions_skip_knn(labelled, monkeypatch):
    monkeypatch.setattr(neighbours, "knn_proba", None)
    probabilities = np.eye(10)[[1, 2]]
    assert np.array_equal(
        neighbours.refine_uncertain(probabilities, labelled.images[:2], labelled.images, labelled.labels), probabilities
    )
