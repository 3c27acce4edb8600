"""Invented hands, and forms that they fill in."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pypdfium2

from benchmarks.drawn import strokes
from benchmarks.drawn.strokes import Stroke, arc
from handwriting.collection import form_layout
from handwriting.pages.picture import Picture

PIXELS_PER_MM = 150 / 25.4
PAPER, INK = 245, 50  # brightness

FLAG: list[Stroke] = [[(0.02, 0.48), (0.42, 0), (0.42, 1)]]
FLAG_AND_BASE: list[Stroke] = [[(0.12, 0.3), (0.4, 0), (0.4, 1)], [(0.15, 1), (0.65, 1)]]
CROSSED: list[Stroke] = [[(0.03, 0), (0.66, 0), (0.25, 1)], [(0.18, 0.5), (0.62, 0.48)]]
CROSSED_WITH_HOOK: list[Stroke] = [[(0.05, 0.2), (0.05, 0.02), (0.66, 0), (0.3, 1)], [(0.12, 0.52), (0.66, 0.46)]]
OPEN: list[Stroke] = [[(0.12, 0), (0.08, 0.55), (0.7, 0.55)], [(0.6, 0.05), (0.55, 1)]]
APART: list[Stroke] = [[(0.3, 0), (0.03, 0.6), (0.45, 0.6)], [(0.62, 0.3), (0.56, 1)]]
CURLED_SIX: list[Stroke] = [
    [(0.6, 0.02), *arc(0.35, 0.62, 0.34, 0.38, -120, -360), *arc(0.4, 0.68, 0.16, 0.16, 0, -200)]
]
HOOKED_NINE: list[Stroke] = [[*arc(0.34, 0.27, 0.28, 0.27, 0, 360), (0.62, 0.27), *arc(0.32, 0.76, 0.3, 0.24, 0, 140)]]
FLAT_THREE: list[Stroke] = [[(0.05, 0), (0.6, 0), (0.28, 0.4), *arc(0.3, 0.7, 0.34, 0.3, -80, 150)]]


class Hand(NamedTuple):
    """How somebody writes: the digits that differ from `strokes.STROKES`, the slant, and the pen."""

    own: Mapping[int, list[Stroke]]
    slant: float
    thickness: float  # of a stroke, as a fraction of the height


HANDS = {
    "north": Hand({1: FLAG, 7: CROSSED, 4: OPEN}, 0.15, 0.08),
    "south": Hand({1: FLAG_AND_BASE, 7: CROSSED_WITH_HOOK, 6: CURLED_SIX, 9: HOOKED_NINE}, -0.05, 0.06),
    "west": Hand({4: APART, 3: FLAT_THREE, 9: HOOKED_NINE}, 0.3, 0.11),
}
KEPT = Hand({1: FLAG, 7: CROSSED_WITH_HOOK, 4: APART, 6: CURLED_SIX}, 0.08, 0.075)  # no setting was chosen on it


def draw(hand: Hand, digit: int, height: int, random: np.random.Generator) -> np.ndarray:
    """The ink (h, w), 0 to 1, of one digit: no two are the same."""
    shape = random.normal(0, 0.05), hand.slant + random.normal(0, 0.06), 1 + random.normal(0, 0.08)
    moved: list[Stroke] = []
    for stroke in hand.own.get(digit, strokes.STROKES[digit]):
        by_corner = len(stroke) < 10  # a corner moves by itself, a curve as a whole
        offsets = random.normal(0, 0.03, (len(stroke) if by_corner else 1, 2))
        moved.append([(x, y) for x, y in (np.array(stroke) + offsets).tolist()])
    return strokes.draw_strokes(moved, height, hand.thickness, random, shape)


def print_form(pdf: Path, layout: int = 0, pixels_per_mm: float = PIXELS_PER_MM) -> Picture:
    """A page of the form, as printed."""
    document = pypdfium2.PdfDocument(pdf)
    page = np.array(document[layout].render(scale=25.4 / 72 * pixels_per_mm).to_pil().convert("L"))
    document.close()
    return page


def write(page: Picture, row: int, column: int, ink: np.ndarray, layout: int = 0) -> None:
    """Write ink (h, w), 0 to 1, into the middle of a cell of the page."""
    paper = form_layout.LAYOUTS[layout]
    left, top, right, bottom = (page.shape[1] / paper.width * value for value in paper.cell(row, column))
    height, width = ink.shape
    down, across = round((top + bottom - height) / 2), round((left + right - width) / 2)
    part = page[down : down + height, across : across + width]
    part[:] = np.minimum(part, (255 - (255 - INK) * ink).astype(np.uint8))


def fill(page: Picture, hand: Hand, random: np.random.Generator, each: int, layout: int = 0) -> Picture:
    """The page with `each` digits of that hand in every row."""
    filled = page.copy()
    cell_height = page.shape[1] / form_layout.LAYOUTS[layout].width * form_layout.LAYOUTS[layout].cell_height
    for digit in range(10):
        for column in range(each):
            ink = draw(hand, digit, round(random.uniform(0.42, 0.55) * cell_height), random)
            write(filled, digit, column, ink, layout)
    return filled


def scan(page: Picture, random: np.random.Generator) -> Picture:
    """The page as a scanner sees it: paper that isn't white, and noise."""
    return (page * (PAPER / 255) + random.normal(0, 3, page.shape)).clip(0, 255).round().astype(np.uint8)
