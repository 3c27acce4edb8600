"""Digits drawn for the tests: as tables, as a person's pictures, as the files of another data set."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.drawn import strokes
from stages.digits.tables import kaggle

SEGMENTS = {  # of a seven-segment display: rows, columns
    "a": (slice(4, 7), slice(9, 19)),
    "b": (slice(4, 14), slice(16, 19)),
    "c": (slice(14, 24), slice(16, 19)),
    "d": (slice(21, 24), slice(9, 19)),
    "e": (slice(14, 24), slice(9, 12)),
    "f": (slice(4, 14), slice(9, 12)),
    "g": (slice(12, 15), slice(9, 19)),
}
LIT = ["abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg"]  # of each digit
ENCRYPTED = (  # its user's password isn't empty
    b"%PDF-1.4\n1 0 obj\n<</Type /Catalog /Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type /Pages /Kids [] /Count 0>>\nendobj\n"
    b"3 0 obj\n<</Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <"
    + b"11" * 32
    + b"> /U <"
    + b"22" * 32
    + b">>>\nendobj\n"
    b"trailer\n<</Size 4 /Root 1 0 R /Encrypt 3 0 R /ID [<00> <00>]>>\n%%EOF\n"
)


def drawn_digits(each: int, seed: int = 0) -> kaggle.Table:
    """`each` noisy images of every digit, in the order 0 to 9 over and over; no two are the same."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(10, dtype=np.uint8), each)
    images = random.integers(0, 50, (len(labels), 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        for segment in LIT[label]:
            image[SEGMENTS[segment]] = random.integers(200, 256)
    return kaggle.Table(np.roll(images, random.integers(-2, 3), axis=2), labels)


def photo(digits: Sequence[int]) -> Image.Image:
    """Digits written side by side, dark on light."""
    random = np.random.default_rng(0)
    ink = np.hstack([strokes.draw(digit, 60, 0.1, random) for digit in digits])
    return Image.fromarray((230 - 180 * ink).astype(np.uint8))


def write_fashion_mnist(folder: Path) -> None:
    """The four files of Fashion-MNIST as Keras keeps them, with drawn digits in place of clothes: 200 and 20."""
    folder.mkdir(parents=True)
    for name, each in (("train", 20), ("t10k", 2)):
        images, labels = drawn_digits(each, seed=each)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes()))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels.tobytes()))
