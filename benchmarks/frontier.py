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

from benchmarks import compare, harness
from stages.digits import dataset, ensemble, kaggle, member, neighbours, params
from stages.digits.backend import keras
from stages.digits.recipe import Recipe

FRONTIER = harness.RESULTS / "frontier.csv"
KEY = ["setting", "seed", "third", "members"]
SETTINGS: dict[str, tuple[int, dict]] = {  # members, and what differs from params.yaml
    "24x8": (1, {"width": 24, "epochs": 8, "learning_rate": 0.008}),
    "32x6": (1, {"width": 32, "epochs": 6, "learning_rate": 0.008}),
    "32x7": (1, {"width": 32, "epochs": 7, "learning_rate": 0.008}),
    "32x6 rate 0.014": (1, {"width": 32, "epochs": 6, "learning_rate": 0.014}),
    "32x9": (1, {"width": 32, "epochs": 9, "learning_rate": 0.008}),
    "32x12": (2, {"width": 32, "epochs": 12, "learning_rate": 0.008}),
    "32x17": (2, {"width": 32, "epochs": 17, "learning_rate": 0.008}),
    "32x25": (2, {"width": 32, "epochs": 25, "learning_rate": 0.008}),
    "48x6": (1, {"width": 48, "epochs": 6, "learning_rate": 0.008}),
    "48x12": (2, {"width": 48, "epochs": 12, "learning_rate": 0.008}),
    "48x25": (2, {"width": 48, "epochs": 25, "learning_rate": 0.008}),
}


def errors(setting: str, seed: int, third: int, table: kaggle.Table) -> list[dict]:
    """Train the members of a setting on two thirds; a row for the average of the first, of the first two, and so on."""
    members, changes = SETTINGS[setting]
    recipe = params.section("train", Recipe).model_copy(update={**changes, "members": members, "seed": seed})
    held_out = dataset.assign_folds(table.labels, compare.THIRDS, seed=0) == third
    images, labels = table.images[held_out], table.labels[held_out]
    own, own_labels = table.images[~held_out], table.labels[~held_out]
    labelled = dataset.Labelled(own, own_labels, dataset.assign_folds(own_labels, 10, seed=1))
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
        score = {"images": len(labels), "errors": int((refined.argmax(axis=1) != labels).sum())}
        score["alone"] = int((total.argmax(axis=1) != labels).sum())
        rows.append(key | score | {"cpu_seconds": round(cpu_seconds, 1), "epochs": len(trained.history)})
    return rows


def measured() -> set[tuple[str, int, int]]:
    if not FRONTIER.exists():
        return set()
    return set(pd.read_csv(FRONTIER)[KEY[:3]].itertuples(index=False, name=None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("raw", type=Path, help="Kaggle's download")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    arguments = parser.parse_args()
    table = kaggle.read_labelled(arguments.raw)
    for setting in arguments.only:
        for seed in arguments.seeds:
            for third in range(compare.THIRDS):
                if (setting, seed, third) in measured():
                    continue
                rows = errors(setting, seed, third, table)
                print(rows, flush=True)
                harness.upsert(FRONTIER, rows, KEY)


if __name__ == "__main__":
    main()
