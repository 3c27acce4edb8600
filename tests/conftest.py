"""Drawn digits, Kaggle's files with them, and a project folder: what several test files need."""

import os
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import commands
import numpy as np
import pytest
import yaml
from browser import BROWSER, Browser

from stages.digits import dataset, kaggle
from stages.digits.recipe import Recipe

# A background job ignores SIGINT, nohup ignores SIGHUP; what a test starts would ignore them, too.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # DVC runs the first `python`

PARAMS = """\
raw: data/raw
sample:
  seed: 1
  labelled_per_digit: 150
prepare:
  seed: 1
  folds: 3
"""

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


def drawn_digits(each: int, seed: int = 0) -> kaggle.Table:
    """`each` noisy images of every digit, in the order 0 to 9 over and over; no two are the same."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(10, dtype=np.uint8), each)
    images = random.integers(0, 50, (len(labels), 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        for segment in LIT[label]:
            image[SEGMENTS[segment]] = random.integers(200, 256)
    return kaggle.Table(np.roll(images, random.integers(-2, 3), axis=2), labels)


@pytest.fixture(scope="session")
def drawn() -> kaggle.Table:
    """60 labelled digits, 6 of each."""
    return drawn_digits(each=6)


@pytest.fixture(scope="session")
def drawn_unlabelled() -> kaggle.Table:
    """20 digits without labels, none of them in `drawn`."""
    return drawn_digits(each=2, seed=1)._replace(labels=None)


@pytest.fixture
def write_raw() -> Callable[[Path, dict[str, str | bytes]], Path]:
    """Writes files {name: content} into a directory, or into a zip archive where the path ends in .zip."""

    def write(raw: Path, files: dict[str, str | bytes]) -> Path:
        raw.parent.mkdir(parents=True, exist_ok=True)
        if raw.suffix == ".zip":
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
        else:
            raw.mkdir(exist_ok=True)
            for name, content in files.items():
                (raw / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return raw

    return write


@pytest.fixture
def empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a valid params.yaml, and nothing else: the current one during the test."""
    (tmp_path / "params.yaml").write_text(PARAMS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(empty_project: Path, drawn: kaggle.Table, drawn_unlabelled: kaggle.Table) -> Path:
    """The same with Kaggle's files, of drawn digits, in data/raw."""
    raw = empty_project / "data/raw"
    raw.mkdir(parents=True)
    kaggle.write_table(raw / "train.csv", drawn)
    kaggle.write_table(raw / "test.csv", drawn_unlabelled)
    return empty_project


@pytest.fixture(scope="session")
def labelled() -> dataset.Labelled:
    """120 labelled digits in three folds."""
    images, labels = drawn_digits(each=12)[:2]
    return dataset.Labelled(images, labels, dataset.assign_folds(labels, folds=3, seed=0))


@pytest.fixture(scope="session")
def small_params() -> str:
    """The project's params.yaml, for a run of seconds on the embedded sample, in which each member learns a little."""
    text = (Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8")
    for key, value in {"labelled_per_digit": 20, "folds": 2, "members": 2, "epochs": 2, "batch_size": 5}.items():
        text = commands.with_param(text, key, value)
    return text


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The project's recipe, for two short epochs."""
    committed = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    return Recipe(**committed["train"] | {"members": 3, "epochs": 2, "batch_size": 10, "validation_fraction": 0.1})


@pytest.fixture(scope="session")
def write_training() -> Callable[[dataset.Labelled, Recipe], None]:
    """Writes what the stage `train` reads into the current folder."""

    def write(labelled: dataset.Labelled, recipe: Recipe) -> None:
        dataset.LABELLED.parent.mkdir(parents=True)
        dataset.save_labelled(dataset.LABELLED, labelled)
        Path("params.yaml").write_text(yaml.safe_dump({"train": recipe.model_dump()}), encoding="utf-8")

    return write


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """A browser; without one the test is skipped, except on GitHub, whose machines have one."""
    if not BROWSER:
        (pytest.fail if os.environ.get("GITHUB_ACTIONS") else pytest.skip)("no Chromium here: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
