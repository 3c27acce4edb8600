"""A pile's CSV, which grows page by page, and beside it a hidden journal, from which a stopped run goes on.

The journal's first line has the digest of models and code; then comes a line for each page of the CSV, in order, and
one at the end once all are read. A page is written there first: the CSV holds the journal's rows, or the first of them.
"""

import fcntl
import io
import json
import os
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import BinaryIO

from handwriting.pages import report
from handwriting.piles.pile import GO_ON, PRINTED, Place, Result
from stages.digits.base.errors import InputError

HEADER = report.as_csv([], ()).encode()

Read = Callable[[Collection[Place]], Generator[tuple[Place, Result | None]]]  # None for the places that it gets


def path_beside(csv: Path) -> Path:
    """Where the journal of a CSV is."""
    return csv.with_name(f".{csv.name}.pages")


def records(csv: Path, journal: BinaryIO) -> Iterator[tuple[int, Result]]:
    """The journal's lines, up to one that isn't whole, with where each begins.

    InputError at the end unless the CSV holds their rows, or the first of them.
    """
    start = journal.seek(0)
    with csv.open("rb") if csv.is_file() else io.BytesIO() as table:
        is_same = HEADER.startswith(table.read(len(HEADER))) and (csv.is_file() or not csv.exists())
        for line in journal:
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:  # the machine lost its power
                record = None
            if record is None:
                break
            rows = record.get("csv", "").encode()
            is_same = is_same and rows.startswith(table.read(len(rows)))
            yield start, record
            start += len(line)
        if not is_same or table.read(1):
            raise InputError(
                f"{csv}: holds what `python -m handwriting.predict` didn't write, or what was changed since: "
                "move it away, or choose another name"
            )


def keep(csv: Path, digest: str, may_reuse: bool, read: Read) -> Generator[tuple[Result, bool]]:
    """What `read` gives, each page appended in one piece or not at all; and whether it's new: not of an earlier run.

    The files take the place of older ones with the first new page. InputError if it can't go on. `may_reuse`: pages of
    a CSV that is finished aren't read again, either.
    """
    path = path_beside(csv)
    csv.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        old = stack.enter_context(_lock(csv, path.open("ab+")))
        stack.callback(_remove_empty, path)
        starts = _find(csv, old, digest, may_reuse)
        temporary = [path.with_name(f".{path.name.lstrip('.')}.new") for path in (path, csv)]
        for one in temporary:
            stack.callback(one.unlink, missing_ok=True)
        journal = stack.enter_context(_lock(csv, temporary[0].open("wb", buffering=0)))
        table = stack.enter_context(temporary[1].open("wb", buffering=0))

        def append(record: Result, rows: bytes, is_new: bool) -> None:
            try:
                if not temporary[1].exists() and not _is_at_end(table, csv):
                    raise InputError(f"{csv}: another program changed it: move it away; {GO_ON}")
                _write(journal, json.dumps(record).encode() + b"\n")
                _write(table, rows)
                if is_new and temporary[1].exists():
                    for one, target in zip(temporary, (path, csv), strict=True):
                        one.replace(target)
            except OSError as error:  # the disk is full, say
                raise InputError(f"{csv}: {error.strerror}; {GO_ON}") from None

        append({"digest": digest}, HEADER, is_new=False)
        for place, new in stack.enter_context(closing(read(starts))):
            result = new or _read_line(old, starts[place])
            kept = {key: value for key, value in result.items() if key not in PRINTED}
            append(kept | {"place": place}, result["csv"].encode(), new is not None)
            yield result, new is not None
        append({"end": True}, b"", is_new=True)


def _find(csv: Path, journal: BinaryIO, digest: str, may_reuse: bool) -> dict[Place, int]:
    """Where the results are that an earlier run has left."""
    starts, first, last = dict[Place, int](), Result(), Result()
    for start, record in records(csv, journal):
        first, last = first or record, record
        if "place" in record:
            starts[Place(*record["place"])] = start
    if first == {"digest": digest} and (may_reuse or "end" not in last):
        return starts
    if starts and "end" not in last and csv.exists():
        raise InputError(f"{csv}: was begun with different models or code: move it away to begin again")
    return {}


def _read_line(journal: BinaryIO, start: int) -> Result:
    journal.seek(start)
    return json.loads(journal.readline())


def _write(file: BinaryIO, content: bytes) -> None:
    end = file.tell()
    try:
        while content:
            content = content[file.write(content) :]
    except BaseException:
        with suppress(OSError):
            file.truncate(end)
        raise


def _is_at_end(table: BinaryIO, csv: Path) -> bool:
    """Whether the CSV there is still the one that we write, and as long."""
    try:
        return os.path.samestat(os.fstat(table.fileno()), csv.stat()) and csv.stat().st_size == table.tell()
    except FileNotFoundError:
        return False


def _remove_empty(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not path.stat().st_size:
            path.unlink()


def _lock(csv: Path, journal: BinaryIO) -> BinaryIO:
    """The open journal, for this process alone until it is closed; InputError if another one has it."""
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        journal.close()
        raise InputError(f"{csv}: another command is writing it: wait until it ends") from None
    return journal
