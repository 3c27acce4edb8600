"""The reader against an obvious one, on whatever Hypothesis and the fuzzer make of valid files."""

import random
import re
import string
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing import fuzz_reader
from benchmarks.fuzzing.fuzz_reader import TOKENS, obvious_rows
from stages.digits.tables import archive, csv_errors, kaggle, strict_csv

COLUMNS = [{"label": 9}, {"label": 9, "pixel0": 255}, {f"pixel{i}": 255 for i in range(4)}]
VALUES = st.integers(0, 255).map(str) | st.sampled_from(["0", "9", "10", "99", "100", "255"])
BAD_VALUES = st.sampled_from(
    ["", " ", "-1", "256", "300", "1000", "00", "01", "007", "+5", "5.0", "1e2", "nan", '"5"', "\u0663", "9" * 40]
)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n", "\n\r"])
REPEATABLE = settings(deadline=None, derandomize=True, database=None)


@st.composite
def files(draw: st.DrawFn, bad: bool) -> tuple[dict[str, int], bytes]:
    """Columns, and a file of a few rows with them; if `bad`, with some that are not as defined."""
    columns = draw(st.sampled_from(COLUMNS))
    cells = [
        draw(st.lists(VALUES, min_size=len(columns), max_size=len(columns))) for _ in range(draw(st.integers(1, 5)))
    ]
    for row in cells:
        row[0] = str(min(int(row[0]), min(columns.values())))
    if bad:
        for row in draw(st.lists(st.sampled_from(cells), max_size=3)):
            change = draw(st.sampled_from(["value", "drop", "add"]))
            place = draw(st.integers(0, max(0, len(row) - 1)))
            row[place : place + (change != "add")] = [] if change == "drop" else [draw(BAD_VALUES)]
    lines = [",".join(row) for row in [list(columns), *cells]]
    text = draw(st.sampled_from(["", "\ufeff"])) + "".join(line + draw(LINE_ENDS) for line in lines)
    content = text.encode()
    for _ in range(draw(st.integers(0, 3)) if bad else 0):
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.sampled_from(TOKENS) | st.binary(max_size=3)) + content[place:]
    return columns, content


def read(content: bytes, columns: dict[str, int], block_size: int) -> np.ndarray:
    blocks = [content[start : start + block_size] for start in range(0, len(content), block_size)]
    return np.concatenate(list(strict_csv.read_rows(blocks, columns)))


BLOCK_SIZES = st.integers(1, 60) | st.just(2**18)


@settings(REPEATABLE, max_examples=150)
@given(file=files(bad=False), block_size=BLOCK_SIZES)
def test_a_valid_file_gives_exactly_its_values(file, block_size):
    columns, content = file
    rows = read(content, columns, block_size)
    assert rows.dtype == np.uint8
    assert rows.tolist() == obvious_rows(content, columns)


@pytest.mark.slow
@settings(REPEATABLE, max_examples=600)
@given(file=files(bad=True), block_size=BLOCK_SIZES)
@example(file=(COLUMNS[1], b"\xef\xbb\xbflabel,pixel0\r"), block_size=2**18)  # the mark made the header too long
@example(file=(COLUMNS[1], b"\xef\xbb\xbflabel,pixel0\n1,2\n3\n"), block_size=15)
@example(file=(COLUMNS[1], b"label,pixel0\n\xef\xbb\xbf1,2\n"), block_size=13)  # a mark is one only at the start
def test_an_invalid_file_is_rejected_with_the_line_and_column_of_its_first_error(file, block_size):
    columns, content = file
    expected = obvious_rows(content, columns)
    if isinstance(expected, list):
        assert read(content, columns, block_size).tolist() == expected
        return
    with pytest.raises(strict_csv.InvalidCsv) as caught:
        read(content, columns, block_size)
    message = str(caught.value)
    line, column = expected
    assert re.match(rf"line {line}\b", message)
    assert column is None or f", column {column}: found" in message
    assert len(message.splitlines()) == 1
    assert len(message) < 300


@pytest.mark.slow
@settings(REPEATABLE, max_examples=400)
@given(
    lines=st.lists(st.text("0123456789,5.x \n", max_size=12).map(str.encode), max_size=6),
    columns=st.sampled_from(COLUMNS),
)
def test_what_is_rejected_fast_is_always_explained(lines, columns):
    content = b"".join(line + b"\n" for line in lines)
    maxima = np.array(list(columns.values()), dtype=np.uint8)
    if strict_csv.parse(content, maxima) is None:
        assert csv_errors.first_error(content, 1, columns).startswith("line ")
    else:
        with pytest.raises(StopIteration):
            csv_errors.first_error(content, 1, columns)


@pytest.mark.parametrize("greatest", [9, 255])
def test_of_all_short_values_only_plain_numbers_are_accepted(greatest):
    alphabet = string.digits + " +-.\"'ex\x0c"
    values = ["", *alphabet, *(a + b for a in alphabet for b in alphabet), *map(str, range(1100))]
    values += [f"{i:03}" for i in range(1000)]
    plain = {str(value) for value in range(greatest + 1)}
    for value in values:
        rows = strict_csv.parse(f"{value}\n".encode(), np.array([greatest], dtype=np.uint8))
        assert (rows is not None and len(rows) == 1) == (value in plain)
        assert value not in plain or rows.tolist() == [[int(value)]]


@pytest.fixture
def fuzz(tmp_path, monkeypatch) -> Callable[[int], list[str]]:
    """Tries that many of the fuzzer's inputs; gives what is wrong, if anything is, but for times."""
    for module, name in ((kaggle, "SIDE"), (kaggle, "PIXELS"), (archive, "BLOCK_SIZE")):
        monkeypatch.setattr(module, name, getattr(module, name))  # the fuzzer changes them

    def tried(count: int) -> list[str]:
        rng = random.Random(1)
        problems = (fuzz_reader.try_one(rng, tmp_path)[1] for _ in range(count))
        return [problem for problem in problems if problem and not problem.startswith("took ")]

    return tried


def test_the_fuzzer_finds_nothing_in_its_first_inputs(fuzz):
    assert fuzz(300) == []


def test_the_fuzzer_finds_a_reader_that_reads_something_else(fuzz, monkeypatch):
    monkeypatch.setattr(kaggle, "read_labelled", lambda _: kaggle.Table(np.zeros((1, 2, 2)), np.zeros(1)))
    assert any("read as something else" in problem for problem in fuzz(30))


def test_the_fuzzer_finds_a_traceback(fuzz, monkeypatch):
    monkeypatch.setattr(kaggle, "read_unlabelled", lambda _: int("x"))
    assert any("ValueError: invalid literal" in problem for problem in fuzz(30))
