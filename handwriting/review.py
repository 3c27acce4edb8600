"""Check what a pile's CSV is unsure of, cell by cell, on a page in the browser.

python -m handwriting.review FILE.csv [--port 8001]

What is accepted or corrected goes into FILE-reviewed.csv, from which the next review goes on.
"""

import argparse
import base64
import functools
import io
import re
import threading
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, TextIO

import cv2
import numpy as np
import pandas as pd

from handwriting.collection.corrections import Corrections
from handwriting.pages import picture, report
from handwriting.pages.picture import Picture
from handwriting.piles import journal, pile
from handwriting.piles.pile import Place, Result
from handwriting.web import server
from stages.digits.base import errors, files, params
from stages.digits.base.errors import InputError
from stages.digits.tables import own

PAGE = Path(__file__).with_name("web") / "review.html"
FIXED = ["row", "column", "table", "image"]  # what no review changes
MARGIN = 1.2  # of the cell's longer side, shown above and below it
MAX_SIDE = 1200  # pixels of what is shown
FRAME = (0, 67, 168)  # blue, green, red


class Item(NamedTuple):
    """A row to be checked."""

    line: int  # of the CSV, from 0, without the header
    page: Result
    doubt: Result


class Review:
    """The rows of a CSV, and what was decided about those that are unsure. Several threads may decide."""

    def __init__(self, path: Path, classes: Sequence[str], corrections: Corrections):
        """InputError if there is nothing to review, or if what was reviewed belongs to a different CSV."""
        if not path.is_file() or not journal.path_beside(path).is_file():
            raise InputError(f"{path}: expected a CSV that `python -m handwriting.predict --csv` wrote, in its folder")
        self.path, self.classes, self.corrections = path.with_name(f"{path.stem}-reviewed.csv"), classes, corrections
        self.lock, self.items, text, line = threading.Lock(), list[Item](), io.StringIO(), 0
        text.write(journal.HEADER.decode())
        with journal.path_beside(path).open("rb") as file:
            for page in journal.pages(path, file, journal.load(file)[1]):
                self.items += [Item(line + doubt["row"], page, doubt) for doubt in page["doubts"]]
                text.write(page["csv"])
                line += page["cells"] or 1
        if not self.items:
            raise InputError(f"{path}: nothing is unsure")
        text.seek(0)
        self.table = _parse(text)
        self.reviewed = self.table.assign(reviewed="")  # accepted, corrected or empty
        if self.path.exists():
            earlier = _parse(self.path)
            if [*earlier] != [*self.reviewed] or not earlier[FIXED].equals(self.table[FIXED][: len(earlier)]):
                raise InputError(f"{self.path}: doesn't belong to this CSV: move it away")
            self.reviewed.update(earlier[earlier["reviewed"] != ""])

    def state(self) -> dict:
        """All items, for the page, with the names of the classes."""
        lines = [item.line for item in self.items]
        items = self.table.iloc[lines].assign(
            value=self.reviewed["digits"],
            reviewed=self.reviewed["reviewed"],
            images=[len(item.doubt["images"]) for item in self.items],
            problem=[item.page.get("problem", "") for item in self.items],
        )
        return {"items": items.to_dict("records"), "classes": list(self.classes), "file": str(self.path)}

    def decide(self, number: int, labels: Sequence[int] | None) -> dict:
        """The right digits of an item, None for what was read; returns the `value`, or a `problem`."""
        line = self.items[number].line
        row = dict(self.table.iloc[line])
        value = row["digits"] if labels is None else report.join(labels, self.classes)
        decision = "accepted" if value == row["digits"] else "corrected"
        row |= {"digits": value, "unsure": "false", "reviewed": decision}
        row["probability"] *= decision == "accepted"
        with self.lock:
            reviewed = self.reviewed.copy()
            reviewed.update(pd.DataFrame(row, index=[line]))
            try:
                files.write_text(self.path, reviewed.to_csv(index=False, lineterminator="\n"))
            except OSError as error:
                return {"problem": f"{self.path}: not stored: {error.strerror}"}
            self.reviewed = reviewed
        return {"value": value, "reviewed": decision}

    def add_own(self, number: int, labels: Sequence[int]) -> dict:
        """Add an item's digits to one's own, with their right labels."""
        images, state = self.items[number].doubt["images"], {"problem": "expected a label for each digit"}
        for image, label in zip(images, labels, strict=True) if len(images) == len(labels) else ():
            state = self.corrections.add(base64.b64decode(image), label)
        return state

    def picture(self, number: int) -> bytes | None:
        """A PNG of an item and what is around it; None if its file is gone, or was changed."""
        item = self.items[number]
        with self.lock:
            page = _load(Place(*item.page["place"]), item.page["turns"])
        if page is None:
            return None
        left, top, right, bottom = (item.doubt["box"] * np.tile(page.shape[::-1], 2)).round().astype(int).tolist()
        margin = round(MARGIN * max(right - left, bottom - top))
        image = cv2.cvtColor(page, cv2.COLOR_GRAY2BGR)
        cv2.rectangle(image, (left, top), (right, bottom), FRAME, max(1, (bottom - top) // 30))
        image = image[max(0, top - margin) : bottom + margin, max(0, left - 2 * margin) : right + 2 * margin]
        scale = min(1, MAX_SIDE / max(image.shape))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".png", image)[1].tobytes()


def _parse(file: TextIO | Path) -> pd.DataFrame:
    """A CSV's texts; no rows if it is none."""
    try:
        return pd.read_csv(file, dtype=str, na_filter=False)
    except ValueError:
        return pd.DataFrame()


@functools.lru_cache(maxsize=2)
def _load(place: Place, turns: int) -> Picture | None:
    try:
        _, pixels = next(picture.pages(Path(place.file), place.number))
    except (InputError, StopIteration):
        return None
    return np.rot90(pixels, turns) if pile.state_of(place.file) == place.state else None


class Handler(server.Handler):
    """GET / is the page, /items what it shows, /picture/NUMBER a cell.

    POST /items/NUMBER takes the right digits, such as 42, `blank`, or nothing to accept what was read; /own/NUMBER adds
    the images of these digits to one's own, /undo removes the last one.
    """

    def __init__(self, *arguments, review: Review):
        self.review = review
        super().__init__(*arguments)

    def get(self, path: str) -> server.Answer:
        if path == "/":
            return PAGE.read_bytes()
        what, number = self.item(path)
        return self.review.state() if path == "/items" else self.review.picture(number) if what == "picture" else None

    def post(self, path: str, body: bytes) -> server.Answer:
        what, number = self.item(path)
        labels = [int(digit) for digit in body.decode()] if re.fullmatch(rb"[0-9]{1,20}", body) else []
        if what == "items" and (labels or body in (b"", b"blank")):
            return self.review.decide(number, labels if body else None)
        if what == "own" and labels:
            return self.review.add_own(number, labels)
        return self.review.corrections.undo() if path == "/undo" and not body else None

    def item(self, path: str) -> tuple[str, int]:
        """What the path asks of which item, or nothing."""
        found = re.fullmatch("/(items|own|picture)/([0-9]{1,9})", path)
        return (found[1], int(found[2])) if found and int(found[2]) < len(self.review.items) else ("", 0)


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
