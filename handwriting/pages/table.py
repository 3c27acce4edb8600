"""A picture -> its ruled tables, and rows of boxes: the cells, and what is written in them.

A cell's ink has the ruling erased and the perspective undone; `scan.normalise` brings it to MNIST's form if it holds
one digit.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages import erase, perspective, ruling
from handwriting.pages.ink import Ink, measure, resize
from handwriting.pages.picture import Picture
from handwriting.pages.ruling import Lattice

OVERVIEW = 1800  # pixels of the longer side of the picture in which rulings are looked for
FEWEST_BOXES = 3  # beside a table
SAME_ROW = 0.5  # of a box's height that two boxes of a row share


class Cell(NamedTuple):
    """A cell of a table."""

    row: int  # from 0
    column: int  # from 0
    box: npt.NDArray[np.float64]  # (4, 2): its corners in the picture, x and y, clockwise from the top left
    ink: Ink  # what is written in it, upright, with a margin: 0 for paper to 1; all 0 in a blank cell

    @property
    def is_blank(self) -> bool:
        return not self.ink.any()


class Table(NamedTuple):
    """Cells row by row, each row from left to right; a position without a cell has none."""

    rows: int
    columns: int
    cells: list[Cell]


def find_tables(picture: Picture) -> list[Table]:
    """The tables and rows of boxes from top to bottom; none if the picture has no ruling with anything in it.

    They are dark on light, or all light on dark.
    """
    ink = measure(picture)
    scale = min(1.0, OVERVIEW / max(picture.shape))
    small = resize(picture, scale)
    matrix, size = perspective.find(small)
    straight = cv2.warpPerspective(resize(ink, scale), matrix, size)
    lattices = _outermost(ruling.find_lattices(straight))
    back = np.diag([1 / scale, 1 / scale, 1]) @ np.linalg.inv(matrix)
    grids = [lattice for lattice in lattices if lattice.closed.size > 1]
    boxes = [lattice for lattice in lattices if lattice.closed.size == 1]
    if grids and len(boxes) < FEWEST_BOXES:  # letters beside a table
        boxes = []
    found = [(lattice.corners, _read_grid(ink, lattice, back)) for lattice in grids]
    found += [
        (np.concatenate([box.corners for row in rows for box in row]), _read_boxes(ink, rows, back))
        for rows in [_box_rows(boxes)]
        if rows
    ]
    found = [pair for pair in found if not all(cell.is_blank for cell in pair[1].cells)]
    return [table for _, table in sorted(found, key=lambda pair: pair[0][..., 1].min())]


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
    rows, columns = lattice.closed.shape
    inks = erase.cell_inks(ink, corners)
    cells = [
        Cell(row, column, _box(corners, row, column), inks[row][column])
        for row, column in np.argwhere(lattice.closed).tolist()
    ]
    return Table(rows, columns, cells)


def _box(corners: np.ndarray, row: int, column: int) -> np.ndarray:
    return np.stack([corners[row + down, column + right] for down, right in ((0, 0), (0, 1), (1, 1), (1, 0))])


def _box_rows(boxes: list[Lattice]) -> list[list[Lattice]]:
    """Separate boxes in rows, each from left to right."""
    rows: list[list[Lattice]] = []
    for box in sorted(boxes, key=lambda box: box.corners[..., 1].mean()):
        top, bottom = box.corners[..., 1].min(), box.corners[..., 1].max()
        if rows and (rows[-1][-1].corners[..., 1].max() - top) >= SAME_ROW * (bottom - top):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [sorted(row, key=lambda box: box.corners[..., 0].mean()) for row in rows]


def _read_boxes(ink: Ink, rows: list[list[Lattice]], back: perspective.Matrix) -> Table:
    cells = []
    for row, boxes in enumerate(rows):
        for column, box in enumerate(boxes):
            corners = perspective.transform(back, box.corners)
            cells.append(Cell(row, column, _box(corners, 0, 0), erase.cell_inks(ink, corners)[0][0]))
    return Table(len(rows), max(map(len, rows)), cells)
