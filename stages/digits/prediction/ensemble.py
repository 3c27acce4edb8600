"""From images to probabilities: load the members, predict with TTA, average, refine uncertain predictions by k-NN."""

import io
import tempfile
import zipfile
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from stages.digits.base import dataset, splits
from stages.digits.base.dataset import DIGITS, SIDE, Images, Labelled, OutOfFold, Probabilities
from stages.digits.base.errors import InputError
from stages.digits.prediction import neighbours

TTA_THRESHOLD = 0.9  # of the top probability; most images are above 0.98
PREDICT_BATCH_SIZE = 500  # larger is no faster


class Model(Protocol):
    """A trained member, as Keras loads it."""

    def predict_on_batch(self, x: Images) -> Probabilities: ...


def load_members() -> list[Model]:
    """The trained members, in order; InputError if anything else is among their files."""
    return [load_member(path, content) for path, content in read_members().items()]


def read_members() -> dict[Path, bytes]:
    """The members' files, in order, unread by Keras; InputError if there are others among them."""
    paths = dataset.model_paths()
    expected = [dataset.model_path(member) for member in range(max(1, len(paths)))]
    for path, name in zip_longest(paths, expected):
        if path != name:
            raise InputError(f"{path or dataset.MODELS}: expected {name}; remove {dataset.MODELS}, run `dvc repro`")
    return {path: path.read_bytes() for path in paths}


def load_member(path: Path, content: bytes) -> Model:
    """Load a file's content in Keras' safe mode, which executes no code from it; InputError if it isn't a member."""
    from stages.digits.model.backend import keras  # here: TensorFlow takes seconds to import, and some load nothing

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # Keras reads on where a checksum is wrong
            if entry := archive.testzip():
                raise zipfile.BadZipFile(f"wrong checksum of {entry}")
        with tempfile.NamedTemporaryFile(suffix=".keras") as file:
            file.write(content)
            file.flush()
            model = keras.models.load_model(file.name, safe_mode=True)
        problem = _problem(model)
    except Exception as error:  # of many kinds: the file may hold anything
        problem = str(error).partition("\n")[0]
    if problem:
        raise InputError(f"{path}: not a trained member: {problem}; remove {dataset.MODELS}, run `dvc repro`")
    return model


def _problem(model: Any) -> str | None:
    if (model.input_shape, model.output_shape) != ((None, SIDE, SIDE), (None, DIGITS)):
        return f"found {model.input_shape} to {model.output_shape}, expected (None, 28, 28) to (None, 10)"
    if not all(np.isfinite(weight).all() for weight in model.get_weights()):
        return "found weights that are not finite"
    return None


def out_of_fold(labelled: Labelled, reference: Labelled, members: list[Model]) -> OutOfFold:
    """Out-of-fold predictions: the average of the members that hold an image out, then k-NN where it is uncertain.

    The members were trained on `reference`, and k-NN consults its other folds. With fewer members than folds, the
    images of the remaining folds are left out.
    """
    total, n_predictions = np.zeros((len(labelled.images), DIGITS)), np.zeros((len(labelled.images), 1))
    member_accuracies = []
    for member, model in enumerate(members):
        held_out = labelled.folds == splits.held_out_fold(reference, member)
        if held_out.any():
            probabilities = predict_proba(model, labelled.images[held_out])
            member_accuracies.append(float((probabilities.argmax(axis=1) == labelled.labels[held_out]).mean()))
            total[held_out] += probabilities
            n_predictions[held_out] += 1
    evaluated = n_predictions[:, 0] > 0
    subset = labelled.subset(evaluated)
    probabilities = total[evaluated] / n_predictions[evaluated]
    for fold in np.unique(subset.folds):
        rows, others = subset.folds == fold, reference.folds != fold
        probabilities[rows] = neighbours.refine_uncertain(
            probabilities[rows], subset.images[rows], reference.images[others], reference.labels[others]
        )
    return OutOfFold(subset, probabilities, member_accuracies)


def predict(images: Images, reference: Labelled, members: list[Model]) -> Probabilities:
    """Probabilities of new images: the average of all members, then k-NN over `reference` where it is uncertain."""
    return neighbours.refine_uncertain(average(images, members), images, reference.images, reference.labels)


def average(images: Images, members: list[Model]) -> Probabilities:
    """The average of all members' probabilities, without k-NN, which takes a tenth of a second for an image."""
    total = np.zeros((len(images), DIGITS))
    for model in members:
        total += predict_proba(model, images)
    return total / len(members)


def predict_proba(model: Model, images: Images) -> Probabilities:
    """One model's probabilities with test-time augmentation (TTA).

    Where the top probability is below TTA_THRESHOLD, the predictions of the image and its four shifts by one pixel
    are averaged.
    """
    probabilities = _predict(model, images)
    uncertain = np.flatnonzero(probabilities.max(axis=1) < TTA_THRESHOLD)
    if len(uncertain):
        padded = np.pad(images[uncertain], ((0, 0), (1, 1), (1, 1)))
        shifted = [
            padded[:, top : top + SIDE, left : left + SIDE] for top, left in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
        ]
        probabilities[uncertain] = np.mean([_predict(model, view) for view in shifted], axis=0)
    return probabilities


def _predict(model: Model, images: Images) -> Probabilities:
    """Batch by batch: Keras' `predict` makes a data set of them first, and takes almost twice as long."""
    starts = range(0, len(images), PREDICT_BATCH_SIZE)
    return np.concatenate([model.predict_on_batch(images[start : start + PREDICT_BATCH_SIZE]) for start in starts])
