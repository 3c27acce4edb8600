"""Drawn digits, Kaggle's files with them, and a project folder: what several test files need."""

import os
import signal
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import commands
import documents
import pytest
import yaml
from browser import CHROMIUM, DRIVER, Browser
from dask.system import CPU_COUNT
from documents import Section, Story
from pictures import drawn_digits
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from stages.digits.base import dataset, splits
from stages.digits.tables import kaggle
from stages.digits.training.recipe import Recipe

# A background job ignores SIGINT, nohup ignores SIGHUP; what a test starts would ignore them, too.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # DVC runs the first `python`

SMALL = {
    "labelled_per_digit": 170,  # so few are left without label: to predict an uncertain one by k-NN takes a while ...
    "folds": 10,  # ... few are held out ...
    "members": 1,
    "width": 16,
    "epochs": 3,
    "batch_size": 40,
    "learning_rate": 0.03,  # ... and few are uncertain: a sixth; after two epochs at 0.008 it was nearly all
    "validation_fraction": 0.1,
}
# At a lower rate a member learns too little for the check in `train`.
SHORT = {"members": 3, "width": 16, "epochs": 2, "batch_size": 10, "learning_rate": 0.02, "validation_fraction": 0.1}
LONG = ("test_cluster.py", "test_member.py")  # the longest files that wait for no story
NO_BROWSER = "no Chromium with its driver; apt-get install chromium-driver (on Ubuntu: chromium-chromedriver)"
PARAMS = """\
raw: data/raw
sample:
  seed: 1
  labelled_per_digit: 150
prepare:
  seed: 1
  folds: 3
"""


class OneWorkerEachFile(LoadScopeScheduling):
    """The tests of a file, which share fixtures, on one worker; a story on any.

    `--dist loadgroup` groups nothing since pytest 9.2 (pytest-xdist#1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if "runs_as_printed[" in nodeid else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return OneWorkerEachFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """As many as cores; with the slow tests one more, since these often wait for a process."""
    return CPU_COUNT + ("not slow" not in config.option.markexpr)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In an order that keeps all workers busy, also at the end.

    First the quickstart, for which all stories wait, and what takes long but waits for none; then the stories, first
    that of the queue, which takes longest; then the files that wait for them; then the rest, last what takes no time.
    """
    sections = documents.sections()
    quickstart, queue = documents.section_with("make"), documents.section_with("dvc queue start")
    waiting = {item.path for item in items if {"story", "finished"} & set(item.fixturenames)}

    def order(item: pytest.Item) -> tuple[int, int]:
        section = item.callspec.params.get("section") if hasattr(item, "callspec") else None
        if isinstance(section, Section):
            return (0, 0) if section == quickstart else (2, -1 if section == queue else sections.index(section))
        if not item.get_closest_marker("slow"):
            return 5, 0
        return (3 if item.path in waiting else 1 if item.path.name in LONG else 4), 0

    items.sort(key=order)


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
    return dataset.Labelled(images, labels, splits.assign_folds(labels, folds=3, seed=0))


@pytest.fixture(scope="session")
def small_params() -> str:
    """The project's params.yaml, for a run of seconds on the sample, in which the one member learns a little."""
    text = (Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8")
    for key, value in SMALL.items():
        text = commands.with_param(text, key, value)
    return text


@pytest.fixture(scope="session")
def tell(tmp_path_factory, small_params) -> Callable[[Section], Story]:
    """What becomes of a section of the documents; each is followed once, for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return lambda section: documents.story(section, base, small_params)


@pytest.fixture(scope="session")
def story(tell) -> Callable[[str], Story]:
    """The same of the section that prints a command."""
    return lambda command: tell(documents.section_with(command))


@pytest.fixture(scope="session")
def finished(story) -> Path:
    """A clone in which the quickstart was followed, with small parameters; to be copied, never changed."""
    return story("make").folder


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """The project's recipe, for two short epochs of a small network."""
    committed = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    return Recipe(**committed["train"] | SHORT)


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
    if not (CHROMIUM and DRIVER):
        (pytest.fail if os.environ.get("GITHUB_ACTIONS") else pytest.skip)(NO_BROWSER)
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.driver.quit()


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line: what was not tested for lack of a browser, and how to get one."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if count := sum(NO_BROWSER in str(report.longrepr) for report in skipped):
        reporter.write_line(f"{count} tests of pages were skipped: {NO_BROWSER}")
