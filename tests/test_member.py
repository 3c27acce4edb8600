"""Fitting one member: what it learns from, and that the same inputs give the same bytes."""

import random
import threading

import numpy as np
import pytest

from stages.digits import dataset, member, network, slant
from stages.digits.backend import keras
from stages.digits.recipe import Epoch, Member


def ignore(_: Epoch) -> None:
    pass


@pytest.fixture(scope="module")
def fitted(labelled, recipe) -> Member:
    return member.fit(labelled, 1, recipe, ignore)


def test_a_network_memorises_one_batch(labelled, recipe):
    still = recipe.model_copy(
        update={"dropout_rate": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0, "epochs": 1, "warmup_fraction": 0.0}
    )
    model = member.compiled(still, number=0)
    images, labels = labelled.images[:40], np.eye(10)[labelled.labels[:40]]
    for _ in range(60):
        model.train_on_batch(images, labels)
    assert (network.probabilities(model, images).argmax(axis=1) == labelled.labels[:40]).all()


def test_two_epochs_see_other_orders_and_other_augmentations(labelled, recipe):
    rows = np.arange(40)
    seen = list(member.batches(labelled.images, labelled.labels, rows, 40, recipe, 0))
    (first, first_labels), (second, second_labels) = seen[:2]
    assert not np.array_equal(first_labels, second_labels)
    assert np.array_equal(np.sort(first_labels), np.sort(second_labels))
    unmoved = {image.tobytes() for image in first}
    assert not any(image.tobytes() in unmoved for image in second)


def test_the_same_seed_gives_the_same_batches_and_another_fold_others(labelled, recipe):
    def first(fold: int) -> np.ndarray:
        return next(member.batches(labelled.images, labelled.labels, np.arange(40), 40, recipe, fold))[0]

    assert np.array_equal(first(0), first(0))
    assert not np.array_equal(first(0), first(1))


def test_every_fitted_image_is_seen_once_an_epoch(labelled, recipe, monkeypatch):
    monkeypatch.setattr(slant, "leans", lambda images: np.zeros((len(images), 2)))
    still = recipe.model_copy(update={"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "epochs": 1})
    rows = np.arange(60)
    seen = np.concatenate(
        [images for images, _ in member.batches(labelled.images, labelled.labels, rows, 20, still, 0)]
    )
    assert sorted(image.tobytes() for image in seen) == sorted(image.tobytes() for image in labelled.images[rows])


def test_the_same_inputs_give_the_same_bytes_whatever_another_thread_draws(labelled, recipe, fitted):
    stop = threading.Event()

    def draw() -> None:
        while not stop.wait(0.0005):
            random.random()
            np.random.random()  # noqa: NPY002 (the global state is the point)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        beside = member.fit(labelled, 1, recipe, ignore)
    finally:
        stop.set()
        thread.join()
    assert beside == fitted


def test_another_seed_gives_other_bytes(labelled, recipe, fitted):
    other = recipe.model_copy(update={"seed": recipe.seed + 1})
    assert member.fit(labelled, 1, other, ignore).model != fitted.model


def test_a_member_never_learns_from_its_held_out_fold(labelled, recipe, fitted):
    """Nothing that stands in the fold can change the member: neither images nor labels."""
    held_out = labelled.folds == 1
    images, labels = labelled.images.copy(), labelled.labels.copy()
    images[held_out] = 255 - images[held_out]
    labels[held_out] = (labels[held_out] + 1) % 10
    changed = dataset.Labelled(images, labels, labelled.folds)
    assert member.fit(changed, 1, recipe, ignore) == fitted


def test_the_kept_weights_are_those_of_the_epoch_with_the_lowest_validation_loss(labelled, recipe, tmp_path):
    """A rate that rises all the while, far too high, makes each epoch worse than the one before."""
    wild = recipe.model_copy(update={"epochs": 3, "learning_rate": 0.03, "warmup_fraction": 0.99})
    wildly = member.fit(labelled, 0, wild, ignore)
    losses = [row.validation_loss for row in wildly.history]
    assert losses[-1] > 2 * min(losses), "the test needs an epoch that is worse than one before it"
    path = tmp_path / "model.keras"
    path.write_bytes(wildly.model)
    rows = dataset.parts(labelled, 0, wild.validation_fraction, wild.seed).validation
    kept = keras.models.load_model(path)(labelled.images[rows])
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=wild.label_smoothing)
    assert float(loss(np.eye(10)[labelled.labels[rows]], kept)) == pytest.approx(min(losses), rel=0.01)


def test_a_member_stops_when_validation_no_longer_improves(labelled, recipe):
    """A rate that rises until it is far too high makes one of the epochs worse."""
    hopeless = recipe.model_copy(update={"epochs": 12, "patience": 1, "learning_rate": 0.12, "warmup_fraction": 0.99})
    assert len(member.fit(labelled, 0, hopeless, ignore).history) < 12


def test_each_epoch_is_reported_as_it_ends(labelled, recipe):
    heard = []
    again = member.fit(labelled, 1, recipe, heard.append)
    assert heard == again.history
    assert [row.epoch for row in heard] == list(range(1, recipe.epochs + 1))
    assert {row.member for row in heard} == {1}


def test_training_that_diverges_says_where(labelled, recipe):
    with pytest.raises(FloatingPointError, match="member 0, epoch 1"):
        member.fit(labelled, 0, recipe.model_copy(update={"learning_rate": 1e30, "warmup_fraction": 0.0}), ignore)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing(recipe):
    rates = member.one_cycle(recipe, 400)
    peak = int(np.argmax(rates))
    assert len(rates) == 400
    assert peak == round(400 * recipe.warmup_fraction)
    assert rates[peak] == pytest.approx(recipe.learning_rate)
    assert rates[0] == pytest.approx(recipe.learning_rate / 25)
    assert rates[-1] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()


def test_steps_made_in_one_go_make_what_single_ones_make(labelled, recipe, monkeypatch):
    """Without augmentation, which is drawn by pieces, and at one rate, which several steps share."""
    still = recipe.model_copy(update={"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "batch_size": 17})
    monkeypatch.setattr(member, "one_cycle", lambda recipe, steps: np.full(steps, recipe.learning_rate))
    single = member.fit(labelled, 0, still, ignore)
    monkeypatch.setattr(member, "steps_at_once", lambda steps: steps // 2)
    assert np.array(member.fit(labelled, 0, still, ignore).history) == pytest.approx(np.array(single.history), rel=1e-3)


@pytest.mark.parametrize("steps", [1, 5, 39, 40, 233, 2330])
def test_the_rate_changes_at_least_twenty_times_an_epoch_or_with_every_step(steps):
    at_once = member.steps_at_once(steps)
    assert at_once == 1 or steps // at_once >= 20
    assert steps % at_once <= 0.05 * steps, "so many are left over"


def test_every_step_is_made_at_its_rate(labelled, recipe, monkeypatch):
    """With rates of nothing after the first epoch, the second leaves all weights as they are."""
    held = recipe.model_copy(update={"weight_decay": 0.0})
    monkeypatch.setattr(member, "one_cycle", lambda recipe, steps: np.repeat([recipe.learning_rate, 0.0], steps // 2))
    weights = []
    monkeypatch.setattr(
        member._History,
        "on_epoch_end",
        lambda history, _epoch, _logs: weights.append([w.numpy() for w in history.model.trainable_weights]),
    )
    member.fit(labelled, 0, held, ignore)
    first, second = weights
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
