"""Drawn papers: what their answers say stands there, and the comparison with what is read."""

from itertools import chain, pairwise

import numpy as np
import pandas as pd
import pytest

from benchmarks import papers as measurement
from benchmarks.drawn import answers, odd_pages, papers
from benchmarks.shared import tables


class Counting:
    """A hand that writes 0, 1, 2 ... as blots."""

    def __init__(self) -> None:
        self.written = ""

    def __call__(self, height: int, random: np.random.Generator) -> tuple[str, np.ndarray]:
        self.written += str(len(self.written) % 10)
        return self.written[-1], np.ones((height, round(height * random.uniform(0.4, 0.7))))


def texts(answer: papers.Answer) -> list[list[str]]:
    """What stands in each line or row."""
    return [
        [text for text in line if text]
        for line in next(answer[key] for key in ("cells", "rows", "numbers", "lines") if key in answer)
    ]


@pytest.mark.parametrize("kind", ["lined with a margin", "comb", "boxes, cut off", "table, dashed", "mark sheet"])
def test_the_answers_are_what_is_written_and_ink_is_where_they_say(kind):
    hand = Counting()
    page = papers.draw(kind, [hand], seed=7)
    assert "".join(chain(*texts(page.answer))) == hand.written
    assert len(page.centres) == len(hand.written) > 0
    columns, rows = page.centres.round().astype(int).T
    on_digits = page.picture[rows, columns].astype(float)
    around = [
        page.picture[max(0, y - 60) : y + 60, max(0, x - 60) : x + 60] for x, y in zip(columns, rows, strict=True)
    ]
    assert (on_digits < 0.75 * np.array([np.percentile(part, 90) for part in around])).all()


@pytest.mark.parametrize("kind", ["white", "squared, 4 mm, larger digits", "boxes", "table", "mark sheet"])
def test_lines_follow_from_top_to_bottom_and_digits_from_left_to_right(kind):
    page = papers.draw(kind, [Counting()], seed=0)
    lines = np.split(page.centres, np.cumsum([len("".join(line)) for line in texts(page.answer)])[:-1])
    lines = [line for line in lines if len(line)]
    assert all((np.diff(line[:, 0]) > 0).all() for line in lines)
    assert (np.diff([line[0, 1] for line in lines]) > 0).all()


def test_numbers_stand_farther_apart_than_their_digits():
    page = papers.draw("white", [Counting()], seed=0)
    centres, inside, between = iter(page.centres[:, 0]), [], []
    for line in page.answer["numbers"]:
        places = [[next(centres) for _ in number] for number in line]
        inside += [right - left for number in places for left, right in pairwise(number)]
        between += [right[0] - left[-1] for left, right in pairwise(places)]
    assert max(inside) < min(between)


def test_each_cell_of_a_mark_sheet_is_a_text_print_or_part_of_a_merged_one():
    answer = papers.draw("mark sheet", [Counting()], seed=1).answer
    printed = np.array([[text is None for text in row] for row in answer["cells"]])
    for row, column, rows, columns in answer["spans"]:
        part = printed[row : row + rows, column : column + columns]
        assert part.ravel()[1:].all()
        part[:] = False
    assert np.flatnonzero(printed.any(axis=1)).tolist() == [1]  # the heads of the columns


def test_a_seed_draws_the_same_page_and_no_page_of_development_is_reported():
    for draw, kind in ((papers.draw, "comb"), (odd_pages.draw, "barcode")):
        a, b, other = (draw(kind, [Counting()], seed)[0] for seed in (1, 1, 6))
        assert np.array_equal(a, b)
        assert not np.array_equal(a, other)
    assert not set(measurement.DEVELOPMENT) & set(measurement.REPORT)


@pytest.mark.parametrize(
    ("answer", "cells", "counts"),
    [
        ({"cells": [["1", "23"]]}, {(0, 0, 0): ("1", False), (0, 0, 1): ("28", True)}, (1, 0)),
        ({"cells": [["", "23"]]}, {(0, 0, 0): ("23", False), (0, 0, 1): ("", False)}, (3, 2)),
        ({"cells": [[None, "4"]]}, {(0, 0, 0): ("7", False), (0, 0, 1): ("4", False)}, (0, 1)),
        ({"cells": [["4"]]}, {(0, 0, 0): ("4", False), (0, 3, 3): ("5", True), (1, 0, 0): ("6", False)}, (0, 1)),
        ({"rows": [["1", "2"], ["3", "4"]]}, {(0, 0, 0): ("1", False), (0, 0, 1): ("2", False),
                                              (1, 0, 0): ("3", False), (1, 0, 1): ("4", False)}, (0, 0)),
        ({"tables": [[["1"]], [["2"]]]}, {(0, 0, 0): ("2", False), (1, 0, 0): ("1", True)}, (2, 1)),
        ({"lines": ["123", "456"]}, {(0, 0, 0): ("123", False), (0, 4, 0): ("4", True), (0, 4, 1): ("57", True)},
         (1, 0)),
        ({"lines": ["12", "21"]}, {(0, 0, 0): ("122", False), (0, 1, 0): ("1", False)}, (2, 1)),
        ({"lines": ["123", "456", "789"]}, {(0, 0, 0): ("123", False), (0, 1, 0): ("789", False)}, (3, 0)),
        ({"lines": []}, {(0, 0, 0): ("12", False), (0, 0, 1): ("3", True)}, (1, 2)),
        ({"present": ["12", "3"]}, {(0, 0, 0): ("12", False), (0, 5, 0): ("9", True)}, (1, 0)),
    ],
)  # fmt: skip
def test_digits_count_in_their_place_only(answer, cells, counts):
    total = answers.judge(answer, cells)
    assert (total["wrong"], total["sure_and_wrong"]) == counts


def test_numbers_count_as_apart_where_both_their_ends_are_found():
    cells = {(0, 0, 0): ("12", False), (0, 0, 1): ("34", False), (0, 0, 2): ("5", False)}
    total = answers.judge({"numbers": [["12", "345"]]}, cells)
    assert (total["numbers"], total["numbers_apart"], total["wrong"]) == (2, 1, 0)


def test_odd_pages_have_a_table_of_their_own():
    counts = {"pages": 2, "digits": 200, "wrong": 10, "sure_and_wrong": 1, "unsure": 30, "cpu_seconds_per_page": 0.44}
    table = pd.DataFrame([counts | {"kind": "lined", "is_odd": False}, counts | {"kind": "barcode", "is_odd": True}])
    assert tables.papers(table).splitlines()[2:] == ["| lined | 200 | 5.0 % | 0.5 % | 15.0 % | 0.4 |"]
    assert tables.odd_pages(table).splitlines()[2:] == ["| barcode | 2 | 200 | 10 | 1 |"]
