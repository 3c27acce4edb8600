"""A page to draw digits on, with live predictions.

python -m handwriting.demo [--port 8000]

A click on the right digit adds a drawing to one's own digits, in data/own; nothing else is stored.
"""

import argparse
import contextlib
import functools
import json
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from handwriting import predict
from handwriting.collection.corrections import Corrections
from handwriting.pages import picture, reading, report
from stages.digits.base import dataset, errors, params
from stages.digits.base.errors import InputError
from stages.digits.model.backend import keras
from stages.digits.prediction import ensemble
from stages.digits.tables import own

HOST = "127.0.0.1"  # reachable from this computer only
PAGE = Path(__file__).with_name("demo.html")
NAMES = (HOST, "localhost")  # of this computer: a page elsewhere could have any other name lead here
MAX_BYTES = 2**20  # of a drawing; the page sends about 10 KB

Predict = Callable[[bytes], dict]  # a PNG file -> what the page shows


def answer(drawing: bytes, members: list[keras.Model], reference: dataset.Labelled, classes: Sequence[str]) -> dict:
    """A drawing as a PNG file -> `digits` as `predict --json` gives them, but `probabilities` aren't rounded.

    They are pairs of class and value: a browser would sort an object's keys. Each digit also has `seen`, the network's
    28 × 28 ink. If there is no digit, `problem` says so.
    """
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        path = Path(file.name)
        path.write_bytes(drawing)
        try:
            page = reading.read(picture.load(path), members, reference)
        except InputError as error:
            return {"problem": str(error.code).removeprefix(f"{path}: ")}
    digits = report.describe(report.Reading(path.name, page), classes)["digits"]
    return {
        "digits": [
            digit | {"probabilities": list(zip(classes, row.tolist(), strict=True)), "seen": image.tolist()}
            for digit, row, image in zip(digits, page.digits.probabilities, page.digits.images, strict=True)
        ],
    }


class Handler(BaseHTTPRequestHandler):
    """GET / is the page; POST /predict takes a PNG file and returns JSON.

    POST /own/DIGIT stores the 28 × 28 pixels that it takes, /undo removes the last ones; GET /own counts them. Only the
    page itself may ask for these: not another page that is open in the browser, whose requests name it as their origin.
    """

    def __init__(self, *arguments, predict: Predict, corrections: Corrections):
        self.predict, self.corrections = predict, corrections
        super().__init__(*arguments)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the tab was closed or reloaded before its answer
            super().handle()

    def do_GET(self) -> None:
        if not self.is_allowed(needs_origin=False):
            self.send_error(403)
        elif self.path == "/own":
            self.reply_json(self.corrections.state())
        elif self.path == "/":
            self.reply("text/html; charset=utf-8", PAGE.read_bytes())
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        label = re.fullmatch("/own/([0-9])", self.path)
        if not self.is_allowed(needs_origin=self.path.startswith(("/own", "/undo"))):
            self.send_error(403)
        elif not re.fullmatch("[0-9]{1,7}", length) or int(length) > MAX_BYTES:
            self.send_error(400)
        elif self.path == "/predict":
            self.reply_json(self.predict(self.rfile.read(int(length))))
        elif label and int(length) == dataset.SIDE**2:
            self.reply_json(self.corrections.add(self.rfile.read(int(length)), int(label[1])))
        elif self.path == "/undo" and length == "0":
            self.reply_json(self.corrections.undo())
        else:
            self.send_error(400)

    def is_allowed(self, needs_origin: bool) -> bool:
        """Whether the request is for this computer by its own name, and, where it names an origin, from this page."""
        host = self.headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        origins = self.headers.get_all("Origin", [])
        return name in NAMES and origins in ([[f"http://{host}"]] if needs_origin else [[], [f"http://{host}"]])

    def reply_json(self, value: dict) -> None:
        self.reply("application/json", json.dumps(value).encode())

    def reply(self, content_type: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a drawing makes dozens of requests."""


def serve(port: int, predict: Predict, corrections: Corrections) -> ThreadingHTTPServer:
    """A server of the page, which listens but doesn't answer yet; port 0 takes a free one."""
    try:
        handler = functools.partial(Handler, predict=predict, corrections=corrections)
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise InputError(f"port {port}: {error.strerror}; choose another one with --port") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.demo", description="Draw digits and see the predictions."
    )
    parser.add_argument("--port", type=int, choices=range(2**16), default=8000, metavar="PORT", help="8000 by default")
    port = parser.parse_args().port
    members, reference = predict.load_models()
    classes, lock = params.classes(), threading.Lock()
    corrections = Corrections(params.own() or own.FOLDER)

    def predict_one(drawing: bytes) -> dict:
        with lock:  # each request has a thread of its own
            return answer(drawing, members, reference, classes)

    with serve(port, predict_one, corrections) as server:
        ensemble.average(np.zeros((1, dataset.SIDE, dataset.SIDE), np.uint8), members)  # compiles it
        print(f"http://{HOST}:{server.server_port}  draw a digit; Ctrl-C stops", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    errors.run(main, "nothing was changed")
