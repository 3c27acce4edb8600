"""A picture -> its digits: those of its ruled tables, cell by cell, or else those on the plain page."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from handwriting.pages import scan, segment, sheet, table
from handwriting.pages.picture import Picture
from handwriting.pages.segment import Boxes, Candidates
from handwriting.pages.table import Cell, Table
from stages.digits.base.dataset import DIGITS, SIDE, Images, Labelled, Probabilities
from stages.digits.prediction import ensemble, neighbours
from stages.digits.prediction.ensemble import Model

SURE = 0.9  # of the top probability: below it, 2 % of MNIST and 80 % of the errors on it
MAX_DISTANCE = 250_000  # under the IDM, to the nearest labelled image of the class: 1.5 % of MNIST are farther away
MOSTLY = 0.8  # of a table's cells hold one digit: then a further one is likelier to as well
APART = 0.75  # of the digits' height: a wider gap lies between two numbers
PRINT = 0.66  # of the height of most cells' ink
FEW = 8  # digits say nothing about a page
FEWEST_RULES = 3  # of a table, across and down
TURN_SAMPLE = 40  # digits by which a page's orientation is told
TURN_LEAST = 8
TURN_GAIN = 0.12  # of the mean log probability, by which they must be likelier turned


class Digits(NamedTuple):
    """What was read, in order."""

    boxes: Boxes  # (n, 4) in pixels of the picture; of a digit in a table, its cell's
    images: Images  # (n, 28, 28) in MNIST's form
    probabilities: Probabilities  # (n, 10)
    lines: npt.NDArray[np.int64]  # (n,) the number, from 0, of the line, or of the table's cell

    def take(self, rows: npt.NDArray) -> "Digits":
        """Some of them."""
        return Digits(self.boxes[rows], self.images[rows], self.probabilities[rows], self.lines[rows])


class Page(NamedTuple):
    """A picture, upright, and what was read in it: all its tables, or the digits of a page without one."""

    picture: Picture
    tables: list[tuple[Table, Digits]]
    digits: Digits  # those of the tables, one table after the other, or those of the plain page


def read(picture: Picture, members: list[Model], reference: Labelled, *, may_turn: bool = True) -> Page:
    """The tables of a picture, or the digits on it if there is none; InputError if there is nothing to read."""
    page = sheet.straighten(picture)
    tables = table.find_on(page)
    candidates = [_in_cells(one) for one in tables] or [scan.find_one(picture) or scan.find_on(page)]
    images = np.concatenate([one.images[np.ptp(one.spans, axis=1) == 1] for one in candidates])
    turns, gain = _quarter_turns(images, members[:2]) if may_turn else (0, 0.0)
    if turns and gain > TURN_GAIN:
        return read(np.ascontiguousarray(np.rot90(picture, turns)), members, reference, may_turn=False)
    if not tables:
        digits = _choose(candidates[0], ensemble.average(candidates[0].images, members))
        if FEWEST_RULES <= min(page.rules) < table.MANY_RULES:  # a table that wasn't found: its digits have no places
            return Page(picture, [], doubt(digits, np.ones(len(digits.images), dtype=bool)))
        return Page(picture, [], doubt_all(doubt_strange(digits, reference), turns > 0))
    digits_of = [
        doubt_all(doubt(digits, _is_print(digits, one)), turns > 0)
        for one, digits in zip(tables, (_read_cells(found, members) for found in candidates), strict=True)
    ]
    return Page(picture, list(zip(tables, digits_of, strict=True)), _concatenate(digits_of))


def doubt_all(digits: Digits, is_turned: bool = False) -> Digits:
    """The digits; none is sure on a page that may be turned, or where most aren't: print. Nor are bars: many ones."""
    is_sure, is_one = digits.probabilities.max(axis=1) >= SURE, digits.probabilities.argmax(axis=1) == 1
    if len(is_sure) <= FEW:
        return digits
    if is_turned or is_sure.mean() < 0.5:
        return doubt(digits, np.ones(len(is_sure), dtype=bool))
    return doubt(digits, is_one & (is_one.mean() > 0.5))


def _is_print(digits: Digits, one: Table) -> npt.NDArray[np.bool_]:
    """Which of a table's digits stand in cells whose ink is much lower than in most: that may be printed words."""
    heights = np.array(
        [np.count_nonzero(cell.ink.any(axis=1)) / len(cell.ink) * np.ptp(cell.box[:, 1]) for cell in one.cells]
    )
    of_digits = heights[digits.lines]
    return of_digits < PRINT * np.median(of_digits) if len(of_digits) else np.zeros(0, dtype=bool)


def cells_of(read_table: tuple[Table, Digits]) -> list[tuple[Cell, Digits]]:
    """Each cell of a table with its digits."""
    one, digits = read_table
    return [(cell, Digits(*(part[digits.lines == number] for part in digits))) for number, cell in enumerate(one.cells)]


def numbers_of(digits: Digits) -> list[tuple[int, int, Digits]]:
    """The numbers of a plain page, each with its row and column, from 0: digits of a line that stand together."""
    numbers: list[tuple[int, int, Digits]] = []
    left, _, right, _ = digits.boxes.T
    height = np.median(digits.boxes[:, 3] - digits.boxes[:, 1])
    for row, line in enumerate(np.unique(digits.lines)):
        places = np.flatnonzero(digits.lines == line)
        gaps = left[places[1:]] - right[places[:-1]]
        parts = np.split(places, 1 + np.flatnonzero(gaps > APART * height))
        numbers += [(row, column, digits.take(part)) for column, part in enumerate(parts)]
    return numbers


def doubt_strange(digits: Digits, reference: Labelled) -> Digits:
    """The digits, unsure where they resemble no labelled image of the class: letters, boxes, scribbles."""
    is_strange = np.zeros(len(digits.images), dtype=bool)
    is_sure, classes = digits.probabilities.max(axis=1) >= SURE, digits.probabilities.argmax(axis=1)
    for label in np.unique(classes[is_sure]):
        rows = np.flatnonzero(is_sure & (classes == label))
        known = reference.images[reference.labels == label]
        is_strange[rows] = neighbours.nearest_distance(digits.images[rows], known) > MAX_DISTANCE
    return doubt(digits, is_strange)


def doubt(digits: Digits, which: npt.NDArray[np.bool_]) -> Digits:
    """The digits, some of them unsure: half of their probability is spread over all classes."""
    unsure = (digits.probabilities + 1 / DIGITS) / 2
    return digits._replace(probabilities=np.where(which[:, None], unsure, digits.probabilities))


def _choose(found: Candidates, probabilities: Probabilities, holds_one: bool = False) -> Digits:
    rows = segment.choose(found, probabilities, holds_one)
    return Digits(found.boxes, found.images, probabilities, found.lines).take(rows)


def _in_cells(one: Table) -> Candidates:
    """What may be digits in a table's cells; the number of a line is that of its cell."""
    parts = [
        part._replace(boxes=np.tile(_bounds(cell), (len(part.boxes), 1)))
        for number, cell in enumerate(one.cells)
        if not cell.is_blank and (part := scan.find_in_cell(cell.ink, number))
    ]
    if not parts:
        none = np.zeros((0, SIDE, SIDE), np.uint8)
        return Candidates(np.zeros((0, 4), int), none, np.zeros(0, int), np.zeros((0, 2), int), np.zeros(0))
    return Candidates(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _bounds(cell: Cell) -> np.ndarray:
    return np.concatenate([np.floor(cell.box.min(axis=0)), np.ceil(cell.box.max(axis=0))]).astype(np.int64)


def _read_cells(found: Candidates, members: list[Model]) -> Digits:
    probabilities = ensemble.average(found.images, members) if len(found.images) else np.zeros((0, DIGITS))
    digits = _choose(found, probabilities)
    holds_one = len(digits.lines) > 0 and (np.unique(digits.lines, return_counts=True)[1] == 1).mean() >= MOSTLY
    return _choose(found, probabilities, holds_one=True) if holds_one else digits


def _quarter_turns(images: Images, members: list[Model]) -> tuple[int, float]:
    """The quarter turns against the clock by which digits are likeliest, and the gain in their mean log probability."""
    if len(images) < TURN_LEAST:
        return 0, 0.0
    sample = images[np.linspace(0, len(images) - 1, min(TURN_SAMPLE, len(images))).astype(int)]
    turned = np.concatenate([np.rot90(sample, turns, axes=(1, 2)) for turns in range(4)])
    likelihoods = np.log(ensemble.average(turned, members).max(axis=1)).reshape(4, len(sample)).mean(axis=1)
    best = int(np.argmax(likelihoods))
    return best, float(likelihoods[best] - likelihoods[0])


def _concatenate(parts: list[Digits]) -> Digits:
    return Digits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
