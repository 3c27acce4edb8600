"""How fast a pile of pages is read, by one core and by more, and where a page's time goes.

python -m benchmarks.pages

Needs models that were trained on Kaggle's data. Draws scans of forms with 240 cells each, and reads them with
`python -m handwriting.predict`, once for each number of cores. Writes results/pages.csv and results/page_steps.csv.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.drawn import forms
from benchmarks.shared import harness
from handwriting import predict
from handwriting.pages import picture, sheet, table
from handwriting.piles import pile
from stages.digits.base import errors
from stages.digits.prediction import ensemble

PAGES = 200  # of the pile: of fewer, the start of Python and of workers would be most of the time
FEW = 20  # whose steps are measured; and from which on the start is over
SEED = 7000
ROWS, COLUMNS = 20, 12


def draw(folder: Path) -> None:
    for number in range(PAGES):
        form = forms.scan(ROWS, COLUMNS, [forms.drawn], np.random.default_rng(SEED + number), cell=90, line=3)
        Image.fromarray(form.picture).save(folder / f"{number:03}.png")


def measure(folder: Path) -> pd.DataFrame:
    """A row for each number of cores, with and without the start of Python, models and workers."""
    cores, rows, tables = sorted(os.sched_getaffinity(0)), [], set()
    paths = picture.files_of(folder / "pages")
    for count in [count for count in (1, 2, 4, 8) if count <= len(cores)]:
        os.sched_setaffinity(0, cores[-count:])  # Dask starts a worker per core
        few, cost = (read(paths[:number], folder / f"{count}-{number}.csv") for number in (FEW, PAGES))
        tables.add((folder / f"{count}-{PAGES}.csv").read_bytes())
        rows.append(
            {
                "cores": count,
                "pages": PAGES,
                "cells": PAGES * ROWS * COLUMNS,
                "cpu_seconds_per_page": round(cost.cpu_seconds / PAGES, 2),
                "pages_per_minute": round(60 * PAGES / cost.wall_seconds, 1),
                "pages_per_minute_once_started": round(60 * (PAGES - FEW) / (cost.wall_seconds - few.wall_seconds), 1),
                "peak_mib": round(cost.peak_mib),
            }
        )
    os.sched_setaffinity(0, cores)
    if len(tables) > 1:
        raise errors.InputError("the CSV depends on the number of cores")
    return pd.DataFrame(rows)


def read(paths: list[Path], csv: Path) -> harness.Cost:
    command = [sys.executable, "-m", "handwriting.predict", *map(str, paths), "--csv", str(csv)]
    return harness.cost(command, harness.ROOT)


def measure_steps(folder: Path) -> pd.DataFrame:
    """CPU seconds of the steps of a page, the mean of some pages, in this process."""
    seconds = dict.fromkeys(("decode", "find the cells", "predict", "all"), 0.0)
    paths = picture.files_of(folder / "pages")[:FEW]

    def timed(step: str, function: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            started = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[step] += (time.process_time() - started) / len(paths)

        return call

    reader = predict.unloaded_reader().load()
    pile.read_page("", picture.load(paths[0]), reader)  # compiles the networks
    load, read_page = timed("decode", picture.load), timed("all", pile.read_page)
    with (
        mock.patch.object(sheet, "straighten", timed("find the cells", sheet.straighten)),
        mock.patch.object(table, "find_on", timed("find the cells", table.find_on)),
        mock.patch.object(ensemble, "predict_proba", timed("predict", ensemble.predict_proba)),
    ):
        for path in paths:
            read_page("", load(path), reader)
    rest = seconds["all"] - seconds["find the cells"] - seconds["predict"]
    del seconds["all"]
    rows = (seconds | {"cut out, scale and choose the digits": rest}).items()
    return pd.DataFrame(rows, columns=["step", "cpu_seconds_per_page"]).round(3)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pages").mkdir()
        draw(folder / "pages")
        for file, result in (("pages", measure(folder)), ("page_steps", measure_steps(folder))):
            result.to_csv(harness.RESULTS / f"{file}.csv", index=False, lineterminator="\n")
            print(result.to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
