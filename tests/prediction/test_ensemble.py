"""From images to probabilities, with stand-ins for networks that predict what the test says."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.digits.base import dataset, splits
from stages.digits.base.errors import InputError
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble, neighbours


class Fixed:
    """Predicts from a table: the image whose pixels are all i gets the probabilities of row i."""

    def __init__(self, table: np.ndarray):
        self.table = np.asarray(table)

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        return self.table[images[:, 14, 14]]


class CentrePixel:
    """Predicts 0 with the ink of the centre pixel as its probability in percent, or else 1."""

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        confidence = images[:, 14, 14] / 100
        return np.stack([confidence, 1 - confidence, *[0 * confidence] * 8], axis=1)


def numbered(images: int) -> np.ndarray:
    return np.arange(images, dtype=np.uint8)[:, None, None] * np.ones((28, 28), dtype=np.uint8)


def always(digit: int, images: int = 6) -> Fixed:
    """Gives that digit a probability of 0.95, whatever it sees."""
    probabilities = np.full(10, 0.05 / 9)
    probabilities[digit] = 0.95
    return Fixed(np.tile(probabilities, (images, 1)))


LABELLED = dataset.Labelled(
    numbered(6), np.array([0, 1, 2, 3, 4, 5], dtype=np.uint8), np.array([0, 0, 0, 0, 1, 1], dtype=np.uint8)
)


@pytest.fixture
def consulted(monkeypatch) -> list[tuple[list[int], list[int], list[int]]]:
    """Which images k-NN was asked to refine, over which reference images with which labels; it answers digit 9."""
    calls = []

    def refine(_: np.ndarray, images: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> np.ndarray:
        calls.append((images[:, 0, 0].tolist(), reference[:, 0, 0].tolist(), labels.tolist()))
        return np.eye(10)[[9] * len(images)]

    monkeypatch.setattr(neighbours, "refine_uncertain", refine)
    return calls


@pytest.fixture
def without_knn(monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "refine_uncertain", lambda probabilities, *_: probabilities)


@pytest.fixture
def image() -> Callable[..., np.ndarray]:
    def with_ink(centre: int, above: int, below: int, left: int, right: int) -> np.ndarray:
        one = np.zeros((1, 28, 28), dtype=np.uint8)
        one[0, 14, 14], one[0, 13, 14], one[0, 15, 14], one[0, 14, 13], one[0, 14, 15] = (
            centre, above, below, left, right,
        )  # fmt: skip
        one[0, 13, 13] = 99  # no shift is diagonal
        return one

    return with_ink


def test_an_uncertain_prediction_is_averaged_over_four_shifts_by_a_pixel(image):
    probabilities = ensemble.predict_proba(CentrePixel(), image(60, 10, 20, 30, 40))
    assert probabilities[0, 0] == pytest.approx((60 + 10 + 20 + 30 + 40) / 500)


def test_a_confident_prediction_skips_augmentation(image):
    assert ensemble.predict_proba(CentrePixel(), image(95, 10, 20, 30, 40))[0, 0] == pytest.approx(0.95)


@pytest.mark.usefixtures("without_knn")
def test_every_held_out_image_is_predicted_by_the_member_that_never_saw_it():
    result = ensemble.out_of_fold(LABELLED, LABELLED, [always(0), always(1)])
    assert result.probabilities.argmax(axis=1).tolist() == result.labelled.folds.tolist() == [0, 0, 0, 0, 1, 1]
    assert result.member_accuracies == [1 / 4, 0]  # member 0 predicts 0 for labels 0 to 3; member 1 predicts 1 for 4, 5


@pytest.mark.usefixtures("without_knn")
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_as_many_members_as_folds_predict_each_labelled_image_once_and_none_that_they_saw(folds):
    labels = np.tile(np.arange(10, dtype=np.uint8), 12)
    labelled = dataset.Labelled(numbered(120), labels, splits.assign_folds(labels, folds, seed=1))
    predicted: list[list[int]] = [[] for _ in range(folds)]

    class Recorder(Fixed):
        def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
            predicted[self.member] += images[:, 0, 0].tolist()
            return super().predict_on_batch(images)

    members = [Recorder(always(0, 120).table) for _ in range(folds)]
    for number, member in enumerate(members):
        member.member = number
    result = ensemble.out_of_fold(labelled, labelled, members)
    assert sorted(row for rows in predicted for row in rows) == list(range(120))
    assert len(result.probabilities) == 120
    for number, rows in enumerate(predicted):
        split = splits.split(labelled, number, validation_fraction=0.1, seed=1)
        assert not {*split.train, *split.validation} & set(rows)


@pytest.mark.usefixtures("without_knn")
def test_images_that_no_member_holds_out_are_left_out():
    result = ensemble.out_of_fold(LABELLED, LABELLED, [always(0)])
    assert result.labelled.labels.tolist() == [0, 1, 2, 3]
    assert len(result.probabilities) == len(result.labelled.images) == 4


@pytest.mark.usefixtures("without_knn")
def test_members_that_hold_out_the_same_fold_are_averaged():
    result = ensemble.out_of_fold(LABELLED, LABELLED, [always(0), always(1), always(2)])
    assert result.probabilities[0, [0, 2]] == pytest.approx([(0.95 + 0.05 / 9) / 2] * 2)
    assert result.probabilities[5, 1] == pytest.approx(0.95)
    assert len(result.member_accuracies) == 3


def test_out_of_fold_knn_consults_the_other_folds_only(consulted):
    result = ensemble.out_of_fold(LABELLED, LABELLED, [always(0), always(1)])
    assert result.probabilities.argmax(axis=1).tolist() == [9] * 6
    assert consulted == [([0, 1, 2, 3], [4, 5], [4, 5]), ([4, 5], [0, 1, 2, 3], [0, 1, 2, 3])]
    assert result.member_accuracies == [1 / 4, 0]  # without k-NN


@pytest.mark.usefixtures("without_knn")
def test_new_images_get_the_average_of_all_members():
    tables = np.random.default_rng(0).dirichlet(np.full(10, 0.01), (3, 200))
    tables = tables[:, (tables.max(axis=2) >= ensemble.TTA_THRESHOLD).all(axis=0)]
    images = numbered(tables.shape[1])
    probabilities = ensemble.predict(images, LABELLED, [Fixed(table) for table in tables])
    assert probabilities == pytest.approx(tables.mean(axis=0))


def test_new_images_are_refined_over_all_labelled_images(consulted):
    assert ensemble.predict(numbered(3), LABELLED, [always(0)]).argmax(axis=1).tolist() == [9] * 3
    assert consulted == [([0, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])]


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """An empty folder of models."""
    monkeypatch.setattr(dataset, "MODELS", tmp_path / "models")
    dataset.MODELS.mkdir()
    return dataset.MODELS


def save(path: Path, *layers: keras.layers.Layer) -> None:
    keras.Sequential([keras.layers.Input((28, 28), dtype="uint8"), *layers]).save(path)


def network(bias: float) -> list[keras.layers.Layer]:
    """Layers of a network that is right in form, with that bias."""
    layers = keras.layers
    return [layers.Flatten(), layers.Dense(10, "softmax", bias_initializer=keras.initializers.Constant(bias))]


def test_members_are_loaded_in_order(models):
    (models / "history.csv").touch()
    for member in (1, 0):
        save(dataset.model_path(member), *network(bias=member))
    assert [model.get_weights()[1][0] for model in ensemble.load_members()] == [0, 1]


def rejection() -> str:
    with pytest.raises(InputError) as rejected:
        ensemble.load_members()
    assert rejected.value.code.isprintable()
    return rejected.value.code


def test_no_members_are_rejected(models):
    assert rejection() == f"{models}: expected {models}/member-00.keras; remove {models}, run `dvc repro`"


@pytest.mark.parametrize("name", ["copy.keras", "member-02.keras", "member-00 (1).keras"])
def test_a_stray_model_is_rejected_by_name(models, name):
    for path in (dataset.model_path(0), models / name):
        save(path, *network(bias=0))
    assert name in rejection()


def test_a_member_that_would_execute_code_is_rejected(models):
    save(dataset.model_path(0), keras.layers.Lambda(lambda images: images), *network(bias=0))
    assert rejection().startswith(f"{models}/member-00.keras: not a trained member: ")


@pytest.mark.usefixtures("models")
def test_a_member_of_the_wrong_shape_is_rejected():
    save(dataset.model_path(0), keras.layers.Flatten(), keras.layers.Dense(7))
    assert "found (None, 28, 28) to (None, 7), expected (None, 28, 28) to (None, 10)" in rejection()


@pytest.mark.usefixtures("models")
def test_a_member_with_weights_that_are_not_finite_is_rejected():
    save(dataset.model_path(0), *network(bias=float("nan")))
    assert "found weights that are not finite" in rejection()


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_member_is_rejected(damage):
    path = dataset.model_path(0)
    save(path, *network(bias=0))
    content = {"truncated": path.read_bytes()[:-100], "empty": b"", "text": b"not a model"}[damage]
    path.write_bytes(content)
    assert rejection().startswith(f"{path}: not a trained member: ")


@pytest.mark.usefixtures("models")
def test_a_flipped_bit_in_the_weights_is_rejected():
    path = dataset.model_path(0)
    save(path, *network(bias=0))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("model.weights.h5")
        weights = archive.read(entry)
    content[content.index(weights) + len(weights) // 2] ^= 1
    path.write_bytes(content)
    assert rejection().startswith(f"{path}: not a trained member: wrong checksum of model.weights.h5")
