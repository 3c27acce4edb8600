"""Affine image transforms, all by one bilinear interpolation: deskewing and random augmentation."""

import numpy as np

from stages.digits.base.dataset import SIDE, Images
from stages.digits.model.backend import keras

ops = keras.ops
CHUNK_SIZE = 1000  # images: as floats they take four times the memory
TAYLOR_TERMS = 30
CENTRE = (SIDE - 1) / 2
POWERS = np.vander(np.arange(SIDE, dtype=np.float32) - CENTRE, 3, increasing=True)  # 1, x, x² of each pixel
MOMENTS = np.kron(POWERS, np.eye(2, dtype=np.float32))


def skew(images: Images) -> np.ndarray:
    """The skew (n, 2) float32 of each image: slope in pixels across per pixel down, and the row of its centroid."""
    chunks = np.array_split(images, 1 + len(images) // CHUNK_SIZE)
    return np.concatenate([np.stack(_skew(chunk.astype(np.float32)), axis=1) for chunk in chunks])


def deskew_layer() -> keras.Model:
    """A layer of plain Keras: images (n, 28, 28) uint8 -> the same images, sheared so that none is skewed."""
    images = keras.layers.Input((SIDE, SIDE), dtype="uint8")
    slope, centroid = _skew(ops.cast(images, "float32"))
    zero, one = ops.zeros_like(slope), ops.ones_like(slope)
    # Output pixel (x, y) shows input pixel (x + slope (y - centroid), y).
    deskewed = affine_transform(images, one, slope, -slope * centroid, zero, one, zero)
    model = keras.Model(images, deskewed, name="upright")
    for index, operation in enumerate(model.operations):
        operation.name = f"upright_{index}"  # Keras' own names count what the process built before, and are saved
    return model


def random_affine(
    images: Images,
    skew: np.ndarray,
    *,
    rotation: float,
    zoom: float,
    shift: float,
    shear: float,
    random: np.random.Generator,
) -> Images:
    """The images, each deskewed, then rotated, zoomed, shifted and sheared at random, as one transform.

    `skew` (n, 2) comes from `skew()`; an image with skew 0 is not deskewed. Each amount is drawn uniformly within
    ± `rotation` degrees, ± `zoom` of the size (width and height separately), ± `shift` pixels and ± `shear` pixels
    across per pixel down. Pixels from outside the image are 0.
    """
    draw = random.uniform(-1, 1, (6, len(images)))
    angle = np.radians(rotation * draw[0])
    zoom_x, zoom_y = 1 + zoom * draw[1], 1 + zoom * draw[2]
    (cos, sin), sheared = cos_sin(angle), shear * draw[3]
    # Relative to the centre, output pixel (x, y) shows input pixel (a x + b y, c x + d y).
    a, b = cos / zoom_x, (sheared * cos - sin) / zoom_y
    c, d = sin / zoom_x, (sheared * sin + cos) / zoom_y
    left = CENTRE - (a + b) * CENTRE + shift * draw[4]
    top = CENTRE - (c + d) * CENTRE + shift * draw[5]
    slope, centroid = skew.T
    a, b, left = a + slope * c, b + slope * d, left + slope * (top - centroid)
    return np.asarray(affine_transform(images, *np.array([a, b, left, c, d, top], dtype=np.float32)))


def cos_sin(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of angles (n,) float64 within ± π radians, to about 1e-15, by additions and products alone.

    NumPy and the C library choose their implementation by CPU, and the last bits of the result differ with it.
    """
    terms = 1 / np.cumprod(np.maximum(np.arange(TAYLOR_TERMS), 1), dtype=np.float64)  # 1 / n!
    signs = np.where(np.arange(TAYLOR_TERMS) // 2 % 2, -1.0, 1.0)
    even, odd = ((signs * terms)[start::2][::-1] for start in (0, 1))
    return np.polyval(even, angle**2), angle * np.polyval(odd, angle**2)


def affine_transform(images: keras.KerasTensor, *coefficients: keras.KerasTensor) -> keras.KerasTensor:
    """Images (n, 28, 28) whose pixel (x, y) shows pixel (a x + b y + left, c x + d y + top) of `images`.

    `coefficients` are a, b, left, c, d and top, each (n,) float32. Bilinear between pixels, 0 outside the image.
    """
    zeros = ops.zeros_like(coefficients[0])
    transforms = ops.stack([*coefficients, zeros, zeros], axis=1)
    moved = ops.image.affine_transform(ops.expand_dims(images, -1), transforms, data_format="channels_last")
    return ops.squeeze(moved, -1)


def _skew(ink: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Slope (n,) and centroid row (n,) of ink (n, 28, 28) float32.

    The slope is that of the least-squares line of columns on rows, weighted by ink. The vertical variance counts as
    at least one pixel², so a level stroke has almost no skew. After the deslanted images in LeCun, Bottou, Bengio and
    Haffner, "Gradient-based learning applied to document recognition" (1998).
    """
    by_row = ops.matmul(ops.reshape(ink, (-1, SIDE)), POWERS[:, :2])
    moments = ops.matmul(ops.reshape(by_row, (-1, 2 * SIDE)), MOMENTS)  # of ink by 1, x, y, xy, y², xy²
    mass = ops.maximum(moments[:, 0], 1)
    x, y, xy, yy = (moments[:, power] / mass for power in range(1, 5))
    return (xy - x * y) / ops.maximum(yy - y**2, 1), y + CENTRE
