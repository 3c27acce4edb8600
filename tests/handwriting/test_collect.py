"""The form, and collecting from it: which digits are taken from a scan, and what is rejected with nothing written."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pypdfium2
import pytest
from PIL import Image

from benchmarks.drawn import hands
from handwriting import collect, form
from handwriting.collection import form_layout, intake, page
from handwriting.pages import picture
from handwriting.pages.picture import Picture
from stages.digits.base import files
from stages.digits.base.errors import InputError, run
from stages.digits.tables import own

EACH = 3  # digits of each row
A4 = form_layout.LAYOUTS[0]
LINES = {  # of what crosses a cell out, from left, top to right, bottom, as fractions of the cell
    "corner to corner": [(0, 0, 1, 1)],
    "a cross": [(0, 0, 1, 1), (0, 1, 1, 0)],
    "level": [(0, 0.5, 1, 0.55)],
    "a scribble": [(x / 10, 0.1, x / 10 + 0.05, 0.9) for x in range(1, 10)],
}


@pytest.fixture(scope="module")
def pdf(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("form") / "form.pdf"
    form.write(path, tuple("0123456789"))
    return path


@pytest.fixture(scope="module")
def blank(pdf) -> Picture:
    return hands.print_form(pdf)


@pytest.fixture(scope="module")
def filled(blank) -> Picture:
    """A page with three digits of each class."""
    return hands.fill(blank, hands.HANDS["north"], np.random.default_rng(0), EACH)


@pytest.fixture(scope="module")
def scanned(filled) -> Picture:
    return hands.scan(filled, np.random.default_rng(1))


@pytest.fixture
def save(empty_project: Path) -> Callable[[str, Picture], Path]:
    """Saves a scan in the project."""

    def save(name: str, pixels: Picture) -> Path:
        Image.fromarray(pixels).save(empty_project / name)
        return Path(name)

    return save


def main(monkeypatch, *arguments: object) -> int:
    """The exit status of `python -m handwriting.collect`."""
    monkeypatch.setattr(sys, "argv", ["collect", *map(str, arguments)])
    try:
        collect.main()
    except SystemExit as stopped:
        return stopped.code
    return 0


def draw_lines(picture: Picture, row: int, column: int, lines: list) -> None:
    scale = picture.shape[1] / A4.width
    left, top, right, bottom = A4.cell(row, column)
    for x, y, to_x, to_y in lines:
        ends = [(left + a * (right - left), top + b * (bottom - top)) for a, b in ((x, y), (to_x, to_y))]
        cv2.line(picture, *(tuple(round(scale * value) for value in end) for end in ends), hands.INK, 4)


def predicting(monkeypatch, wrong: dict[int, int]) -> None:
    """In place of the models: sure of each digit of the north hand, but for those labels that `wrong` names."""
    truth = {}

    def predict(_: collect.Models, images: np.ndarray) -> np.ndarray:
        return np.eye(10)[[truth[image.tobytes()] for image in images]]

    read = page.read_form

    def remember(picture: Picture) -> page.Page | None:
        found = read(picture)
        for (row, _), image in zip(found.cells.tolist(), found.images, strict=True):
            truth[image.tobytes()] = wrong.get(row, row)
        return found

    monkeypatch.setattr(page, "read_form", remember)
    monkeypatch.setattr(collect.Models, "predict", predict)


def test_the_form_is_a_page_of_a4_and_one_of_letter_with_the_same_bytes_each_time(pdf, tmp_path):
    form.write(tmp_path / "again.pdf", tuple("0123456789"))
    assert (tmp_path / "again.pdf").read_bytes() == pdf.read_bytes()
    document = pypdfium2.PdfDocument(pdf)
    sizes = [[round(side * 25.4 / 72) for side in sheet.get_size()] for sheet in document]
    assert sizes == [[297, 210], [279, 216]]
    text = document[0].get_textpage().get_text_range()
    document.close()
    assert "handwriting.collect" in text
    assert [line.strip() for line in text.split("\n") if len(line.strip()) == 1] == list("0123456789")


@pytest.mark.slow
def test_the_form_is_written_where_the_command_says(empty_project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["form"])
    form.main()
    assert (empty_project / "form.pdf").read_bytes().startswith(b"%PDF")
    assert "handwriting.collect" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["form", "form.png"])
    with pytest.raises(InputError, match=r"form\.png: expected a name that ends in \.pdf"):
        form.main()


def test_an_empty_form_has_no_digit(blank):
    found = page.read_form(blank)
    assert (len(found.images), found.blank, found.struck_out) == (0, 10 * A4.columns, 0)


@pytest.mark.parametrize("paper", [0, 1])
def test_each_digit_is_found_in_its_cell_on_both_papers(pdf, paper):
    blank = hands.print_form(pdf, paper)
    found = page.read_form(hands.fill(blank, hands.HANDS["north"], np.random.default_rng(0), EACH, paper))
    assert found.cells.tolist() == [[row, column] for row in range(10) for column in range(EACH)]
    assert found.kind == form_layout.LAYOUTS[paper].paper
    assert all(page.scan.is_mnist_form(image) for image in found.images)


def turned(degrees: float) -> Callable[[Picture], Picture]:
    def turn(picture: Picture) -> Picture:
        height, width = picture.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.8)
        return cv2.warpAffine(picture, matrix, (width, height), borderValue=hands.PAPER)

    return turn


def keystone(picture: Picture) -> Picture:
    height, width = picture.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = np.float32([[80, 60], [width - 150, 20], [width - 40, height - 60], [20, height - 10]])
    return cv2.warpPerspective(picture, cv2.getPerspectiveTransform(corners, seen), (width, height), borderValue=90)


def without_a_corner(picture: Picture) -> Picture:
    cut = picture.copy()
    cut[:130, :130] = hands.PAPER
    return cut


@pytest.mark.slow
@pytest.mark.parametrize(
    "see",
    [
        lambda picture: np.ascontiguousarray(np.rot90(picture)),
        lambda picture: np.ascontiguousarray(np.rot90(picture, 2)),
        lambda picture: np.ascontiguousarray(np.rot90(picture, 3)),
        turned(3),
        turned(-8),
        keystone,
        lambda picture: (picture * np.linspace(0.4, 1, picture.shape[1])).astype(np.uint8),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5),
        without_a_corner,
    ],
    ids=[
        "on its side",
        "upside down",
        "on its other side",
        "tilted",
        "tilted more",
        "keystone",
        "dim",
        "blurred",
        "cut",
    ],
)
def test_rows_are_known_whatever_way_the_page_was_scanned(scanned, see):
    straight, found = page.read_form(scanned), page.read_form(see(scanned))
    assert found.cells.tolist() == straight.cells.tolist()
    assert (collect._likeness(found.images, straight.images) > 0.8).mean() > 0.9


@pytest.mark.parametrize(
    ("see", "line"),
    [
        (lambda picture: np.vstack([picture, picture]), "found two forms"),
        (lambda picture: cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), "60 dots per inch"),
        (
            lambda picture: np.vstack([np.full_like(picture[:150], 245), picture[150:]]),
            "found 2 of the form's 4 corner",
        ),
    ],
    ids=["two pages", "too small", "cut off"],
)
def test_a_page_whose_cells_are_not_certain_is_rejected(scanned, see, line):
    with pytest.raises(InputError, match=line):
        page.read_form(see(scanned))


def test_a_bent_page_is_rejected(scanned):
    height, width = scanned.shape
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = cv2.remap(scanned, across, down + 60 * np.sin(across / width * np.pi * 1.3), cv2.INTER_LINEAR)
    with pytest.raises(InputError, match="the page is bent"):
        page.read_form(bent)


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_a_cell_that_is_crossed_out_is_left_out(filled, lines):
    page_of = filled.copy()
    draw_lines(page_of, 7, 1, lines)
    found = page.read_form(hands.scan(page_of, np.random.default_rng(1)))
    assert [7, 1] not in found.cells.tolist()
    assert (len(found.images), found.struck_out) == (10 * EACH - 1, 1)


def test_dots_and_dashes_are_no_digits(filled):
    page_of = filled.copy()
    draw_lines(page_of, 2, 8, [(0.5, 0.5, 0.5, 0.5)])
    draw_lines(page_of, 2, 9, [(0.3, 0.5, 0.6, 0.5)])
    assert len(page.read_form(page_of).images) == 10 * EACH


def test_a_page_becomes_a_file_that_says_where_each_digit_is_from(save, scanned, monkeypatch, capsys):
    assert main(monkeypatch, save("scan 1.png", scanned)) == 0
    [file] = own.paths(own.FOLDER)
    assert file.name.startswith("scan-1-")
    table = pd.read_csv(file)
    assert table["label"].tolist() == table["row"].tolist() == [digit for digit in range(10) for _ in range(EACH)]
    assert table["column"].tolist() == [*range(EACH)] * 10
    assert np.array_equal(own.read(own.FOLDER).images, page.read_form(picture.load(Path("scan 1.png"))).images)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("scan 1.png: took 30 digits into data/own/scan-1-")
    assert "left out 220 blank cells and 0 crossed out; not compared with models: look at " in lines[0]
    assert lines[1:] == [
        "data/own: 30 digits in 1 files; next:",
        "dvc add data/own && dvc exp run -S own=data/own",
    ]
    with Image.open(f"data/collected/{file.stem}.png") as sheet:
        assert sheet.format == "PNG"


@pytest.mark.slow
@pytest.mark.parametrize("again", ["the same file", "another name", "a new scan", "upside down"])
def test_a_page_that_is_taken_twice_is_one_line_and_counts_once(save, scanned, filled, monkeypatch, capsys, again):
    first = save("first.png", scanned)
    second = {
        "the same file": lambda: first,
        "another name": lambda: save("second.png", scanned),
        "a new scan": lambda: save("second.png", hands.scan(turned(2)(filled), np.random.default_rng(2))),
        "upside down": lambda: save("second.png", np.rot90(scanned, 2)),
    }[again]()
    assert main(monkeypatch, first, second) == 1
    assert capsys.readouterr().err == f"{second}: this page was taken before: nothing is counted twice\n"
    assert len(own.read(own.FOLDER).labels) == 30


@pytest.mark.parametrize(("likeness", "is_same"), [(0.9, True), (0.899, False)])
def test_digits_whose_cosine_is_nine_tenths_are_two_scans_of_one(tmp_path, monkeypatch, likeness, is_same):
    count = collect.MIN_COMMON
    images, labels = np.full((count, 28, 28), 9, np.uint8), np.arange(count, dtype=np.uint8)
    cells = np.column_stack([labels, labels])
    own.write(tmp_path / "first.csv", images, labels, cells)
    monkeypatch.setattr(collect, "_likeness", lambda *_: np.full(count, likeness))
    found = page.Page("A4", (10, 10), cells, images, 0, 0)
    assert collect._taken(found, labels, tmp_path / "first.csv").tolist() == [is_same] * count


@pytest.mark.slow
def test_of_a_page_that_was_filled_further_only_the_new_cells_are_taken(save, blank, monkeypatch, capsys):
    hand = hands.HANDS["north"]
    half = hands.fill(blank, hand, np.random.default_rng(0), EACH)
    full = half.copy()
    for digit in range(10):
        hands.write(full, digit, 7, hands.draw(hand, digit, 45, np.random.default_rng(digit)))
    random = np.random.default_rng(3)
    assert (
        main(monkeypatch, save("half.png", hands.scan(half, random)), save("full.png", hands.scan(full, random))) == 0
    )
    assert "full.png: took 10 digits" in capsys.readouterr().out
    tables = {path.name[:4]: pd.read_csv(path) for path in own.paths(own.FOLDER)}
    assert tables["full"]["column"].tolist() == [7] * 10


@pytest.mark.slow
@pytest.mark.usefixtures("empty_project")
def test_each_page_of_a_pdf_is_taken_or_named(scanned, blank, monkeypatch, capsys):
    other = hands.fill(blank, hands.HANDS["north"], np.random.default_rng(4), EACH)
    first, *rest = (Image.fromarray(one) for one in (scanned, blank, other))
    first.save("scans.pdf", save_all=True, append_images=rest, resolution=150)
    assert main(monkeypatch, "scans.pdf") == 1
    printed = capsys.readouterr()
    names = [line.partition(": took")[0] for line in printed.out.splitlines()[:2]]
    assert names == ["scans.pdf, page 1", "scans.pdf, page 3"]
    assert printed.err.startswith("scans.pdf, page 2: found no digit")
    assert [path.name.rpartition("-")[0] for path in own.paths(own.FOLDER)] == ["scans-page-1", "scans-page-3"]


@pytest.mark.slow
def test_another_page_of_the_same_hand_is_taken(save, blank, monkeypatch):
    pages = [hands.fill(blank, hands.HANDS["north"], np.random.default_rng(seed), EACH) for seed in (1, 2)]
    assert main(monkeypatch, *(save(f"{seed}.png", one) for seed, one in enumerate(pages))) == 0
    assert len(own.read(own.FOLDER).labels) == 60


@pytest.mark.slow
def test_a_page_is_taken_out_by_removing_its_file_and_can_be_taken_again(save, scanned, monkeypatch):
    scan = save("scan.png", scanned)
    main(monkeypatch, scan)
    [file] = own.paths(own.FOLDER)
    content = file.read_bytes()
    file.unlink()
    assert main(monkeypatch, scan) == 0
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("pixels", "line"),
    [
        (np.full((400, 600), 255, np.uint8), "found no form of ours; for another ruled page, give the label"),
        (np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8), "found no form of ours"),
    ],
    ids=["blank", "noise"],
)
def test_a_picture_of_no_form_is_one_line(save, pixels, line, monkeypatch, capsys):
    assert main(monkeypatch, save("cat.png", pixels)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"cat.png: {line}")
    assert error.count("\n") == 1
    assert not Path("data").exists()


def test_an_empty_form_is_one_line(save, blank, monkeypatch, capsys):
    assert main(monkeypatch, save("empty.png", blank)) == 1
    assert capsys.readouterr().err == "empty.png: found no digit in 250 cells that are blank and 0 crossed out\n"


def test_a_row_that_the_models_read_as_another_digit_is_rejected_unless_it_is_trusted(
    save, scanned, monkeypatch, capsys
):
    predicting(monkeypatch, wrong={1: 7})
    scan = save("scan.png", scanned)
    assert main(monkeypatch, scan) == 1
    assert capsys.readouterr().err == (
        "scan.png: row 2 should hold 1, but 3 of its 3 digits read as 7: is that label right? If so, add --trust\n"
    )
    assert not Path("data").exists()
    assert main(monkeypatch, scan, "--trust") == 0
    assert "; 3 that the models are sure are others: look at data/collected/" in capsys.readouterr().out


def test_single_digits_that_the_models_read_as_others_are_taken_and_framed(save, scanned, monkeypatch, capsys):
    monkeypatch.setattr(collect.Models, "predict", lambda _, images: np.eye(10)[[0] + [5] * (len(images) - 1)])
    monkeypatch.setattr(intake, "MIN_GROUP", 100)
    assert main(monkeypatch, save("scan.png", scanned)) == 0
    out = capsys.readouterr().out
    assert "26 that the models are sure are others" in out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--labels", "01x"], "--labels: found '01x', expected a digit for each row, such as 0123456789, or one digit"),
        (["--labels", ""], "--labels: found '', expected a digit for each row"),
    ],
)
def test_labels_that_are_no_digits_are_one_line(monkeypatch, arguments, line):
    with pytest.raises(InputError, match=line):
        monkeypatch.setattr(sys, "argv", ["collect", "scan.png", *arguments])
        collect.main()


def ruled(rows: int, columns: int, digits: list[int]) -> Picture:
    """A ruled page of someone else's: each row holds that digit."""
    side, random = 80, np.random.default_rng(0)
    sheet = np.full(((rows + 2) * side, (columns + 2) * side), 250, np.uint8)
    for row in range(rows + 1):
        cv2.line(sheet, (side, (row + 1) * side), ((columns + 1) * side, (row + 1) * side), 90, 2)
    for column in range(columns + 1):
        cv2.line(sheet, ((column + 1) * side, side), ((column + 1) * side, (rows + 1) * side), 90, 2)
    for row, digit in enumerate(digits):
        for column in range(columns):
            ink = hands.draw(hands.HANDS["north"], digit, 36, random)
            top, left = ((place + 1) * side + (side - size) // 2 for place, size in zip((row, column), ink.shape))  # noqa: B905
            part = sheet[top : top + ink.shape[0], left : left + ink.shape[1]]
            part[:] = np.minimum(part, (255 - 200 * ink).astype(np.uint8))
    return sheet


@pytest.mark.parametrize(("labels", "expected"), [("305", [3] * 6 + [0] * 6 + [5] * 6), ("4", [4] * 18)])
def test_any_ruled_page_is_taken_with_a_label_for_each_row_or_one(save, monkeypatch, labels, expected):
    digits = [int(labels[row % len(labels)]) for row in range(3)]
    assert main(monkeypatch, save("page.png", ruled(3, 6, digits)), "--labels", labels) == 0
    assert own.read(own.FOLDER).labels.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "line"),
    [("30", "--labels: found 2 labels, expected one for each of 3 rows, or one")],
)
def test_labels_of_another_number_of_rows_are_one_line(save, monkeypatch, capsys, labels, line):
    assert main(monkeypatch, save("page.png", ruled(3, 6, [3, 0, 5])), "--labels", labels) == 1
    assert capsys.readouterr().err == f"page.png: {line}\n"
    assert not Path("data").exists()


def test_a_page_can_be_a_named_writers(save, scanned, monkeypatch, capsys):
    scan = save("scan.png", scanned)
    assert main(monkeypatch, scan, "--writer", "Åsa B.") == 0
    [file] = own.paths(own.FOLDER)
    assert file.parent == own.FOLDER / "Åsa B."
    assert own.read(own.FOLDER).names == ("Åsa B.",)
    assert main(monkeypatch, scan) == 1
    assert "taken before: nothing is counted twice" in capsys.readouterr().err


def test_a_writers_name_that_is_a_path_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["collect", "scan.png", "--writer", "../b"])
    with pytest.raises(InputError, match=r"^--writer: found '\.\./b', expected a writer's name"):
        collect.main()


def test_a_full_disk_leaves_the_folder_as_it_was(save, scanned, monkeypatch):
    scan = save("scan.png", scanned)

    def full(path: Path, text: str) -> None:
        with files.atomic_path(path) as temporary:
            temporary.write_text(text[:1000])
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "write_text", full)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(InputError, match=r"data/own/scan-\w+\.csv: No space left on device"):
        run(lambda: main_raising(monkeypatch, scan))
    assert list(own.FOLDER.iterdir()) == []


def main_raising(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["collect", *map(str, arguments)])
    collect.main()


@pytest.mark.slow
def test_ctrl_c_between_two_pages_keeps_the_first_whole_and_nothing_of_the_second(
    save, scanned, blank, monkeypatch, capsys
):
    other = hands.fill(blank, hands.HANDS["north"], np.random.default_rng(9), EACH)
    scans = save("first.png", scanned), save("second.png", other)
    write, times = files.write_text, []

    def stop(path: Path, text: str) -> None:
        times.append(path)
        if len(times) == 2:
            with files.atomic_path(path) as temporary:
                temporary.write_text(text[:1000])
                raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(files, "write_text", stop)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as stopped:
        run(lambda: main_raising(monkeypatch, *scans), "pages that were reported are kept")
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "stopped by SIGINT: pages that were reported are kept\n"
    assert len(own.read(own.FOLDER).labels) == 30
    assert [path.suffix for path in own.FOLDER.iterdir()] == [".csv"]


def test_what_is_collected_is_what_prepare_reads(save, scanned, monkeypatch):
    main(monkeypatch, save("scan.png", scanned))
    table = own.read(own.FOLDER)
    assert table.images.shape == (30, 28, 28)
    assert np.bincount(table.labels).tolist() == [3] * 10
