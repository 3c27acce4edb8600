"""Kaggle's files: read and refuse, write a submission."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shown  # a value can be a whole line of something that is no CSV file
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from stages.digits.dataset import SIDE
from stages.digits.errors import InputError

PIXELS = [f"pixel{i}" for i in range(SIDE * SIDE)]
LABEL = "label"
SUBMISSION = ["ImageId", "Label"]
ROWS_AT_ONCE = 8192  # bounds the memory: pandas parses into 8 bytes a pixel, we keep 1


class Table(NamedTuple):
    """One of Kaggle's files."""

    images: np.ndarray  # (n, 28, 28) uint8, ink 0–255
    labels: np.ndarray | None = None  # (n,) uint8, 0–9; None for test.csv
    missing: int = 0  # cells without a value: none, since a file that has any is refused


def read_labelled(raw: Path) -> Table:
    """train.csv from a directory or .zip; InputError names file, line and column of what is wrong."""
    return _read(raw, "train.csv", [LABEL, *PIXELS])


def read_unlabelled(raw: Path) -> Table:
    """test.csv from a directory or .zip, in its order; InputError as for `read_labelled`."""
    return _read(raw, "test.csv", PIXELS)


def write_table(path: Path, table: Table) -> None:
    """Write `table` as Kaggle does, but with LF line ends."""
    columns = table.images.reshape(len(table.images), -1)
    names = PIXELS
    if table.labels is not None:
        columns, names = np.column_stack([table.labels, columns]), [LABEL, *PIXELS]
    pd.DataFrame(columns, columns=names).to_csv(path, index=False, lineterminator="\n")


def write_submission(path: Path, predicted: np.ndarray) -> None:
    """Write the predicted digits (m,), in the order of test.csv, as `ImageId,Label` with ids from 1."""
    frame = pd.DataFrame({"ImageId": np.arange(1, len(predicted) + 1), "Label": predicted})
    frame.to_csv(path, index=False, lineterminator="\n")


def check_against_sample(raw: Path, rows: int) -> None:
    """Refuse a submission of `rows` rows that sample_submission.csv, where there is one, doesn't ask for."""
    name = "sample_submission.csv"
    try:
        with _opened(raw, name) as stream:
            frame = pd.read_csv(stream, encoding="utf-8-sig", dtype=str)
    except FileNotFoundError:
        return
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{raw}: {name}: not a CSV file: {' '.join(str(error).split())}") from None
    if list(frame.columns) != SUBMISSION:
        found = ",".join(frame.columns)
        raise InputError(f"{raw}: {name}, line 1: found {shown(found)}, expected {','.join(SUBMISSION)!r}")
    if len(frame) != rows:
        raise InputError(f"{raw}: {name}: found {len(frame)} rows, expected {rows}, as many as test.csv has")
    expected = np.arange(1, rows + 1).astype(str)
    wrong = np.flatnonzero(frame["ImageId"].to_numpy() != expected)
    if len(wrong):
        row = wrong[0]
        found = frame["ImageId"].iloc[row]
        raise InputError(f"{raw}: {name}, line {row + 2}, column ImageId: found {found!r}, expected '{expected[row]}'")


def _read(raw: Path, name: str, columns: list[str]) -> Table:
    try:
        with _opened(raw, name) as stream:
            parts, missing = zip(*_chunks(stream, columns), strict=True)
    except FileNotFoundError:
        raise InputError(f"{raw}: {name}: missing; expected a directory or .zip that holds {name}") from None
    except _FaultError:
        with _opened(raw, name) as stream:
            raise InputError(f"{raw}: {name}, {_first_fault(stream, columns)}") from None
    table = np.concatenate(parts)
    images = table[:, -len(PIXELS) :].reshape(-1, SIDE, SIDE)
    return Table(images, table[:, 0].copy() if LABEL in columns else None, sum(missing))  # a view would keep it all


@contextmanager
def _opened(raw: Path, name: str) -> Iterator[BinaryIO]:
    """The bytes of `name` in the directory or .zip `raw`; FileNotFoundError where there is none."""
    try:
        if raw.is_dir():
            with (raw / name).open("rb") as stream:
                yield stream
        elif not raw.exists():
            raise InputError(f"{raw}: missing; params.yaml's `raw` is the directory or .zip with Kaggle's files")
        elif not zipfile.is_zipfile(raw):
            raise InputError(f"{raw}: found no whole zip archive, expected Kaggle's download or a directory")
        else:
            with zipfile.ZipFile(raw) as archive:
                if name not in archive.namelist():
                    raise FileNotFoundError(name)
                with archive.open(name) as stream:
                    yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted
        raise InputError(f"{raw}: {name}: damaged: {error}; download it again") from None
    except (IsADirectoryError, PermissionError) as error:
        raise InputError(f"{raw}: {name}: {error.strerror}; expected a CSV file") from None


class _FaultError(Exception):
    """pandas met something that Kaggle's files don't have; `_first_fault` says what and where."""


def _chunks(stream: BinaryIO, columns: list[str]) -> Iterator[tuple[np.ndarray, int]]:
    """The rows of the file as (at most ROWS_AT_ONCE, len(columns)) uint8, and how many values they lack."""
    top = 9 if LABEL in columns else 255  # for the first column
    try:
        frames = pd.read_csv(
            stream,
            encoding="utf-8-sig",
            chunksize=ROWS_AT_ONCE,
            quoting=csv.QUOTE_NONE,  # a lone quote swallows lines
            low_memory=False,  # else a bad value also draws a warning of mixed types
        )
        with frames:
            for frame in frames:
                missing = int(frame.isna().to_numpy().sum())
                regular = isinstance(frame.index, pd.RangeIndex) and list(frame.columns) == columns
                if missing or not regular or not all(kind.kind == "i" for kind in frame.dtypes):
                    raise _FaultError
                table = frame.to_numpy()
                if table.min() < 0 or table.max() > 255 or table[:, 0].max() > top:
                    raise _FaultError
                yield table.astype(np.uint8), missing
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OverflowError) as error:
        raise _FaultError from error


def _first_fault(stream: BinaryIO, columns: list[str]) -> str:
    """Read the file again, slowly: the first thing that is wrong with it, and where."""
    inks = {str(ink) for ink in range(256)}  # looked up, not parsed: there are 33 million values
    digits = {str(digit) for digit in range(10)}
    with io.TextIOWrapper(stream, encoding="utf-8-sig", errors="backslashreplace") as text:
        lines = ((number, line.rstrip("\n").split(",")) for number, line in enumerate(text, start=1) if line.strip())
        number, header = next(lines, (1, None))
        if header is None:
            return "line 1: found an empty file, expected a line of column names"
        if header != columns:
            return f"line {number}, {_header_fault(header, columns)}"
        for number, line in lines:
            if len(line) != len(columns):
                return f"line {number}: found {len(line)} values, expected {len(columns)}"
            for column, value in zip(columns, line, strict=True):
                if value not in (digits if column == LABEL else inks):
                    found, top = shown(value) if value.strip() else "nothing", 9 if column == LABEL else 255
                    return f"line {number}, column {column}: found {found}, expected a whole number from 0 to {top}"
        return f"line {number + 1}: found no row, expected an image a line"


def _header_fault(header: list[str], columns: list[str]) -> str:
    if header in (PIXELS, [LABEL, *PIXELS]):
        found, other = ("no", "test.csv") if LABEL in columns else ("a", "train.csv")
        return f"column 1: found {found} {LABEL!r}, as {other} has: are the two files swapped?"
    for position, (found, expected) in enumerate(zip(header, columns, strict=False), start=1):
        if found != expected:
            repeated = ", a second time" if found in header[: position - 1] else ""
            return f"column {position}: found {shown(found)}{repeated}, expected {expected!r}"
    if len(header) > len(columns):
        return f"column {len(columns) + 1}: found {shown(header[len(columns)])}, expected no more columns"
    return f"column {len(header) + 1}: found no more columns, expected {columns[len(header)]!r}"
