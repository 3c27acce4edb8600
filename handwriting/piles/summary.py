"""How far a pile is, and what came of it, for a person: on stderr, since stdout may be piped."""

import io
import sys

from tqdm import tqdm

from handwriting.piles.pile import Result
from stages.digits.training import progress

FORMAT = "{n_fmt}/{total_fmt} pages  {rate_noinv_fmt}  {remaining} left"
LINES = 20  # at most, where nobody watches
DOUBTFUL = 5  # pages that are named


class Summary:
    """Shows how far the pile is, and all of it at the end. A context manager."""

    def __init__(self, total: int):
        self.is_watched = total > 1 and progress.is_watched(sys.stderr)
        file, layout = (sys.stderr, "{bar} " + FORMAT) if self.is_watched else (io.StringIO(), FORMAT)
        self.bar = progress.bar("", total, file=file, bar_format=layout, unit=" pages", smoothing=0)
        self.pages = self.cells = self.digits = self.unsure = self.unread = 0
        self.doubtful: list[tuple[int, str]] = []  # the most doubtful pages, with the number of their doubts

    def __enter__(self) -> "Summary":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def log(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)

    def add(self, page: Result, is_new: bool) -> None:
        """Count a page; one of an earlier run doesn't count for the speed."""
        self.pages, self.cells, self.digits = self.pages + 1, self.cells + page["cells"], self.digits + page["digits"]
        if "problem" in page:
            self.unread += 1
            self.log(page["problem"])
        elif page["doubts"]:
            self.unsure += len(page["doubts"])
            self.doubtful = sorted([*self.doubtful, (len(page["doubts"]), page["name"])], key=lambda one: -one[0])
            del self.doubtful[DOUBTFUL:]
        self.bar.initial += not is_new
        self.bar.update()
        step = max(LINES, self.bar.total) // LINES
        if not self.is_watched and is_new and self.bar.total >= LINES and self.pages % step == 0:
            self.log(str(self.bar).strip())

    def __str__(self) -> str:
        unread = f", {self.unread:,} not read" * (self.unread > 0)
        most = "\nmost doubt: " + ", ".join(f"{name} ({unsure})" for unsure, name in self.doubtful)
        counts = f"{self.pages:,} pages: {self.cells:,} cells, {self.digits:,} digits, {self.unsure:,} unsure"
        return counts + unread + most * bool(self.doubtful)
