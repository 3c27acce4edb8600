"""The network: what it takes and gives, its bytes."""

import json
import os
import zipfile

import numpy as np
import pytest

from stages.digits import network
from stages.digits.backend import keras, tf


def seeds(start: int = 0):
    return iter(range(start, start + 32))


def test_raw_ink_in_probabilities_out():
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    probabilities = network.probabilities(network.network(16, 0.4, seeds()), images)
    assert probabilities.shape == (7, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_network_scales_the_ink_itself():
    model = network.network(16, 0.4, seeds())
    scaled = keras.Sequential(model.layers[:1])(np.full((1, 28, 28), 255, dtype=np.uint8))
    assert np.asarray(scaled).max() == pytest.approx(1)


def test_same_seeds_same_weights_and_other_seeds_others():
    first, again, other = (network.network(16, 0.4, seeds(start)).get_weights()[0] for start in (0, 0, 100))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_width_is_that_of_the_middle():
    filters = [layer.filters for layer in network.network(20, 0.4, seeds()).layers if hasattr(layer, "filters")]
    assert filters == [10, 20, 20, 40, 40]


def test_every_random_layer_has_a_seed_of_its_own():
    config = network.network(16, 0.4, seeds()).get_config()
    found = []
    for layer in config["layers"]:
        initializer = layer["config"].get("kernel_initializer")
        if initializer:
            found.append(initializer["config"]["seed"])
        if "rate" in layer["config"]:
            found.append(layer["config"]["seed"])
    assert len(found) >= 4
    assert None not in found
    assert len(set(found)) == len(found)


class Reader:
    """Says 0, with the ink of the pixel in the middle as its confidence in percent; else 1."""

    def predict(self, images: np.ndarray, **_: object) -> np.ndarray:
        confidence = images[:, 14, 14] / 100
        return np.stack([confidence, 1 - confidence, *[0 * confidence] * 8], axis=1)


def test_an_unsure_look_is_averaged_with_four_looks_a_pixel_away():
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 14, 14], image[0, 13, 14], image[0, 15, 14], image[0, 14, 13], image[0, 14, 15] = 60, 10, 20, 30, 40
    image[0, 13, 13] = 99  # none of the looks is diagonal
    found = network.probabilities(Reader(), image)
    assert found[0, 0] == pytest.approx((60 + 10 + 20 + 30 + 40) / 500)


def test_a_sure_look_is_enough():
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 14, 14] = 95
    assert network.probabilities(Reader(), image)[0, 0] == pytest.approx(0.95)


def test_packed_models_load_in_plain_keras_and_predict_the_same(tmp_path):
    model = network.network(16, 0.4, seeds())
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    path = tmp_path / "model.keras"
    path.write_bytes(network.packed(model))
    loaded = keras.models.load_model(path)
    assert np.array_equal(loaded(images), model(images))
    assert getattr(loaded, "optimizer", None) is None


def test_packed_bytes_depend_on_the_weights_alone(tmp_path):
    first = network.packed(network.network(16, 0.4, seeds()))
    for _ in range(3):
        keras.layers.Dense(1)  # moves Keras' counters of names
    assert network.packed(network.network(16, 0.4, seeds())) == first
    path = tmp_path / "model.keras"
    path.write_bytes(first)
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("metadata.json"))["date_saved"].startswith("1980")
        assert b"shared_object_id" not in archive.read("config.json")
    assert network.packed(network.network(16, 0.4, seeds(5))) != first


def test_one_thread_on_the_cpu_and_one_instruction_set():
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert tf.config.get_visible_devices("GPU") == []
