"""Digits are taken among one's own: each image once, compared with the models, with a contact sheet to check."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from handwriting.collection import contact_sheet, pictures
from handwriting.collection.page import Page
from handwriting.collection.pictures import Digits, LeftOut
from handwriting.pages.picture import Picture
from handwriting.pages.reading import SURE
from stages.digits.base import dataset, errors
from stages.digits.base.dataset import DIGITS, Images, Labels, Probabilities
from stages.digits.base.errors import InputError
from stages.digits.tables import own

SHEETS = Path("data/collected")
MAX_STEM = 40  # characters of a scan's name that its page's file keeps
MIN_GROUP = 3  # digits of one label that can contradict it
BATCH = 3000  # pictures of a file and its contact sheet, which takes 0.5 GB to draw
COLUMNS = 40  # of the contact sheet of pictures
NAMED = 10  # pictures of a kind; of further ones only the number is printed
BEFORE = "taken before"

Known = dict[int, tuple[int, str]]  # the fingerprint of an image -> its label, and its picture, if of this run


class Target(NamedTuple):
    """Where digits are taken to, and what they are compared with."""

    folder: Path  # of all one's own
    writer: str  # whose folder in it; "" for its top
    classes: Sequence[str]
    predict: Callable[[Images], Probabilities]  # all 0 without models
    trust: bool = False  # the labels, whatever is predicted


def paths(folder: Path) -> list[Path]:
    """The files of a folder that may not exist yet."""
    return own.paths(folder) if any(folder.rglob("[!.]*.csv")) else []


def known(folder: Path) -> Known:
    """The images in a folder."""
    if not paths(folder):
        return {}
    table = own.read(folder)
    keys = dataset.fingerprints(table.images).tolist()
    return {key: (label, "") for key, label in zip(keys, table.labels.tolist(), strict=True)}


def take_pictures(
    where: str, pages: Iterable[tuple[str, int, Picture]], left_out: LeftOut, to: Target, known: Known
) -> bool:
    """Take the digits of pages with names and labels, label by label, and print what was taken; whether any are new.

    InputError, and nothing written, if most pictures of a label show one other digit, or none shows a single digit.
    """
    names, images, labels, probabilities = _only_new(pictures.read(pages, left_out, to.predict), known, left_out)
    counts = ", ".join(f"{len(lines)} {why}" for why, lines in left_out.items()) or "nothing"
    details = [[f"{why}: {line}" for line in lines] for why, lines in left_out.items() if why != BEFORE]
    text = f"took nothing; left out {counts}"
    if len(labels):
        found = _arrange(images, labels)
        text, differ = take(found, labels, probabilities, labels, f"{where}/", to, to.writer, counts)
        sure, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
        surest = sorted(np.flatnonzero(differ), key=lambda row: -sure[row])  # wrong labels are among the first
        details.insert(0, [f"read as {to.classes[predicted[row]]}: {names[row]}" for row in surest])
    elif BEFORE not in left_out:
        raise InputError(f"{where}: {text}, such as {details[0][0]}")
    report(f"{where}: {text}", *details)
    return len(labels) > 0


def take(
    found: Page, labels: Labels, probabilities: Probabilities, groups: np.ndarray, group: str, to: Target,
    stem: str, left_out: str,
) -> tuple[str, np.ndarray]:  # fmt: skip
    """Write digits and their contact sheet; what was taken, and a mask (n,) of those that are surely others.

    InputError, unless they are trusted, if that is one other for most of those of a number in `groups` (n,).
    """
    predicted = probabilities.argmax(axis=1)
    differ = (predicted != labels) & (probabilities.max(axis=1) >= SURE)
    for number in np.unique(groups[differ]) if not to.trust else []:
        of_group = groups == number
        counts = np.bincount(predicted[of_group & differ], minlength=DIGITS)
        if of_group.sum() >= MIN_GROUP and counts.max() > of_group.sum() / 2:
            raise InputError(
                f"{group}{number} should hold {labels[of_group][0]}, but {counts.max()} of its {of_group.sum()} digits "
                f"read as {counts.argmax()}: is that label right? If so, add --trust"
            )
    stem = re.sub(r"[^A-Za-z0-9]+", "-", stem)[:MAX_STEM].strip("-") or "page"
    name = f"{stem}-{own.page_hash(found.images, labels, found.cells)}"
    file, sheet = to.folder / to.writer / f"{name}.csv", SHEETS / f"{name}.png"
    contact_sheet.save(found, labels, differ, probabilities, to.classes, sheet)
    own.write(file, found.images, labels, found.cells)  # last: what is there is whole, and counted
    numbers = ", ".join(f"{digit}: {times}" for digit, times in enumerate(np.bincount(labels)) if times)
    check = f"{differ.sum()} that the models are sure are others" if probabilities.any() else "not compared with models"
    return f"took {len(labels)} digits into {file} ({numbers}); left out {left_out}; {check}: look at {sheet}", differ


def report(text: str, *details: Sequence[object]) -> None:
    """Print a line, and below it the first few of each kind of detail."""
    lines = [text]
    for kind in details:
        lines += [f"  {detail}" for detail in kind[:NAMED]]
        lines += [f"  ... and {len(kind) - NAMED} more"] * (len(kind) > NAMED)
    print("\n".join(map(errors.printable, lines)), flush=True)


def _only_new(digits: Digits, known: Known, left_out: LeftOut) -> Digits:
    """The digits whose image is not known, which then is; InputError if there would be more than `own.read` reads."""
    rows = []
    for row, key in enumerate(dataset.fingerprints(digits.images).tolist()):
        name, label = str(digits.names[row]), int(digits.labels[row])
        if key not in known:
            known[key] = label, name
            rows.append(row)
            continue
        other, twin = known[key]
        why = "under two labels" if other != label else "twice" if twin else BEFORE
        left_out[why].append(f"{name}, as {twin or 'before'}: {other}")
    if len(known) > own.MAX_ROWS:
        raise InputError(f"found more than {own.MAX_ROWS:,} digits in all: no more are taken")
    return digits.take(rows)


def _arrange(images: Images, labels: Labels) -> Page:
    """Digits, sorted by label, as a page on which each label begins a row."""
    counts = np.bincount(labels, minlength=DIGITS)
    rows = -(-counts // COLUMNS)
    place = np.arange(len(labels)) - (counts.cumsum() - counts)[labels]
    cells = np.column_stack([(rows.cumsum() - rows)[labels] + place // COLUMNS, place % COLUMNS])
    return Page("pictures", (int(rows.sum()), COLUMNS), cells, images, 0, 0)
