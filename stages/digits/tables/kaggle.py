"""Kaggle's files: read or reject them, write a submission."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.digits.base import files
from stages.digits.base.dataset import SIDE, Images, Labels
from stages.digits.base.errors import InputError
from stages.digits.tables import archive, csv_errors, strict_csv

PIXELS = [f"pixel{i}" for i in range(SIDE * SIDE)]
LABEL = "label"
SUBMISSION = ["ImageId", "Label"]
SAMPLE_SUBMISSION = "sample_submission.csv"
SAMPLE_MAX_BYTES = 2**24  # 70 times Kaggle's


class Table(NamedTuple):
    """One of Kaggle's files."""

    images: Images
    labels: Labels | None = None  # None for test.csv


class LabelledTable(NamedTuple):
    """Kaggle's train.csv."""

    images: Images
    labels: Labels


def read_labelled(raw: Path) -> LabelledTable:
    """train.csv from a directory or .zip; InputError names file, line and column of what is wrong."""
    return read_rows(raw, "train.csv", {LABEL: 9} | dict.fromkeys(PIXELS, 255))


def read_unlabelled(raw: Path) -> Table:
    """test.csv from a directory or .zip, in its order; InputError as for `read_labelled`."""
    return Table(read_rows(raw, "test.csv", dict.fromkeys(PIXELS, 255)).images)


def read_rows(raw: Path, name: str, columns: Mapping[str, int]) -> LabelledTable:
    """The file's first column and its pixels; `columns` are all its columns, with the greatest value of each."""
    first = list(columns).index(PIXELS[0])
    blocks = archive.read_blocks(raw, name)
    pixels, labels = bytearray(), bytearray()  # they grow in place: at no time are there two copies of the rows
    try:
        for rows in strict_csv.read_rows(blocks, columns):
            pixels += rows[:, first : first + len(PIXELS)].tobytes()
            labels += rows[:, 0].tobytes()
    except FileNotFoundError:
        raise InputError(f"{raw}: {name}: missing; expected a directory or .zip with {name} at its top level") from None
    except strict_csv.InvalidCsv as error:
        if raw.is_file():  # an archive, whose damage shows at the end: then no line of the file is to blame
            for _ in blocks:
                pass
        raise InputError(f"{raw}: {name}, {error}") from None
    images = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, SIDE, SIDE)
    return LabelledTable(images, np.frombuffer(labels, dtype=np.uint8))


def write_table(path: Path, table: Table | LabelledTable) -> None:
    """Write `table` as Kaggle does, but with LF line ends."""
    columns = table.images.reshape(len(table.images), -1)
    names = PIXELS
    if table.labels is not None:
        columns, names = np.column_stack([table.labels, columns]), [LABEL, *PIXELS]
    with files.atomic_path(path) as temporary:
        pd.DataFrame(columns, columns=names).to_csv(temporary, index=False, lineterminator="\n")


def write_submission(path: Path, predicted: np.ndarray) -> None:
    """Write the predicted digits (m,), in the order of test.csv, as `ImageId,Label` with ids from 1."""
    frame = pd.DataFrame({"ImageId": np.arange(1, len(predicted) + 1), "Label": predicted})
    files.write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def check_against_sample(raw: Path, rows: int) -> None:
    """InputError if sample_submission.csv, where there is one, doesn't ask for a submission of `rows` rows."""
    blocks = archive.read_blocks(raw, SAMPLE_SUBMISSION, SAMPLE_MAX_BYTES)
    try:
        lines = b"".join(strict_csv.whole_lines(blocks, SAMPLE_MAX_BYTES)).split(b"\n")
    except FileNotFoundError:
        return
    if error := _sample_error(lines, rows):
        raise InputError(f"{raw}: {SAMPLE_SUBMISSION}{error}")


def _sample_error(lines: list[bytes], rows: int) -> str | None:
    numbered = ((number, line.split(b",")) for number, line in enumerate(lines, start=1) if line)
    number, header = next(numbered, (1, [b""]))
    if header != [name.encode() for name in SUBMISSION]:
        found = csv_errors.quote(b",".join(header))
        return f", line {number}: found {found}, expected {','.join(SUBMISSION)!r}"
    if (n_rows := len(lines) - lines.count(b"") - 1) != rows:
        return f": found {n_rows} row{'s' * (n_rows != 1)}, expected {rows}, as many as test.csv has"
    for image_id, (number, values) in enumerate(numbered, start=1):
        if len(values) != len(SUBMISSION):
            return f", line {number}: found {csv_errors.count(values)}, expected {len(SUBMISSION)}"
        if values[0] != str(image_id).encode():
            return f", line {number}, column ImageId: found {csv_errors.quote(values[0])}, expected '{image_id}'"
        if error := csv_errors.value_error(values[1], 9):
            return f", line {number}, column Label: {error}"
    return None
