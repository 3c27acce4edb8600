"""The arrays in memory and on disk, the folds, and where things lie."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from stages.digits.errors import InputError

DIGITS = 10
SIDE = 28  # pixels
LABELLED = Path("data/prepared/labelled.npz")
UNLABELLED = Path("data/prepared/unlabelled.npz")
MODELS = Path("data/models")


class Labelled(NamedTuple):
    """The labelled images, each dealt to the one fold that holds it out."""

    images: np.ndarray  # (n, 28, 28) uint8, ink 0–255
    labels: np.ndarray  # (n,) uint8, 0–9
    folds: np.ndarray  # (n,) uint8, 0 to folds-1


class Parts(NamedTuple):
    """Where a member's images lie: rows of `Labelled`, each row in exactly one part."""

    fitted: np.ndarray  # (a,) int
    validation: np.ndarray  # (b,) int: early stopping looks here
    held_out: np.ndarray  # (c,) int: only `evaluate` looks here


def dealt(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """A fold for each of the labels (n,), as (n,) uint8, with every digit spread evenly over the folds.

    InputError where a digit has fewer than two rows a fold.
    """
    counts = np.bincount(labels, minlength=DIGITS)
    rarest = int(counts.argmin())
    if counts[rarest] < 2 * folds:
        raise InputError(
            f"train.csv: label {rarest}: found {counts[rarest]} rows, "
            f"expected at least {2 * folds}, two for each of the {folds} folds (prepare.folds in params.yaml)"
        )
    dealer = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(labels), dtype=np.uint8)
    for fold, (_, held_out) in enumerate(dealer.split(np.zeros(len(labels)), labels)):
        fold_of[held_out] = fold
    return fold_of


def held_out(labelled: Labelled, member: int) -> np.ndarray:
    """Which images (n,) bool that member, numbered from 0, never sees: a fold each, then the first fold again."""
    return labelled.folds == member % (int(labelled.folds.max()) + 1)


def parts(labelled: Labelled, member: int, validation_fraction: float, seed: int) -> Parts:
    """The rows of that member; validation is that fraction of what its fold leaves, digits in proportion."""
    inside = held_out(labelled, member)
    outside = np.flatnonzero(~inside)
    fitted, validation = train_test_split(
        outside,
        test_size=max(DIGITS, round(validation_fraction * len(outside))),
        stratify=labelled.labels[outside],
        random_state=seed + member,
    )
    return Parts(np.sort(fitted), np.sort(validation), np.flatnonzero(inside))


def fingerprints(images: np.ndarray) -> np.ndarray:
    """One (n,) uint64 for images (n, 28, 28) uint8: equal where the images are."""
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def save_labelled(path: Path, labelled: Labelled) -> None:
    np.savez(path, **labelled._asdict())


def load_labelled(path: Path) -> Labelled:
    with np.load(path) as stored:
        return Labelled(**stored)


def save_unlabelled(path: Path, images: np.ndarray) -> None:
    """Keep images (m, 28, 28) uint8 in the order of test.csv."""
    np.savez(path, images=images)


def load_unlabelled(path: Path) -> np.ndarray:
    """The images (m, 28, 28) uint8, in the order of test.csv."""
    with np.load(path) as stored:
        return stored["images"]


def model_path(member: int) -> Path:
    """Where `train` keeps that member."""
    return MODELS / f"member-{member:02d}.keras"


def model_paths() -> list[Path]:
    """Where the members are, in the order of their numbers."""
    return sorted(MODELS.glob("*.keras"))
