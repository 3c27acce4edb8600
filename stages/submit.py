"""Average the members over the unlabelled images and write Kaggle's submission."""

from pathlib import Path

import numpy as np

from stages.digits import dataset, kaggle, network, params
from stages.digits.backend import keras

SUBMISSION = Path("data/submission.csv")


def predicted(images: np.ndarray) -> np.ndarray:
    """Digits (m,) of the highest mean probability over all members, for images (m, 28, 28) uint8.

    Members aren't asked about an image of which one digit leads by more than they could still give another.
    """
    paths = dataset.model_paths()
    total = np.zeros((len(images), dataset.DIGITS))
    for asked, path in enumerate(paths):
        undecided = np.flatnonzero(network.leads(total) <= len(paths) - asked)
        if len(undecided):
            total[undecided] += network.probabilities(keras.models.load_model(path), images[undecided])
    return total.argmax(axis=1)


def main() -> None:
    images = dataset.load_unlabelled(dataset.UNLABELLED)
    kaggle.check_against_sample(params.raw(), len(images))
    digits = predicted(images)
    SUBMISSION.parent.mkdir(parents=True, exist_ok=True)
    kaggle.write_submission(SUBMISSION, digits)
    print(f"wrote {SUBMISSION}: {len(digits)} predicted digits")


if __name__ == "__main__":
    main()
