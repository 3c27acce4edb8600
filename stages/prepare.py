"""Read Kaggle's files, refuse what is wrong, explore them, and deal the folds."""

import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from stages.digits import dataset, drawing, kaggle, params

METRICS = Path("metrics/prepare.json")
PLOTS = Path("plots")


class Prepare(params.Section):
    seed: params.Seed
    folds: Annotated[int, Field(ge=2, le=50)]


def statistics(labelled: kaggle.Table, unlabelled: kaggle.Table) -> dict[str, float]:
    """What a look at the files tells, as flat numbers; ink is 0–255."""
    counts = np.bincount(labelled.labels, minlength=dataset.DIGITS)
    pieces = np.array_split(labelled.images, 1 + len(labelled.images) // 10_000)  # bincount takes 8 bytes a pixel
    histogram = sum(np.bincount(piece.ravel(), minlength=256) for piece in pieces)  # exact, no array of floats
    ink = np.arange(256)
    mean = histogram @ ink / histogram.sum()
    prints = dataset.fingerprints(labelled.images)
    pairs = pd.DataFrame({"image": prints, "label": labelled.labels})
    return {
        "labelled_rows": len(labelled.images),
        "unlabelled_rows": len(unlabelled.images),
        "missing_values": 0,  # a file that lacks a value is rejected
        "ink_mean": round(float(mean), 4),
        "ink_deviation": round(float(np.sqrt(histogram @ (ink - mean) ** 2 / histogram.sum())), 4),
        "blank_pixels": int((labelled.images.max(axis=0) == 0).sum()),
        "rarest_digit_rows": int(counts.min()),
        "commonest_digit_rows": int(counts.max()),
        "repeated_images": int(pairs["image"].duplicated().sum()),
        "contradicting_images": int((pairs.groupby("image")["label"].nunique() > 1).sum()),
        "leaked_images": int(np.isin(dataset.fingerprints(unlabelled.images), prints).sum()),
    }


def warnings(found: dict[str, float]) -> list[str]:
    """What a person should know before trusting an accuracy measured on these files."""
    texts = {
        "repeated_images": "{} images of train.csv occur there before: folds may share them",
        "contradicting_images": "{} images of train.csv occur there with different labels",
        "leaked_images": "{} images of test.csv also stand in train.csv, with their labels: a leak",
    }
    return [f"warning: {text.format(found[name])}" for name, text in texts.items() if found[name]]


def main() -> None:
    wanted = params.section("prepare", Prepare)
    raw = params.raw()
    labelled, unlabelled = kaggle.read_labelled(raw), kaggle.read_unlabelled(raw)
    folds = dataset.dealt(labelled.labels, wanted.folds, wanted.seed)
    found = statistics(labelled, unlabelled)

    for path in (dataset.LABELLED, METRICS, PLOTS / "samples.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_labelled(dataset.LABELLED, dataset.Labelled(labelled.images, labelled.labels, folds))
    dataset.save_unlabelled(dataset.UNLABELLED, unlabelled.images)
    METRICS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    balance = pd.DataFrame({"digit": range(dataset.DIGITS), "rows": np.bincount(labelled.labels)})
    balance.to_csv(PLOTS / "class_balance.csv", index=False, lineterminator="\n")
    drawing.save(drawing.samples(labelled.images, labelled.labels), PLOTS / "samples.png")
    print("\n".join(f"{name:22}{value:>12}" for name, value in found.items()))
    for warning in warnings(found):
        print(warning, file=sys.stderr)


if __name__ == "__main__":
    main()
