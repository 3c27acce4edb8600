"""Read Kaggle's files or reject them, compute statistics, and assign the folds."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from stages.digits.base import dataset, errors, files, params, splits
from stages.digits.report import drawing
from stages.digits.tables import kaggle, own

METRICS = Path("metrics/prepare.json")
PLOTS = Path("plots")
SAMPLE = Path("data/sample")


class Prepare(params.Section):
    seed: params.Seed
    folds: Annotated[int, Field(ge=2, le=50)]


def statistics(labelled: kaggle.LabelledTable, unlabelled: kaggle.Table) -> dict[str, float]:
    """Statistics of the labelled and unlabelled images; pixels are ink 0–255."""
    counts = np.bincount(labelled.labels, minlength=dataset.DIGITS)
    chunks = np.array_split(labelled.images, 1 + len(labelled.images) // 10_000)  # bincount takes 8 bytes a pixel
    histogram = sum(np.bincount(chunk.ravel(), minlength=256) for chunk in chunks)  # exact, no array of floats
    pixels, total, squares = (int(histogram @ np.arange(256) ** power) for power in range(3))  # sums of ink^power
    fingerprints = dataset.fingerprints(labelled.images)
    pairs = pd.DataFrame({"image": fingerprints, "label": labelled.labels})
    return {
        "labelled_rows": len(labelled.images),
        "unlabelled_rows": len(unlabelled.images),
        "missing_values": 0,  # `kaggle` rejects a file that has any
        "pixel_mean": round(total / pixels, 4),
        "pixel_std": round(math.sqrt(pixels * squares - total**2) / pixels, 4),
        "always_blank_pixels": int((labelled.images.max(axis=0) == 0).sum()),
        "min_class_count": int(counts.min()),
        "max_class_count": int(counts.max()),
        "duplicate_images": int(pairs["image"].duplicated().sum()),
        "conflicting_labels": int((pairs.groupby("image")["label"].nunique() > 1).sum()),
        "leaked_images": int(np.isin(dataset.fingerprints(unlabelled.images), fingerprints).sum()),
    }


def own_statistics(digits: dataset.OwnDigits) -> dict[str, float]:
    """Statistics of one's own digits."""
    fingerprints = dataset.fingerprints(digits.images)
    return {
        "own_rows": len(fingerprints),
        "own_writers": len(np.unique(digits.writers[~digits.are_printed])),
        "own_duplicates": len(fingerprints) - len(np.unique(fingerprints)),
    }


def read_own(folder: Path | None, settings: Prepare) -> dataset.OwnDigits:
    """One's own digits, with their folds; none without a folder."""
    if folder is None:
        return dataset.NO_OWN
    images, labels, writers, names = own.read(folder)
    by_name = np.array(names)[writers]
    folds = splits.assign_own_folds(labels, by_name, settings.folds, settings.seed)
    return dataset.OwnDigits(images, labels, folds, by_name)


def warnings(metrics: dict[str, float]) -> list[str]:
    """What a person should know before trusting an accuracy measured on these files."""
    texts = {
        "duplicate_images": "{} images of train.csv are duplicates: copies may be in different folds",
        "conflicting_labels": "{} images of train.csv occur with different labels",
        "leaked_images": "{} images of test.csv are also in train.csv, with their labels: a leak",
        "own_duplicates": "{} of your own digits are duplicates: copies may be in different folds",
    }
    return [f"warning: {text.format(metrics[name])}" for name, text in texts.items() if metrics.get(name)]


def main() -> None:
    settings = params.section("prepare", Prepare)
    raw, classes = params.raw(), params.classes()
    own_folder, own_weight = params.own(), params.own_weight()
    labelled, unlabelled = kaggle.read_labelled(raw), kaggle.read_unlabelled(raw)
    folds = splits.assign_folds(labelled.labels, settings.folds, settings.seed)
    metrics = statistics(labelled, unlabelled)
    own_digits = read_own(own_folder, settings)
    rows = splits.add_own(dataset.Labelled(labelled.images, labelled.labels, folds), own_digits, own_weight)
    if own_folder:
        metrics |= own_statistics(own_digits)
        if raw == SAMPLE and own_weight:
            print(
                f"warning: {own_folder} is trained on with the sample, which has few writers; see README",
                file=sys.stderr,
            )

    dataset.save_labelled(dataset.LABELLED, rows)
    dataset.save_own(dataset.OWN, own_digits)
    dataset.save_unlabelled(dataset.UNLABELLED, unlabelled.images)
    files.write_text(METRICS, json.dumps(metrics, indent=2) + "\n")
    balance = pd.DataFrame({"digit": classes, "rows": np.bincount(labelled.labels)})
    files.write_text(PLOTS / "class_balance.csv", balance.to_csv(index=False, lineterminator="\n"))
    drawing.save(drawing.samples(labelled.images, labelled.labels, classes), PLOTS / "samples.png")
    print("\n".join(f"{name:22}{value:>12}" for name, value in metrics.items()))
    for warning in warnings(metrics):
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    errors.run(main)
