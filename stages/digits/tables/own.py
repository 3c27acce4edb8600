"""One's own digits: a folder of CSV files, one for each page, batch of pictures or drawing that they come from.

A writer is a folder in it; the files at its top are one writer's. A file is in Kaggle's form, as train.csv is. What
`handwriting.collect` writes of a page has two more columns, the row and the column of the digit's cell; the file's name
is that of the scan, and a hash of what was taken from it.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.digits.base import files
from stages.digits.base.dataset import Images, Labels
from stages.digits.base.errors import InputError
from stages.digits.tables import archive, kaggle
from stages.digits.tables.kaggle import LABEL, PIXELS, LabelledTable

FOLDER = Path("data/own")  # where digits are collected, unless params.yaml names another folder
CELL = ["row", "column"]  # of the page, from 0
MAX_ROWS = 100_000  # of all files
MAX_FILES = 10_000
MAX_NAME = 40  # characters of a writer's name: what fits into a plot
HASH_DIGITS = 12
EXPECTED = "a folder of CSV files, or of writers' folders of them, as `python -m handwriting.collect` writes them"


class OwnTable(NamedTuple):
    """The digits of some writers."""

    images: Images
    labels: Labels
    writers: npt.NDArray[np.uint16]  # (n,) positions in `names`
    names: tuple[str, ...]  # of the writers, sorted; "" is the writer of the files at the top


def read(folder: Path) -> OwnTable:
    """All digits of the folder, writer by writer and file by file, by name; InputError names what is wrong."""
    tables, owners, rows = list[LabelledTable](), list[str](), 0
    for path in paths(folder):
        tables.append(_read(path))
        rows += len(tables[-1].labels)
        owners.append("" if path.parent == folder else path.parent.name)
        if rows > MAX_ROWS:
            raise InputError(f"{folder}: found more than {MAX_ROWS:,} rows, expected at most that many digits")
    names, codes = np.unique(owners, return_inverse=True)
    images, labels = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))
    writers = np.repeat(codes.astype(np.uint16), [len(table.labels) for table in tables])
    return OwnTable(images, labels, writers, tuple(names.tolist()))


def paths(folder: Path) -> list[Path]:
    """The folder's CSV files, first those at its top, then writer by writer, each sorted by name.

    InputError if it has none, or anything else that isn't hidden.
    """
    found = list[Path]()
    for path in _entries(folder):
        if path.suffix != ".csv" and path.is_dir():
            check_writer(path.name, str(path))
            found += _entries(path)
        else:
            found.append(path)
    found.sort(key=lambda path: (len(path.parts), path))
    if not found or len(found) > MAX_FILES:
        raise InputError(f"{folder}: found {len(found):,} files, expected 1 to {MAX_FILES:,}, {EXPECTED}")
    for path in found:
        if path.suffix != ".csv":
            raise InputError(f"{path}: not a .csv file; expected {EXPECTED}, and nothing else")
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "missing" if missing else getattr(error, "strerror", None) or error
        raise InputError(f"{folder}: {reason}; params.yaml's `own` is {EXPECTED}, or data/none") from None


def check_writer(name: str, where: str) -> None:
    """InputError, its line begun with `where`, unless the name can be a writer's folder."""
    is_plain = name.isprintable() and name == name.strip() and "/" not in name and not name.startswith((".", "-"))
    if not is_plain or not 1 <= len(name) <= MAX_NAME:
        raise InputError(
            f"{where}: found {name[: 2 * MAX_NAME]!r}, expected a writer's name: 1 to {MAX_NAME} printable characters, "
            "without a slash, with neither a dot nor a dash at the beginning"
        )


def _read(path: Path) -> LabelledTable:
    columns = {LABEL: 9} | dict.fromkeys(PIXELS, 255)
    beginning = next(archive.read_blocks(path.parent, path.name), b"")
    if f",{','.join(CELL)}".encode() in beginning.split(b"\n", 1)[0]:
        columns |= dict.fromkeys(CELL, 255)
    return kaggle.read_rows(path.parent, path.name, columns)


def page_hash(images: Images, labels: Labels, cells: np.ndarray) -> str:
    """A name for what was taken from a page, whatever its file is called; `cells` (n, 2) are rows and columns."""
    digest = hashlib.sha256()
    for array in (images, labels, cells):
        digest.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return digest.hexdigest()[:HASH_DIGITS]


def write(path: Path, images: Images, labels: Labels, cells: np.ndarray) -> None:
    """Write the digits of one page; `cells` (n, 2) are their rows and columns, from 0 to 255."""
    columns = np.column_stack([labels, images.reshape(len(images), -1), cells])
    frame = pd.DataFrame(columns, columns=[LABEL, *PIXELS, *CELL])
    files.write_text(path, frame.to_csv(index=False, lineterminator="\n"))
