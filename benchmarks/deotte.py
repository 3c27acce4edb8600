"""One network of Chris Deotte's ensemble for Digit Recognizer, written from its published description."""

from collections.abc import Iterator

import keras
import numpy as np

from stages.digits import augmentation

EPOCHS, BATCH_SIZE = 45, 64


def train(images: np.ndarray, labels: np.ndarray, callback: keras.callbacks.Callback) -> keras.Sequential:
    """Fit it on images (n, 28, 28) uint8 with labels (n,); all of them, since it stops by its schedule."""
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
        verbose=2,
    )
    return model


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
    """Without end; turned by up to 10 degrees, zoomed and moved by up to a tenth: drawn by our code, the faster."""
    random = np.random.default_rng(0)
    while True:
        order = random.permutation(len(images))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            as_they_lean = np.zeros((len(chosen), 2))
            yield (
                augmentation.augmented(
                    images[chosen], as_they_lean, rotation=10, zoom=0.1, shift=2.8, shear=0, random=random
                ),
                labels[chosen],
            )
