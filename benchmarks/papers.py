"""Digits on the papers that people write on: how many are read wrong, and how many of these are sure.

python -m benchmarks.papers [--report]

Needs models that were trained on Kaggle's data. Draws pages with Kaggle's digits; each is read by the one member that
never saw its digits. Prints the pages of DEVELOPMENT, on which settings may be chosen. With --report, reads those of
REPORT, on which nothing may be chosen, and writes results/papers.csv.
"""

import argparse
import csv
import io
import time
from collections import Counter

import pandas as pd
from tqdm import tqdm

from benchmarks.drawn import answers, forms, odd_pages, papers
from benchmarks.drawn.answers import Cell, Place
from benchmarks.shared import harness
from handwriting.pages import reading, report
from handwriting.pages.picture import Picture
from stages.digits.base import dataset, errors, params, splits
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble

DEVELOPMENT, REPORT = range(5), range(2000, 2010)  # the seeds of each kind's pages


def read(picture: Picture, members: list, reference: dataset.Labelled) -> dict[Place, Cell]:
    """What the CSV file says; nothing for a page that is rejected."""
    try:
        page = report.Reading("", reading.read(picture, members, reference))
    except InputError:
        return {}
    lines = csv.DictReader(io.StringIO(report.as_csv([page], params.DIGIT_NAMES)))
    return {
        tuple(int(line[name]) - 1 for name in ("table", "row", "column")): (line["digits"], line["unsure"] == "true")
        for line in lines
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=__doc__)
    parser.add_argument("--report", action="store_true", help="the pages on which nothing was chosen")
    seeds = REPORT if (is_report := parser.parse_args().report) else DEVELOPMENT
    members, labelled = ensemble.load_members(), dataset.load_labelled(dataset.LABELLED)
    rows = []
    for kind in tqdm([*papers.KINDS, *odd_pages.KINDS], disable=None):
        total: Counter = Counter()
        for seed in seeds:
            member = seed % len(members)
            held_out = labelled.folds == splits.held_out_fold(labelled, member)
            hands = [forms.from_images(labelled.subset(held_out & ~labelled.is_own))]
            picture, answer, *_ = (papers if kind in papers.KINDS else odd_pages).draw(kind, hands, seed)
            before = time.process_time()
            cells = read(picture, members[member : member + 1], labelled.subset(~held_out))
            total["cpu_seconds"] += time.process_time() - before
            total += answers.judge(answer, cells)
        counts = ("digits", "wrong", "sure_and_wrong", "unsure", "numbers", "numbers_apart")
        rows.append(
            {"kind": kind, "is_odd": kind in odd_pages.KINDS, "pages": len(seeds)}
            | {name: total[name] for name in counts}
            | {"cpu_seconds_per_page": round(total["cpu_seconds"] / len(seeds), 2), "seeds": f"{seeds[0]}-{seeds[-1]}"}
            | {"members": len(members), "commit": harness.commit(harness.ROOT)}
            | harness.machine()
        )
    table = pd.DataFrame(rows)
    if is_report:
        table.to_csv(harness.RESULTS / "papers.csv", index=False, lineterminator="\n")
    print(table.drop(columns=["seeds", "commit", "machine", "tensorflow"]).to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
