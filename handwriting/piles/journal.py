"""A pile's CSV, which grows page by page, and beside it a hidden journal, from which a stopped run goes on.

The journal is JSON, a line each: for each page, in the order in which they were read, its result; and before and after
a run the digest of models and code, and the order of the CSV: where its pages begin in the journal. A page is written
there first: the CSV holds the journal's pages, or the first of them.
"""

import fcntl
import io
import json
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from handwriting.pages import report
from handwriting.piles.pile import GO_ON, Place, Result
from stages.digits.base import files
from stages.digits.base.errors import InputError

HEADER = report.as_csv([], ()).encode()

Read = Callable[[Collection[Place]], Generator[tuple[Place, Result | None]]]  # None for the places that it gets


def path_beside(csv: Path) -> Path:
    """Where the journal of a CSV is."""
    return csv.with_name(f".{csv.name}.pages")


def load(journal: BinaryIO) -> tuple[str, list[int], dict[Place, int]]:
    """The digest, where the pages of the CSV begin in the journal, and where each page does that could be read."""
    digest, order, known, start = "", list[int](), dict[Place, int](), journal.seek(0)
    for line in journal:
        with suppress(ValueError):  # half of a line: the run was killed, or the machine lost its power
            record = json.loads(line)
            if "order" in record:
                digest, order = record["digest"], record["order"]
            else:
                order.append(start)
                if "problem" not in record:
                    known[Place(*record["place"])] = start
        start += len(line)
    return digest, order, known


def pages(csv: Path, journal: BinaryIO, order: list[int]) -> Iterator[Result]:
    """The journal's pages that are in the CSV; InputError, at the end, if that holds anything else."""
    with csv.open("rb") as table:
        is_same = HEADER.startswith(table.read(len(HEADER)))
        for page in _read(journal, order):
            rows = page["csv"].encode()
            written = table.read(len(rows))
            is_same = is_same and rows.startswith(written)
            if written == rows:
                yield page
        if not is_same or table.read(1):
            raise InputError(
                f"{csv}: holds what `python -m handwriting.predict` didn't write, or what was changed since: "
                "move it away, or choose another name"
            )


def keep(
    csv: Path, digest: str, places: Sequence[Place], may_reuse: bool, read: Read
) -> Generator[tuple[Result, bool]]:
    """What `read` gives, each page appended in one piece or not at all; and whether it's new: not of an earlier run.

    In the end the pages are in order. InputError if it can't go on. `may_reuse`: pages of a CSV that has all of them
    aren't read again, either.
    """
    path = path_beside(csv)
    csv.parent.mkdir(parents=True, exist_ok=True)
    if csv.exists() and not path.exists():
        list(pages(csv, io.BytesIO(), []))  # so that an InputError leaves no journal behind
    with path.open("ab+") as journal:
        _lock(csv, journal)
        earlier, order, known = load(journal)
        for _ in pages(csv, journal, order) if csv.exists() else ():
            pass  # it holds nothing else
        others = {place.file for place in known} - {place.file for place in places}
        if others or earlier not in ("", digest):
            if csv.exists():
                what = f"has pages of {min(others)}" if others else "was read by different models or code"
                raise InputError(f"{csv}: {what}: move it away, or choose another name")
            journal.truncate(0)
            order, known = [], {}
        is_whole = len(order) == len(places)
        starts = {place: known[place] for place in places if place in known}
        size = _write(csv, journal, digest, list(starts.values()))
        with closing(read([] if is_whole and not may_reuse else set(starts))) as results:
            for place, new in results:
                if new and place not in starts:
                    if csv.stat().st_size != size:
                        raise InputError(f"{csv}: another program changed it: move it away; {GO_ON}")
                    starts[place] = _append(path, _line(new | {"place": place, "printed": {}}))
                    size = _append(csv, new["csv"].encode()) + len(new["csv"].encode())
                yield new or next(_read(journal, [starts[place]])), new is not None
        _write(csv, journal, digest, [starts[place] for place in places])


def _lock(csv: Path, journal: BinaryIO) -> None:
    """For this process alone, until it is closed; InputError if another one has it."""
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{csv}: another command is writing it: wait until it ends") from None


def _write(csv: Path, journal: BinaryIO, digest: str, order: list[int]) -> int:
    """Write the CSV of these pages, or leave it as it is; returns its size."""
    with files.atomic_path(csv) as temporary:
        with temporary.open("wb") as table:
            table.write(HEADER)
            table.writelines(page["csv"].encode() for page in _read(journal, order))
        _append(path_beside(csv), b"\n" + _line({"digest": digest, "order": order}))
    return csv.stat().st_size


def _read(journal: BinaryIO, order: list[int]) -> Iterator[Result]:
    for start in order:
        journal.seek(start)
        yield json.loads(journal.readline())


def _line(record: dict) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _append(path: Path, content: bytes) -> int:
    """Append all of it or nothing; returns where it begins."""
    start = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(content)
    except OSError as error:  # the disk is full, say
        os.truncate(path, start)
        raise InputError(f"{path}: {error.strerror}; {GO_ON}") from None
    return start
