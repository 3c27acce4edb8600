"""Errors against CPU time: settings of the training, several seeds each, on the thirds that compare.py holds out.

python -m benchmarks.frontier data/digit-recognizer.zip [--only 32x6 ...] [--seeds 1 2 3]

Each member is exactly the one that the pipeline trains on the other two thirds, and predictions are those it would
submit. What results/frontier.csv has already isn't measured again; frontier.png shows all of it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks import compare
from benchmarks.shared import harness
from stages.digits.base import dataset, params, splits
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble, neighbours
from stages.digits.report import drawing
from stages.digits.tables import kaggle
from stages.digits.training import member
from stages.digits.training.recipe import Recipe
from stages.prepare import Prepare

FRONTIER = harness.RESULTS / "frontier.csv"
KEY = ["setting", "seed", "third", "members"]
FOLDS = 10  # of which a member holds out one; the presets have had four since
SETTINGS: dict[str, tuple[int, dict]] = {  # members, and what differs from params.yaml
    "32x6": (1, {"width": 32, "epochs": 6}),
    "32x6, rate 0.014": (1, {"width": 32, "epochs": 6, "learning_rate": 0.014}),
    "32x17": (2, {"width": 32, "epochs": 17}),
    "48x12": (2, {"width": 48, "epochs": 12}),
    "48x18": (1, {"width": 48, "epochs": 18}),
    "48x25": (2, {"width": 48, "epochs": 25}),
}


def errors(setting: str, seed: int, third: int, table: kaggle.Table) -> list[dict]:
    """Train the members of a setting on two thirds; a row for the average of the first, of the first two, and so on."""
    members, changes = SETTINGS[setting]
    recipe = params.section("train", Recipe).model_copy(update={**changes, "members": members, "seed": seed})
    prepare = params.section("prepare", Prepare)
    held_out = compare.hold_out(table.labels, third)
    images, labels = table.images[held_out], table.labels[held_out]
    own, own_labels = table.images[~held_out], table.labels[~held_out]
    labelled = dataset.Labelled(own, own_labels, splits.assign_folds(own_labels, FOLDS, prepare.seed))
    total, cpu_seconds, rows = np.zeros((len(images), dataset.DIGITS)), 0.0, []
    for index in range(members):
        before = time.process_time()
        trained = member.fit(labelled, index, recipe, lambda _: None)
        cpu_seconds += time.process_time() - before
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            Path(file.name).write_bytes(trained.model)
            total += ensemble.predict_proba(keras.models.load_model(file.name), images)
        refined = neighbours.refine_uncertain(total / (index + 1), images, own, own_labels)
        key = {"setting": setting, "seed": seed, "third": third, "members": index + 1}
        wrong, wrong_without_knn = (
            int((probabilities.argmax(axis=1) != labels).sum()) for probabilities in (refined, total)
        )
        score = {"images": len(labels), "errors": wrong, "errors_without_knn": wrong_without_knn}
        rows.append(key | score | {"cpu_seconds": round(cpu_seconds, 1)})
    return rows


def measured() -> set[tuple[str, int, int]]:
    if not FRONTIER.exists():
        return set()
    return set(pd.read_csv(FRONTIER)[KEY[:3]].itertuples(index=False, name=None))


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Of each setting and number of members: errors of all 42,000 over the seeds that ran all thirds, and CPU time.

    Columns `setting, members, seeds, errors, standard_error, cpu_seconds`: means; the CPU time is that of training the
    members for one third.
    """
    of_seed = runs.groupby(["setting", "members", "seed"], as_index=False).agg(
        thirds=("third", "nunique"), errors=("errors", "sum"), cpu_seconds=("cpu_seconds", "mean")
    )
    groups = of_seed[of_seed["thirds"] == compare.THIRDS].groupby(["setting", "members"], as_index=False)
    table = groups.agg(
        seeds=("seed", "nunique"), errors=("errors", "mean"), std=("errors", "std"), cpu_seconds=("cpu_seconds", "mean")
    )
    table["standard_error"] = table.pop("std") / np.sqrt(table["seeds"])
    return table.sort_values("cpu_seconds", ignore_index=True)


def figure(table: pd.DataFrame) -> Figure:
    """Errors against the CPU time of training: a line for each number of members and width; its points are epochs."""
    shape = table["setting"].str.extract(r"(?P<width>\d+)x(?P<epochs>\d+)(?P<rest>.*)")
    table = table.assign(
        epochs=shape["epochs"], line=table["members"].astype(str) + " × " + shape["width"] + shape["rest"]
    )
    canvas = Figure(figsize=(8.3, 4.6), layout="constrained")
    axes = canvas.subplots()
    for (line, own), colour in zip(table.groupby("line"), sns.color_palette("colorblind"), strict=False):
        axes.errorbar(
            own["cpu_seconds"], own["errors"], own["standard_error"].fillna(0), color=colour, marker="o",
            linewidth=1, capsize=3, label=line,
        )  # fmt: skip
        for row in own.itertuples():
            axes.annotate(
                row.epochs, (row.cpu_seconds, row.errors), xytext=(-6, -6), textcoords="offset points",
                ha="right", va="top", color=colour, fontsize=9,
            )  # fmt: skip
    axes.set(xscale="log", xlabel="CPU seconds of training, for one third", ylabel="errors of 42,000")
    axes.set_title("By number of epochs: mean over the seeds ± its standard error", fontsize=10)
    axes.legend(title="members × width", frameon=False)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.15, y=0.12)
    axes.grid(alpha=0.2)
    sns.despine(ax=axes)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    arguments = parser.parse_args()
    table = kaggle.read_labelled(arguments.raw)
    done = measured()
    for setting in arguments.only:
        for seed in arguments.seeds:
            for third in range(compare.THIRDS):
                if (setting, seed, third) in done:
                    continue
                rows = errors(setting, seed, third, table)
                print(rows, flush=True)
                harness.upsert(FRONTIER, rows, KEY)
    table = summary(pd.read_csv(FRONTIER))
    print(table.round(1).to_string(index=False))
    drawing.save(figure(table), harness.RESULTS / "frontier.png")


if __name__ == "__main__":
    main()
