"""Training one member: what it learns from, and that the same inputs give the same bytes."""

import random
import subprocess
import sys
import threading

import numpy as np
import pytest

from stages.digits.base import dataset, splits
from stages.digits.model import geometry
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble
from stages.digits.training import member
from stages.digits.training.recipe import EpochMetrics, TrainedMember


def ignore(_: EpochMetrics) -> None:
    pass


@pytest.fixture(scope="module")
def reported() -> list[EpochMetrics]:
    """What `trained` reported."""
    return []


@pytest.fixture(scope="module")
def trained(labelled, recipe, reported) -> TrainedMember:
    return member.fit(labelled, 1, recipe, reported.append)


@pytest.mark.slow
def test_a_network_memorises_one_batch(labelled, recipe):
    still = recipe.model_copy(
        update={"dropout_rate": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0, "epochs": 1, "warmup_fraction": 0.0}
    )
    model = member.compile_network(still, member=0)
    images, labels = labelled.images[:40], np.eye(10)[labelled.labels[:40]]
    for _ in range(60):
        model.train_on_batch(images, labels)
    assert (ensemble.predict_proba(model, images).argmax(axis=1) == labelled.labels[:40]).all()


def test_epochs_differ_in_order_and_augmentation(labelled, recipe):
    rows = np.arange(40)
    seen = list(member.batches(labelled.images, labelled.labels, rows, 40, recipe, 0))
    (first, first_labels), (second, second_labels) = seen[:2]
    assert not np.array_equal(first_labels, second_labels)
    assert np.array_equal(np.sort(first_labels), np.sort(second_labels))
    in_first = {image.tobytes() for image in first}
    assert not any(image.tobytes() in in_first for image in second)


def test_seed_and_member_decide_the_batches(labelled, recipe):
    def first(member_index: int) -> np.ndarray:
        return next(member.batches(labelled.images, labelled.labels, np.arange(40), 40, recipe, member_index))[0]

    assert np.array_equal(first(0), first(0))
    assert not np.array_equal(first(0), first(1))


def test_every_training_image_is_seen_once_per_epoch(labelled, recipe, monkeypatch):
    monkeypatch.setattr(geometry, "skew", lambda images: np.zeros((len(images), 2)))
    still = recipe.model_copy(update={"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "epochs": 1})
    rows = np.arange(60)
    seen = np.concatenate(
        [images for images, _ in member.batches(labelled.images, labelled.labels, rows, 20, still, 0)]
    )
    assert sorted(image.tobytes() for image in seen) == sorted(image.tobytes() for image in labelled.images[rows])


@pytest.mark.slow
def test_another_threads_random_draws_change_no_bit(labelled, recipe, trained):
    stop = threading.Event()

    def draw() -> None:
        while not stop.wait(0.0005):
            random.random()
            np.random.random()  # noqa: NPY002 (the global state is the point)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        in_parallel = member.fit(labelled, 1, recipe, ignore)
    finally:
        stop.set()
        thread.join()
    assert in_parallel == trained


PLAIN_KERAS = """\
import os, sys
os.environ.update(CUDA_VISIBLE_DEVICES="-1", ONEDNN_MAX_CPU_ISA="AVX2", TF_ENABLE_ONEDNN_OPTS="1")
import keras, numpy, tensorflow
tensorflow.config.threading.set_intra_op_parallelism_threads(1)
images = numpy.load("images.npy")
numpy.save("probabilities.npy", keras.models.load_model("model.keras").predict(images, batch_size=500))
sys.exit("stages" in sys.modules)
"""


@pytest.mark.slow
def test_plain_keras_in_another_process_predicts_the_same_bits(tmp_path, monkeypatch, labelled, trained):
    """On one thread, with the instructions that training uses: these decide the order of sums."""
    (tmp_path / "model.keras").write_bytes(trained.model)
    np.save(tmp_path / "images.npy", labelled.images)
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_KERAS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(ensemble, "TTA_THRESHOLD", 0)
    expected = ensemble.predict_proba(keras.models.load_model(tmp_path / "model.keras"), labelled.images)
    assert np.array_equal(np.load(tmp_path / "probabilities.npy"), expected)


@pytest.mark.slow
def test_a_different_seed_gives_different_bytes(labelled, recipe, trained):
    changed = recipe.model_copy(update={"seed": recipe.seed + 1})
    assert member.fit(labelled, 1, changed, ignore).model != trained.model


@pytest.mark.slow
def test_a_member_never_learns_from_its_held_out_fold(labelled, recipe, trained):
    """Nothing in the fold can change the member: neither images nor labels."""
    held_out = labelled.folds == 1
    images, labels = labelled.images.copy(), labelled.labels.copy()
    images[held_out] = 255 - images[held_out]
    labels[held_out] = (labels[held_out] + 1) % 10
    changed = dataset.Labelled(images, labels, labelled.folds)
    assert member.fit(changed, 1, recipe, ignore) == trained


@pytest.mark.slow
def test_the_saved_weights_are_those_of_the_epoch_with_the_lowest_validation_loss(labelled, recipe, tmp_path):
    """A rate that keeps rising, far too high, makes each epoch worse than the one before."""
    wild = recipe.model_copy(update={"epochs": 3, "learning_rate": 0.3, "warmup_fraction": 0.99})
    result = member.fit(labelled, 0, wild, ignore)
    losses = [row.validation_loss for row in result.history]
    assert losses[-1] > 2 * min(losses), "the test needs an epoch that is worse than one before it"
    path = tmp_path / "model.keras"
    path.write_bytes(result.model)
    rows = splits.split(labelled, 0, wild.validation_fraction, wild.seed).validation
    kept = keras.models.load_model(path)(labelled.images[rows])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=wild.label_smoothing)
    assert float(loss(np.eye(10)[labelled.labels[rows]], kept)) == pytest.approx(min(losses), rel=0.01)


@pytest.mark.slow
def test_a_member_stops_when_validation_no_longer_improves(labelled, recipe):
    """A rate that rises until it is far too high makes one of the epochs worse."""
    hopeless = recipe.model_copy(update={"epochs": 12, "patience": 1, "learning_rate": 0.12, "warmup_fraction": 0.99})
    assert len(member.fit(labelled, 0, hopeless, ignore).history) < 12


def test_each_epoch_is_reported_as_it_ends(trained, reported, recipe):
    assert reported == trained.history
    assert [row.epoch for row in reported] == list(range(1, recipe.epochs + 1))
    assert {row.member for row in reported} == {1}


def test_the_history_has_the_learning_rate_at_the_end_of_each_epoch(trained, recipe):
    rates = [row.learning_rate for row in trained.history]
    assert rates[-1] == min(rates) < max(rates) <= recipe.learning_rate


@pytest.mark.slow
def test_diverging_training_names_member_and_epoch(labelled, recipe):
    with pytest.raises(FloatingPointError, match="member 0, epoch 1"):
        member.fit(labelled, 0, recipe.model_copy(update={"learning_rate": 1e30, "warmup_fraction": 0.0}), ignore)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(recipe):
    rates = member.one_cycle(recipe, 400)
    peak = int(np.argmax(rates))
    assert len(rates) == 400
    assert peak == round(400 * recipe.warmup_fraction)
    assert rates[peak] == pytest.approx(recipe.learning_rate)
    assert rates[0] == pytest.approx(recipe.learning_rate / 25)
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()


@pytest.mark.slow
def test_steps_in_one_execution_equal_single_steps(labelled, recipe, monkeypatch):
    """Without augmentation, which is drawn by the chunk, and at a constant rate, which several steps share."""
    still = recipe.model_copy(update={"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "batch_size": 17})
    monkeypatch.setattr(member, "one_cycle", lambda recipe, steps: np.full(steps, recipe.learning_rate))
    one_by_one = member.fit(labelled, 0, still, ignore)
    monkeypatch.setattr(member, "steps_per_execution", lambda steps: steps // 2)
    assert np.array(member.fit(labelled, 0, still, ignore).history) == pytest.approx(
        np.array(one_by_one.history), rel=1e-3
    )


@pytest.mark.parametrize("steps", [1, 5, 39, 40, 233, 2330])
def test_the_rate_changes_at_least_twenty_times_an_epoch_or_with_every_step(steps):
    at_once = member.steps_per_execution(steps)
    assert at_once == 1 or steps // at_once >= 20
    assert steps % at_once <= 0.05 * steps, "too many steps are left over"


@pytest.mark.slow
def test_every_step_uses_its_learning_rate(labelled, recipe, monkeypatch):
    """With rates of zero after the first epoch, the second changes no weight."""
    held = recipe.model_copy(update={"weight_decay": 0.0})
    monkeypatch.setattr(member, "one_cycle", lambda recipe, steps: np.repeat([recipe.learning_rate, 0.0], steps // 2))
    weights = []
    monkeypatch.setattr(
        member.EpochReporter,
        "on_epoch_end",
        lambda history, _epoch, _logs: weights.append([w.numpy() for w in history.model.trainable_weights]),
    )
    member.fit(labelled, 0, held, ignore)
    first, second = weights
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
