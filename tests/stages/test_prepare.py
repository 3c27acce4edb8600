"""The stage prepare: the figures, the files, and what it leaves alone when it rejects a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages import prepare
from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError
from stages.digits.tables import kaggle

REPOSITORY = Path(__file__).parents[2]
OUTPUTS = [
    "data/prepared/labelled.npz",
    "data/prepared/own.npz",
    "data/prepared/unlabelled.npz",
    "metrics/prepare.json",
    "plots/class_balance.csv",
    "plots/samples.png",
]


def python(*arguments: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def half_inked(ink: int) -> np.ndarray:
    """An image with a blank left half and a right half of that ink."""
    image = np.zeros((28, 28), dtype=np.uint8)
    image[:, 14:] = ink
    return image


def spoil(path: Path, line: int, value: str) -> None:
    """Put `value` at the end of the line."""
    lines = path.read_text().splitlines()
    lines[line - 1] = lines[line - 1].rpartition(",")[0] + "," + value
    path.write_text("\n".join(lines) + "\n")


def test_figures_of_a_tiny_example_are_right():
    light, dark, other = half_inked(100), half_inked(200), half_inked(50)
    labelled = kaggle.Table(np.stack([light, dark, light, light]), np.array([0, 1, 0, 2], dtype=np.uint8))
    unlabelled = kaggle.Table(np.stack([dark, other, dark]))
    assert prepare.statistics(labelled, unlabelled) == {
        "labelled_rows": 4,
        "unlabelled_rows": 3,
        "missing_values": 0,
        "pixel_mean": 62.5,  # (4 x 0 + 3 x 100 + 200) / 8
        "pixel_std": 69.5971,  # the root of (3 x 100² + 200²) / 8 - 62.5²
        "always_blank_pixels": 28 * 14,
        "min_class_count": 0,
        "max_class_count": 2,
        "duplicate_images": 2,
        "conflicting_labels": 1,
        "leaked_images": 2,
    }


def test_every_one_of_very_many_images_counts(drawn_unlabelled):
    images = np.zeros((20_001, 28, 28), dtype=np.uint8)
    images[-1] = 255
    labelled = kaggle.Table(images, np.arange(20_001) % 10)
    assert prepare.statistics(labelled, drawn_unlabelled)["pixel_mean"] == pytest.approx(255 / 20_001, abs=5e-5)


@pytest.mark.parametrize("name", ["duplicate_images", "conflicting_labels", "leaked_images"])
def test_images_that_make_an_accuracy_doubtful_are_a_warning_with_their_count(drawn, drawn_unlabelled, name):
    metrics = prepare.statistics(drawn, drawn_unlabelled) | {name: 17}
    [warning] = prepare.warnings(metrics)
    assert warning.startswith("warning: 17 images of ")
    assert "\n" not in warning


def test_a_leak_is_called_a_leak(drawn, drawn_unlabelled):
    [warning] = prepare.warnings(prepare.statistics(drawn, drawn_unlabelled) | {"leaked_images": 1})
    assert "test.csv" in warning
    assert "train.csv" in warning
    assert "leak" in warning


def test_prepare_writes_its_files_and_the_same_bytes_each_time(project, capsys):
    before = contents(project)
    prepare.main()
    first = contents(project)
    assert sorted(first.keys() - before.keys()) == OUTPUTS
    assert capsys.readouterr().err == ""
    prepare.main()
    assert contents(project) == first


def test_prepare_warns_of_doubtful_images_and_continues(project, drawn, capsys):
    images = np.concatenate([drawn.images, drawn.images[:2]])
    labels = np.concatenate([drawn.labels, [drawn.labels[0], 5]])  # the second copy has a conflicting label
    kaggle.write_table(project / "data/raw/train.csv", kaggle.Table(images, labels))
    kaggle.write_table(project / "data/raw/test.csv", kaggle.Table(drawn.images[:7]))
    prepare.main()
    assert [line.split(" images ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "warning: 2",
        "warning: 1",
        "warning: 7",
    ]
    metrics = json.loads((project / "metrics/prepare.json").read_text())
    assert (metrics["duplicate_images"], metrics["conflicting_labels"], metrics["leaked_images"]) == (2, 1, 7)


def test_what_prepare_writes_is_what_was_read(project, drawn, drawn_unlabelled):
    prepare.main()
    labelled = dataset.load_labelled(dataset.LABELLED)
    assert np.array_equal(labelled.images, drawn.images)
    assert np.array_equal(labelled.labels, drawn.labels)
    assert np.array_equal(labelled.folds, splits.assign_folds(drawn.labels, folds=3, seed=1))
    assert np.array_equal(dataset.load_unlabelled(dataset.UNLABELLED), drawn_unlabelled.images)
    balance = (project / "plots/class_balance.csv").read_bytes().decode()
    assert balance == "digit,rows\n" + "".join(f"{digit},6\n" for digit in range(10))
    metrics = json.loads((project / "metrics/prepare.json").read_text())
    assert metrics["labelled_rows"] == 60
    assert metrics["unlabelled_rows"] == 20
    assert metrics["missing_values"] == 0
    assert all(type(value) in (int, float) for value in metrics.values())  # DVC drops other values


def test_the_class_balance_has_the_names_of_the_classes(project):
    with (project / "params.yaml").open("a") as file:
        file.write('classes: [Bag, "Ankle boot", c, d, e, f, g, h, i, "a,b"]\n')
    prepare.main()
    _, *rows = (project / "plots/class_balance.csv").read_text().splitlines()
    assert rows == ["Bag,6", "Ankle boot,6", *(f"{name},6" for name in "cdefghi"), '"a,b",6']


@pytest.mark.slow
def test_a_rejected_file_is_one_line_and_changes_no_output(project):
    for name in OUTPUTS:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"from an earlier run")
    spoil(project / "data/raw/test.csv", line=9, value="256")
    before = contents(project)
    done = python("-m", "stages.prepare")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "data/raw: test.csv, line 9, column pixel783: found '256', expected a whole number from 0 to 255\n"
    )
    assert contents(project) == before


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("folds: 3", "folds: 4", "train.csv: label 0: found 6 rows, expected at least 8"),
        ("folds: 3", "folds: '3'", "params.yaml: prepare.folds: found '3', expected a valid integer"),
        ("folds: 3", "fold: 3", "params.yaml: prepare.fold: unknown; did you mean folds?"),
        ("prepare:", "prepared:", "params.yaml: prepare: found None, expected a section with seed, folds"),
        ("raw: data/raw", "raw: data/raw\nclasses: 5", "params.yaml: classes: found 5, expected a list"),
        ("raw: data/raw", "", "params.yaml: raw: found None, expected the path"),
        ("raw: data/raw", "raw: data/nothing.zip", "data/nothing.zip: missing"),
    ],
)
def test_a_rejected_parameter_changes_no_output(project, old, new, part):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace(old, new))
    before = contents(project)
    with pytest.raises(InputError) as caught:
        prepare.main()
    assert part in caught.value.code
    assert "\n" not in caught.value.code
    assert contents(project) == before


@pytest.mark.slow
def test_sample_and_prepare_never_import_tensorflow():
    done = python("-c", "import sys, stages.sample, stages.prepare; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert "stages.prepare" in done.stdout.split()
    assert not {"tensorflow", "keras", "distributed"} & set(done.stdout.split())
