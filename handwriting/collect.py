"""Collect your own digits into data/own: from filled forms, other ruled pages, or folders of labelled pictures.

python -m handwriting.collect SCAN_OR_FOLDER... [--writer NAME] [--labels LABELS] [--trust]

Each page becomes a CSV file, and so do a writer's pictures: to take them out again, remove the file.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from handwriting import predict
from handwriting.collection import intake, page, pictures
from handwriting.collection.intake import Target
from handwriting.collection.page import Page
from handwriting.collection.pictures import LeftOut
from handwriting.pages import picture
from handwriting.pages.picture import Picture
from stages.digits.base import dataset, errors, params
from stages.digits.base.dataset import Images, Labels, Probabilities
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble
from stages.digits.prediction.ensemble import Model
from stages.digits.tables import own

SAME = 0.9  # cosine of two scans of one written digit; of two written ones of a hand it is 0.6 to 0.8
MIN_COMMON = 5  # cells that two scans must share before they can be the same page ...
MOST = 0.7  # ... and the fraction of these that must look the same
SOME = 5  # names in a line


def collect(pixels: Picture, stem: str, row_labels: Sequence[int] | None, to: Target) -> str:
    """Read a page into a file whose name begins with `stem`; what was taken, in a line.

    InputError, and nothing written, if it isn't sure what the page holds.
    """
    found = page.read_form(pixels) if row_labels is None else page.read_table(pixels)
    if found is None:
        raise InputError("found no form of ours; for another ruled page, give the label of each row with --labels")
    labels = _labels(found, row_labels)
    found, labels = _only_new(found, labels, to.folder)
    left_out = f"{found.blank} blank cells and {found.struck_out} crossed out"
    return intake.take(found, labels, to.predict(found.images), found.cells[:, 0] + 1, "row ", to, stem, left_out)[0]


def collect_folder(root: Path, to: Target, problems: list[str]) -> int:
    """Take a folder's pictures, writer by writer; in how many parts there were new ones."""
    writers, others = pictures.find_writers(root)
    if to.writer and len(writers) > 1:
        raise InputError(f"{root}: found {len(writers)} writers' folders, expected one for --writer {to.writer}")
    if others:
        names = [str(path.relative_to(root)) for path in others[:SOME]] + ["..."] * (len(others) > SOME)
        intake.report(
            f"{root}: passed over {len(others)} beside folders 0 to 9, or links out of it: {', '.join(names)}"
        )
    known, taken, done, total = intake.known(to.folder), 0, 0, sum(map(len, writers.values()))
    for folder, found in writers.items():
        of_writer = to._replace(writer=to.writer or folder.resolve().name)
        with predict.noted(problems):
            own.check_writer(of_writer.writer, str(folder))
            for start in range(0, len(found), intake.BATCH):
                part, left_out = found[start : start + intake.BATCH], LeftOut(list)
                bar = tqdm(part, total=total, initial=done, unit=" pictures", leave=False, disable=None)
                taken += intake.take_pictures(str(folder), pictures.load(bar, left_out), left_out, of_writer, known)
                done += len(part)
    return taken


class Models:
    """The trained members, loaded when first asked."""

    def __init__(self) -> None:
        self.members: list[Model] = []

    def predict(self, images: Images) -> Probabilities:
        """The probabilities of images; all 0 where nothing was trained yet."""
        if not (len(images) and dataset.model_paths()):
            return np.zeros((len(images), dataset.DIGITS))
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
    for path in intake.paths(folder):
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


def parse_labels(text: str) -> list[int]:
    if not re.fullmatch("[0-9]+", text):
        raise InputError(f"--labels: found {text!r}, expected a digit for each row, such as 0123456789, or one digit")
    return [int(digit) for digit in text]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.collect",
        description="Collect your own digits from filled forms or labelled pictures.",
    )
    parser.add_argument(
        "sources", metavar="SCAN_OR_FOLDER", nargs="+", type=Path,
        help="a scan, a photo, or a PDF of pages; or a folder of pictures in folders 0 to 9, or of such folders",
    )  # fmt: skip
    parser.add_argument("--writer", metavar="NAME", help="whose digits they are, if several people's are collected")
    parser.add_argument("--labels", help="of another ruled page: the digit of each row, or one for all of them")
    parser.add_argument("--trust", action="store_true", help="take a label even if the models read it as another digit")
    arguments = parser.parse_args()
    row_labels = None if arguments.labels is None else parse_labels(arguments.labels)
    if arguments.writer is not None:
        own.check_writer(arguments.writer, "--writer")
    folder = params.own() or own.FOLDER
    to = Target(folder, arguments.writer or "", params.classes(), Models().predict, arguments.trust)
    taken, problems = 0, list[str]()
    for path in arguments.sources:
        with predict.noted(problems):
            if path.is_dir():
                if row_labels is not None:
                    raise InputError(
                        f"{path}: --labels is for ruled pages; expected pictures in folders 0 to 9, their labels"
                    )
                taken += collect_folder(path, to, problems)
                continue
            for name, pixels in picture.pages(path):
                with predict.noted(problems, name):
                    stem = path.stem + name.removeprefix(str(path))
                    intake.report(f"{name}: {collect(pixels, stem, row_labels, to)}")
                    taken += 1
    if taken:
        print(f"{folder}: {len(own.read(folder).labels)} digits in {len(own.paths(folder))} files; next:")
        print(f"dvc add {folder} && dvc exp run -S own={folder}")
    for problem in problems:
        print(errors.printable(problem), file=sys.stderr)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, "what was reported is kept, nothing else; run it again for the rest")
