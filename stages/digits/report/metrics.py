"""What `evaluate` computes from the out-of-fold predictions: metrics, and tables for DVC's plots."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix as count_pairs
from sklearn.metrics import f1_score, precision_recall_fscore_support

from stages.digits.base import dataset
from stages.digits.base.dataset import Labelled, Labels, OutOfFold, OwnDigits, Probabilities, Rows, Writers
from stages.digits.report import drawing, proportion

BINS = 10  # of confidence, equally wide
MAX_PERFECT = 1000  # images; the best published networks misclassify two of these
SMALLEST_PROBABILITY = 1e-7  # for the log loss: a float32 can be 0


def compute(result: OutOfFold, history: pd.DataFrame) -> dict:
    """The metrics, rounded; rates are from 0 to 1. With a single member, `member_accuracy_std` is left out."""
    labelled, probabilities, member_accuracies = result
    predicted = probabilities.argmax(axis=1)
    correct = predicted == labelled.labels
    accuracy, images = correct.mean(), len(correct)
    bins = calibration(probabilities, labelled.labels)
    gaps = (bins["confidence"] - bins["accuracy"]).abs() * bins["images"]
    of_label = np.maximum(probabilities[np.arange(images), labelled.labels], SMALLEST_PROBABILITY)
    best_epochs = history.loc[history.groupby("member")["validation_loss"].idxmin()]
    values = {
        "accuracy": accuracy,
        "accuracy_standard_error": np.sqrt(accuracy * (1 - accuracy) / images),
        "errors": int((~correct).sum()),
        "evaluated_images": images,
        "evaluated_folds": len(np.unique(labelled.folds)),
        "log_loss": -np.log(of_label).mean(),
        "macro_f1": f1_score(labelled.labels, predicted, average="macro"),
        "expected_calibration_error": gaps.sum() / images,
        "member_accuracy_mean": np.mean(member_accuracies),
        "member_accuracy_std": np.std(member_accuracies, ddof=1) if len(member_accuracies) > 1 else None,
        "train_accuracy": best_epochs["train_accuracy"].mean(),
    }
    return {
        name: value if isinstance(value, int) else round(float(value), 5)
        for name, value in values.items()
        if value is not None
    }


def compute_own(own: OwnDigits, predicted: Labels, writer_independent: bool) -> dict[str, float | str]:
    """The metrics of one's own digits: out of fold, too, and apart from Kaggle's; those of print apart from hands'."""
    values: dict[str, float | str] = {}
    for kind, rows in (("own", ~own.are_printed), ("print", own.are_printed)):
        if images := int(rows.sum()):
            errors = int((predicted[rows] != own.labels[rows]).sum())
            values |= {f"{kind}_accuracy": round(1 - errors / images, 5), f"{kind}_errors": errors}
            values[f"{kind}_images"] = images
    if "own_images" in values:
        values["own_writers"] = len(np.unique(own.writers[~own.are_printed]))
        values["own_evaluation"] = "writer-independent" if writer_independent else "writer-dependent"
    return values


def is_writer_independent(own: OwnDigits, labelled: Labelled) -> bool:
    """Whether no network that predicts a hand was trained on any of its digits."""
    hands = own.subset(~own.are_printed)
    places = set(zip(hands.writers.tolist(), hands.folds.tolist(), strict=True))
    return not labelled.is_own.any() or len(places) == len(np.unique(hands.writers))


def own_writers(own: OwnDigits, predicted: Labels) -> pd.DataFrame:
    """A row for each writer, that with the highest error rate first: `writer, errors, images, error_rate`."""
    table = pd.DataFrame({"writer": np.where(own.writers == "", "own", own.writers), "wrong": predicted != own.labels})
    table = table.groupby("writer")["wrong"].agg(errors="sum", images="size", error_rate="mean").reset_index()
    return table.sort_values("error_rate", ascending=False, kind="stable")


def headline(values: dict, members: int, labelled_images: int) -> pd.DataFrame:
    """What the metrics come to, as text for a person: `figure, value`."""
    figures = {
        "accuracy": proportion.format_accuracy(values["errors"], values["evaluated_images"]),
        "errors": f"{values['errors']:,} of {values['evaluated_images']:,}",
        "labelled images": f"{labelled_images:,}",
        "members": str(members),
        "log loss": f"{values['log_loss']:.4f}",
    }
    if "own_images" in values:
        figures[f"own errors, {values['own_evaluation']}"] = f"{values['own_errors']:,} of {values['own_images']:,}"
    if "print_images" in values:
        figures["print errors"] = f"{values['print_errors']:,} of {values['print_images']:,}"
    return pd.DataFrame(figures.items(), columns=["figure", "value"])


def warnings(metrics: dict[str, float]) -> list[str]:
    """What a person should know before trusting these metrics."""
    if metrics["errors"] or metrics["evaluated_images"] <= MAX_PERFECT:
        return []
    return [
        f"warning: all {metrics['evaluated_images']} held-out images are predicted correctly, which is too good to be "
        "true: look for a leak, such as the label in the pixels or copies of an image in several folds"
    ]


def calibration(probabilities: Probabilities, labels: Labels) -> pd.DataFrame:
    """A row for each bin of confidence that has images: `confidence` (mean), `accuracy`, `images`."""
    confidence = probabilities.max(axis=1)
    predictions = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels})
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return predictions.groupby(bins).agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), images=("accuracy", "size")
    )


def per_class(predicted: Labels, labels: Labels) -> pd.DataFrame:
    """Precision and recall of each digit, in long form: `digit, measure, value`."""
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, predicted, labels=range(dataset.DIGITS), zero_division=0
    )
    table = pd.DataFrame({"digit": range(dataset.DIGITS), "precision": precision, "recall": recall})
    return table.melt("digit", var_name="measure", value_name="value")


def confusion_matrix(predicted: Labels, labels: Labels) -> pd.DataFrame:
    """A row for each pair of digits: `actual, predicted, images`, and `fraction` of the actual digit's images."""
    counts = count_pairs(labels, predicted, labels=range(dataset.DIGITS))
    actual, guess = np.indices(counts.shape).reshape(2, -1)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame({"actual": actual, "predicted": guess, "images": counts.ravel(), "fraction": fractions.ravel()})


def most_confident_errors(probabilities: Probabilities, labels: Labels) -> Rows:
    """The rows of the misclassified images, the most confident first."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return rows[np.argsort(-probabilities[rows].max(axis=1), kind="stable")]


def misclassified(result: OutOfFold, writers: Writers | None = None) -> drawing.Misclassified:
    """The misclassified images as they are drawn, the most confident first; `writers` (n,) are those of all images."""
    labelled, probabilities, _ = result
    rows = most_confident_errors(probabilities, labelled.labels)
    predicted, confidence = probabilities[rows].argmax(axis=1), probabilities[rows].max(axis=1)
    names = None if writers is None else writers[rows].tolist()
    return drawing.Misclassified(labelled.images[rows], labelled.labels[rows], predicted, confidence, names)


def name_classes(table: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """`table` with the names of the classes in place of their labels, 0–9."""
    names = np.array(list(classes), dtype=object)
    columns = table.columns.intersection(["actual", "predicted", "digit"])
    return table.assign(**{column: names[table[column]] for column in columns})
