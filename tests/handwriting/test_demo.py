"""`make demo`: what the server answers, and the page in a browser with no network, as wide as a desktop and a phone."""

import base64
import functools
import io
import itertools
import json
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from PIL import Image

from benchmarks.drawn import strokes
from handwriting import demo
from handwriting.collection import corrections
from handwriting.collection.corrections import Corrections
from handwriting.pages import picture, reading, scan
from handwriting.piles import pile
from handwriting.web import server
from stages.digits.base.errors import InputError
from stages.digits.model import network
from stages.digits.prediction import ensemble
from stages.digits.tables import own

CLASSES = tuple("0123456789")
AVERAGE = ensemble.average  # the real function: a fixture replaces it
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

    monkeypatch.setattr(ensemble, "average", probabilities)
    monkeypatch.setattr(reading, "doubt_strange", lambda digits, _: digits)


def answer(drawing: bytes, classes: Sequence[str] = CLASSES) -> dict:
    return demo.answer(drawing, members=[], reference=None, classes=classes)


@contextmanager
def served(predict: demo.Predict, folder: Path) -> Iterator[str]:
    """The address of a server that answers with `predict`, and stores drawings in the folder."""
    with demo.serve(0, predict, Corrections(folder)) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://{server.HOST}:{listening.server_port}/"
        listening.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where drawings are stored: not there yet."""
    return tmp_path / "own"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with served(answer, folder) as address:
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


def test_a_drawing_gets_what_predict_gives_for_the_same_picture(tmp_path):
    ink = np.hstack([strokes.draw(digit, 60, 0.1, np.random.default_rng(0)) for digit in (1, 2)])
    drawing = png((255 - 255 * ink).astype(np.uint8))
    (tmp_path / "same.png").write_bytes(drawing)
    page = reading.read(picture.load(tmp_path / "same.png"), [], None)
    expected = pile.read_page("", page.picture, pile.Reader([], None, CLASSES, ["json"]))["printed"]["json"]["digits"]
    digits = answer(drawing)["digits"]
    assert [np.array(digit.pop("seen")).tolist() for digit in digits] == page.digits.images.tolist()
    for digit in digits:
        digit["probabilities"] = dict(digit["probabilities"])
    assert digits == expected


@pytest.mark.slow
def test_a_thousand_digits_get_the_ensembles_probabilities_to_the_bit(labelled, monkeypatch):
    members = [network.build(16, 0.4, itertools.count(seed)) for seed in (0, 100)]
    for member in members:  # untrained ones are never sure: most digits would take TTA
        member.layers[-1].set_weights([200 * weights for weights in member.layers[-1].get_weights()])
    monkeypatch.setattr(ensemble, "average", AVERAGE)
    random = np.random.default_rng(0)
    for _ in range(2):
        images = np.stack([scan.normalise(strokes.draw(digit, 60, 0.1, random)) for digit in [*range(10)] * 50])
        lines = np.pad(images, ((0, 0), (4, 4), (4, 4))).reshape(20, 25, 36, 36).swapaxes(1, 2).reshape(20, 36, 900)
        # Staggered: digits exactly below each other may be taken for a dashed rule.
        board = np.concatenate([np.pad(line, ((0, 0), (n % 3 * 9, 18 - n % 3 * 9))) for n, line in enumerate(lines)])
        digits = demo.answer(png(255 - board), members, labelled, CLASSES)["digits"]
        seen = np.array([digit["seen"] for digit in digits], dtype=np.uint8)
        shown = np.array([[value for _, value in digit["probabilities"]] for digit in digits])
        assert shown.shape == (500, 10)
        assert np.array_equal(shown, AVERAGE(seen, members))


def test_an_image_in_mnists_form_reaches_the_networks_as_it_is():
    image = scan.normalise(strokes.draw(2, 60, 0.1, np.random.default_rng(0)))
    (digit,) = answer(png(image))["digits"]
    assert digit["seen"] == image.tolist()


@pytest.mark.parametrize("drawing", [png(np.full((40, 60), 255, np.uint8)), b"no picture"], ids=["blank", "no PNG"])
def test_what_shows_no_digit_is_answered_with_the_reason(drawing):
    problem = answer(drawing)["problem"]
    assert "no digit found" in problem or "not a picture" in problem
    assert "/" not in problem, "a path of the server's"


@pytest.mark.parametrize(
    "path, length", [("", None), ("predict", str(2**20 + 1)), ("predict", "-1")], ids=["page", "too long", "negative"]
)
def test_a_request_that_is_no_drawing_is_rejected(address, path, length):
    headers = {"Content-Length": length} if length else {}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(address + path, b"x", headers))


def test_a_tab_that_is_closed_before_its_answer_leaves_no_traceback(tmp_path, monkeypatch, capsys):
    handled = threading.Event()

    def reset(_: bytes) -> dict:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        return {}

    with demo.serve(0, reset, Corrections(tmp_path)) as server:
        close = server.shutdown_request
        monkeypatch.setattr(server, "shutdown_request", lambda request: (close(request), handled.set()))
        client = socket.create_connection(server.server_address)
        client.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        server.handle_request()
        assert handled.wait(10)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("project")
def test_a_port_in_use_and_missing_models_are_one_line(monkeypatch):
    with socket.create_server((server.HOST, 0)) as taken, pytest.raises(InputError, match=r"^port \d+: .*--port$"):
        demo.serve(taken.getsockname()[1], answer, Corrections(own.FOLDER))
    monkeypatch.setattr(sys, "argv", ["demo"])
    with pytest.raises(InputError, match="no models yet"):
        demo.main()


@pytest.mark.slow
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


@pytest.mark.slow
def test_classes_are_listed_in_the_order_of_params_yaml_even_if_they_are_numbers(browser, folder):
    classes = "3141", "59", "26", "535", "8", "97", "93", "2", "38", "4"
    with served(functools.partial(answer, classes=classes), folder) as address:
        open_page(browser, address, 1280)
        draw(browser, STROKES[7])
        names = '[...document.querySelectorAll("#digits dt")].map(name => name.textContent).join()'
        assert shown(browser, names, ",".join(classes)) == ",".join(classes)


@pytest.mark.slow
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


IMAGE = scan.normalise(strokes.draw(2, 60, 0.1, np.random.default_rng(0)))


def ask(address: str, path: str, body: bytes | None, **headers: str) -> dict:
    """What the server answers; HTTPError with its status otherwise."""
    request = urllib.request.Request(address + path, body, {name.capitalize(): text for name, text in headers.items()})
    with urllib.request.urlopen(request) as reply:
        return json.loads(reply.read())


def own_origin(address: str) -> dict[str, str]:
    return {"origin": address.rstrip("/")}


def test_a_drawing_is_stored_once_counted_and_undone(address, folder):
    origin = own_origin(address)
    assert ask(address, "own", None) == {"count": 0, "undo": 0}
    assert not folder.exists()
    for _ in range(2):  # a second click on the same digit
        assert ask(address, "own/7", IMAGE.tobytes(), **origin) == {"count": 1, "undo": 1}
    assert ask(address, "own/2", IMAGE.tobytes(), **origin) == {"count": 2, "undo": 2}
    assert sorted(own.read(folder).labels.tolist()) == [2, 7]
    assert np.array_equal(own.read(folder).images, [IMAGE, IMAGE])
    assert ask(address, "undo", b"", **origin) == {"count": 1, "undo": 1}
    assert own.read(folder).labels.tolist() == [7]


def test_undo_removes_nothing_that_was_there_before_the_page_was_served(address, folder):
    own.write(folder / "drawing-earlier.csv", IMAGE[None], np.array([3]), np.zeros((1, 2)))
    own.write(folder / "page.csv", IMAGE[None], np.array([3]), np.zeros((1, 2)))
    assert ask(address, "undo", b"", **own_origin(address)) == {"count": 1, "undo": 0}
    assert len(own.paths(folder)) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://example.org"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
        {"origin": "http://example.org", "host": "example.org"},
        {"origin": "http://127.0.0.1.example.org", "host": "127.0.0.1.example.org"},
        {"origin": "http://[", "host": "["},
    ],
    ids=["none", "another", "null", "another port", "rebound", "rebound to a like name", "no name"],
)
@pytest.mark.parametrize("path", ["own/7", "undo"])
def test_only_the_page_itself_may_store_or_undo(address, folder, path, headers):
    ask(address, "own/1", IMAGE.tobytes(), **own_origin(address))
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, path, IMAGE.tobytes() if path != "undo" else b"", **headers)
    assert own.read(folder).labels.tolist() == [1]


@pytest.mark.parametrize("path", ["", "own"])
def test_nothing_is_shown_under_a_name_that_is_not_this_computers(address, path):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, path, None, host="example.org")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("own/7", IMAGE.tobytes()[1:]),
        ("own/7", IMAGE.tobytes() * 2),
        ("own/10", IMAGE.tobytes()),
        ("own/x", IMAGE.tobytes()),
        ("own", IMAGE.tobytes()),
        ("undo", b"1"),
    ],
)
def test_what_is_no_digit_with_a_label_is_rejected(address, folder, path, body):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(address, path, body, **own_origin(address))
    assert not folder.exists()


def test_a_blank_image_a_full_folder_and_a_full_disk_are_told_and_store_nothing(address, folder, monkeypatch):
    origin = own_origin(address)
    assert ask(address, "own/7", bytes(784), **origin) == {"problem": "no digit was sent"}
    monkeypatch.setattr(corrections, "MAX_DRAWINGS", 1)
    ask(address, "own/7", IMAGE.tobytes(), **origin)
    assert "holds 1 drawings: no more" in ask(address, "own/2", IMAGE.tobytes(), **origin)["problem"]
    monkeypatch.setattr(corrections, "MAX_DRAWINGS", 2)
    monkeypatch.setattr(own, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert ask(address, "own/2", IMAGE.tobytes(), **origin) == {"problem": "not stored: No space left on device"}
    assert own.read(folder).labels.tolist() == [7]


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_a_click_on_the_right_digit_stores_the_drawing_and_undo_removes_it(browser, address, folder, width):
    open_page(browser, address, width)
    draw(browser, STROKES[7])
    buttons = 'document.querySelectorAll("#digits dt button").length'
    assert shown(browser, buttons, 10) == 10
    assert shown(browser, "asking", False) is False  # else it shows what the drawing was before its last strokes
    assert not folder.exists(), "stored before a click"
    seen = answer(browser_drawing(browser))["digits"][0]["seen"]
    line = 'document.querySelector("#own").innerText.replace(/\\s+/g, " ")'
    browser.run('document.querySelectorAll("#digits dt button")[1].click()')
    expected = "Added as 1. 1 drawing among your own digits.Undo"
    assert shown(browser, line, expected) == expected
    table = own.read(folder)
    assert table.labels.tolist() == [1]
    assert table.images[0].tolist() == seen
    assert browser.run("document.documentElement.scrollWidth") == width, "the page is wider than the screen"
    browser.run('document.querySelector("#undo").click()')
    expected = "Removed. 0 drawings among your own digits."
    assert shown(browser, line, expected) == expected
    assert list(folder.iterdir()) == []
    assert browser.errors() == []


def browser_drawing(browser: Browser) -> bytes:
    """The board as the PNG file that the page sends."""
    return base64.b64decode(browser.run('board.toDataURL("image/png").split(",")[1]'))
