"""Errors on one's own hand, by how many of its digits are trained on, and how often.

python -m benchmarks.own_digits data/digit-recognizer.zip [--weights | --curve]

Invented hands fill in the project's form, which is then scanned and read as `handwriting.collect` does. One network is
trained per point, as the preset quick does, on Kaggle's digits and on digits of the first forms. Errors are counted on
other forms. `--weights` chooses `own_weight`, on three hands together; `--curve` measures a fourth hand, on which
nothing was chosen. Writes results/own_digits.csv and own_digits.png.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.drawn import hands
from benchmarks.shared import harness, models
from handwriting import form
from handwriting.collection import page
from stages.digits.base import params, splits
from stages.digits.base.dataset import Images, Labelled, Labels, OwnDigits
from stages.digits.prediction import ensemble
from stages.digits.report import drawing
from stages.digits.tables import kaggle
from stages.digits.training.member import fit
from stages.digits.training.recipe import Recipe

TABLE = harness.RESULTS / "own_digits.csv"
QUICK = {"members": 1, "epochs": 6}
COUNTS = (0, 20, 50, 100, 400)
WEIGHTS = (1, 3, 5)
WEIGHTS_DIGITS = 99  # 33 of each of three hands
TEST_FORMS = 2
FOLDS = 10


def digits(hand: hands.Hand, forms: int, seed: int) -> tuple[Images, Labels]:
    """The digits of that many forms, in random order; forms are filled whole and read as `collect` does."""
    random = np.random.default_rng(seed)
    images, labels = [], []
    with tempfile.TemporaryDirectory() as folder:
        form.write(Path(folder) / "form.pdf", params.DIGIT_NAMES)
        blank = hands.print_form(Path(folder) / "form.pdf")
    for _ in range(forms):
        found = page.read_form(hands.scan(hands.fill(blank, hand, random, each=25), random))
        assert found is not None
        images.append(found.images)
        labels.append(found.cells[:, 0].astype(np.uint8))
    order = random.permutation(sum(map(len, labels)))
    return np.concatenate(images)[order], np.concatenate(labels)[order]


def stratified(images: Images, labels: Labels, count: int) -> tuple[Images, Labels]:
    """The first `count` of the digits, as many of each class."""
    rank = np.empty(len(labels), dtype=int)
    for digit in range(10):
        rows = np.flatnonzero(labels == digit)
        rank[rows] = np.arange(len(rows))
    rows = np.lexsort((labels, rank))[:count]
    return images[rows], labels[rows]


def measure(
    labelled: Labelled, recipe: Recipe, own: tuple[Images, Labels], weight: int, test: tuple[Images, Labels]
) -> dict:
    """A network trained on Kaggle's rows outside fold 0 and on the own ones: its errors on fold 0 and on `test`."""
    started = time.process_time()
    images, labels = own
    in_fold_1 = np.ones(len(labels), dtype=np.uint8)  # so all are trained on
    rows = splits.add_own(labelled, OwnDigits(images, labels, in_fold_1, np.full(len(labels), "")), weight)
    model = models.load(fit(rows, 0, recipe, lambda _: None).model)
    held_out = rows.folds == 0
    reference = rows.subset(~held_out)
    on_own = ensemble.predict(test[0], reference, [model]).argmax(axis=1) != test[1]
    on_kaggle = ensemble.predict(rows.images[held_out], reference, [model]).argmax(axis=1) != rows.labels[held_out]
    return {
        "own_digits": len(labels),
        "own_weight": weight,
        "own_errors": int(on_own.sum()),
        "own_images": len(on_own),
        "kaggle_errors": int(on_kaggle.sum()),
        "kaggle_images": len(on_kaggle),
        "cpu_seconds": round(time.process_time() - started),
    }


def draw(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(drawing.WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    curve = table[table["hand"] == "kept"].sort_values("own_digits")
    percent = 100 * curve["own_errors"] / curve["own_images"]
    axes.plot(range(len(curve)), percent, color=drawing.VALIDATION, marker="o", label="another form of the same hand")
    kaggle = 100 * curve["kaggle_errors"] / curve["kaggle_images"]
    axes.plot(range(len(curve)), kaggle, color=drawing.TRAIN, marker="o", linestyle="--", label="Kaggle's, held out")
    for place, value, errors in zip(range(len(curve)), percent, curve["own_errors"], strict=True):
        axes.annotate(f"{errors}", (place, value), textcoords="offset points", xytext=(4, 6), fontsize=9)
    axes.set_xticks(range(len(curve)), curve["own_digits"].astype(str))
    axes.set(xlabel="own digits trained on", ylabel="errors, %", ylim=(0, 1.15 * percent.max()))
    axes.set_title("Errors on a hand that MNIST lacks, by how many of its digits are trained on")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_digits")
    parser.add_argument("raw", type=Path)
    parser.add_argument("--weights", action="store_true", help="only the choice of own_weight")
    parser.add_argument("--curve", action="store_true", help="only the curve")
    arguments = parser.parse_args()
    everything = arguments.weights == arguments.curve
    table = kaggle.read_labelled(arguments.raw)
    labelled = Labelled(*table, splits.assign_folds(table.labels, FOLDS, seed=1))
    recipe = Recipe(**params.section("train", Recipe).model_dump() | QUICK)
    source = harness.machine() | {"commit": harness.commit(harness.ROOT)}

    def record(hand: str, own: tuple[Images, Labels], weight: int, test: tuple[Images, Labels]) -> None:
        row = {"hand": hand} | measure(labelled, recipe, own, weight, test) | source
        print(row, flush=True)
        harness.upsert(TABLE, [row], ["hand", "own_digits", "own_weight"])

    if arguments.weights or everything:
        many = [digits(hand, 1, seed=1) for hand in hands.HANDS.values()]
        few = [stratified(*one, WEIGHTS_DIGITS // len(many)) for one in many]
        tests = [digits(hand, TEST_FORMS, seed=2) for hand in hands.HANDS.values()]
        own, test = ((np.concatenate(a), np.concatenate(b)) for a, b in (zip(*few), zip(*tests)))  # noqa: B905
        for weight in WEIGHTS:
            record("three", own, weight, test)
    if arguments.curve or everything:
        own, test = digits(hands.KEPT, 2, seed=1), digits(hands.KEPT, 2 * TEST_FORMS, seed=2)
        for count in COUNTS:
            record("kept", stratified(*own, count), params.own_weight(), test)
        drawing.save(draw(pd.read_csv(TABLE)), harness.RESULTS / "own_digits.png")


if __name__ == "__main__":
    main()
