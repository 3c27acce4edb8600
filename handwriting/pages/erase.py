"""A table's lattice and the picture's ink -> the ink of each cell, straightened, with the ruling erased."""

from itertools import pairwise, product
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages.ink import Ink

CELL_SIDE = 64  # pixels of the shorter side of a straightened cell, where the picture has as many
ENLARGE = 1.5  # at most, where it has fewer
PAD = 0.35  # of a cell: how far a digit may reach into the next one
REACH = 0.2  # of a cell: a line is looked for that far from where it should be
BESIDE = 0.3  # of a line's darkness: its edge
NOISE_LEVELS = 4  # standard deviations of the paper that ink must exceed
MIN_INK = 0.06  # of the paper's brightness: what differs less is no ink
MIN_DIGIT = 0.1  # the same, of the darkest ink of a cell that isn't blank
FAINT = 0.35  # of a cell's darkest ink: fainter ink is blur or shows through
OWN = 0.7  # of a mark's ink lies in its cell, or the mark is cut at the line
EDGE = 0.2  # of a cell: what lies as near to a line is a rest of it
SPECK = 0.12  # of a cell: smaller marks are dirt

Corners = npt.NDArray[np.float64]  # (rows + 1, columns + 1, 2), x and y of the crossings of a table's lines


class Straightened(NamedTuple):
    """A table's ink with its lines along pixels, with a margin around it."""

    ink: Ink
    rows: npt.NDArray[np.int64]  # (rows + 1,) positions of the lines across, in pixels from the top
    columns: npt.NDArray[np.int64]  # (columns + 1,)


def cell_inks(ink: Ink, corners: Corners, merged: npt.NDArray[np.int64]) -> list[Ink]:
    """The ink of each cell: what is written in it, 0 elsewhere; with a margin of PAD of the cell.

    `merged` (rows, columns) has the number, from 0, of the cell to which each position belongs.
    """
    table = straighten(ink, corners)
    limits, is_blank = _thresholds(table)
    _erase_lines(table, limits)
    blank = np.bincount(merged.ravel(), ~is_blank.ravel()) == 0
    owners = _owners(table, limits, merged + 1, blank)
    pad = _pad(table)
    return [_cut(table, owners, pad, merged, number) for number in range(merged.max() + 1)]


def straighten(ink: Ink, corners: Corners) -> Straightened:
    """The table with its lines along pixels; cells keep their proportions."""
    widths = np.median(np.hypot(*np.moveaxis(np.diff(corners, axis=1), -1, 0)), axis=0)
    heights = np.median(np.hypot(*np.moveaxis(np.diff(corners, axis=0), -1, 0)), axis=1)
    scale = min(ENLARGE, CELL_SIDE / min(np.median(widths), np.median(heights)))
    margin = 2 + round(PAD * scale * max(np.median(widths), np.median(heights)))
    columns = margin + np.round(np.concatenate([[0], np.cumsum(widths * scale)])).astype(int)
    rows = margin + np.round(np.concatenate([[0], np.cumsum(heights * scale)])).astype(int)
    down, across = _hats(rows, rows[-1] + margin), _hats(columns, columns[-1] + margin)
    shrink = min(1.0, scale)
    if shrink < 1:  # at once, by averages: a remap that skips pixels would lose thin strokes
        ink = cv2.resize(ink, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    x, y = (((down @ corners[..., axis] @ across.T + 0.5) * shrink - 0.5).astype(np.float32) for axis in (0, 1))
    straight = cv2.remap(ink, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Straightened(straight, rows, columns)


def _hats(knots: np.ndarray, length: int) -> np.ndarray:
    """Weights (length, knots) that interpolate between knots along pixels, and extrapolate beyond."""
    pixels = np.arange(length)
    piece = np.clip(np.searchsorted(knots, pixels, side="right") - 1, 0, len(knots) - 2)
    part = (pixels - knots[piece]) / (knots[piece + 1] - knots[piece])
    weights = np.zeros((length, len(knots)))
    weights[pixels, piece], weights[pixels, piece + 1] = 1 - part, part
    return weights


def _pad(table: Straightened) -> int:
    return round(PAD * min(np.median(np.diff(table.rows)), np.median(np.diff(table.columns))))


def _thresholds(table: Straightened) -> tuple[Ink, npt.NDArray[np.bool_]]:
    """Above what each pixel is ink: a fraction of its cell's darkest ink, or of all cells' in a blank cell.

    Ink in a blank cell may only be what reaches into it from another one; also which cells are blank.
    """
    ink, noise = table.ink, _noise(table)
    base, needed = max(MIN_INK, NOISE_LEVELS * noise), max(MIN_DIGIT, 1.5 * NOISE_LEVELS * noise)
    limits = np.empty(ink.shape, dtype=np.float32)
    darkest = np.empty((len(table.rows) - 1, len(table.columns) - 1))
    rows, columns = _outer(table.rows, ink.shape[0]), _outer(table.columns, ink.shape[1])
    smooth = cv2.GaussianBlur(ink, (0, 0), 0.8)
    for row, (top, bottom) in enumerate(zip(table.rows[:-1], table.rows[1:], strict=True)):
        for column, (left, right) in enumerate(zip(table.columns[:-1], table.columns[1:], strict=True)):
            inset_y, inset_x = max(2, (bottom - top) // 7), max(2, (right - left) // 7)
            inside = smooth[top + inset_y : bottom - inset_y, left + inset_x : right - inset_x]
            few = max(4, inside.size // 150)
            darkest[row, column] = np.partition(inside, -few, axis=None)[-few]
    is_blank = darkest < needed
    usual = float(np.median(darkest[~is_blank])) if not is_blank.all() else needed
    for row, column in np.ndindex(darkest.shape):
        part = slice(rows[row], rows[row + 1]), slice(columns[column], columns[column + 1])
        limits[part] = max(base, FAINT * (usual if is_blank[row, column] else darkest[row, column]))
    return limits, is_blank


def _outer(lines: np.ndarray, length: int) -> np.ndarray:
    """The lines, the outer ones moved to the edges of the picture."""
    return np.concatenate([[0], lines[1:-1], [length]])


def _noise(table: Straightened) -> float:
    """The standard deviation of the paper between the lines."""
    inside = table.ink[table.rows[0] : table.rows[-1], table.columns[0] : table.columns[-1]]
    high = inside - cv2.blur(inside, (5, 5))
    return 1.4826 * float(np.median(np.abs(high)))


def _erase_lines(table: Straightened, limits: Ink) -> None:
    """Erase the ruling, but for what crosses it, in place."""
    across = _measure(table.ink, limits, table.rows, table.columns)
    down = _measure(table.ink.T, limits.T, table.columns, table.rows)
    _erase(table.ink, limits, across, _outer(table.columns, table.ink.shape[1]))
    _erase(table.ink.T, limits.T, down, _outer(table.rows, table.ink.shape[0]))
    for row, column in np.ndindex(len(table.rows), len(table.columns)):
        beside = across[row, max(0, column - 1) : column + 1], down[column, max(0, row - 1) : row + 1]
        (top, bottom), (left, right) = ((one[:, 0].min(), one[:, 1].max()) for one in beside)
        table.ink[top:bottom, left:right] = 0


def _measure(ink: Ink, limits: Ink, lines: np.ndarray, along: np.ndarray) -> npt.NDArray[np.int64]:
    """The first row of each piece of a line across, and the first row after it: (lines, pieces, 2)."""
    reach = max(3, round(REACH * np.median(np.diff(lines))))
    found = np.empty((len(lines), len(along) - 1, 2), dtype=np.int64)
    for (number, line), (piece, start) in product(enumerate(lines), enumerate(along[:-1])):
        inset = (along[piece + 1] - start) // 8
        top = max(0, line - reach)
        box = slice(top, line + reach + 1), slice(start + inset, along[piece + 1] - inset)
        rank = (box[1].stop - box[1].start) * 35 // 100
        profile = np.partition(ink[box], rank, axis=1)[:, rank]  # np.quantile takes twice as long
        nearness = 1 - np.abs(np.arange(len(profile)) + top - line) / (2 * reach)
        peak = int(np.argmax(profile * nearness))
        beside = np.flatnonzero(profile <= max(MIN_INK / 2, min(BESIDE * profile[peak], limits[box].min() / 2)))
        position = int(np.searchsorted(beside, peak))
        first = beside[position - 1] if position else 0
        last = beside[position] if position < len(beside) else len(profile) - 1
        is_ruled = position == len(beside) or beside[position] != peak
        found[number, piece] = (top + first, top + last + 1) if is_ruled else (line, line)
    return found


def _erase(ink: Ink, limits: Ink, pieces: np.ndarray, edges: np.ndarray) -> None:
    """Erase the pieces of lines across, between the edges, in place."""
    for piece, (start, end) in enumerate(pairwise(edges)):
        for first, last in pieces[:, piece]:
            if first == last:
                continue
            crossed = np.zeros(end - start, dtype=bool)
            if first > 0 and last < len(ink):
                above, below = (
                    (ink[row, start:end] > limits[row, start:end]).astype(np.uint8)[None] for row in (first - 1, last)
                )
                near = np.ones((1, (last - first) | 1), np.uint8)  # a stroke may cross at a slant
                crossed = (cv2.dilate(above, near) & cv2.dilate(below, near))[0] > 0
            ink[first:last, start:end] *= crossed


def _owners(
    table: Straightened, limits: Ink, numbers: npt.NDArray[np.int64], is_blank: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """The number, from 1, of the cell to which each pixel's ink belongs; 0 where there is none."""
    mask = table.ink > limits
    row = np.searchsorted(table.rows, np.arange(mask.shape[0]), side="right") - 1
    column = np.searchsorted(table.columns, np.arange(mask.shape[1]), side="right") - 1
    last = np.array(numbers.shape) - 1
    cells = numbers[row.clip(0, last[0])[:, None], column.clip(0, last[1])].astype(np.int32)
    cells[: table.rows[0]] = cells[table.rows[-1] :] = 0
    cells[:, : table.columns[0]] = cells[:, table.columns[-1] :] = 0
    n, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    counts = np.zeros((n, cells.max() + 1), dtype=np.int32)
    np.add.at(counts, (labels[mask], cells[mask]), 1)
    owner = np.where(counts.max(axis=1) >= OWN * counts.sum(axis=1), counts.argmax(axis=1), -1)
    owner[0] = 0
    owners = owner[labels].astype(np.int32)
    owners = np.where(owners < 0, cells, owners)
    owners[np.concatenate([[False], is_blank])[owners]] = 0
    return owners


def _cut(table: Straightened, owners: np.ndarray, pad: int, merged: np.ndarray, number: int) -> Ink:
    rows, columns = np.nonzero(merged == number)
    box = (
        slice(max(0, table.rows[rows[0]] - pad), table.rows[rows[-1] + 1] + pad),
        slice(max(0, table.columns[columns[0]] - pad), table.columns[columns[-1] + 1] + pad),
    )
    own = (owners[box] == number + 1).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    side = pad / PAD
    starts, ends = stats[:, [1, 0]], stats[:, [1, 0]] + stats[:, [3, 2]]
    first = np.array([table.rows[rows[0]], table.columns[columns[0]]]) - [box[0].start, box[1].start]
    last = np.array([table.rows[rows[-1] + 1], table.columns[columns[-1] + 1]]) - [box[0].start, box[1].start]
    is_dirt = (ends - starts < SPECK * side).all(axis=1)
    is_dirt |= ((ends < first + EDGE * side) | (starts > last - EDGE * side)).any(axis=1)
    own[is_dirt[labels]] = 0
    near = cv2.dilate(own, np.ones((3, 3), np.uint8)) & ((owners[box] == 0) | (own > 0))
    return np.where(near > 0, table.ink[box], 0).clip(0, None).astype(np.float32)
