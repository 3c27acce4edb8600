"""Predict the digits in pictures: scans, photos or PDF files, of ruled forms and tables or of plain paper.

python -m handwriting.predict FILE... [--csv FILE] [--json] [--show FILE]
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from handwriting.pages import picture, reading, report
from handwriting.pages.report import Reading
from stages.digits.base import dataset, errors, files, params
from stages.digits.base.errors import InputError
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble


def load_models() -> tuple[list[keras.Model], dataset.Labelled]:
    """The members, and the labelled images that a digit must resemble; InputError if nothing was trained yet."""
    if not dataset.model_paths():
        raise InputError(f"{dataset.MODELS}: no models yet; {dataset.RERUN}")
    return ensemble.load_members(), dataset.load_labelled(dataset.LABELLED)


def read(paths: Sequence[Path]) -> tuple[list[Reading], list[str]]:
    """The pages, read, and a line for each that couldn't be."""
    members, reference = load_models()
    readings: list[Reading] = []
    problems: list[str] = []
    for path in paths:
        with noted(problems):
            for name, pixels in picture.pages(path):
                with noted(problems, name):
                    readings.append(Reading(name, reading.read(pixels, members, reference)))
    return readings, problems


@contextmanager
def noted(problems: list[str], name: str = "") -> Iterator[None]:
    """Bad input becomes one of the problems, with the name of the page; what follows goes on."""
    try:
        yield
    except InputError as error:
        problems.append(f"{name}: {error.code}" if name else str(error.code))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.predict", description="Predict the digits in pictures."
    )
    parser.add_argument("images", metavar="FILE", nargs="+", type=Path, help=f"{picture.EXPECTED}: a scan or a photo")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the cells: row, column, digits, ...")
    parser.add_argument("--json", action="store_true", help="print boxes and all probabilities as JSON")
    parser.add_argument("--show", metavar="FILE", type=Path, help="draw what was read; several pages become FILE-1 ...")
    arguments = parser.parse_args()
    if arguments.show and arguments.show.suffix.lower() != ".png":
        raise InputError(f"{arguments.show}: expected a name that ends in .png")
    classes = params.classes()
    readings, problems = read(arguments.images)
    if arguments.json:
        print(json.dumps([report.describe(one, classes) for one in readings], indent=2))
    else:
        print("\n".join(report.as_text(one, classes) for one in readings), end="\n" if readings else "")
    if arguments.csv and readings:
        files.write_text(arguments.csv, report.as_csv(readings, classes))
    if arguments.show:
        for number, one in enumerate(readings, start=1):
            stem = arguments.show.stem + f"-{number}" * (len(readings) > 1)
            report.show(one, classes, arguments.show.with_stem(stem))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, "nothing was changed; run it again")
