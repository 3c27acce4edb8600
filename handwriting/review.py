"""Check what a pile's CSV is unsure of, cell by cell, on a page in the browser.

python -m handwriting.review FILE.csv [--port 8001]

What is accepted or corrected goes into FILE-reviewed.csv, from which the next review goes on.
"""

import argparse
import base64
import csv
import functools
import io
import re
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from handwriting.collection.corrections import Corrections
from handwriting.pages import picture, report
from handwriting.pages.picture import Picture
from handwriting.piles import journal
from handwriting.piles.pile import Place, Result, stamp
from handwriting.web import server
from stages.digits.base import errors, files, params
from stages.digits.base.errors import InputError
from stages.digits.tables import own

PAGE = Path(__file__).with_name("web") / "review.html"
HEADER = [*report.COLUMNS, "reviewed"]  # accepted, corrected or empty
DIGITS, PROBABILITY, UNSURE = map(report.COLUMNS.index, ("digits", "probability", "unsure"))
MARGIN = 1.2  # of the cell's longer side, shown above and below it
MAX_SIDE = 1200  # pixels of what is shown
FRAME = (0, 67, 168)  # blue, green, red


class Item(NamedTuple):
    """A row to be checked."""

    line: int  # of the CSV, from 0, without the header
    page: Result
    box: list[float]  # left, top, right and bottom, as fractions of the picture
    images: list[bytes]  # of its digits, as the networks saw them: 28 × 28 bytes


class Review:
    """The rows of a CSV, and what was decided about those that are unsure. Several threads may decide."""

    def __init__(self, path: Path, classes: Sequence[str], corrections: Corrections):
        """InputError if there is nothing to review, or if what was reviewed belongs to a different CSV."""
        if not path.is_file() or not journal.path_beside(path).is_file():
            raise InputError(f"{path}: expected a CSV that `python -m handwriting.predict --csv` wrote, in its folder")
        self.path, self.classes, self.corrections = path.with_name(f"{path.stem}-reviewed.csv"), classes, corrections
        self.lock = threading.Lock()
        self.items, self.lines = list[Item](), list[str]()
        with journal.path_beside(path).open("rb") as file:
            for page in (record for _, record in journal.records(path, file) if "csv" in record):
                for one in page["doubts"]:
                    images = [base64.b64decode(image) for image in one["images"]]
                    self.items.append(Item(len(self.lines) + one["row"], page, one["box"], images))
                self.lines += io.StringIO(page.pop("csv"))
        if not self.items:
            raise InputError(f"{path}: nothing is unsure")
        self.reviewed = [line.removesuffix("\n") + ",\n" for line in self.lines]
        if self.path.exists():
            first, *earlier = self.path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] or [""]
            same = [_place(ours) == _place(line) for ours, line in zip(self.lines, earlier, strict=False)]
            if first != ",".join(HEADER) or not all(same) or len(earlier) > len(self.lines):
                raise InputError(f"{self.path}: doesn't belong to this CSV: move it away")
            for number, line in enumerate(earlier):
                if _parse(line)[-1]:
                    self.reviewed[number] = line + "\n"

    def state(self) -> dict:
        """All items, for the page, with the names of the classes."""
        items = []
        for item in self.items:
            checked = _parse(self.reviewed[item.line])
            more = {"value": checked[DIGITS], "reviewed": checked[-1], "images": len(item.images)}
            row = dict(zip(report.COLUMNS, _parse(self.lines[item.line]), strict=True))
            items.append(row | more | {"problem": item.page.get("problem", "")})
        return {"items": items, "classes": list(self.classes), "file": str(self.path)}

    def decide(self, number: int, labels: Sequence[int] | None) -> dict:
        """The right digits of an item, None for what was read; returns the `value`, or a `problem`."""
        line = self.items[number].line
        row = _parse(self.lines[line])
        value = row[DIGITS] if labels is None else report.join(labels, self.classes)
        decision = "accepted" if value == row[DIGITS] else "corrected"
        row[DIGITS], row[UNSURE] = value, "false"
        row[PROBABILITY] *= decision == "accepted"
        with self.lock:
            before, self.reviewed[line] = self.reviewed[line], _as_line([*row, decision])
            try:
                files.write_text(self.path, _as_line(HEADER) + "".join(self.reviewed))
            except OSError as error:
                self.reviewed[line] = before
                return {"problem": f"{self.path}: not stored: {error.strerror}"}
        return {"value": value, "reviewed": decision}

    def add_own(self, number: int, labels: Sequence[int]) -> dict:
        """Add an item's digits to one's own, with their right labels."""
        images, state = self.items[number].images, {"problem": "expected a label for each digit"}
        for image, label in zip(images, labels, strict=True) if len(images) == len(labels) else ():
            state = self.corrections.add(image, label)
        return state

    def picture(self, number: int) -> bytes | None:
        """A PNG of an item and what is around it; None if its file is gone, or was changed."""
        item = self.items[number]
        with self.lock:
            page = _load(Place(*item.page["place"]), item.page["turns"])
        if page is None:
            return None
        left, top, right, bottom = (np.array(item.box) * np.tile(page.shape[::-1], 2)).round().astype(int).tolist()
        margin = round(MARGIN * max(right - left, bottom - top))
        image = cv2.cvtColor(page, cv2.COLOR_GRAY2BGR)
        cv2.rectangle(image, (left, top), (right, bottom), FRAME, max(1, (bottom - top) // 30))
        image = image[max(0, top - margin) : bottom + margin, max(0, left - 2 * margin) : right + 2 * margin]
        scale = min(1, MAX_SIDE / max(image.shape))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".png", image)[1].tobytes()


def _parse(line: str) -> list[str]:
    return next(csv.reader([line]), [])


def _as_line(row: list[str]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerow(row)
    return file.getvalue()


def _place(line: str) -> list[str]:
    """What no review changes."""
    kept = set(range(len(report.COLUMNS))) - {DIGITS, PROBABILITY, UNSURE}
    return [value for number, value in enumerate(_parse(line)) if number in kept]


@functools.lru_cache(maxsize=2)
def _load(place: Place, turns: int) -> Picture | None:
    try:
        pixels = next(picture.pages(Path(place.file), place.number), ("", None))[1]
    except InputError:
        return None
    unchanged = stamp(Path(place.file)) == (place.size, place.changed)
    return np.rot90(pixels, turns) if pixels is not None and unchanged else None


class Handler(server.Handler):
    """GET / is the page, /items what it shows, /picture/NUMBER a cell.

    POST /items/NUMBER takes the right digits, such as 42, `blank`, or nothing to accept what was read; /own/NUMBER adds
    the images of these digits to one's own, /undo removes the last one.
    """

    def __init__(self, *arguments, review: Review):
        self.review = review
        super().__init__(*arguments)

    def get(self, path: str) -> server.Answer:
        if path == "/items":
            return self.review.state()
        number = self.number(path, "picture")
        return PAGE.read_bytes() if path == "/" else None if number is None else self.review.picture(number)

    def post(self, path: str, body: bytes) -> server.Answer:
        is_digits = re.fullmatch(rb"[0-9]{1,20}", body)
        labels = [int(digit) for digit in body.decode()] if is_digits else []
        if (number := self.number(path, "items")) is not None and (is_digits or body in (b"", b"blank")):
            return self.review.decide(number, labels if body else None)
        if (number := self.number(path, "own")) is not None and is_digits:
            return self.review.add_own(number, labels)
        return self.review.corrections.undo() if path == "/undo" and not body else None

    def number(self, path: str, name: str) -> int | None:
        """The item's of /name/NUMBER."""
        found = re.fullmatch(f"/{name}/([0-9]{{1,9}})", path)
        return int(found[1]) if found and int(found[1]) < len(self.review.items) else None


def listen(port: int, review: Review) -> ThreadingHTTPServer:
    """A server of the page, which listens but doesn't answer yet; port 0 takes a free one."""
    return server.listen(port, functools.partial(Handler, review=review))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.review", description="Check what a CSV of `predict` is unsure of."
    )
    parser.add_argument("csv", metavar="FILE", type=Path, help="what `python -m handwriting.predict --csv` wrote")
    parser.add_argument("--port", type=int, choices=range(2**16), default=8001, metavar="PORT", help="8001 by default")
    arguments = parser.parse_args()
    review = Review(arguments.csv, params.classes(), Corrections(params.own() or own.FOLDER))
    with listen(arguments.port, review) as listening:
        server.serve(listening, f"check {len(review.items):,} cells into {review.path}")


if __name__ == "__main__":
    errors.run(main, "what was checked is kept")
