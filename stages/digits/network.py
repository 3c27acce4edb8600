"""The network, asking it, saving it byte for byte."""

import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stages.digits.backend import keras
from stages.digits.dataset import DIGITS, SIDE

IMAGES_AT_ONCE = 500  # for prediction: larger doesn't make it faster
SURE = 0.9  # of a probability; the clearest digits are near 0.99
BEFORE_ZIP = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip archive can hold


def network(width: int, dropout_rate: float, seeds: Iterator[int]) -> keras.Sequential:
    """Images (n, 28, 28) uint8, ink 0–255, of upright digits -> probabilities (n, 10) float32.

    `width` is that of its middle, in channels.

    Everything random takes a seed of its own from `seeds`: Keras' global seed is shared by all threads
    of a process, so what another thread draws would change this network.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            ink(),
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


def ink() -> keras.KerasTensor:
    """What a network takes: images (n, 28, 28) uint8."""
    return keras.layers.Input((SIDE, SIDE), dtype="uint8", name="ink")


def _convolution(name: str, filters: int, size: int, seed: int, pool: bool = False) -> list:
    """Convolution, batch norm, ReLU; the pool comes first because it leaves them a quarter of the work."""
    layers = keras.layers
    return [
        layers.Conv2D(
            filters,
            size,
            use_bias=False,  # batch norm has one
            kernel_initializer=keras.initializers.HeNormal(seed),
            name=name,
        ),
        *([layers.MaxPooling2D(name=f"{name}_pool")] if pool else []),
        layers.BatchNormalization(momentum=0.9, name=f"{name}_norm"),
        layers.ReLU(name=f"{name}_relu"),
    ]


def probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What `model` gives each of images (n, 28, 28) uint8: (n, 10) float32, rows that sum to 1.

    At the images it is unsure of it looks five times: as they are and moved by a pixel each way; the mean counts.
    """
    found = _at_one_look(model, images)
    unsure = np.flatnonzero(found.max(axis=1) < SURE)
    if len(unsure):
        framed = np.pad(images[unsure], ((0, 0), (1, 1), (1, 1)))
        moved = [
            framed[:, top : top + SIDE, left : left + SIDE] for top, left in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
        ]
        found[unsure] = np.mean([_at_one_look(model, look) for look in moved], axis=0)
    return found


def _at_one_look(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images, batch_size=IMAGES_AT_ONCE, verbose=0)


def packed(model: keras.Model) -> bytes:
    """`model` as the bytes of a `.keras` file, the same for the same weights.

    Keras notes the date and the addresses of objects; both go, since nothing reads them back.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    members["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
    members["config.json"] = json.dumps(_without_addresses(json.loads(members["config.json"]))).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, BEFORE_ZIP), content)
    return out.getvalue()


def _without_addresses(config: object) -> object:
    if isinstance(config, dict):
        return {key: _without_addresses(value) for key, value in config.items() if key != "shared_object_id"}
    if isinstance(config, list):
        return [_without_addresses(value) for value in config]
    return config
