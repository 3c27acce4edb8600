"""Connected marks of ink: found, joined where they lie above each other, put in lines, cut out."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Ink = npt.NDArray[np.float32]  # (height, width), 0 for paper to 1; below 0, for noise
Labels = npt.NDArray[np.int32]  # (height, width), the number of a connected part, 0 outside


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


def join(marks: list[Mark]) -> list[Mark]:
    """The strokes of one digit as one mark: they lie above each other, with little between them."""
    joined: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.height):
        while other := next((other for other in joined if _belong_together(mark, other)), None):
            joined.remove(other)
            mark = union([mark, other])
        joined.append(mark)
    return joined


def _belong_together(a: Mark, b: Mark) -> bool:
    shared = min(a.right, b.right) - max(a.left, b.left)
    gap = max(a.top, b.top) - min(a.bottom, b.bottom)
    small, tall = sorted((a.height, b.height))
    needed = 0.7 if small > 0.6 * tall else 0.3  # two slanted digits may overlap a little
    return shared >= needed * min(a.width, b.width) and gap <= 0.3 * tall


def in_lines(marks: list[Mark]) -> list[list[Mark]]:
    """Line by line, each from left to right; a line may rise or fall."""
    lines: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.left):
        for line in lines:
            shared = min(mark.bottom, line[-1].bottom) - max(mark.top, line[-1].top)
            if shared >= 0.4 * min(mark.height, line[-1].height):
                line.append(mark)
                break
        else:
            lines.append([mark])
    return sorted(lines, key=lambda line: np.mean([mark.top for mark in line]))


def cut(ink: Ink, labels: Labels, mark: Mark) -> Ink:
    """The ink of a mark and of its blurred edge, without that of its neighbours."""
    margin = 1 + mark.height // 20
    box = slice(max(0, mark.top - margin), mark.bottom + margin), slice(max(0, mark.left - margin), mark.right + margin)
    own = np.isin(labels[box], mark.parts)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    near = (cv2.dilate(own.astype(np.uint8), cross, iterations=margin) > 0) & ((labels[box] == 0) | own)
    return np.where(near, ink[box], 0)
