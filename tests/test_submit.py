"""Averaging the members, settling what is unsure."""

from collections.abc import Callable

import numpy as np
import pytest

from stages import submit
from stages.digits import dataset, neighbours, network

LABELLED = dataset.Labelled(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8), np.zeros(1, np.uint8))


@pytest.fixture
def members(tmp_path, monkeypatch) -> Callable[[dict[int, np.ndarray]], list[int]]:
    """Stand-ins for members, by number: what each says (m, 10) of images that hold their own number.

    They come with a list of how many images each is asked about, in turn. Neighbours say what is least likely.
    """

    def settled(probabilities: np.ndarray, images: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
        assert len(images) == len(probabilities)
        assert known is LABELLED.images
        assert labels is LABELLED.labels
        return np.where(probabilities.max(axis=1, keepdims=True) < neighbours.SURE, -probabilities, probabilities)

    def made(said: dict[int, np.ndarray]) -> list[int]:
        asked = []

        def probabilities(member: int, images: np.ndarray) -> np.ndarray:
            asked.append(len(images))
            return said[member][images[:, 0, 0]]

        monkeypatch.setattr(dataset, "MODELS", tmp_path)
        for number in said:
            dataset.model_path(number).touch()
        (tmp_path / "history.csv").touch()
        monkeypatch.setattr(submit.keras.models, "load_model", lambda path: int(path.stem[-2:]))
        monkeypatch.setattr(network, "probabilities", probabilities)
        monkeypatch.setattr(neighbours, "settled", settled)
        return asked

    return made


def numbered(images: int) -> np.ndarray:
    return np.arange(images, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)


def test_the_members_are_averaged_with_equal_weight(members):
    """The mean of 0.75, 0.75 and 0.63 is sure enough, that of 0.75, 0.75 and 0.57 isn't."""
    zero, one = np.eye(10)[[0]], np.eye(10)[[1]]
    for last, expected in ((0.63, 0), (0.57, 2)):
        members({number: p * zero + (1 - p) * one for number, p in ((0, 0.75), (1, 0.75), (10, last))})
        assert submit.predicted(numbered(1), LABELLED).tolist() == [expected]


@pytest.mark.parametrize("sharpness", [0.1, 1, 10, 100])
def test_members_that_are_not_asked_could_not_change_the_answer(members, sharpness):
    random = np.random.default_rng(0)
    said = random.dirichlet(np.full(10, 1 / sharpness), (5, 200))
    members(dict(enumerate(said)))
    mean = said.mean(axis=0)
    expected = np.where(mean.max(axis=1) < neighbours.SURE, mean.argmin(axis=1), mean.argmax(axis=1))
    assert np.array_equal(submit.predicted(numbered(200), LABELLED), expected)


def test_no_more_members_are_asked_than_can_change_the_answer(members):
    """The first image is clear to all four; of the second, two are in doubt, so that neighbours have the last word."""
    sure = np.eye(10)[[3, 5]]
    doubting = np.array([sure[0], np.full(10, 0.1)])
    asked = members({0: doubting, 1: doubting, 2: sure, 3: sure})
    assert submit.predicted(numbered(2), LABELLED).tolist() == [3, 0]
    assert asked == [2, 2, 2, 1]
