"""The digits that a network keeps to compare new ones with."""

import numpy as np
import pytest

from stages.digits import memory, network, slant
from stages.digits.backend import keras

ROWS = np.arange(13, 53)


@pytest.fixture
def model() -> keras.Sequential:
    return network.network(16, 0.4, iter(range(32)))


@pytest.fixture(scope="module")
def images(labelled) -> np.ndarray:
    return labelled.images[:60]


@pytest.fixture(scope="module")
def labels(labelled) -> np.ndarray:
    return np.eye(10, dtype=np.float32)[labelled.labels[:60]]


def test_without_memory_a_network_only_sets_digits_upright_first(model, images, labels):
    alone = memory.remembering(model, images, labels, ROWS, 0)
    assert np.array_equal(alone(images), model(slant.upright()(images)))


def test_it_remembers_the_digits_that_it_is_least_decided_on(model, images, labels):
    found = np.sort(np.asarray(model(slant.upright()(images[ROWS]))), axis=1)
    hardest = ROWS[np.argsort(found[:, -1] - found[:, -2])[:7]]
    votes = memory.remembering(model, images, labels, ROWS, 7).get_layer("vote").get_weights()[0]
    assert np.array_equal(votes, labels[hardest])


def test_of_many_rows_some_are_looked_through_from_first_to_last(model, images, labels, monkeypatch):
    monkeypatch.setattr(memory, "LOOKED_THROUGH", 15)
    votes = memory.remembering(model, images, labels, ROWS, 1000).get_layer("vote").get_weights()[0]
    assert sorted(votes.argmax(axis=1)) == sorted(labels[ROWS[::3]].argmax(axis=1))


def test_a_remembered_digit_is_known_again(model, images, labels, monkeypatch):
    """Of a network that was never fitted: all that it knows is its memory."""
    monkeypatch.setattr(memory, "SHARPNESS", 1e5)
    answers = np.asarray(memory.remembering(model, images, labels, ROWS, len(ROWS))(images[ROWS]))
    assert (answers.argmax(axis=1) == labels[ROWS].argmax(axis=1)).mean() > 0.95
    assert np.asarray(model(images[ROWS])).max() < 0.5


def test_the_answer_is_the_mean_of_network_and_vote(model, images, labels):
    alone = np.asarray(memory.remembering(model, images, labels, ROWS, 0)(images))
    whole = memory.remembering(model, images, labels, ROWS, 7)
    vote = np.asarray(keras.Model(whole.input, whole.get_layer("vote").output)(images))
    assert np.allclose(vote.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(whole(images), (alone + vote) / 2, atol=1e-6)


def test_a_memory_larger_than_the_rows_holds_them_all(model, images, labels):
    assert memory.remembering(model, images, labels, ROWS, 1000).get_layer("vote").get_weights()[0].shape == (40, 10)


def test_its_bytes_depend_on_weights_and_memory_alone(model, images, labels, tmp_path):
    first = network.packed(memory.remembering(model, images, labels, ROWS, 7))
    keras.layers.Dense(1)  # moves Keras' counters of names
    keras.layers.Average()
    assert network.packed(memory.remembering(model, images, labels, ROWS, 7)) == first
    path = tmp_path / "model.keras"
    path.write_bytes(first)
    loaded = keras.models.load_model(path)
    assert np.array_equal(loaded(images), memory.remembering(model, images, labels, ROWS, 7)(images))
