"""Connected marks of ink: found, joined where they lie above each other, put in lines, cut out."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from handwriting.pages.ink import Ink

Labels = npt.NDArray[np.int32]  # (height, width), the number of a connected part, 0 outside


SLOPES = sorted(np.linspace(-0.2, 0.2, 41), key=abs)  # of lines of writing; a level one where there's a choice
SAME_LINE = 0.6  # of a digit's height: its middle is that near the line's level
DRIFT = 0.3  # of a digit's way from the line's level, which follows it


class Mark(NamedTuple):
    """One or several connected parts of a mask, and their box."""

    parts: tuple[int, ...]  # their numbers
    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def label(mask: npt.NDArray[np.bool_]) -> tuple[Labels, list[Mark]]:
    """The connected parts of a mask, each a mark of its own."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    marks = [
        Mark((number,), left, top, left + width, top + height)
        for number, (left, top, width, height) in enumerate(stats[1:n, :4].tolist(), start=1)
    ]
    return labels, marks


def union(marks: list[Mark]) -> Mark:
    """The marks as one."""
    return Mark(
        tuple(part for mark in marks for part in mark.parts),
        min(mark.left for mark in marks),
        min(mark.top for mark in marks),
        max(mark.right for mark in marks),
        max(mark.bottom for mark in marks),
    )


def typical_height(marks: list[Mark]) -> float:
    """The height of digits among marks, most of which may be dots, dashes and strokes; 0 if there are none."""
    if not marks:
        return 0.0
    heights = np.sort([mark.height for mark in marks])
    weights = np.cumsum(heights**2)
    return float(heights[np.searchsorted(weights, weights[-1] / 2)])


def join(marks: list[Mark], highest: float = np.inf) -> list[Mark]:
    """The strokes of one digit as one mark: they lie above each other, with little between them.

    Two are no digit if they are together higher than `highest`, but for a small one.
    """
    joined: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.height):
        while other := next((other for other in joined if _belong_together(mark, other, highest)), None):
            joined.remove(other)
            mark = union([mark, other])
        joined.append(mark)
    return joined


def _belong_together(a: Mark, b: Mark, highest: float) -> bool:
    shared = min(a.right, b.right) - max(a.left, b.left)
    if shared < 0:  # most pairs
        return False
    gap = max(a.top, b.top) - min(a.bottom, b.bottom)
    small, tall = sorted((a.height, b.height))
    needed = 0.7 if small > 0.6 * tall else 0.3  # two slanted digits may overlap a little
    return (
        shared >= needed * min(a.width, b.width)
        and gap <= 0.3 * min(tall, highest)
        and (gap <= 0 or max(a.bottom, b.bottom) - min(a.top, b.top) <= highest)
    )


def in_lines(marks: list[Mark], height: float) -> list[list[Mark]]:
    """The lines of writing from top to bottom, each from left to right; a line may rise or fall.

    `height` is that of most digits.
    """
    middles = np.array([((mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2) for mark in marks])
    slope = max(SLOPES, key=lambda slope: _evenness(middles[:, 1] - slope * middles[:, 0], height))
    lines: list[tuple[float, list[Mark]]] = []  # the level of the last mark, and all of them
    for (x, y), mark in sorted(zip(middles.tolist(), marks, strict=True), key=lambda pair: pair[1].left):
        level = y - slope * x
        near = [number for number, (last, _) in enumerate(lines) if abs(level - last) < SAME_LINE * height]
        if near:
            number = min(near, key=lambda number: abs(level - lines[number][0]))
            last, line = lines[number]
            drift = DRIFT * (level - last) * min(1.0, mark.height / height)
            lines[number] = last + drift, [*line, mark]
        else:
            lines.append((level, [mark]))
    return [line for _, line in sorted(lines, key=lambda line: line[0])]


def _evenness(levels: npt.NDArray[np.float64], height: float) -> float:
    """How well levels gather in lines that are half a digit wide."""
    counts = np.bincount(np.floor((levels - levels.min()) / (height / 4)).astype(int))
    return float((np.convolve(counts, [1, 1]).astype(float) ** 2).sum())


def cut(ink: Ink, labels: Labels, mark: Mark) -> Ink:
    """The ink of a mark and of its blurred edge, without that of its neighbours."""
    margin = 1 + mark.height // 20
    box = slice(max(0, mark.top - margin), mark.bottom + margin), slice(max(0, mark.left - margin), mark.right + margin)
    own = np.isin(labels[box], mark.parts)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    near = (cv2.dilate(own.astype(np.uint8), cross, iterations=margin) > 0) & ((labels[box] == 0) | own)
    return np.where(near, ink[box], 0)
