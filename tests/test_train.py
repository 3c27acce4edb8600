"""Training stops where a member learned nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages import train
from stages.digits import dataset, member
from stages.digits.errors import InputError
from stages.digits.recipe import EpochMetrics, Recipe, TrainedMember

ROOT = Path(__file__).parents[1]


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


@pytest.fixture
def hopeless(recipe: Recipe) -> Recipe:
    """Of 32 validation images, chance is right about three times; of ten it might pass the check."""
    return recipe.model_copy(update={"members": 1, "validation_fraction": 0.4})


@pytest.mark.slow
@pytest.mark.parametrize("fault", [shuffle_labels, erase_digits], ids=["random labels", "constant images"])
def test_a_member_learns_nothing_from_data_that_teaches_nothing(
    labelled: dataset.Labelled, hopeless: Recipe, fault: Callable[[dataset.Labelled], dataset.Labelled]
):
    with pytest.raises(InputError, match=r"^member 0 learned nothing: found validation accuracy 0\."):
        train.check_learned([member.fit(fault(labelled), 0, hopeless, lambda _: None)])


@pytest.mark.slow
def test_training_on_such_data_stops_in_one_line(
    empty_project: Path,
    write_training: Callable[[dataset.Labelled, Recipe], None],
    labelled: dataset.Labelled,
    hopeless: Recipe,
):
    write_training(shuffle_labels(labelled), hopeless)
    done = subprocess.run(
        [sys.executable, "-m", "stages.train"],
        cwd=empty_project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("member 0 learned nothing: found validation accuracy 0.")
    assert done.stderr.count("\n") == 1
    assert not dataset.MODELS.exists()
