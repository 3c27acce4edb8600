"""Predict the digits in pictures: scans, photos or PDF files, of ruled forms and tables or of plain paper.

python -m handwriting.predict FILE_OR_FOLDER... [--csv FILE] [--json] [--show FILE [--unsure-only]]

Several pages are read on all cores, or on the Dask cluster at DASK_SCHEDULER_ADDRESS. The CSV grows page by page: the
same command again goes on where it was stopped.
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from handwriting.pages import picture
from handwriting.piles import journal, pile
from handwriting.piles.summary import Summary, log
from stages.digits.base import dataset, errors, files, params
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble


def unloaded_reader() -> pile.UnloadedReader:
    """The members, and the labelled images that a digit must resemble; InputError if nothing was trained yet."""
    if not dataset.model_paths():
        raise InputError(f"{dataset.MODELS}: no models yet; {dataset.RERUN}")
    return pile.UnloadedReader(ensemble.read_members(), dataset.load_labelled(dataset.LABELLED), params.classes())


def learned_from(reference: dataset.Labelled) -> str:
    """Which hands the models know, in a line."""
    known = [f"{(~reference.is_own).sum():,} digits of train.csv"]
    if reference.is_own.any():
        own = dataset.load_own(dataset.OWN)
        writers = len(np.unique(own.writers[~own.are_printed]))
        if writers:
            known.append(f"{(~own.are_printed).sum():,} of {writers} other hand{'s' * (writers > 1)}")
        if own.are_printed.any():
            known.append(f"{own.are_printed.sum():,} printed ones")
    return f"models that learned from {', '.join(known)}{' alone' * (len(known) == 1)}"


@contextmanager
def noted(problems: list[str], name: str = "") -> Iterator[None]:
    """Bad input becomes one of the problems, with the name of the page; what follows goes on."""
    try:
        yield
    except InputError as error:
        problems.append(f"{name}: {error.code}" if name else str(error.code))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.predict", description="Predict the digits in pictures."
    )
    what = f"{picture.EXPECTED}, a scan or a photo; or a folder of these"
    parser.add_argument("images", metavar="FILE_OR_FOLDER", nargs="+", type=Path, help=what)
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write cells and numbers: row, column, digits, ...")
    parser.add_argument("--json", action="store_true", help="print boxes and all probabilities as JSON")
    parser.add_argument("--show", metavar="FILE", type=Path, help="draw what was read; several pages become FILE-1 ...")
    parser.add_argument("--unsure-only", action="store_true", help="with --show: only pages on which something is")
    arguments = parser.parse_args()
    if arguments.show and arguments.show.suffix.lower() != ".png":
        raise InputError(f"{arguments.show}: expected a name that ends in .png")
    return arguments


def write(printed: dict, name: str, arguments: argparse.Namespace, separator: str) -> str:
    """Print what was read, and draw it if it's to be shown; returns what is to be printed before the next JSON."""
    if "text" in printed:
        tqdm.write(printed["text"])
    if "png" in printed:
        files.write_bytes(arguments.show.with_stem(name), printed["png"])
    if "json" not in printed:
        return separator
    tqdm.write(f"{separator}\n{textwrap.indent(json.dumps(printed['json'], indent=2), '  ')}", end="")
    return ","


def main() -> None:
    arguments = parse()
    unloaded = unloaded_reader()
    print(learned_from(unloaded.reference), file=sys.stderr)
    places = pile.places(file for path in arguments.images for file in picture.files_of(path))
    wanted = ["show-unsure" if arguments.unsure_only else "show"] * bool(arguments.show)
    wanted += ["json"] * arguments.json or ["text"] * (len(places) == 1 or not arguments.csv)
    unloaded = unloaded._replace(wanted=wanted)
    summary = Summary(len(places))

    def read(known: Collection[pile.Place]) -> Generator[tuple[pile.Place, pile.Result | None]]:
        if known:
            log(f"{arguments.csv}: {len(known):,} pages were read by an earlier run")
        return pile.read(places, known, unloaded, log)

    if arguments.csv:
        results = journal.keep(arguments.csv, pile.digest(unloaded.classes), places, not wanted, read)
    else:
        results = ((result, True) for _, result in read(()) if result)
    separator = "["
    with summary.bar, closing(results):
        for number, (page, is_new) in enumerate(results, start=1):
            name = arguments.show.stem + f"-{number}" * (len(places) > 1) if arguments.show else ""
            separator = write(page["printed"], name, arguments, separator)
            summary.add(page, is_new)
    if arguments.json:
        tqdm.write("\n]" if separator == "," else "[]")
    if len(places) > 1:
        print(summary, file=sys.stderr)
    if summary.counts["unread"]:
        sys.exit(1)


if __name__ == "__main__":
    errors.run(main, pile.GO_ON)
