"""Ink -> the long straight rules on it, full, dashed or dotted, and the ink without them.

Strokes that cross a rule stay whole. Rules run along rows; for those along columns, the ink is transposed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages.ink import Ink, noise
from handwriting.pages.lines import MIN_CONTRAST, measure_ridge

PIECE = 1 / 70  # of the longer side: what is bridged, between dashes
SHORTEST = 14  # pixels of that
NOISE_LEVELS = 2.5  # standard deviations of the paper that a rule must exceed
SLENDER = 30  # times as long as thick
THICKEST = 12  # pixels
BLURRED = 8  # pixels: thicker rules are
THINNEST = 2  # pixels, with blur
LONG = 0.12  # of the longer side
REACHES = (3, 6)  # pixels from a rule to the paper beside it: it is at most that thick
INKED = 0.8  # of its length, if dots are blurred by 7 pixels
VERY_LONG, SPACED = 0.35, 0.6  # the same of a fine rule that is longer than that fraction of the page
FINE = 5  # pixels
FEWEST = 3  # rules that may be shorter
LONGEST_DIGITS = 250  # pixels: in shorter rows, strokes of digits may lie as straight as dots of a rule
WAVERS = 0.7  # pixels, from a smooth curve
REACH = 8  # pixels from the middle of a rule to the paper beside it
EDGE, BLURRED_EDGE = 0.3, 0.1  # of a rule's darkness: its edge
MIN_INK = 0.15  # of the paper's brightness, of a stroke that crosses a rule
DARKER = 1.6  # times as dark as the rule: a stroke on it


Mask = npt.NDArray[np.uint8]  # (height, width), 0 or 1


class Rule(NamedTuple):
    """A rule across: its middle at each pixel along it, and from there its first row, and the one after it."""

    start: int
    middles: npt.NDArray[np.int64]  # (length,)
    first: int
    last: int
    thickness: int
    darkness: float


Rules = tuple[list[Rule], list[Rule]]  # across and down


def erase(ink: Ink, rules: Rules) -> tuple[Ink, npt.NDArray[np.bool_]]:
    """The ink without its rules across and down; also where these were."""
    ink, bands = ink.copy(), [np.zeros(ink.shape, dtype=bool) for _ in range(2)]
    for part, band, of_part in zip((ink, ink.T), (bands[0], bands[1].T), rules, strict=True):
        for rule in of_part:
            _erase(part, band, rule)
    ink[bands[0] & bands[1]] = 0  # there, each crosses the other
    return ink, bands[0] | bands[1]


def as_segments(rules: Rules) -> npt.NDArray[np.float64]:
    """The ends (n, 2, 2) of the rules, each x and y."""
    across, down = (
        [(rule.start, rule.middles[0], rule.start + len(rule.middles) - 1, rule.middles[-1]) for rule in of_part]
        for of_part in rules
    )
    ends = [*across, *((y0, x0, y1, x1) for x0, y0, x1, y1 in down)]
    return np.array(ends, dtype=float).reshape(-1, 2, 2)


def find_all(ink: Ink) -> Rules:
    """The rules across, and those down; a few short ones are strokes of digits that stand in line."""
    across, down = list(find(ink)), list(find(ink.T))
    shortest = VERY_LONG * np.array(ink.shape[::-1]) * (len(across) + len(down) < FEWEST)
    return [one for one in across if len(one.middles) > shortest[0]], [
        one for one in down if len(one.middles) > shortest[1]
    ]


def find(ink: Ink) -> Iterator[Rule]:
    """The rules across."""
    length = max(SHORTEST, round(max(ink.shape) * PIECE))
    ridge = measure_ridge(ink, REACHES)
    dark = (ridge > max(NOISE_LEVELS * noise(ridge), MIN_CONTRAST)).astype(np.uint8)
    thick = cv2.dilate(dark, np.ones((3, 1), np.uint8))
    bridged = cv2.morphologyEx(thick, cv2.MORPH_CLOSE, np.ones((1, length), np.uint8))
    yield from _trace(ink, thick, bridged, length, 2 * length)


def _trace(ink: Ink, thick: Mask, bridged: Mask, gap: int, length: int) -> Iterator[Rule]:
    """The rules of which there are pieces of that length; where strokes link rules, longer pieces tell them apart."""
    pieces = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(pieces, connectivity=8)
    for number, (left, top, width, height, _) in enumerate(boxes.tolist()):
        if number == 0 or width < LONG * max(ink.shape):
            continue
        box = slice(top, top + height), slice(left, left + width)
        own = labels[box] == number
        rows, columns = np.arange(height)[:, None], np.arange(width)
        middles = (own * rows).sum(axis=0) / own.sum(axis=0).clip(1)
        bent = np.polynomial.Polynomial.fit(columns, middles, 3)(columns)
        inked = thick[box][np.round(bent).astype(int).clip(0, height - 1), columns].mean()
        rule = _measure(ink, left, top + np.round(middles).astype(np.int64), gap)
        is_very_long = width > max(VERY_LONG * ink.shape[1], LONGEST_DIGITS)
        needed = SPACED if is_very_long and rule.thickness <= FINE else INKED
        is_straight = np.abs(middles - bent).mean() <= WAVERS and inked >= needed
        if is_straight and rule.thickness <= THICKEST and width >= SLENDER * max(THINNEST, rule.thickness):
            yield rule
        elif width > 2 * length:
            part = np.zeros_like(bridged)
            part[box] = own
            yield from _trace(ink, thick, part, gap, 2 * length)


def _measure(ink: Ink, start: int, middles: npt.NDArray[np.int64], length: int) -> Rule:
    """The rule with these middles, whose dots and dashes are less than `length` apart."""
    strip = _strip(ink, start, middles)
    dark = np.median(ink[strip], axis=1)
    bridged = np.median(cv2.morphologyEx(ink[strip], cv2.MORPH_CLOSE, np.ones((1, length), np.uint8)), axis=1)
    if dark.max() < bridged.max() / 2:  # dots or dashes
        dark = bridged
    peak = REACH - 3 + int(dark[REACH - 3 : REACH + 4].argmax())
    first, last = _edges(dark, peak, EDGE)
    thickness = last - first
    if thickness > BLURRED:
        first, last = _edges(dark, peak, BLURRED_EDGE)
    return Rule(start, middles, first - REACH, last - REACH, thickness, float(dark[peak]))


def _edges(dark: npt.NDArray[np.float32], peak: int, edge: float) -> tuple[int, int]:
    """The first row around a peak that is darker than that fraction of it, and the one after the last."""
    beside = np.flatnonzero(dark <= edge * dark[peak])
    first = max((int(row) + 1 for row in beside if row < peak), default=0)
    return first, min((int(row) for row in beside if row > peak), default=len(dark))


def _strip(ink: Ink, start: int, middles: npt.NDArray[np.int64]) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns of the pixels around a rule."""
    rows = (middles + np.arange(-REACH, REACH + 1)[:, None]).clip(0, len(ink) - 1)
    return rows, np.broadcast_to(start + np.arange(len(middles)), rows.shape)


def _erase(ink: Ink, band: npt.NDArray[np.bool_], rule: Rule) -> None:
    """Erase a rule across, but for what crosses it, in place; the band is where it was."""
    rows, columns = _strip(ink, rule.start, rule.middles)
    strip = ink[rows, columns]
    first, last = rule.first + REACH, rule.last + REACH
    dark = strip > max(rule.darkness / 2, MIN_INK)
    above, below = (dark[row].astype(np.uint8)[None] for row in (max(0, first - 1), min(last, len(strip) - 1)))
    near = np.ones((1, (last - first) | 1), np.uint8)  # a stroke may cross at a slant
    crossed = (cv2.dilate(above, near) & cv2.dilate(below, near))[0] > 0
    kept = crossed | (strip > max(DARKER * rule.darkness, MIN_INK))
    ink[rows[first:last], columns[first:last]] = (strip * kept)[first:last]
    band[rows[first:last], columns[first:last]] = True
