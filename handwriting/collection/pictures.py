"""Labelled pictures of single digits, in folders 0 to 9 as torchvision's ImageFolder has them -> digits, by writer."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from handwriting.pages import picture, scan, segment
from handwriting.pages.picture import Picture
from handwriting.pages.segment import Candidates
from stages.digits.base.dataset import SIDE, Images, Labels, Probabilities
from stages.digits.base.errors import InputError

LeftOut = defaultdict[str, list[str]]  # why -> a line for each picture


class Digits(NamedTuple):
    """The digits of n pictures."""

    names: npt.NDArray[np.object_]  # of the pictures
    images: Images
    labels: Labels
    probabilities: Probabilities

    def take(self, rows: Sequence[int]) -> "Digits":
        """Some of them."""
        chosen = np.array(rows, dtype=np.int64)
        return Digits(self.names[chosen], self.images[chosen], self.labels[chosen], self.probabilities[chosen])


def find_writers(root: Path) -> tuple[dict[Path, list[tuple[Path, int]]], list[Path]]:
    """The writers' folders, each with its pictures and their labels, label by label; and what is passed over.

    A folder is a writer's if it has folders 0 to 9; `root` may be one, or else hold some. Links that lead out of it are
    passed over. InputError if there is no picture.
    """

    def visible(pattern: str) -> list[Path]:
        paths = sorted(root.glob(pattern))
        return [path for path in paths if not any(part.startswith(".") for part in path.parts[len(root.parts) :])]

    home, writers = os.path.realpath(root), defaultdict[Path, list[tuple[Path, int]]](list)
    found = visible("[0-9]/*") or visible("*/[0-9]/*")
    for path in found:
        if Path(os.path.realpath(path)).is_relative_to(home):
            writers[path.parent.parent].append((path, int(path.parent.name)))
    if not writers:
        raise InputError(f"{root}: found no pictures in folders 0 to 9, at its top or in writers' folders")
    used = {root, *writers}.union(*({path, path.parent} for pictures in writers.values() for path, _ in pictures))
    listed = {*visible("*"), *visible("*/*"), *found}
    return writers, sorted(path for path in listed - used if path.parent in used)


def load(pictures: Iterable[tuple[Path, int]], left_out: LeftOut) -> Iterator[tuple[str, int, Picture]]:
    """The name, label and pixels of each page of pictures; what can't be read is left out."""
    for path, label in pictures:
        try:
            for name, pixels in picture.pages(path):
                yield name, label, pixels
        except InputError as error:
            left_out["unreadable"].append(str(error.code))


def read(
    pages: Iterable[tuple[str, int, Picture]], left_out: LeftOut, predict: Callable[[Images], Probabilities]
) -> Digits:
    """The digits of pages, brought to MNIST's form; those that show none, or several, are left out."""
    names, labels, images, found = list[str](), list[int](), [np.zeros((0, SIDE, SIDE), np.uint8)], list[Candidates]()
    for name, label, pixels in pages:
        try:
            found.append(scan.find_digits(pixels))
        except InputError:
            left_out["without a digit"].append(name)
            continue
        images.append(found[-1].images)
        names += [name] * len(images[-1])
        labels += [label] * len(images[-1])
    seen = np.concatenate(images)
    all_of = Digits(np.array(names, dtype=object), seen, np.array(labels, dtype=np.uint8), predict(seen))
    rows, start = list[int](), 0
    for candidates in found:
        end = start + len(candidates.images)
        chosen = segment.choose(candidates, all_of.probabilities[start:end], holds_one=True)
        if len(chosen) == 1:
            rows.append(start + int(chosen[0]))
        else:
            left_out["with several digits"].append(names[start])
        start = end
    return all_of.take(rows)
