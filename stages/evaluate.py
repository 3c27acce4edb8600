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
    reference, own = dataset.load_labelled(dataset.LABELLED), dataset.load_own(dataset.OWN)
    members, kaggle_rows = ensemble.load_members(), reference.subset(~reference.is_own)
    result = ensemble.out_of_fold(kaggle_rows, reference, members)
    history = pd.read_csv(dataset.MODELS / "history.csv")
    labelled, probabilities, _ = result
    predicted = probabilities.argmax(axis=1)
    pairs = metrics.confusion_matrix(predicted, labelled.labels)
    digits = metrics.per_class(predicted, labelled.labels)
    values = metrics.compute(result, history)
    independent = metrics.is_writer_independent(own, reference)
    own = own.subset(np.isin(own.folds, labelled.folds))  # there may be fewer members than folds
    own_result = ensemble.out_of_fold(dataset.Labelled(*own[:3]), reference, members)
    own_predicted = own_result.probabilities.argmax(axis=1)
    if len(own.labels):
        values |= metrics.compute_own(own, own_predicted, independent)
        hands = ~own.are_printed
        recalls = metrics.per_class(own_predicted[hands], own.labels[hands]).query("measure == 'recall'")
        written = recalls[np.isin(recalls["digit"], own.labels[hands])]
        digits = pd.concat([digits, written.assign(measure="own recall")])

    files.write_text(METRICS, json.dumps(values, indent=2) + "\n")
    write_table("headline", metrics.headline(values, len(members), len(kaggle_rows.labels)))
    write_table("history", history)
    write_table("confusion_matrix", metrics.name_classes(pairs, classes))
    write_table("per_class", metrics.name_classes(digits, classes))
    write_table("own_writers", metrics.own_writers(own, own_predicted))
    write_table("calibration", metrics.calibration(probabilities, labelled.labels))
    drawing.save(drawing.history(history), PLOTS / "history.png")
    drawing.save(drawing.confusion_matrix(pairs, classes), PLOTS / "confusion_matrix.png")
    own_errors = metrics.misclassified(own_result, own.writers) if len(own.labels) else None
    drawing.save(drawing.misclassified(metrics.misclassified(result), classes, own_errors), PLOTS / "misclassified.png")
    print(
        f"out-of-fold accuracy {proportion.format_accuracy(values['errors'], values['evaluated_images'])}: "
        f"{values['errors']:,} errors in {values['evaluated_images']:,} of {len(kaggle_rows.labels):,} labelled images"
    )
    for kind, what in (("own", "your own digits"), ("print", "printed digits")):
        if f"{kind}_images" in values:
            print(f"{what}, apart: {values[f'{kind}_errors']:,} errors in {values[f'{kind}_images']:,} images")
    for warning in metrics.warnings(values):
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    errors.run(main)
