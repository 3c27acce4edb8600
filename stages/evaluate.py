"""Evaluate the out-of-fold predictions: metrics, tables for DVC's plots, and figures."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from stages.digits.base import dataset, errors, files, params
from stages.digits.prediction import ensemble
from stages.digits.report import drawing, metrics, proportion

METRICS = Path("metrics/evaluate.json")
PLOTS = Path("plots")


def write_table(name: str, table: pd.DataFrame) -> None:
    files.write_text(PLOTS / f"{name}.csv", table.round(5).to_csv(index=False, lineterminator="\n"))


def main() -> None:
    classes = params.classes()
    all_labelled = dataset.load_labelled(dataset.LABELLED)
    everything = ensemble.out_of_fold(all_labelled, ensemble.load_members())
    is_own = everything.labelled.is_own
    result, own = everything.subset(~is_own), everything.subset(is_own)
    kaggle_rows = int((~all_labelled.is_own).sum())
    history = pd.read_csv(dataset.MODELS / "history.csv")
    labelled, probabilities, member_accuracies = result
    predicted = probabilities.argmax(axis=1)
    pairs = metrics.confusion_matrix(predicted, labelled.labels)
    digits = metrics.per_class(predicted, labelled.labels)
    values = metrics.compute(result, history)
    if is_own.any():
        values |= metrics.compute_own(own)
        recalls = metrics.per_class(own.probabilities.argmax(axis=1), own.labelled.labels).query("measure == 'recall'")
        written = recalls[np.isin(recalls["digit"], own.labelled.labels)]
        digits = pd.concat([digits, written.assign(measure="own recall")])

    files.write_text(METRICS, json.dumps(values, indent=2) + "\n")
    write_table("headline", metrics.headline(values, len(member_accuracies), kaggle_rows))
    write_table("history", history)
    write_table("confusion_matrix", metrics.name_classes(pairs, classes))
    write_table("per_class", metrics.name_classes(digits, classes))
    write_table("calibration", metrics.calibration(probabilities, labelled.labels))
    drawing.save(drawing.history(history), PLOTS / "history.png")
    drawing.save(drawing.confusion_matrix(pairs, classes), PLOTS / "confusion_matrix.png")
    own_errors = metrics.misclassified(own) if is_own.any() else None
    drawing.save(drawing.misclassified(metrics.misclassified(result), classes, own_errors), PLOTS / "misclassified.png")
    print(
        f"out-of-fold accuracy {proportion.format_accuracy(values['errors'], values['evaluated_images'])}: "
        f"{values['errors']:,} errors in {values['evaluated_images']:,} of {kaggle_rows:,} labelled images"
    )
    if is_own.any():
        print("your own digits, apart: {own_errors} errors in {own_images} images".format(**values))
    for warning in metrics.warnings(values):
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    errors.run(main)
