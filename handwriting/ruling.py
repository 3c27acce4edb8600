"""A picture whose rulings run along its rows and columns -> its tables and boxes: where their lines cross."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from handwriting.marks import Ink

PIECE = 1 / 70  # of the longer side: a piece of ruling is at least that long, and SHORTEST pixels
SHORTEST = 14
NOISE_LEVELS = 4  # standard deviations of the paper that a ruling must exceed
MIN_CONTRAST = 0.03  # of the paper's brightness
REACHES = (3, 6, 12)  # pixels from a line to the paper beside it
OPEN = 0.12  # of a line's length may be missing
FAINT = 0.35  # the same of one that must be there
RULED = 0.6  # of the pieces of a line
STRIP = 70  # pixels of a line that is followed as if it were straight
MAX_STRIPS = 12
MAX_DRIFT = 2  # pixels that a line may move from one strip to the next
MIN_CELL = 8  # pixels of a cell's side
MARGIN = 15  # pixels around a table

Lines = npt.NDArray[np.float64]  # (lines, strips): the positions of lines at the centres of strips


class Lattice(NamedTuple):
    """The crossings of a table's lines, and which of the cells between them have sides."""

    corners: npt.NDArray[np.float64]  # (rows + 1, columns + 1, 2), x and y
    closed: npt.NDArray[np.bool_]  # (rows, columns)


def find_lattices(ink: Ink) -> list[Lattice]:
    """The tables and boxes, in no order."""
    padded = cv2.copyMakeBorder(ink, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=0)
    lattices = []
    for region in _regions(ink):
        lattice = _lattice(padded, region)
        if lattice is not None:  # now without the text beside it, which hides faint lines
            (left, top), (right, bottom) = (
                getattr(lattice.corners.reshape(-1, 2), end)(axis=0).round().astype(int) for end in ("min", "max")
            )
            lattices.append(_lattice(padded, (left, top, right + 1, bottom + 1)) or lattice)
    return lattices


def _regions(ink: Ink) -> list[tuple[int, int, int, int]]:
    """The left, top, right and bottom of each set of rulings that cross: at least two across and two down."""
    length = max(SHORTEST, round(max(ink.shape) * PIECE))
    (_, across, across_stats, _), (_, down, down_stats, _) = (
        cv2.connectedComponentsWithStats(mask, connectivity=8) for mask in _pieces(ink, length)
    )
    wide = cv2.dilate(across.astype(np.float32), np.ones((5, 5), np.uint8)).astype(np.int64)
    meet = (wide > 0) & (down > 0)
    pairs = np.unique(np.stack([wide[meet], down[meet]], axis=1), axis=0)
    while True:  # a text's line touches a frame once; a letter's stroke, none
        lonely = np.zeros(len(pairs), dtype=bool)
        for side in pairs.T:
            lonely |= np.bincount(side)[side] < 2
        if not lonely.any():
            break
        pairs = pairs[~lonely]
    if not len(pairs):
        return []
    n = len(across_stats)
    graph = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], n + pairs[:, 1])), shape=[n + len(down_stats)] * 2)
    _, groups = sparse.csgraph.connected_components(graph, directed=False)
    regions = []
    for group in np.unique(groups[pairs[:, 0]]):
        members = pairs[groups[pairs[:, 0]] == group]
        rows, columns = across_stats[np.unique(members[:, 0])], down_stats[np.unique(members[:, 1])]
        left, top = int(columns[:, 0].min()), int(rows[:, 1].min())
        right, bottom = int((columns[:, 0] + columns[:, 2]).max()), int((rows[:, 1] + rows[:, 3]).max())
        if min(right - left, bottom - top) >= length:
            regions.append((left, top, right, bottom))
    return regions


def _pieces(ink: Ink, length: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Where there is a piece of ruling across, and where there is one down."""
    masks = []
    for part in (ink, ink.T):
        smooth = cv2.blur(part, (length // 2, 1))
        high = cv2.GaussianBlur(smooth, (1, 5), sigmaX=0.1, sigmaY=0.8) - cv2.blur(smooth, (1, 2 * length + 1))
        dark = (high > max(NOISE_LEVELS * _noise(high), MIN_CONTRAST)).astype(np.uint8)
        thick = cv2.dilate(dark, np.ones((3, 1), np.uint8))
        masks.append(cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, length), np.uint8)))
    return masks[0], np.ascontiguousarray(masks[1].T)


def _noise(values: np.ndarray) -> float:
    """The standard deviation of the paper, if a quarter of the values are its alone."""
    return float(np.quantile(np.abs(values - np.median(values)), 0.25)) / 0.3186


def _lattice(padded: Ink, box: tuple[int, int, int, int]) -> Lattice | None:
    """The lattice in a box of the picture, which has a margin here but not in the result."""
    left, top, right, bottom = np.array(box).clip(0)
    region = padded[top : bottom + 2 * MARGIN, left : right + 2 * MARGIN]
    rows, columns = _find_lines(region), _find_lines(region.T)
    rows, columns = _ruled_lines(region, rows, columns)
    if len(rows) < 2 or len(columns) < 2:
        return None
    rows, columns = _complete(region, rows), _complete(region.T, columns)
    corners = _crossings(rows, columns, region.shape)
    across, down = _ruled_sides(region, corners)
    n_sides = across[:-1].astype(int) + across[1:] + down[:, :-1] + down[:, 1:]
    return Lattice(corners + np.array([left, top]) - MARGIN, n_sides >= 2)


def _ruled_lines(region: Ink, rows: Lines, columns: Lines) -> tuple[Lines, Lines]:
    """Without the lines that aren't ruled between the others: a text's, or a column's of digits."""
    while len(rows) >= 2 and len(columns) >= 2:
        across, down = _ruled_sides(region, _crossings(rows, columns, region.shape))
        of_rows, of_columns = across.mean(axis=1), down.mean(axis=0)
        of_rows[[0, -1]] = np.minimum(of_rows[[0, -1]], down[[0, -1]].mean(axis=1))  # no cells behind it
        of_columns[[0, -1]] = np.minimum(of_columns[[0, -1]], across[:, [0, -1]].mean(axis=0))
        if min(of_rows.min(), of_columns.min()) >= RULED:
            break
        if of_rows.min() < of_columns.min():
            rows = np.delete(rows, of_rows.argmin(), axis=0)
        else:
            columns = np.delete(columns, of_columns.argmin(), axis=0)
    return rows, columns


def _complete(region: Ink, lines: Lines) -> Lines:
    """With the faint lines of a regular ruling: they are looked for where there should be some."""
    gaps = np.diff(lines.mean(axis=1))
    unit = float(np.median(gaps[gaps < 1.3 * gaps.min()]))
    parts = np.round(gaps / unit).astype(int)
    if (np.abs(gaps / unit - parts) > 0.2).any() or parts.max() == 1 or unit < 2 * MIN_CELL:
        return lines
    evidence = _evidence(region, lines.shape[1], FAINT)
    completed = [lines[0]]
    for before, after, n_parts in zip(lines[:-1], lines[1:], parts, strict=True):
        for part in range(1, n_parts):
            expected = before + (after - before) * part / n_parts
            reach = round(0.12 * unit)
            window = np.round(expected).astype(int) + np.arange(-reach, reach + 1)[:, None]
            dark = np.take_along_axis(evidence, window.clip(0, len(evidence) - 1), axis=0).mean(axis=1)
            if dark.max() > 0:
                completed.append(expected + int(dark.argmax()) - reach)
        completed.append(after)
    return np.array(completed)


def _ruled_sides(region: Ink, corners: np.ndarray) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which sides of the cells are ruled: those across (rows + 1, columns), and those down (rows, columns + 1)."""
    return _sides(_ridge(region), corners), _sides(_ridge(region.T), corners.swapaxes(0, 1)[..., ::-1]).T


def _sides(ridge: Ink, corners: np.ndarray) -> npt.NDArray[np.bool_]:
    """Which of the sides of cells along the lines across (lines, pieces) are ruled."""
    part = np.linspace(0.12, 0.88, 24)[:, None]
    points = corners[:, :-1, None] * (1 - part) + corners[:, 1:, None] * part  # (lines, pieces, 24, 2)
    x, y = np.moveaxis(points.round().astype(int), -1, 0)
    best = np.full(x.shape, -1.0)
    for off in range(-2, 3):
        inside = ridge[(y + off).clip(0, ridge.shape[0] - 1), x.clip(0, ridge.shape[1] - 1)]
        np.maximum(best, inside, out=best)
    dark = np.quantile(best, 2 * OPEN, axis=-1)
    return dark > max(MIN_CONTRAST / 2, 0.25 * float(np.quantile(dark, 0.75)))


def _find_lines(region: Ink) -> Lines:
    """The lines that run across all of a region, from top to bottom."""
    width = region.shape[1]
    n_strips = int(np.clip((width - 2 * MARGIN) // STRIP, 1, MAX_STRIPS))
    evidence = _evidence(region, n_strips, OPEN)
    threshold = MIN_CONTRAST / 4
    dark = threshold * (1 + np.log(np.maximum(evidence, threshold) / threshold))  # a single strip must not decide
    return _follow(np.where(evidence > threshold, dark, np.maximum(evidence, -threshold)), threshold)


def _evidence(region: Ink, n_strips: int, missing: float) -> Ink:
    """How dark a line across would be (positions, strips), but for a fraction of its length that may be missing."""
    ridge = _ridge(region[:, MARGIN : region.shape[1] - MARGIN])
    strips = [np.quantile(strip, missing, axis=1) for strip in np.array_split(ridge, n_strips, axis=1)]
    return cv2.GaussianBlur(np.stack(strips, axis=1).astype(np.float32), (1, 9), sigmaX=0.1, sigmaY=1.2)


def _ridge(ink: Ink) -> Ink:
    """How much darker each pixel is than the paper above and below."""
    smooth = cv2.blur(ink, (7, 1))
    best = np.full_like(smooth, -1)
    for reach in REACHES:
        shifted = cv2.copyMakeBorder(smooth, reach, reach, 0, 0, cv2.BORDER_REPLICATE)
        np.maximum(best, smooth - np.maximum(shifted[: -2 * reach], shifted[2 * reach :]), out=best)
    return best


def _follow(evidence: np.ndarray, threshold: float) -> Lines:
    """The paths through strips (positions, strips) along which there is the most evidence, MIN_CELL apart."""
    n_strips = evidence.shape[1]
    forward, came_from = _best_paths(evidence)
    backward, goes_to = (part[:, ::-1] for part in _best_paths(evidence[:, ::-1]))
    middle = n_strips // 2
    score = (forward + backward - evidence)[:, middle] / n_strips
    peaks = np.flatnonzero((score >= ndimage.maximum_filter1d(score, 2 * MIN_CELL + 1)) & (score >= threshold))
    paths: list[np.ndarray] = []
    for start in peaks[np.argsort(-score[peaks], kind="stable")]:
        path = np.empty(n_strips)
        path[middle] = start
        for strip in range(middle, 0, -1):
            path[strip - 1] = came_from[int(path[strip]), strip]
        for strip in range(middle, n_strips - 1):
            path[strip + 1] = goes_to[int(path[strip]), strip]
        ruled = (evidence[path.astype(int), np.arange(n_strips)] > threshold / 2).mean()
        if ruled >= RULED and all(np.abs(path - other).min() >= MIN_CELL for other in paths):
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


def _crossings(rows: Lines, columns: Lines, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Where each of the lines across (rows, strips) and of those down (columns, strips) meet."""
    height, width = shape
    x, y = np.meshgrid(columns.mean(axis=1), rows.mean(axis=1))
    for _ in range(3):
        y = np.stack([_along(line, position, width) for line, position in zip(rows, x, strict=True)])
        x = np.stack([_along(line, position, height) for line, position in zip(columns, y.T, strict=True)]).T
    return np.stack([x, y], axis=-1)


def _along(line: np.ndarray, positions: np.ndarray, length: int) -> np.ndarray:
    """Where a line is at positions along it: straight between the centres of its strips, and on from the outer ones."""
    ends = np.linspace(MARGIN, length - MARGIN, len(line) + 1)
    centres = (ends[:-1] + ends[1:]) / 2
    if len(line) == 1:
        return np.full(len(positions), line[0])
    pieces = np.clip(np.searchsorted(centres, positions) - 1, 0, len(line) - 2)
    slopes = np.diff(line) / np.diff(centres)
    return line[pieces] + slopes[pieces] * (positions - centres[pieces])
