"""A fast reader of CSV files of small whole numbers, with one strict definition of their format.

A line ends in LF, CRLF or CR. The file may start with a UTF-8 byte order mark. Empty lines are skipped.
The first line that isn't empty is exactly the header. All others have one value for each column,
separated by commas: a whole number from 0 to at most 255, in digits alone, without leading zeros.
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import numpy as np

from stages.digits.tables import csv_errors

CR_TO_LF = bytes.maketrans(b"\r", b"\n")


class InvalidCsv(Exception):  # noqa: N818  "Invalid" says that it is an error
    """Names the first line that isn't as defined, its column, what was found and what was expected."""


def read_rows(blocks: Iterable[bytes], columns: Mapping[str, int]) -> Iterator[np.ndarray]:
    """The rows in parts (n, len(columns)) uint8; `columns` gives the greatest value allowed in each.

    InvalidCsv if the file isn't as defined, or has no row.
    """
    maxima = np.array(list(columns.values()), dtype=np.uint8)
    parts = whole_lines(blocks, max_line=len(",".join(columns)))  # no row is longer: names are longer than values
    number, first = _after_header(parts, columns)
    n_rows = 0
    for lines in chain([first], parts):
        rows = parse(lines, maxima)
        if rows is None:
            raise InvalidCsv(csv_errors.first_error(lines, number, columns))
        yield rows
        n_rows += len(rows)
        number += lines.count(b"\n")
    if not n_rows:
        raise InvalidCsv(f"line {number}: found no rows, expected one image per line")


def whole_lines(blocks: Iterable[bytes], max_line: int) -> Iterator[bytes]:
    """The same bytes in parts of whole lines, each line ended by LF, without the byte order mark.

    A line of more than `max_line` bytes may be cut, after more than `max_line` bytes.
    """
    rest, mark = b"", codecs.BOM_UTF8
    for block in blocks:
        text = rest + block
        carriage_return = text[-1:] if text.endswith(b"\r") else b""  # its line feed may be in the next block
        lines, line_feed, rest = _with_line_feeds(text.removesuffix(b"\r")).rpartition(b"\n")
        if len(rest) > max_line + len(mark):
            lines, line_feed, rest = lines + line_feed + rest, b"\n", b""
        if line_feed:
            yield (lines + line_feed).removeprefix(mark)
            mark = b""
        rest += carriage_return
    if rest:
        yield _with_line_feeds(rest + b"\n").removeprefix(mark)


def _with_line_feeds(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").translate(CR_TO_LF) if b"\r" in text else text


def _after_header(parts: Iterator[bytes], columns: Mapping[str, int]) -> tuple[int, bytes]:
    """The number of the line after the header, and the rest of the part that holds the header."""
    number = 1
    for part in parts:
        lines = part.lstrip(b"\n")
        number += len(part) - len(lines)
        header, _, rest = lines.partition(b"\n")
        if header == ",".join(columns).encode():
            return number + 1, rest
        if header:
            raise InvalidCsv(f"line {number}{csv_errors.header_error(header, list(columns))}")
    raise InvalidCsv("line 1: found an empty file, expected a line of column names")


def parse(lines: bytes, maxima: np.ndarray) -> np.ndarray | None:
    """Whole lines as (n, len(maxima)) uint8; None if any line isn't as defined.

    Each step is one vectorized operation on all bytes or all values: train.csv has 33 million values.
    """
    lines = b"\n" + lines  # each value is between two separators
    text = np.frombuffer(lines, dtype=np.uint8)
    if b"\n\n" in lines:
        line_feeds = text == ord("\n")
        text = text[~(line_feeds & np.append(False, line_feeds[:-1]))]
    separators = np.flatnonzero(text < ord("0"))
    ends = separators[1:]
    lengths = ends - separators[:-1] - 1
    if text.max() > ord("9") or lengths.min(initial=1) < 1 or lengths.max(initial=1) > 3 or len(ends) % len(maxima):
        return None
    row_ends = text[ends].reshape(-1, len(maxima))
    if (row_ends[:, :-1] != ord(",")).any() or (row_ends[:, -1] != ord("\n")).any():
        return None
    digits = text - ord("0")
    values = digits[ends - 1]
    long = np.flatnonzero(lengths > 1)  # a fifth of them: most pixels are 0
    numbers = values[long] + digits[ends[long] - 2] * np.uint16(10)
    three = np.flatnonzero(lengths[long] == 3)
    numbers[three] += digits[ends[long[three]] - 3] * np.uint16(100)
    if (numbers < 10).any() or (numbers[three] < 100).any() or (numbers > 255).any():  # the first two: leading zeros
        return None
    values[long] = numbers
    rows = values.reshape(-1, len(maxima))
    return None if (rows > maxima).any() else rows
