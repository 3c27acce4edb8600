"""A picture whose rulings run along its rows and columns -> its tables and boxes: where their lines cross."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy import sparse

from handwriting.pages.ink import Ink, noise
from handwriting.pages.lines import (
    MARGIN,
    MIN_CELL,
    MIN_CONTRAST,
    OPEN,
    RULED,
    Lines,
    find_crossings,
    find_lines,
    measure_evidence,
    measure_ridge,
)

PIECE = 1 / 70  # of the longer side: a piece of ruling is at least that long, and SHORTEST pixels
SHORTEST = 14
NOISE_LEVELS = 4  # standard deviations of the paper that a ruling must exceed
FAINT = 0.35  # the same of one that must be there
AS_DARK = 0.5  # as most of its line a side must be: thick lines and hairlines meet in a table
ABSENT = 0.1  # the same: a side that is less dark isn't ruled, and its cells are one
CLEAR = 0.12  # of the paper's brightness: a fainter line may be lost in places
WHOLE = 0.8  # of the cells along an edge have three sides or four
CUT = 0.4  # of a cell, at least, lies behind the last line that is seen
MOST_OPEN = 12  # cells that are added at an edge
STRAY, REGULAR = 0.12, 4  # of a cell, by which those of a regular ruling differ; its lines, at least
COVERED = 0.7  # of a region, by known tables
CLOSE = 4  # pixels between the parts of a table
CLOSEST_BOXES = 5  # pixels between the lines of two boxes
FEWEST_BOXES = 3  # on a page
SMALLEST_BOX = 22  # pixels of its sides: letters look like smaller ones

Region = tuple[int, int, int, int]  # left, top, right and bottom
Ridges = tuple[Ink, Ink]  # of a picture, for lines across, and of its transpose, for lines down; with a MARGIN


class Lattice(NamedTuple):
    """The crossings of a table's lines, and which sides of the cells between them are ruled."""

    corners: npt.NDArray[np.float64]  # (rows + 1, columns + 1, 2), x and y
    across: npt.NDArray[np.float64]  # (rows + 1, columns), how dark, as a fraction of the line's
    down: npt.NDArray[np.float64]  # (rows, columns + 1)

    @property
    def sides(self) -> npt.NDArray[np.int64]:
        """How many sides of each cell (rows, columns) are ruled, 0 to 4."""
        across, down = self.across > AS_DARK, self.down > AS_DARK
        return across[:-1].astype(int) + across[1:] + down[:, :-1] + down[:, 1:]

    @property
    def closed(self) -> npt.NDArray[np.bool_]:
        """Which of the cells (rows, columns) are some."""
        return self.sides >= 2

    @property
    def merged(self) -> npt.NDArray[np.int64]:
        """For each cell (rows, columns) a number, from 0 and row by row: cells with no line between them share one."""
        rows, columns = self.closed.shape
        cells = np.arange(rows * columns).reshape(rows, columns)
        beside = np.stack([cells[:, :-1], cells[:, 1:]])[:, self.down[:, 1:-1] < ABSENT]
        below = np.stack([cells[:-1], cells[1:]])[:, self.across[1:-1] < ABSENT]
        pairs = np.hstack([beside, below]).T
        graph = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(cells.size, cells.size))
        labels = sparse.csgraph.connected_components(graph, directed=False)[1].reshape(cells.shape)
        numbers = cells.copy()
        for label in np.flatnonzero(np.bincount(labels.ravel()) > 1):
            row, column = np.nonzero(labels == label)
            if len(row) == (np.ptp(row) + 1) * (np.ptp(column) + 1):  # otherwise a line is too faint
                numbers[row, column] = cells[row[0], column[0]]
        return np.unique(numbers, return_inverse=True)[1].reshape(cells.shape)

    @property
    def is_whole(self) -> bool:
        """Whether the outermost cells are ruled all around, but for some sides."""
        outermost = (self.sides[0], self.sides[-1], self.sides[:, 0], self.sides[:, -1])
        return min((sides >= 3).mean() for sides in outermost) >= WHOLE


def find_lattices(ink: Ink, bridge: int = 1) -> list[Lattice]:
    """The tables and boxes, in no order; gaps in rules that are shorter than `bridge` pixels are filled."""
    padded = cv2.copyMakeBorder(ink, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=0)
    parts = _bridged(padded, bridge), _bridged(padded.T, bridge)
    ridges, lattices = (measure_ridge(parts[0]), measure_ridge(parts[1])), list[Lattice]()
    length = max(SHORTEST, round(max(ink.shape) * PIECE))
    high = _high(parts[0], length), _high(parts[1], length)
    for evidence in (ridges, high):  # the first finds what is faint beside digits, but takes text for lines
        for region in _regions(evidence, length):
            known = [one for one in lattices if _touch(region, _bounds(one))]
            covered = sum(_area(_bounds(one)) for one in known)
            found = [] if covered > COVERED * _area(region) else _find_in(ridges, region, lattices)
            if count_cells(found) > count_cells(known):
                lattices = [one for one in lattices if not any(one is other for other in known)]
                lattices += [_with_open_ends(ridges, one) for one in found]
    return lattices


def count_cells(lattices: list[Lattice]) -> int:
    """How many cells they have together."""
    return sum(int(one.closed.sum()) for one in lattices)


def _find_in(ridges: Ridges, region: Region, found: list[Lattice]) -> list[Lattice]:
    """The table or the boxes of a region, and of a page with those that are found."""
    lattice = _lattice(ridges, region)
    boxes = _row_of_boxes(ridges, region, found) if lattice is None or len(lattice.closed) == 1 else []
    if boxes or lattice is None:
        return boxes
    closer = _lattice(ridges, _bounds(lattice))  # without the text beside it
    if closer is not None and (_is_alike(closer, lattice) or len(_apart(closer)) > 1):
        lattice = closer
    wider = _lattice(ridges, _bounds(lattice, 1))  # with what was cut off
    return _apart(wider if wider is not None and _completes(wider, lattice) else lattice)


def _row_of_boxes(ridges: Ridges, region: Region, found: list[Lattice]) -> list[Lattice]:
    """Boxes whose lines are faint or close together; none if they are few, or small ones: letters look like these."""
    lattice = _lattice(ridges, region, FAINT, CLOSEST_BOXES)
    boxes = [] if lattice is None else [_outline(part) for part in _apart(lattice)]
    are_few = len(boxes) + sum(one.closed.size == 1 for one in found) < FEWEST_BOXES
    are_boxes = all(box.sides[0, 0] == 4 and np.ptp(box.corners, axis=(0, 1)).min() >= SMALLEST_BOX for box in boxes)
    return boxes if are_boxes and not are_few else []


def _outline(lattice: Lattice) -> Lattice:
    """Its outermost lines only: those between are strokes of a digit."""
    corners, across, down = lattice
    ends = np.ix_([0, -1], [0, -1])
    return Lattice(
        corners[ends], across[[0, -1]].mean(axis=1, keepdims=True), down[:, [0, -1]].mean(axis=0, keepdims=True)
    )


def _area(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def _high(part: Ink, length: int) -> Ink:
    """How much darker than all around each pixel is, after a blur across."""
    smooth = cv2.blur(part, (length // 2, 1))
    return cv2.GaussianBlur(smooth, (1, 5), sigmaX=0.1, sigmaY=0.8) - cv2.blur(smooth, (1, 2 * length + 1))


def _apart(lattice: Lattice) -> list[Lattice]:
    """A row of boxes as one each: between them, nothing is ruled from one line down to the next."""
    starts = np.flatnonzero((lattice.across > AS_DARK).any(axis=0))
    if len(starts) == lattice.across.shape[1]:
        return [lattice]
    groups = np.split(starts, 1 + np.flatnonzero(np.diff(starts) > 1))
    return [
        Lattice(lattice.corners[:, one[0] : one[-1] + 2], lattice.across[:, one], lattice.down[:, one[0] : one[-1] + 2])
        for one in groups
        if len(one)
    ]


def _with_open_ends(ridges: Ridges, lattice: Lattice) -> Lattice:
    """With the cells at an edge whose last line isn't seen: the picture ends there, or it is too faint."""
    corners, across, down = lattice
    is_box = lattice.closed.size == 1  # or a letter
    for ridge in ridges:  # lines across, then those down
        for _ in range(2):  # their ends, then their beginnings
            for _ in range(MOST_OPEN):
                step = corners[:, -1] - corners[:, -2]
                end = _reach(ridge, corners[:, -1], step) if np.hypot(*step.T).min() >= SHORTEST * (1 + is_box) else 0
                if end < CUT:
                    break
                corners = np.concatenate([corners, (corners[:, -1] + step * end)[:, None]], axis=1)
                across, down = (np.concatenate([ruled, np.ones((len(ruled), 1))], axis=1) for ruled in (across, down))
                if end < 1:
                    break
            corners, across, down = corners[:, ::-1], across[:, ::-1], down[:, ::-1]
        corners, across, down = corners.swapaxes(0, 1)[..., ::-1], down.T, across.T
    return Lattice(corners, across, down)


def _reach(ridge: Ink, starts: np.ndarray, steps: np.ndarray) -> float:
    """How far most lines go on from their starts (lines, 2), in steps, at most 1."""
    points = starts[:, None] + steps[:, None] * np.linspace(0.06, 1, 48)[:, None] + MARGIN
    x, y = np.moveaxis(points.round().astype(int), -1, 0)
    rows = [(y + off).clip(0, ridge.shape[0] - 1) for off in range(-2, 3)]
    dark = np.max([ridge[row, x.clip(0, ridge.shape[1] - 1)] for row in rows], axis=0) > MIN_CONTRAST
    return float(np.quantile(np.cumprod(dark, axis=1).mean(axis=1), 0.25))


def _bridged(ink: Ink, length: int) -> Ink:
    return ink if length == 1 else cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, length), np.uint8))


def _is_alike(one: Lattice, other: Lattice) -> bool:
    """Whether it has no line more than twice: a box in which digits reach from line to line would."""
    return bool((np.array(one.closed.shape) < 1.5 * np.array(other.closed.shape) + 1).all())


def _completes(wider: Lattice, lattice: Lattice) -> bool:
    """Whether the wider one is the same with a line more, or a few: at most one on each side."""
    more = np.subtract(wider.sides.shape, lattice.sides.shape)
    return wider.is_whole and wider.closed.sum() > lattice.closed.sum() and bool(((more >= 0) & (more <= 2)).all())


def _bounds(lattice: Lattice, cells: int = 0) -> Region:
    """The box of a lattice, and of that many more cells on each side."""
    (left, top), (right, bottom) = (
        getattr(lattice.corners.reshape(-1, 2), end)(axis=0).round().astype(int) for end in ("min", "max")
    )
    rows, columns = lattice.closed.shape
    across, down = (cells * (right - left) // columns, cells * (bottom - top) // rows)
    return left - across, top - down, right + 1 + across, bottom + 1 + down


def _regions(evidence: Ridges, length: int) -> list[Region]:
    """The left, top, right and bottom of each set of rulings that cross: at least two across and two down."""
    inner = slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN)
    (_, across, across_stats, _), (_, down, down_stats, _) = (
        cv2.connectedComponentsWithStats(mask, connectivity=8)
        for mask in _pieces((evidence[0][inner], evidence[1][inner]), length)
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
    regions: list[Region] = []
    for group in np.unique(groups[pairs[:, 0]]):
        members = pairs[groups[pairs[:, 0]] == group]
        rows, columns = across_stats[np.unique(members[:, 0])], down_stats[np.unique(members[:, 1])]
        left, top = int(columns[:, 0].min()), int(rows[:, 1].min())
        right, bottom = int((columns[:, 0] + columns[:, 2]).max()), int((rows[:, 1] + rows[:, 3]).max())
        if min(right - left, bottom - top) >= length:
            regions.append((left, top, right, bottom))
    return _merge(regions)


def _merge(regions: list[Region]) -> list[Region]:
    """Regions that touch as one: a broken line leaves the parts of a table apart."""
    merged: list[Region] = []
    for region in regions:
        while other := next((other for other in merged if _touch(region, other)), None):
            merged.remove(other)
            (left, top), (right, bottom) = map(min, region[:2], other[:2]), map(max, region[2:], other[2:])
            region = (left, top, right, bottom)
        merged.append(region)
    return merged


def _touch(a: Region, b: Region) -> bool:
    return all(max(a[axis], b[axis]) <= min(a[axis + 2], b[axis + 2]) + CLOSE for axis in (0, 1))


def _pieces(evidence: Ridges, length: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Where there is a piece of ruling across, and where there is one down."""
    masks = []
    for part in evidence:
        dark = (part > max(NOISE_LEVELS * noise(part), MIN_CONTRAST)).astype(np.uint8)
        thick = cv2.dilate(dark, np.ones((3, 1), np.uint8))
        masks.append(cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, length), np.uint8)))
    return masks[0], np.ascontiguousarray(masks[1].T)


def _lattice(ridges: Ridges, box: Region, missing: float = OPEN, closest: int = MIN_CELL) -> Lattice | None:
    """The lattice in a box of the picture, which has a margin here but not in the result."""
    left, top, right, bottom = np.array(box).clip(0)
    across = ridges[0][top : bottom + 2 * MARGIN, left : right + 2 * MARGIN]
    down = ridges[1][left : right + 2 * MARGIN, top : bottom + 2 * MARGIN]
    ridges = across, down
    rows, columns = _ruled_lines(ridges, *(find_lines(ridge, missing, closest) for ridge in (across, down)))
    if len(rows) < 2 or len(columns) < 2:
        return None
    rows, columns = (_complete(part, _without_strays(lines)) for part, lines in ((across, rows), (down, columns)))
    corners = find_crossings(rows, columns, across.shape)
    return Lattice(corners + np.array([left, top]) - MARGIN, *_ruled_sides(ridges, corners))


def _ruled_lines(ridges: Ridges, rows: Lines, columns: Lines) -> tuple[Lines, Lines]:
    """Without the lines that aren't ruled between the others: a text's, or a column's of digits."""
    while len(rows) >= 2 and len(columns) >= 2:
        corners = find_crossings(rows, columns, ridges[0].shape)
        across, down = (dark > AS_DARK for dark in _ruled_sides(ridges, corners))
        of_rows = across.sum(axis=1) / max(1, across.any(axis=0).sum())  # boxes leave gaps between them
        of_columns = down.mean(axis=0)
        for of_lines, along, beside in ((of_rows, across, down), (of_columns, down.T, across.T)):
            for end in (0, -1):  # no cells behind it, but for a head or foot of merged ones
                if not (beside[end, [0, -1]].any() and along[end].mean() >= WHOLE):
                    of_lines[end] = min(of_lines[end], beside[end].mean())
        if min(of_rows.min(), of_columns.min()) >= RULED:
            break
        if of_rows.min() < of_columns.min():
            rows = np.delete(rows, of_rows.argmin(), axis=0)
        else:
            columns = np.delete(columns, of_columns.argmin(), axis=0)
    return rows, columns


def _without_strays(lines: Lines) -> Lines:
    """Without what halves a cell of a regular ruling: a stroke as high as the cell."""
    unit, kept = np.median(np.diff(lines.mean(axis=1))), lines
    while True:
        gaps = np.diff(kept.mean(axis=1))
        pairs = gaps[:-1] + gaps[1:]
        strays = 1 + np.flatnonzero((np.abs(pairs / unit - 1) < STRAY) & (np.maximum(gaps[:-1], gaps[1:]) < 0.8 * unit))
        if not len(strays):
            break
        kept = np.delete(kept, strays[0], axis=0)  # the first only: next to it, a line between two strays seems one
    return kept if len(kept) > REGULAR and (np.abs(gaps / unit - 1) < STRAY).all() else lines


def _complete(ridge: Ink, lines: Lines) -> Lines:
    """With the faint lines of a regular ruling: they are looked for where there should be some."""
    gaps = np.diff(lines.mean(axis=1))
    unit = float(np.median(gaps[gaps < 1.3 * gaps.min()]))
    parts = np.round(gaps / unit).astype(int)
    if (np.abs(gaps / unit - parts) > 0.2).any() or parts.max() == 1 or unit < 2 * MIN_CELL:
        return lines
    evidence = measure_evidence(ridge, lines.shape[1], FAINT)
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


def _ruled_sides(ridges: Ridges, corners: np.ndarray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How dark the sides of the cells are: those across (rows + 1, columns), and those down (rows, columns + 1)."""
    return _sides(ridges[0], corners), _sides(ridges[1], corners.swapaxes(0, 1)[..., ::-1]).T


def _sides(ridge: Ink, corners: np.ndarray) -> npt.NDArray[np.float64]:
    """How dark the sides of cells along lines across (lines, pieces) are, as a fraction of what most of a line is."""
    part = np.linspace(0.12, 0.88, 24)[:, None]
    points = corners[:, :-1, None] * (1 - part) + corners[:, 1:, None] * part  # (lines, pieces, 24, 2)
    x, y = np.moveaxis(points.round().astype(int), -1, 0)
    best = np.full(x.shape, -1.0)
    for off in range(-2, 3):
        inside = ridge[(y + off).clip(0, ridge.shape[0] - 1), x.clip(0, ridge.shape[1] - 1)]
        np.maximum(best, inside, out=best)
    dark = np.quantile(best, 2 * OPEN, axis=-1)
    usual = np.maximum(MIN_CONTRAST, np.median(dark, axis=1, keepdims=True))
    is_absent = (np.quantile(best, 1 - 2 * OPEN, axis=-1) < 2 * ABSENT * usual) & (usual > CLEAR)
    return np.where(is_absent, 0, np.maximum(dark / usual, ABSENT))
