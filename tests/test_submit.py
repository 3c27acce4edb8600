"""Averaging the members."""

import numpy as np

from stages import submit
from stages.digits import dataset, network


def test_the_members_are_averaged_with_equal_weight(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MODELS", tmp_path)
    given = {0: [0.6, 0.4], 1: [0.1, 0.9], 10: [0.6, 0.4]}
    for fold in given:
        dataset.model_path(fold).touch()
    (tmp_path / "history.csv").touch()
    monkeypatch.setattr(submit.keras.models, "load_model", lambda path: int(path.stem[-2:]))
    monkeypatch.setattr(network, "probabilities", lambda member, images: np.array([given[member]] * len(images)))
    averaged = submit.averaged(np.zeros((2, 28, 28), dtype=np.uint8))
    assert np.allclose(averaged, [[1.3 / 3, 1.7 / 3]] * 2)
