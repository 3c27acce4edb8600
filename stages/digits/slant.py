"""Digits set upright: how far a hand leans says nothing about the digit."""

import numpy as np

from stages.digits.backend import keras
from stages.digits.dataset import SIDE

ops = keras.ops
IMAGES_AT_ONCE = 1000  # as floats they take four times the memory
CENTRE = (SIDE - 1) / 2
POWERS = np.vander(np.arange(SIDE, dtype=np.float32) - CENTRE, 3, increasing=True)  # 1, x, x² of each pixel
MOMENTS = np.kron(POWERS, np.eye(2, dtype=np.float32))


def leans(images: np.ndarray) -> np.ndarray:
    """How images (n, 28, 28) uint8 lean, as (n, 2) float32: pixels across for a pixel down, the row of their centre."""
    pieces = np.array_split(images, 1 + len(images) // IMAGES_AT_ONCE)
    return np.concatenate([np.stack(_lean(piece.astype(np.float32)), axis=1) for piece in pieces])


def upright() -> keras.Model:
    """A layer of plain Keras: images (n, 28, 28) uint8, ink 0–255 -> the same, rows moved until none leans."""
    images = keras.layers.Input((SIDE, SIDE), dtype="uint8")
    slope, centre = _lean(ops.cast(images, "float32"))
    zero, one = ops.zeros_like(slope), ops.ones_like(slope)
    # Its pixel (x, y) shows pixel (x + slope (y - centre), y).
    moved = mapped(images, one, slope, -slope * centre, zero, one, zero)
    model = keras.Model(images, moved, name="upright")
    for number, operation in enumerate(model.operations):
        operation.name = f"upright_{number}"  # Keras' own depend on what a process made before, and stand in the file
    return model


def mapped(images: keras.KerasTensor, *affine: keras.KerasTensor) -> keras.KerasTensor:
    """Images (n, 28, 28) whose pixel (x, y) shows pixel (a x + b y + left, c x + d y + top) of `images`.

    `affine` is a, b, left, c, d and top, each (n,) float32; between pixels it is linear, outside of them 0.
    """
    nothing = ops.zeros_like(affine[0])
    transforms = ops.stack([*affine, nothing, nothing], axis=1)
    moved = ops.image.affine_transform(ops.expand_dims(images, -1), transforms, data_format="channels_last")
    return ops.squeeze(moved, -1)


def _lean(ink: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The slope (n,) of the line that fits the ink best, rows to columns by least squares, and the row (n,) of its
    centre, for ink (n, 28, 28) float32; what is less than about a pixel high leans little.

    After the deslanted images in LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition" (1998).
    """
    by_row = ops.matmul(ops.reshape(ink, (-1, SIDE)), POWERS[:, :2])
    moments = ops.matmul(ops.reshape(by_row, (-1, 2 * SIDE)), MOMENTS)  # of ink by 1, x, y, xy, y², xy²
    mass = ops.maximum(moments[:, 0], 1)
    x, y, xy, yy = (moments[:, power] / mass for power in range(1, 5))
    return (xy - x * y) / ops.maximum(yy - y**2, 1), y + CENTRE
