"""A picture -> the page on it, set straight, with its rules, and what is written on it without them."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages import ink, marks, perspective, rules
from handwriting.pages.ink import Ink
from handwriting.pages.marks import Labels, Mark
from handwriting.pages.picture import Picture

MAX_SIDE = 1800  # pixels of the straight page
NOISE_LEVELS = 4  # standard deviations of the paper that ink must exceed
MIN_CONTRAST = 0.08  # of the paper's brightness: what differs less is no ink
SOLID = 0.3  # of a mark's longer side: half the thickness of what is no stroke
LARGE = 0.2  # of the page: what is as large and reaches its rim is no digit
TICK = 0.55  # of most marks' height: what touches a rule and is lower is part of it
THIN_TICK = 0.8  # the same of upright strokes
BRIDGE = 1 / 50  # of its longer side: the gaps between dashes
BENT = 6  # pixels of the straight page that a rule may rise or fall
HIGHEST = 1.5  # of most digits' height: what is higher are two digits, one above the other
FEWEST = 2  # rules by which a page is set straight


class Sheet(NamedTuple):
    """A page: its ink in the picture; and straight, at most MAX_SIDE high and wide."""

    ink: Ink
    straight: Ink
    back: perspective.Matrix  # from pixels of the straight page to those of the picture
    written: Ink  # the straight ink without rules
    labels: Labels  # of its marks
    marks: list[Mark]  # what may be digits or strokes of them: joined, without parts of rules
    rules: tuple[int, int]  # how many there are across and down

    @property
    def bridge(self) -> int:
        """Pixels of the gaps between dashes."""
        return round(BRIDGE * max(self.straight.shape))


def straighten(picture: Picture) -> Sheet:
    """The page on a picture; it stays as it is if there are no rules by which to set it straight."""
    whole = ink.measure(picture)
    scale = min(1.0, MAX_SIDE / max(picture.shape))
    small = ink.resize(whole, scale)
    segments = perspective.find_segments(_bright(small))
    for _ in range(2):  # by all that is straight, then by the rules that this shows
        matrix, size = perspective.find(segments, small.shape)
        straight = cv2.warpPerspective(small, matrix, size)
        found = rules.find_all(straight)
        if min(map(len, found)) < FEWEST or max(np.ptp(rule.middles) for of_part in found for rule in of_part) <= BENT:
            break
        back = np.linalg.inv(matrix).astype(np.float64)
        segments = perspective.transform(back, rules.as_segments(found)).reshape(-1, 4)
    if sum(map(len, found)) < FEWEST:
        matrix, straight, found = np.eye(3), small, rules.find_all(small)
    written, band = rules.erase(straight, found)
    back = np.diag([1 / scale, 1 / scale, 1]) @ np.linalg.inv(matrix)
    shown = cv2.warpPerspective(np.ones(small.shape, np.uint8), matrix, straight.shape[::-1])
    labels, digits = _find_marks(written, band, shown)
    return Sheet(whole, straight, back, written, labels, digits, (len(found[0]), len(found[1])))


def _find_marks(written: Ink, band: npt.NDArray[np.bool_], shown: npt.NDArray[np.uint8]) -> tuple[Labels, list[Mark]]:
    """The marks, without parts of rules, and without a desk, holes and fingers: what is as thick as digits aren't."""
    mask = _mask(written)
    labels, found = marks.label(mask)
    if not found:
        return labels, found
    rim = cv2.erode(np.pad(shown, 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1] == 0
    thickness = np.zeros(len(found) + 1, dtype=np.float32)
    np.maximum.at(thickness, labels[mask], cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)[mask])
    at_rim = set(labels[rim].tolist())
    digits = [
        mark
        for mark in found
        if thickness[mark.parts[0]] < SOLID * max(mark.height, mark.width)
        and not (mark.parts[0] in at_rim and max(mark.height, mark.width) > LARGE * max(written.shape))
    ] or found
    height = marks.typical_height(digits)
    at_rule = set(labels[cv2.dilate(band.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0].tolist())
    return labels, [
        mark
        for mark in marks.join(digits, HIGHEST * height)
        if at_rule.isdisjoint(mark.parts)
        or mark.height > (TICK if mark.width > mark.height / 4 else THIN_TICK) * height
    ]


def _bright(part: Ink) -> Picture:
    """The page, its paper white, with the gaps in rules filled."""
    length = round(BRIDGE * max(part.shape))
    windows = (np.ones(size, np.uint8) for size in ((1, length), (length, 1)))
    dark = np.maximum(*(cv2.morphologyEx(part, cv2.MORPH_CLOSE, window) for window in windows))
    return (255 * (1 - dark).clip(0, 1)).astype(np.uint8)


def _mask(part: Ink) -> npt.NDArray[np.bool_]:
    """Where there is ink: above Otsu's threshold and above the paper's noise."""
    smooth = cv2.GaussianBlur(part, (0, 0), max(part.shape) / 800)
    sample = smooth[::3, ::3]
    middle = np.median(sample)
    noise = 1.4826 * np.median(np.abs(sample - middle))  # the standard deviation, of a normal distribution
    levels = (255 * smooth.clip(0, 1)).astype(np.uint8)
    otsu = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0] + 1
    return smooth > max(otsu / 255, middle + NOISE_LEVELS * noise, MIN_CONTRAST)
