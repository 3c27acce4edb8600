"""A gate on the committed figures that distrusts both ends: a pipeline that learns too little, and a leak."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks.shared.presets import PRESETS

ROOT = Path(__file__).parents[2]
KEYS = (("train", "members"), ("prepare", "folds"))
RUNS = pd.read_csv(ROOT / "benchmarks/results/accuracy.csv")


def test_the_sample_is_learned_well_but_not_perfectly():
    metrics = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    assert metrics["evaluated_images"] == 1000
    assert 0.975 < metrics["accuracy"] < 1


@pytest.mark.parametrize("preset", ["default", "best"])
def test_every_labelled_image_is_evaluated(preset):
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    changes = dict(change.split("=") for change in PRESETS[preset])
    members, folds = (changes.get(f"{section}.{key}", params[section][key]) for section, key in KEYS)
    assert int(members) == int(folds)


@pytest.mark.parametrize("preset", RUNS["preset"].unique())
def test_kaggles_data_is_learned_well_but_not_better_than_its_labels_are(preset):
    """15 of MNIST's 10,000 test labels are wrong (Northcutt and others, 2021): above 99.85 % is a leak, not skill."""
    accuracy = RUNS.loc[RUNS["preset"] == preset, "accuracy"]
    assert accuracy.between(0.995, 0.9985).all()


def test_the_committed_confusion_matrix_is_that_of_a_recorded_run():
    pairs = pd.read_csv(ROOT / "benchmarks/results/kaggle/confusion_matrix.csv")
    errors = pairs.loc[pairs["actual"] != pairs["predicted"], "images"].sum()
    assert (errors, pairs["images"].sum()) in set(zip(RUNS["errors"], RUNS["evaluated_images"], strict=True))
