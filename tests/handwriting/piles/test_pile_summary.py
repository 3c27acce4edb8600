"""How far a pile is, and what came of it."""

import pytest

from handwriting.piles import pile, summary
from handwriting.piles.summary import Summary
from stages.digits.training import progress


def page(name: str, unsure: int) -> pile.Result:
    return {"name": name, "cells": 10, "digits": 8, "doubts": [{}] * unsure}


def test_where_nobody_watches_there_are_at_most_twenty_lines(capsys):
    shown = Summary(1000)
    with shown.bar:
        for number in range(1000):
            shown.add(page(str(number), 0), is_new=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == summary.LINES
    assert lines[0].startswith("50/1000 pages  ")
    assert lines[0].endswith(" left")
    assert lines[-1].startswith("1000/1000 pages  ")


def test_a_few_more_pages_than_lines_have_no_more_lines(capsys):
    shown = Summary(summary.LINES + 1)
    with shown.bar:
        for number in range(summary.LINES + 1):
            shown.add(page(str(number), 0), is_new=True)
    assert len(capsys.readouterr().err.splitlines()) <= summary.LINES


def test_a_few_pages_need_no_line(capsys):
    shown = Summary(summary.LINES - 1)
    with shown.bar:
        shown.add(page("a", 0), is_new=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("total", "is_shown"), [(30, True), (1, False)])
def test_on_a_terminal_a_pile_has_a_bar_and_one_page_has_none(monkeypatch, capsys, total, is_shown):
    monkeypatch.setattr(progress, "is_watched", lambda _: True)
    shown = Summary(total)
    with shown.bar:
        shown.bar.mininterval = 0
        shown.add(page("a", 0), is_new=True)
    assert (f"1/{total} pages" in capsys.readouterr().err) == is_shown


def test_pages_of_an_earlier_run_do_not_count_for_the_speed():
    shown = Summary(1000)
    with shown.bar:
        for number in range(500):
            shown.add(page(str(number), 0), is_new=False)
        assert "500/1000 pages  ? pages/s" in str(shown.bar)


def test_the_end_counts_all_and_names_the_pages_with_most_doubt_first(capsys):
    shown = Summary(8)
    with shown.bar:
        for name, unsure in zip("abcdefg", (0, 3, 1, 12, 2, 3, 1), strict=True):
            shown.add(page(name, unsure), is_new=True)
        shown.add(pile.unread("h", "no digit found"), is_new=True)
    assert capsys.readouterr().err == "h: no digit found\n"
    assert str(shown).splitlines() == [
        "8 pages: 70 cells, 56 digits, 22 unsure, 1 not read",
        "most doubt: d (12), b (3), f (3), e (2), c (1)",
    ]
