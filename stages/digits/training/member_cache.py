"""The finished members of a run, kept on disk until all are: an interrupted run trains only the rest."""

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stages.digits.base import files
from stages.digits.base.dataset import Labelled
from stages.digits.training.recipe import EpochMetrics, Recipe, TrainedMember

FOLDER = Path("data/members")  # not an output of DVC's, which deletes those before it runs a stage
CODE = ("base", "model", "training")  # the folders of code that a member's bytes depend on
LIBRARIES = ("keras", "numpy", "scikit-learn")


def keys(labelled: Labelled, recipe: Recipe) -> list[str]:
    """A file name for each member, a hash of all it depends on: data, recipe, code and library versions."""
    digest = hashlib.sha256(recipe.model_dump_json(exclude={"members"}).encode())
    for array in labelled:
        digest.update(b"" if array is None else array.data.cast("B"))  # no copy: the images may be most of the memory
    digest.update(code_digest().encode())
    return [f"{digest.hexdigest()}-{member:02d}" for member in range(recipe.members)]


@cache
def code_digest(folders: tuple[str, ...] = CODE) -> str:
    """A hash of the code in these folders, and of the library versions, as of this process' first call for them."""
    digest = hashlib.sha256()
    for folder in folders:
        for module in sorted((Path(__file__).parents[1] / folder).glob("*.py")):
            digest.update(module.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    digest.update(f"tensorflow {tensorflow_version()}\n".encode())
    return digest.hexdigest()


def tensorflow_version() -> str:
    """Of whichever package of it is installed: both compute the same bits."""
    try:
        return version("tensorflow-cpu")
    except PackageNotFoundError:
        return version("tensorflow")


def unfinished(keys: list[str]) -> list[int]:
    """The members that are not in the cache."""
    return [member for member, key in enumerate(keys) if read(key) is None]


def read(key: str) -> TrainedMember | None:
    """The finished member, or None if it is missing, truncated or altered."""
    try:
        entry = json.loads((FOLDER / f"{key}.json").read_text(encoding="utf-8"))
        trained = TrainedMember(
            (FOLDER / f"{key}.keras").read_bytes(), [EpochMetrics(**row) for row in entry["history"]]
        )
        return trained if entry["sha256"] == _checksum(trained) else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def write(key: str, trained: TrainedMember) -> None:
    """Write the model, then its history and checksum: without the second file the member isn't finished."""
    entry = {"sha256": _checksum(trained), "history": [row._asdict() for row in trained.history]}
    files.write_bytes(FOLDER / f"{key}.keras", trained.model)
    files.write_bytes(FOLDER / f"{key}.json", json.dumps(entry, indent=2).encode())


def _checksum(trained: TrainedMember) -> str:
    return hashlib.sha256(trained.model + json.dumps(trained.history).encode()).hexdigest()
