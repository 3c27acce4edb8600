"""One's own digits: a folder of CSV files, one for each page or drawing that they come from.

A file is in Kaggle's form, as train.csv is. What `handwriting.collect` writes has two more columns, the row and the
column of the digit's cell on the page; the file's name is that of the scan, and a hash of what was taken from it.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from stages.digits.base import files
from stages.digits.base.dataset import Images, Labels
from stages.digits.base.errors import InputError
from stages.digits.tables import archive, kaggle
from stages.digits.tables.kaggle import LABEL, PIXELS, LabelledTable

FOLDER = Path("data/own")  # where digits are collected, unless params.yaml names another folder
CELL = ["row", "column"]  # of the page, from 0
MAX_ROWS = 10_000  # of all files: so many are a data set, not a hand
MAX_FILES = 10_000
HASH_DIGITS = 12
EXPECTED = "a folder of CSV files as `python -m handwriting.collect` writes them"


def read(folder: Path) -> LabelledTable:
    """All digits of the folder, file by file in the order of their names; InputError names what is wrong."""
    tables, rows = [], 0
    for path in paths(folder):
        tables.append(_read(path))
        rows += len(tables[-1].labels)
        if rows > MAX_ROWS:
            raise InputError(f"{folder}: found more than {MAX_ROWS:,} rows, expected the digits of a few writers")
    images, labels = (np.concatenate(arrays) for arrays in zip(*tables, strict=True))
    return LabelledTable(images, labels)


def paths(folder: Path) -> list[Path]:
    """The folder's CSV files, sorted by name; InputError if it has none, or anything else that isn't hidden."""
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        raise InputError(f"{folder}: missing; params.yaml's `own` is {EXPECTED}, or data/none") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder}: {reason}; params.yaml's `own` is {EXPECTED}, or data/none") from None
    if not found or len(found) > MAX_FILES:
        raise InputError(f"{folder}: found {len(found):,} files, expected 1 to {MAX_FILES:,}, {EXPECTED}")
    for path in found:
        if path.suffix != ".csv":
            raise InputError(f"{path}: not a .csv file; expected {EXPECTED}, and nothing else")
    return found


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
