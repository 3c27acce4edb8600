"""Printed digits: the same each time, even over digits and fonts, and a writer of their own."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from handwriting import collect, print
from handwriting.collection import contact_sheet
from handwriting.pages import scan
from stages.digits.base.errors import InputError
from stages.digits.tables import own


@pytest.fixture
def write(empty_project: Path, monkeypatch):
    """Runs the command in an empty project."""
    monkeypatch.setattr(contact_sheet, "save", lambda *_: None)

    def write(*arguments: str) -> list[Path]:
        monkeypatch.setattr(sys, "argv", ["print", *arguments])
        print.main()
        return own.paths(empty_project / own.FOLDER)

    return write


def test_the_digits_are_a_writer_of_their_own_in_mnists_form_and_even(write):
    [file] = write("--count", "20")
    table = own.read(own.FOLDER)
    assert table.names == ("print",)
    assert file.parent.name == "print"
    assert np.bincount(table.labels).tolist() == [2] * 10
    assert all(scan.is_mnist_form(image) for image in table.images)


def test_the_same_digits_are_written_each_time_whatever_the_models_say(write, monkeypatch):
    [file] = write("--count", "10")
    content = file.read_bytes()
    file.unlink()
    monkeypatch.setattr(collect.Models, "predict", lambda _, images: np.full((len(images), 10), 0.1))
    assert write("--count", "10") == [file]
    assert file.read_bytes() == content


def test_a_second_run_adds_only_what_is_new(write, capsys):
    [file] = write("--count", "10")
    assert write("--count", "10") == [file]
    assert capsys.readouterr().out.splitlines()[1] == "print: took nothing; left out 10 taken before"
    assert len(write("--count", "20")) == 2
    assert len(own.read(own.FOLDER).labels) == 20


def test_another_seed_has_other_digits(write):
    write("--count", "10")
    write("--count", "10", "--seed", "2")
    assert len(own.read(own.FOLDER).labels) == 20


def test_each_digit_is_drawn_in_each_font_and_each_time_anew(monkeypatch):
    drawn = []

    def draw(digit: int, font: str, random: np.random.Generator) -> np.ndarray:
        drawn.append((digit, font, random.random()))
        return np.zeros((1, 1), np.uint8)

    monkeypatch.setattr(print, "draw", draw)
    assert [label for _, label, _ in print.pages(220, seed=1)] == np.repeat(np.arange(10), 22).tolist()
    assert Counter(one[:2] for one in drawn) == {(digit, font): 2 for digit in range(10) for font in print.FONTS}
    assert len(set(drawn)) == 220


def test_each_font_has_ten_different_digits():
    for font in print.FONTS:
        pictures = [print.draw(digit, font, np.random.default_rng(0)) for digit in range(10)]
        images = np.stack([scan.normalise(1 - picture / picture.max()) for picture in pictures])
        likeness = [collect._likeness(images, np.roll(images, turns, axis=0)).max() for turns in range(1, 10)]
        assert max(likeness) < 0.97, font


def test_a_digit_is_a_small_photo_of_dark_on_light():
    random = np.random.default_rng(0)
    for _ in range(50):
        picture = print.draw(8, "DejaVuSans", random)
        height = picture.shape[0] // 3
        assert 14 <= height <= 30
        paper, ink = np.median(picture), picture.min()
        assert 145 <= paper <= 255
        assert ink < 0.9 * paper


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--count", "3001"], ["--seed", "-1"]])
def test_a_number_out_of_range_is_one_line(write, arguments):
    with pytest.raises(InputError, match=r"^expected --count from 1 to 3000, and --seed from 0$"):
        write(*arguments)
    assert not Path("data").exists()
