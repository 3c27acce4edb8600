"""Chromium with no network, for the tests of pages."""

import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--proxy-server=127.0.0.1:9"]


class Browser:
    """The system's Chromium, with an empty profile."""

    def __init__(self, profile: Path):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in [*OFFLINE, f"--user-data-dir={profile}"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))

    def open(self, url: str, width: int) -> None:
        """Go to the page, `width` pixels wide."""
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.get(url)

    def run(self, script: str) -> Any:
        """The value of the JavaScript expression, or that of its promise."""
        return self.driver.execute_script(f"return ({script})")

    def call(self, method: str, **parameters: object) -> dict:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(method, parameters)

    def errors(self) -> list[dict]:
        """What the pages reported as an error since the last call."""
        return self.driver.get_log("browser")
