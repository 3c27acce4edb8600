"""A pile's CSV, which grows page by page, and beside it a hidden journal, from which a stopped run goes on.

The journal's first line has the digest of models and code; then comes a line for each page of the CSV, in order, and
one at the end once all are read. The CSV holds the journal's rows, or the first of them: each page is written there
second.
"""

import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from handwriting.pages import report
from handwriting.piles.pile import GO_ON, PRINTED, Place, Result
from stages.digits.base.errors import InputError

HEADER = report.as_csv([], ()).encode()


def path_beside(csv: Path) -> Path:
    """Where the journal of a CSV is."""
    return csv.with_name(f".{csv.name}.pages")


def records(csv: Path, journal: BinaryIO) -> Iterator[tuple[int, Result]]:
    """The journal's lines, up to one that isn't whole, with where each begins.

    InputError at the end unless the CSV holds their rows, or the first of them.
    """
    start = journal.seek(0)
    is_file = csv.is_file() or not csv.exists()
    with csv.open("rb") if csv.is_file() else io.BytesIO() as table:
        same = HEADER.startswith(table.read(len(HEADER)))
        for line in journal:
            if not line.endswith(b"\n"):
                break
            record = json.loads(line)
            rows = record.get("csv", "").encode()
            same = same and rows.startswith(table.read(len(rows)))
            yield start, record
            start += len(line)
        if not (is_file and same and not table.read(1)):
            raise InputError(
                f"{csv}: holds what `python -m handwriting.predict` didn't write, or what was changed since: "
                "move it away, or choose another name"
            )


class Journal:
    """What an earlier run has read, and the files to which this one adds. A context manager."""

    def __init__(self, csv: Path):
        """InputError if another process has it."""
        csv.parent.mkdir(parents=True, exist_ok=True)
        self.csv, self.path, self.is_published = csv, path_beside(csv), False
        self.old = _lock(csv, self.path.open("ab+"))
        self.files: list[BinaryIO] = []  # the journal and the CSV
        self.starts = dict[Place, int]()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_published:  # nothing was read
            for path in (*map(_new, (self.path, self.csv)), *[self.path] * (not self.old.seek(0, os.SEEK_END))):
                path.unlink(missing_ok=True)
        for file in (self.old, *self.files):
            file.close()

    def begin(self, digest: str, may_reuse: bool) -> None:
        """Find out what is read; InputError if it can't go on. `may_reuse`: also pages of a CSV that is finished."""
        first = last = Result()
        for start, record in records(self.csv, self.old):
            first, last = first or record, record
            if "place" in record:
                self.starts[Place(*record["place"])] = start
        is_same, is_finished = first == {"digest": digest}, "end" in last
        if self.starts and self.csv.exists() and not is_same and not is_finished:
            count = f"{len(self.starts):,} page{'s' * (len(self.starts) > 1)}"
            raise InputError(
                f"{self.csv}: {count} were read with different models or code: move it away to begin again"
            )
        if not is_same or (is_finished and not may_reuse):
            self.starts = {}
        self.files = [_lock(self.csv, _new(path).open("wb", buffering=0)) for path in (self.path, self.csv)]
        self._append({"digest": digest}, HEADER)

    def knows(self, place: Place) -> bool:
        """Whether an earlier run has read the page, from the same file."""
        return place.changed >= 0 and place in self.starts

    def keep(self, pages: Iterable[tuple[Place, Result | None]]) -> Iterator[tuple[Result, bool]]:
        """Append each page, in one piece or not at all; None is one that is known. Gives its result, and if it's new.

        With the first new one, the files take the place of older ones.
        """
        for place, new in pages:
            if new is None:
                self.old.seek(self.starts[place])
                result = json.loads(self.old.readline())
            else:
                result = new
            kept = {key: value for key, value in result.items() if key not in PRINTED}
            self._append(kept | {"place": place}, result["csv"].encode())
            if new is not None:
                self._publish()
            yield result, new is not None
        self._append({"end": True}, b"")
        self._publish()

    def _publish(self) -> None:
        if not self.is_published:
            for path in (self.path, self.csv):
                _new(path).replace(path)
        self.is_published = True

    def _append(self, line: Result, rows: bytes) -> None:
        if self.is_published and not self._is_untouched():
            raise InputError(f"{self.csv}: another program changed it: move it away; {GO_ON}")
        for file, content in zip(self.files, (json.dumps(line).encode() + b"\n", rows), strict=True):
            end = file.tell()
            try:
                while content:
                    content = content[file.write(content) :]
                if self.is_published:
                    os.fsync(file.fileno())
            except BaseException as error:
                with suppress(OSError):
                    file.truncate(end)
                if isinstance(error, OSError):  # the disk is full, say
                    raise InputError(f"{self.csv}: {error.strerror}; {GO_ON}") from None
                raise

    def _is_untouched(self) -> bool:
        try:
            ours, there = os.fstat(self.files[1].fileno()), self.csv.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(ours, there) and there.st_size == self.files[1].tell()


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name.lstrip('.')}.new")


def _lock(path: Path, file: BinaryIO) -> BinaryIO:
    """The open file, for this process alone until it is closed; InputError if another one has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError(f"{path}: another command is writing it: wait until it ends") from None
    return file
