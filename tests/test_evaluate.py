"""The metrics and tables, on probabilities made by hand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from stages import evaluate
from stages.digits import dataset, neighbours, network
from stages.digits.recipe import Epoch

HISTORY = pd.DataFrame(
    [
        Epoch(0, 1, 0.9, 0.8, 0.5, 0.6),
        Epoch(0, 2, 0.7, 0.4, 0.7, 0.9),
        Epoch(0, 3, 0.5, 0.6, 0.8, 0.8),
        Epoch(1, 1, 0.9, 0.3, 0.9, 0.7),
    ]
)


def sure(predicted: list[int], confidence: list[float]) -> np.ndarray:
    """Probabilities (n, 10) that give `predicted` its confidence and share the rest evenly."""
    probabilities = np.repeat((1 - np.array(confidence))[:, None] / 9, 10, axis=1)
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


@pytest.fixture
def judged() -> evaluate.Judged:
    """Six images in two folds; the second and the sixth are mistaken."""
    labels = np.array([0, 1, 2, 3, 4, 5], dtype=np.uint8)
    folds = np.array([0, 0, 0, 0, 1, 1], dtype=np.uint8)
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    probabilities = sure([0, 7, 2, 3, 4, 9], [0.95, 0.55, 0.95, 0.95, 0.95, 0.85])
    return evaluate.Judged(dataset.Labelled(images, labels, folds), probabilities, [3 / 4, 1 / 2])


def test_accuracy_and_errors_count_every_image_once(judged):
    found = evaluate.metrics(judged, HISTORY)
    assert (found["accuracy"], found["errors"], found["images"]) == (pytest.approx(4 / 6, abs=1e-5), 2, 6)


def test_loss_is_the_mean_over_images_of_what_the_label_was_given(judged):
    expected = -(4 * np.log(0.95) + np.log(0.45 / 9) + np.log(0.15 / 9)) / 6
    assert evaluate.metrics(judged, HISTORY)["loss"] == pytest.approx(expected, abs=1e-5)


def test_members_are_compared_on_their_own_folds(judged):
    found = evaluate.metrics(judged, HISTORY)
    assert found["member_mean"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["member_spread"] == pytest.approx(np.std([3 / 4, 1 / 2], ddof=1), abs=1e-5)


def test_training_accuracy_is_that_of_the_kept_epochs(judged):
    assert evaluate.metrics(judged, HISTORY)["training_accuracy"] == pytest.approx((0.7 + 0.9) / 2)


def test_calibration_error_weighs_the_gaps_by_images(judged):
    labelled, probabilities, _ = judged
    expected = (4 * abs(0.95 - 1) + abs(0.55 - 0) + abs(0.85 - 0)) / 6
    assert evaluate.metrics(judged, HISTORY)["calibration_error"] == pytest.approx(expected, abs=1e-5)
    assert evaluate.calibration(probabilities, labelled.labels)["images"].tolist() == [1, 1, 4]


def test_full_confidence_has_a_bin():
    table = evaluate.calibration(sure([3], [1.0]), np.array([3]))
    assert table["accuracy"].tolist() == [1.0]


def test_metrics_are_flat_numbers(judged):
    assert all(isinstance(value, int | float) for value in evaluate.metrics(judged, HISTORY).values())


def test_confusion_shares_are_of_the_actual_digit():
    counts = np.zeros((10, 10), dtype=int)
    counts[3, 3], counts[3, 5], counts[5, 5] = 3, 1, 7
    table = evaluate.confusion_table(counts).set_index(["actual", "predicted"])
    assert table.loc[(3, 5)].tolist() == [1, 0.25]
    assert table.loc[(5, 5)].tolist() == [7, 1.0]
    assert table.loc[(0, 0)].tolist() == [0, 0]
    assert len(table) == 100


def test_precision_and_recall_are_not_swapped():
    table = evaluate.per_class(np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2])).set_index(["measure", "digit"])["value"]
    assert table[("precision", 1)] == pytest.approx(2 / 3)
    assert table[("recall", 1)] == 1
    assert table[("recall", 2)] == 0.5


def test_mistakes_come_surest_first(judged):
    assert evaluate.surest_mistakes(judged.probabilities, judged.labelled.labels).tolist() == [5, 1]


@pytest.fixture
def out_of_fold(judged, monkeypatch, tmp_path) -> Callable[[int], evaluate.Judged]:
    """So many stand-ins for members judge six images in two folds: member k says k, whatever it sees; all are sure."""
    monkeypatch.setattr(neighbours, "settled", lambda probabilities, *_: probabilities)
    monkeypatch.setattr(dataset, "MODELS", tmp_path)
    monkeypatch.setattr(evaluate.keras.models, "load_model", lambda path: int(path.stem[-2:]))
    monkeypatch.setattr(
        network, "probabilities", lambda member, images: sure([member] * len(images), [0.9] * len(images))
    )

    def judge(members: int) -> evaluate.Judged:
        for member in range(members):
            dataset.model_path(member).touch()
        return evaluate.out_of_fold(judged.labelled)

    return judge


def test_every_image_is_judged_by_the_member_that_holds_it_out(out_of_fold):
    found = out_of_fold(2)
    assert found.probabilities.argmax(axis=1).tolist() == found.labelled.folds.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.of_members == [1 / 4, 0]  # member 0 says 0 to the labels 0, 1, 2, 3; member 1 says 1 to 4 and 5


def test_images_that_no_member_holds_out_are_not_judged(out_of_fold):
    found = out_of_fold(1)
    assert found.labelled.labels.tolist() == [0, 1, 2, 3]
    assert len(found.probabilities) == len(found.labelled.images) == 4
    assert "member_spread" not in evaluate.metrics(found, HISTORY)


def test_the_members_of_one_fold_are_averaged(out_of_fold):
    found = out_of_fold(3)
    assert found.probabilities[0, [0, 2]] == pytest.approx([(0.9 + 0.1 / 9) / 2] * 2)
    assert found.probabilities[5, 1] == pytest.approx(0.9)
    assert len(found.of_members) == 3


def test_what_is_unsure_is_settled_by_images_outside_its_fold(out_of_fold, monkeypatch):
    seen = []

    def settled(_: np.ndarray, images: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
        seen.append((images[:, 0, 0].tolist(), known[:, 0, 0].tolist(), labels.tolist()))
        return sure([len(images)] * len(images), [0.9] * len(images))

    monkeypatch.setattr(neighbours, "settled", settled)
    assert out_of_fold(1).probabilities.argmax(axis=1).tolist() == [4] * 4
    assert out_of_fold(2).probabilities.argmax(axis=1).tolist() == [4] * 4 + [2] * 2
    first, second = ([0, 1, 2, 3], [4, 5], [4, 5]), ([4, 5], [0, 1, 2, 3], [0, 1, 2, 3])
    assert seen == [first, first, second]
    assert out_of_fold(2).of_members == [1 / 4, 0]  # alone
