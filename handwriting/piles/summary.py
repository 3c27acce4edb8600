"""How far a pile is, and what came of it, for a person: on stderr, since stdout may be piped."""

import heapq
import io
import math
import sys
from collections import Counter

from tqdm import tqdm

from handwriting.piles.pile import Result
from stages.digits.training import progress

FORMAT = "{n_fmt}/{total_fmt} pages  {rate_noinv_fmt}  {remaining} left"
LINES = 20  # at most, where nobody watches
DOUBTFUL = 5  # pages that are named


def log(line: str) -> None:
    """Print a line above the bar, if there is one."""
    tqdm.write(line, file=sys.stderr)


class Summary:
    """Shows how far the pile is, and all of it at the end; its bar is a context manager."""

    def __init__(self, total: int):
        self.is_watched = total > 1 and progress.is_watched(sys.stderr)
        file, layout = (sys.stderr, "{bar} " + FORMAT) if self.is_watched else (io.StringIO(), FORMAT)
        self.bar = progress.bar("", total, file=file, bar_format=layout, unit=" pages", smoothing=0)
        self.counts, self.doubtful = Counter[str](), list[tuple[int, str]]()

    def add(self, page: Result, is_new: bool) -> None:
        """Count a page; one of an earlier run doesn't count for the speed."""
        is_unread, unsure = "problem" in page, len(page["doubts"]) * ("problem" not in page)
        self.counts.update(pages=1, cells=page["cells"], digits=page["digits"], unsure=unsure, unread=is_unread)
        if is_unread:
            log(page["problem"])
        elif unsure:
            self.doubtful.append((unsure, page["name"]))
        self.bar.initial += not is_new
        self.bar.update()
        step = math.ceil(self.bar.total / LINES)
        if not self.is_watched and is_new and self.bar.total >= LINES and self.bar.n % step == 0:
            log(str(self.bar).strip())

    def __str__(self) -> str:
        most = heapq.nlargest(DOUBTFUL, self.doubtful, key=lambda one: one[0])
        counts = "{pages:,} pages: {cells:,} cells, {digits:,} digits, {unsure:,} unsure, {unread:,} not read"
        names = "\nmost doubt: " + ", ".join(f"{name} ({unsure})" for unsure, name in most)
        return counts.format_map(self.counts) + names * bool(most)
