"""A scan or photo of a filled page -> its digits, one for each cell, in MNIST's form.

The page is one of our forms, known by its markers whatever way up it lies, or any ruled table.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.collection import form_layout
from handwriting.collection.form_layout import LAYOUTS, Layout
from handwriting.pages import scan, table
from handwriting.pages.ink import Ink
from handwriting.pages.picture import Picture
from stages.digits.base.dataset import DIGITS, SIDE, Images
from stages.digits.base.errors import InputError

MIN_MARKERS = 3  # of the four: a corner may be cut off
MIN_SCALE = 3.0  # pixels per mm of paper
MAX_SCALE = 8.0  # pixels per mm that the page is set straight at
MAX_BEND = 1.0  # mm that a corner of a marker may be off
CLOSED = 7  # mm: darker spots that are narrower are ink
INSET = 0.7  # mm of a cell's edge that may hold its ruling
MIN_INK = 0.33  # of the paper's brightness: what is less dark is pale print
MIN_SPECK = 0.15  # mm²: smaller marks are dirt
MIN_HEIGHT = 0.14  # of a cell's height: lower marks are no digit
STRUCK_FROM, STRUCK_TO = 0.01, 0.99  # of the width inside the ruling: a straight line that far strikes a cell out
STRUCK_INK = 3.5  # times the median ink of the row's cells: so does a scribble


class Page(NamedTuple):
    """What is written on a page, row by row, each from left to right."""

    kind: str  # the form's paper, or "table"
    shape: tuple[int, int]  # rows and columns of cells
    cells: npt.NDArray[np.int64]  # (n, 2), the row and column of each digit, from 0
    images: Images  # in MNIST's form
    blank: int  # cells
    struck_out: int  # cells


def read_form(picture: Picture) -> Page | None:
    """The digits of a page of our form; None if the picture shows none.

    InputError if it shows one, but not well enough to be sure which cell is which.
    """
    markers = _find_markers(picture)
    if len(markers) < 2:  # one may be a scribble
        return None
    layout, matrix = _locate(markers)
    sides = [np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1).mean() for corners in markers.values()]
    source = float(min(sides)) / form_layout.MARKER_SIDE
    if source < MIN_SCALE:
        dots = f"{25.4 * source:.0f} dots per inch, expected at least {25.4 * MIN_SCALE:.0f}"
        raise InputError(f"the page has about {dots}; scan it again at 150 or more")
    scale = min(MAX_SCALE, source)
    ink = _straight_ink(picture, layout, matrix, source, scale)
    inks = {}
    for row in range(DIGITS):
        for column in range(layout.columns):
            left, top, right, bottom = layout.cell(row, column)
            down, across = (
                slice(round(scale * (start + INSET)), round(scale * (end - INSET)))
                for start, end in ((top, bottom), (left, right))
            )
            inks[row, column] = _without_specks(ink[down, across], MIN_SPECK * scale**2)
    return _page(layout.paper, (DIGITS, layout.columns), inks)


def read_table(picture: Picture) -> Page:
    """The digits of the only ruled table in a picture; InputError if there is none, or more than one."""
    tables = table.find_tables(picture)
    if len(tables) != 1:
        raise InputError(f"found {len(tables) or 'no'} ruled tables{' or form' * (not tables)}, expected one")
    [found] = tables
    return _page("table", (found.rows, found.columns), {(cell.row, cell.column): cell.ink for cell in found.cells})


def _find_markers(picture: Picture) -> dict[int, npt.NDArray[np.float64]]:
    """The corners (4, 2) in the picture of each of our markers."""
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    corners, numbers, _ = cv2.aruco.ArucoDetector(form_layout.DICTIONARY, settings).detectMarkers(picture)
    ours = {number for layout in LAYOUTS for number in layout.markers}
    found: dict[int, npt.NDArray[np.float64]] = {}
    for number, square in zip([] if numbers is None else numbers.ravel().tolist(), corners, strict=True):
        if number in found:
            raise InputError("found two forms, expected one page in a picture")
        if number in ours:
            found[number] = square[0].astype(np.float64)
    return found


def _locate(markers: dict[int, npt.NDArray[np.float64]]) -> tuple[Layout, npt.NDArray[np.float64]]:
    """The page's layout, and the matrix (3, 3) from millimetres on it to pixels of the picture."""
    layouts = [layout for layout in LAYOUTS if set(markers) & set(layout.markers)]
    if len(layouts) > 1:
        raise InputError("found two forms, expected one page in a picture")
    [layout] = layouts
    if len(markers) < MIN_MARKERS:
        raise InputError(f"found {len(markers)} of the form's 4 corner markers, expected at least {MIN_MARKERS}")
    places = dict(zip(layout.markers, layout.marker_corners(), strict=True))
    paper = np.concatenate([places[number] for number in markers])
    pixels = np.concatenate(list(markers.values()))
    matrix, _ = cv2.findHomography(paper, pixels)
    back = cv2.perspectiveTransform(pixels[None], np.linalg.inv(matrix))[0]
    if (off := np.linalg.norm(back - paper, axis=1).max()) > MAX_BEND:
        raise InputError(f"the page is bent: its markers are up to {off:.1f} mm off; lay it flat, and scan it again")
    return layout, matrix


def _straight_ink(
    picture: Picture, layout: Layout, matrix: npt.NDArray[np.float64], source: float, scale: float
) -> Ink:
    """How much darker the page is than its paper, set straight, from `source` pixels per mm to `scale`."""
    size = round(layout.width * scale), round(layout.height * scale)
    shrink = min(1.0, scale / source)
    small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) if shrink < 1 else picture
    to_small = np.diag([shrink, shrink, 1]) @ matrix @ np.diag([1 / scale, 1 / scale, 1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    straight = cv2.warpPerspective(small, to_small, size, flags=flags, borderValue=255)
    overview = cv2.resize(straight, (round(layout.width), round(layout.height)), interpolation=cv2.INTER_AREA)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSED, CLOSED))
    paper = cv2.GaussianBlur(cv2.morphologyEx(overview, cv2.MORPH_CLOSE, window), (0, 0), CLOSED / 2)
    brightness = straight / np.maximum(cv2.resize(paper, size, interpolation=cv2.INTER_LINEAR), 1)
    return (1 - brightness).clip(0, 1).astype(np.float32)


def _without_specks(ink: Ink, smallest: float) -> Ink:
    """The ink of marks that are dark and not tiny, with their blurred edges."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats((ink > MIN_INK).astype(np.uint8), connectivity=8)
    kept = statistics[:, cv2.CC_STAT_AREA] >= smallest
    kept[0] = False  # the paper
    near = cv2.dilate(kept[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.where(near > 0, ink, 0)


def _page(kind: str, shape: tuple[int, int], inks: dict[tuple[int, int], Ink]) -> Page:
    """The page whose cells hold that ink, 0 where there is none; blank and struck out ones are left out."""
    written = {cell: ink for cell, ink in inks.items() if _height(ink) >= MIN_HEIGHT}
    taken = {}
    for row in sorted({cell[0] for cell in written}):
        of_row = {cell: ink for cell, ink in sorted(written.items()) if cell[0] == row}
        usual = float(np.median([(ink > 0).sum() for ink in of_row.values()]))
        for cell, ink in of_row.items():
            if not is_struck_out(ink) and not (len(of_row) > 2 and (ink > 0).sum() > STRUCK_INK * usual):
                taken[cell] = scan.normalise(ink)
    images = np.stack(list(taken.values())) if taken else np.zeros((0, SIDE, SIDE), np.uint8)
    cells = np.array(list(taken), dtype=np.int64).reshape(-1, 2)
    return Page(kind, shape, cells, images, len(inks) - len(written), len(written) - len(taken))


def _height(ink: Ink) -> float:
    """Of what is written, as a fraction of the cell's."""
    rows = np.flatnonzero(ink.any(axis=1))
    return (rows[-1] + 1 - rows[0]) / len(ink) if len(rows) else 0.0


def is_struck_out(ink: Ink) -> bool:
    """Whether a straight line, level or slanted, lies across nearly the whole width of the cell."""
    height, width = ink.shape
    reach = max(1, round(0.03 * width))  # a line is drawn by hand
    if not (ink[:, :reach].any() and ink[:, -reach:].any()):
        return False
    near = cv2.dilate((ink > 0).astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    steps = np.linspace(0, 1, 48)
    across = ((STRUCK_FROM + (STRUCK_TO - STRUCK_FROM) * steps) * (width - 1)).round().astype(int)
    ends = np.linspace(0, height - 1, 24)
    start, end = (grid.ravel()[:, None] for grid in np.meshgrid(ends, ends))
    down = (start + (end - start) * steps).round().astype(int)
    return bool((near[down, across] > 0).mean(axis=1).max() >= 0.97)
