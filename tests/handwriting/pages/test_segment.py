"""Marks are read joined and apart, and the likelier reading wins."""

import numpy as np
import pytest

from handwriting.pages import segment
from handwriting.pages.segment import Candidates


def mark(left: int, width: int = 20, height: int = 60) -> tuple[int, int, int, int]:
    return left, 100 - height, left + width, 100


def spans(*marks: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    return [(span.first, span.end) for span in segment.find_spans(np.array(marks))]


def choose(tops: dict[tuple[int, int], float], cost: float = 0, holds_one: bool = False) -> list[tuple[int, int]]:
    """The spans that are read, where each has a top probability."""
    probabilities = np.zeros((len(tops), 10))
    probabilities[:, 4] = list(tops.values())
    costs = np.array([cost * (end - first > 1) for first, end in tops])
    n = len(tops)
    candidates = Candidates(
        np.zeros((n, 4), int), np.zeros((n, 28, 28), np.uint8), np.zeros(n, int), np.array(list(tops)), costs
    )
    return [list(tops)[row] for row in segment.choose(candidates, probabilities, holds_one)]


def test_marks_that_lie_close_may_be_one_digit_or_several():
    assert spans(mark(0), mark(25)) == [(0, 1), (0, 2), (1, 2)]


def test_marks_that_overlap_sideways_may_be_one_digit():
    assert (0, 2) in spans(mark(0, 40), mark(25, 40))


def test_marks_that_lie_apart_are_digits_of_their_own():
    assert spans(mark(0), mark(60)) == [(0, 1), (1, 2)]


def test_a_small_mark_is_no_digit_but_may_be_a_stroke_of_one():
    assert spans(mark(0), mark(25, 20, 8)) == [(0, 1), (0, 2)]


def test_a_wider_gap_costs_more():
    (close,), (wide,) = (
        [span.cost for span in segment.find_spans(np.array([mark(0), mark(left)])) if span.end - span.first == 2]
        for left in (23, 38)
    )
    assert 0 < close < wide


def test_what_is_likelier_joined_is_one_digit():
    assert choose({(0, 1): 0.5, (0, 2): 0.99, (1, 2): 0.9}) == [(0, 2)]


def test_what_is_likelier_apart_is_two_digits():
    assert choose({(0, 1): 0.99, (0, 2): 0.5, (1, 2): 0.99}) == [(0, 1), (1, 2)]


def test_every_mark_is_read_once():
    tops = {(0, 1): 0.6, (0, 2): 0.99, (1, 2): 0.98, (1, 3): 0.97, (2, 3): 0.95}
    assert choose(tops) == [(0, 2), (2, 3)]


def test_a_dot_is_left_out_unless_the_digit_is_likelier_with_it():
    assert choose({(0, 1): 0.99, (0, 2): 0.3}) == [(0, 1)]
    assert choose({(0, 1): 0.5, (0, 2): 0.99}) == [(0, 2)]


@pytest.mark.parametrize(("holds_one", "count"), [(False, 2), (True, 1)])
def test_where_cells_hold_one_digit_one_is_likelier(holds_one, count):
    assert len(choose({(0, 1): 0.9, (0, 2): 0.6, (1, 2): 0.9}, holds_one=holds_one)) == count


def test_a_mark_that_is_lower_than_its_neighbours_is_less_likely_a_digit():
    costs = [span.cost for span in segment.find_spans(np.array([mark(0), mark(60, height=30), mark(120)]))]
    assert costs[0] == costs[2] == 0 < costs[1]
