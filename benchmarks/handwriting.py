"""Accuracy on handwriting that isn't MNIST, with and without bringing it to MNIST's form.

python -m benchmarks.handwriting

Needs models that were trained on Kaggle's data. Predicts scikit-learn's digit scans, upscaled, and digits drawn with
strokes on uneven, noisy paper, dark on light and light on dark. Writes results/handwriting.csv.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks import harness, strokes
from handwriting import scan
from handwriting.picture import Picture
from handwriting.predict import SURE
from stages import sample
from stages.digits import dataset, ensemble, errors, kaggle
from stages.digits.dataset import DIGITS, SIDE, Images

HEIGHTS = (20, 35, 60, 120, 300)  # pixels of a drawn digit
THICKNESSES = (0.05, 0.09, 0.15)  # of a stroke, as a fraction of the height
EACH = 1  # of each digit, height, thickness and polarity


class Handwriting(NamedTuple):
    """Pictures of one digit each, with their labels."""

    pictures: list[Picture]
    labels: np.ndarray  # (n,)


def drawn(random: np.random.Generator) -> Handwriting:
    """EACH drawings of every digit in every height, thickness and polarity."""
    pictures, labels = [], []
    for height in HEIGHTS:
        for thickness in THICKNESSES:
            for digit in np.repeat(np.arange(DIGITS), 2 * EACH):
                ink = strokes.draw(digit, height, thickness, random)
                pictures.append(strokes.photograph(ink, dark_on_light=len(pictures) % 2 == 0, random=random))
                labels.append(digit)
    return Handwriting(pictures, np.array(labels))


def scanned() -> Handwriting:
    """scikit-learn's scans, light on dark, but for those that the embedded sample labels."""
    scans = load_digits()
    images = np.stack([sample.upscale(image) for image in scans.images])
    labelled = dataset.fingerprints(kaggle.read_labelled(sample.SAMPLE).images)
    rows = np.flatnonzero(~np.isin(dataset.fingerprints(images), labelled))
    return Handwriting(list(images[rows]), scans.target[rows])


def resized(pictures: Iterable[Picture]) -> Images:
    """Each picture as it is, only resized."""
    return np.stack([np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX)) for one in pictures])


def normalised(pictures: Iterable[Picture]) -> Images:
    """The largest digit of each picture in MNIST's form, or a blank image if there is none."""
    images = []
    for picture in pictures:
        try:
            found = scan.find_digits(picture)
        except errors.InputError:
            images.append(np.zeros((SIDE, SIDE), dtype=np.uint8))
        else:
            heights = found.boxes[:, 3] - found.boxes[:, 1]
            images.append(found.images[heights.argmax()])
    return np.stack(images)


def main() -> None:
    members, reference = ensemble.load_members(), dataset.load_labelled(dataset.LABELLED)
    rows = []
    for name, handwriting in (("scans", scanned()), ("strokes", drawn(np.random.default_rng(0)))):
        for form, images in (
            ("resized", resized(handwriting.pictures)),
            ("normalised", normalised(handwriting.pictures)),
        ):
            probabilities = ensemble.predict(images, reference, members)
            right, sure = probabilities.argmax(axis=1) == handwriting.labels, probabilities.max(axis=1) >= SURE
            rows.append(
                {
                    "handwriting": name,
                    "form": form,
                    "images": len(right),
                    "errors": int((~right).sum()),
                    "error_rate": round(float((~right).mean()), 4),
                    "unsure": round(float((~sure).mean()), 4),
                    "error_rate_if_sure": round(float((~right[sure]).mean()), 4),
                    "members": len(members),
                    "reference_images": len(reference.images),
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(harness.RESULTS / "handwriting.csv", index=False, lineterminator="\n")
    print(table.to_string(index=False))


if __name__ == "__main__":
    errors.run(main)
