"""The network: its input and output, and the bytes it is saved as."""

import json
import os
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest

from stages.digits.model import network
from stages.digits.model.backend import keras, tf
from stages.digits.training import member


def seeds(start: int = 0):
    return iter(range(start, start + 32))


def test_raw_ink_goes_in_and_probabilities_come_out():
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    probabilities = network.build(16, 0.4, seeds()).predict(images, verbose=0)
    assert probabilities.shape == (7, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_network_scales_the_ink_itself():
    model = network.build(16, 0.4, seeds())
    scaled = keras.Sequential(model.layers[:1])(np.full((1, 28, 28), 255, dtype=np.uint8))
    assert np.asarray(scaled).max() == pytest.approx(1)


def test_the_seeds_decide_the_weights():
    first, again, different = (network.build(16, 0.4, seeds(start)).get_weights()[0] for start in (0, 0, 100))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, different)


def test_width_is_the_number_of_channels_of_the_middle_convolutions():
    filters = [layer.filters for layer in network.build(20, 0.4, seeds()).layers if hasattr(layer, "filters")]
    assert filters == [10, 20, 20, 40, 40]


def test_every_random_layer_has_a_seed_of_its_own():
    config = network.build(16, 0.4, seeds()).get_config()
    used = []
    for layer in config["layers"]:
        initializer = layer["config"].get("kernel_initializer")
        if initializer:
            used.append(initializer["config"]["seed"])
        if "rate" in layer["config"]:
            used.append(layer["config"]["seed"])
    assert len(used) >= 4
    assert None not in used
    assert len(set(used)) == len(used)


def test_saved_models_load_in_plain_keras_and_predict_the_same(tmp_path):
    model = network.build(16, 0.4, seeds())
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    path = tmp_path / "model.keras"
    path.write_bytes(network.serialize(model))
    loaded = keras.models.load_model(path)
    assert np.array_equal(loaded(images), model(images))
    assert getattr(loaded, "optimizer", None) is None


def objects(config: object) -> Iterator[dict]:
    """The layers and operations of a saved configuration, and what they consist of."""
    if isinstance(config, dict) and "module" in config:
        yield config
    if isinstance(config, dict | list):
        for value in config.values() if isinstance(config, dict) else config:
            yield from objects(value)


def test_a_saved_model_holds_nothing_that_older_keras_rejects(tmp_path, recipe):
    """Tried in Keras 3.5 to 3.15: they know no option that is newer, and give no operation a name of its own."""
    path = tmp_path / "model.keras"
    path.write_bytes(network.serialize(member.finished(member.compile_network(recipe, 0))))
    with zipfile.ZipFile(path) as archive:
        saved = list(objects(json.loads(archive.read("config.json"))))
    operations = [entry for entry in saved if entry["module"].startswith("keras.src.ops.")]
    assert len(operations) > 20
    assert not [entry for entry in operations if "name" in entry["config"]]
    assert not [entry for entry in saved if entry["module"] == "keras.initializers"]
    assert not [
        (entry["class_name"], key) for entry in saved for key, value in entry["config"].items() if value is None
    ]


def test_the_saved_bytes_depend_on_the_weights_alone(tmp_path):
    first = network.serialize(network.build(16, 0.4, seeds()))
    for _ in range(3):
        keras.layers.Dense(1)  # advances Keras' counters of names
    assert network.serialize(network.build(16, 0.4, seeds())) == first
    path = tmp_path / "model.keras"
    path.write_bytes(first)
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("metadata.json"))["date_saved"].startswith("1980")
        assert b"shared_object_id" not in archive.read("config.json")
    assert network.serialize(network.build(16, 0.4, seeds(5))) != first


def test_one_thread_on_the_cpu_and_one_instruction_set():
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
    assert tf.config.get_visible_devices("GPU") == []
