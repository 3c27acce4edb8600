"""How the time of a training falls with the number of workers: measured up to the cores there are, then calculated.

python -m benchmarks.worker_scaling data/digit-recognizer.zip

Eight small members on w workers take ceil(8 / w) rounds: seconds = start-up + rounds × seconds per round, both fitted
to the best of three runs. Writes results/worker_scaling.csv and worker_scaling.png.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmarks.shared import harness
from stages.digits.report import drawing

MEMBERS, RUNS = 8, 3
CHANGES = [f"train.members={MEMBERS}", "train.width=16", "train.epochs=1"]


def measure(raw: Path) -> dict[int, float]:
    """Wall seconds of the stage `train` for each number of workers, the best run."""
    cores = sorted(os.sched_getaffinity(0))
    seconds = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        clone = harness.clone(Path(folder))
        harness.cost(harness.pipeline(raw, CHANGES, "prepare"), clone)
        for workers in RUNS * [count for count in (1, 2, 4, 8) if count <= len(cores)]:
            os.sched_setaffinity(0, cores[-workers:])  # Dask starts a worker per core
            seconds[workers].append(harness.cost([sys.executable, "-m", "stages.train"], clone).wall_seconds)
        os.sched_setaffinity(0, cores)
    return {workers: min(runs) for workers, runs in seconds.items()}


def calculate(seconds: dict[int, float]) -> pd.DataFrame:
    """`workers, seconds` (measured) and `calculated_seconds`, for every number of workers up to that of the members.

    ValueError if more workers were faster than they can be.
    """
    rounds = np.ceil(MEMBERS / np.arange(1, MEMBERS + 1))
    per_round, startup = np.polyfit([rounds[workers - 1] for workers in seconds], list(seconds.values()), 1)
    if min(per_round, startup) < 0:
        raise ValueError(f"something else ran on the machine meanwhile: {seconds} seconds by workers")
    table = pd.DataFrame({"workers": range(1, MEMBERS + 1)})
    table["seconds"] = table["workers"].map(seconds)
    table["calculated_seconds"] = startup + per_round * rounds
    return table.round(1)


def figure(table: pd.DataFrame) -> Figure:
    canvas = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = canvas.subplots()
    axes.plot(
        table["workers"], table["calculated_seconds"], "o--", color="0.55", markerfacecolor="white", label="calculated"
    )
    axes.plot(table["workers"], table["seconds"], "o", color="black", label="measured (best of three runs)")
    axes.set(xlabel="workers", ylabel="seconds", ylim=(0, None), title=f"Training {MEMBERS} small members")
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    sns.despine(ax=axes)
    return canvas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    table = calculate(measure(parser.parse_args().raw))
    table.to_csv(harness.RESULTS / "worker_scaling.csv", index=False, lineterminator="\n")
    drawing.save(figure(table), harness.RESULTS / "worker_scaling.png")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
