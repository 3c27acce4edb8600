"""Predict the digits in pictures: scans or photos, PNG or JPEG.

python -m handwriting.predict IMAGE... [--json] [--show FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from handwriting import picture, scan
from stages.digits import dataset, drawing, ensemble, errors, params
from stages.digits.backend import keras
from stages.digits.dataset import Probabilities
from stages.digits.errors import InputError

SURE = 0.9  # of the top probability: below it, 2 % of MNIST and 80 % of the errors on it
ALTERNATIVES = 2  # named beside an unsure prediction


class Reading(NamedTuple):
    """A picture, the digits found in it, and what they are."""

    path: Path
    picture: picture.Picture
    scan: scan.Scan
    probabilities: Probabilities


def load_models() -> tuple[list[keras.Model], dataset.Labelled]:
    """The members, and the labelled images that k-NN compares with; InputError if nothing was trained yet."""
    if not dataset.model_paths():
        raise InputError(f"{dataset.MODELS}: no models yet; {dataset.RERUN}")
    return ensemble.load_members(), dataset.load_labelled(dataset.LABELLED)


def find_digits(path: Path) -> tuple[picture.Picture, scan.Scan]:
    """The picture and its digits; InputError names the file."""
    pixels = picture.load(path)
    try:
        return pixels, scan.find_digits(pixels)
    except InputError as error:
        raise InputError(f"{path}: {error.code}") from None


def read(paths: Sequence[Path]) -> tuple[list[Reading], list[str]]:
    """The pictures, read and predicted, and a line for each that couldn't be."""
    members, reference = load_models()
    readings, problems = [], []
    for path in paths:
        try:
            pixels, found = find_digits(path)
        except InputError as error:
            problems.append(str(error.code))
        else:
            readings.append(Reading(path, pixels, found, ensemble.predict(found.images, reference, members)))
    return readings, problems


def as_text(reading: Reading, classes: Sequence[str]) -> str:
    """The digits in a line; then a line for each, with its probability, and what else it may be where that is low."""
    predicted = [classes[digit] for digit in reading.probabilities.argmax(axis=1)]
    separator = "" if max(map(len, classes)) == 1 else ", "
    lines = [f"{reading.path}: {separator.join(predicted)}"]
    for name, row in zip(predicted, reading.probabilities, strict=True):
        line = f"  {name}  {100 * row.max():5.1f} %"
        if row.max() < SURE:
            others = np.argsort(-row, kind="stable")[1 : 1 + ALTERNATIVES]
            line += "  unsure: or " + ", ".join(f"{classes[digit]} ({100 * row[digit]:.1f} %)" for digit in others)
        lines.append(line)
    return "\n".join(lines)


def describe(reading: Reading, classes: Sequence[str]) -> dict:
    """All there is to know: boxes are left, top, right and bottom, as fractions of the picture's width and height."""
    return {
        "image": str(reading.path),
        "digits": [
            {
                "class": classes[row.argmax()],
                "probability": round(float(row.max()), 4),
                "unsure": bool(row.max() < SURE),
                "box": (box / np.tile(reading.picture.shape[::-1], 2)).round(4).tolist(),
                "probabilities": dict(zip(classes, row.astype(float).round(4).tolist(), strict=True)),
            }
            for box, row in zip(reading.scan.boxes, reading.probabilities, strict=True)
        ],
    }


def show(reading: Reading, classes: Sequence[str], path: Path) -> None:
    """Draw the picture, its digits as the networks saw them, and the predictions."""
    names = [classes[digit] for digit in reading.probabilities.argmax(axis=1)]
    figure = drawing.prediction(
        reading.picture, reading.scan.boxes, reading.scan.images, reading.probabilities, names, SURE
    )
    drawing.save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.predict", description="Predict the digits in pictures."
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help="a PNG or JPEG file, a scan or a photo")
    parser.add_argument("--json", action="store_true", help="print boxes and all probabilities as JSON")
    parser.add_argument("--show", metavar="FILE", type=Path, help="draw what was found in the picture into a PNG file")
    arguments = parser.parse_args()
    if arguments.show and arguments.show.suffix.lower() != ".png":
        raise InputError(f"{arguments.show}: expected a name that ends in .png")
    if arguments.show and len(arguments.images) > 1:
        raise InputError(f"--show: found {len(arguments.images)} pictures, expected one")
    classes = params.classes()
    readings, problems = read(arguments.images)
    if arguments.json:
        print(json.dumps([describe(reading, classes) for reading in readings], indent=2))
    else:
        print("\n".join(as_text(reading, classes) for reading in readings), end="\n" if readings else "")
    if arguments.show and readings:
        show(readings[0], classes, arguments.show)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, "nothing was changed; run it again")
