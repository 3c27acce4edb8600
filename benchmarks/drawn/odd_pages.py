"""Pages that look like digits and aren't, or whose digits are hard to place; with what may be read there surely."""

from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.drawn import papers
from benchmarks.drawn.forms import Hand
from benchmarks.drawn.papers import Answer
from benchmarks.drawn.sheet import DISTURBANCES, MARGIN, Random, Sheet
from handwriting.pages.picture import Picture

LETTERS = list("eeeettttaaooiinnsshhrrddlucmfwygpbvk")
NOTHING: Answer = {"lines": []}


def print_page(_: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Words, line by line."""
    size = random.uniform(3, 5)
    sheet = Sheet(random.uniform(80, 160), random.uniform(80, 160), 4, [], random)
    for y in np.arange(MARGIN, sheet.size[1] - MARGIN, 1.4 * size):
        words = ["".join(random.choice(LETTERS, random.integers(1, 9))) for _ in range(int(sheet.size[0] / size / 3.5))]
        sheet.print(" ".join(words).capitalize() + ".", MARGIN, y, size)
    return sheet, NOTHING


def tiles(_: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """A wall: tiles of different brightness, joints, no digit."""
    side, joint = random.uniform(8, 25), random.uniform(0.3, 1.5)
    sheet = Sheet(*random.uniform(80, 160, 2), 4, [], random)
    for left in np.arange(-side / 2, sheet.size[0], side):
        for top in np.arange(-side / 3, sheet.size[1], side):
            sheet.tone = random.uniform(0.15, 0.4)
            sheet.fill([(left, left + side - joint)], [(top, top + side - joint)])
    return sheet, NOTHING


def crossword(_: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Black squares, small numbers, and letters in some of the others."""
    count, side = int(random.integers(8, 16)), random.uniform(6, 9)
    sheet = Sheet(side * count + 2 * MARGIN, side * count + 2 * MARGIN, 4, [], random)
    places, numbers = MARGIN + side * np.arange(count + 1), []
    sheet.rules(places, places)
    for row, column in np.ndindex(count, count):
        left, top, chance = places[column], places[row], random.random()
        if chance < 0.2:
            sheet.fill([(left, left + side)], [(top, top + side)])
        elif chance < 0.4:
            numbers.append(str(len(numbers) + 1))
            sheet.print(numbers[-1], left + 0.5, top + 0.2 * side, 0.25 * side)
        elif chance < 0.6:
            sheet.print(str(random.choice(LETTERS)).upper(), left + 0.3 * side, top + 0.55 * side, 0.7 * side)
    return sheet, {"present": numbers}


def barcode(_: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Bars, and the printed number below them."""
    module, digits = random.uniform(0.33, 0.7), "".join(map(str, random.integers(0, 10, 13)))
    edges = MARGIN + module * np.cumsum(random.integers(1, 5, 60))
    sheet = Sheet(edges[-1] + MARGIN, random.uniform(45, 70), 4, [], random)
    sheet.fill(list(zip(edges[::2], edges[1::2], strict=True)), [(MARGIN, sheet.size[1] - MARGIN - 4)])
    sheet.print(digits, MARGIN + 4, sheet.size[1] - MARGIN, 4)
    return sheet, {"lines": [digits]}


def signed(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """A signature across a table."""
    sheet, answer = papers.table(hands, random)
    width, length = sheet.size
    along = np.linspace(0, 1, 400)
    loops = random.uniform(6, 12) * 2 * np.pi * along
    x = width * (0.2 + 0.6 * along) + random.uniform(3, 7) * np.cos(loops)
    y = length * random.uniform(0.3, 0.7) + random.uniform(4, 10) * np.sin(loops) * np.sin(9 * along + 1) - 8 * along
    points = np.round(sheet.scale * np.stack([x, y], axis=1)).astype(np.int32)
    cv2.polylines(sheet.written, [points], False, float(sheet.pen), max(1, round(0.5 * sheet.scale)))
    return sheet, answer


def side_by_side(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Two tables, the left one first."""
    cell, rows, columns, gap = (
        random.uniform(8, 11),
        random.integers(3, 8, 2),
        random.integers(2, 6, 2),
        random.uniform(8, 20),
    )
    lefts = MARGIN, MARGIN + cell * columns[0] + gap
    sheet = Sheet(lefts[1] + cell * columns[1] + MARGIN, cell * rows.max() + 2 * MARGIN, 0.55 * cell, hands, random)
    tables = []
    for left, one_rows, one_columns in zip(lefts, rows, columns, strict=True):
        xs, ys = left + cell * np.arange(one_columns + 1), MARGIN + cell * np.arange(one_rows + 1)
        sheet.rules(xs, ys)
        tables.append([[sheet.write(x + cell / 2, y + cell / 2)[0] for x in xs[:-1]] for y in ys[:-1]])
    return sheet, {"tables": tables}


def leaving(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """A table so tilted that its lines leave the picture: what stands in a cell that is cut off is anything."""
    sheet, answer = papers.table(hands, random)
    sheet.right, sheet.turn = 0.7 * sheet.size[0], random.uniform(12, 30) * random.choice([-1, 1])
    return sheet, {"present": [text for row in answer["cells"] for text in row if text]}


KINDS: dict[str, tuple[Callable[[list[Hand], Random], tuple[Sheet, Answer]], int]] = {  # with quarter turns
    "page of print": (print_page, 0),
    "wall of tiles": (tiles, 0),
    "crossword": (crossword, 0),
    "barcode": (barcode, 0),
    "signature across a table": (signed, 0),
    "two tables side by side": (side_by_side, 0),
    "table turned by 90°": (papers.table, 1),
    "table turned by 180°": (papers.table, 2),
    "white page turned by 90°": (papers.white, 1),
    "lined page turned by 180°": (papers.lined, 2),
    "lines that leave the picture": (leaving, 0),
}


def draw(kind: str, hands: list[Hand], seed: int) -> tuple[Picture, Answer]:
    """A page of that kind, and its answer."""
    make, turns = KINDS[kind]
    sheet, answer = make(hands, np.random.default_rng([seed, len(papers.KINDS) + list(KINDS).index(kind)]))
    picture, _ = sheet.photograph(DISTURBANCES[seed % len(DISTURBANCES)])
    return np.ascontiguousarray(np.rot90(picture, turns)), {"kind": kind} | answer
