"""The page of DVC's plots in a browser with no network, on a desk and on a phone.

Without a browser these tests are skipped, except on GitHub, whose machines have one; the charts themselves are tested
without it in test_plots.py.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from browser import Browser

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MEASURE = """
new Promise(resolve => {
  const cards = () => [...document.querySelectorAll("main > div")].map(card => ({
    title: card.querySelector("h2")?.textContent,
    text: card.innerText,
    marks: card.querySelectorAll("svg .role-mark path, svg .role-mark text, svg .role-mark line, dd").length,
    images: [...card.querySelectorAll("img")].map(image => image.naturalWidth),
    overflow: Math.max(0, ...[...card.querySelectorAll("svg, img, h2, p, dd")].map(
      part => part.getBoundingClientRect().right - card.getBoundingClientRect().right)),
    overlap: Math.max(0, ...[...card.querySelectorAll("dd")].map(part => part.scrollWidth - part.clientWidth)),
  }));
  const wait = () => document.body?.dataset.drawn
    ? resolve({ cards: cards(), width: document.documentElement.scrollWidth }) : setTimeout(wait, 50);
  wait();
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """As `make plots` draws it: beside the last commit."""
    folder = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder / "index.html"


def measure(browser: Browser, page: Path, width: int) -> dict:
    """What the page looks like once all is drawn."""
    browser.open(page.as_uri(), width)
    return browser.run(MEASURE)


@pytest.mark.parametrize("width", [400, 1280])
def test_every_card_is_titled_drawn_and_fits(browser, page, width):
    measured = measure(browser, page, width)
    assert measured["width"] == width, "the page is wider than the screen"
    assert len(measured["cards"]) == 10
    for card in measured["cards"]:
        assert card["title"], card["text"]
        assert card["marks"] >= 4 or (card["images"] and all(card["images"])), card["title"]
        assert card["overflow"] <= 0, card["title"]
        assert card["overlap"] == 0, card["title"]
        assert not {"plots/", ".png", "train_", "rev\n"} & set(card["text"].split()), card["title"]
    assert browser.errors() == []


def test_the_confusion_matrix_keeps_its_last_columns_on_a_phone(browser, page):
    card = next(card for card in measure(browser, page, 400)["cards"] if "confused" in card["title"])
    assert {"8", "9", "predicted", "actual"} <= set(card["text"].split())
