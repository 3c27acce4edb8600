"""The metrics and tables, on probabilities made by hand."""

from pathlib import Path

import numpy as np
import pytest
from probabilities import HISTORY, confident

from stages import evaluate
from stages.digits.base import dataset
from stages.digits.prediction import ensemble
from stages.digits.report import drawing, metrics


@pytest.fixture
def result() -> dataset.OutOfFold:
    """Six images in two folds; the second and the sixth are misclassified."""
    labels = np.array([0, 1, 2, 3, 4, 5], dtype=np.uint8)
    folds = np.array([0, 0, 0, 0, 1, 1], dtype=np.uint8)
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)
    probabilities = confident([0, 7, 2, 3, 4, 9], [0.95, 0.55, 0.95, 0.95, 0.95, 0.85])
    return dataset.OutOfFold(dataset.Labelled(images, labels, folds), probabilities, [3 / 4, 1 / 2])


def test_accuracy_and_errors_count_every_image_once(result):
    values = metrics.compute(result, HISTORY)
    assert (values["accuracy"], values["errors"], values["evaluated_images"]) == (
        pytest.approx(4 / 6, abs=1e-5),
        2,
        6,
    )


def test_the_standard_error_is_that_of_a_proportion(result):
    expected = np.sqrt(4 / 6 * 2 / 6 / 6)
    assert metrics.compute(result, HISTORY)["accuracy_standard_error"] == pytest.approx(expected, abs=1e-5)


def test_metrics_say_how_many_folds_were_evaluated(result):
    assert metrics.compute(result, HISTORY)["evaluated_folds"] == 2


def test_a_single_member_has_no_standard_deviation(result):
    assert "member_accuracy_std" not in metrics.compute(result._replace(member_accuracies=[0.75]), HISTORY)


@pytest.mark.parametrize(
    ("images", "errors", "lines"), [(1001, 0, 1), (1000, 0, 0), (1001, 1, 0)], ids=["leak", "few images", "an error"]
)
def test_only_a_perfect_accuracy_on_more_than_a_thousand_images_warns(
    tmp_path, monkeypatch, capsys, images, errors, lines
):
    labels = (np.arange(images) % 10).astype(np.uint8)
    predicted = labels.copy()
    predicted[:errors] += 1
    labelled = dataset.Labelled(np.zeros((images, 28, 28), dtype=np.uint8), labels, labels % 2)
    result = dataset.OutOfFold(labelled, confident(predicted.tolist(), [0.9] * images), [1.0])
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("raw: data/sample\n", encoding="utf-8")
    dataset.MODELS.mkdir(parents=True)
    HISTORY.to_csv(dataset.MODELS / "history.csv", index=False)
    monkeypatch.setattr(dataset, "load_labelled", lambda _: labelled)
    monkeypatch.setattr(dataset, "load_own", lambda _: dataset.NO_OWN)
    empty = dataset.OutOfFold(dataset.Labelled(*dataset.NO_OWN[:3]), np.zeros((0, 10)), [])
    monkeypatch.setattr(ensemble, "load_members", list)
    monkeypatch.setattr(ensemble, "out_of_fold", lambda rows, *_: result if len(rows.labels) else empty)
    monkeypatch.setattr(drawing, "save", lambda *_: None)
    evaluate.main()
    warning = capsys.readouterr().err
    assert warning.count("\n") == lines
    assert warning.startswith(f"warning: all {images} held-out images are predicted correctly" * lines)


def test_log_loss_is_the_mean_over_images(result):
    expected = -(4 * np.log(0.95) + np.log(0.45 / 9) + np.log(0.15 / 9)) / 6
    assert metrics.compute(result, HISTORY)["log_loss"] == pytest.approx(expected, abs=1e-5)


def test_members_are_compared_on_their_own_folds(result):
    values = metrics.compute(result, HISTORY)
    assert values["member_accuracy_mean"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert values["member_accuracy_std"] == pytest.approx(np.std([3 / 4, 1 / 2], ddof=1), abs=1e-5)


def test_train_accuracy_is_that_of_the_kept_epochs(result):
    assert metrics.compute(result, HISTORY)["train_accuracy"] == pytest.approx((0.7 + 0.9) / 2)


def test_calibration_error_weights_the_gaps_by_images(result):
    labelled, probabilities, _ = result
    expected = (4 * abs(0.95 - 1) + abs(0.55 - 0) + abs(0.85 - 0)) / 6
    assert metrics.compute(result, HISTORY)["expected_calibration_error"] == pytest.approx(expected, abs=1e-5)
    assert metrics.calibration(probabilities, labelled.labels)["images"].tolist() == [1, 1, 4]


def test_full_confidence_has_a_bin():
    table = metrics.calibration(confident([3], [1.0]), np.array([3]))
    assert table["accuracy"].tolist() == [1.0]


def test_metrics_are_flat_numbers(result):
    assert all(isinstance(value, int | float) for value in metrics.compute(result, HISTORY).values())


def test_the_headline_is_text_for_people():
    values = {"errors": 44, "evaluated_images": 16800, "log_loss": 0.00987}
    table = metrics.headline(values, members=4, labelled_images=42000)
    assert dict(table.to_numpy().tolist()) == {
        "accuracy": "99.74 % (99.65 to 99.80)",
        "errors": "44 of 16,800",
        "labelled images": "42,000",
        "members": "4",
        "log loss": "0.0099",
    }


def test_confusion_fractions_are_of_the_actual_digit():
    actual, predicted = [3, 3, 3, 3, *[5] * 7], [3, 3, 3, 5, *[5] * 7]
    table = metrics.confusion_matrix(np.array(predicted), np.array(actual)).set_index(["actual", "predicted"])
    assert table.loc[(3, 5)].tolist() == [1, 0.25]
    assert table.loc[(5, 5)].tolist() == [7, 1.0]
    assert table.loc[(0, 0)].tolist() == [0, 0]
    assert len(table) == 100


def test_precision_and_recall_are_not_swapped():
    table = metrics.per_class(np.array([1, 1, 1, 2]), np.array([1, 1, 2, 2])).set_index(["measure", "digit"])["value"]
    assert table[("precision", 1)] == pytest.approx(2 / 3)
    assert table[("recall", 1)] == 1
    assert table[("recall", 2)] == 0.5


def test_tables_have_the_names_of_the_classes_in_place_of_their_labels():
    actual, predicted = np.array([3, 5]), np.array([5, 5])
    pairs = metrics.name_classes(metrics.confusion_matrix(predicted, actual), list("zyxwvutsrq"))
    assert pairs.set_index(["actual", "predicted"])["images"].loc[[("w", "u"), ("u", "u"), ("u", "w")]].tolist() == [
        1,
        1,
        0,
    ]
    per_class = metrics.name_classes(metrics.per_class(predicted, actual), list("zyxwvutsrq"))
    assert per_class["digit"].tolist() == list("zyxwvutsrq") * 2


def test_the_names_0_to_9_leave_a_table_as_it_was():
    table = metrics.confusion_matrix(np.array([5, 5]), np.array([3, 5]))
    assert metrics.name_classes(table, "0123456789").to_csv() == table.to_csv()


def test_errors_come_most_confident_first(result):
    assert metrics.most_confident_errors(result.probabilities, result.labelled.labels).tolist() == [5, 1]
