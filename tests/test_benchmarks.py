"""What the benchmarks compute besides running things."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.colors import to_hex

from benchmarks import compare, measured, stepless, workers
from benchmarks.kaggle import KEY
from stages.digits import dataset, kaggle, member
from stages.digits.backend import keras


def row(contestant: str, repeat: int, errors: int) -> dict:
    return {"contestant": contestant, "repeat": repeat, "held_out": 1000, "errors": errors}


def test_a_run_replaces_its_own_rows_and_keeps_the_others(tmp_path):
    table = tmp_path / "compare.csv"
    measured.replace(table, [row("a", 0, 1), row("b", 0, 2)], compare.KEY)
    measured.replace(table, [row("a", 1, 3)], compare.KEY)
    measured.replace(table, [row("a", 0, 4)], compare.KEY)
    assert pd.read_csv(table).to_dict("records") == [row("a", 0, 4), row("a", 1, 3), row("b", 0, 2)]


def test_a_run_of_a_profile_replaces_that_of_its_seed_and_keeps_the_others(tmp_path):
    table = tmp_path / "kaggle.csv"
    first, second, third = ({"profile": "quick", "seed": seed, "errors": 10 * seed} for seed in (1, 2, 3))
    measured.replace(table, [first, third], KEY)
    measured.replace(table, [second], KEY)
    assert pd.read_csv(table).to_dict("records") == [first, second, third]
    again = {"profile": "quick", "seed": 1, "errors": 11}
    measured.replace(table, [again], KEY)
    assert pd.read_csv(table).to_dict("records") == [again, second, third]


def test_repeats_hold_out_other_digits_and_together_all_of_them(tmp_path, drawn):
    held_out, shown = [], []
    for repeat in range(compare.PARTS):
        raw = tmp_path / str(repeat)
        labels = compare.held_out(drawn, repeat, raw)
        unseen, seen = kaggle.read_unlabelled(raw), kaggle.read_labelled(raw)
        assert len(unseen.images) == len(labels) == len(drawn.images) - len(seen.images)
        held_out += [(image.tobytes(), label) for image, label in zip(unseen.images, labels, strict=True)]
        shown.append({image.tobytes() for image in seen.images} & {image.tobytes() for image in unseen.images})
    expected = [(image.tobytes(), label) for image, label in zip(drawn.images, drawn.labels, strict=True)]
    assert sorted(held_out) == sorted(expected)
    assert not any(shown)


COSTS = {"cpu_seconds": 60.4, "wall_seconds": 30.0, "peak_mib": 1000.0, "parameters": 2000}


def test_the_summary_keeps_the_parts_apart_and_shows_which_are_missing():
    table = pd.DataFrame(
        [row("a", 0, 10) | COSTS, row("a", 1, 15) | COSTS | {"cpu_seconds": 70}, row("b", 1, 9) | COSTS]
    )
    assert compare.summary(table).splitlines() == [
        "| a | 10 | 15 | 65 | 30 | 1,000 | 2,000 |",
        "| b | – | 9 | 60 | 30 | 1,000 | 2,000 |",
    ]


def test_only_repeats_that_all_have_run_are_drawn():
    table = pd.DataFrame([row("a", 0, 10) | COSTS, row("a", 1, 50) | COSTS, row("b", 0, 20) | COSTS])
    course = pd.DataFrame(
        [
            {"contestant": "a", "repeat": repeat, "epoch": epoch, "cpu_seconds": 60 * epoch, "errors": errors}
            for repeat, epoch, errors in ((0, 1, 12), (0, 2, 10), (1, 1, 60), (1, 2, 50))
        ]
    )
    axes = compare.curve(table, course).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.2, 1.0]]
    assert [points.get_offsets().data.tolist() for points in axes.collections] == [
        [[pytest.approx(60.4 / 60), 1.0]],
        [[pytest.approx(60.4 / 60), 2.0]],
    ]


def test_the_legend_names_all_and_a_course_has_the_colour_of_its_points():
    table = pd.DataFrame([row(name, 0, 10) | COSTS for name in ("a", "b", "c")])
    course = pd.DataFrame([{"contestant": "b", "repeat": 0, "epoch": 1, "cpu_seconds": 60, "errors": 12}])
    axes = compare.curve(table, course).axes[0]
    colours = {points.get_label(): to_hex(points.get_facecolor()[0]) for points in axes.collections}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(colours) == ["a", "b", "c"]
    assert len(set(colours.values())) == 3
    assert [to_hex(line.get_color()) for line in axes.lines] == [colours["b"]]


def test_time_is_calculated_by_rounds_of_members():
    table = workers.calculated({1: 82.0, 2: 42.0}).set_index("workers")["calculated"]
    assert table.tolist() == [82, 42, 32, 22, 22, 22, 22, 12]


def test_times_that_more_workers_cannot_reach_are_refused():
    with pytest.raises(ValueError, match="something else ran"):
        workers.calculated({1: 196.0, 2: 87.0})


def test_without_steps_a_member_is_fitted_but_for_its_weights(labelled, recipe, tmp_path, monkeypatch):
    """Its images are drawn and its epochs are reported; its weights, those given, never change."""
    given = member.compiled(recipe.model_copy(update={"seed": 9}), number=1)
    given.save(tmp_path / "member-01.keras")
    monkeypatch.setattr(member, "compiled", member.compiled)
    drawn, batches = [], member.batches

    def seen(*arguments):
        for batch in batches(*arguments):
            drawn.append(batch)
            yield batch

    monkeypatch.setattr(member, "batches", seen)
    stepless.install(str(tmp_path))
    fitted = member.fit(labelled, 1, recipe, report=lambda _: None)
    (tmp_path / "fitted.keras").write_bytes(fitted.model)
    found = keras.models.load_model(tmp_path / "fitted.keras")
    assert all(np.array_equal(*pair) for pair in zip(found.get_weights(), given.get_weights(), strict=True))
    first, second = fitted.history
    assert first.validation_loss == second.validation_loss
    rows = dataset.parts(labelled, 1, recipe.validation_fraction, recipe.seed).fitted
    assert len(drawn) == 2 * (len(rows) // recipe.batch_size)


def test_a_command_that_fails_stops_the_benchmark(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        measured.cost([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_the_memory_of_children_counts(tmp_path):
    """A child of the command holds 200 MiB for a while."""
    hold = "import time; held = b'1' * (200 * 2**20); time.sleep(3)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    assert 200 < measured.cost([sys.executable, "-c", code], tmp_path).peak_mib < 300


def test_every_profile_changes_parameters_that_exist():
    params = yaml.safe_load((measured.HERE.parent / "params.yaml").read_text(encoding="utf-8"))
    for change in np.concatenate(list(measured.PROFILES.values())):
        section, _, key = change.partition("=")[0].partition(".")
        assert key in params[section]
