"""Kaggle's files: read and refuse, write a submission."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
        raise InputError(f"{name} in {raw}: not a CSV file: {error}") from None
    if list(frame.columns) != SUBMISSION:
        found = ",".join(frame.columns)
        raise InputError(f"{name} in {raw}, line 1: found {found!r}, expected {','.join(SUBMISSION)!r}")
    if len(frame) != rows:
        raise InputError(f"{name} in {raw}: found {len(frame)} rows, expected {rows}, as many as test.csv has")
    expected = np.arange(1, rows + 1).astype(str)
    wrong = np.flatnonzero(frame["ImageId"].to_numpy() != expected)
    if len(wrong):
        row = wrong[0]
        found = frame["ImageId"].iloc[row]
        raise InputError(
            f"{name} in {raw}, line {row + 2}, column ImageId: found {found!r}, expected '{expected[row]}'"
        )


def _read(raw: Path, name: str, columns: list[str]) -> Table:
    try:
        with _opened(raw, name) as stream:
            parts = list(_chunks(stream, columns))
    except FileNotFoundError:
        raise InputError(f"{name}: missing in {raw}: expected a directory or .zip that holds {name}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name} in {raw}: damaged: {error}; download it again") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name} in {raw}: byte {error.start} is not UTF-8; expected a CSV file") from None
    except _FaultError:
        with _opened(raw, name) as stream:
            raise InputError(f"{raw}: {_first_fault(stream, name, columns)}") from None
    if not parts:
        raise InputError(f"{raw}: {name}, line 2: found no rows, expected one image a line")
    table = np.concatenate(parts)
    images = table[:, -len(PIXELS) :].reshape(-1, SIDE, SIDE)
    return Table(images=images, labels=table[:, 0] if LABEL in columns else None)


@contextmanager
def _opened(raw: Path, name: str) -> Iterator[BinaryIO]:
    """The bytes of `name` in the directory or .zip `raw`; FileNotFoundError where there is none."""
    if raw.is_dir():
        with (raw / name).open("rb") as stream:
            yield stream
    elif not raw.exists():
        raise InputError(f"{raw}: missing; params.yaml's `raw` is the directory or .zip with Kaggle's files")
    elif not zipfile.is_zipfile(raw):
        raise InputError(f"{raw}: found no zip archive, expected Kaggle's download or a directory")
    else:
        with zipfile.ZipFile(raw) as archive:
            if name not in archive.namelist():
                raise FileNotFoundError(name)
            with archive.open(name) as stream:
                yield stream


class _FaultError(Exception):
    """pandas met something that Kaggle's files don't have; `_first_fault` says what and where."""


def _chunks(stream: BinaryIO, columns: list[str]) -> Iterator[np.ndarray]:
    """The rows of the file as (at most ROWS_AT_ONCE, len(columns)) uint8."""
    top = 9 if LABEL in columns else 255  # for the first column
    try:
        frames = pd.read_csv(stream, encoding="utf-8-sig", chunksize=ROWS_AT_ONCE)
        with frames:
            for frame in frames:
                regular = isinstance(frame.index, pd.RangeIndex) and list(frame.columns) == columns
                if not regular or not all(kind.kind == "i" for kind in frame.dtypes):
                    raise _FaultError
                table = frame.to_numpy()
                if table.min() < 0 or table.max() > 255 or table[:, 0].max() > top:
                    raise _FaultError
                yield table.astype(np.uint8)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OverflowError) as error:
        raise _FaultError from error


def _first_fault(stream: BinaryIO, name: str, columns: list[str]) -> str:
    """Read the file again, slowly: the first thing that is wrong with it, and where."""
    lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""))
    header = next(lines, None)
    if header is None:
        return f"{name}: found an empty file, expected a line of column names"
    if (LABEL in header) != (LABEL in columns):
        found, other = ("a", "train.csv") if LABEL in header else ("no", "test.csv")
        return f"{name}, line 1: found {found} column {LABEL!r}, as {other} has: are the two files swapped?"
    if header != columns:
        return f"{name}, line 1, {_header_fault(header, columns)}"
    for line in filter(None, lines):
        where = f"{name}, line {lines.line_num}"
        if len(line) != len(columns):
            return f"{where}: found {len(line)} values, expected {len(columns)}"
        for column, value in zip(columns, line, strict=True):
            top = 9 if column == LABEL else 255
            if not value.strip():
                return f"{where}, column {column}: found nothing, expected a whole number from 0 to {top}"
            if not (value.strip().isdecimal() and int(value) <= top):
                return f"{where}, column {column}: found {value!r}, expected a whole number from 0 to {top}"
    return f"{name}: pandas can't read it, though every line looks right: save it as plain CSV again"


def _header_fault(header: list[str], columns: list[str]) -> str:
    for position, (found, expected) in enumerate(zip(header, columns, strict=False), start=1):
        if found != expected:
            repeated = ", a second time" if found in header[: position - 1] else ""
            return f"column {position}: found {found!r}{repeated}, expected {expected!r}"
    if len(header) > len(columns):
        return f"column {len(columns) + 1}: found {header[len(columns)]!r}, expected no more columns"
    return f"column {len(header) + 1}: found no more columns, expected {columns[len(header)]!r}"
