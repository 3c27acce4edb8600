"""The progress of training, for people: live bars on a terminal, plain lines elsewhere."""

import os
import shutil
import sys
import time
from threading import Lock
from typing import TextIO

from tqdm import tqdm

from stages.digits.training.recipe import EpochMetrics

COLUMNS = 80
BAR = "{desc}{bar}"


class Progress:
    """Prints a line after each epoch: progress, metrics and the time left.

    A context manager; members count from 0. Epochs may be reported by any thread, even after their member's end.
    """

    def __init__(self, members: int, unfinished: int, epochs: int):
        self.members, self.epochs = members, epochs
        self.total = unfinished * epochs  # fewer once a member has stopped early
        self.reached: dict[int, int] = {}  # the last epoch of each member that has begun
        self.finished: set[int] = set()
        self.best = 0.0
        self.lock = Lock()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def on_epoch_end(self, row: EpochMetrics) -> None:
        with self.lock:
            if row.member in self.finished:
                return
            if not self.reached:
                self.started = time.monotonic()
            self.reached[row.member] = row.epoch  # again 1 if its worker died
            self.best = max(self.best, row.validation_accuracy)
            self._show_epoch(row)

    def on_member_end(self, member: int, history: list[EpochMetrics]) -> None:
        with self.lock:
            self.finished.add(member)
            self.reached[member] = len(history)
            self.total -= self.epochs - len(history)
            self._show_member(history)

    def log(self, line: str) -> None:
        print(line, flush=True)

    def time_left(self) -> str:
        """The time left. First epochs don't count: members that run in parallel end theirs together."""
        done = sum(self.reached.values())
        measured = done - len(self.reached)
        if measured < 1:
            return "estimating the time left"
        seconds = (time.monotonic() - self.started) / measured * (self.total - done)
        minutes, seconds = divmod(round(seconds), 60)
        return f"at most {minutes} min {seconds:02} s left"

    def _show_epoch(self, row: EpochMetrics) -> None:
        self.log(
            f"{sum(self.reached.values()):3}/{self.total}"
            f"  member {row.member + 1}/{self.members}  epoch {row.epoch:2}/{self.epochs}"
            f"  loss {row.train_loss:.4f}  accuracy {row.train_accuracy:.4f}"
            f"  validation loss {row.validation_loss:.4f}  accuracy {row.validation_accuracy:.4f}"
            f"  best {self.best:.4f}  {self.time_left()}"
        )

    def _show_member(self, history: list[EpochMetrics]) -> None:
        pass  # its last epoch has its line


class Bars(Progress):
    """A live bar for all members, below it one for each that is being trained; a finished member leaves a line."""

    def __enter__(self) -> "Bars":
        self.all = bar("all members", self.total, position=0)
        self.bars: dict[int, tqdm] = {}
        self._show_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.finished.update(range(self.members))  # an epoch reported later draws nothing
            for bar in [*self.bars.values(), self.all]:
                bar.close()

    def log(self, line: str) -> None:
        tqdm.write(line, file=sys.stdout)

    def _show_epoch(self, row: EpochMetrics) -> None:
        if row.member not in self.bars:
            taken = {-bar.pos for bar in self.bars.values()}
            position = next(position for position in range(1, self.members + 1) if position not in taken)
            self.bars[row.member] = bar(f"member {row.member + 1}/{self.members}", self.epochs, position)
        quality = f"validation loss {row.validation_loss:.4f}  accuracy {row.validation_accuracy:.4f}"
        _advance(self.bars[row.member], row.epoch, f"epoch {row.epoch:2}/{self.epochs}  {quality}")
        self._show_all()

    def _show_member(self, history: list[EpochMetrics]) -> None:
        member = history[0].member
        if member in self.bars:
            self.bars.pop(member).close()
        kept = min(history, key=lambda row: row.validation_loss)
        self.log(
            f"member {member + 1}/{self.members}: epoch {kept.epoch} of {len(history)} kept, "
            f"validation loss {kept.validation_loss:.4f}, accuracy {kept.validation_accuracy:.4f}"
        )
        self._show_all()

    def _show_all(self) -> None:
        done = sum(self.reached.values())
        self.all.total = self.total
        _advance(self.all, done, f"{done}/{self.total} epochs  best {self.best:.4f}  {self.time_left()}")


def bar(name: str, total: int, position: int = 0, file: TextIO | None = None, **options: object) -> tqdm:
    """A bar of tqdm's that leaves nothing behind; `file` is stdout unless given."""
    columns, lines = shutil.get_terminal_size()  # 80 by 24 where it is unknown: tqdm would draw nothing
    return tqdm(
        desc=f"{name:13}",
        total=total,
        position=position,
        leave=False,
        file=file or sys.stdout,
        ncols=min(COLUMNS, columns) - 1,  # a full line would wrap on some terminals
        nrows=lines,  # where there are more members, the last line says so
        **{"bar_format": BAR} | options,
    )


def is_watched(stream: TextIO) -> bool:
    """Whether a person watches it on a terminal: it isn't piped, a log, or CI's."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def _advance(bar: tqdm, done: int, text: str) -> None:
    bar.n = done
    bar.bar_format = f"{BAR} {text}"
    bar.refresh()


def progress(members: int, unfinished: int, epochs: int) -> Progress:
    """Bars where a person watches, lines elsewhere."""
    return (Bars if is_watched(sys.stdout) else Progress)(members, unfinished, epochs)
