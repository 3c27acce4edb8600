"""Print hashes of two training steps on the sample, and of the evaluation and prediction with what they trained.

python -m benchmarks.shared.cpu_probe: a JSON object {name: hash}. verify_cpu.py runs it on several CPUs.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from stages.digits.base import dataset, params, splits
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble
from stages.digits.report import metrics
from stages.digits.tables import kaggle
from stages.digits.training.member import batches, fit
from stages.digits.training.recipe import Recipe

SAMPLE = Path("data/sample")
FOLDS, IMAGES, BATCH_SIZE = 2, 260, 60  # so a fold makes two batches
UNLABELLED = 50  # uncertain ones take seconds under an emulator


def digest(content: bytes | np.ndarray) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else np.ascontiguousarray(content)).hexdigest()[:16]


def main() -> None:
    recipe = params.section("train", Recipe).model_copy(
        update={"members": 1, "width": 16, "epochs": 1, "batch_size": BATCH_SIZE}
    )
    table = kaggle.read_labelled(SAMPLE)
    images, labels = table.images[:IMAGES], table.labels[:IMAGES]
    labelled = dataset.Labelled(images, labels, splits.assign_folds(labels, FOLDS, seed=1))
    trained = fit(labelled, 0, recipe, lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "member.keras"
        path.write_bytes(trained.model)
        members = [keras.models.load_model(path)]
    arrays = [(weight.path, weight.numpy()) for weight in members[0].weights]
    result = ensemble.out_of_fold(labelled, members)
    history = pd.DataFrame(trained.history)
    first_images, _ = next(batches(images, np.eye(10)[labels], np.arange(IMAGES), BATCH_SIZE, recipe, 0))

    hashes = {"augmented images": digest(first_images), "saved model": digest(trained.model)}
    hashes |= {f"weights of {name}": digest(array) for name, array in arrays}
    hashes |= {f"history: {name}": digest(np.array(history[name])) for name in history.columns[2:]}
    hashes["out-of-fold probabilities"] = digest(result.probabilities)
    hashes["metrics"] = digest(json.dumps(metrics.compute(result, history)).encode())
    unlabelled = kaggle.read_unlabelled(SAMPLE).images[:UNLABELLED]
    hashes["probabilities of unlabelled images"] = digest(ensemble.predict(unlabelled, labelled, members))
    print(json.dumps(hashes))


if __name__ == "__main__":
    main()
