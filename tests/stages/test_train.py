"""Training stops where a member learned nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import worker_in_this_process

from stages import train
from stages.digits.base import dataset
from stages.digits.base.errors import InputError
from stages.digits.training.recipe import EpochMetrics, Recipe, TrainedMember


def trained(member: int, *epochs: tuple[float, float]) -> TrainedMember:
    """A member with the validation loss and accuracy of its epochs."""
    rows = [
        EpochMetrics(member, epoch, 0.5, loss, 0.9, accuracy, 0.008) for epoch, (loss, accuracy) in enumerate(epochs, 1)
    ]
    return TrainedMember(b"", rows)


def test_the_first_member_whose_kept_epoch_is_below_the_floor_is_named():
    members = [trained(0, (0.9, 0.1), (0.2, 0.25)), trained(1, (0.2, 0.24), (0.9, 0.8)), trained(2, (0.2, 0.1))]
    with pytest.raises(InputError, match=r"^member 1 learned nothing: found validation accuracy 0\.24, expected"):
        train.check_learned(members)
    train.check_learned(members[:1])


def shuffle_labels(labelled: dataset.Labelled) -> dataset.Labelled:
    return labelled._replace(labels=np.random.default_rng(0).permutation(labelled.labels))


def erase_digits(labelled: dataset.Labelled) -> dataset.Labelled:
    return labelled._replace(images=np.full_like(labelled.images, 7))


@pytest.mark.slow
@pytest.mark.parametrize("fault", [shuffle_labels, erase_digits], ids=["random labels", "constant images"])
def test_training_on_data_that_teaches_nothing_stops_and_leaves_no_model(
    empty_project: Path,  # noqa: ARG001 (the current folder)
    write_training: Callable[[dataset.Labelled, Recipe], None],
    labelled: dataset.Labelled,
    recipe: Recipe,
    fault: Callable[[dataset.Labelled], dataset.Labelled],
):
    # Of 32 validation images, chance is right about three times; of ten it might pass the check.
    write_training(fault(labelled), recipe.model_copy(update={"members": 1, "validation_fraction": 0.4}))
    with (
        worker_in_this_process(),
        pytest.raises(InputError, match=r"^member 0 learned nothing: found validation accuracy 0\."),
    ):
        train.main()
    assert not dataset.MODELS.exists()
