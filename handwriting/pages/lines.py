"""The ridges of a region -> the lines ruled across all of it, and where they cross those ruled down.

For those ruled down, the region is transposed. A line is followed strip by strip, since paper bends and lenses do.
"""

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from handwriting.pages.ink import Ink

MIN_CONTRAST = 0.03  # of the paper's brightness: a fainter line is none
REACHES = (3, 6, 12)  # pixels from a line to the paper beside it
OPEN = 0.12  # of a line's length may be missing
RULED = 0.6  # of the pieces of a line
STRIP = 70  # pixels of a line that is followed as if it were straight
MAX_STRIPS = 12
MAX_DRIFT = 2  # pixels that a line may move from one strip to the next
MIN_CELL = 8  # pixels of a cell's side
MARGIN = 15  # pixels around the region
BESIDE = 10  # pixels of the margin, from its rim: a line there is the next region's

Lines = npt.NDArray[np.float64]  # (lines, strips): the positions of lines at the centres of strips


def find_lines(ridge: Ink, missing: float = OPEN, closest: int = MIN_CELL) -> Lines:
    """The lines that run across all of a region, from top to bottom, at least `closest` pixels apart.

    A fraction of a line's length may be `missing`.
    """
    width = ridge.shape[1]
    n_strips = int(np.clip((width - 2 * MARGIN) // STRIP, 1, MAX_STRIPS))
    evidence = measure_evidence(ridge, n_strips, missing)
    evidence[:BESIDE] = evidence[-BESIDE:] = -1
    threshold = MIN_CONTRAST / 4
    dark = threshold * (1 + np.log(np.maximum(evidence, threshold) / threshold))  # a single strip must not decide
    return _follow(np.where(evidence > threshold, dark, np.maximum(evidence, -threshold)), threshold, closest)


def find_crossings(rows: Lines, columns: Lines, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Where each of the lines across (rows, strips) and of those down (columns, strips) meet."""
    height, width = shape
    x, y = np.meshgrid(columns.mean(axis=1), rows.mean(axis=1))
    for _ in range(3):
        y = np.stack([_along(line, position, width) for line, position in zip(rows, x, strict=True)])
        x = np.stack([_along(line, position, height) for line, position in zip(columns, y.T, strict=True)]).T
    return np.stack([x, y], axis=-1)


def measure_evidence(ridge: Ink, n_strips: int, missing: float) -> Ink:
    """How dark a line across would be (positions, strips), but for a fraction of its length that may be missing."""
    inner = ridge[:, MARGIN : ridge.shape[1] - MARGIN]
    strips = [quantiles(strip, missing) for strip in np.array_split(inner, n_strips, axis=1)]
    return cv2.GaussianBlur(np.stack(strips, axis=1), (1, 9), sigmaX=0.1, sigmaY=1.2)


def measure_ridge(ink: Ink, reaches: tuple[int, ...] = REACHES) -> Ink:
    """How much darker each pixel is than the paper above and below."""
    smooth = cv2.blur(ink, (7, 1))
    best = np.full_like(smooth, -1)
    for reach in reaches:
        shifted = cv2.copyMakeBorder(smooth, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
        beside = cv2.max(shifted[: -2 * reach], shifted[2 * reach :])
        cv2.max(best, cv2.subtract(smooth, beside), best)
    return best


def quantiles(rows: Ink, fraction: float) -> npt.NDArray[np.float32]:
    """A quantile of each row, as NumPy's, which takes seven times as long."""
    ordered, place = np.sort(rows, axis=1), fraction * (rows.shape[1] - 1)
    below, above = ordered[:, int(place)], ordered[:, int(np.ceil(place))]
    return below + np.float32(place % 1) * (above - below)


def _follow(evidence: np.ndarray, threshold: float, closest: int) -> Lines:
    """The paths through strips (positions, strips) along which there is the most evidence."""
    n_strips = evidence.shape[1]
    forward, came_from = _best_paths(evidence)
    backward, goes_to = (part[:, ::-1] for part in _best_paths(evidence[:, ::-1]))
    middle = n_strips // 2
    score = (forward + backward - evidence)[:, middle] / n_strips
    peaks = np.flatnonzero((score >= ndimage.maximum_filter1d(score, 2 * closest + 1)) & (score >= threshold))
    paths: list[np.ndarray] = []
    for start in peaks[np.argsort(-score[peaks], kind="stable")]:
        path = np.empty(n_strips)
        path[middle] = start
        for strip in range(middle, 0, -1):
            path[strip - 1] = came_from[int(path[strip]), strip]
        for strip in range(middle, n_strips - 1):
            path[strip + 1] = goes_to[int(path[strip]), strip]
        ruled = (evidence[path.astype(int), np.arange(n_strips)] > threshold / 2).mean()
        if ruled >= RULED and all(np.abs(path - other).min() >= closest for other in paths):
            paths.append(path)
    return np.array(sorted(paths, key=lambda path: path.mean())).reshape(len(paths), n_strips)


def _best_paths(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums along the best paths from the first strip to each position, and the position they come from."""
    height, n_strips = evidence.shape
    total, origin = evidence.astype(np.float64), np.zeros(evidence.shape, dtype=int)
    moves = sorted(range(-MAX_DRIFT, MAX_DRIFT + 1), key=abs)  # a straight line where there's a choice
    for strip in range(1, n_strips):
        before = np.pad(total[:, strip - 1], MAX_DRIFT, constant_values=-np.inf)
        options = np.stack([before[MAX_DRIFT + move : MAX_DRIFT + move + height] for move in moves])
        best = options.argmax(axis=0)
        total[:, strip] += options.max(axis=0)
        origin[:, strip] = np.arange(height) + np.array(moves)[best]
    return total, origin


def _along(line: np.ndarray, positions: np.ndarray, length: int) -> np.ndarray:
    """Where a line is at positions along it: straight between the centres of its strips, and on from the outer ones."""
    ends = np.linspace(MARGIN, length - MARGIN, len(line) + 1)
    centres = (ends[:-1] + ends[1:]) / 2
    if len(line) == 1:
        return np.full(len(positions), line[0])
    pieces = np.clip(np.searchsorted(centres, positions) - 1, 0, len(line) - 2)
    slopes = np.diff(line) / np.diff(centres)
    return line[pieces] + slopes[pieces] * (positions - centres[pieces])
