"""Write data/sample, small files in Kaggle's format, from the handwritten digits that ship with scikit-learn."""

from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image
from pydantic import Field
from sklearn.datasets import load_digits

from stages.digits.base import errors, params
from stages.digits.base.dataset import DIGITS, SIDE
from stages.digits.tables import kaggle

SAMPLE = Path("data/sample")
SCANS_PER_DIGIT = 174  # of the digit with the fewest
BOX = 20  # pixels: as in MNIST, the digit fills a 20 x 20 box inside the 28 x 28 image


class Sample(params.Section):
    seed: params.Seed
    labelled_per_digit: Annotated[int, Field(ge=1, lt=SCANS_PER_DIGIT)]  # the rest become the unlabelled rows


def upscale(scan: np.ndarray) -> np.ndarray:
    """A scan (8, 8) with ink 0–16 -> an image (28, 28) uint8 with ink 0–255."""
    ink = (scan * 255 / 16).astype(np.uint8)
    box = Image.fromarray(ink).resize((BOX, BOX), Image.Resampling.BICUBIC)  # integer arithmetic: same everywhere
    return np.pad(np.asarray(box), (SIDE - BOX) // 2)


def main() -> None:
    settings = params.section("sample", Sample)
    scans = load_digits()
    random = np.random.default_rng(settings.seed)
    rows = np.stack(
        [random.permutation(np.flatnonzero(scans.target == digit))[:SCANS_PER_DIGIT] for digit in range(DIGITS)]
    )
    labelled = random.permutation(rows[:, : settings.labelled_per_digit].ravel())
    unlabelled = random.permutation(rows[:, settings.labelled_per_digit :].ravel())
    images = np.stack([upscale(scan) for scan in scans.images])

    kaggle.write_table(SAMPLE / "train.csv", kaggle.Table(images[labelled], scans.target[labelled]))
    kaggle.write_table(SAMPLE / "test.csv", kaggle.Table(images[unlabelled], None))
    kaggle.write_submission(SAMPLE / "sample_submission.csv", np.zeros(len(unlabelled), dtype=np.uint8))
    print(f"wrote {len(labelled)} labelled and {len(unlabelled)} unlabelled digits to {SAMPLE}")


if __name__ == "__main__":
    errors.run(main)
