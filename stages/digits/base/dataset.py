"""The arrays in memory and on disk, the folds, and the paths they are stored at."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.digits.base import files
from stages.digits.base.errors import InputError

DIGITS = 10
SIDE = 28  # pixels
LABELLED = Path("data/prepared/labelled.npz")
UNLABELLED = Path("data/prepared/unlabelled.npz")
OWN = Path("data/prepared/own.npz")
MODELS = Path("data/models")
RERUN = "run `dvc repro`"
PRINT = "print"  # the writer of printed digits: no hand

Images = npt.NDArray[np.uint8]  # (n, 28, 28), ink 0–255
Labels = npt.NDArray[np.uint8]  # (n,), 0–9
Folds = npt.NDArray[np.uint8]  # (n,), 0 to folds-1
Weights = npt.NDArray[np.uint8]  # (n,), how often an own row is trained on in an epoch; 0 for Kaggle's rows
Writers = npt.NDArray[np.str_]  # (n,), their names
Rows = npt.NDArray[np.int64]  # (n,), positions in another array
Probabilities = npt.NDArray[np.floating]  # (n, 10), each row sums to 1


class Labelled(NamedTuple):
    """The labelled images that may be trained on, each assigned to one fold."""

    images: Images
    labels: Labels
    folds: Folds
    own: Weights | None = None  # None if all rows are Kaggle's

    @property
    def is_own(self) -> npt.NDArray[np.bool_]:
        """Mask (n,) of one's own rows."""
        return np.zeros(len(self.labels), dtype=bool) if self.own is None else self.own > 0

    def subset(self, rows: Rows | npt.NDArray[np.bool_]) -> "Labelled":
        """Those rows, by position or mask."""
        own = None if self.own is None else self.own[rows]
        return Labelled(self.images[rows], self.labels[rows], self.folds[rows], own)


class OwnDigits(NamedTuple):
    """One's own digits, as they are evaluated; those that are trained on are rows of `Labelled`, too."""

    images: Images
    labels: Labels
    folds: Folds
    writers: Writers

    @property
    def are_printed(self) -> npt.NDArray[np.bool_]:
        """Mask (n,) of the digits that no hand wrote."""
        return self.writers == PRINT

    def subset(self, rows: npt.NDArray[np.bool_]) -> "OwnDigits":
        """Those rows, by mask."""
        return OwnDigits(self.images[rows], self.labels[rows], self.folds[rows], self.writers[rows])


NO_OWN = OwnDigits(
    np.zeros((0, SIDE, SIDE), np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.uint8), np.zeros(0, np.str_)
)


class OutOfFold(NamedTuple):
    """The images that at least one member holds out, each predicted by members that never saw it."""

    labelled: Labelled
    probabilities: Probabilities
    member_accuracies: list[float]  # of each member alone on its own fold, without k-NN


def fingerprints(images: Images) -> npt.NDArray[np.uint64]:
    """A hash (n,) of each image: equal images have equal ones."""
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def save_labelled(path: Path, labelled: Labelled) -> None:
    _save(path, {name: array for name, array in labelled._asdict().items() if array is not None})


def load_labelled(path: Path) -> Labelled:
    """The labelled images; InputError if the file holds anything else."""
    labelled = Labelled(**_load(path, ("images", "labels", "folds"), optional="own"))
    if labelled.labels.max(initial=0) >= DIGITS:
        raise InputError(f"{path}: found label {labelled.labels.max()}, expected 0 to 9; {RERUN}")
    return labelled


def save_own(path: Path, own: OwnDigits) -> None:
    _save(path, own._asdict())


def load_own(path: Path) -> OwnDigits:
    """One's own digits; InputError if the file holds anything else."""
    return OwnDigits(**_load(path, OwnDigits._fields))


def save_unlabelled(path: Path, images: Images) -> None:
    """Save the images in the order of test.csv."""
    _save(path, {"images": images})


def _save(path: Path, arrays: dict[str, npt.NDArray]) -> None:
    """An .npz file, of the same bytes on every Python.

    `np.savez` makes all entries ZIP64, whose headers Python 3.11.2 writes in another way than 3.11.7.
    """
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue())


def load_unlabelled(path: Path) -> Images:
    """The images in the order of test.csv; InputError if the file holds anything else."""
    return _load(path, ("images",))["images"]


def _load(path: Path, names: tuple[str, ...], optional: str = "") -> dict[str, npt.NDArray]:
    """The arrays of a file that `prepare` wrote: as many images as labels and folds, all uint8 but names."""
    try:
        with path.open("rb") as file, np.load(file) as stored:  # np.load leaves a damaged file open
            names += (optional,) * (optional in stored)
            arrays = {name: stored[name] for name in names}
    except FileNotFoundError:
        raise InputError(f"{path}: missing; {RERUN}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged: {error}; {RERUN}") from None
    shapes = {name: array.shape for name, array in arrays.items()}
    expected = {name: (len(arrays["images"]), *((SIDE, SIDE) if name == "images" else ())) for name in names}
    if shapes != expected or any(array.dtype != np.uint8 for name, array in arrays.items() if name != "writers"):
        kinds = {name: f"{array.shape} {array.dtype}" for name, array in arrays.items()}
        raise InputError(f"{path}: found {kinds}, expected {expected}, all uint8; {RERUN}")
    return arrays


def model_path(member: int) -> Path:
    """The path of a member's model; members count from 0."""
    return MODELS / f"member-{member:02d}.keras"


def model_paths() -> list[Path]:
    """The paths of the members' models, in order."""
    return sorted(MODELS.glob("*.keras"))
