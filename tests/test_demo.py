"""`make demo`: what the server answers, and the page in a browser with no network, as wide as a desktop and a phone."""

import functools
import io
import itertools
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from browser import Browser
from PIL import Image

from benchmarks import strokes
from handwriting import demo, predict, scan
from stages.digits import ensemble, network
from stages.digits.errors import InputError

CLASSES = tuple("0123456789")
PREDICT = ensemble.predict  # the real function: a fixture replaces it
STROKES = {  # in pixels of the board
    1: [[(300, 60), (300, 340)]],
    7: [[(180, 70), (420, 70), (260, 340)]],
}


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def width_to_height(image: np.ndarray) -> float:
    rows, columns = np.nonzero(image)
    return (np.ptp(columns) + 1) / (np.ptp(rows) + 1)


@pytest.fixture(autouse=True)
def ensemble_of_shapes(monkeypatch) -> None:
    """In place of the networks: a narrow digit is a 1 for sure, any other a 7 with 0.8."""

    def probabilities(images: np.ndarray, *_) -> np.ndarray:
        rows = np.zeros((len(images), 10))
        for row, image in zip(rows, images, strict=True):
            row[[1, 7]] = (1, 0) if width_to_height(image) < 0.4 else (0.2, 0.8)
        return rows

    monkeypatch.setattr(ensemble, "predict", probabilities)


def answer(drawing: bytes, classes: Sequence[str] = CLASSES) -> dict:
    return demo.answer(drawing, members=[], reference=None, classes=classes)


@contextmanager
def served(predict: demo.Predict) -> Iterator[str]:
    """The address of a server that answers with `predict`."""
    with demo.serve(0, predict) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{demo.HOST}:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def address() -> Iterator[str]:
    with served(answer) as address:
        yield address


def draw(browser: Browser, lines: list[list[tuple[int, int]]]) -> None:
    """Draw lines on the board, in its pixels, with the mouse's button held down."""
    left, top, scale = browser.run(
        "(box => [box.left, box.top, box.width / board.width])(board.getBoundingClientRect())"
    )
    for line in lines:
        events = [("mousePressed", line[0]), *(("mouseMoved", point) for point in line), ("mouseReleased", line[-1])]
        for kind, (x, y) in events:
            place = {"x": left + x * scale, "y": top + y * scale}
            browser.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **place)


def shown(browser: Browser, script: str, expected: object) -> object:
    """The script's value once it is what is expected, or after 20 seconds."""
    for _ in range(200):
        if (value := browser.run(script)) == expected:
            break
        time.sleep(0.1)
    return value


def open_page(browser: Browser, address: str, width: int) -> None:
    browser.open("about:blank", width)  # the page before may still ask its server, which is gone
    assert shown(browser, "location.href", "about:blank") == "about:blank"
    browser.errors()  # forgets those
    browser.open(address, width)
    assert shown(browser, "document.readyState + location.href", "complete" + address) == "complete" + address


def test_a_drawing_gets_what_predict_gives_for_the_same_picture(tmp_path, monkeypatch):
    ink = np.hstack([strokes.draw(digit, 60, 0.1, np.random.default_rng(0)) for digit in (1, 2)])
    drawing = png((255 - 255 * ink).astype(np.uint8))
    (tmp_path / "same.png").write_bytes(drawing)
    monkeypatch.setattr(predict, "load_models", lambda: ([], None))
    (reading,), _ = predict.read([tmp_path / "same.png"])
    expected = predict.describe(reading, CLASSES)["digits"]
    digits = answer(drawing)["digits"]
    assert [np.array(digit.pop("seen")).tolist() for digit in digits] == reading.scan.images.tolist()
    for digit in digits:
        digit["probabilities"] = dict(digit["probabilities"])
    assert digits == expected


def test_a_thousand_digits_get_the_ensembles_probabilities_to_the_bit(labelled, monkeypatch):
    members = [network.build(16, 0.4, itertools.count(seed)) for seed in (0, 100)]
    for member in members:  # untrained ones are never sure: most digits would take TTA and k-NN
        member.layers[-1].set_weights([200 * weights for weights in member.layers[-1].get_weights()])
    monkeypatch.setattr(ensemble, "predict", PREDICT)
    random = np.random.default_rng(0)
    for _ in range(2):
        images = np.stack([scan.normalise(strokes.draw(digit, 60, 0.1, random)) for digit in [*range(10)] * 50])
        board = np.pad(images, ((0, 0), (4, 4), (4, 4))).reshape(20, 25, 36, 36).swapaxes(1, 2).reshape(720, 900)
        digits = demo.answer(png(255 - board), members, labelled, CLASSES)["digits"]
        seen = np.array([digit["seen"] for digit in digits], dtype=np.uint8)
        shown = np.array([[value for _, value in digit["probabilities"]] for digit in digits])
        assert shown.shape == (500, 10)
        assert np.array_equal(shown, PREDICT(seen, labelled, members))


def test_an_image_in_mnists_form_reaches_the_networks_as_it_is():
    image = scan.normalise(strokes.draw(2, 60, 0.1, np.random.default_rng(0)))
    (digit,) = answer(png(image))["digits"]
    assert digit["seen"] == image.tolist()


@pytest.mark.parametrize("drawing", [png(np.full((40, 60), 255, np.uint8)), b"no picture"], ids=["blank", "no PNG"])
def test_what_shows_no_digit_is_answered_with_the_reason(drawing):
    problem = answer(drawing)["problem"]
    assert "no digit found" in problem or "not a PNG" in problem
    assert ".png:" not in problem


@pytest.mark.parametrize(
    "path, length", [("", None), ("predict", str(2**20 + 1)), ("predict", "-1")], ids=["page", "too long", "negative"]
)
def test_a_request_that_is_no_drawing_is_rejected(address, path, length):
    headers = {"Content-Length": length} if length else {}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(address + path, b"x", headers))


def test_a_tab_that_is_closed_before_its_answer_leaves_no_traceback(monkeypatch, capsys):
    handled = threading.Event()

    def reset(_: bytes) -> dict:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        return {}

    with demo.serve(0, reset) as server:
        close = server.shutdown_request
        monkeypatch.setattr(server, "shutdown_request", lambda request: (close(request), handled.set()))
        client = socket.create_connection(server.server_address)
        client.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        server.handle_request()
        assert handled.wait(10)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("project")
def test_a_port_in_use_and_missing_models_are_one_line(monkeypatch):
    with socket.create_server((demo.HOST, 0)) as taken, pytest.raises(InputError, match=r"^port \d+: .*--port$"):
        demo.serve(taken.getsockname()[1], answer)
    monkeypatch.setattr(sys, "argv", ["demo"])
    with pytest.raises(InputError, match="no models yet"):
        demo.main()


@pytest.mark.parametrize("width", [400, 1280])
def test_digits_drawn_with_the_mouse_are_read_and_an_unsure_one_says_so(browser, address, width):
    open_page(browser, address, width)
    text = 'document.querySelector("#digits").innerText.split(/\\s+/).slice(0, 2).join(" ")'
    assert "Draw with" in browser.run("message.textContent")
    draw(browser, STROKES[1])
    assert shown(browser, text, "1 sure") == "1 sure"
    browser.run('document.querySelector("#clear").click()')
    assert "Draw with" in browser.run("message.textContent")
    draw(browser, STROKES[7])
    assert shown(browser, text, "7 unsure") == "7 unsure"
    assert browser.run('document.querySelectorAll("#digits dt").length') == 10
    assert browser.run("document.documentElement.scrollWidth") == width, "the page is wider than the screen"
    assert browser.errors() == []


def test_digits_side_by_side_are_read_from_left_to_right(browser, address):
    open_page(browser, address, 1280)
    draw(browser, [[(x - 150, y) for x, y in line] for line in STROKES[7]])
    draw(browser, [[(x + 150, y) for x, y in line] for line in STROKES[1]])
    names = '[...document.querySelectorAll("#digits strong")].map(name => name.textContent).join("")'
    assert shown(browser, names, "71") == "71"


def test_classes_are_listed_in_the_order_of_params_yaml_even_if_they_are_numbers(browser):
    classes = "3141", "59", "26", "535", "8", "97", "93", "2", "38", "4"
    with served(functools.partial(answer, classes=classes)) as address:
        open_page(browser, address, 1280)
        draw(browser, STROKES[7])
        names = '[...document.querySelectorAll("#digits dt")].map(name => name.textContent).join()'
        assert shown(browser, names, ",".join(classes)) == ",".join(classes)


def test_only_a_stroke_that_begins_on_the_board_draws(browser, address):
    open_page(browser, address, 1280)
    drawn = "ink.getImageData(0, 0, board.width, board.height).data.join()"
    draw(browser, STROKES[1])
    before = browser.run(drawn)
    draw(browser, [[(300, -60), (100, 50), (500, 200)]])
    assert browser.run(drawn) == before


def test_the_page_says_so_when_the_server_does_not_answer(browser, address):
    open_page(browser, address, 1280)
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.call("Network.enable")
    browser.call("Network.emulateNetworkConditions", offline=True, **network)
    draw(browser, STROKES[1])
    line = "No answer: is `make demo` still running?"
    assert shown(browser, "message.textContent", line) == line
    browser.call("Network.emulateNetworkConditions", offline=False, **network)


def test_the_page_contacts_no_external_host():
    page = demo.PAGE.read_text(encoding="utf-8")
    assert not any(word in page for word in ("http:", "https:", "url(", "@import", "src="))
