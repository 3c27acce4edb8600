"""From a picture to its tables' digits, with a stand-in for the ensemble that knows upright digits by their bar."""

import csv
import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.drawn import forms, strokes
from handwriting.pages import reading, report, scan, table
from stages.digits.base import dataset
from stages.digits.prediction import ensemble

CLASSES = list("0123456789")


def sevens(height: int, _: np.random.Generator) -> tuple[str, np.ndarray]:
    """A hand whose only digit, an L upside down, has nearly all its ink above the middle."""
    ink = np.zeros((height, round(0.7 * height)))
    ink[: height // 8] = ink[:, -height // 8 :] = 1
    return "7", ink


def is_upright(image: np.ndarray) -> bool:
    """Whether the bar, which the centre of mass is near, is on top."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return bool(np.ptp(rows) > np.ptp(columns) and 14 - rows[0] < rows[-1] - 14)


def average(images: np.ndarray, _: object = None) -> np.ndarray:
    """7 for sure where the bar is on top, otherwise 1 with 0.4."""
    upright = np.array([is_upright(image) for image in images])
    probabilities = np.full((len(images), 10), 0.6 / 9)
    probabilities[:, 1] = 0.4
    probabilities[upright] = 0.005
    probabilities[upright, 7] = 0.955
    return probabilities


@pytest.fixture
def form(monkeypatch) -> forms.Form:
    monkeypatch.setattr(ensemble, "average", average)
    monkeypatch.setattr(ensemble, "predict_proba", lambda _, images: average(images))
    return forms.scan(4, 5, [sevens], np.random.default_rng(0), tilt=(1, 2), blank=0.2, cell=70, wander=0.05)


def texts(page: reading.Page) -> list[list[str]]:
    [read_table] = page.tables
    rows = [[""] * read_table[0].columns for _ in range(read_table[0].rows)]
    for cell, digits in reading.cells_of(read_table):
        rows[cell.row][cell.column] = "".join(CLASSES[row.argmax()] for row in digits.probabilities)
    return rows


@pytest.mark.parametrize("turns", range(4))
def test_a_form_is_read_whatever_way_it_was_scanned(form, turns):
    picture = np.ascontiguousarray(np.rot90(form.picture, turns))
    assert texts(reading.read(picture, ["member"], None)) == form.texts


def test_the_csv_has_a_line_for_each_cell_and_blank_cells_are_blank(form):
    one = report.Reading("form", reading.read(form.picture, ["member"], None))
    lines = list(csv.DictReader(report.as_csv([one], CLASSES).splitlines()))
    assert [(int(line["row"]), int(line["column"])) for line in lines] == [
        (row, column) for row in range(1, 5) for column in range(1, 6)
    ]
    assert [line["digits"] for line in lines] == list(chain(*form.texts))
    for line in lines:
        assert line["unsure"] == "false"
        assert line["probability"] == ("0.9550" if line["digits"] else "")


def test_json_has_the_row_and_column_of_each_digit(form):
    found = json.loads(
        json.dumps(report.describe(report.Reading("form", reading.read(form.picture, [0], None)), CLASSES))
    )
    assert found["tables"] == [{"rows": 4, "columns": 5, "cells": 20, "merged": []}]
    places = [(row + 1, column + 1) for row in range(4) for column in range(5) if form.texts[row][column]]
    assert [(digit["row"], digit["column"]) for digit in found["digits"]] == places
    assert all(0 <= edge <= 1 for digit in found["digits"] for edge in digit["box"])


def test_the_table_is_printed_as_it_stands_on_the_paper(form):
    text = report.as_text(report.Reading("form", reading.read(form.picture, ["member"], None)), CLASSES)
    first, *rows = text.splitlines()
    filled = sum(map(bool, list(chain(*form.texts))))
    assert first == f"form: 4 × 5 cells, {filled} filled, 0 unsure (?)"
    assert [row.count("7") for row in rows] == [row.count("7") for row in form.texts]


def test_an_unsure_cell_says_so_in_the_csv_in_json_and_in_print(form, monkeypatch):
    monkeypatch.setattr(report, "SURE", 0.96)  # of each digit here the probability is 0.955
    one = report.Reading("form", reading.read(form.picture, ["member"], None))
    filled = [bool(text) for text in chain(*form.texts)]
    lines = list(csv.DictReader(report.as_csv([one], CLASSES).splitlines()))
    assert [line["unsure"] for line in lines] == [str(is_filled).lower() for is_filled in filled]
    assert all(digit["unsure"] for digit in report.describe(one, CLASSES)["digits"])
    first, *rows = report.as_text(one, CLASSES).splitlines()
    assert first.endswith(f"{sum(filled)} unsure (?)")
    assert sum(row.count("7?") for row in rows) == sum(filled)


def test_show_draws_the_cells_of_a_table(form, tmp_path: Path):
    one = report.Reading("form", reading.read(form.picture, ["member"], None))
    report.draw(one, CLASSES, tmp_path / "shown.png")
    with Image.open(tmp_path / "shown.png") as shown:
        pixels = np.asarray(shown.convert("RGB")).astype(int)
    blue = (pixels[..., 2] - pixels[..., 0] > 80).mean()
    assert 0.01 < blue < 0.3


def drawn(digit: int, seed: int) -> np.ndarray:
    """A digit in MNIST's form."""
    return scan.normalise(strokes.draw(digit, 60, 6, np.random.default_rng(seed)).astype(np.float32))


def box() -> np.ndarray:
    frame = np.ones((60, 60), dtype=np.float32)
    frame[5:-5, 5:-5] = 0
    return scan.normalise(frame)


@pytest.mark.parametrize(("image", "is_sure"), [(drawn(0, seed=9), True), (box(), False)], ids=["0", "box"])
def test_only_what_resembles_a_labelled_image_is_sure(image, is_sure):
    zeros = np.stack([drawn(0, seed) for seed in range(8)])
    reference = dataset.Labelled(zeros, np.zeros(8, dtype=np.uint8), np.zeros(8, dtype=np.uint8))
    certain = np.eye(10)[:1]
    digits = reading.Digits(np.zeros((1, 4), dtype=int), image[None], certain, np.zeros(1, dtype=int))
    [row] = reading.doubt_strange(digits, reference).probabilities
    assert (row.max() >= reading.SURE) == is_sure
    assert row.argmax() == 0
    assert row.sum() == pytest.approx(1)


@pytest.fixture
def lines(monkeypatch) -> report.Reading:
    """A page of two lines of numbers: three digits and one, then two and one; a blank line between them."""
    monkeypatch.setattr(ensemble, "average", average)
    monkeypatch.setattr(reading, "doubt_strange", lambda digits, _: digits)
    page = np.zeros((400, 500))
    for row, lefts in ((40, (30, 85, 140, 300)), (240, (30, 85, 210))):
        for left in lefts:
            page[row : row + 60, left : left + 42] = sevens(60, np.random.default_rng(0))[1]
    return report.Reading("page", reading.read((230 - 180 * page).astype(np.uint8), [], None))


def test_digits_that_stand_together_are_one_number_and_blank_lines_count_for_nothing(lines):
    found = list(csv.DictReader(report.as_csv([lines], CLASSES).splitlines()))
    assert [(line["row"], line["column"], line["digits"]) for line in found] == [
        ("1", "1", "777"), ("1", "2", "7"), ("2", "1", "77"), ("2", "2", "7"),
    ]  # fmt: skip
    digits = report.describe(lines, CLASSES)["digits"]
    assert [(digit["row"], digit["column"]) for digit in digits] == [(1, 1)] * 3 + [(1, 2)] + [(2, 1)] * 2 + [(2, 2)]


def test_lines_of_writing_are_printed_as_they_stand_on_the_paper(lines):
    assert report.as_text(lines, CLASSES).splitlines() == [
        "page: 2 lines, 4 numbers, 0 unsure (?)",
        "  777  7",
        "  77  7",
    ]


def test_a_page_is_unsure_where_most_of_its_digits_are():
    probabilities = np.full((12, 10), 0.3 / 9)
    probabilities[:, 3] = 0.7
    probabilities[:5] = np.eye(10)[3]
    digits = reading.Digits(np.zeros((12, 4), int), np.zeros((12, 28, 28), np.uint8), probabilities, np.zeros(12, int))
    assert (reading.doubt_all(digits).probabilities.max(axis=1) < reading.SURE).all()
    few = digits.take(np.arange(5))
    assert (reading.doubt_all(few).probabilities.max(axis=1) >= reading.SURE).all()


def test_nothing_is_sure_on_a_page_that_may_be_turned():
    digits = reading.Digits(
        np.zeros((12, 4), int), np.zeros((12, 28, 28), np.uint8), np.eye(10)[[3] * 12], np.zeros(12, int)
    )
    assert (reading.doubt_all(digits, is_turned=True).probabilities.max(axis=1) < reading.SURE).all()
    assert (reading.doubt_all(digits).probabilities.max(axis=1) >= reading.SURE).all()


def test_a_barcodes_bars_are_no_sure_ones():
    probabilities = np.eye(10)[[1] * 12 + [4] * 8]
    digits = reading.Digits(np.zeros((20, 4), int), np.zeros((20, 28, 28), np.uint8), probabilities, np.zeros(20, int))
    is_sure = reading.doubt_all(digits).probabilities.max(axis=1) >= reading.SURE
    assert is_sure.tolist() == [False] * 12 + [True] * 8


@pytest.mark.parametrize("turns", range(4))
def test_a_plain_page_is_read_whatever_way_it_was_scanned(lines, turns, monkeypatch):
    monkeypatch.setattr(ensemble, "predict_proba", lambda _, images: average(images))
    rows = [np.hstack([lines.page.picture] * 2)]
    picture = np.ascontiguousarray(np.rot90(rows[0], turns))
    assert len(reading.read(picture, [], None).digits.images) == 14
    assert np.array_equal(reading.read(picture, [], None).picture, rows[0])


def test_digits_between_rules_that_are_no_table_are_unsure(monkeypatch):
    monkeypatch.setattr(ensemble, "average", average)
    monkeypatch.setattr(table, "find_on", lambda _: [])
    form = forms.scan(4, 5, [sevens], np.random.default_rng(0), tilt=(0, 0), cell=70, wander=0.05, blank=0)
    digits = reading.read(form.picture, [], None).digits
    assert len(digits.images) == 20
    assert (digits.probabilities.max(axis=1) < reading.SURE).all()
