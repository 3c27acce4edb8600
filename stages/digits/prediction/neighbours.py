"""k-nearest neighbours under the image distortion model (IDM): a second opinion on uncertain predictions."""

from itertools import product

import numpy as np

from stages.digits.base.dataset import DIGITS, SIDE, Images, Labels, Probabilities

KNN_THRESHOLD = 0.8  # of the top probability: below it, a prediction is uncertain
TOP_K = 3  # digits, the most probable ones, whose labelled images are compared
N_CANDIDATES = 100  # of each digit's images, the nearest by pixels, get an IDM distance
WARP_RANGE = 2  # pixels that a pixel may move, across and down


def refine_uncertain(probabilities: Probabilities, images: Images, reference: Images, labels: Labels) -> Probabilities:
    """The probabilities; where the top one is below KNN_THRESHOLD, their mean with `knn_proba`.

    `reference` (m, 28, 28) are the images that may be consulted, with their `labels` (m,).
    """
    uncertain = np.flatnonzero(probabilities.max(axis=1) < KNN_THRESHOLD)
    refined = probabilities.copy()
    if len(uncertain):
        candidates = np.argsort(-probabilities[uncertain], axis=1, kind="stable")[:, :TOP_K]
        refined[uncertain] += knn_proba(images[uncertain], candidates, reference, labels)
        refined[uncertain] /= 2
    return refined


def knn_proba(images: Images, candidates: np.ndarray, reference: Images, labels: Labels) -> Probabilities:
    """Weights (n, 10), rows that sum to 1, of the candidate digits (n, TOP_K) of each image; 0 for other digits.

    A digit's weight falls with the fourth power of the IDM distance of its nearest reference image.
    """
    distance = np.full((len(images), DIGITS), np.inf)
    for digit in range(DIGITS):
        rows = np.flatnonzero((candidates == digit).any(axis=1))
        distance[rows, digit] = nearest_distance(images[rows], reference[labels == digit])
    ratio = np.maximum(distance, 1) / np.maximum(distance.min(axis=1, keepdims=True), 1)
    weights = 1 / (ratio * ratio * (ratio * ratio))  # no power function: its last bits depend on the CPU
    return weights / weights.sum(axis=1, keepdims=True)


def nearest_distance(images: Images, reference: Images) -> np.ndarray:
    """The IDM distance (n,) of each image from the nearest of `reference` that are its neighbours by pixels."""
    nearest = nearest_neighbours(images, reference)
    pairs = zip(sobel(images), nearest, strict=True)
    return np.array([idm_distance(gradients, sobel(reference[rows])).min() for gradients, rows in pairs])


def nearest_neighbours(images: Images, reference: Images) -> np.ndarray:
    """The rows (n, N_CANDIDATES) of `reference`, or all of them if fewer, nearest to each image by squared distance."""
    a, b = (pixels.reshape(-1, SIDE**2).astype(np.float64) for pixels in (images, reference))  # whole numbers: exact
    return np.argsort((b**2).sum(axis=1) - 2 * a @ b.T, axis=1, kind="stable")[:, :N_CANDIDATES]


def sobel(images: Images) -> np.ndarray:
    """Sobel gradients of images (n, 28, 28) uint8, across and down: (n, 2, 28, 28) int16, -32 to 31."""
    padded = np.pad(images.astype(np.int16), ((0, 0), (1, 1), (1, 1)))
    across, down = padded[:, :, 2:] - padded[:, :, :-2], padded[:, 2:] - padded[:, :-2]
    across = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    down = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    return np.stack([across, down], axis=1) >> 5  # nine squared differences then fit 16 bits


def idm_distance(query: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The image distortion model's distance (m,) of gradients (2, 28, 28) from `reference` (m, 2, 28, 28).

    A sum over the query's pixels: each may move, with the eight around it, by up to WARP_RANGE pixels to where it fits
    the reference best. All in whole numbers, so the same on every CPU. After Keysers, Deselaers, Gollan and Ney,
    "Deformation models for image recognition" (2007).
    """
    border = (WARP_RANGE, WARP_RANGE)
    padded = np.pad(reference.transpose(1, 2, 3, 0), ((0, 0), border, border, (0, 0)))
    best = np.full((SIDE, SIDE, len(reference)), np.iinfo(np.uint16).max, dtype=np.uint16)
    squares = np.zeros((SIDE + 2, SIDE + 2, len(reference)), dtype=np.uint16)
    for top, left in product(range(2 * WARP_RANGE + 1), repeat=2):
        across, down = padded[:, top : top + SIDE, left : left + SIDE] - query[..., None]
        squares[1:-1, 1:-1] = across**2 + down**2
        rows = squares[:-2] + squares[1:-1] + squares[2:]
        np.minimum(best, rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:], out=best)
    return best.sum(axis=(0, 1), dtype=np.int64)
