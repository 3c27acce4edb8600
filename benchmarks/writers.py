"""Errors on hands that were never seen: what is printed for them and what happens, and how many writers are enough.

python -m benchmarks.writers data/digit-recognizer.zip data/own [--held-back | --curve]

`data/own` holds a folder for each of at least eleven writers, and perhaps print. `--held-back` trains the preset
default with digits of two thirds of the writers, and compares the errors that it prints, out of fold, with those on the
third that it never saw: each writer is held back once, by one of three seeds. Then it trains without any writer.
`--curve` trains one network per point, as the preset quick does, on some digits of some writers, and counts the errors
on three others.
Writes results/writers.csv, writers_confidence.csv, writers_curve.csv, and a picture of each of the last two.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.own_digits import FOLDS, QUICK, stratified
from benchmarks.shared import harness, models
from handwriting.pages.reading import SURE
from stages.digits.base import params, splits
from stages.digits.base.dataset import Labelled, OwnDigits, Probabilities
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble
from stages.digits.report import drawing, metrics
from stages.digits.tables import kaggle, own
from stages.digits.training import cluster
from stages.digits.training.member import fit
from stages.digits.training.recipe import Recipe, TrainedMember

WRITERS, CONFIDENCE = harness.RESULTS / "writers.csv", harness.RESULTS / "writers_confidence.csv"
CURVE = harness.RESULTS / "writers_curve.csv"
PARTS = 3  # of the writers, each held back by the seed of its number
COUNTS, FEW = (1, 2, 4, 8), 50  # writers that are learned from, and digits of each if not all
TEST_WRITERS = 3  # that are never seen
MIN_BIN = 10  # digits of a bin of confidence that is drawn


def train(reference: Labelled, recipe: Recipe) -> list[keras.Model]:
    """All members; those of an interrupted run are taken from its cache."""
    members: list[TrainedMember] = cluster.train_members(reference, recipe, lambda _: None, print)
    return [models.load(member.model) for member in members]


def confidence(probabilities: Probabilities, digits: OwnDigits, key: dict) -> list[dict]:
    """Rows of the bins of confidence, for hands that were never seen, read as `handwriting` does: without k-NN."""
    table = metrics.calibration(probabilities, digits.labels).rename_axis("bin").reset_index()
    return [key | row for row in table.round(5).to_dict("records")]


def hold_back(labelled: Labelled, digits: OwnDigits, recipe: Recipe, weight: int) -> None:
    """Train with and without one third of the writers, record the errors on it; `weight` 0: without any writer."""
    started = time.process_time()
    names = np.unique(digits.writers[~digits.are_printed])
    held_back = np.isin(digits.writers, names[(recipe.seed - 1) % PARTS :: PARTS])
    if not weight:
        held_back |= ~digits.are_printed
    kept, unseen = digits.subset(~held_back), digits.subset(held_back & ~digits.are_printed)
    folds = int(labelled.folds.max()) + 1
    kept = kept._replace(folds=splits.assign_own_folds(kept.labels, kept.writers, folds, seed=1))
    reference = splits.add_own(labelled, kept, weight)
    members = train(reference, recipe)
    hands = kept.subset(~kept.are_printed)
    printed = ensemble.out_of_fold(Labelled(*hands[:3]), reference, members).probabilities.argmax(axis=1)
    on_kaggle = ensemble.out_of_fold(labelled, reference, members).probabilities.argmax(axis=1)
    actual = ensemble.predict(unseen.images, reference, members).argmax(axis=1)
    read = ensemble.average(unseen.images, members)
    wrong, sure = read.argmax(axis=1) != unseen.labels, read.max(axis=1) >= SURE
    key = {"own_weight": weight, "seed": recipe.seed}
    row = key | {
        "writers": len(np.unique(hands.writers)),
        "printed_digits": int(kept.are_printed.sum()),
        "printed_errors": int((printed != hands.labels).sum()),
        "printed_images": len(printed),
        "errors": int((actual != unseen.labels).sum()),
        "images": len(actual),
        "read_errors": int(wrong.sum()),
        "sure_errors": int((wrong & sure).sum()),
        "unsure_right": int((~wrong & ~sure).sum()),
        "kaggle_errors": int((on_kaggle != labelled.labels).sum()),
        "kaggle_images": len(on_kaggle),
        "main_cpu_seconds": round(time.process_time() - started),
        "commit": harness.commit(harness.ROOT),
    }
    print(row, flush=True)
    harness.upsert(WRITERS, [row | harness.machine()], list(key))
    harness.upsert(CONFIDENCE, confidence(read, unseen, key), [*key, "bin"])


def curve_point(labelled: Labelled, digits: OwnDigits, recipe: Recipe, count: int, each: int | None) -> None:
    """One network that learns from `each` digits (None: all) of `count` writers: its errors on three others."""
    names = np.random.default_rng(0).permutation(np.unique(digits.writers[~digits.are_printed]))
    test, others = np.split(names, [TEST_WRITERS])
    rows = [np.flatnonzero(digits.writers == name) for name in others[:count]]
    if each:
        rows = [stratified(one, digits.labels[one], each)[0] for one in rows]
    learned = digits.subset(np.isin(np.arange(len(digits.labels)), np.concatenate([[], *rows])))
    reference = splits.add_own(labelled, learned._replace(folds=np.ones(len(learned.labels), np.uint8)), weight=1)
    model = models.load(fit(reference, 0, recipe, lambda _: None).model)
    unseen = digits.subset(np.isin(digits.writers, test))
    seen, held_out = reference.subset(reference.folds != 0), labelled.subset(labelled.folds == 0)
    errors = [
        int((ensemble.predict(one.images, seen, [model]).argmax(axis=1) != one.labels).sum())
        for one in (unseen, held_out)
    ]
    row = {
        "writers": count,
        "each": each or "all",
        "own_digits": len(learned.labels),
        "errors": errors[0],
        "images": len(unseen.labels),
        "kaggle_errors": errors[1],
        "kaggle_images": len(held_out.labels),
        "commit": harness.commit(harness.ROOT),
    }
    print(row, flush=True)
    harness.upsert(CURVE, [row | harness.machine()], ["writers", "each"])


def draw(table: pd.DataFrame) -> Figure:
    """Error rates on hands never seen, and on Kaggle's digits, by the number of writers that were learned from."""
    figure = Figure(figsize=(drawing.WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    sums = table.groupby(["each", "writers"]).sum(numeric_only=True).reset_index()
    none = sums[sums["writers"] == 0]
    for each, colour in (("all", drawing.VALIDATION), (str(FEW), drawing.ERROR)):
        points = pd.concat([none, sums[(sums["each"].astype(str) == each) & (sums["writers"] > 0)]])
        label = "all digits of each writer" if each == "all" else f"{each} digits of each writer"
        axes.plot(points["writers"], 100 * points["errors"] / points["images"], color=colour, marker="o", label=label)
        for writers, errors, images in points[["writers", "errors", "images"]].itertuples(index=False):
            axes.annotate(f"{errors}", (writers, 100 * errors / images), textcoords="offset points", xytext=(4, 6))
    points = sums[sums["each"].astype(str) == "all"]
    axes.plot(
        points["writers"], 100 * points["kaggle_errors"] / points["kaggle_images"], color=drawing.TRAIN, marker="o",
        linestyle="--", label="Kaggle's digits, held out",
    )  # fmt: skip
    axes.set_xticks(sorted(sums["writers"].unique()))
    axes.set(xlabel="writers that were learned from", ylabel="errors, %", ylim=(0, None))
    axes.set_title("Errors on three writers who were never seen, by how many others were learned from")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def draw_confidence(table: pd.DataFrame) -> Figure:
    """The reliability curve of hands that were never seen, with standard errors."""
    figure = Figure(figsize=(drawing.WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for weight, colour, label in (
        (0, drawing.ERROR, "Kaggle's digits alone"),
        (1, drawing.VALIDATION, "these and other hands"),
    ):
        own_table = table[table["own_weight"] == weight]
        sums = own_table.assign(
            correct=own_table["accuracy"] * own_table["images"], total=own_table["confidence"] * own_table["images"]
        )
        sums = sums.groupby("bin")[["correct", "total", "images"]].sum()
        sums = sums[sums["images"] >= MIN_BIN]
        confidence, accuracy = sums["total"] / sums["images"], sums["correct"] / sums["images"]
        error = np.sqrt(accuracy * (1 - accuracy) / sums["images"])
        axes.errorbar(confidence, accuracy, error, color=colour, marker="o", capsize=3, label=f"trained on {label}")
    axes.set(xlabel="confidence", ylabel="right", xlim=(0.2, 1.01), ylim=(0, 1.02))
    axes.set_title("Is the confidence right for hands that were never seen?")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.writers")
    parser.add_argument("raw", type=Path)
    parser.add_argument("own", type=Path)
    parser.add_argument("--held-back", action="store_true", help="only what is printed against what happens")
    parser.add_argument("--curve", action="store_true", help="only how many writers are enough")
    arguments = parser.parse_args()
    everything = arguments.held_back == arguments.curve
    recipe, table = params.section("train", Recipe), kaggle.read_labelled(arguments.raw)
    images, labels, writers, names = own.read(arguments.own)
    digits = OwnDigits(images, labels, np.zeros(len(labels), np.uint8), np.array(names)[writers])
    if arguments.held_back or everything:
        labelled = Labelled(*table, splits.assign_folds(table.labels, recipe.members, seed=1))
        for seed in range(1, PARTS + 1):
            hold_back(labelled, digits, recipe.model_copy(update={"seed": seed}), weight=1)
        hold_back(labelled, digits, recipe, weight=0)
        drawing.save(draw_confidence(pd.read_csv(CONFIDENCE)), CONFIDENCE.with_suffix(".png"))
    if arguments.curve or everything:
        labelled = Labelled(*table, splits.assign_folds(table.labels, FOLDS, seed=1))
        quick = recipe.model_copy(update=QUICK)
        for count, each in [(0, None), *((count, each) for count in COUNTS for each in (FEW, None))]:
            curve_point(labelled, digits, quick, count, each)
        drawing.save(draw(pd.read_csv(CURVE)), harness.RESULTS / "writers_curve.png")


if __name__ == "__main__":
    main()
