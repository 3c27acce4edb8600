"""Unsure answers, settled by the labelled digits that have to be bent least to become the one in question."""

from itertools import product

import numpy as np

from stages.digits.dataset import DIGITS, SIDE

SURE = 0.7  # of a probability
LIKELIEST = 3  # digits, of which labelled images are looked at
NEAREST = 100  # of each digit's images, by their pixels, are bent
REACH = 2  # pixels that a pixel may move, across and down
POWER = 4  # of the distance, by which a digit's weight falls


def settled(probabilities: np.ndarray, images: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The probabilities (n, 10) of images (n, 28, 28) uint8; where none reaches SURE, their mean with `votes`.

    `known` (m, 28, 28) uint8 and their `labels` (m,) are those that may be looked at.
    """
    unsure = np.flatnonzero(probabilities.max(axis=1) < SURE)
    answers = probabilities.copy()
    if len(unsure):
        likeliest = np.argsort(-probabilities[unsure], axis=1, kind="stable")[:, :LIKELIEST]
        answers[unsure] += votes(images[unsure], likeliest, known, labels)
        answers[unsure] /= 2
    return answers


def votes(images: np.ndarray, likeliest: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Weights (n, 10), rows of sum 1, for images (n, 28, 28) uint8 and the digits (n, 3) that are likeliest for each.

    A digit's weight falls with the distance of the nearest of those `known` images that have it as their label.
    """
    distance = np.full((len(images), DIGITS), np.inf)
    asked = edges(images)
    for digit in range(DIGITS):
        of_digit = known[labels == digit]
        rows = np.flatnonzero((likeliest == digit).any(axis=1))
        for row, near in zip(rows, nearest(images[rows], of_digit), strict=True):
            distance[row, digit] = bent(asked[row], edges(of_digit[near])).min()
    weights = (np.maximum(distance, 1) / np.maximum(distance.min(axis=1, keepdims=True), 1)) ** -POWER
    return weights / weights.sum(axis=1, keepdims=True)


def nearest(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The rows (n, 100), or all m if fewer, of `others` (m, 28, 28) uint8 whose pixels are nearest to each image's."""
    here, there = (pixels.reshape(-1, SIDE**2).astype(np.float64) for pixels in (images, others))  # exact
    return np.argsort((there**2).sum(axis=1) - 2 * here @ there.T, axis=1, kind="stable")[:, :NEAREST]


def edges(images: np.ndarray) -> np.ndarray:
    """Sobel's gradients of images (n, 28, 28) uint8, across and down: (n, 2, 28, 28) int16, -32 to 31."""
    framed = np.pad(images.astype(np.int16), ((0, 0), (1, 1), (1, 1)))
    across, down = framed[:, :, 2:] - framed[:, :, :-2], framed[:, 2:] - framed[:, :-2]
    across = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    return np.stack([across, down], axis=1) >> 5  # nine squares of differences then fit 16 bits


def bent(asked: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The distance (m,) of one image's edges (2, 28, 28) from those of others (m, 2, 28, 28).

    It is a sum over the image's pixels: each, with the eight around it, may move to where it fits the other image best.
    Whole numbers all the way, so the same on any CPU. After the image distortion model of Keysers, Deselaers, Gollan
    and Ney, "Deformation models for image recognition" (2007).
    """
    border = (REACH, REACH)
    framed = np.pad(others.transpose(1, 2, 3, 0), ((0, 0), border, border, (0, 0)))
    best = np.full((SIDE, SIDE, len(others)), np.iinfo(np.uint16).max, dtype=np.uint16)
    squares = np.zeros((SIDE + 2, SIDE + 2, len(others)), dtype=np.uint16)
    for top, left in product(range(2 * REACH + 1), repeat=2):
        across, down = framed[:, top : top + SIDE, left : left + SIDE] - asked[..., None]
        squares[1:-1, 1:-1] = across**2 + down**2
        rows = squares[:-2] + squares[1:-1] + squares[2:]
        np.minimum(best, rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:], out=best)
    return best.sum(axis=(0, 1), dtype=np.int64)
