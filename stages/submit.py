"""Predict the unlabelled images with the whole ensemble, write Kaggle's submission, and count each digit."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.digits.base import dataset, errors, files, params
from stages.digits.prediction import ensemble
from stages.digits.tables import kaggle

SUBMISSION = Path("data/submission.csv")
PREDICTED = Path("plots/predicted_unlabelled.csv")


def main() -> None:
    images = dataset.load_unlabelled(dataset.UNLABELLED)
    reference = dataset.load_labelled(dataset.LABELLED)
    kaggle.check_against_sample(params.raw(), len(images))
    digits = ensemble.predict(images, reference, ensemble.load_members()).argmax(axis=1)
    kaggle.write_submission(SUBMISSION, digits)
    counts = np.bincount(digits, minlength=dataset.DIGITS)
    table = pd.DataFrame({"predicted": params.classes(), "images": counts})
    files.write_text(PREDICTED, table.to_csv(index=False, lineterminator="\n"))
    print(f"wrote {SUBMISSION}: {len(digits)} predicted digits")


if __name__ == "__main__":
    errors.run(main)
