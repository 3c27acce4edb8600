"""One network of Chris Deotte's 15-network ensemble for Digit Recognizer, written from its published description."""

from collections.abc import Iterator

import keras
import numpy as np

EPOCHS, BATCH_SIZE = 45, 64
ROTATION, ZOOM, SHIFT = np.radians(10), 0.1, 2.8  # either way; in pixels, a tenth of the image
CENTRE = 13.5  # of 28 pixels, counted from 0


def train(images: np.ndarray, labels: np.ndarray, callback: keras.callbacks.Callback) -> keras.Sequential:
    """Train it on all images (n, 28, 28) uint8 with labels (n,): a schedule stops it, not validation."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Reshape((28, 28, 1)),
            *_block(32),
            *_block(64),
            *_convolution(128, 4),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        _batches(images, keras.utils.to_categorical(labels, 10)),
        steps_per_epoch=len(images) // BATCH_SIZE,
        epochs=EPOCHS,
        callbacks=[callback, keras.callbacks.LearningRateScheduler(lambda epoch: 0.001 * 0.95**epoch)],
        shuffle=False,  # `_batches` does that
        verbose=2,
    )
    return model


def random_affine(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Images (n, 28, 28) uint8, each rotated, zoomed across and down, and shifted at random, by one interpolation.

    The distribution of Deotte's generator, but with 0 outside the image. It is written as one affine transform a
    batch, as the pipeline's own augmentation is: Keras' generator interpolates image by image and takes longer.
    """
    angle, zoom_x, zoom_y, shift_x, shift_y = random.uniform(-1, 1, (5, len(images)))
    cos, sin = np.cos(ROTATION * angle), np.sin(ROTATION * angle)
    # Seen from the centre, output pixel (x, y) is input pixel (a x + b y, c x + d y).
    a, b = cos / (1 + ZOOM * zoom_x), -sin / (1 + ZOOM * zoom_y)
    c, d = sin / (1 + ZOOM * zoom_x), cos / (1 + ZOOM * zoom_y)
    left = CENTRE - (a + b) * CENTRE + SHIFT * shift_x
    top = CENTRE - (c + d) * CENTRE + SHIFT * shift_y
    transforms = np.stack([a, b, left, c, d, top, 0 * a, 0 * a], axis=1).astype(np.float32)
    moved = keras.ops.image.affine_transform(images[..., np.newaxis], transforms, data_format="channels_last")
    return np.asarray(moved)[..., 0]


def _block(filters: int) -> list:
    return [
        *_convolution(filters, 3),
        *_convolution(filters, 3),
        *_convolution(filters, 5, strides=2, padding="same"),
        keras.layers.Dropout(0.4),
    ]


def _convolution(filters: int, size: int, **options: object) -> list:
    return [keras.layers.Conv2D(filters, size, activation="relu", **options), keras.layers.BatchNormalization()]


def _batches(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Augmented batches without end, every epoch in a different order."""
    random = np.random.default_rng(0)
    while True:
        order = random.permutation(len(images))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            yield random_affine(images[rows], random), labels[rows]
