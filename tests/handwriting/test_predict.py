"""`python -m handwriting.predict`, with a stand-in for the ensemble that answers what the test says."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import ENCRYPTED
from PIL import Image

from benchmarks.drawn import strokes
from handwriting import predict
from handwriting.pages import picture, reading, report, scan
from handwriting.piles import pile
from stages import prepare
from stages.digits.base import dataset, splits
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
        monkeypatch.setattr(ensemble, "load_member", lambda *_: "member")
        monkeypatch.setattr(ensemble, "average", answer)
        monkeypatch.setattr(reading, "doubt_strange", lambda digits, _: digits)
        predict.main()
        return capsys.readouterr()

    def answer(images: np.ndarray, members: list) -> np.ndarray:
        assert members == ["member"]
        assert images.dtype == np.uint8
        return np.stack([row(4, 0.9876), row(2, 0.8)])[: len(images)]

    monkeypatch.chdir(page.parent)
    dataset.MODELS.mkdir()
    dataset.model_path(0).touch()  # its bytes are part of what tells a pile's models from others
    capsys.readouterr()
    return run


def test_the_digits_are_printed_with_their_probabilities_and_what_is_unsure(run, page):
    assert run(page).out.splitlines() == [
        f"{page}: 4  2",
        "  4   98.8 %",
        "  2   80.0 %  unsure: or 7 (20.0 %), 0 (0.0 %)",
    ]


def test_the_classes_have_their_names(run, page):
    with (page.parent / "params.yaml").open("a") as file:
        file.write("classes: [Top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Boot]\n")
    first, _, last = run(page).out.splitlines()
    assert first == f"{page}: Coat  Pullover"
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
    assert printed.out.startswith(f"{page}: 4  2\n")
    _, blank, missing, *_ = printed.err.splitlines()
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
    assert [line for line in printed.out.splitlines() if line[0] != " "] == [f"{scans}, page {n}: 4  2" for n in (1, 3)]
    assert printed.err.splitlines()[1].startswith(f"{scans}, page 2: no digit found; ")


@pytest.mark.slow
def test_the_csv_names_the_page_and_show_draws_each(run, scans, page):
    with pytest.raises(SystemExit):
        run(scans, page, "--csv", scans.with_name("all.csv"), "--show", scans.with_name("shown.png"))
    lines = list(csv.DictReader(scans.with_name("all.csv").read_text(encoding="utf-8").splitlines()))
    names = [f"{scans}, page 1", f"{scans}, page 2", f"{scans}, page 3", str(page)]
    assert [line["image"] for line in lines] == [name for name in names for _ in range(1 if name == names[1] else 2)]
    read = [line for line in lines if line["image"] != names[1]]
    assert [(line["row"], line["column"], line["table"]) for line in read] == [("1", "1", "1"), ("1", "2", "1")] * 3
    assert sorted(path.name for path in page.parent.glob("shown*")) == [f"shown-{n}.png" for n in (1, 3, 4)]


def test_a_page_that_cannot_be_read_has_a_line_in_the_csv_and_the_exit_status_says_so(run, scans, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(scans, "--csv", "all.csv")
    assert stopped.value.code == 1
    *_, unread, _, _ = csv.DictReader(Path("all.csv").read_text(encoding="utf-8").splitlines())
    assert {name: text for name, text in unread.items() if text} == {"unsure": "true", "image": f"{scans}, page 2"}
    assert "3 pages: 4 cells, 4 digits, 2 unsure, 1 not read" in capsys.readouterr().err


def test_a_pile_prints_a_summary_to_stderr_and_names_the_pages_with_most_doubt(run, page):
    printed = run(page, page, "--csv", "all.csv")
    assert printed.out == ""
    assert printed.err.splitlines()[-2:] == [
        "2 pages: 4 cells, 4 digits, 2 unsure, 0 not read",
        f"most doubt: {page} (1), {page} (1)",
    ]


def test_a_folder_is_read_in_the_order_of_its_names(run, page):
    folder = page.parent / "folder"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        shutil.copy(page, folder / name)
    assert [line for line in run(folder).out.splitlines() if line[0] != " "] == [
        f"{folder / name}: 4  2" for name in ("a.png", "b.png")
    ]


def test_a_pile_of_other_files_does_not_replace_what_was_read(run, page):
    shutil.copy(page, "other.png")
    run(page, page, "--csv", "all.csv")
    before = Path("all.csv").read_bytes()
    with pytest.raises(InputError, match=rf"^all\.csv: has pages of {page}: move it away, or choose another name$"):
        run("other.png", "other.png", "--csv", "all.csv")
    assert Path("all.csv").read_bytes() == before
    run("other.png", page, "--csv", "all.csv")  # more files are welcome


def test_the_same_command_again_reads_only_what_is_missing(run, page, monkeypatch):
    shutil.copy(page, "other.png")
    run(page, page, "--csv", "all.csv")
    monkeypatch.setattr(pile, "read_page", lambda name, *_: pile.unread(name, "read again"))
    with pytest.raises(SystemExit):
        run(page, "other.png", "--csv", "all.csv")
    lines = list(csv.DictReader(Path("all.csv").read_text(encoding="utf-8").splitlines()))
    assert [(line["image"], line["digits"]) for line in lines] == [
        (str(page), "4"),
        (str(page), "2"),
        ("other.png", ""),
    ]


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_json_is_one_list_of_all_pages_that_were_read(run, page, capsys, pages):
    Image.new("L", (90, 90), 255).save(page.parent / "blank.png")
    with pytest.raises(SystemExit):
        run(*[page] * pages, page.parent / "blank.png", "--json")
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert [one["image"] for one in found] == [str(page)] * pages
    assert printed == json.dumps(found, indent=2) + "\n"


def test_unsure_only_shows_the_pages_with_doubt(run, page, monkeypatch):
    shown = []
    monkeypatch.setattr(report, "draw", lambda one, _, path: (shown.append(one.name), path.write_bytes(b"png")))
    Image.fromarray(np.asarray(Image.open(page))[:, :60]).save(page.parent / "four.png")
    run("four.png", page, "--show", "shown.png", "--unsure-only")
    assert shown == [str(page)]
    assert [path.name for path in page.parent.glob("shown*")] == ["shown-2.png"]


def test_one_picture_starts_no_cluster_and_a_pile_does(run, page, monkeypatch):
    monkeypatch.setattr(pile.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(pile, "_read_on_workers", lambda *_: (_ for _ in ()).throw(InterruptedError))
    monkeypatch.delenv(pile.ADDRESS, raising=False)
    run(*[page] * (pile.CLUSTER_PAGES - 1))
    with pytest.raises(InterruptedError):
        run(*[page] * pile.CLUSTER_PAGES)
    monkeypatch.setenv(pile.ADDRESS, "tcp://127.0.0.1:1")
    run(page)
    with pytest.raises(InterruptedError):
        run(page, page)


def test_a_pile_of_broken_files_is_a_line_each(run, page, capsys):
    files = {"damaged.png": page.read_bytes()[:200], "encrypted.pdf": ENCRYPTED, "empty.jpg": b""}
    for name, content in files.items():
        Path(name).write_bytes(content)
    with pytest.raises(SystemExit):
        run(page, *files, page, "--csv", "all.csv")
    lines = list(csv.DictReader(Path("all.csv").read_text(encoding="utf-8").splitlines()))
    assert [line["image"] for line in lines] == [str(page)] * 2 + [*files] + [str(page)] * 2
    problems = capsys.readouterr().err.splitlines()[1:4]
    assert [line.partition(":")[0] for line in problems] == [*files]


def test_without_models_it_says_what_to_run(page, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["predict", str(page)])
    with pytest.raises(InputError) as rejected:
        predict.main()
    assert rejected.value.code == "data/models: no models yet; run `dvc repro`"


def test_it_says_at_the_start_which_hands_the_models_have_learned_from(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert predict.learned_from(labelled) == "models that learned from 120 digits of train.csv alone"
    writers = np.array(["a", "b", dataset.PRINT] * 4)
    own = dataset.OwnDigits(labelled.images[:12], labelled.labels[:12], labelled.folds[:12], writers)
    dataset.save_own(dataset.OWN, own)
    assert predict.learned_from(splits.add_own(labelled, own, weight=1)) == (
        "models that learned from 120 digits of train.csv, 8 of 2 other hands, 4 printed ones"
    )
