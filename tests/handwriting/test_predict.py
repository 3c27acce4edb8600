"""`python -m handwriting.predict`, with a stand-in for the ensemble that answers what the test says."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.drawn import strokes
from handwriting import predict
from handwriting.pages import picture, reading, scan
from stages import prepare
from stages.digits.base import dataset
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble
from stages.digits.report import drawing

ROOT = Path(__file__).parents[2]


def row(digit: int, probability: float, other: int = 7) -> np.ndarray:
    """Probabilities of a prediction; what is left is the other's."""
    probabilities = np.zeros(10)
    probabilities[digit], probabilities[other] = probability, 1 - probability
    return probabilities


@pytest.fixture
def page(project: Path) -> Path:
    """A picture of two digits in a project with prepared data, but no models."""
    prepare.main()
    random = np.random.default_rng(0)
    ink = np.hstack([strokes.draw(digit, 60, 0.1, random) for digit in (4, 2)])
    Image.fromarray((230 - 180 * ink).astype(np.uint8)).save(project / "page.png")
    return project / "page.png"


@pytest.fixture
def run(page: Path, monkeypatch, capsys) -> Callable[..., tuple[str, str]]:
    """Runs the command where the ensemble predicts 4 for sure, then 2 with 0.8; gives what it printed."""

    def run(*arguments: object) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
        monkeypatch.setattr(dataset, "model_paths", lambda: [dataset.model_path(0)])
        monkeypatch.setattr(ensemble, "load_members", lambda: ["member"])
        monkeypatch.setattr(ensemble, "average", answer)
        monkeypatch.setattr(reading, "doubt_strange", lambda digits, _: digits)
        predict.main()
        return capsys.readouterr()

    def answer(images: np.ndarray, members: list) -> np.ndarray:
        assert members == ["member"]
        assert images.dtype == np.uint8
        return np.stack([row(4, 0.9876), row(2, 0.8)])[: len(images)]

    monkeypatch.chdir(page.parent)
    capsys.readouterr()
    return run


def test_the_digits_are_printed_with_their_probabilities_and_what_is_unsure(run, page):
    assert run(page).out.splitlines() == [
        f"{page}: 42",
        "  4   98.8 %",
        "  2   80.0 %  unsure: or 7 (20.0 %), 0 (0.0 %)",
    ]


def test_the_classes_have_their_names(run, page):
    with (page.parent / "params.yaml").open("a") as file:
        file.write("classes: [Top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Boot]\n")
    first, _, last = run(page).out.splitlines()
    assert first == f"{page}: Coat, Pullover"
    assert last == "  Pullover   80.0 %  unsure: or Sneaker (20.0 %), Top (0.0 %)"


def test_json_has_boxes_and_all_probabilities(run, page):
    [picture] = json.loads(run(page, "--json").out)
    assert picture["image"] == str(page)
    four, two = picture["digits"]
    assert (four["class"], four["probability"], four["unsure"]) == ("4", 0.9876, False)
    assert (two["class"], two["probability"], two["unsure"]) == ("2", 0.8, True)
    assert two["probabilities"] == {**dict.fromkeys("0123456789", 0.0), "2": 0.8, "7": 0.2}
    assert 0 < four["box"][0] < four["box"][2] < 0.5 < two["box"][0] < two["box"][2] < 1


def test_show_draws_the_picture_and_what_the_networks_saw(run, page, monkeypatch):
    figures = []
    save = drawing.save
    monkeypatch.setattr(drawing, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    run(page, "--show", page.parent / "shown.png")
    with Image.open(page.parent / "shown.png") as picture:
        assert picture.format == "PNG"
    drawn, first, second = [axes for axes in figures[0].axes if axes.images]
    assert len(drawn.patches) == 2
    found = scan.find_digits(np.asarray(Image.open(page)))
    assert np.array_equal(first.images[0].get_array(), found.images[0])
    assert first.get_title() == "4\n98.8 %"
    assert second.get_title() == "2\n80.0 %, unsure"


def test_it_changes_no_file(run, page):
    before = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}
    run(page, page, "--json")
    assert {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == before


def test_a_picture_that_cannot_be_read_is_a_line_and_the_others_are_read(run, page, capsys):
    Image.new("L", (90, 90), 255).save(page.parent / "blank.png")
    with pytest.raises(SystemExit) as stopped:
        run(page.parent / "blank.png", page, page.parent / "missing.png")
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{page}: 42\n")
    blank, missing = printed.err.splitlines()
    assert blank.startswith(f"{page.parent}/blank.png: no digit found; ")
    assert missing == f"{page.parent}/missing.png: missing; expected {picture.EXPECTED}"


def test_show_expects_a_png_file(run, page):
    with pytest.raises(InputError) as rejected:
        run(page, "--show", "x.jpg")
    assert rejected.value.code == "x.jpg: expected a name that ends in .png"


@pytest.fixture
def scans(page) -> Path:
    """A PDF of three pages, the second of which is blank."""
    with Image.open(page) as written:
        pages = [Image.new("L", written.size, 255), written]
        written.save(page.parent / "scans.pdf", save_all=True, append_images=pages, resolution=300)
    return page.parent / "scans.pdf"


def test_a_page_with_nothing_on_it_is_a_line_and_the_pages_after_it_are_read(run, scans, capsys):
    with pytest.raises(SystemExit):
        run(scans)
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if line[0] != " "] == [f"{scans}, page {n}: 42" for n in (1, 3)]
    assert printed.err.startswith(f"{scans}, page 2: no digit found; ")


@pytest.mark.slow
def test_the_csv_names_the_page_and_show_draws_each(run, scans, page):
    with pytest.raises(SystemExit):
        run(scans, page, "--csv", scans.with_name("all.csv"), "--show", scans.with_name("shown.png"))
    lines = list(csv.DictReader(scans.with_name("all.csv").read_text(encoding="utf-8").splitlines()))
    names = [f"{scans}, page 1", f"{scans}, page 3", str(page)]
    assert [line["image"] for line in lines] == [name for name in names for _ in range(2)]
    assert [(line["row"], line["column"], line["table"]) for line in lines] == [("1", "1", "1"), ("1", "2", "1")] * 3
    assert sorted(path.name for path in page.parent.glob("shown*")) == [f"shown-{n}.png" for n in (1, 2, 3)]


def test_without_models_it_says_what_to_run(page, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["predict", str(page)])
    with pytest.raises(InputError) as rejected:
        predict.main()
    assert rejected.value.code == "data/models: no models yet; run `dvc repro`"
