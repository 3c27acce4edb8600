"""Averaging the members."""

from collections.abc import Callable

import numpy as np
import pytest

from stages import submit
from stages.digits import dataset, network


@pytest.fixture
def members(tmp_path, monkeypatch) -> Callable[[dict[int, np.ndarray]], list[int]]:
    """Stand-ins for members, by number: what each says (m, 10) of images that hold their own number.

    They come with a list of how many images each is asked about, in turn.
    """

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
        return asked

    return made


def numbered(images: int) -> np.ndarray:
    return np.arange(images, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)


def test_the_members_are_averaged_with_equal_weight(members):
    """Two of three prefer 0, by less than the other prefers 1."""
    zero, one = np.eye(10)[[0]], np.eye(10)[[1]]
    members({0: 0.6 * zero + 0.4 * one, 1: 0.1 * zero + 0.9 * one, 10: 0.6 * zero + 0.4 * one})
    assert submit.predicted(numbered(1)).tolist() == [1]


@pytest.mark.parametrize("sharpness", [0.1, 1, 10])
def test_members_that_are_not_asked_could_not_change_the_answer(members, sharpness):
    random = np.random.default_rng(0)
    said = random.dirichlet(np.full(10, 1 / sharpness), (5, 200))
    members(dict(enumerate(said)))
    assert np.array_equal(submit.predicted(numbered(200)), said.mean(axis=0).argmax(axis=1))


def test_no_more_members_are_asked_than_can_change_the_answer(members):
    """The first image is clear to all four; of the second, two are in doubt."""
    sure = np.eye(10)[[3, 5]]
    doubting = np.array([sure[0], np.full(10, 0.1)])
    asked = members({0: doubting, 1: doubting, 2: sure, 3: sure})
    assert submit.predicted(numbered(2)).tolist() == [3, 5]
    assert asked == [2, 2, 2, 1]
