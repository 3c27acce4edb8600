"""Read a pile of pages, one after the other or on Dask's workers: the same results in the same order either way."""

import base64
import functools
import hashlib
import json
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from handwriting.pages import picture, reading, report
from handwriting.pages.picture import Picture
from handwriting.pages.report import Reading
from stages.digits.base import dataset
from stages.digits.base.dataset import Labelled
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble
from stages.digits.prediction.ensemble import Model
from stages.digits.training import member_cache

CLUSTER_PAGES = 12  # to start two workers takes 7 CPU seconds, as long as six pages
CODE = ("base", "model", "prediction", "../../handwriting/pages", "../../handwriting/piles")
LIBRARIES = ("opencv-python-headless", "pillow", "pillow-heif", "pypdfium2", "scipy")  # and those of the models
ADDRESS = "DASK_SCHEDULER_ADDRESS"
GO_ON = "pages in the CSV are kept; the same command goes on with the others"

Result = dict[str, Any]  # of a page: see `read_page`; JSON
Pages = Iterator[tuple[int, str, Picture | str]]  # see `_decode`


class Reader(NamedTuple):
    """What reads a page, and what is wanted of it beside its rows: text, json, show, show-unsure."""

    members: list[Model]
    reference: Labelled
    classes: Sequence[str]
    wanted: Sequence[str] = ()


class UnloadedReader(NamedTuple):
    """A reader with its members' files: a process that only sends them to workers needs no TensorFlow."""

    files: dict[Path, bytes]
    reference: Labelled
    classes: Sequence[str]
    wanted: Sequence[str] = ()

    def load(self) -> Reader:
        """InputError if a file is damaged."""
        members = [ensemble.load_member(path, content) for path, content in self.files.items()]
        return Reader(members, *self[1:])


class Place(NamedTuple):
    """A page of a file, and the file's state when the command began."""

    file: str
    number: int  # from 0
    name: str  # of the page, for people
    state: str


def digest(classes: Sequence[str]) -> str:
    """A hash of all that what is read depends on, but for the pages."""
    result = hashlib.sha256(member_cache.code_digest(CODE).encode())
    result.update(json.dumps([*classes, *map(version, LIBRARIES)]).encode())
    for path in (*dataset.model_paths(), dataset.LABELLED):
        result.update(hashlib.sha256(path.read_bytes()).digest())
    return result.hexdigest()


def places(files: Iterable[Path]) -> list[Place]:
    """All pages of these files."""
    found = []
    for path in files:
        file, count, state = str(path), picture.count(path), state_of(str(path))
        found += [Place(file, number, picture.name_page(path, number, count), state) for number in range(count)]
    return found


def state_of(file: str) -> str:
    """Its size and when it was changed; empty if it can't be asked."""
    try:
        status = Path(file).stat()
    except OSError:
        return ""
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"


def read(
    places: Sequence[Place], known: Collection[Place], unloaded: UnloadedReader, log: Callable[[str], None]
) -> Generator[tuple[Place, Result | None]]:
    """The result of each page, in order, None if it is known.

    Pages that can't be read have results, too. One process reads a few; more are read on Dask.
    """
    left, pages, done = sum(place not in known for place in places), _decode(places, known), dict[int, Result]()
    if left > 1 and (ADDRESS in os.environ or (left >= CLUSTER_PAGES and len(os.sched_getaffinity(0)) > 1)):
        results = _read_on_workers(pages, left, unloaded, log)
    else:
        results = _read_here(pages, unloaded)
    for number, place in enumerate(places):
        if place in known:
            yield place, None
            continue
        while number not in done:
            done.update([next(results)])
        yield place, done.pop(number) or unread(place.name, "its worker died repeatedly, perhaps out of memory")


def _decode(places: Sequence[Place], known: Collection[Place]) -> Pages:
    """Each page that isn't known: its number in the pile, its name, and its pixels, or why it can't be read."""
    opened, following = iter(list[tuple[str, Picture]]()), ("", 0)  # what is open, and the page that comes next there
    for number, place in enumerate(places):
        if place in known:
            continue
        try:
            if place[:2] != following:
                opened = picture.pages(Path(place.file), place.number)
            content = next(opened, ("", None))[1]
            if content is None or state_of(place.file) != place.state:
                raise InputError(f"{place.file}: changed while pages were read; expected a file that stays as it is")
            following = place.file, place.number + 1
            yield number, place.name, content
        except InputError as error:
            following = "", 0
            yield number, place.name, str(error.code).removeprefix(f"{place.file}: ")


def _read_here(pages: Pages, unloaded: UnloadedReader) -> Iterator[tuple[int, Any]]:
    reader = unloaded.load()
    for number, name, content in pages:
        yield number, read_page(name, content, reader)


def _read_on_workers(
    pages: Pages, left: int, unloaded: UnloadedReader, log: Callable[[str], None]
) -> Iterator[tuple[int, Any]]:
    from stages.digits.training import cluster  # here: Dask takes a second to import, and one picture needs none

    name, advice = f"page-{secrets.token_hex(8)}", f"start it again; {GO_ON}"
    job = cluster.Job(name, read_on_worker, pickle.dumps(unloaded), CODE, advice)
    with cluster.client(left, log) as client, closing(cluster.run(client, job, pages, ahead=1)) as results:
        yield from results


def read_on_worker(_worker: object, unloaded: bytes, _number: int, name: str, content: Picture | str) -> Result | str:
    """Read a page on this worker; a line if it can't load the members."""
    try:
        reader = _load(unloaded)
    except InputError as error:
        return str(error.code)
    return read_page(name, content, reader)


@functools.lru_cache(maxsize=1)  # once for all pages
def _load(unloaded: bytes) -> Reader:
    return pickle.loads(unloaded).load()


def read_page(name: str, content: Picture | str, reader: Reader) -> Result:
    """A page's rows in the CSV, how many cells and digits it has, and the doubtful rows among them.

    `content` is the reason if it couldn't be decoded. `doubts` have the row's number, its box as fractions of the
    picture, and its digits' images as the networks saw them; the picture is to be turned by `turns` quarters. `printed`
    is for the person alone, as the reader wants it.
    """
    try:
        if isinstance(content, str):
            raise InputError(content)
        return _read_page(name, content, reader)
    except InputError as error:
        return unread(name, str(error.code))
    except Exception as error:  # it must not keep a pile from its other pages
        return unread(name, f"a bug of this project: {type(error).__name__}: {' '.join(str(error).split())}")


def _read_page(name: str, pixels: Picture, reader: Reader) -> Result:
    members, reference, classes, wanted = reader
    one = Reading(name, reading.read(pixels, members, reference))
    shape, rows, doubts = one.page.picture.shape, list(report.rows(one, classes)), []
    for number, (row, digits) in enumerate(rows):
        if row[report.COLUMNS.index("unsure")] == "true":
            box = np.concatenate([digits.boxes[:, :2].min(axis=0), digits.boxes[:, 2:].max(axis=0)])
            fractions = (box / np.tile(shape[::-1], 2)).round(4).tolist()
            images = [base64.b64encode(image.tobytes()).decode() for image in digits.images]
            doubts.append({"row": number, "box": fractions, "images": images})
    printed: Result = {}
    if "text" in wanted:
        printed["text"] = report.as_text(one, classes)
    if "json" in wanted:
        printed["json"] = report.describe(one, classes)
    if "show" in wanted or ("show-unsure" in wanted and doubts):
        with tempfile.TemporaryDirectory() as folder:
            report.draw(one, classes, Path(folder) / "shown.png")
            printed["png"] = (Path(folder) / "shown.png").read_bytes()
    return {
        "name": name,
        "csv": _without_header([one], classes),
        "cells": len(rows),
        "digits": len(one.page.digits.images),
        "doubts": doubts,
        "turns": next(turns for turns in range(4) if np.array_equal(np.rot90(pixels, turns), one.page.picture)),
        "printed": printed,
    }


def unread(name: str, reason: str) -> Result:
    """The result of a page that couldn't be read: a row that says so."""
    doubt = {"row": 0, "box": [0, 0, 1, 1], "images": []}
    page = {"name": name, "csv": _without_header([name], ()), "cells": 0, "digits": 0, "doubts": [doubt], "turns": 0}
    return page | {"problem": f"{name}: {reason}", "printed": {}}


def _without_header(pages: list[Reading | str], classes: Sequence[str]) -> str:
    return report.as_csv(pages, classes).partition("\n")[2]
