"""Marks of ink -> digits: marks that lie close are read both joined and apart, and the likelier reading wins.

The classic over-segmentation with recognition: `candidates` are all that may be a digit, `choose` takes those that
together are likeliest, once the networks have seen them. A 4 may be two strokes, and so may 11.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.digits.base.dataset import Images, Probabilities

MAX_MARKS = 3  # of a digit
NEAR = 0.35  # of the taller mark's height: marks farther apart are never one digit
SMALLEST = 0.3  # of the tallest digit's height: smaller marks are strokes of a digit, or dots and dashes
# In units of log probability. Measured on 147 fours and fives in two strokes and 500 pairs of digits: between them.
GAP_COST = 3.0  # of a gap within a digit, as wide as the digit is high
CUT_GAIN = 0.2  # of two digits rather than one
SHORT, SHORT_COST = 0.8, 3.0  # of a digit that is less high than that fraction of its neighbours
SKIP_COST = 0.7  # of a small mark that is left out
ONE_GAIN = 1.5  # of one digit in a cell, where the other cells of its table hold one

Boxes = npt.NDArray[np.int64]  # (n, 4): left, top, right and bottom, the last two exclusive


class Candidates(NamedTuple):
    """What may be a digit: each is some neighbouring marks of a line."""

    boxes: Boxes  # in pixels of the picture
    images: Images  # in MNIST's form
    lines: npt.NDArray[np.int64]  # (n,) the number of the line, or of the cell
    spans: npt.NDArray[np.int64]  # (n, 2) its marks: the first, and the one after the last
    costs: npt.NDArray[np.float64]  # (n,) of the gaps between its marks


class Span(NamedTuple):
    """Neighbouring marks of a line that may be a digit."""

    first: int
    end: int
    box: tuple[int, int, int, int]
    cost: float


def find_spans(boxes: Boxes) -> list[Span]:
    """All that may be a digit among the marks of a line, which are sorted from left to right."""
    heights = boxes[:, 3] - boxes[:, 1]
    usual = np.quantile(heights, 0.75)
    spans = []
    for first in range(len(boxes)):
        for end in range(first + 1, min(first + MAX_MARKS, len(boxes)) + 1):
            part = boxes[first:end]
            left, top = part[:, :2].min(axis=0)
            right, bottom = part[:, 2:].max(axis=0)
            gaps = (part[1:, 0] - np.maximum.accumulate(part[:, 2])[:-1]) / heights[first:end].max()
            if len(gaps) and gaps.max() > NEAR:
                break
            if heights[first:end].max() >= SMALLEST * heights.max():
                short = SHORT - (bottom - top) / usual
                cost = GAP_COST * float(gaps.clip(0).sum()) + SHORT_COST * max(0.0, float(short))
                spans.append(Span(first, end, (int(left), int(top), int(right), int(bottom)), cost))
    return spans


def choose(candidates: Candidates, probabilities: Probabilities, holds_one: bool = False) -> npt.NDArray[np.int64]:
    """The rows of the candidates that are read, in order; `holds_one` says that a line holds one digit elsewhere."""
    scores = np.log(probabilities.max(axis=1).clip(1e-9)) - candidates.costs
    chosen: list[int] = []
    for line in np.unique(candidates.lines):
        rows = np.flatnonzero(candidates.lines == line)
        chosen += _best(rows, candidates.spans[rows], scores[rows], holds_one)
    return np.array(chosen, dtype=np.int64)


def _best(rows: np.ndarray, spans: np.ndarray, scores: np.ndarray, holds_one: bool) -> list[int]:
    """Those of a line that cover its marks with the highest sum; a mark that is no candidate alone may be left out."""
    n_marks = int(spans[:, 1].max())
    alone = {int(first) for first, end in spans if end == first + 1}
    gain = CUT_GAIN - ONE_GAIN * holds_one
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, n_marks + 1):
        options = [(-np.inf, [])] if end - 1 in alone else [(best[end - 1][0] - SKIP_COST, best[end - 1][1])]
        for row, span, score in zip(rows, spans, scores, strict=True):
            if span[1] == end:
                before, taken = best[span[0]]
                options.append((before + score + gain * bool(taken), [*taken, int(row)]))
        best.append(max(options, key=lambda option: option[0]))
    return best[-1][1]
