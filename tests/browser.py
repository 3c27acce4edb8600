"""Chromium with no network, for the tests of pages."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OFFLINE = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--proxy-server=127.0.0.1:9"]


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

    def open(self, url: str, width: int) -> None:
        """Go to the page, `width` pixels wide."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Page.enable")
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of the JavaScript expression, or that of its promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.requests), os.close(self.replies)
