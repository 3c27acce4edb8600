"""Accuracy on handwriting that isn't MNIST, with and without bringing it to MNIST's form.

python -m benchmarks.handwriting [--tables]

Needs models that were trained on Kaggle's data. Predicts scikit-learn's digit scans, upscaled, and digits drawn with
strokes on uneven, noisy paper, dark on light and light on dark. Writes results/handwriting.csv. With --tables, reads
scanned forms and photographed newspaper grids instead, filled with strokes and printed digits: results/forms.csv.
"""

import argparse
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.drawn import forms, strokes
from benchmarks.shared import harness
from handwriting.pages import reading, scan
from handwriting.pages.picture import Picture
from handwriting.pages.reading import SURE
from stages import sample
from stages.digits.base import dataset, errors
from stages.digits.base.dataset import DIGITS, SIDE, Images
from stages.digits.prediction import ensemble
from stages.digits.tables import kaggle

HEIGHTS = (20, 35, 60, 120, 300)  # pixels of a drawn digit
THICKNESSES = (0.05, 0.09, 0.15)  # of a stroke, as a fraction of the height
FORMS = 20  # of each kind
OFF = 0.2  # of a cell's width: its centre is at most that far from where it was drawn
EACH = 1  # of each digit, height, thickness and polarity


class Handwriting(NamedTuple):
    """Pictures of one digit each, with their labels."""

    pictures: list[Picture]
    labels: np.ndarray  # (n,)


def drawn(random: np.random.Generator) -> Handwriting:
    """EACH drawings of every digit in every height, thickness and polarity."""
    pictures, labels = [], []
    for height in HEIGHTS:
        for thickness in THICKNESSES:
            for digit in np.repeat(np.arange(DIGITS), 2 * EACH):
                ink = strokes.draw(digit, height, thickness, random)
                pictures.append(strokes.photograph(ink, dark_on_light=len(pictures) % 2 == 0, random=random))
                labels.append(digit)
    return Handwriting(pictures, np.array(labels))


def scanned() -> Handwriting:
    """scikit-learn's scans, light on dark, but for those that the embedded sample labels."""
    scans = load_digits()
    images = np.stack([sample.upscale(image) for image in scans.images])
    labelled = dataset.fingerprints(kaggle.read_labelled(sample.SAMPLE).images)
    rows = np.flatnonzero(~np.isin(dataset.fingerprints(images), labelled))
    return Handwriting(list(images[rows]), scans.target[rows])


def resized(pictures: Iterable[Picture]) -> Images:
    """Each picture as it is, only resized."""
    return np.stack([np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pictures])


def normalised(pictures: Iterable[Picture]) -> Images:
    """The largest digit of each picture in MNIST's form, or a blank image if there is none."""
    images = []
    for picture in pictures:
        try:
            found = scan.find_digits(picture)
        except errors.InputError:
            images.append(np.zeros((SIDE, SIDE), dtype=np.uint8))
        else:
            heights = found.boxes[:, 3] - found.boxes[:, 1]
            images.append(found.images[heights.argmax()])
    return np.stack(images)


def read_forms(pictures: list[forms.Form], members: list, reference: dataset.Labelled) -> dict:
    """Cells of the forms, how many were found, and of these, how many were read right, or wrong but sure."""
    counts = dict.fromkeys(("cells", "found", "wrong", "wrong_but_sure"), 0)
    for form in pictures:
        counts["cells"] += len(form.texts) * len(form.texts[0])
        rows, columns, _ = form.centres.shape
        size = np.hypot(*(form.centres[0, 1] - form.centres[0, 0]))
        for read_table in reading.read(form.picture, members, reference).tables:
            for cell, digits in reading.cells_of(read_table):
                if cell.row >= rows or cell.column >= columns:
                    continue
                if np.hypot(*(cell.box.mean(axis=0) - form.centres[cell.row, cell.column])) > OFF * size:
                    continue
                read = "".join(map(str, digits.probabilities.argmax(axis=1)))
                is_wrong = read != form.texts[cell.row][cell.column]
                is_sure = bool((digits.probabilities.max(axis=1) >= SURE).all()) and len(read) > 0
                counts["found"] += 1
                counts["wrong"] += is_wrong
                counts["wrong_but_sure"] += is_wrong and is_sure
    return counts


def measure_tables(members: list, reference: dataset.Labelled) -> pd.DataFrame:
    """A row for scans and one for photos; the forms differ in size, ruling, tilt, light, blur and noise."""
    rows = []
    for name in ("scans", "photos"):
        pictures = []
        for seed in range(2000, 2000 + FORMS):
            random = np.random.default_rng(seed)
            if name == "scans":
                size, cell = random.integers(3, 13, 2), int(random.integers(40, 90))
                pictures.append(forms.scan(*size, [forms.drawn], random, cell=cell, line=random.uniform(1, 6)))
            else:
                pictures.append(forms.photo([forms.drawn, forms.printed], random))
        rows.append({"forms": name, "pictures": FORMS, **read_forms(pictures, members, reference)})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handwriting", description=__doc__)
    parser.add_argument("--tables", action="store_true", help="read forms and newspaper grids")
    is_tables = parser.parse_args().tables
    members, reference = ensemble.load_members(), dataset.load_labelled(dataset.LABELLED)
    if is_tables:
        table = measure_tables(members, reference)
        table.to_csv(harness.RESULTS / "forms.csv", index=False, lineterminator="\n")
        print(table.to_string(index=False))
        return
    rows = []
    for name, handwriting in (("scans", scanned()), ("strokes", drawn(np.random.default_rng(0)))):
        for form, images in (
            ("resized", resized(handwriting.pictures)),
            ("normalised", normalised(handwriting.pictures)),
        ):
            probabilities = ensemble.average(images, members)
            right, sure = probabilities.argmax(axis=1) == handwriting.labels, probabilities.max(axis=1) >= SURE
            rows.append(
                {
                    "handwriting": name,
                    "form": form,
                    "images": len(right),
                    "errors": int((~right).sum()),
                    "error_rate": round(float((~right).mean()), 4),
                    "unsure": round(float((~sure).mean()), 4),
                    "error_rate_if_sure": round(float((~right[sure]).mean()), 4),
                    "members": len(members),
                    "reference_images": len(reference.images),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(harness.RESULTS / "handwriting.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
