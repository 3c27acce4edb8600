"""Where things are on a page of the form, in millimetres from its top left: what is drawn there is read there."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from stages.digits.base.dataset import DIGITS

MARGIN = 8.0  # mm that a printer may leave white
MARKER_SIDE = 12.0  # mm
CELL_WIDTH = 10.5  # mm, at least
EXAMPLE_WIDTH = 14.0  # mm, left of the cells
DICTIONARY = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
MARKER_MODULES = 6  # squares along a marker's side, the black border included

Marker = npt.NDArray[np.uint8]  # (6, 6), 0 for black, 255 for white
Points = npt.NDArray[np.float64]  # (n, 2), x and y


class Layout(NamedTuple):
    """A page on its side, with a row of cells for each class."""

    paper: str
    width: float
    height: float
    markers: tuple[int, int, int, int]  # their numbers: top left, top right, bottom right, bottom left

    @property
    def columns(self) -> int:
        return int(self._room_across // CELL_WIDTH)

    @property
    def cell_height(self) -> float:
        return (self.height - 2 * self._top) / DIGITS

    @property
    def _top(self) -> float:
        return MARGIN + MARKER_SIDE + 4

    @property
    def _room_across(self) -> float:
        return self.width - 2 * MARGIN - EXAMPLE_WIDTH

    def cell(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of a cell."""
        width = self._room_across / self.columns
        left, top = MARGIN + EXAMPLE_WIDTH + column * width, self._top + row * self.cell_height
        return left, top, left + width, top + self.cell_height

    def marker_corners(self) -> npt.NDArray[np.float64]:
        """The corners (4, 4, 2) of each marker, clockwise from its top left."""
        near, right, bottom = MARGIN, self.width - MARGIN - MARKER_SIDE, self.height - MARGIN - MARKER_SIDE
        starts = np.array([(near, near), (right, near), (right, bottom), (near, bottom)])
        square = MARKER_SIDE * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
        return starts[:, None] + square


LAYOUTS = (Layout("A4", 297.0, 210.0, (0, 1, 2, 3)), Layout("Letter", 279.4, 215.9, (4, 5, 6, 7)))


def marker_image(number: int) -> Marker:
    return cv2.aruco.generateImageMarker(DICTIONARY, number, MARKER_MODULES)
