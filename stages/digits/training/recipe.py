"""How a member is trained and what training returns: types that need no TensorFlow."""

from typing import Annotated, NamedTuple

from pydantic import Field

from stages.digits.base import params


class Recipe(params.Section):
    """How a member is trained: the section `train` of params.yaml, which states the units."""

    seed: params.Seed
    members: Annotated[int, Field(ge=1, le=100)]  # in the ensemble, all with the hyperparameters below
    width: Annotated[int, Field(ge=16, multiple_of=2)]
    epochs: params.Count
    batch_size: params.Count
    learning_rate: params.Positive
    warmup_fraction: params.Fraction
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: params.Fraction
    dropout_rate: params.Fraction
    validation_fraction: Annotated[float, Field(gt=0, le=0.5)]
    patience: params.Count
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: params.Fraction
    shift: Annotated[float, Field(ge=0, le=28)]
    shear: Annotated[float, Field(ge=0, le=1)]


class EpochMetrics(NamedTuple):
    """A row of the training history: means over images. `train_` values are of augmented images, with dropout."""

    member: int  # from 0
    epoch: int  # from 1
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    learning_rate: float  # at the end of the epoch


class TrainedMember(NamedTuple):
    """What training a member returns."""

    model: bytes  # a .keras file, with the weights of the epoch with the lowest validation loss
    history: list[EpochMetrics]
