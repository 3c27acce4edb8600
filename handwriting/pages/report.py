"""What was read on a page, for a person, a spreadsheet or a program: as text, CSV, JSON or a picture."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from handwriting.pages import reading
from handwriting.pages.reading import SURE, Digits, Page
from handwriting.pages.segment import Boxes
from handwriting.pages.table import Cell, Table

ALTERNATIVES = 2  # named beside an unsure prediction
ABOVE = 0.5  # of a number's height, above it
COLUMNS = ("row", "column", "digits", "probability", "unsure", "table", "image")


class Reading(NamedTuple):
    """A page of a file, and what was read on it."""

    name: str  # the file's, and the page's number if it has several
    page: Page


def as_text(one: Reading, classes: Sequence[str]) -> str:
    """The tables; or the lines of writing; of a single line, also each digit's probability, and what else it may be."""
    lines: list[str] = []
    for number, read_table in enumerate(one.page.tables, start=1):
        cells = reading.cells_of(read_table)
        unsure = sum(_is_unsure(digits) for _, digits in cells)
        filled = sum(len(digits.images) > 0 for _, digits in cells)
        name = one.name if len(one.page.tables) == 1 else f"{one.name}, table {number}"
        lines.append(
            f"{name}: {read_table[0].rows} × {read_table[0].columns} cells, {filled} filled, {unsure} unsure (?)"
        )
        lines += _as_grid(cells, classes)
    if one.page.tables:
        return "\n".join(lines)
    numbers = reading.numbers_of(one.page.digits)
    written = _as_lines(numbers, classes)
    if len(written) > 1:
        unsure = sum(_is_unsure(digits) for *_, digits in numbers)
        first = f"{one.name}: {len(written)} lines, {len(numbers)} numbers, {unsure} unsure (?)"
        return "\n".join([first, *(f"  {line}" for line in written)])
    lines.append(f"{one.name}: {'  '.join(_text(digits, classes) for *_, digits in numbers)}")
    for row in one.page.digits.probabilities:
        line = f"  {classes[row.argmax()]}  {100 * row.max():5.1f} %"
        if row.max() < SURE:
            others = np.argsort(-row, kind="stable")[1 : 1 + ALTERNATIVES]
            line += "  unsure: or " + ", ".join(f"{classes[digit]} ({100 * row[digit]:.1f} %)" for digit in others)
        lines.append(line)
    return "\n".join(lines)


def _as_lines(numbers: list[tuple[int, int, Digits]], classes: Sequence[str]) -> list[str]:
    """The lines of writing of a plain page."""
    texts: dict[int, list[str]] = {}
    for row, _, digits in numbers:
        texts.setdefault(row, []).append(_text(digits, classes) + "?" * _is_unsure(digits))
    return ["  ".join(line) for line in texts.values()]


def _as_grid(cells: list[tuple[Cell, Digits]], classes: Sequence[str]) -> list[str]:
    """A line for each row, the cells between bars and below each other."""
    texts = {(cell.row, cell.column): _text(digits, classes) + "?" * _is_unsure(digits) for cell, digits in cells}
    rows, columns = (1 + max(position[axis] for position in texts) for axis in (0, 1))
    width = max(map(len, texts.values()))
    return [
        "  |" + "|".join(f"{texts.get((row, column), ''):<{width}}" for column in range(columns)) + "|"
        for row in range(rows)
    ]


def join(labels: Iterable[int], classes: Sequence[str]) -> str:
    """The names of digits, as in the CSV."""
    separator = "" if max(map(len, classes)) == 1 else ", "
    return separator.join(classes[label] for label in labels)


def _text(digits: Digits, classes: Sequence[str]) -> str:
    return join(digits.probabilities.argmax(axis=1), classes)


def _is_unsure(digits: Digits) -> bool:
    return bool((digits.probabilities.max(axis=1) < SURE).any())


def as_csv(pages: Iterable[Reading | str], classes: Sequence[str]) -> str:
    """`rows` below their header; a page that couldn't be read, given by its name, has one that says only that."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in pages:
        if isinstance(one, str):
            writer.writerow([{"unsure": "true", "image": one}.get(column, "") for column in COLUMNS])
        else:
            writer.writerows(row for row, _ in rows(one, classes))
    return file.getvalue()


def rows(one: Reading, classes: Sequence[str]) -> Iterator[tuple[list, Digits]]:
    """A row for each cell, or for each number of a page without a table, with its digits; blank cells have none."""
    for number, cells in enumerate(_tables(one), start=1):
        for row, column, digits in cells:
            top = digits.probabilities.max(axis=1)
            probability = f"{top.prod():.4f}" if len(top) else ""
            unsure = str(_is_unsure(digits)).lower()
            yield [row, column, _text(digits, classes), probability, unsure, number, one.name], digits


def _tables(one: Reading) -> Iterator[list[tuple[int, int, Digits]]]:
    """Rows and columns from 1 with what stands there; of a plain page, its lines and the numbers in them."""
    for read_table in one.page.tables:
        yield [(cell.row + 1, cell.column + 1, digits) for cell, digits in reading.cells_of(read_table)]
    if not one.page.tables:
        yield [(row + 1, column + 1, digits) for row, column, digits in reading.numbers_of(one.page.digits)]


def describe(one: Reading, classes: Sequence[str]) -> dict:
    """All there is to know: boxes are left, top, right and bottom, as fractions of the picture's width and height.

    A digit has its row and column from 1; one of a table also the table's number, and the cell's box.
    """
    page = one.page
    if not page.tables:
        numbers = reading.numbers_of(page.digits)
        places = [{"row": row + 1, "column": column + 1} for row, column, part in numbers for _ in part.images]
    else:
        places = [
            {"table": number, "row": one_table.cells[line].row + 1, "column": one_table.cells[line].column + 1}
            for number, (one_table, digits) in enumerate(page.tables, start=1)
            for line in digits.lines.tolist()
        ]
    scale = np.tile(page.picture.shape[::-1], 2)
    result: dict = {"image": one.name}
    if page.tables:
        result["tables"] = [
            {
                "rows": one_table.rows,
                "columns": one_table.columns,
                "cells": len(one_table.cells),
                "merged": _merged(one_table),
            }
            for one_table, _ in page.tables
        ]
    result["digits"] = [
        place
        | {
            "class": classes[row.argmax()],
            "probability": round(float(row.max()), 4),
            "unsure": bool(row.max() < SURE),
            "box": (box / scale).round(4).tolist(),
            "probabilities": dict(zip(classes, row.astype(float).round(4).tolist(), strict=True)),
        }
        for place, box, row in zip(places, page.digits.boxes, page.digits.probabilities, strict=True)
    ]
    return result


def _merged(one: Table) -> list[dict]:
    """The first row and column of each cell that spans several, from 1, and how many of each."""
    return [
        {"row": cell.row + 1, "column": cell.column + 1, "rows": cell.rows, "columns": cell.columns}
        for cell in one.cells
        if cell.rows * cell.columns > 1
    ]


def draw(one: Reading, classes: Sequence[str], path: Path) -> None:
    """Draw the picture and what was read; of a single line of digits also how the networks saw them."""
    from handwriting.pages import show  # here: it takes a second, and text needs none

    page = one.page
    if page.tables:
        cells = [pair for read_table in page.tables for pair in reading.cells_of(read_table)]
        places = [(cell.box, digits) for cell, digits in cells]
    else:
        numbers = reading.numbers_of(page.digits)
        places = [(_around(digits.boxes), digits) for *_, digits in numbers]
    if page.tables or numbers[-1][0] > 0:
        boxes, read = np.stack([box for box, _ in places]), [digits for _, digits in places]
        names, unsure = [_text(digits, classes) for digits in read], [_is_unsure(digits) for digits in read]
        figure = show.table(page.picture, boxes, names, unsure)
    else:
        names = [classes[digit] for digit in page.digits.probabilities.argmax(axis=1)]
        figure = show.prediction(
            page.picture, page.digits.boxes, page.digits.images, page.digits.probabilities, names, SURE
        )
    show.drawing.save(figure, path)


def _around(boxes: Boxes) -> np.ndarray:
    """The corners (4, 2) of the box around boxes, with room for what was read above them."""
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    room = ABOVE * (bottom - top)
    return np.array([(left, top - room), (right, top - room), (right, bottom), (left, bottom)], dtype=float)
