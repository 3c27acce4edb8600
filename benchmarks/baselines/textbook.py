"""A textbook CNN, from which this project grew: two blocks of convolution and pooling, as in Keras' first example."""

import keras
import numpy as np

EPOCHS = 15


def train(images: np.ndarray, labels: np.ndarray, callback: keras.callbacks.Callback) -> keras.Sequential:
    """Train it on images (n, 28, 28) uint8 with labels (n,), with the example's settings and early stopping."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Reshape((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        images,
        keras.utils.to_categorical(labels, 10),
        batch_size=128,
        epochs=EPOCHS,
        validation_split=0.1,
        callbacks=[callback, keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)],
        verbose=2,
    )
    return model
