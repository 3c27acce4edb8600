"""Compare the presets and the baselines on the same labelled digits: each third is held out once from all of them.

python -m benchmarks.compare data/digit-recognizer.zip [--thirds 0 1 2] [--seeds 1 2 3] [--only quick textbook ...]

A run replaces its own rows of results/compare.csv and learning_curves.csv; all others stay. compare.png shows the
thirds that every model has run on the machine that made the most runs. Nothing else should run meanwhile. A preset's
row also has what it said of itself: its errors out of fold on the two thirds, beside those on the third it never saw.
"""

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.baselines import BASELINES
from benchmarks.shared import harness, tables
from benchmarks.shared.presets import PRESETS
from stages.digits.base import dataset, splits
from stages.digits.report import drawing
from stages.digits.tables import kaggle

THIRDS = 3
COMPARE, LEARNING_CURVES = harness.RESULTS / "compare.csv", harness.RESULTS / "learning_curves.csv"
KEY = ["model", "seed", "third"]
Outcome = tuple[dict, np.ndarray, list]  # its own columns, the digits (m,), (CPU seconds, digits) after each epoch


def hold_out(labels: dataset.Labels, third: int) -> np.ndarray:
    """Mask (n,) of the rows of a third."""
    return splits.assign_folds(labels, THIRDS, seed=0) == third


def write_raw(table: kaggle.Table, third: int, raw: Path) -> np.ndarray:
    """Write Kaggle's two files into the folder `raw`, one third of `table` unlabelled; the labels of that third."""
    held_out = hold_out(table.labels, third)
    raw.mkdir()
    kaggle.write_table(raw / "train.csv", kaggle.Table(table.images[~held_out], table.labels[~held_out]))
    kaggle.write_table(raw / "test.csv", kaggle.Table(table.images[held_out]))
    return table.labels[held_out]


def run_preset(name: str, seed: int, raw: Path, folder: Path) -> Outcome:
    """Run the pipeline in a clone; it has no learning curve."""
    from stages.digits.model.backend import keras  # here: it sets TensorFlow up, which a baseline does for itself

    clone = harness.clone(folder)
    cost = harness.cost(harness.pipeline(raw, [*PRESETS[name], f"train.seed={seed}"]), clone)
    evaluated = json.loads((clone / "metrics/evaluate.json").read_text(encoding="utf-8"))
    models = (keras.models.load_model(path) for path in (clone / dataset.MODELS).glob("*.keras"))
    parameters = sum(model.count_params() for model in models)
    about = {
        "parameters": parameters,
        "out_of_fold_errors": evaluated["errors"],
        "evaluated_images": evaluated["evaluated_images"],
    }
    return cost._asdict() | about, submission(clone / "data"), []


def run_baseline(name: str, raw: Path, folder: Path) -> Outcome:
    command = [sys.executable, "-m", "benchmarks.baselines.train", name, str(raw), str(folder)]
    cost = harness.cost(command, harness.ROOT)
    with np.load(folder / "learning_curve.npz") as stored:
        cost = cost._replace(cpu_seconds=cost.cpu_seconds - float(stored["eval_seconds"]))
        curve = list(zip(stored["cpu_seconds"], stored["predicted"], strict=True))
        return cost._asdict() | {"parameters": int(stored["parameters"])}, submission(folder), curve


def submission(folder: Path) -> np.ndarray:
    return pd.read_csv(folder / "submission.csv")["Label"].to_numpy()


def compare(name: str, seed: int, third: int, table: kaggle.Table) -> None:
    """Run one model once and write its rows of the two tables."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        labels = write_raw(table, third, raw)
        if name in BASELINES:
            cost, predicted, curve = run_baseline(name, raw, Path(folder))
        else:
            cost, predicted, curve = run_preset(name, seed, raw, Path(folder))
    key = {"model": name, "seed": seed, "third": third}
    score = {"images": len(labels), "errors": int((predicted != labels).sum())}
    cost = {field: round(value) for field, value in cost.items()}
    row = key | score | cost | {"commit": harness.commit(harness.ROOT)} | harness.machine()
    print(row, flush=True)
    harness.upsert(COMPARE, [row], KEY)
    epochs = [
        key | {"epoch": epoch, "cpu_seconds": round(float(seconds)), "errors": int((digits != labels).sum())}
        for epoch, (seconds, digits) in enumerate(curve, start=1)
    ]
    if epochs:
        harness.upsert(LEARNING_CURVES, epochs, KEY)


def figure(runs: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Error rate against CPU time, both logarithmic: a point for each third; baselines also after each epoch."""
    runs = tables.common_thirds(tables.on_main_machine(runs))
    canvas = Figure(figsize=(8.3, 4.6), layout="constrained")
    axes = canvas.subplots()
    colours = dict(zip(runs["model"].unique(), sns.color_palette("colorblind"), strict=False))
    images = runs.set_index(KEY)["images"]
    for name, epochs in curves.join(images, on=KEY, how="inner").groupby("model"):
        sums = epochs.groupby("epoch")[["cpu_seconds", "errors", "images"]].mean()
        error_rate = 100 * sums["errors"] / sums["images"]
        axes.plot(sums["cpu_seconds"] / 60, error_rate, color=colours[name], linewidth=1.2)
    for name, thirds in runs.groupby("model"):
        minutes, error_rate = thirds["cpu_seconds"] / 60, 100 * thirds["errors"] / thirds["images"]
        axes.scatter(minutes, error_rate, s=34, color=colours[name], zorder=3, edgecolor="white", linewidth=0.6)
        axes.annotate(
            name, (minutes.mean(), error_rate.min()), xytext=(0, -8), textcoords="offset points",
            ha="center", va="top", color=colours[name], weight="bold",
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="CPU minutes (user + system, all processes)", ylabel="error rate (%)")
    thirds = ", ".join(map(str, sorted(runs["third"].unique())))
    axes.set_title(
        f"Dots: runs on held-out thirds of Kaggle's digits (shown: {thirds}). Lines: a baseline's epochs", fontsize=10
    )
    axes.set_ylim(0.2, 10)  # after their first epoch some are wrong nine times in ten
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes.grid(which="both", alpha=0.2)
    sns.despine(ax=axes)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--thirds", nargs="*", type=int, choices=range(THIRDS), default=range(THIRDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[1], help="of a preset's training")
    parser.add_argument("--only", nargs="+", choices=[*BASELINES, *PRESETS], default=[*BASELINES, *PRESETS])
    arguments = parser.parse_args()
    table = kaggle.read_labelled(arguments.raw)
    for seed, third, name in product(arguments.seeds, arguments.thirds, arguments.only):
        if name in PRESETS or seed == 1:  # a baseline's seed is fixed
            compare(name, seed, third, table)
    drawing.save(figure(pd.read_csv(COMPARE), pd.read_csv(LEARNING_CURVES)), harness.RESULTS / "compare.png")
    print(tables.comparison())


if __name__ == "__main__":
    main()
