"""A picture -> its ink: how dark each pixel is on its paper, or how light on its board; uneven light is divided out."""

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages.picture import Picture

Ink = npt.NDArray[np.float32]  # (height, width), 0 for paper to 1; below 0, for noise

SMALL_SIDE = 160  # pixels of the small copy that shows the paper
WIDEST = 25  # of its pixels: darker spots that are narrower are ink
DESK = 0.75  # of the paper's brightness: an edge of the picture that is darker shows no paper
ALONG = 0.9  # of an edge shows the desk
HALF = 128  # brightness: a darker picture may be of a blackboard
STEP = 0.25  # of the brightness: from paper to a desk, or into a shadow
NOISE_SAMPLE = 50_000  # values are enough
BLACK = 10  # of 255: a darker board says nothing about the light


def measure(picture: Picture) -> Ink:
    """The ink of a picture, dark on light or light on dark; a desk around the paper has none."""
    if _is_light_on_dark(picture):
        return _measure_light(picture)
    ink = _measure_dark(picture)
    desk = _desk(picture)
    if desk.any():  # becomes paper like the rest
        ink[desk] = np.random.default_rng(0).normal(0, noise(ink[~desk]), np.count_nonzero(desk))
    return ink


def resize(image: np.ndarray, scale: float) -> np.ndarray:
    """At most as large: a smaller scale averages."""
    if scale >= 1:
        return image
    height, width = (max(1, round(scale * side)) for side in image.shape)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def noise(values: np.ndarray) -> float:
    """The standard deviation of the paper, if a quarter of the values are its alone."""
    values = values.ravel()[:: 1 + values.size // NOISE_SAMPLE]
    return float(np.quantile(np.abs(values - np.median(values)), 0.25)) / 0.3186


def _is_light_on_dark(picture: Picture) -> bool:
    """Whether the few pixels that differ most from those around are lighter."""
    if np.median(picture) >= HALF:
        return False
    small = resize(picture, 2 * SMALL_SIDE / max(picture.shape))
    window = min(small.shape) // 4 | 1
    around = cv2.medianBlur(np.ascontiguousarray(small), window)
    step = cv2.morphologyEx(around, cv2.MORPH_GRADIENT, np.ones((window // 2 + 1, window // 2 + 1), np.uint8))
    is_even = step < STEP * np.median(around)
    differences = small.astype(np.float32) - around
    return bool(((differences if is_even.mean() < 0.5 else differences[is_even]) ** 3).sum() > 0)


def _measure_dark(picture: Picture) -> Ink:
    return 1 - np.divide(picture, np.maximum(_paper(picture), 1), dtype=np.float32)


def _measure_light(picture: Picture) -> Ink:
    negative = 255 - picture
    paper = _paper(negative)
    board = 255 - paper
    ink: Ink = 1 - np.divide(negative, np.maximum(paper, 1), dtype=np.float32)
    if board.min() >= BLACK:  # where little light falls, chalk is as much darker as the board
        ink *= board.mean() / board
    return ink


def _desk(picture: Picture) -> npt.NDArray[np.bool_]:
    """Where a dark desk is seen around the paper: along at least three edges of the picture, which no shadow does."""
    small = resize(picture, SMALL_SIDE / max(picture.shape))
    smooth, paper = cv2.medianBlur(np.ascontiguousarray(small), 5), np.quantile(small, 0.9)
    rim = [smooth[0], smooth[-1], smooth[:, 0], smooth[:, -1]]
    if sorted((edge < DESK * paper).mean() for edge in rim)[1] < ALONG:
        return np.zeros(picture.shape, dtype=bool)
    dark = smooth < min(DESK * paper, np.sqrt(np.median(np.concatenate(rim)) * paper))
    labels = cv2.connectedComponents(np.pad(dark, 1, constant_values=True).astype(np.uint8))[1]
    around = cv2.dilate((labels == labels[0, 0])[1:-1, 1:-1].astype(np.uint8) * 255, np.ones((5, 5), np.uint8))
    return cv2.resize(around, picture.shape[::-1], interpolation=cv2.INTER_LINEAR) > HALF


def _paper(picture: Picture) -> Ink:
    """The brightness of the paper at each pixel; where a desk is seen around it, the desk's."""
    small = resize(picture, SMALL_SIDE / max(picture.shape))
    desk = DESK * np.quantile(small, 0.9)
    padded = small
    for side, edge in enumerate((small[0], small[-1], small[:, 0], small[:, -1])):
        top, bottom, left, right = (WIDEST * (side == number) for number in range(4))
        kind = cv2.BORDER_REPLICATE if np.median(edge) < desk else cv2.BORDER_REFLECT
        padded = cv2.copyMakeBorder(padded, top, bottom, left, right, kind)
    paper = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((WIDEST, WIDEST), np.uint8))
    paper = cv2.GaussianBlur(paper, (0, 0), 2).astype(np.float32)[WIDEST:-WIDEST, WIDEST:-WIDEST]
    return cv2.resize(paper, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)
