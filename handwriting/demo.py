"""A page to draw digits on, with live predictions.

python -m handwriting.demo [--port 8000]

A click on the right digit adds a drawing to one's own digits, in data/own; nothing else is stored.
"""

import argparse
import functools
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np

from handwriting import predict
from handwriting.collection.corrections import Corrections
from handwriting.pages import picture, reading, report
from handwriting.web import server
from stages.digits.base import dataset, errors, params
from stages.digits.base.errors import InputError
from stages.digits.prediction import ensemble
from stages.digits.prediction.ensemble import Model
from stages.digits.tables import own

PAGE = Path(__file__).with_name("web") / "demo.html"

Predict = Callable[[bytes], dict]  # a PNG file -> what the page shows


def answer(drawing: bytes, members: list[Model], reference: dataset.Labelled, classes: Sequence[str]) -> dict:
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
            return {"problem": str(error.code).removeprefix(f"{path}: ").replace(str(path), "the drawing")}
    digits = report.describe(report.Reading(path.name, page), classes)["digits"]
    return {
        "digits": [
            digit | {"probabilities": list(zip(classes, row.tolist(), strict=True)), "seen": image.tolist()}
            for digit, row, image in zip(digits, page.digits.probabilities, page.digits.images, strict=True)
        ],
    }


class Handler(server.Handler):
    """GET / is the page; POST /predict takes a PNG file and returns JSON.

    POST /own/DIGIT stores the 28 × 28 pixels that it takes, /undo removes the last ones; GET /own counts them.
    """

    guarded = ("/own", "/undo")

    def __init__(self, *arguments, predict: Predict, corrections: Corrections):
        self.predict, self.corrections = predict, corrections
        super().__init__(*arguments)

    def get(self, path: str) -> server.Answer:
        if path == "/own":
            return self.corrections.state()
        return PAGE.read_bytes() if path == "/" else None

    def post(self, path: str, body: bytes) -> server.Answer:
        label = re.fullmatch("/own/([0-9])", path)
        if path == "/predict":
            return self.predict(body)
        if label and len(body) == dataset.SIDE**2:
            return self.corrections.add(body, int(label[1]))
        return self.corrections.undo() if path == "/undo" and not body else None


def serve(port: int, predict: Predict, corrections: Corrections) -> ThreadingHTTPServer:
    """A server of the page, which listens but doesn't answer yet; port 0 takes a free one."""
    return server.listen(port, functools.partial(Handler, predict=predict, corrections=corrections))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m handwriting.demo", description="Draw digits and see the predictions."
    )
    parser.add_argument("--port", type=int, choices=range(2**16), default=8000, metavar="PORT", help="8000 by default")
    port = parser.parse_args().port
    unloaded = predict.unloaded_reader()
    print(predict.learned_from(unloaded.reference))
    members, reference, classes, _ = unloaded.load()
    lock = threading.Lock()
    corrections = Corrections(params.own() or own.FOLDER)

    def predict_one(drawing: bytes) -> dict:
        with lock:  # each request has a thread of its own
            return answer(drawing, members, reference, classes)

    with serve(port, predict_one, corrections) as listening:
        ensemble.average(np.zeros((1, dataset.SIDE, dataset.SIDE), np.uint8), members)  # compiles it
        server.serve(listening, "draw a digit")


if __name__ == "__main__":
    errors.run(main, "nothing was changed")
