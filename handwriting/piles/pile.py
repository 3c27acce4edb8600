"""Read a pile of pages, one after the other or on Dask's workers: the same results in the same order either way."""

import base64
import functools
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
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

CLUSTER_PAGES = 12  # to start two workers takes 14 CPU seconds, as long as nine pages
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
    except Exception as error:  # it must not keep a pile from its other pages
        return unread(name, f"{name}: a bug of this project: {type(error).__name__}: {' '.join(str(error).split())}")
    rows, doubts = list(report.rows(one, models.classes)), []
    scale = np.tile(one.page.picture.shape[::-1], 2)
    for number, (row, digits) in enumerate(rows):
        if row[report.COLUMNS.index("unsure")] == "true":
            boxes = digits.boxes if len(digits.boxes) else np.array([[0, 0, *scale[:2]]])
            box = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
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
            report.draw(one, models.classes, Path(folder) / "shown.png")
            result["png"] = (Path(folder) / "shown.png").read_bytes()
    return result


def unread(name: str, problem: str) -> Result:
    """The result of a page that couldn't be read: a row that says so."""
    doubt = {"row": 0, "box": [0, 0, 1, 1], "images": []}
    csv = _without_header([name], ())
    return {"name": name, "problem": problem, "csv": csv, "cells": 0, "digits": 0, "doubts": [doubt], "turns": 0}


def _without_header(pages: list[Reading | str], classes: Sequence[str]) -> str:
    return report.as_csv(pages, classes).partition("\n")[2]


def read(
    files: Sequence[Path],
    left: int,
    known: Collection[Place],
    models: Models,
    wanted: Sequence[str],
    log: Callable[[str], None],
) -> Generator[tuple[Place, Result | None]]:
    """The result of each page, in order, None if it is known; `left` is about how many are not.

    Pages that can't be read have results, too. One process reads a few; more are read on Dask.
    """
    pages, position = enumerate(_pages(files, known)), 0
    results: Iterator[tuple[int, Place, Result | None]]
    if left > 1 and (ADDRESS in os.environ or (left >= CLUSTER_PAGES and len(os.sched_getaffinity(0)) > 1)):
        results = _read_on_workers(pages, left, models, wanted, log)
    else:
        results = (
            (number, place, read_page(name, content, models, wanted) if isinstance(content, np.ndarray) else content)
            for number, (place, name, content) in pages
        )
    done: dict[int, tuple[Place, Result | None]] = {}
    for number, place, result in results:
        done[number] = place, result
        while position in done:
            yield done.pop(position)
            position += 1


def _pages(files: Sequence[Path], known: Collection[Place]) -> Iterator[tuple[Place, str, Picture | Result | None]]:
    """Each page with its name, and its pixels, or why it can't be read, or None if it is known."""
    for path in files:
        count, before, opened = picture.count(path), stamp(path), None
        for number in range(count):
            place, name = Place(str(path), number, *before), picture.name_page(path, number, count)
            if place in known:
                opened = None
                yield place, name, None
                continue
            try:
                opened = opened or picture.pages(path, number)
                _, pixels = next(opened, (name, None))
                if pixels is None or stamp(path) != before:
                    raise InputError(f"{path}: changed while it was read; expected a file that stays as it is")
                yield place, name, pixels
            except InputError as error:
                opened, problem = None, name + str(error.code).removeprefix(str(path))
                yield place._replace(changed=-1), name, unread(name, problem)


def stamp(path: Path) -> tuple[int, int]:
    """Its size and when it was changed; (0, -1) if it can't be asked."""
    try:
        return path.stat().st_size, path.stat().st_mtime_ns
    except (OSError, ValueError):
        return 0, -1


def _read_on_workers(
    pages: Iterator[tuple[int, tuple]], left: int, models: Models, wanted: Sequence[str], log: Callable[[str], None]
) -> Iterator[tuple[int, Place, Result | None]]:
    from stages.digits.training import cluster  # here: Dask takes a second to import, and one picture needs none

    job_name = f"page-{secrets.token_hex(8)}"
    contents = tuple(path.read_bytes() for path in dataset.model_paths())
    shared = contents, tuple(models.reference), tuple(models.classes), tuple(wanted)
    job = cluster.Job(job_name, __name__, "read_on_worker", shared, CODE, f"start it again; {GO_ON}")
    calls = (
        cluster.Call((number, place, name, None), f"{job_name}-{number}", (name, content))
        if isinstance(content, np.ndarray)
        else cluster.Call((number, place, name, content), "", None)
        for number, (place, name, content) in pages
    )
    with cluster.client(left, log) as client, closing(cluster.run(client, job, calls, ahead=1)) as results:
        for (number, place, name, content), result in results:
            if isinstance(result, Exception):
                place = place._replace(changed=-1)
                result = unread(name, f"{name}: its worker died repeatedly, perhaps out of memory")
            yield number, place, result or content


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
