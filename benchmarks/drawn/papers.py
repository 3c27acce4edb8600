"""Digits on the papers that people write on, drawn, then scanned or photographed; with what stands where.

python -m benchmarks.drawn.papers FOLDER

Draws a page of every kind into PNG files, and what stands on them into answers.json.
"""

import json
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks.drawn import forms
from benchmarks.drawn.forms import Hand, Ink
from benchmarks.drawn.sheet import DISTURBANCES, INKS, MARGIN, PENS, Random, Sheet
from handwriting.pages.picture import Picture

Answer = dict  # `cells` (None: print, or part of a merged cell), `rows` of boxes, or lines: `numbers`, or only `lines`


class Page(NamedTuple):
    """A picture of a page, and what is written there."""

    picture: Picture
    answer: Answer
    centres: np.ndarray  # (digits, 2) x and y in the picture, in order


def _keep(count: int, random: Random, fraction: float = 0.85) -> np.ndarray:
    """Most of the numbers up to count, the first among them: the others are left blank."""
    return np.flatnonzero(np.append(True, random.random(count - 1) < fraction))


def white(hands: list[Hand], random: Random, *, pitch: tuple[float, float] = (1.7, 2.8)) -> tuple[Sheet, Answer]:
    """`pitch` is the distance of two lines, from and to, in heights of a digit."""
    height, lines = random.uniform(4, 9), int(random.integers(3, 9))
    distance = height * random.uniform(*pitch)
    sheet = Sheet(random.uniform(12, 20) * height + 2 * MARGIN, distance * lines + 2 * MARGIN, height, hands, random)
    ys = MARGIN + distance * (np.arange(lines) + 0.5)
    return sheet, sheet.write_lines(ys, MARGIN, sheet.size[0] - MARGIN)


def lined(hands: list[Hand], random: Random, *, has_margin: bool = False) -> tuple[Sheet, Answer]:
    """Some lines are blank."""
    pitch, lines = random.uniform(6, 10), int(random.integers(5, 16))
    height = pitch * random.uniform(0.45, 0.75)
    sheet = Sheet(random.uniform(80, 180), pitch * lines + 2 * MARGIN, height, hands, random)
    sheet.tone, sheet.thickness = INKS[random.choice(["blue", "gray", "green", "pale"])], random.uniform(0.15, 0.3)
    ys, left = MARGIN + pitch * np.arange(1, lines + 1), MARGIN
    for y in ys:
        sheet.rule(0, y, 0, sheet.size[0])
    if has_margin:
        left, sheet.tone = random.uniform(20, 32), INKS["red"]
        sheet.rule(1, left, 0, sheet.size[1])
    ys = ys[_keep(lines, random)] - height * random.uniform(0.42, 0.6)
    return sheet, sheet.write_lines(ys, left, sheet.size[0] - MARGIN)


def squared(hands: list[Hand], random: Random, *, side: float = 5, is_large: bool = False) -> tuple[Sheet, Answer]:
    """A digit in a square, or larger digits in lines of every third square."""
    columns, rows = random.integers((20, 18), (36, 40))
    height = side * (random.uniform(1.2, 1.9) if is_large else random.uniform(0.55, 0.8))
    sheet = Sheet(side * columns, side * rows, height, hands, random)
    sheet.tone, sheet.thickness = (
        INKS[random.choice(["blue", "gray", "green", "red", "pale"])],
        random.uniform(0.1, 0.3),
    )
    xs, ys = (offset + side * np.arange(-1, 41) for offset in random.uniform(0, side, 2))
    sheet.rules(xs, ys)
    first = math.ceil(MARGIN / side)
    if is_large:
        return sheet, sheet.write_lines(ys[first + 2 : rows - first : 3], MARGIN, sheet.size[0] - MARGIN)
    lines = []
    for y in ys[first + 1 : rows - first : int(random.integers(1, 4))]:
        kept = xs[first + 1 : columns - first][_keep(columns - 2 * first - 1, random, 0.6)]
        lines.append("".join(sheet.write(x + side / 2, y + side / 2)[0] for x in kept))
    return sheet, {"lines": lines}


def dots(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    sheet = Sheet(random.uniform(90, 150), random.uniform(80, 160), random.uniform(3.5, 7.5), hands, random)
    sheet.tone, sheet.thickness = INKS[random.choice(["gray", "blue", "black"])], random.uniform(0.3, 0.6)
    starts = (np.arange(random.uniform(0, 5), side, 5) for side in sheet.size)
    sheet.fill(*([(at, at + sheet.thickness) for at in along] for along in starts))
    ys = np.arange(MARGIN + sheet.height, sheet.size[1] - MARGIN, 10 if sheet.height < 6 else 15)
    return sheet, sheet.write_lines(ys, MARGIN, sheet.size[0] - MARGIN)


def comb(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Base lines with ticks between the digits."""
    rows, columns, side = int(random.integers(1, 4)), int(random.integers(5, 12)), random.uniform(5, 9)
    pitch, height, tick = side * random.uniform((2.2, 0.6, 0.2), (3, 0.85, 0.5))
    sheet = Sheet(side * columns + 2 * MARGIN, pitch * rows + 2 * MARGIN, height, hands, random)
    sheet.tone, xs, lines = (
        INKS[random.choice(["black", "gray", "blue", "red"])],
        MARGIN + side * np.arange(columns + 1),
        [],
    )
    for base in MARGIN + pitch * np.arange(1, rows + 1):
        sheet.rule(0, base, xs[0], xs[-1])
        for x in xs:
            sheet.rule(1, x, base - tick, base)
        y = base - height * random.uniform(0.6, 0.7)
        lines.append("".join(sheet.write(x + side / 2, y)[0] for x in xs[:-1]))
    return sheet, {"lines": lines}


def underscores(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """A short rule below each number."""
    rows, columns, height = int(random.integers(2, 6)), int(random.integers(1, 4)), random.uniform(4, 8)
    width, pitch, numbers = 6 * height, height * random.uniform(2, 3), []
    sheet = Sheet(1.3 * width * columns + 2 * MARGIN, pitch * rows + 2 * MARGIN, height, hands, random)
    for base in MARGIN + pitch * np.arange(1, rows + 1):
        y = base - height * random.uniform(0.55, 0.75)
        numbers.append([])
        for left in MARGIN + 1.3 * width * np.arange(columns):
            sheet.rule(0, base, left, left + width)
            numbers[-1].append(sheet.write(left + width / 2, y, int(random.integers(1, 5)))[0])
    return sheet, {"numbers": numbers}


def table(
    hands: list[Hand], random: Random, *, rules: str = "full", inks: tuple[str, ...] = ("black", "gray"),
    pens: tuple[float, ...] = PENS, has_heads: bool = False,
) -> tuple[Sheet, Answer]:  # fmt: skip
    """`rules` are full, hairline, dashed, dotted or across: then no cell is blank, and numbers stand in lines."""
    rows, columns = random.integers(3, 10, 2)
    cell, most = random.uniform(7, 13), int(random.integers(1, 4))
    width = max(cell, (most + 0.8) * 0.55 * cell) * random.uniform(1, 1.6)
    size = width * columns + 2 * MARGIN, cell * rows + 2 * MARGIN
    sheet = Sheet(*size, cell * random.uniform(0.4, 0.6), hands, random)
    sheet.tone, sheet.pen = INKS[random.choice(inks)], random.choice(pens)
    if rules == "hairline":
        sheet.thickness = random.uniform(0.08, 0.15)
    if rules == "dashed":
        sheet.dash, sheet.gap = random.uniform(1.2, 4), random.uniform(0.7, 2)
    if rules == "dotted":
        sheet.dash, sheet.gap = sheet.thickness, sheet.thickness * random.uniform(1, 3)
    xs, ys = MARGIN + width * np.arange(columns + 1), MARGIN + cell * np.arange(rows + 1)
    if rules == "across":
        for y in ys:
            sheet.rule(0, y, xs[0], xs[-1])
    else:
        sheet.rules(xs, ys)
    cells: list[list[str | None]] = [[""] * columns for _ in range(rows)]
    for row, column in np.ndindex(rows, columns):
        if has_heads and 0 in (row, column):
            word = str(random.choice(["Mon", "Total", "Anna", "kg", "Nr."]))
            cells[row][column] = sheet.print(word, xs[column] + 1, ys[row] + cell / 2, 0.3 * cell)
        elif rules == "across" or random.random() < 0.85:
            middle = xs[column] + width / 2, ys[row] + cell / 2
            cells[row][column] = sheet.write(*middle, int(random.integers(1, most + 1)))[0]
    return sheet, {"numbers" if rules == "across" else "cells": cells}


def boxes(hands: list[Hand], random: Random, *, is_cut: bool = False) -> tuple[Sheet, Answer]:
    """Rows of boxes, joined or apart; where they are cut, the picture ends in the last box."""
    rows, columns, side = int(random.integers(1, 5)), int(random.integers(4, 11)), random.uniform(6, 11)
    across, down = side * random.choice([1, random.uniform(1.15, 1.4)]), side * random.uniform(1.3, 2)
    height = side * random.uniform(0.5, 0.7)
    sheet = Sheet(across * columns + 2 * MARGIN, down * rows + 2 * MARGIN, height, hands, random)
    sheet.print("Student number (a digit in each box)", MARGIN, MARGIN - 4, 3)
    sheet.tone, cells = INKS[random.choice(["black", "gray", "blue", "red"])], []
    for top in MARGIN + down * np.arange(rows):
        cells.append([])
        for left in MARGIN + across * np.arange(columns):
            sheet.rules(np.array([left, left + side]), np.array([top, top + side]))
            cells[-1].append(sheet.write(left + side / 2, top + side / 2)[0] if random.random() < 0.9 else "")
    if is_cut:
        sheet.right, sheet.turn = MARGIN + across * (columns - 1) + side * random.uniform(0.82, 0.97), 0.0
    return sheet, {"rows": cells}


def mark_sheet(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """Merged cells with print in the head and in the foot, where a total ends the table."""
    rows, columns, total = int(random.integers(3, 8)), int(random.integers(4, 8)), int(random.integers(1, 3))
    cell, aspect = random.uniform(8, 12), random.uniform(1.4, 2.2)
    xs, ys = MARGIN + cell * aspect * np.arange(columns + 1), MARGIN + cell * np.arange(rows + 4.0)
    ys[-1] += cell * random.uniform(0, 0.7)
    sheet = Sheet(xs[-1] + MARGIN, ys[-1] + MARGIN, cell * random.uniform(0.4, 0.6), hands, random)
    for row, y in enumerate(ys):
        sheet.rule(0, y, xs[1] if row == 1 else xs[0], xs[-1])
    for column, x in enumerate(xs):
        is_inside = 1 < column < columns
        sheet.rule(1, x, ys[int(is_inside)], ys[-1 if column in (0, columns - total, columns) else -2])
    for text, x, y in (
        ("Q.No.", xs[0], ys[1]),
        ("Marks", xs[2], (ys[0] + ys[1]) / 2),
        ("Total", xs[0], ys[-2] + cell / 2),
    ):
        sheet.print(text, x + 1, y, 0.3 * cell)
    for column in range(1, columns):
        sheet.print(chr(96 + column), xs[column] + 0.4 * cell * aspect, (ys[1] + ys[2]) / 2, 0.3 * cell)
    cells: list[list[str | None]] = [[None] * columns for _ in range(rows + 3)]
    for row, column in np.ndindex(rows, columns):
        middle = xs[column] + cell * aspect / 2, ys[row + 2] + cell / 2
        is_blank = random.random() < 0.25
        cells[row + 2][column] = "" if is_blank else sheet.write(*middle, int(random.integers(1, 3)))[0]
    cells[-1][-total] = sheet.write((xs[-1 - total] + xs[-1]) / 2, (ys[-2] + ys[-1]) / 2, 2)[0]
    spans = [
        (0, 0, 2, 1),
        (0, 1, 1, columns - 1),
        (rows + 2, 0, 1, columns - total),
        (rows + 2, columns - total, 1, total),
    ]
    return sheet, {"cells": cells, "spans": spans}


def newspaper(hands: list[Hand], random: Random) -> tuple[Sheet, Answer]:
    """A grid of bold gray print, blurred, between whose digits a hand has written."""
    side, tone = random.uniform(6, 9), random.uniform(0.35, 0.75)

    def print_bold(height: int, random: Random) -> tuple[str, Ink]:
        digit, ink = forms.printed(height, random, is_bold=True)
        return digit, tone * ink

    sheet = Sheet(9 * side + 2 * MARGIN, 9 * side + 2 * MARGIN, side * random.uniform(0.5, 0.65), hands, random)
    sheet.print("Every line, column and square holds each digit once", MARGIN, 8, 3)
    sheet.blur, sheet.thickness = sheet.height * sheet.scale * random.uniform(0.03, 0.1), random.uniform(0.15, 0.3)
    places = MARGIN + side * np.arange(10)
    sheet.rules(places, places)
    sheet.rules(places[::3], places[::3], random.uniform(0.5, 1))
    cells = [[""] * 9 for _ in range(9)]
    for row, column in np.ndindex(9, 9):
        hand = None if random.random() < 0.5 else print_bold
        if random.random() < 0.9:
            cells[row][column] = sheet.write(places[column] + side / 2, places[row] + side / 2, hand=hand)[0]
    return sheet, {"cells": cells}


KINDS: dict[str, Callable[[list[Hand], Random], tuple[Sheet, Answer]]] = {
    "white": white,
    "white, lines close together": partial(white, pitch=(1.25, 1.5)),
    "lined": lined,
    "lined with a margin": partial(lined, has_margin=True),
    "squared, 5 mm, a digit in a square": squared,
    "squared, 4 mm, a digit in a square": partial(squared, side=4),
    "squared, 5 mm, larger digits": partial(squared, is_large=True),
    "squared, 4 mm, larger digits": partial(squared, side=4, is_large=True),
    "dot grid": dots,
    "comb": comb,
    "underscores": underscores,
    "boxes": boxes,
    "boxes, cut off": partial(boxes, is_cut=True),
    "table": table,
    "table with printed heads": partial(table, has_heads=True),
    "table, hairlines": partial(table, rules="hairline"),
    "table, dashed": partial(table, rules="dashed"),
    "table, dotted": partial(table, rules="dotted"),
    "table, rules across only": partial(table, rules="across"),
    "table, coloured rules": partial(table, inks=("red", "blue", "green")),
    "table, rules darker than the ink": partial(table, inks=("black",), pens=(0.45, 0.6)),
    "table, pale rules": partial(table, inks=("pale",), pens=(0.85, 0.95)),
    "mark sheet": mark_sheet,
    "newspaper's grid": newspaper,
}


def draw(kind: str, hands: list[Hand], seed: int) -> Page:
    """A page of that kind; five seeds in a row have all disturbances."""
    sheet, answer = KINDS[kind](hands, np.random.default_rng([seed, list(KINDS).index(kind)]))
    disturbance = DISTURBANCES[seed % len(DISTURBANCES)]
    picture, centres = sheet.photograph(disturbance)
    return Page(picture, {"kind": kind, "disturbance": disturbance} | answer, centres)


def main() -> None:
    folder, answers = Path(sys.argv[1]), {}
    folder.mkdir(parents=True, exist_ok=True)
    for number, kind in enumerate(KINDS):
        page, name = draw(kind, [forms.drawn], number), f"{number:02d}.png"
        Image.fromarray(page.picture).save(folder / name)
        answers[name] = page.answer
    (folder / "answers.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
