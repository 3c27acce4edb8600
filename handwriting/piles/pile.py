"""Read a pile of pages, one after the other or on Dask's workers: the same results in the same order either way."""

import base64
import functools
import hashlib
import itertools
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from stages.digits.model.backend import keras
from stages.digits.training import member_cache

CLUSTER_PAGES = 12  # fewer are read by one process before the workers of a new cluster have begun
CODE = ("base", "model", "prediction", "../../handwriting/pages", "../../handwriting/piles")
LIBRARIES = ("opencv-python-headless", "pillow", "pillow-heif", "pypdfium2", "scipy")  # and those of the models
ADDRESS = "DASK_SCHEDULER_ADDRESS"
GO_ON = "pages in the CSV are kept; the same command goes on with the others"

PRINTED = ("text", "json", "png")  # what a result may also have, and isn't kept

Result = dict[str, Any]  # of a page: see `read_page`; JSON


class Models(NamedTuple):
    """What reads a page."""

    members: list[keras.Model]
    reference: Labelled
    classes: Sequence[str]


class Place(NamedTuple):
    """Where a page is, and what its file was then."""

    file: str
    number: int  # from 0
    size: int
    changed: int  # nanoseconds; -1 where the file can't be asked, or its page may be readable next time


def digest(classes: Sequence[str]) -> str:
    """A hash of all that what is read depends on, but for the pages."""
    result = hashlib.sha256(member_cache.code_digest(CODE).encode())
    result.update(json.dumps([*classes, *map(version, LIBRARIES)]).encode())
    for path in (*dataset.model_paths(), dataset.LABELLED):
        result.update(hashlib.sha256(path.read_bytes()).digest())
    return result.hexdigest()


def read_page(name: str, pixels: Picture, models: Models, wanted: Sequence[str]) -> Result:
    """A page's rows in the CSV, how many cells and digits it has, and the doubtful rows among them.

    `doubts` have the row's number, its box as fractions of the picture, and its digits' images as the networks saw
    them; the picture is to be turned by `turns` quarters. `wanted` may name text, json, show and show-unsure, which are
    results, too.
    """
    try:
        one = Reading(name, reading.read(pixels, models.members, models.reference))
    except InputError as error:
        return unread(name, f"{name}: {error.code}")
    rows, doubts = list(report.rows(one, models.classes)), []
    scale = np.tile(one.page.picture.shape[::-1], 2)
    for number, (row, digits) in enumerate(rows):
        if row[report.COLUMNS.index("unsure")] == "true":
            box = np.concatenate([digits.boxes[:, :2].min(axis=0), digits.boxes[:, 2:].max(axis=0)])
            images = [base64.b64encode(image.tobytes()).decode() for image in digits.images]
            doubts.append({"row": number, "box": (box / scale).round(4).tolist(), "images": images})
    result: Result = {
        "name": name,
        "csv": _without_header([one], models.classes),
        "cells": len(rows),
        "digits": len(one.page.digits.images),
        "doubts": doubts,
        "turns": next((t for t in range(4) if np.array_equal(np.rot90(pixels, t), one.page.picture)), 0),
    }
    if "text" in wanted:
        result["text"] = report.as_text(one, models.classes)
    if "json" in wanted:
        result["json"] = report.describe(one, models.classes)
    if "show" in wanted or ("show-unsure" in wanted and doubts):
        with tempfile.TemporaryDirectory() as folder:
            report.show(one, models.classes, Path(folder) / "shown.png")
            result["png"] = (Path(folder) / "shown.png").read_bytes()
    return result


def unread(name: str, problem: str) -> Result:
    """The result of a page that couldn't be read: a row that says so."""
    doubt = {"row": 0, "box": [0, 0, 1, 1], "images": []}
    csv = _without_header([name], ())
    return {"name": name, "problem": problem, "csv": csv, "cells": 0, "digits": 0, "doubts": [doubt], "turns": 0}


def _without_header(pages: list[Reading | str], classes: Sequence[str]) -> str:
    return report.as_csv(pages, classes).partition("\n")[2]


class Page(NamedTuple):
    """A page of a pile."""

    position: int  # in the pile, from 0
    place: Place
    name: str
    content: Picture | Result | None  # to be read, or its result, or None if that is known


def read(
    files: Sequence[Path],
    left: int,
    is_known: Callable[[Place], bool],
    models: Models,
    wanted: Sequence[str],
    log: Callable[[str], None],
) -> Iterator[tuple[Place, Result | None]]:
    """The result of each page, in order, None if it is known; `left` is about how many are not.

    Pages that can't be read have results, too. One process reads a few; more are read on Dask.
    """
    pages = _pages(files, is_known)
    is_pile = left >= CLUSTER_PAGES and len(os.sched_getaffinity(0)) > 1
    if is_pile or (left > 1 and ADDRESS in os.environ):
        results = _read_on_workers(pages, left, models, wanted, log)
    else:
        results = ((page, _read_here(page, models, wanted)) for page in pages)
    done: dict[int, tuple[Place, Result | None]] = {}
    position = 0
    for page, result in results:
        done[page.position] = page.place, result
        while position in done:
            yield done.pop(position)
            position += 1


def _pages(files: Sequence[Path], is_known: Callable[[Place], bool]) -> Iterator[Page]:
    position = itertools.count()
    for path in files:
        count, stamp = picture.count(path), _stamp(path)
        opened: Iterator[tuple[str, Picture]] | None = None
        for number in range(count):
            place, name = Place(str(path), number, *stamp), picture.name_page(path, number, count)
            if is_known(place):
                opened = None
                yield Page(next(position), place, name, None)
                continue
            try:
                opened = opened or picture.pages(path, number)
                _, pixels = next(opened, (name, None))
                if pixels is None or _stamp(path) != stamp:
                    raise InputError(f"{path}: changed while it was read; expected a file that stays as it is")
                yield Page(next(position), place, name, pixels)
            except InputError as error:  # which may be no more when it is tried again
                problem = name + str(error.code).removeprefix(str(path))
                opened = None
                yield Page(next(position), place._replace(changed=-1), name, unread(name, problem))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, -1
    return status.st_size, status.st_mtime_ns


def _read_here(page: Page, models: Models, wanted: Sequence[str]) -> Result | None:
    return read_page(page.name, page.content, models, wanted) if isinstance(page.content, np.ndarray) else page.content


def _read_on_workers(
    pages: Iterator[Page], left: int, models: Models, wanted: Sequence[str], log: Callable[[str], None]
) -> Iterator[tuple[Page, Result | None]]:
    from stages.digits.training import cluster  # here: Dask takes a second to import, and one picture needs none

    name = f"page-{secrets.token_hex(8)}"
    contents = tuple(path.read_bytes() for path in dataset.model_paths())
    shared = contents, tuple(models.reference), tuple(models.classes), tuple(wanted)
    job = cluster.Job(name, __name__, "read_on_worker", shared, CODE, f"start it again; {GO_ON}")
    calls = (
        cluster.Call(page._replace(content=None), f"{name}-{page.position}", (page.name, page.content))
        if isinstance(page.content, np.ndarray)
        else cluster.Call(page, "", None)
        for page in pages
    )
    with cluster.client(left, log) as client, closing(cluster.run(client, job, calls, ahead=1)) as results:
        for page, result in results:
            if isinstance(result, Exception):
                problem = f"{page.name}: its worker died repeatedly, perhaps out of memory"
                yield page._replace(place=page.place._replace(changed=-1)), unread(page.name, problem)
            else:
                yield page, result or page.content


def read_on_worker(_worker: object, shared: tuple, name: str, pixels: Picture) -> Result:
    """Read a page on this worker."""
    models, reference, classes, wanted = shared
    return read_page(name, pixels, Models(_members(models), Labelled(*reference), classes), wanted)


@functools.lru_cache(maxsize=1)
def _members(contents: tuple[bytes, ...]) -> list[keras.Model]:
    """The members, from the bytes of their files: a worker needs none of these; the client has checked them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.keras" for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return [keras.models.load_model(path, safe_mode=True) for path in paths]
