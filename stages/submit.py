"""Average the members over the unlabelled images and write Kaggle's submission."""

from pathlib import Path

import numpy as np

from stages.digits import dataset, kaggle, network, params
from stages.digits.backend import keras

SUBMISSION = Path("data/submission.csv")


def averaged(images: np.ndarray) -> np.ndarray:
    """Probabilities (m, 10): the mean over all members for images (m, 28, 28) uint8."""
    members = (keras.models.load_model(path) for path in dataset.model_paths())
    return np.mean([network.probabilities(member, images) for member in members], axis=0)


def main() -> None:
    images = dataset.load_unlabelled(dataset.UNLABELLED)
    kaggle.check_against_sample(params.raw(), len(images))
    predicted = averaged(images).argmax(axis=1)
    SUBMISSION.parent.mkdir(parents=True, exist_ok=True)
    kaggle.write_submission(SUBMISSION, predicted)
    print(f"wrote {SUBMISSION}: {len(predicted)} predicted digits")


if __name__ == "__main__":
    main()
