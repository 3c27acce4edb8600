"""Judge the labelled images that a member holds out by the members that never saw them, and show where they fail."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from stages.digits import dataset, drawing, neighbours, network
from stages.digits.backend import keras

METRICS = Path("metrics/evaluate.json")
PLOTS = Path("plots")
BINS = 10  # of confidence, equally wide


class Judged(NamedTuple):
    """The labelled images that some member holds out, and what those members say."""

    labelled: dataset.Labelled
    probabilities: np.ndarray  # (n, 10), each row the mean over the members that hold the image out, settled if unsure
    of_members: list[float]  # accuracy of each alone on its own fold


def out_of_fold(labelled: dataset.Labelled) -> Judged:
    """Every image judged by the members that hold it out; where there are more folds than members, some by none."""
    total, judges = np.zeros((len(labelled.images), dataset.DIGITS)), np.zeros((len(labelled.images), 1))
    of_members = []
    for member, path in enumerate(dataset.model_paths()):
        held_out = dataset.held_out(labelled, member)
        found = network.probabilities(keras.models.load_model(path), labelled.images[held_out])
        of_members.append(float((found.argmax(axis=1) == labelled.labels[held_out]).mean()))
        total[held_out] += found
        judges[held_out] += 1
    rows = judges[:, 0] > 0
    judged = dataset.Labelled(*(array[rows] for array in labelled))
    probabilities = total[rows] / judges[rows]
    for fold in np.unique(judged.folds):
        inside, outside = judged.folds == fold, labelled.folds != fold
        probabilities[inside] = neighbours.settled(
            probabilities[inside], judged.images[inside], labelled.images[outside], labelled.labels[outside]
        )
    return Judged(judged, probabilities, of_members)


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """A row for each bin of confidence that has images: its mean confidence, its accuracy, how many images."""
    confidence = probabilities.max(axis=1)
    scored = pd.DataFrame({"confidence": confidence, "accuracy": probabilities.argmax(axis=1) == labels})
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return scored.groupby(bins).agg(
        confidence=("confidence", "mean"), accuracy=("accuracy", "mean"), images=("accuracy", "size")
    )


def metrics(judged: Judged, history: pd.DataFrame) -> dict[str, float]:
    """The figures of the run, flat and rounded; shares are of 1; a single member has no spread."""
    labelled, probabilities, of_members = judged
    predicted = probabilities.argmax(axis=1)
    right = predicted == labelled.labels
    spread = {"member_spread": round(float(np.std(of_members, ddof=1)), 5)} if len(of_members) > 1 else {}
    likelihood = probabilities[np.arange(len(right)), labelled.labels]
    bins = calibration(probabilities, labelled.labels)
    gaps = (bins["confidence"] - bins["accuracy"]).abs() * bins["images"]
    kept = history.loc[history.groupby("member")["validation_loss"].idxmin()]
    return {
        "images": len(right),
        "accuracy": round(float(right.mean()), 5),
        "errors": int((~right).sum()),
        "loss": round(float(-np.log(np.maximum(likelihood, 1e-7)).mean()), 5),
        "macro_f1": round(float(f1_score(labelled.labels, predicted, average="macro")), 5),
        "calibration_error": round(float(gaps.sum() / len(right)), 5),
        "member_mean": round(float(np.mean(of_members)), 5),
        **spread,
        "training_accuracy": round(float(kept["train_accuracy"].mean()), 5),
    }


def per_class(predicted: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Precision and recall of each digit, in long form: `digit, measure, value`."""
    precision, recall, _, _ = precision_recall_fscore_support(labels, predicted, labels=range(10), zero_division=0)
    table = pd.DataFrame({"digit": range(dataset.DIGITS), "precision": precision, "recall": recall})
    return table.melt("digit", var_name="measure", value_name="value")


def confusion_table(counts: np.ndarray) -> pd.DataFrame:
    """A row for each pair of digits: `actual, predicted, images, share` of the actual digit."""
    actual, predicted = np.indices(counts.shape).reshape(2, -1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame({"actual": actual, "predicted": predicted, "images": counts.ravel(), "share": shares.ravel()})


def surest_mistakes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows of the mistaken images, the ones predicted with most confidence first."""
    mistaken = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return mistaken[np.argsort(-probabilities[mistaken].max(axis=1), kind="stable")]


def write_table(name: str, table: pd.DataFrame) -> None:
    table.round(5).to_csv(PLOTS / f"{name}.csv", index=False, lineterminator="\n")


def main() -> None:
    judged = out_of_fold(dataset.load_labelled(dataset.LABELLED))
    history = pd.read_csv(dataset.MODELS / "history.csv")
    labelled, probabilities, _ = judged
    predicted = probabilities.argmax(axis=1)
    counts = confusion_matrix(labelled.labels, predicted, labels=range(dataset.DIGITS))
    mistaken = surest_mistakes(probabilities, labelled.labels)
    found = metrics(judged, history)

    METRICS.parent.mkdir(parents=True, exist_ok=True)
    PLOTS.mkdir(parents=True, exist_ok=True)
    METRICS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    write_table("history", history.drop(columns="member").groupby("epoch", as_index=False).mean())
    write_table("confusion", confusion_table(counts))
    write_table("per_class", per_class(predicted, labelled.labels))
    write_table("calibration", calibration(probabilities, labelled.labels))
    drawing.save(drawing.history(history), PLOTS / "history.png")
    drawing.save(drawing.confusion(counts), PLOTS / "confusion.png")
    gallery = drawing.mistakes(
        labelled.images[mistaken],
        labelled.labels[mistaken],
        predicted[mistaken],
        probabilities[mistaken].max(axis=1),
    )
    drawing.save(gallery, PLOTS / "mistakes.png")
    print(f"accuracy {found['accuracy']:.3%}: {found['errors']} of {len(predicted)} held-out images mistaken")


if __name__ == "__main__":
    main()
