"""The page of DVC's plots in a browser with no network, on a desk and on a phone.

Without a browser these tests are skipped, except on GitHub, whose machines have one; the charts themselves are tested
without it in test_plots.py.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--proxy-server=127.0.0.1:9"]
MEASURE = """
new Promise(resolve => {
  const cards = () => [...document.querySelectorAll("main > div")].map(card => ({
    title: card.querySelector("h2")?.textContent,
    text: card.innerText,
    marks: card.querySelectorAll("svg .role-mark path, svg .role-mark text, svg .role-mark line, dd").length,
    images: [...card.querySelectorAll("img")].map(image => image.naturalWidth),
    overflow: Math.max(0, ...[...card.querySelectorAll("svg, img, h2, p, dd")].map(
      part => part.getBoundingClientRect().right - card.getBoundingClientRect().right)),
  }));
  const wait = () => document.body.dataset.drawn
    ? resolve({ cards: cards(), width: document.documentElement.scrollWidth }) : setTimeout(wait, 50);
  wait();
})
"""


class Browser:
    """Chromium, driven through the pipe of its DevTools protocol."""

    def __init__(self, profile: Path):
        assert BROWSER
        (reads, self.requests), (self.replies, writes) = os.pipe(), os.pipe()
        arguments = [*OFFLINE, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" "$@" 3<&{reads} 4>&{writes}', BROWSER, *arguments],
            pass_fds=(reads, writes),
            stderr=subprocess.DEVNULL,
        )
        os.close(reads), os.close(writes)
        self.messages = self._messages()
        self.errors: list[dict] = []
        self.count = 0
        self.session: dict[str, str] = {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Runtime.enable")
        self.call("Log.enable")

    def _messages(self) -> Iterator[dict]:
        buffer = b""
        while chunk := os.read(self.replies, 65536):
            *complete, buffer = (buffer + chunk).split(b"\0")
            yield from map(json.loads, complete)

    def call(self, method: str, **parameters: object) -> dict:
        self.count += 1
        request = {"id": self.count, "method": method, "params": parameters} | self.session
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        for message in self.messages:
            if message.get("id") == self.count:
                return message["result"]
            event, details = message.get("method"), message.get("params", {})
            if (
                event == "Runtime.exceptionThrown"
                or (event == "Runtime.consoleAPICalled" and details["type"] == "error")
                or (event == "Log.entryAdded" and details["entry"]["level"] == "error")
            ):
                self.errors.append(details)
        raise AssertionError("the browser ended")

    def measure(self, page: Path, width: int) -> dict:
        """What the page looks like once all is drawn, `width` pixels wide."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=page.as_uri())
        self.call("Page.enable")
        return self.call("Runtime.evaluate", expression=MEASURE, awaitPromise=True, returnByValue=True)["result"][
            "value"
        ]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.requests), os.close(self.replies)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    """As `make plots` draws it: beside the last commit."""
    folder = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder / "index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if not BROWSER:
        (pytest.fail if os.environ.get("GITHUB_ACTIONS") else pytest.skip)("no Chromium here: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.mark.parametrize("width", [400, 1280])
def test_every_card_is_titled_drawn_and_fits(browser, page, width):
    measured = browser.measure(page, width)
    assert measured["width"] == width, "the page is wider than the screen"
    assert len(measured["cards"]) == 9
    for card in measured["cards"]:
        assert card["title"], card["text"]
        assert card["marks"] >= 4 or (card["images"] and all(card["images"])), card["title"]
        assert card["overflow"] <= 0, card["title"]
        assert not {"plots/", ".png", "train_", "rev\n"} & set(card["text"].split()), card["title"]
    assert browser.errors == []


def test_the_confusion_matrix_keeps_its_last_columns_on_a_phone(browser, page):
    card = next(card for card in browser.measure(page, 400)["cards"] if "confused" in card["title"])
    assert {"8", "9", "predicted", "actual"} <= set(card["text"].split())
