"""Piles of pages: in their order, whoever reads them, and what happens to files meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pictures
import pytest
from commands import worker_in_this_process
from PIL import Image

from benchmarks.drawn import forms
from handwriting.pages import picture, reading, report
from handwriting.piles import pile
from handwriting.piles.pile import Place, UnloadedReader
from stages.digits.base import dataset
from stages.digits.base.errors import InputError
from stages.digits.model import network
from stages.digits.prediction import ensemble
from stages.digits.training import cluster

ROOT = Path(__file__).parents[3]
CLASSES = tuple("0123456789")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_digits(monkeypatch) -> None:
    """Each page is read as its brightness; a black one can't be."""

    def read_page(name: str, content: np.ndarray | str, _) -> pile.Result:
        if isinstance(content, str):
            return pile.unread(name, content)
        return {"name": name, "brightness": int(content.mean())}

    monkeypatch.setattr(pile, "read_page", read_page)


def write(name: str, *values: int) -> Path:
    first, *others = [Image.new("L", (30, 20), value) for value in values]
    first.save(name, save_all=bool(others), append_images=others) if others else first.save(name)
    return Path(name)


def read(files: list[Path], known: set[Place] = frozenset()) -> Iterator:
    return pile.read(pile.places(files), known, UnloadedReader({}, None, CLASSES), print)


def read_all(files: list[Path], **options) -> list[tuple[str, int | str]]:
    return [
        (result["name"], result.get("brightness", result.get("problem")))
        for _, result in read(files, **options)
        if result
    ]


@pytest.mark.usefixtures("no_digits")
def test_known_pages_are_not_decoded(monkeypatch):
    files = [write("a.png", 10), write("b.tif", 20, 30, 40), write("c.png", 50)]
    places = [place for place, _ in read(files)]
    decoded = []
    pages = picture.pages
    monkeypatch.setattr(
        picture, "pages", lambda path, first: (decoded.append((path.name, first)), pages(path, first))[1]
    )
    known = {places[0], places[1], places[3]}
    assert read_all(files, known=known) == [("b.tif, page 2", 30), ("c.png", 50)]
    assert decoded == [("b.tif", 1), ("c.png", 0)]


@pytest.mark.usefixtures("no_digits")
def test_a_file_that_has_changed_is_not_known():
    files = [write("a.png", 10)]
    [(place, _)] = read(files)
    write("a.png", 200)
    assert read_all(files, known={place}) == [("a.png", 200)]


@pytest.mark.usefixtures("no_digits")
@pytest.mark.parametrize("change", ["vanishes", "grows"])
def test_a_file_that_vanishes_or_grows_while_it_is_read_is_a_line_for_each_page(change):
    files = [write("a.tif", 10, 20), write("b.png", 30)]
    results = []
    for _, result in read(files):
        results.append(result)
        if change == "vanishes":
            Path("a.tif").unlink(missing_ok=True)
        elif len(results) == 1:
            with Path("a.tif").open("ab") as file:
                file.write(b"more")
    assert [result.get("brightness") for result in results] == [10, None, 30]
    assert results[1]["problem"] == "a.tif, page 2: changed while pages were read; expected a file that stays as it is"


@pytest.mark.usefixtures("no_digits")
def test_two_files_of_one_name_are_told_apart_by_their_folders():
    for name in ("a", "b"):
        Path(name).mkdir()
    assert read_all([write("a/1.png", 10), write("b/1.png", 20)]) == [("a/1.png", 10), ("b/1.png", 20)]


@pytest.mark.usefixtures("no_digits")
def test_a_page_that_cannot_be_decoded_leaves_the_pages_after_it(monkeypatch):
    files = [write("a.tif", 10, 20, 30)]
    to_gray = picture._gray
    monkeypatch.setattr(picture, "_gray", lambda image: to_gray(image) if image.getpixel((0, 0)) != 20 else 1 / 0)
    (_, first), (name, problem), (_, last) = read_all(files)
    assert (first, name, last) == (10, "a.tif, page 2", 30)
    assert problem.startswith("a.tif, page 2: not a picture that can be read (")


@pytest.mark.usefixtures("no_digits")
def test_results_are_in_the_order_of_the_files_whichever_is_ready_first(monkeypatch):
    def backwards(pages, *_):
        yield from [(number, {"name": name}) for number, name, _ in pages][::-1]

    monkeypatch.setattr(pile, "_read_on_workers", backwards)
    monkeypatch.setenv(pile.ADDRESS, "somewhere")
    files = [write(f"{name}.png", 10) for name in "cab"]
    assert [name for name, _ in read_all(files)] == ["c.png", "a.png", "b.png"]


@pytest.fixture
def unloaded(labelled) -> UnloadedReader:
    """One untrained member."""
    member = network.build(8, 0.4, iter(range(9)))
    dataset.MODELS.mkdir(parents=True)
    member.save(dataset.model_path(0))
    return UnloadedReader(ensemble.read_members(), labelled, CLASSES)


@pytest.fixture
def pages() -> list[Path]:
    """A form, a missing file, a blank page, a photo, and a form on its side."""
    random = np.random.default_rng(0)
    form = forms.scan(3, 4, [forms.drawn], random, cell=60).picture
    Image.fromarray(form).save("form.png")
    Image.new("L", (90, 90), 255).save("blank.png")
    pictures.photo((4, 2)).save("photo.png")
    Image.fromarray(np.rot90(form)).save("turned.png")
    return [Path(f"{name}.png") for name in ("form", "missing", "blank", "photo", "turned")]


@pytest.mark.slow
def test_workers_give_what_one_process_gives(unloaded, pages, monkeypatch):
    unloaded, places = unloaded._replace(wanted=("text", "json", "show-unsure")), pile.places(pages)
    monkeypatch.delenv(pile.ADDRESS, raising=False)
    here = list(pile.read(places, (), unloaded, print))
    monkeypatch.setenv(pile.ADDRESS, "taken from Dask's configuration instead")
    lines: list[str] = []
    with worker_in_this_process():
        there = list(pile.read(places, (), unloaded, lines.append))
    assert there == here
    assert "on this machine, dashboard" in lines[0]
    assert ["problem" in result for _, result in here] == [False, True, True, False, False]


@pytest.mark.slow
@pytest.mark.parametrize("address", [None, "taken from Dask's configuration instead"])
def test_a_damaged_member_stops_a_pile_by_its_files_name(unloaded, pages, monkeypatch, address):
    monkeypatch.delenv(pile.ADDRESS, raising=False)
    if address:
        monkeypatch.setenv(pile.ADDRESS, address)
    unloaded = unloaded._replace(files={path: content[:-100] for path, content in unloaded.files.items()})
    with worker_in_this_process(), pytest.raises(InputError) as stopped:
        list(pile.read(pile.places(pages), (), unloaded, print))
    assert str(stopped.value).startswith(f"{dataset.model_path(0)}: not a trained member: ")


def test_who_sends_pages_or_reviews_them_imports_no_tensorflow():
    code = "import sys, handwriting.predict, handwriting.review; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_page_whose_worker_dies_repeatedly_is_unread(unloaded, pages, monkeypatch):
    def run(_client, _job, calls, ahead):
        assert ahead == 1
        yield from ((number, None) for number, *_ in calls)

    monkeypatch.setattr(cluster, "run", run)
    monkeypatch.setenv(pile.ADDRESS, "somewhere")
    with worker_in_this_process():
        (_, result), *_ = pile.read(pile.places(pages[:2]), (), unloaded, print)
    assert result["problem"] == "form.png: its worker died repeatedly, perhaps out of memory"


def test_a_doubt_has_its_row_its_box_and_the_images_that_the_networks_saw(unloaded, pages):
    reader, pixels = unloaded.load(), picture.load(pages[3])
    result = pile.read_page("photo.png", pixels, reader)
    page = reading.read(pixels, reader.members, reader.reference)
    rows = [row for row, _ in report.rows(report.Reading("photo.png", page), CLASSES)]
    unsure = [number for number, row in enumerate(rows) if row[report.COLUMNS.index("unsure")] == "true"]
    assert [doubt["row"] for doubt in result["doubts"]] == unsure
    assert unsure, "an untrained member is sure of nothing"
    for doubt in result["doubts"]:
        left, top, right, bottom = doubt["box"]
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
    assert result["turns"] == 0


def test_a_bug_in_one_page_is_a_line_and_stops_no_pile(monkeypatch):
    write("a.png", 10)
    monkeypatch.setattr(reading, "read", lambda *_: [][0])
    [(name, problem)] = read_all([Path("a.png")])
    assert (name, problem) == ("a.png", "a.png: a bug of this project: IndexError: list index out of range")


@pytest.mark.usefixtures("no_digits")
def test_a_name_that_is_no_utf_8_can_be_written():
    write("a.png", 10)
    [(name, _)] = read_all([Path("a.png").rename("\udcff.png")])
    assert name == r"\udcff.png"


@pytest.mark.usefixtures("unloaded")
def test_the_digest_changes_with_models_labelled_images_and_classes(labelled):
    dataset.LABELLED.parent.mkdir(parents=True)
    dataset.save_labelled(dataset.LABELLED, labelled)
    digests = {pile.digest(CLASSES), pile.digest(CLASSES), pile.digest(CLASSES[::-1])}
    for path in (dataset.model_path(0), dataset.LABELLED):
        path.write_bytes(path.read_bytes() + b"x")
        digests.add(pile.digest(CLASSES))
    assert len(digests) == 4
