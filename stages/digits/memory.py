"""The digits that a network found hardest, kept inside it to compare new ones with."""

import math

import numpy as np

from stages.digits import network, slant
from stages.digits.backend import keras

SHARPNESS = 30.0  # what is nearer by 1/30, as a cosine, weighs e times as much
LOOKED_THROUGH = 12_500  # rows at most: all of Kaggle's gain little, for three times the time


def remembering(
    model: keras.Sequential, images: np.ndarray, labels: np.ndarray, rows: np.ndarray, size: int
) -> keras.Model:
    """A model for images (n, 28, 28) uint8 that needn't be upright: the mean of what `model` says and its memory votes.

    Of the `rows` of `images` (n, 28, 28) uint8 and `labels` (n, 10) it remembers the hardest, so many as `size` says:
    those for which `model` gives the first digit little more than the second. Their votes weigh by the softmax of how
    near their features, before the last layer, are to those of the image that is asked about. With a `size` of 0, no
    vote.

    After Orhan, "A simple cache model for image recognition" (2018).
    """
    layers = keras.layers
    ink = network.ink()
    features = slant.upright()(ink)
    for layer in model.layers[:-1]:
        features = layer(features)
    alone = keras.Model(ink, model.layers[-1](features), name=model.name)
    if not size:
        return alone
    some = rows[:: math.ceil(len(rows) / LOOKED_THROUGH)]
    leads = network.leads(network.at_one_look(alone, images[some]))
    hardest = some[np.argsort(leads, kind="stable")[:size]]
    direction = layers.UnitNormalization(name="direction")(features)
    keys = np.asarray(keras.Model(ink, direction)(images[hardest]))
    near = _constant("near", SHARPNESS * keys.T, direction, activation="softmax")
    vote = _constant("vote", labels[hardest], near)
    return keras.Model(ink, layers.Average(name="answer")([alone.output, vote]), name=model.name)


def _constant(name: str, weights: np.ndarray, given: keras.KerasTensor, **options: str) -> keras.KerasTensor:
    """`given` (n, a) by `weights` (a, b)."""
    layer = keras.layers.Dense(weights.shape[1], use_bias=False, name=name, **options)
    product = layer(given)
    layer.set_weights([weights])
    return product
