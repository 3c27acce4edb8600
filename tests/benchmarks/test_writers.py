"""The benchmark that holds whole writers back, with stand-ins for what takes minutes."""

import numpy as np
import pandas as pd
import pytest
from probabilities import confident

from benchmarks import writers
from benchmarks.shared import tables
from stages.digits.base import dataset
from stages.digits.prediction import ensemble


@pytest.fixture
def digits(labelled) -> dataset.OwnDigits:
    """Twenty digits by each of five writers, and twenty printed ones."""
    names = [f"writer {number}" for number in range(5)] + [dataset.PRINT]
    return dataset.OwnDigits(labelled.images ^ 1, labelled.labels, labelled.folds, np.repeat(names, 20))


@pytest.fixture
def trained_on(tmp_path, monkeypatch) -> list[dataset.Labelled]:
    """What was trained on; the networks that come out say 0 to everything, for sure."""
    references: list[dataset.Labelled] = []

    def train(reference: dataset.Labelled, _: object) -> list[str]:
        references.append(reference)
        return ["first", "second", "third"]

    monkeypatch.setattr(writers, "train", train)
    monkeypatch.setattr(ensemble, "predict_proba", lambda _, images: confident([0] * len(images), [0.95] * len(images)))
    for name in ("WRITERS", "CONFIDENCE"):
        monkeypatch.setattr(writers, name, tmp_path / f"{name}.csv")
    return references


def rows_of(images: np.ndarray, some: np.ndarray) -> int:
    return int(np.isin(dataset.fingerprints(images), dataset.fingerprints(some)).sum())


def test_a_third_of_the_writers_is_in_nothing_that_is_trained_on_and_each_is_once(labelled, digits, recipe, trained_on):
    for seed in (1, 2, 3):
        writers.hold_back(labelled, digits, recipe.model_copy(update={"seed": seed}), weight=1)
    table = pd.read_csv(writers.WRITERS)
    assert table["images"].tolist() == [40, 40, 20]
    assert table["printed_images"].tolist() == [60, 60, 80]
    assert table["printed_digits"].tolist() == [20] * 3
    assert [rows_of(one.images, digits.images) for one in trained_on] == [80, 80, 100]
    zeros = (digits.labels == 0) & ~digits.are_printed
    assert table["errors"].sum() == 100 - zeros.sum()
    assert table["sure_errors"].tolist() == table["read_errors"].tolist() == table["errors"].tolist()


def test_without_hands_none_is_trained_on_and_all_are_unseen(labelled, digits, recipe, trained_on):
    writers.hold_back(labelled, digits, recipe, weight=0)
    assert np.array_equal(trained_on[0].images, labelled.images)
    [row] = pd.read_csv(writers.WRITERS).to_dict("records")
    assert (row["images"], row["printed_images"]) == (100, 0)


def test_the_table_adds_the_seeds_up_and_leaves_out_the_run_without_hands():
    table = pd.DataFrame(
        {
            "own_weight": [0, 1, 1], "seed": [1, 1, 2],
            "printed_errors": [0, 10, 20], "printed_images": [0, 1000, 1000],
            "errors": [90, 30, 40], "images": [1500, 2000, 2000],
        }
    )  # fmt: skip
    lines = tables.writers(table).splitlines()
    assert lines[2] == "| 1 | 10 of 1,000 | 1.00 % | 30 of 2,000 | 1.50 % |"
    assert lines[-1] == "| all | 30 of 2,000 | 1.50 % | 70 of 4,000 | 1.75 % |"
