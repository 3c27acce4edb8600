"""Collecting folders of labelled pictures: which are taken, whose they are, and what is said of the others."""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_collect import main, main_raising

from benchmarks.drawn import strokes
from handwriting import collect
from handwriting.collection import contact_sheet, intake, pictures
from handwriting.pages import scan
from stages.digits.base import files
from stages.digits.base.errors import run
from stages.digits.report import drawing
from stages.digits.tables import own

PAPER, PEN = 240, 60  # brightness


def photo(digits: str, seed: int = 0) -> np.ndarray:
    """Digits side by side; each seed writes them in another way."""
    random = np.random.default_rng(seed)
    ink = np.hstack([np.pad(strokes.draw(int(digit), 40, 0.1, random), ((0, 0), (20, 20))) for digit in digits])
    return (PAPER - (PAPER - PEN) * ink).astype(np.uint8)


@pytest.fixture
def write(empty_project: Path) -> Callable[..., Path]:
    """Writes pictures or bytes {name: content} into the folder `hands`; a name `3/a` is of a picture of a 3."""

    def write(*names: str, **others: np.ndarray | bytes) -> Path:
        for seed, name in enumerate(names):
            digit = Path(name).parent.name
            others[f"{name}.png"] = photo(digit if digit in "0123456789" else "0", seed)
        for name, content in others.items():
            path = empty_project / "hands" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content) if isinstance(content, bytes) else Image.fromarray(content).save(path)
        return Path("hands")

    return write


@pytest.fixture(autouse=True)
def sheets(monkeypatch) -> list[tuple]:
    """What would be drawn on contact sheets."""
    drawn: list[tuple] = []
    monkeypatch.setattr(contact_sheet, "save", lambda *arguments: drawn.append(arguments))
    return drawn


def predict(monkeypatch, answer: Callable[[int], tuple[int, float]]) -> None:
    """In place of the models: the digit and the probability that `answer` gives for each image by its number."""

    def probabilities(_: collect.Models, images: np.ndarray) -> np.ndarray:
        digits, sure = zip(*map(answer, range(len(images))), strict=True)
        return np.eye(10)[list(digits)] * np.array(sure)[:, None]

    monkeypatch.setattr(collect.Models, "predict", probabilities)


def test_folders_0_to_9_are_the_labels_of_a_writer_who_is_named_as_their_folder(write, sheets, monkeypatch, capsys):
    root = write("7/a", "3/b", "3/a")
    assert main(monkeypatch, root) == 0
    table = own.read(own.FOLDER)
    assert table.names == ("hands",)
    assert table.labels.tolist() == [3, 3, 7]
    seen = [scan.find_digits(np.array(Image.open(root / name))).images[0] for name in ("3/a.png", "3/b.png", "7/a.png")]
    assert np.array_equal(table.images, seen)
    [file] = own.paths(own.FOLDER)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"hands: took 3 digits into {file} (3: 2, 7: 1); left out nothing; not compared with models: "
        f"look at data/collected/{file.stem}.png",
        "data/own: 3 digits in 1 files; next:",
        "dvc add data/own && dvc exp run -S own=data/own",
    ]
    assert sheets[0][-1] == Path(f"data/collected/{file.stem}.png")


def test_folders_in_it_that_have_them_are_writers_and_what_is_beside_them_is_passed_over_in_a_line(
    write, monkeypatch, capsys
):
    root = write("b/0/x", "a/0/x", "a/1/x", "a/10/x", "a/00/x", "a/a/x", "tools/x/y", ".git/0/x", "0 old/x")
    write(**{"README.md": b"", "a/notes.txt": b""})
    assert main(monkeypatch, root) == 0
    assert own.read(own.FOLDER).names == ("a", "b")
    assert own.read(own.FOLDER).labels.tolist() == [0, 1, 0]
    printed = capsys.readouterr()
    names = "0 old, README.md, a/00, a/10, a/a, ..."
    assert printed.out.startswith(
        f"hands: passed over 7 beside folders 0 to 9, or links out of it: {names}\nhands/a: took 2 "
    )
    assert printed.err == ""


def test_a_folder_of_one_writer_can_be_named_and_one_of_several_cannot(write, monkeypatch, capsys):
    write("a/0/x", "b/0/x")
    assert main(monkeypatch, "hands/a", "--writer", "Anna") == 0
    assert main(monkeypatch, "hands/b/0/..") == 0
    assert own.read(own.FOLDER).names == ("Anna", "b")
    assert main(monkeypatch, "hands", "--writer", "Anna") == 1
    assert capsys.readouterr().err == "hands: found 2 writers' folders, expected one for --writer Anna\n"


ONE_COLOUR = {"black": np.zeros((40, 40), np.uint8), "white": np.full((1, 1), 255, np.uint8)}


def test_what_shows_no_digit_or_several_or_cannot_be_read_is_named_and_the_rest_is_taken(write, monkeypatch, capsys):
    content = {f"4/{name}.png": pixels for name, pixels in ONE_COLOUR.items()}
    root = write("4/a", **content, **{"4/b.png": photo("31"), "4/c.png": b"none"})
    Path(root, "4/folder").mkdir()
    assert main(monkeypatch, root) == 0
    assert own.read(own.FOLDER).labels.tolist() == [4]
    lines = capsys.readouterr().out.splitlines()
    assert "left out 2 without a digit, 2 unreadable, 1 with several digits;" in lines[0]
    assert [line.partition(" (")[0] for line in lines[1:6]] == [
        "  without a digit: hands/4/black.png",
        "  without a digit: hands/4/white.png",
        "  unreadable: hands/4/c.png: not a picture that can be read",
        "  unreadable: hands/4/folder: found a directory, device, pipe or socket, expected a PNG, JPEG, WebP, TIFF, "
        "HEIC or PDF file",
        "  with several digits: hands/4/b.png",
    ]


@pytest.mark.parametrize("trained", [False, True])
def test_strokes_of_one_digit_are_joined_with_and_without_models(write, monkeypatch, trained):
    if trained:
        predict(monkeypatch, lambda _: (4, 1))
    four = [[(0.05, 0), (0.03, 0.5), (0.3, 0.5)], [(0.5, 0), (0.48, 1)]]
    ink = strokes.draw_strokes(four, 60, 0.08, np.random.default_rng(0), (0, 0, 1))
    picture = (PAPER - (PAPER - PEN) * ink).astype(np.uint8)
    assert len(scan.find_digits(picture).images) == 3, "the two strokes, and both"
    assert main(monkeypatch, write(**{"4/a.png": picture})) == 0
    assert np.array_equal(own.read(own.FOLDER).images[0], scan.find_digits(picture).images[1])


def test_what_the_models_are_sure_is_another_digit_is_framed_and_named_surest_first(write, sheets, monkeypatch, capsys):
    predict(monkeypatch, lambda number: [(6, 0.95), (2, 1), (5, 0.89), (1, 0.99), *[(1, 1)] * 5][number])
    assert main(monkeypatch, write(*(f"1/{name}" for name in "abcdefghi"))) == 0
    assert len(own.read(own.FOLDER).labels) == 9
    assert sheets[0][2].tolist() == [True, True, *[False] * 7]
    lines = capsys.readouterr().out.splitlines()
    assert "; left out nothing; 2 that the models are sure are others: look at data/collected/" in lines[0]
    assert lines[1:3] == ["  read as 2: hands/1/b.png", "  read as 6: hands/1/a.png"]


def test_of_many_contradicted_pictures_ten_are_named(write, monkeypatch, capsys):
    predict(monkeypatch, lambda number: (2 + number % 4, 1))
    assert main(monkeypatch, write(*(f"1/{number:02}" for number in range(13)))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:11] for line in lines[1:12]] == ["  read as 2", "  read as 3", "  read as 4", "  read as 5"] * 2 + [
        "  read as 2",
        "  read as 3",
        "  ... and 3",
    ]


def test_a_folder_most_of_which_reads_as_one_other_digit_rejects_its_writer_unless_it_is_trusted(
    write, monkeypatch, capsys
):
    root = write("a/1/a", "a/1/b", "a/1/c", "b/7/a", "b/7/b", "b/7/c")
    predict(monkeypatch, lambda _: (7, 1))
    assert main(monkeypatch, root) == 1
    line = "hands/a/1 should hold 1, but 3 of its 3 digits read as 7: is that label right? If so, add --trust\n"
    assert capsys.readouterr().err == line
    assert own.read(own.FOLDER).names == ("b",)
    assert main(monkeypatch, root, "--trust") == 0
    assert own.read(own.FOLDER).names == ("a", "b")


def test_a_second_run_takes_only_what_is_new(write, monkeypatch, capsys):
    root = write("a/0/x", "b/1/x")
    assert main(monkeypatch, root) == 0
    capsys.readouterr()
    assert main(monkeypatch, root) == 0
    printed = ["hands/a: took nothing; left out 1 taken before", "hands/b: took nothing; left out 1 taken before"]
    assert capsys.readouterr().out.splitlines() == printed
    write("b/1/y")
    assert main(monkeypatch, root) == 0
    assert "hands/b: took 1 digits into data/own/b/b-" in (out := capsys.readouterr().out)
    assert "left out 1 taken before; not" in out
    assert own.read(own.FOLDER).labels.tolist() == [0, 1, 1]
    assert [path.parent.name for path in own.paths(own.FOLDER)] == ["a", "b", "b"]


def test_a_picture_twice_or_under_two_labels_is_named_and_counts_once(write, monkeypatch, capsys):
    write("a/3/x")
    for name in ("a/3/y.png", "a/8/x.png", "b/3/x.png"):
        write(**{name: Path("hands/a/3/x.png").read_bytes()})
    assert main(monkeypatch, "hands/a", "hands/b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "left out 1 twice, 1 under two labels; not" in lines[0]
    assert lines[1:5] == [
        "  twice: hands/a/3/y.png, as hands/a/3/x.png: 3",
        "  under two labels: hands/a/8/x.png, as hands/a/3/x.png: 3",
        "hands/b: took nothing; left out 1 taken before",
        "data/own: 1 digits in 1 files; next:",
    ]
    write(**{"c/8/x.png": Path("hands/a/3/x.png").read_bytes()})
    assert main(monkeypatch, "hands/c") == 1
    assert capsys.readouterr().err == (
        "hands/c: took nothing; left out 1 under two labels, such as under two labels: hands/c/8/x.png, as before: 3\n"
    )


def test_links_that_lead_out_of_the_folder_are_passed_over(write, monkeypatch, capsys):
    root = write("a/0/x", "a/0/y")
    Image.fromarray(photo("0", 9)).save("private.png")
    (root / "a/0/out.png").symlink_to("../../../private.png")
    (root / "a/0/in.png").symlink_to("y.png")
    (root / "up").symlink_to("..")
    (root / "a/0/loop").symlink_to("loop")
    assert main(monkeypatch, root) == 0
    assert len(own.read(own.FOLDER).labels) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "hands: passed over 2 beside folders 0 to 9, or links out of it: a/0/out.png, up"
    assert "1 unreadable, 1 twice;" in lines[1]


@pytest.mark.parametrize("names", [[], ["pictures/a"], ["10/a", "a/b/3/x"]])
def test_a_folder_without_labelled_pictures_is_one_line(write, monkeypatch, capsys, names):
    Path("hands").mkdir()
    write(**{f"{name}.png": photo("3") for name in names})
    assert main(monkeypatch, "hands") == 1
    line = "hands: found no pictures in folders 0 to 9, at its top or in writers' folders\n"
    assert capsys.readouterr().err == line
    assert not Path("data").exists()


def test_pictures_none_of_which_can_be_taken_are_one_line_and_an_error(write, monkeypatch, capsys):
    assert main(monkeypatch, write(**{"3/a.svg": b"<svg>", "3/b.png": np.zeros((9, 9), np.uint8)})) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    line = "hands: took nothing; left out 1 unreadable, 1 without a digit, such as unreadable: hands/3/a.svg: not a "
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


def test_labels_are_no_option_for_a_folder(write, monkeypatch, capsys):
    assert main(monkeypatch, write("3/a"), "--labels", "3") == 1
    assert capsys.readouterr().err.startswith("hands: --labels is for ruled pages; expected pictures in folders 0 to 9")


def test_names_are_printed_on_one_line_whatever_is_in_them_and_a_writers_must_be_printable(write, monkeypatch, capsys):
    root = write("a/3/x", "a\nb/3/x", **{"a/3/y\n\x1b.png": ONE_COLOUR["black"], os.fsdecode(b"a/3/\xff.png"): b""})
    Image.fromarray(ONE_COLOUR["black"]).save("no\nform.png")
    assert main(monkeypatch, root, "no\nform.png") == 1
    printed = capsys.readouterr()
    assert printed.err.splitlines()[1].startswith("no\\nform.png: found no form")
    assert printed.err.startswith("hands/a\\nb: found 'a\\nb', expected a writer's name: 1 to 40 printable characters")
    assert printed.err.count("\n") == 2
    lines = printed.out.splitlines()
    assert lines[1] == "  without a digit: hands/a/3/y\\n\\x1b.png"
    assert lines[2].startswith("  unreadable: hands/a/3/\\udcff.png: not a picture")
    assert own.read(own.FOLDER).names == ("a",)


def test_a_batch_of_pictures_is_read_at_a_time_each_into_a_file_of_its_own(write, sheets, monkeypatch):
    monkeypatch.setattr(intake, "BATCH", 2)
    sizes, read = [], pictures.read

    def count(*arguments: object) -> pictures.Digits:
        digits = read(*arguments)
        sizes.append(len(digits.labels))
        return digits

    monkeypatch.setattr(pictures, "read", count)
    assert main(monkeypatch, write("0/a", "1/a", "1/b", "1/c", "2/a")) == 0
    assert sizes == [2, 2, 1]
    assert [sheet[1].tolist() for sheet in sheets] == [[0, 1], [1, 1], [2]]
    assert len(own.paths(own.FOLDER)) == 3


def test_on_a_contact_sheet_each_label_begins_a_row(write, sheets, monkeypatch):
    monkeypatch.setattr(intake, "COLUMNS", 2)
    assert main(monkeypatch, write("1/a", "1/b", "1/c", "4/a", "4/b", "9/a")) == 0
    page = sheets[0][0]
    assert page.shape == (4, 2)
    assert page.cells.tolist() == [[0, 0], [0, 1], [1, 0], [2, 0], [2, 1], [3, 0]]
    [file] = own.paths(own.FOLDER)
    assert pd.read_csv(file)[own.CELL].to_numpy().tolist() == page.cells.tolist()


def test_no_more_digits_are_taken_than_are_read(write, monkeypatch, capsys):
    monkeypatch.setattr(own, "MAX_ROWS", 3)
    assert main(monkeypatch, write("a/1/a", "a/1/b", "b/1/a", "b/1/b")) == 1
    assert capsys.readouterr().err == "found more than 3 digits in all: no more are taken\n"
    assert len(own.read(own.FOLDER).labels) == 2


def test_ctrl_c_half_way_keeps_whole_writers_and_the_next_run_takes_the_rest(write, monkeypatch, capsys):
    root = write("a/0/x", "a/1/x", "b/0/x", "b/1/x", "c/0/x")
    find, seen = scan.find_digits, []

    def stop(picture: np.ndarray) -> object:
        seen.append(picture)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return find(picture)

    monkeypatch.setattr(scan, "find_digits", stop)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="130"):
        run(lambda: main_raising(monkeypatch, root), "what was reported is kept")
    assert capsys.readouterr().err == "stopped by SIGINT: what was reported is kept\n"
    assert own.read(own.FOLDER).names == ("a",)
    assert main(monkeypatch, root) == 0
    assert own.read(own.FOLDER).names == ("a", "b", "c")
    assert len(own.read(own.FOLDER).labels) == 5


def test_a_full_disk_leaves_a_folder_that_the_next_run_accepts(write, monkeypatch):
    def full(path: Path, text: str) -> None:
        with files.atomic_path(path) as temporary:
            temporary.write_text(text[:1000])
            raise OSError(28, os.strerror(28))

    root = write("3/a")
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            main_raising(monkeypatch, root)
    assert not [path for path in own.FOLDER.rglob("*") if path.is_file()]
    assert main(monkeypatch, root) == 0


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("screen", [Screen(), io.StringIO()])
def test_a_bar_counts_the_pictures_on_a_terminal_and_nowhere_else(write, monkeypatch, screen):
    monkeypatch.setattr(sys, "stderr", screen)
    main(monkeypatch, write("a/0/x", "b/0/x"))
    assert screen.getvalue().count(" 0/2 [") == screen.isatty()


def test_the_contact_sheet_of_a_full_batch_is_bounded():
    labels = np.repeat(np.arange(10, dtype=np.uint8), intake.BATCH // 10)
    page = intake._arrange(np.full((len(labels), 28, 28), 9, np.uint8), labels)
    assert page.cells.max() < 256, "in a file they are bytes"
    sheet = contact_sheet.draw(page, labels, labels == 10, np.eye(10)[labels], tuple("0123456789"))
    assert (sheet.get_size_inches() * drawing.DOTS_PER_INCH).max() < 8000
