"""Time the training of eight small members with one worker, two, up to the cores there are; calculate the rest.

python -m benchmarks.workers data/digit-recognizer.zip

A run with w workers takes as many rounds as there are members a worker: seconds = fixed + ceil(members / w) × round,
both fitted to what was measured, the shortest of three. Writes workers.csv and workers.png.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.measured import HERE, cloned, cost, pipeline
from stages.digits import drawing

MEMBERS, TIMES = 8, 3
CHANGES = [f"train.members={MEMBERS}", "train.width=16", "train.epochs=1"]


def measured(raw: Path) -> dict[int, float]:
    """Wall seconds of the stage `train` by the number of workers: as many as there are cores to run on."""
    cores = sorted(os.sched_getaffinity(0))
    seconds = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        clone, _ = cloned(Path(folder))
        cost(pipeline(raw, CHANGES, "prepare"), clone)
        for workers in TIMES * [count for count in (1, 2, 4, 8) if count <= len(cores)]:
            os.sched_setaffinity(0, cores[-workers:])  # Dask takes as many workers
            seconds[workers].append(cost([sys.executable, "-m", "stages.train"], clone).wall_seconds)
        os.sched_setaffinity(0, cores)
    print(dict(seconds))
    return {workers: min(measurements) for workers, measurements in seconds.items()}


def calculated(seconds: dict[int, float]) -> pd.DataFrame:
    """`workers, measured, calculated`, in seconds, for every number of workers up to that of the members.

    ValueError where more workers took less time than they can.
    """
    rounds = np.ceil(MEMBERS / np.arange(1, MEMBERS + 1))
    each, fixed = np.polyfit([rounds[workers - 1] for workers in seconds], list(seconds.values()), 1)
    if min(each, fixed) < 0:
        raise ValueError(f"something else ran on the machine meanwhile: {seconds} seconds by workers")
    table = pd.DataFrame({"workers": range(1, MEMBERS + 1)})
    table["measured"] = table["workers"].map(seconds)
    table["calculated"] = fixed + each * rounds
    return table.round(1)


def picture(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(table["workers"], table["calculated"], "o-", color="0.7", label="calculated")
    axes.plot(table["workers"], table["measured"], "o", color="black", label="measured")
    axes.set(xlabel="workers", ylabel=f"seconds to train {MEMBERS} small members", ylim=(0, None))
    axes.grid(alpha=0.2)
    axes.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    table = calculated(measured(parser.parse_args().raw))
    table.to_csv(HERE / "workers.csv", index=False, lineterminator="\n")
    drawing.save(picture(table), HERE / "workers.png")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
