"""One's own digits in the pipeline: trained on like Kaggle's rows and evaluated apart from them, by writer."""

import json
from pathlib import Path

import numpy as np
import pytest
from probabilities import HISTORY, confident

from stages import evaluate, prepare
from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble, neighbours
from stages.digits.report import drawing, metrics
from stages.digits.tables import own
from stages.digits.training import member_cache

LABELS = np.array([3, 1, 3], dtype=np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
CELLS = np.array([[0, 1], [9, 20], [0, 2]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three digits of two pages, by two writers."""
    own.write(tmp_path / "own/b/b.csv", IMAGES[:1], LABELS[:1], CELLS[:1])
    own.write(tmp_path / "own/a.csv", IMAGES[1:], LABELS[1:], CELLS[1:])
    return tmp_path / "own"


@pytest.fixture
def project_with_own(project: Path, folder: Path) -> Path:
    """The project, its params.yaml set to those digits."""
    with (project / "params.yaml").open("a") as file:
        file.write(f"own: {folder}\nown_weight: 5\n")
    return project


@pytest.fixture
def seven(labelled) -> dataset.OwnDigits:
    """Seven own digits of one hand."""
    images, labels, writers = labelled.images[:7] ^ 1, labelled.labels[:7], np.array(["a"] * 7)
    return dataset.OwnDigits(images, labels, splits.assign_own_folds(labels, writers, folds=3, seed=0), writers)


@pytest.fixture
def mixed(labelled, seven) -> dataset.Labelled:
    """120 of Kaggle's images in three folds, and those seven, each trained on four times."""
    return splits.add_own(labelled, seven, weight=4)


def set_own(project: Path, value: str) -> None:
    """Change params.yaml from `own:` on."""
    path = project / "params.yaml"
    path.write_text(path.read_text().partition("own:")[0] + value)


def test_prepare_adds_them_after_kaggles_rows_which_stay_in_their_folds(project_with_own):
    prepare.main()
    with_own, digits = dataset.load_labelled(dataset.LABELLED), dataset.load_own(dataset.OWN)
    figures = json.loads(prepare.METRICS.read_text())
    set_own(project_with_own, "")
    prepare.main()
    without = dataset.load_labelled(dataset.LABELLED)
    assert without.own is None
    for array, expected in zip(with_own[:3], without[:3], strict=True):
        assert np.array_equal(array[:60], expected)
    assert with_own.own.tolist() == [0] * 60 + [5] * 3
    assert with_own.labels[60:].tolist() == digits.labels.tolist() == [1, 3, 3]
    assert digits.writers.tolist() == ["", "", "b"]
    assert np.array_equal(with_own.folds[60:], digits.folds)
    assert len(dataset.load_own(dataset.OWN).labels) == 0
    assert figures == json.loads(prepare.METRICS.read_text()) | {"own_rows": 3, "own_writers": 2, "own_duplicates": 0}


def test_digits_that_are_only_evaluated_leave_what_is_trained_on_as_it_is_without_them(project_with_own, capsys):
    written = {}
    for value in ("", "own: {folder}\nown_weight: 0\n"):
        set_own(project_with_own, value.format(folder=project_with_own / "own"))
        prepare.main()
        written[value] = dataset.LABELLED.read_bytes(), len(dataset.load_own(dataset.OWN).labels)
    [(without, no_rows), (evaluated_only, rows)] = written.values()
    assert evaluated_only == without
    assert (no_rows, rows) == (0, 3)
    assert not capsys.readouterr().err


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
@pytest.mark.parametrize("writer", ["a", dataset.PRINT])
def test_each_digit_of_a_few_writers_and_of_print_is_spread_evenly_over_the_folds(count, writer):
    labels, writers = np.random.default_rng(count).integers(0, 4, count).astype(np.uint8), np.array([writer] * count)
    folds = splits.assign_own_folds(labels, writers, folds=3, seed=5)
    for digit in range(10):
        assert np.ptp(np.bincount(folds[labels == digit], minlength=3)) <= 1
    assert np.ptp(np.bincount(folds, minlength=3)) <= 1
    assert np.array_equal(folds, splits.assign_own_folds(labels, writers, folds=3, seed=5))


@pytest.mark.parametrize(("hands", "whole"), [(2, False), (3, True), (7, True)])
def test_a_writer_is_held_out_whole_if_there_are_as_many_as_folds(hands, whole):
    """One of them wrote a single digit; print, though a folder like theirs, is no hand."""
    writers = np.repeat([*(f"hand {hand}" for hand in range(hands)), dataset.PRINT], 20)
    writers[1:20] = writers[20]
    folds = splits.assign_own_folds((np.arange(len(writers)) % 10).astype(np.uint8), writers, folds=3, seed=1)
    assert set(folds) == {0, 1, 2}
    for hand in range(1, hands):
        assert (len(set(folds[writers == f"hand {hand}"])) == 1) == whole
    assert len(set(folds[writers == dataset.PRINT])) == 3


def test_own_rows_outside_the_fold_are_all_trained_on_as_often_as_they_weigh(mixed):
    for member in range(3):
        rows = splits.split(mixed, member, validation_fraction=0.1, seed=1)
        outside = np.flatnonzero(mixed.is_own & (mixed.folds != member))
        assert sorted(row for row in rows.train if mixed.is_own[row]) == sorted([*outside] * 4)
        assert not mixed.is_own[rows.validation].any()
        assert not set(rows.held_out) & set(rows.train)


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


def test_own_digits_load_as_they_were_saved_and_anything_else_is_one_line(tmp_path, seven):
    path = tmp_path / "own.npz"
    dataset.save_own(path, seven)
    for array, expected in zip(dataset.load_own(path), seven, strict=True):
        assert np.array_equal(array, expected)
    dataset.save_own(path, seven._replace(writers=seven.writers[1:]))
    with pytest.raises(InputError, match=r"own.npz: found .*; run `dvc repro`"):
        dataset.load_own(path)


def test_an_own_image_is_predicted_by_who_never_saw_it_and_k_nn_consults_other_folds(monkeypatch):
    images = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    labels, folds = np.array([0, 1, 0, 1, 0, 1, 0, 1], np.uint8), np.array([0, 0, 1, 1, 2, 2, 2, 2], np.uint8)
    reference = dataset.Labelled(images, labels, folds)
    own_rows = dataset.Labelled(images[:3] + 10, labels[:3], np.array([0, 0, 1], np.uint8))
    consulted, asked = [], []

    def refine(probabilities: np.ndarray, images: np.ndarray, reference: np.ndarray, _: np.ndarray) -> np.ndarray:
        consulted.append((images[:, 0, 0].tolist(), reference[:, 0, 0].tolist()))
        return probabilities

    def predict(model: str, images: np.ndarray) -> np.ndarray:
        asked.append((model, images[:, 0, 0].tolist()))
        return confident([0] * len(images), [0.95] * len(images))

    monkeypatch.setattr(neighbours, "refine_uncertain", refine)
    monkeypatch.setattr(ensemble, "predict_proba", predict)
    result = ensemble.out_of_fold(own_rows, reference, ["first", "second", "third"])
    assert asked == [("first", [10, 11]), ("second", [12])], "the third holds out no own image"
    assert consulted == [([10, 11], [2, 3, 4, 5, 6, 7]), ([12], [0, 1, 4, 5, 6, 7])]
    assert result.probabilities.argmax(axis=1).tolist() == [0, 0, 0]


@pytest.fixture
def evaluated(tmp_path, monkeypatch):
    """Runs `evaluate` on six of Kaggle's images, two of them misclassified, and own ones, all misclassified."""

    def run(own_labels: list[int], writers: list[str] | None = None, folds: list[int] | None = None) -> Path:
        folder = tmp_path / f"with-{len(own_labels)}-{writers}-{folds}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        Path("params.yaml").write_text("classes: [zero, one, two, three, four, five, six, seven, eight, nine]\n")
        labels, own_count = np.arange(6, dtype=np.uint8), len(own_labels)
        images = np.arange(6 + own_count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)
        digits = dataset.OwnDigits(
            images[6:], np.array(own_labels, np.uint8), np.array(folds or [0] * own_count, np.uint8),
            np.array(writers or [""] * own_count, dtype=str),
        )  # fmt: skip
        predicted = [0, 7, 2, 3, 4, 9, *((label + 1) % 10 for label in own_labels)]
        dataset.MODELS.mkdir(parents=True)
        HISTORY.to_csv(dataset.MODELS / "history.csv", index=False)
        reference = splits.add_own(dataset.Labelled(images[:6], labels, labels % 2), digits, weight=3)
        monkeypatch.setattr(dataset, "load_labelled", lambda _: reference)
        monkeypatch.setattr(dataset, "load_own", lambda _: digits)
        monkeypatch.setattr(ensemble, "load_members", lambda: ["first", "second"])
        monkeypatch.setattr(
            ensemble, "predict_proba",
            lambda _, images: confident([predicted[image[0, 0]] for image in images], [0.9] * len(images)),
        )  # fmt: skip
        evaluate.main()
        return folder

    return run


@pytest.mark.slow
def test_own_errors_are_reported_apart_and_no_figure_of_kaggles_changes(evaluated, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "save", lambda *_: None)
    without, with_own = evaluated([]), evaluated([8, 8, 9, 1], ["a", "a", "b", "print"], [0, 1, 0, 0])
    before, after = (json.loads((path / evaluate.METRICS).read_text()) for path in (without, with_own))
    assert after == before | {
        "own_accuracy": 0.0, "own_errors": 3, "own_images": 3, "own_writers": 2, "own_evaluation": "writer-dependent",
        "print_accuracy": 0.0, "print_errors": 1, "print_images": 1,
    }  # fmt: skip
    assert before["evaluated_images"] == 6
    for name in ("confusion_matrix", "calibration", "history"):
        assert (without / f"plots/{name}.csv").read_bytes() == (with_own / f"plots/{name}.csv").read_bytes()
    printed = capsys.readouterr().out
    assert "your own digits, apart: 3 errors in 3 images" in printed
    assert "printed digits, apart: 1 errors in 1 images" in printed


@pytest.mark.slow
def test_tables_of_the_plots_show_own_errors_beside_the_others_by_the_names_of_their_classes(evaluated, monkeypatch):
    monkeypatch.setattr(drawing, "save", lambda *_: None)
    without, with_own = evaluated([]), evaluated([8, 8, 9, 1], ["a", "a", "b", "print"])
    added = {}
    for name in ("headline", "per_class", "own_writers"):
        before, after = ((path / f"plots/{name}.csv").read_text() for path in (without, with_own))
        assert after.startswith(before)
        added[name] = after.removeprefix(before).splitlines()
    assert added["headline"] == ['"own errors, writer-independent",3 of 3', "print errors,1 of 1"]
    assert added["per_class"] == ["eight,own recall,0.0", "nine,own recall,0.0"]
    assert added["own_writers"] == ["a,2,2,1.0", "b,1,1,1.0", "print,1,1,1.0"]


@pytest.mark.slow
def test_the_gallery_shows_own_errors_below_kaggles_with_the_writers_name(evaluated, monkeypatch):
    drawn = {}
    monkeypatch.setattr(drawing, "save", lambda figure, path: drawn.setdefault(path.name, []).append(figure))
    evaluated([]), evaluated([8, 9], ["a", ""])
    without, with_own = drawn["misclassified.png"]
    assert without.get_suptitle().startswith("All 2 misclassified images,")
    assert [part.get_suptitle().partition(",")[0] for part in with_own.subfigs] == [
        "All 2 misclassified images",
        "All 2 misclassified images of your own",
    ]
    titles = [axes.get_title() for axes in with_own.subfigs[1].axes[:2]]
    assert titles[0].endswith("sure\na")


@pytest.mark.parametrize(
    ("folds", "weight", "expected"), [([0, 0, 1], 1, True), ([0, 1, 1], 1, False), ([0, 1, 1], 0, True)]
)
def test_a_number_is_writer_independent_if_no_network_learned_from_a_hand_it_predicts(
    labelled, folds, weight, expected
):
    """Also if own digits are only evaluated; the folds of printed digits don't count."""
    writers = np.array(["a", "a", "b", dataset.PRINT, dataset.PRINT])
    digits = dataset.OwnDigits(*(array[:5] for array in labelled[:2]), np.array([*folds, 0, 1], np.uint8), writers)
    assert metrics.is_writer_independent(digits, splits.add_own(labelled, digits, weight)) == expected


def test_the_worst_writer_comes_first_and_the_files_at_the_top_are_own(labelled):
    digits = dataset.OwnDigits(*labelled[:3], np.array(["b", ""] * 60)).subset(np.arange(120) < 4)
    predicted = digits.labels + np.array([0, 0, 0, 1], np.uint8)
    assert metrics.own_writers(digits, predicted).to_numpy().tolist() == [["own", 1, 2, 0.5], ["b", 0, 2, 0.0]]
