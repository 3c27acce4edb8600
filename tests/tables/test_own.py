"""One's own digits: the folder they are read from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.digits.base import params
from stages.digits.base.errors import InputError
from stages.digits.tables import kaggle, own

LABELS = np.array([3, 1, 3], dtype=np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
CELLS = np.array([[0, 1], [9, 20], [0, 2]])
HEADER = "label," + ",".join(f"pixel{i}" for i in range(784))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three digits of two pages."""
    own.write(tmp_path / "own/b.csv", IMAGES[:1], LABELS[:1], CELLS[:1])
    own.write(tmp_path / "own/a.csv", IMAGES[1:], LABELS[1:], CELLS[1:])
    return tmp_path / "own"


def test_digits_are_read_as_they_were_written_page_by_page(folder):
    table = own.read(folder)
    assert np.array_equal(table.images, IMAGES[[1, 2, 0]])
    assert table.labels.tolist() == [1, 3, 3]


def test_a_page_is_in_kaggles_form_and_says_which_cell_each_digit_is_from(folder):
    page = pd.read_csv(folder / "a.csv")
    assert ",".join(page.columns) == f"{HEADER},row,column"
    assert page[["label", "row", "column"]].to_numpy().tolist() == [[1, 9, 20], [3, 0, 2]]


def test_a_file_in_plain_kaggle_form_is_read_too(folder):
    (folder / "c.csv").write_text(f"{HEADER}\n7{',0' * 783},9\n")
    table = own.read(folder)
    assert table.labels.tolist() == [1, 3, 3, 7]
    assert table.images[-1].ravel().tolist() == [0] * 783 + [9]


def test_the_hash_of_a_page_covers_images_labels_and_cells_but_no_name():
    first = own.page_hash(IMAGES, LABELS, CELLS)
    assert first == own.page_hash(IMAGES.copy(), LABELS.copy(), CELLS.copy())
    assert len({first, *(own.page_hash(*changed) for changed in (
        (IMAGES ^ 1, LABELS, CELLS), (IMAGES, LABELS ^ 1, CELLS), (IMAGES, LABELS, CELLS + 1)
    ))}) == 4  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", f"{HEADER}\n10{',0' * 784}\n", "a.csv, line 2, column label: found '10', expected a whole number"),
        ("a.csv", f"{HEADER},row,column\n1{',0' * 784},0,256\n", "a.csv, line 2, column column: found '256'"),
        ("a.csv", f"{HEADER}\n", "a.csv, line 2: found no rows"),
        ("a.csv", "", "a.csv, line 1: found an empty file"),
        ("a.csv", "label,pixel1\n", "a.csv, line 1, column 2: found 'pixel1'"),
        ("notes.txt", "hello", "notes.txt: not a .csv file; expected a folder of CSV files"),
    ],
)
def test_what_is_no_digit_is_one_line_that_names_the_file(folder, name, content, part):
    (folder / name).write_text(content)
    with pytest.raises(InputError) as caught:
        own.read(folder)
    assert part in caught.value.code
    assert "\n" not in caught.value.code


def test_a_missing_or_empty_folder_or_a_file_in_its_place_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, part in {"none": "missing", "empty": "found 0 files", "file": "Not a directory"}.items():
        with pytest.raises(InputError, match=rf"^\S*{name}: {part}.*handwriting.collect"):
            own.read(tmp_path / name)


def test_100_000_rows_of_all_writers_are_read_and_no_more(folder, monkeypatch):
    def rows(path: Path) -> kaggle.LabelledTable:
        count = int(path.read_text())
        return kaggle.LabelledTable(np.zeros((count, 28, 28), np.uint8), np.zeros(count, np.uint8))

    monkeypatch.setattr(own, "_read", rows)
    for path, count in zip(own.paths(folder), (40_000, 10_000), strict=True):
        path.write_text(str(count))
    (folder / "anna").mkdir()
    (folder / "anna/a.csv").write_text("50000")
    assert len(own.read(folder).labels) == 100_000
    (folder / "anna/b.csv").write_text("1")
    with pytest.raises(InputError, match=r"own: found more than 100,000 rows, expected at most that many digits$"):
        own.read(folder)


def test_a_writer_is_a_folder_and_the_files_at_the_top_are_one_writers(folder):
    for writer in ("zoe", "print", "Åsa B."):
        own.write(folder / writer / "1.csv", IMAGES[:1] ^ len(writer), np.array([len(writer)]), CELLS[:1])
    table = own.read(folder)
    assert table.names == ("", "print", "zoe", "Åsa B.")
    assert table.writers.tolist() == [0, 0, 0, 1, 2, 3]
    assert table.writers.dtype == np.uint16
    assert table.labels.tolist() == [1, 3, 3, 5, 3, 6]
    assert np.array_equal(table.images[3:], IMAGES[:1] ^ np.uint8([5, 3, 6])[:, None, None])


def test_files_are_read_in_the_order_of_their_names_whatever_the_file_system_says(folder, monkeypatch):
    for writer in ("b", "a"):
        own.write(folder / writer / "2.csv", IMAGES[:1], LABELS[:1], CELLS[:1])
        own.write(folder / writer / "1.csv", IMAGES[:1], LABELS[:1], CELLS[:1])
    expected = [folder / name for name in ("a.csv", "b.csv", "a/1.csv", "a/2.csv", "b/1.csv", "b/2.csv")]
    for backwards in (False, True):
        listed = Path.iterdir
        monkeypatch.setattr(
            Path, "iterdir", lambda path, listed=listed, order=backwards: sorted(listed(path), reverse=order)
        )
        assert own.paths(folder) == expected


def test_a_writers_folder_without_files_is_nobody(folder):
    (folder / "nobody").mkdir()
    (folder / "anna").mkdir()
    (folder / "anna/.b-1234abcd.csv").write_text("half a pa")
    assert own.read(folder).names == ("",)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("anna/notes.txt", "anna/notes.txt: not a .csv file"),
        ("anna/more/a.csv", "anna/more: not a .csv file"),
        (f"{'a' * 41}/a.csv", r"a{41}: found 'a{41}', expected a writer's name: 1 to 40 printable characters"),
        ("a\nb/a.csv", r"own/a\\nb: found 'a\\nb', expected a writer's name"),
        ("-a/a.csv", "own/-a: found '-a', expected a writer's name"),
        (" a/a.csv", "own/ a: found ' a', expected a writer's name"),
    ],
)
def test_what_is_no_writer_is_one_line(folder, name, part):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("")
    with pytest.raises(InputError, match=part):
        own.read(folder)


def test_a_writers_name_may_be_any_that_is_printable_and_no_path():
    for name in ("0001_CH4M", "a b", "Ł", "x" * 40):
        own.check_writer(name, "--writer")
    for name in ("", "..", ".a", "a/b", "/", "\udcff"):
        with pytest.raises(InputError, match=r"^--writer: found .*, expected a writer's name"):
            own.check_writer(name, "--writer")


def test_a_file_that_is_being_written_is_not_read(folder):
    (folder / ".b-1234abcd.csv").write_text("half a pa")
    assert len(own.read(folder).labels) == 3


def test_own_is_none_by_default_and_as_data_none(empty_project):
    assert params.own() is None
    for text, expected in {"data/none": None, "data/none/": None, "data/own": Path("data/own")}.items():
        (empty_project / "params.yaml").write_text(f"own: {text}\n")
        assert params.own() == expected


@pytest.mark.parametrize("value", ["5", "[a]", '""', "true", "null"])
def test_a_folder_that_is_no_path_is_one_line(empty_project, value):
    (empty_project / "params.yaml").write_text(f"own: {value}\n")
    with pytest.raises(InputError, match=r"own: found .*expected the path of a folder, or data/none for none$"):
        params.own()


@pytest.mark.parametrize("value", ["-1", "101", "1.5", "'3'", "true", "null"])
def test_a_weight_that_is_no_whole_number_in_range_is_one_line(empty_project, value):
    (empty_project / "params.yaml").write_text(f"own_weight: {value}\n")
    with pytest.raises(InputError, match=r"own_weight: found .*expected a whole number from 0 to 100$"):
        params.own_weight()
