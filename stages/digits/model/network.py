"""The network, and how it is saved to the same bytes each time."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages.digits.base.dataset import DIGITS, SIDE
from stages.digits.model.backend import keras

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold


def build(width: int, dropout_rate: float, seeds: Iterator[int]) -> keras.Sequential:
    """Deskewed images (n, 28, 28) uint8, ink 0–255 -> probabilities (n, 10) float32.

    `width` is the number of channels of the middle convolutions. Each random layer takes a seed of its own from
    `seeds`: all threads of a process share Keras' global seed, so another thread's draw would change this network.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            input_layer(),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Reshape((SIDE, SIDE, 1), name="channel"),
            *_convolution("conv1", width // 2, 5, next(seeds), pool=True),
            *_convolution("conv2", width, 3, next(seeds)),
            *_convolution("conv3", width, 3, next(seeds), pool=True),
            *_convolution("conv4", 2 * width, 3, next(seeds)),
            *_convolution("conv5", 2 * width, 2, next(seeds)),
            layers.Flatten(name="flatten"),
            layers.Dropout(dropout_rate, seed=next(seeds), name="dropout"),
            layers.Dense(
                DIGITS,
                activation="softmax",
                kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                name="digit",
            ),
        ],
        name="digits",
    )


def input_layer() -> keras.KerasTensor:
    """The input of every network: images (n, 28, 28) uint8."""
    return keras.layers.Input((SIDE, SIDE), dtype="uint8", name="ink")


def _convolution(name: str, filters: int, size: int, seed: int, pool: bool = False) -> list:
    """Convolution, batch norm and ReLU; pooling comes before the last two, which leaves them a quarter of the work."""
    layers = keras.layers
    return [
        layers.Conv2D(
            filters,
            size,
            use_bias=False,  # batch norm adds one
            kernel_initializer=keras.initializers.HeNormal(seed),
            name=name,
        ),
        *([layers.MaxPooling2D(name=f"{name}_pool")] if pool else []),
        layers.BatchNormalization(momentum=0.9, name=f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]


def freeze_batch_norm(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Fold a trained batch norm into a fixed scale and offset per channel; return any other layer unchanged.

    So a saved network needs no reciprocal root, whose last bits depend on the CPU (see `backend`).
    """
    if not isinstance(layer, keras.layers.BatchNormalization):
        return layer
    gamma, beta, mean, variance = (weight.astype(np.float64) for weight in layer.get_weights())
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return keras.layers.Rescaling(np.float32(scale).tolist(), np.float32(beta - mean * scale).tolist(), name=layer.name)


def serialize(model: keras.Model) -> bytes:
    """`model` as the bytes of a `.keras` file: the same bytes for the same weights.

    Keras adds the date and the ids of objects; both are removed, and nothing reads them back.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(entries["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    entries["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
    entries["config.json"] = json.dumps(_portable(json.loads(entries["config.json"]))).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
    return out.getvalue()


def _portable(config: object) -> object:
    """The configuration without ids of objects, and without what inference doesn't need and older Keras 3 rejects.

    That is: options that aren't set, initializers, and the names of operations, which are beside them a second time.
    """
    if isinstance(config, list):
        return [_portable(value) for value in config]
    if not isinstance(config, dict):
        return config
    portable: dict[str, Any] = {key: _portable(value) for key, value in config.items() if key != "shared_object_id"}
    if "module" in portable:  # of a layer, an operation, an initializer
        needless = ("name",) if portable["module"].startswith("keras.src.ops.") else ()
        portable["config"] = {
            key: value
            for key, value in portable["config"].items()
            if value is not None and key not in needless and not key.endswith("_initializer")
        }
    return portable
