"""A picture -> its ruled tables, and rows of boxes: the cells, and what is written in them.

A cell's ink has the ruling erased and the perspective undone; `scan.normalise` brings it to MNIST's form if it holds
one digit.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from handwriting.pages import erase, perspective, ruling, sheet
from handwriting.pages.ink import Ink
from handwriting.pages.marks import Mark
from handwriting.pages.picture import Picture
from handwriting.pages.ruling import FEWEST_BOXES, Lattice
from handwriting.pages.sheet import Sheet

LOWEST = 14  # pixels of a cell: lower ones lie between strokes of letters
LETTER = 0.4  # of the height of the highest cell on the page
SOLID = 0.8  # of the rules are lines of tables, if these aren't dashed
EVEN = 0.5, 1.6  # of most rows or columns: a narrower one lies between strokes, in a wider one a line is missing
SMALL = 0.3  # of a cell's height: lower marks say nothing
REST = 4  # cells, of a mark that is as long: a rest of a rule
FEW_SQUARES, MANY_SQUARES = 40, 150  # cells: of fewer, a table is made; of more, squared paper
MANY_RULES = 12  # across, and as many down
SPARSE = 0.5  # of squared paper's squares are written in
OVER_LINES = 0.25  # of the marks lie over lines
SAME_ROW = 0.5  # of its height that a box, or a table, shares with another one of its row


class Cell(NamedTuple):
    """A cell of a table."""

    row: int  # from 0
    column: int  # from 0
    box: npt.NDArray[np.float64]  # (4, 2): its corners in the picture, x and y, clockwise from the top left
    ink: Ink  # what is written in it, upright, with a margin: 0 for paper to 1; all 0 in a blank cell
    rows: int = 1  # that it spans
    columns: int = 1

    @property
    def is_blank(self) -> bool:
        return not self.ink.any()


class Table(NamedTuple):
    """Cells row by row, each row from left to right; a position without a cell has none."""

    rows: int
    columns: int
    cells: list[Cell]


def find_tables(picture: Picture) -> list[Table]:
    """The tables and rows of boxes of a picture."""
    return find_on(sheet.straighten(picture))


def find_on(page: Sheet) -> list[Table]:
    """The tables and rows of boxes, in reading order; none if the page has no ruling with anything in it."""
    lattices = _outermost(ruling.find_lattices(page.straight))
    if _may_be_dashed(lattices, page.rules):
        lattices = _find_dashed(page, lattices)
    lattices = [one for one in lattices if _cell_height(one) >= LOWEST and not _is_squared_paper(one, page.marks)]
    across = sum(len(lattice.corners) for lattice in lattices)
    is_paper = min(page.rules) >= MANY_RULES or (page.rules[0] > 2 * across and page.rules[1] < 2)
    if is_paper and _count_inside(lattices, page.marks) < len(page.marks) / 2:
        return []  # squared or lined, a part of which looks like a table
    ink, back = page.ink, page.back
    grids = [lattice for lattice in lattices if lattice.closed.size > 1]
    boxes = [lattice for lattice in lattices if lattice.closed.size == 1]
    if grids and len(boxes) < FEWEST_BOXES:  # letters beside a table
        boxes = []
    grids, boxes = _without_letters(grids), _without_letters(boxes)
    if len(boxes) < FEWEST_BOXES and _count_inside(boxes, page.marks) < len(page.marks) / 2:
        boxes = []
    found = [(lattice.corners, _read_grid(ink, lattice, back)) for lattice in grids]
    if boxes:
        outlines = [box.corners for box in boxes]
        rows = [[boxes[number] for number in row] for row in _in_rows(outlines)]
        found.append((np.concatenate(outlines), _read_boxes(ink, rows, back)))
    found = [pair for pair in found if not all(cell.is_blank for cell in pair[1].cells)]
    return [found[number][1] for row in _in_rows([corners for corners, _ in found]) for number in row]


def _may_be_dashed(lattices: list[Lattice], rules: tuple[int, int]) -> bool:
    """Whether rules are left over, or tables stand apart that may be one."""
    lines = _count_lines(lattices)
    is_left = all(count < SOLID * rule for count, rule in zip(lines, rules, strict=True))  # text may look like rules
    return is_left or sum(lattice.closed.size > 1 for lattice in lattices) > 1


def _find_dashed(page: Sheet, lattices: list[Lattice]) -> list[Lattice]:
    """What is found where gaps in rules are filled; the lattices themselves if that shows no more of the tables."""
    of_all, of_rules = (
        _outermost(ruling.find_lattices(ink, page.bridge)) for ink in (page.straight, page.straight - page.written)
    )
    fewest = max(1 + ruling.count_cells(lattices), ruling.count_cells(of_rules) * _is_one_table(of_rules))
    if _is_one_table(of_all) and ruling.count_cells(of_all) >= fewest and _is_even(of_all[0]):
        return of_all
    if _is_one_table(of_rules) and _count_lines(of_rules) == page.rules and _is_even(of_rules[0]):
        return of_rules
    return of_all if sum(_count_lines(lattices)) < sum(_count_lines(of_all)) <= sum(page.rules) + 2 else lattices


def _is_one_table(lattices: list[Lattice]) -> bool:
    """Whether it is a single table whose cells are ruled all around."""
    return len(lattices) == 1 and min(lattices[0].closed.shape) > 1 and bool((lattices[0].sides == 4).all())


def _is_even(lattice: Lattice) -> bool:
    """Whether its rows, and its columns, are of about one size."""
    sizes = [np.diff(lattice.corners[..., axis].mean(axis=axis)) for axis in (0, 1)]
    return all(EVEN[0] <= size.min() / np.median(size) and size.max() / np.median(size) <= EVEN[1] for size in sizes)


def _count_lines(lattices: list[Lattice]) -> tuple[int, int]:
    """How many lines across and down the tables have, boxes aside."""
    across, down = (sum(one.corners.shape[axis] for one in lattices if one.closed.size > 1) for axis in (0, 1))
    return across, down


def _count_inside(lattices: list[Lattice], marks: list[Mark]) -> int:
    middles = np.array([((mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2) for mark in marks]).reshape(-1, 2)
    corners = [lattice.corners.reshape(-1, 2) for lattice in lattices]
    return sum(int(((one.min(axis=0) < middles) & (middles < one.max(axis=0))).all(axis=1).sum()) for one in corners)


def _without_letters(lattices: list[Lattice]) -> list[Lattice]:
    """Without those whose cells are much lower than others'."""
    highest = max(map(_cell_height, lattices), default=0)
    return [one for one in lattices if _cell_height(one) >= LETTER * highest]


def _cell_height(lattice: Lattice) -> float:
    return float(np.median(np.diff(lattice.corners[..., 1], axis=0)))


def _is_squared_paper(lattice: Lattice, marks: list[Mark]) -> bool:
    """Whether what is written lies over the lines, or in few of many squares: then these are no cells."""
    lines = [np.sort(lattice.corners[..., axis].mean(axis=axis)) for axis in (0, 1)]
    width, height = (np.median(np.diff(positions)) for positions in lines)
    written = [mark for mark in marks if SMALL * height <= mark.height < REST * height and mark.width < REST * width]
    boxes = np.array([mark[1:] for mark in written]).reshape(-1, 2, 2)
    middles, inset = boxes.mean(axis=1), 0.2 * np.diff(boxes, axis=1)[:, 0]
    inside = np.all(
        [(middles[:, axis] > lines[axis][0]) & (middles[:, axis] < lines[axis][-1]) for axis in (0, 1)], axis=0
    )
    if not inside.any() or lattice.closed.size < FEW_SQUARES:
        return False
    starts, ends, cells = (
        np.stack([np.searchsorted(lines[axis], points[inside, axis]) for axis in (0, 1)], axis=1)
        for points in (boxes[:, 0] + inset, boxes[:, 1] - inset, middles)
    )
    is_sparse = len(np.unique(cells, axis=0)) < SPARSE * lattice.closed.size
    is_square = lattice.closed.size >= MANY_SQUARES and 0.8 < width / height < 1.25
    return (is_sparse and is_square) or bool((starts != ends).any(axis=1).mean() > OVER_LINES)


def _outermost(lattices: list[Lattice]) -> list[Lattice]:
    """Without those that lie inside a table: a 0 in a cell looks like a box."""
    kept: list[Lattice] = []
    for one in sorted(lattices, key=lambda lattice: -lattice.closed.size):
        if not any(_contains(grid, one) for grid in kept if grid.closed.size > 1):
            kept.append(one)
    return kept


def _contains(outer: Lattice, inner: Lattice) -> bool:
    middle = inner.corners.reshape(-1, 2).mean(axis=0)
    corners = outer.corners.reshape(-1, 2)
    return bool((corners.min(axis=0) < middle).all() and (middle < corners.max(axis=0)).all())


def _read_grid(ink: Ink, lattice: Lattice, back: perspective.Matrix) -> Table:
    corners = perspective.transform(back, lattice.corners)
    merged = lattice.merged
    cells = []
    for number, one in enumerate(erase.cell_inks(ink, corners, merged)):
        down, across = np.nonzero(merged == number)
        if lattice.closed[down, across].any():
            place = int(down[0]), int(across[0])
            spans = int(np.ptp(down)) + 1, int(np.ptp(across)) + 1
            cells.append(Cell(*place, _box(corners, *place, *spans), one, *spans))
    rows, columns = merged.shape
    return Table(rows, columns, cells)


def _box(corners: np.ndarray, row: int, column: int, rows: int = 1, columns: int = 1) -> np.ndarray:
    return np.stack(
        [corners[row + down, column + right] for down, right in ((0, 0), (0, columns), (rows, columns), (rows, 0))]
    )


def _in_rows(outlines: list[np.ndarray]) -> list[list[int]]:
    """The numbers of outlines (..., 2) in rows from top to bottom, each from left to right."""
    tops, bottoms = ([one[..., 1].min() for one in outlines], [one[..., 1].max() for one in outlines])
    rows: list[list[int]] = []
    for one in np.argsort([outline[..., 1].mean() for outline in outlines], kind="stable").tolist():
        last = rows[-1][-1] if rows else one
        shared = min(bottoms[one], bottoms[last]) - max(tops[one], tops[last])
        if rows and shared >= SAME_ROW * min(bottoms[one] - tops[one], bottoms[last] - tops[last]):
            rows[-1].append(one)
        else:
            rows.append([one])
    return [sorted(row, key=lambda one: outlines[one][..., 0].mean()) for row in rows]


def _read_boxes(ink: Ink, rows: list[list[Lattice]], back: perspective.Matrix) -> Table:
    cells = []
    for row, boxes in enumerate(rows):
        for column, box in enumerate(boxes):
            corners = perspective.transform(back, box.corners)
            cells.append(
                Cell(row, column, _box(corners, 0, 0), erase.cell_inks(ink, corners, np.zeros((1, 1), int))[0])
            )
    return Table(len(rows), max(map(len, rows)), cells)
