"""Run the pipeline's profiles and its rivals side by side on the same labelled digits, a part held out from all.

python -m benchmarks.compare data/digit-recognizer.zip [--repeats 3] [--only quick textbook ...]

Each repeat holds another fifth out. A run replaces its own rows of compare.csv and course.csv and keeps the others;
course.png is drawn of all. Nothing else should run on the machine meanwhile.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.measured import HERE, PROFILES, Cost, cloned, cost, machine, pipeline
from stages.digits import dataset, drawing, kaggle

RIVALS = ("textbook", "deotte")
PARTS = 5
COMPARED, COURSE = HERE / "compare.csv", HERE / "course.csv"
KEY = ["contestant", "repeat"]


def held_out(table: kaggle.Table, repeat: int, raw: Path) -> np.ndarray:
    """Write Kaggle's two files into the folder `raw`, a part of `table` as the unlabelled one; its labels (m,)."""
    out = dataset.dealt(table.labels, PARTS, seed=0) == repeat % PARTS
    kaggle.write_table(raw / "train.csv", kaggle.Table(table.images[~out], table.labels[~out]))
    kaggle.write_table(raw / "test.csv", kaggle.Table(table.images[out]))
    return table.labels[out]


def run_profile(name: str, raw: Path, folder: Path) -> tuple[Cost, np.ndarray, int, list]:
    """What it cost, the digits it predicted, the parameters of all its networks, and no course."""
    from stages.digits.backend import keras

    clone, _ = cloned(folder)
    spent = cost(pipeline(raw, name), clone)
    models = sorted((clone / dataset.MODELS).glob("*.keras"))
    parameters = sum(keras.models.load_model(model).count_params() for model in models)
    return spent, submitted(clone / "data/submission.csv"), parameters, []


def run_rival(name: str, raw: Path, folder: Path) -> tuple[Cost, np.ndarray, int, list]:
    """The same; its course is a list of (CPU seconds, predicted digits), one for each epoch."""
    spent = cost([sys.executable, "-m", "benchmarks.rival", name, str(raw), str(folder)], HERE.parent)
    with np.load(folder / "epochs.npz") as epochs:
        spent = spent._replace(cpu_seconds=spent.cpu_seconds - float(epochs["saying"]))
        steps = list(zip(epochs["cpu_seconds"], epochs["predicted"], strict=True))
        return spent, submitted(folder / "submission.csv"), int(epochs["parameters"]), steps


def submitted(path: Path) -> np.ndarray:
    return pd.read_csv(path)["Label"].to_numpy()


def replaced(path: Path, rows: list[dict]) -> None:
    """Write `rows` into the table at `path`, in place of those with the same key."""
    if not rows:
        return
    new = pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path)
        stale = old.set_index(KEY).index.isin(new.set_index(KEY).index)
        new = pd.concat([old[~stale], new])
    new.sort_values(KEY, kind="stable").to_csv(path, index=False, lineterminator="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=[*RIVALS, *PROFILES], default=[*RIVALS, *PROFILES])
    wanted = parser.parse_args()
    table = kaggle.read_labelled(wanted.raw)
    for repeat in range(wanted.repeats):
        for name in wanted.only:
            with tempfile.TemporaryDirectory() as folder:
                raw = Path(folder) / "raw"
                raw.mkdir()
                labels = held_out(table, repeat, raw)
                run = run_rival if name in RIVALS else run_profile
                spent, predicted, parameters, steps = run(name, raw, Path(folder))
            key = {"contestant": name, "repeat": repeat}
            errors = int((predicted != labels).sum())
            found = {"held_out": len(labels), "errors": errors, "accuracy": 1 - errors / len(labels)}
            spent = {field: round(value) for field, value in spent._asdict().items()}
            replaced(COMPARED, [key | found | spent | {"parameters": parameters} | machine()])
            course = [
                key | {"epoch": epoch, "cpu_seconds": round(float(seconds)), "accuracy": float((said == labels).mean())}
                for epoch, (seconds, said) in enumerate(steps, start=1)
            ]
            replaced(COURSE, course)
            print(
                f"{name}, repeat {repeat}: {errors} errors of {len(labels)}, {spent['cpu_seconds']} CPU s", flush=True
            )
    drawing.save(curve(pd.read_csv(COMPARED), pd.read_csv(COURSE)), HERE / "compare.png")
    print(summary(pd.read_csv(COMPARED)))


def summary(compared: pd.DataFrame) -> str:
    """A row for each contestant, in Markdown: means over the repeats."""
    lines = []
    for name, runs in compared.groupby("contestant"):
        means = runs.mean(numeric_only=True)
        lines.append(
            f"| {name} | {means['accuracy']:.2%} ± {runs['accuracy'].std():.2%} | {means['cpu_seconds']:.0f} "
            f"| {means['wall_seconds']:.0f} | {means['peak_mib']:.0f} | {means['parameters']:.0f} | {len(runs)} |"
        )
    return "\n".join(lines)


def curve(compared: pd.DataFrame, course: pd.DataFrame) -> Figure:
    """Mistakes against CPU time, both logarithmic: rivals after each epoch, everyone at the end."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, steps in course.groupby("contestant"):
        means = steps.groupby("epoch")[["cpu_seconds", "accuracy"]].mean()
        axes.plot(means["cpu_seconds"] / 60, 100 - 100 * means["accuracy"], alpha=0.6, label=f"{name}, by epoch")
    for name, runs in compared.groupby("contestant"):
        minutes, mistaken = runs["cpu_seconds"] / 60, 100 - 100 * runs["accuracy"]
        axes.scatter(minutes, mistaken, s=25)
        axes.annotate(name, (minutes.mean(), mistaken.mean()), xytext=(6, 6), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="CPU minutes, all in all", ylabel="mistaken of the held-out digits, %")
    axes.legend()
    return figure


if __name__ == "__main__":
    main()
