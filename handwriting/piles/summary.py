"""How far a pile is, and what came of it, for a person: on stderr, since stdout may be piped."""

import heapq
import io
import sys
import time

from tqdm import tqdm

from handwriting.piles.pile import Result
from stages.digits.training import progress

BAR = "{bar} {n_fmt}/{total_fmt} pages  {rate_noinv_fmt}  {remaining} left"
LINE_SECONDS = 30  # between two lines, where nobody watches
DOUBTFUL = 5  # pages that are named


class Summary:
    """Shows each page as it is finished, and all of them at the end. A context manager."""

    def __init__(self, total: int):
        self.is_watched, self.printed = total > 1 and progress.is_watched(sys.stderr), time.monotonic()
        file = sys.stderr if self.is_watched else io.StringIO()
        bar_format = BAR if self.is_watched else BAR.replace("{bar} ", "")
        self.bar = progress.bar("", total, file=file, bar_format=bar_format, unit=" pages", smoothing=0)
        self.pages = self.cells = self.digits = self.unsure = self.unread = 0
        self.doubtful: list[tuple[int, int, str]] = []

    def __enter__(self) -> "Summary":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def log(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)

    def add(self, result: Result, is_new: bool) -> None:
        """Count a page; one that an earlier run has read doesn't count for the speed."""
        self.pages += 1
        self.cells += result["cells"]
        self.digits += result["digits"]
        if problem := result.get("problem"):
            self.unread += 1
            if is_new:
                self.log(problem)
        else:
            self.unsure += len(result["doubts"])
            heapq.heappush(self.doubtful, (len(result["doubts"]), -self.pages, result["name"]))
            self.doubtful = heapq.nlargest(DOUBTFUL, self.doubtful)
        if not is_new:
            self.bar.initial += 1
        self.bar.update()
        if not self.is_watched and time.monotonic() > self.printed + LINE_SECONDS:
            self.printed = time.monotonic()
            self.log(str(self.bar).strip())

    def __str__(self) -> str:
        unread = f", {self.unread:,} pages not read" * (self.unread > 0)
        lines = [f"{self.pages:,} pages: {self.cells:,} cells, {self.digits:,} digits, {self.unsure:,} unsure{unread}"]
        names = [f"{name} ({unsure:,})" for unsure, _, name in sorted(self.doubtful, reverse=True) if unsure]
        return "\n".join(lines + [f"most doubt: {', '.join(names)}"] * bool(names))
