"""What the benchmarks compute besides running commands."""

import subprocess
import sys
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import compare, verify, verify_cpu, worker_scaling
from benchmarks.baselines.deotte import random_affine
from benchmarks.shared import harness, tables
from benchmarks.shared.presets import PRESETS
from stages.digits.model.backend import keras
from stages.digits.tables import kaggle


def run(model: str, third: int, errors: int, seed: int = 1, **cost: float | str) -> dict:
    costs = {"cpu_seconds": 60.4, "wall_seconds": 30.0, "peak_mib": 1000.0, "parameters": 2000, "machine": "a"} | cost
    return {"model": model, "seed": seed, "third": third, "images": 14_000, "errors": errors} | costs


def test_a_run_replaces_its_own_rows_and_keeps_all_others(tmp_path):
    path = tmp_path / "compare.csv"
    harness.upsert(path, [run("a", 0, 1), run("b", 0, 2)], compare.KEY)
    harness.upsert(path, [run("a", 1, 3)], compare.KEY)
    harness.upsert(path, [run("a", 0, 4)], compare.KEY)
    assert pd.read_csv(path).to_dict("records") == [run("a", 0, 4), run("a", 1, 3), run("b", 0, 2)]


def test_each_digit_is_held_out_in_exactly_one_third(tmp_path, drawn):
    held_out = []
    for third in range(compare.THIRDS):
        raw = tmp_path / str(third)
        labels = compare.write_raw(drawn, third, raw)
        unlabelled, labelled = kaggle.read_unlabelled(raw), kaggle.read_labelled(raw)
        assert len(unlabelled.images) == len(labels) == len(drawn.images) - len(labelled.images)
        assert not {image.tobytes() for image in labelled.images} & {image.tobytes() for image in unlabelled.images}
        held_out += [(image.tobytes(), label) for image, label in zip(unlabelled.images, labels, strict=True)]
    expected = [(image.tobytes(), label) for image, label in zip(drawn.images, drawn.labels, strict=True)]
    assert sorted(held_out) == sorted(expected)


def test_the_comparison_sums_the_thirds_and_leaves_out_models_that_have_not_run_all():
    runs = pd.DataFrame(
        [*(run("quick", third, 10 + third) for third in range(3)), run("textbook", 0, 5), run("default", 2, 1)]
    )
    *_, row = tables.comparison(runs).splitlines()
    assert row == "| **quick** | 33 | 1 | 0.08 % | 1.0 | 1,000 | 2,000 |"


def test_the_comparison_gives_the_mean_and_range_of_the_seeds_that_have_run_all_thirds():
    runs = pd.DataFrame([run("quick", third, seed + third, seed) for seed in (1, 3) for third in range(3)])
    runs.loc[len(runs)] = run("quick", 0, 99, seed=4)
    *_, row = tables.comparison(runs).splitlines()
    assert row.startswith("| **quick** | 9 (6 to 12) | 2 |")


def test_costs_are_those_of_the_machine_that_made_the_most_runs():
    runs = pd.DataFrame([run("quick", third, 10, seed) for seed in (1, 2, 3) for third in range(3)])
    runs.loc[:1, ["cpu_seconds", "machine"]] = 600.0, "another"
    *_, row = tables.comparison(runs).splitlines()
    assert row == "| **quick** | 30 (30 to 30) | 3 | 0.07 % | 1.0 | 1,000 | 2,000 |"
    elsewhere = pd.DataFrame([run("default", third, 10, cpu_seconds=600, machine="another") for third in range(3)])
    _, _, row, _ = tables.comparison(pd.concat([runs, elsewhere])).splitlines()
    assert row == "| **default** | 30 | 1 | 0.07 % | 10.0 | 1,000 | 2,000 |"


def test_the_machines_of_the_comparison_are_listed_with_the_most_runs_first():
    runs = pd.DataFrame([run("quick", third, 10, seed, tensorflow="2.21.0") for seed in (1, 2) for third in range(3)])
    runs.loc[0, "machine"] = "0"
    assert tables.comparison_machines(runs).splitlines() == [
        "- quick (5): a, TensorFlow 2.21.0",
        "- quick (1): 0, TensorFlow 2.21.0",
    ]


def test_a_ratio_compares_a_baselines_time_to_its_own_accuracy_with_the_cheapest_preset_that_has_it():
    runs = pd.DataFrame(
        [
            run(model, third, errors, cpu_seconds=seconds)
            for model, errors, seconds in (("deotte", 50, 900), ("quick", 51, 10), ("default", 50, 30), ("best", 9, 60))
            for third in range(3)
        ]
    )
    curves = pd.DataFrame(
        [
            {"model": "deotte", "seed": 1, "third": third, "epoch": epoch, "cpu_seconds": 300 * epoch, "errors": errors}
            for third in range(3)
            for epoch, errors in ((1, 80), (2, 49), (3, 50))
        ]
    )
    *_, row = tables.ratios(runs, curves).splitlines()
    assert row == "| deotte | 150 of 42,000 | 600 | default: 30 | 20 |"
    runs.loc[(runs["model"] == "deotte") & (runs["third"] > 0), "machine"] = "another"
    *_, row = tables.ratios(runs, curves).splitlines()
    assert row == "| deotte | 50 of 14,000 | 600 | default: 30 | 20 |"
    runs.loc[(runs["model"] == "default") & (runs["third"] == 0), ["cpu_seconds", "errors"]] = 20, 49
    *_, row = tables.ratios(runs, curves).splitlines()
    assert row == "| deotte | 50 of 14,000 | 600 | default: 20 | 30 |"


def evaluated(preset: str, seed: int, errors: int, images: int = 42_000) -> dict:
    return {"preset": preset, "seed": seed, "errors": errors, "evaluated_images": images, "cpu_minutes": 8.0,
            "wall_minutes": 5.0, "peak_mib": 1200}  # fmt: skip


def test_the_accuracy_counts_out_of_fold_errors_where_every_image_was_evaluated_and_thirds_elsewhere():
    out_of_fold = pd.DataFrame(
        [evaluated("default", 1, 150), evaluated("default", 2, 160), evaluated("quick", 1, 10, images=4200)]
    )
    by_thirds = pd.DataFrame(
        [run(model, third, 60) for model in ("default", "quick", "textbook") for third in range(3)]
    )
    assert tables.accuracy(out_of_fold, by_thirds).splitlines()[2:] == [
        "| **default** | 155 (150 to 160) | 2 | 0.37 % (0.32 to 0.43) | 8.0 | 5.0 | 1,200 |",
        "| **quick**, by thirds | 180 | 1 | 0.43 % (0.37 to 0.50) | 1.0 | 0.5 | 1,000 |",
        "| textbook (baseline), by thirds | 180 | 1 | 0.43 % (0.37 to 0.50) | 1.0 | 0.5 | 1,000 |",
    ]


def test_the_table_of_forms_counts_wrong_cells_among_those_that_were_found():
    counts = {"forms": "photos", "pictures": 12, "cells": 1000, "found": 800, "wrong": 40, "wrong_but_sure": 3}
    (row,) = tables.forms(pd.DataFrame([counts])).splitlines()[2:]
    assert row == "| photographed newspaper grids | 12 | 1,000 | 80.0 % | 5.0 % | 3 |"


def test_a_pile_is_compared_with_one_core_without_the_start():
    one = {"cores": 1, "pages_per_minute": 39.0, "pages_per_minute_once_started": 40.0, "cpu_seconds_per_page": 1.5}
    two = {"cores": 2, "pages_per_minute": 60.0, "pages_per_minute_once_started": 76.0, "cpu_seconds_per_page": 1.65}
    table = pd.DataFrame([one | {"peak_mib": 500}, two | {"peak_mib": 1400}])
    assert tables.pages(table).splitlines()[2:] == [
        "| 1 | 39 | 40 | 1.00 | 1.50 | 500 |",
        "| 2 | 60 | 76 | 1.90 | 1.65 | 1,400 |",
    ]


def test_the_table_of_own_digits_is_of_the_hand_on_which_nothing_was_chosen():
    errors = {"own_images": 1000, "kaggle_errors": 10, "kaggle_images": 4200}
    points = [("kept", 400, 5), ("kept", 0, 90), ("three", 99, 7)]
    table = pd.DataFrame([{"hand": hand, "own_digits": n, "own_errors": m} | errors for hand, n, m in points])
    assert tables.own_digits(table).splitlines()[2:] == [
        "| 0 | 90 of 1,000 | 9.0 % | 10 of 4,200 |",
        "| 400 | 5 of 1,000 | 0.5 % | 10 of 4,200 |",
    ]


def test_what_was_printed_is_compared_with_what_happened_where_every_image_was_evaluated():
    said = {"out_of_fold_errors": 112, "evaluated_images": 28_000}
    runs = pd.DataFrame(
        [
            *(run("default", third, 50 + third, **said) for third in range(3)),
            *(run("quick", third, 60, out_of_fold_errors=5, evaluated_images=2800) for third in range(3)),
            *(run("textbook", third, 99) for third in range(3)),
        ]
    )
    (row,) = tables.calibrated_accuracy(runs).splitlines()[2:]
    assert row == "| **default** | 1 | 0.40 % (0.34 to 0.47) | 0.36 % | 336 of 84,000 | 153 of 42,000 |"


def test_the_comparison_lists_the_fewest_errors_first():
    runs = pd.DataFrame([run(model, third, errors) for model, errors in (("b", 9), ("a", 20)) for third in range(3)])
    assert [row.split(" ")[1] for row in tables.comparison(runs).splitlines()[2:]] == ["b", "a"]


def test_confusions_count_both_directions_and_sum_to_all_errors():
    counts = {(0, 0): 90, (4, 9): 2, (9, 4): 3, (1, 7): 4, (2, 3): 1}
    pairs = pd.DataFrame([{"actual": a, "predicted": b, "images": images} for (a, b), images in counts.items()])
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in tables.confusions(pairs).splitlines()]
    assert rows[0] == ["confused digits, in 100 images", "errors"]
    assert rows[2:] == [["4 and 9", "5"], ["1 and 7", "4"], ["all other pairs", "1"], ["**all**", "**10**"]]


def test_kills_are_counted_for_each_target():
    faults = {"dvc": [(0, True), (2, False)], "all": [(0, True)]}
    moments = pd.DataFrame(
        [
            {"moment": moment, "target": target, "half_written": half_written, "same_bytes": same_bytes}
            for target, own in faults.items()
            for moment, (half_written, same_bytes) in enumerate(own)
        ]
    )
    assert tables.kills(moments).splitlines()[2:] == ["| dvc | 2 | 2 | 1 |", "| all | 1 | 0 | 1 |"]


def test_only_thirds_that_every_model_has_run_on_one_machine_are_drawn():
    runs = pd.DataFrame([run("a", 0, 140), run("a", 1, 700), run("b", 0, 280), run("b", 1, 280, machine="b")])
    epochs = ((0, 1, 168), (0, 2, 140), (1, 1, 840), (1, 2, 700))
    curves = pd.DataFrame(
        [
            {"model": "a", "seed": 1, "third": third, "epoch": epoch, "cpu_seconds": 60 * epoch, "errors": errors}
            for third, epoch, errors in epochs
        ]
    )
    axes = compare.figure(runs, curves).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.2, 1.0]]
    assert [points.get_offsets().data[:, 1].tolist() for points in axes.collections] == [[1.0], [2.0]]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert "(shown: 0)" in axes.get_title()


def test_time_falls_with_the_rounds_that_the_members_take():
    seconds = worker_scaling.calculate({1: 82.0, 2: 42.0}).set_index("workers")["calculated_seconds"]
    assert seconds.tolist() == [82, 42, 32, 22, 22, 22, 22, 12]


def test_times_that_more_workers_cannot_reach_are_rejected():
    with pytest.raises(ValueError, match="something else ran"):
        worker_scaling.calculate({1: 196.0, 2: 87.0})


def test_a_command_that_fails_stops_the_benchmark(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        harness.cost([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


@pytest.mark.slow
def test_the_memory_of_child_processes_counts(tmp_path):
    """A child of the command holds 200 MiB for a while."""
    hold = "import time; held = b'1' * (200 * 2**20); time.sleep(3)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    assert harness.cost([sys.executable, "-c", code], tmp_path).peak_mib > 200


def test_every_preset_changes_parameters_that_exist():
    params = yaml.safe_load((harness.ROOT / "params.yaml").read_text(encoding="utf-8"))
    for changes in PRESETS.values():
        for change in changes:
            section, _, key = change.partition("=")[0].partition(".")
            assert key in params[section]


def test_a_baseline_augments_each_image_in_its_own_way():
    images = np.zeros((6, 28, 28), dtype=np.uint8)
    images[:, 13:15, 20:22] = 200
    augmented = random_affine(images, np.random.default_rng(0))
    assert augmented.dtype == np.uint8
    assert len(np.unique(augmented.reshape(6, -1), axis=0)) == 6


def test_a_differing_hash_is_reported_for_its_cpu():
    table = verify_cpu.compare({"a": "1", "b": "2"}, {"Haswell": {"a": "1", "b": "3"}, "EPYC": {"a": "1", "b": "2"}})
    assert table["Haswell"].tolist() == ["same", "different"]
    assert table["EPYC"].tolist() == ["same", "same"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["textbook", "deotte"])
def test_a_baseline_is_a_network_that_trains(name, drawn, monkeypatch):
    baseline = import_module(f"benchmarks.baselines.{name}")
    monkeypatch.setattr(baseline, "EPOCHS", 1)
    monkeypatch.setattr(baseline, "BATCH_SIZE", 20, raising=False)
    model = baseline.train(drawn.images, drawn.labels, keras.callbacks.Callback())
    assert model.predict(drawn.images, verbose=0).shape == (60, 10)


def test_outputs_that_differ_or_are_missing_are_named():
    table = verify.compare({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9"}).set_index("output")["result"]
    assert table.to_dict() == {"a": "same", "b": "different", "c": "different"}


def test_every_output_of_the_pipeline_is_compared():
    pipeline = yaml.safe_load((harness.ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    outs = [out for stage in pipeline["stages"].values() for out in stage["outs"]]
    assert verify.outputs(harness.ROOT).keys() == {out if isinstance(out, str) else next(iter(out)) for out in outs}
