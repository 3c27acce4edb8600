"""The progress of training: live bars on a terminal, lines elsewhere."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stages.digits.training import progress
from stages.digits.training.recipe import EpochMetrics

ROOT = Path(__file__).parents[2]
TWO_MEMBERS = """
from stages.digits.training.progress import progress
from stages.digits.training.recipe import EpochMetrics

with progress(members=12, unfinished=2, epochs=3) as shown:
    shown.log("2 workers")
    rows = [EpochMetrics(member, epoch, 0.5, 0.5 / epoch, 0.75, 0.98, 0.008) for epoch in (1, 2) for member in (0, 11)]
    for row in rows:
        shown.on_epoch_end(row)
    shown.on_member_end(11, rows[1::2])
    shown.on_epoch_end(EpochMetrics(0, 3, 0.5, 0.1, 0.75, 0.99, 0.008))
print("after")
"""


def row(member: int, epoch: int, accuracy: float = 0.5) -> EpochMetrics:
    return EpochMetrics(member, epoch, 0.5, 0.25, 0.75, accuracy, 0.008)


def on_a_terminal(code: str, **variables: str) -> str:
    """What the code writes to a terminal; `pty.openpty`'s size is unknown, which counts as 80 columns."""
    reader, terminal = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS")}
    environment |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | variables
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=terminal)
    os.close(terminal)
    written = b""
    while chunk := read(reader):
        written += chunk
    os.close(reader)
    assert child.wait() == 0
    return written.decode()


def read(reader: int) -> bytes:
    try:
        return os.read(reader, 4096)
    except OSError:  # Linux' end of a terminal
        return b""


def screen(written: str) -> list[str]:
    """The lines left on the screen: carriage returns overwrite, ESC [A goes up."""
    lines, line, column = [""], 0, 0
    for part in re.findall(r"\x1b\[A|\r|\n|[^\x1b\r\n]+", written):
        if part == "\x1b[A":
            line -= 1
        elif part == "\r":
            column = 0
        elif part == "\n":
            line += 1
            lines += [""] * (line == len(lines))
        else:
            lines[line] = lines[line][:column] + part + lines[line][column + len(part) :]
            column += len(part)
    return [text for text in map(str.rstrip, lines) if text]


@pytest.fixture(scope="module")
def live() -> str:
    return on_a_terminal(TWO_MEMBERS)


def test_a_line_says_where_the_training_is_and_how_long_it_takes(monkeypatch, capsys):
    """Two members train in parallel, 61 seconds an epoch; a third was finished earlier."""
    clock = iter([0, 61, 61])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = progress.Progress(members=3, unfinished=2, epochs=3)
    for member, epoch, accuracy in ((0, 1, 0.875), (1, 1, 0.5), (0, 2, 0.75), (1, 2, 0.9)):
        shown.on_epoch_end(row(member, epoch, accuracy))
    first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "  1/6  member 1/3  epoch  1/3  loss 0.5000  accuracy 0.7500  validation loss 0.2500  accuracy 0.8750"
    )
    assert first.endswith("estimating the time left")
    assert second.endswith("estimating the time left")
    assert "best 0.8750" in second
    assert third.endswith("at most 3 min 03 s left")
    assert "best 0.9000" in fourth
    assert fourth.endswith("at most 1 min 01 s left")


def test_a_member_that_stops_early_shortens_the_time_left(monkeypatch, capsys):
    clock = iter([0, 10, 10])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = progress.Progress(members=2, unfinished=2, epochs=9)
    shown.on_epoch_end(row(0, 1))
    shown.on_epoch_end(row(0, 2))
    shown.on_member_end(0, [row(0, 1), row(0, 2)])
    shown.on_epoch_end(row(1, 1))
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("  3/11  member 2/2")
    assert last.endswith("at most 1 min 20 s left")


def test_a_member_begun_again_on_another_worker_counts_once(capsys):
    shown = progress.Progress(members=1, unfinished=1, epochs=3)
    for epoch in (1, 2, 1):
        shown.on_epoch_end(row(0, epoch))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1/3", "2/3", "1/3"]


def test_an_epoch_reported_after_its_members_end_shows_nothing(capsys):
    shown = progress.Progress(members=1, unfinished=1, epochs=1)
    shown.on_member_end(0, [row(0, 1)])
    shown.on_epoch_end(row(0, 1))
    assert capsys.readouterr().out == ""


def test_on_a_terminal_each_member_has_a_bar_and_all_have_one(live):
    for name in ("all members", "member 1/12", "member 12/12"):
        assert re.search(rf"{name} .*█", live), name
    assert re.search(r"5/5 epochs  best 0\.9900  at most \d+ min \d\d s left", live)


def test_on_a_terminal_a_finished_member_leaves_a_line_and_no_bar_stays(live):
    assert screen(live) == [
        "2 workers",
        "member 12/12: epoch 2 of 2 kept, validation loss 0.2500, accuracy 0.9800",
        "after",
    ]


def test_bars_fit_in_80_columns(live):
    assert max(len(line) for line in re.split(r"\x1b\[A|[\r\n]", live)) == 79


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"TERM": "dumb"}])
def test_on_a_terminal_that_nobody_watches_there_are_lines(variables):
    written = on_a_terminal(TWO_MEMBERS, **variables)
    assert "\x1b" not in written
    assert len(written.splitlines()) == len(["2 workers", *range(5), "after"])


def test_piped_there_is_at_most_a_line_for_each_epoch():
    code = [sys.executable, "-c", TWO_MEMBERS]
    written = subprocess.run(code, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert len(written.splitlines()) == len(["2 workers", *range(5), "after"])
    assert not set(written) & set("\r\x1b█")


def test_bars_are_closed_when_training_fails():
    code = TWO_MEMBERS.replace('shown.log("2 workers")', "shown.on_epoch_end(EpochMetrics(0, 1, *[0.5] * 5)); 1 / 0")
    code = f"try:\n    exec({code!r})\nexcept ZeroDivisionError:\n    print('failed')"
    assert screen(on_a_terminal(code)) == ["failed"]
