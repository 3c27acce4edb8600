"""Collect your own digits from filled forms, or from other ruled pages, into data/own.

python -m handwriting.collect SCAN... [--labels LABELS] [--trust]

Each page becomes a CSV file: to take a page out again, remove its file.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from handwriting import predict
from handwriting.collection import contact_sheet, page
from handwriting.collection.page import Page
from handwriting.pages import picture
from handwriting.pages.picture import Picture
from handwriting.pages.reading import SURE
from stages.digits.base import dataset, errors, params
from stages.digits.base.dataset import Images, Labels, Probabilities
from stages.digits.base.errors import InputError
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble
from stages.digits.tables import own

SHEETS = Path("data/collected")
MAX_STEM = 40  # characters of a scan's name that its page's file keeps
SAME = 0.9  # cosine of two scans of one written digit; of two written ones of a hand it is 0.6 to 0.8
MIN_COMMON = 5  # cells that two scans must share before they can be the same page ...
MOST = 0.7  # ... and the fraction of these that must look the same
MIN_ROW = 3  # digits of a row that can contradict its label


class Collected(NamedTuple):
    """The digits of a page that are new, and where they went."""

    page: Page
    labels: Labels
    file: Path
    sheet: Path
    contradicted: int | None  # digits that the models are sure are others; None without models


def collect(
    pixels: Picture, stem: str, folder: Path, row_labels: Sequence[int] | None, trust: bool, models: "Models"
) -> Collected:
    """Read a page into the folder, into a file whose name begins with `stem`.

    InputError, and nothing written, if it isn't sure what the page holds.
    """
    found = page.read_form(pixels) if row_labels is None else page.read_table(pixels)
    if found is None:
        raise InputError("found no form of ours; for another ruled page, give the label of each row with --labels")
    labels = _labels(found, row_labels)
    found, labels = _only_new(found, labels, folder)
    probabilities = models.predict(found.images)
    differ = None
    if probabilities is not None:
        differ = _differ(labels, probabilities)
        if not trust:
            _check_rows(found, labels, probabilities.argmax(axis=1), differ)
    name = own.page_hash(found.images, labels, found.cells)
    file = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', stem)[:MAX_STEM].strip('-') or 'page'}-{name}.csv"
    sheet = SHEETS / f"{file.stem}.png"
    contact_sheet.save(found, labels, differ, probabilities, models.classes, sheet)
    own.write(file, found.images, labels, found.cells)  # last: what is there is whole, and counted
    return Collected(found, labels, file, sheet, None if differ is None else int(differ.sum()))


class Models:
    """The trained members, loaded when first asked."""

    def __init__(self, classes: Sequence[str]):
        self.classes = classes
        self.members: list[keras.Model] = []

    def predict(self, images: Images) -> Probabilities | None:
        """The probabilities of images, or None where nothing was trained yet."""
        if not dataset.model_paths():
            return None
        self.members = self.members or ensemble.load_members()
        return ensemble.average(images, self.members)


def _labels(found: Page, row_labels: Sequence[int] | None) -> Labels:
    """The label of each digit: that of its row."""
    if not len(found.cells):
        raise InputError(f"found no digit in {found.blank} cells that are blank and {found.struck_out} crossed out")
    if row_labels is None:
        return found.cells[:, 0].astype(np.uint8)
    rows = found.shape[0]
    if len(row_labels) not in (1, rows):
        raise InputError(f"--labels: found {len(row_labels)} labels, expected one for each of {rows} rows, or one")
    by_row = np.resize(np.array(row_labels, dtype=np.uint8), rows)
    return by_row[found.cells[:, 0]]


def _only_new(found: Page, labels: Labels, folder: Path) -> tuple[Page, Labels]:
    """The digits that no earlier scan of the same page had; InputError if there are none."""
    new = np.ones(len(labels), dtype=bool)
    for path in own.paths(folder) if folder.exists() and any(folder.iterdir()) else []:
        new &= ~_taken(found, labels, path)
    if not new.any():
        raise InputError("this page was taken before: nothing is counted twice")
    return found._replace(cells=found.cells[new], images=found.images[new]), labels[new]


def _taken(found: Page, labels: Labels, path: Path) -> np.ndarray:
    """Mask (n,) of the digits that are in that file, if it is of the same page."""
    taken = pd.read_csv(path)
    same = np.zeros(len(labels), dtype=bool)
    if list(taken.columns[-2:]) != own.CELL:
        return same
    places = {tuple(cell): row for row, cell in enumerate(taken[own.CELL].to_numpy().tolist())}
    common = np.array([tuple(cell) in places for cell in found.cells.tolist()])
    if not common.any():
        return same
    rows = taken.iloc[[places[tuple(cell)] for cell in found.cells[common].tolist()]]
    theirs = rows.iloc[:, 1:-2].to_numpy(np.uint8).reshape(-1, dataset.SIDE, dataset.SIDE)
    alike = _likeness(found.images[common], theirs) >= SAME
    if common.sum() >= min(MIN_COMMON, len(taken)) and alike.mean() >= MOST:
        same[common] = rows["label"].to_numpy() == labels[common]
    return same


def _likeness(a: Images, b: Images) -> np.ndarray:
    """The cosine (n,) of the pixels of each pair, where one may be a pixel off: scans of a digit are centred alike."""
    padded, side = np.pad(a, ((0, 0), (1, 1), (1, 1))).astype(np.float64), dataset.SIDE
    products = [
        (padded[:, top : top + side, left : left + side] * b).sum(axis=(1, 2)) for top in range(3) for left in range(3)
    ]
    norms = np.linalg.norm(a.astype(np.float64), axis=(1, 2)) * np.linalg.norm(b.astype(np.float64), axis=(1, 2))
    return np.max(products, axis=0) / np.maximum(norms, 1)


def _differ(labels: Labels, probabilities: Probabilities) -> np.ndarray:
    """Mask (n,) of the digits that the models are sure are others."""
    return (probabilities.argmax(axis=1) != labels) & (probabilities.max(axis=1) >= SURE)


def _check_rows(found: Page, labels: Labels, predicted: Labels, differ: np.ndarray) -> None:
    """InputError if the models are sure that most digits of a row are one other digit; `differ` is a mask (n,)."""
    for row in np.unique(found.cells[:, 0]):
        of_row = found.cells[:, 0] == row
        counts = np.bincount(predicted[of_row & differ], minlength=dataset.DIGITS)
        other, times = counts.argmax(), counts.max()
        if of_row.sum() >= MIN_ROW and times > of_row.sum() / 2:
            raise InputError(
                f"row {row + 1} should hold {labels[of_row][0]}, but {times} of its {of_row.sum()} digits read as "
                f"{other}: is it the right page, and are its rows labelled right? If so, add --trust"
            )


def as_text(name: str, collected: Collected) -> str:
    """What was taken from a page, in a line."""
    found, labels = collected.page, collected.labels
    counts = ", ".join(f"{digit}: {times}" for digit, times in enumerate(np.bincount(labels)) if times)
    check = "not compared with models: there are none yet"
    if collected.contradicted is not None:
        check = f"{collected.contradicted} that the models are sure are others"
    return (
        f"{name}: took {len(labels)} digits into {collected.file} ({counts}); left out {found.blank} blank cells and "
        f"{found.struck_out} crossed out; {check}: look at {collected.sheet}"
    )


def parse_labels(text: str) -> list[int]:
    if not re.fullmatch("[0-9]+", text):
        raise InputError(f"--labels: found {text!r}, expected a digit for each row, such as 0123456789, or one digit")
    return [int(digit) for digit in text]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.collect", description="Collect your own digits from filled forms."
    )
    parser.add_argument("scans", metavar="SCAN", nargs="+", type=Path, help="a scan, a photo, or a PDF of pages")
    parser.add_argument("--labels", help="of another ruled page: the digit of each row, or one for all of them")
    parser.add_argument("--trust", action="store_true", help="take a row even if the models read it as another digit")
    arguments = parser.parse_args()
    row_labels = None if arguments.labels is None else parse_labels(arguments.labels)
    folder, models = params.own() or own.FOLDER, Models(params.classes())
    taken, problems = 0, list[str]()
    for path in arguments.scans:
        with predict.noted(problems):
            for name, pixels in picture.pages(path):
                with predict.noted(problems, name):
                    stem = path.stem + name.removeprefix(str(path))
                    collected = collect(pixels, stem, folder, row_labels, arguments.trust, models)
                    print(as_text(name, collected), flush=True)
                    taken += 1
    if taken:
        print(f"{folder}: {len(own.read(folder).labels)} digits in {len(own.paths(folder))} files; next:")
        print(f"dvc add {folder} && dvc exp run -S own={folder}")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, "pages that were reported are kept, no other; run it again for the rest")
