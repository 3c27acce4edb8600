"""Average the members over the unlabelled images, settle what is unsure, write Kaggle's submission."""

from pathlib import Path

import numpy as np

from stages.digits import dataset, kaggle, neighbours, network, params
from stages.digits.backend import keras

SUBMISSION = Path("data/submission.csv")


def predicted(images: np.ndarray, labelled: dataset.Labelled) -> np.ndarray:
    """Digits (m,) of images (m, 28, 28) uint8: the likeliest for all members together and, if unsure, the neighbours.

    Members aren't asked about an image of which the others are sure enough for all.
    """
    paths = dataset.model_paths()
    total = np.zeros((len(images), dataset.DIGITS))
    for path in paths:
        unsure = np.flatnonzero(total.max(axis=1) < neighbours.SURE * len(paths))
        if len(unsure):
            total[unsure] += network.probabilities(keras.models.load_model(path), images[unsure])
    return neighbours.settled(total / len(paths), images, labelled.images, labelled.labels).argmax(axis=1)


def main() -> None:
    images = dataset.load_unlabelled(dataset.UNLABELLED)
    kaggle.check_against_sample(params.raw(), len(images))
    digits = predicted(images, dataset.load_labelled(dataset.LABELLED))
    SUBMISSION.parent.mkdir(parents=True, exist_ok=True)
    kaggle.write_submission(SUBMISSION, digits)
    print(f"wrote {SUBMISSION}: {len(digits)} predicted digits")


if __name__ == "__main__":
    main()
