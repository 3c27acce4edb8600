"""Run the pipeline's profiles and its rivals side by side on the same labelled digits, a third held out from all.

python -m benchmarks.compare data/digit-recognizer.zip [--repeats 0 1 2] [--only quick textbook ...]

Repeats hold out another third each. A run replaces its own rows of compare.csv and course.csv and keeps the others;
compare.png is drawn of the repeats that all have run. Nothing else should run on the machine meanwhile.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.measured import HERE, PROFILES, cloned, commit, cost, machine, pipeline, replace
from stages.digits import dataset, drawing, kaggle

RIVALS = ("textbook", "deotte")
PARTS = 3
COMPARED, COURSE = HERE / "compare.csv", HERE / "course.csv"
KEY = ["contestant", "repeat"]


def held_out(table: kaggle.Table, repeat: int, raw: Path) -> np.ndarray:
    """Write Kaggle's two files into the folder `raw`, a part of `table` as the unlabelled one; its labels (m,)."""
    out = dataset.dealt(table.labels, PARTS, seed=0) == repeat
    raw.mkdir()
    kaggle.write_table(raw / "train.csv", kaggle.Table(table.images[~out], table.labels[~out]))
    kaggle.write_table(raw / "test.csv", kaggle.Table(table.images[out]))
    return table.labels[out]


def run_profile(name: str, raw: Path, folder: Path) -> tuple[dict, np.ndarray, list]:
    """What it cost and the parameters of all its networks, the digits (m,) it predicted, and no course."""
    from stages.digits.backend import keras  # here: a rival's time has nothing to do with it

    clone, _ = cloned(folder)
    spent = cost(pipeline(raw, PROFILES[name]), clone)
    models = (keras.models.load_model(path) for path in (clone / dataset.MODELS).glob("*.keras"))
    parameters = sum(model.count_params() for model in models)
    return spent._asdict() | {"parameters": parameters}, submitted(clone / "data"), []


def run_rival(name: str, raw: Path, folder: Path) -> tuple[dict, np.ndarray, list]:
    """The same; its course has (CPU seconds, predicted digits) for each epoch."""
    spent = cost([sys.executable, "-m", "benchmarks.rival", name, str(raw), str(folder)], HERE.parent)
    with np.load(folder / "epochs.npz") as epochs:
        spent = spent._replace(cpu_seconds=spent.cpu_seconds - float(epochs["saying"]))
        course = list(zip(epochs["cpu_seconds"], epochs["predicted"], strict=True))
        return spent._asdict() | {"parameters": int(epochs["parameters"])}, submitted(folder), course


def submitted(folder: Path) -> np.ndarray:
    return pd.read_csv(folder / "submission.csv")["Label"].to_numpy()


def compare(name: str, repeat: int, table: kaggle.Table) -> None:
    """Run it once and put what it scored and cost into the two tables."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        labels = held_out(table, repeat, raw)
        spent, predicted, course = (run_rival if name in RIVALS else run_profile)(name, raw, Path(folder))
    key = {"contestant": name, "repeat": repeat}
    scored = {"held_out": len(labels), "errors": int((predicted != labels).sum())}
    spent = {field: round(value) for field, value in spent.items()}
    row = key | scored | spent | {"commit": commit(HERE.parent)} | machine()
    print(row, flush=True)
    replace(COMPARED, [row], KEY)
    steps = [
        key | {"epoch": epoch, "cpu_seconds": round(float(seconds)), "errors": int((said != labels).sum())}
        for epoch, (seconds, said) in enumerate(course, start=1)
    ]
    if steps:
        replace(COURSE, steps, KEY)


def summary(compared: pd.DataFrame) -> str:
    """Rows of a Markdown table: the mistakes on each part held out, means of what it cost.

    Parts differ more than contestants do: only those of the same part are to be compared.
    """
    mistakes = compared.pivot(index="contestant", columns="repeat", values="errors")
    means = compared.groupby("contestant")[["cpu_seconds", "wall_seconds", "peak_mib", "parameters"]].mean()
    lines = []
    for name in mistakes.index:
        counts = ["–" if np.isnan(count) else f"{count:.0f}" for count in mistakes.loc[name]]
        lines.append("| " + " | ".join([name, *counts, *(f"{mean:,.0f}" for mean in means.loc[name])]) + " |")
    return "\n".join(lines)


def shared(compared: pd.DataFrame) -> pd.DataFrame:
    """The rows of the repeats that every contestant has run."""
    contestants = compared.groupby("repeat")["contestant"].transform("nunique")
    return compared[contestants == compared["contestant"].nunique()]


def curve(compared: pd.DataFrame, course: pd.DataFrame) -> Figure:
    """Mistakes against CPU time, both logarithmic: rivals after each epoch, everyone at the end; repeats of all."""
    compared = shared(compared)
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {name: f"C{number}" for number, name in enumerate(compared["contestant"].unique())}
    images = compared.set_index(KEY)["held_out"]
    for name, steps in course.join(images, on=KEY, how="inner").groupby("contestant"):
        sums = steps.groupby("epoch")[["cpu_seconds", "errors", "held_out"]].mean()
        mistaken = 100 * sums["errors"] / sums["held_out"]
        axes.plot(sums["cpu_seconds"] / 60, mistaken, color=colours[name])
    for name, runs in compared.groupby("contestant"):
        minutes, mistaken = runs["cpu_seconds"] / 60, 100 * runs["errors"] / runs["held_out"]
        axes.scatter(minutes, mistaken, s=30, color=colours[name], zorder=3, label=name)
    axes.set(xscale="log", yscale="log", xlabel="CPU minutes of the whole process", ylabel="mistaken, % of held out")
    axes.set_ylim(top=10)  # some start at nine wrong of ten
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes.grid(which="both", alpha=0.2)
    axes.legend(title="lines: after each epoch")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--repeats", nargs="+", type=int, choices=range(PARTS), default=range(PARTS))
    parser.add_argument("--only", nargs="+", choices=[*RIVALS, *PROFILES], default=[*RIVALS, *PROFILES])
    wanted = parser.parse_args()
    table = kaggle.read_labelled(wanted.raw)
    for repeat in wanted.repeats:
        for name in wanted.only:
            compare(name, repeat, table)
    compared = pd.read_csv(COMPARED)
    drawing.save(curve(compared, pd.read_csv(COURSE)), HERE / "compare.png")
    print(summary(compared))


if __name__ == "__main__":
    main()
