"""One's own digits: the folder they are read from, and that they are trained on and evaluated apart from Kaggle's."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_metrics import HISTORY, confident

from stages import evaluate, prepare
from stages.digits.base import dataset, params, splits
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble, neighbours
from stages.digits.report import drawing
from stages.digits.tables import kaggle, own
from stages.digits.training import member_cache

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


@pytest.fixture
def project_with_own(project: Path, folder: Path) -> Path:
    """The project, its params.yaml set to those digits."""
    with (project / "params.yaml").open("a") as file:
        file.write(f"own: {folder}\nown_weight: 5\n")
    return project


@pytest.fixture
def mixed(labelled) -> dataset.Labelled:
    """120 of Kaggle's images in three folds, and seven own ones, each trained on four times."""
    images, labels = labelled.images[:7] ^ 1, labelled.labels[:7]
    return splits.add_own(labelled, images, labels, weight=4, folds=3, seed=0)


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
        own.write(folder / writer / "1.csv", IMAGES[:1] ^ len(writer), np.array([len(writer)]))
    table = own.read(folder)
    assert table.names == ("", "print", "zoe", "Åsa B.")
    assert table.writers.tolist() == [0, 0, 0, 1, 2, 3]
    assert table.writers.dtype == np.uint16
    assert table.labels.tolist() == [1, 3, 3, 5, 3, 6]
    assert np.array_equal(table.images[3:], IMAGES[:1] ^ np.uint8([5, 3, 6])[:, None, None])


def test_files_are_read_in_the_order_of_their_names_whatever_the_file_system_says(folder, monkeypatch):
    for writer in ("b", "a"):
        own.write(folder / writer / "2.csv", IMAGES[:1], LABELS[:1])
        own.write(folder / writer / "1.csv", IMAGES[:1], LABELS[:1])
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


def test_prepare_adds_them_after_kaggles_rows_which_stay_in_their_folds(project_with_own):
    prepare.main()
    with_own = dataset.load_labelled(dataset.LABELLED)
    figures = json.loads(prepare.METRICS.read_text())
    path = project_with_own / "params.yaml"
    path.write_text(path.read_text().partition("own:")[0])
    prepare.main()
    without = dataset.load_labelled(dataset.LABELLED)
    assert without.own is None
    for array, expected in zip(with_own[:3], without[:3], strict=True):
        assert np.array_equal(array[:60], expected)
    assert with_own.own.tolist() == [0] * 60 + [1 + 5] * 3
    assert with_own.labels[60:].tolist() == [1, 3, 3]
    assert figures == json.loads(prepare.METRICS.read_text()) | {"own_rows": 3, "own_duplicates": 0}


@pytest.mark.usefixtures("project_with_own")
def test_prepare_warns_of_own_digits_that_are_copies(folder, capsys):
    (folder / "c.csv").write_bytes((folder / "a.csv").read_bytes())
    prepare.main()
    assert capsys.readouterr().err == (
        "warning: 2 of your own digits are duplicates: copies may be in different folds\n"
    )


def test_own_digits_beside_the_sample_are_allowed_with_a_warning(project_with_own, capsys):
    (project_with_own / "data/raw").rename(project_with_own / "data/sample")
    path = project_with_own / "params.yaml"
    path.write_text(path.read_text().replace("raw: data/raw", "raw: data/sample"))
    prepare.main()
    assert capsys.readouterr().err.endswith("is trained on with the sample, which has few writers; see README\n")
    assert dataset.load_labelled(dataset.LABELLED).is_own.sum() == 3


def test_a_rejected_folder_changes_no_output(project_with_own, folder):
    (folder / "a.csv").write_text("nonsense")
    with pytest.raises(InputError, match=r"a\.csv, line 1"):
        prepare.main()
    assert not (project_with_own / "data/prepared").exists()


@pytest.mark.parametrize("count", [1, 7, 30, 101])
def test_each_digit_is_spread_evenly_over_the_folds_however_few_there_are(labelled, count):
    labels = np.random.default_rng(count).integers(0, 4, count).astype(np.uint8)
    added = splits.add_own(labelled, labelled.images[np.arange(count) % 60], labels, weight=2, folds=3, seed=5)
    folds = added.folds[added.is_own]
    for digit in range(10):
        assert np.ptp(np.bincount(folds[labels == digit], minlength=3)) <= 1
    assert np.ptp(np.bincount(folds, minlength=3)) <= 1
    again = splits.add_own(labelled, labelled.images[np.arange(count) % 60], labels, weight=2, folds=3, seed=5)
    assert np.array_equal(added.folds, again.folds)


def test_own_rows_outside_the_fold_are_all_trained_on_as_often_as_they_weigh(mixed):
    for member in range(3):
        rows = splits.split(mixed, member, validation_fraction=0.1, seed=1)
        outside = np.flatnonzero(mixed.is_own & (mixed.folds != member))
        assert sorted(row for row in rows.train if mixed.is_own[row]) == sorted([*outside] * 4)
        assert not mixed.is_own[rows.validation].any()
        assert not set(rows.held_out) & set(rows.train)


def test_own_rows_of_weight_0_are_evaluated_but_neither_trained_on_nor_consulted(labelled, mixed):
    only_evaluated = mixed._replace(own=np.minimum(mixed.own, 1))
    assert np.array_equal(only_evaluated.known().images, labelled.images)
    assert len(mixed.known().images) == len(mixed.images)
    for member in range(3):
        rows = splits.split(only_evaluated, member, validation_fraction=0.1, seed=1)
        assert np.array_equal(rows.train, splits.split(labelled, member, validation_fraction=0.1, seed=1).train)
        assert only_evaluated.is_own[rows.held_out].any()


def test_kaggles_rows_are_split_alike_with_and_without_own_ones(labelled, mixed):
    for member in range(3):
        without, rows = (splits.split(one, member, validation_fraction=0.1, seed=1) for one in (labelled, mixed))
        assert np.array_equal(rows.train[~mixed.is_own[rows.train]], without.train)
        assert np.array_equal(rows.validation, without.validation)


def test_weights_are_stored_with_the_rows_and_change_a_members_cache_key(tmp_path, labelled, mixed, recipe):
    dataset.save_labelled(tmp_path / "labelled.npz", mixed)
    stored = dataset.load_labelled(tmp_path / "labelled.npz")
    assert np.array_equal(stored.own, mixed.own)
    others = labelled, mixed._replace(own=mixed.own // 2)
    assert len({member_cache.keys(one, recipe)[0] for one in (stored, mixed, *others)}) == 3


def test_own_rows_are_evaluated_out_of_fold_and_are_consulted_by_k_nn_but_no_part_of_a_members_accuracy(monkeypatch):
    images = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    labels, folds = np.array([0, 1, 0, 1, 0, 1, 0, 1], np.uint8), np.array([0, 0, 1, 1, 0, 0, 1, 1], np.uint8)
    labelled = dataset.Labelled(images, labels, folds, np.array([0, 0, 0, 0, 2, 2, 2, 2], np.uint8))
    consulted = []

    def refine(probabilities: np.ndarray, images: np.ndarray, reference: np.ndarray, _: np.ndarray) -> np.ndarray:
        consulted.append((images[:, 0, 0].tolist(), reference[:, 0, 0].tolist()))
        return probabilities

    monkeypatch.setattr(neighbours, "refine_uncertain", refine)
    predictions = confident([0, 1, 0, 1, 1, 0, 1, 0], [0.95] * 8)  # Kaggle's are right, one's own all wrong
    monkeypatch.setattr(ensemble, "predict_proba", lambda _, images: predictions[images[:, 0, 0]])
    ensemble.out_of_fold(labelled._replace(own=np.minimum(labelled.own, 1)), [object(), object()])
    assert consulted == [([0, 1, 4, 5], [2, 3]), ([2, 3, 6, 7], [0, 1])], "those of weight 0 are not consulted"
    consulted.clear()
    result = ensemble.out_of_fold(labelled, [object(), object()])
    assert result.member_accuracies == [1.0, 1.0]
    assert consulted == [([0, 1, 4, 5], [2, 3, 6, 7]), ([2, 3, 6, 7], [0, 1, 4, 5])]
    assert len(result.labelled.images) == 8


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Runs `evaluate` on six of Kaggle's images, two of them misclassified, and those own ones, all misclassified."""

    def run(own_labels: list[int]) -> Path:
        folder = tmp_path / f"with-{len(own_labels)}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        Path("params.yaml").write_text("classes: [zero, one, two, three, four, five, six, seven, eight, nine]\n")
        count = 6 + len(own_labels)
        labels = np.array([0, 1, 2, 3, 4, 5, *own_labels], dtype=np.uint8)
        weights = np.array([0] * 6 + [3] * len(own_labels), dtype=np.uint8)
        labelled = dataset.Labelled(
            np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8),
            labels, labels % 2, weights if own_labels else None,
        )  # fmt: skip
        predicted = [0, 7, 2, 3, 4, 9, *((label + 1) % 10 for label in own_labels)]
        result = dataset.OutOfFold(labelled, confident(predicted, [0.9] * count), [0.75, 0.5])
        dataset.MODELS.mkdir(parents=True)
        HISTORY.to_csv(dataset.MODELS / "history.csv", index=False)
        monkeypatch.setattr(dataset, "load_labelled", lambda _: labelled)
        monkeypatch.setattr(ensemble, "load_members", list)
        monkeypatch.setattr(ensemble, "out_of_fold", lambda *_: result)
        evaluate.main()
        return folder

    return run


@pytest.mark.slow
def test_own_errors_are_reported_apart_and_no_figure_of_kaggles_changes(evaluated, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "save", lambda *_: None)
    without, with_own = evaluated([]), evaluated([8, 8, 9])
    before, after = (json.loads((path / evaluate.METRICS).read_text()) for path in (without, with_own))
    assert after == before | {"own_accuracy": 0.0, "own_errors": 3, "own_images": 3}
    assert before["evaluated_images"] == 6
    for name in ("confusion_matrix", "calibration", "history"):
        assert (without / f"plots/{name}.csv").read_bytes() == (with_own / f"plots/{name}.csv").read_bytes()
    assert "your own digits, apart: 3 errors in 3 images" in capsys.readouterr().out


@pytest.mark.slow
def test_tables_of_the_plots_show_own_errors_beside_the_others_by_the_names_of_their_classes(evaluated, monkeypatch):
    monkeypatch.setattr(drawing, "save", lambda *_: None)
    without, with_own = evaluated([]), evaluated([8, 8, 9])
    added = {}
    for name in ("headline", "per_class"):
        before, after = ((path / f"plots/{name}.csv").read_text() for path in (without, with_own))
        assert after.startswith(before)
        added[name] = after.removeprefix(before).splitlines()
    assert added["headline"] == ["own errors,3 of 3"]
    assert added["per_class"] == ["eight,own recall,0.0", "nine,own recall,0.0"]


@pytest.mark.slow
def test_the_gallery_shows_own_errors_below_kaggles_only_where_there_are_own_digits(evaluated, monkeypatch):
    drawn = {}
    monkeypatch.setattr(drawing, "save", lambda figure, path: drawn.setdefault(path.name, []).append(figure))
    evaluated([]), evaluated([8, 9])
    without, with_own = drawn["misclassified.png"]
    assert without.get_suptitle().startswith("All 2 misclassified images,")
    assert [part.get_suptitle().partition(",")[0] for part in with_own.subfigs] == [
        "All 2 misclassified images",
        "All 2 misclassified images of your own",
    ]
