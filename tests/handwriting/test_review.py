"""`python -m handwriting.review`: a pile's doubts are checked on a page, by keyboard alone."""

import base64
import csv
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import Browser
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from handwriting import review
from handwriting.collection.corrections import Corrections
from handwriting.piles import journal, pile
from handwriting.review import Review
from handwriting.web import server
from stages.digits.base.errors import InputError
from stages.digits.tables import own

CLASSES = tuple("0123456789")
IMAGE = np.zeros((28, 28), np.uint8)
IMAGE[4:24, 13:15] = 255
HEADER = "row,column,digits,probability,unsure,table,image,reviewed"


def doubt(row: int, left: float, images: int = 1) -> dict:
    image = base64.b64encode(IMAGE.tobytes()).decode()
    return {"row": row, "box": [left, 0.25, left + 0.25, 0.75], "images": [image] * images}


def pages() -> list[tuple[pile.Place, pile.Result]]:
    """A page of three cells, two of them unsure, one of these with two digits, and a page that couldn't be read."""
    rows = "1,1,7,0.6000,true,1,page.png\n1,2,3,0.9900,false,1,page.png\n1,3,42,0.5000,true,1,page.png\n"
    page = {"name": "page.png", "csv": rows, "cells": 3, "digits": 4, "turns": 0}
    place = pile.Place("page.png", 0, "page.png", pile.state_of("page.png"))
    return [
        (place, page | {"doubts": [doubt(0, 0.0), doubt(2, 0.5, images=2)]}),
        (pile.Place("lost.png", 0, "lost.png", ""), pile.unread("lost.png", "missing")),
    ]


def keep(csv: Path, pages: list[tuple[pile.Place, pile.Result]], digest: str = "models") -> None:
    places = [place for place, _ in pages]
    list(journal.keep(csv, digest, places, False, lambda _: (page for page in pages)))


@pytest.fixture
def table(tmp_path, monkeypatch) -> Path:
    """The CSV of a pile of two pages."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1))).save("page.png")
    keep(Path("out.csv"), pages())
    return Path("out.csv")


@pytest.fixture
def corrections(tmp_path) -> Corrections:
    return Corrections(tmp_path / "own")


@pytest.fixture
def opened(table, corrections) -> Review:
    return Review(table, CLASSES, corrections)


def lines(path: str = "out-reviewed.csv") -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def test_a_correction_and_an_acceptance_are_written_beside_and_the_csv_stays(opened, table):
    before = table.read_bytes()
    assert opened.decide(0, [1]) == {"value": "1", "reviewed": "corrected"}
    assert opened.decide(1, None) == {"value": "42", "reviewed": "accepted"}
    assert lines() == [
        HEADER,
        "1,1,1,,false,1,page.png,corrected",
        "1,2,3,0.9900,false,1,page.png,",
        "1,3,42,0.5000,false,1,page.png,accepted",
        ",,,,true,,lost.png,",
    ]
    assert table.read_bytes() == before


def test_a_decision_may_be_revised(opened):
    opened.decide(0, [1])
    opened.decide(0, [])
    assert lines()[1] == "1,1,,,false,1,page.png,corrected"
    opened.decide(0, [7])
    assert lines()[1] == "1,1,7,0.6000,false,1,page.png,accepted"


def test_classes_are_written_by_their_names(table, corrections):
    names = ("Top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot")
    assert Review(table, names, corrections).decide(1, [4, 2])["value"] == "Coat, Pullover"
    [*_, row, _] = csv.DictReader(lines())
    assert row["digits"] == "Coat, Pullover"


def test_the_next_review_goes_on(opened, table, corrections):
    opened.decide(0, [1])
    items = Review(table, CLASSES, corrections).state()["items"]
    assert [(item["value"], item["reviewed"]) for item in items] == [("1", "corrected"), ("42", ""), ("", "")]
    assert [item["digits"] for item in items] == ["7", "42", ""]
    assert items[2]["problem"] == "lost.png: missing"


def test_a_pile_that_has_grown_keeps_what_was_reviewed(table, corrections):
    table.unlink()
    keep(table, pages()[:1])
    Review(table, CLASSES, corrections).decide(0, [1])
    keep(table, pages())
    assert [item["reviewed"] for item in Review(table, CLASSES, corrections).state()["items"]] == ["corrected", "", ""]


def test_a_pile_that_was_read_anew_keeps_only_what_was_reviewed(opened, table, corrections):
    opened.decide(0, [1])
    place, page = pages()[0]
    anew = page | {"csv": page["csv"].replace("7,0.6000", "9,0.7000").replace("42,0.5000", "47,0.8000")}
    table.unlink()
    keep(table, [(place, anew), pages()[1]], digest="retrained")
    Review(table, CLASSES, corrections).decide(2, None)
    assert [line.split(",")[2] for line in lines()[1:]] == ["1", "3", "47", ""]


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", f"{HEADER}\n9,9,7,,true,1,page.png,\n"])
def test_a_file_of_something_else_in_the_place_of_the_reviewed_csv_stays(table, corrections, content):
    Path("out-reviewed.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"^out-reviewed\.csv: doesn't belong to this CSV: move it away$"):
        Review(table, CLASSES, corrections)
    assert Path("out-reviewed.csv").read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: Path("out.csv").unlink(), "expected a CSV that `python -m handwriting.predict --csv` wrote"),
        (lambda: Path(".out.csv.pages").unlink(), "expected a CSV that `python -m handwriting.predict --csv` wrote"),
        (lambda: Path("out.csv").write_text("row\n"), "didn't write, or what was changed since"),
        (lambda: (Path("out.csv").unlink(), keep(Path("out.csv"), [], "")), "nothing is unsure"),
    ],
    ids=["missing", "without its journal", "changed", "sure"],
)
def test_a_csv_that_cannot_be_reviewed_is_one_line(table, corrections, change, message):
    change()
    with pytest.raises(InputError, match=message):
        Review(table, CLASSES, corrections)


def test_a_full_disk_is_told_and_the_decision_is_not_taken(opened, monkeypatch):
    opened.decide(0, [1])
    monkeypatch.setattr(review.files, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert opened.decide(0, [2]) == {"problem": "out-reviewed.csv: not stored: No space left"}
    assert opened.state()["items"][0]["value"] == "1"


def test_the_picture_shows_the_cell_in_a_frame_and_what_is_around_it(opened):
    shown = cv2.imdecode(np.frombuffer(opened.picture(1), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (100, 200, 3)
    assert shown[50, 100].tolist() == list(review.FRAME)
    assert shown[50, 120].tolist() == [120] * 3


def test_a_page_that_was_turned_is_shown_turned(table, corrections):
    Image.fromarray(np.rot90(np.asarray(Image.open("page.png")), -1)).save("page.png")
    place, page = pages()[0]
    table.unlink()
    keep(table, [(place, page | {"turns": 1})], digest="other")
    shown = cv2.imdecode(np.frombuffer(Review(table, CLASSES, corrections).picture(1), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown[50, 120] == 120


@pytest.mark.parametrize(
    "change", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes() + b"x")]
)
def test_a_page_that_is_gone_or_was_changed_has_no_picture(opened, change):
    change(Path("page.png"))
    assert opened.picture(0) is None


def test_corrected_digits_are_added_to_ones_own_if_each_has_a_label(opened, tmp_path):
    assert opened.add_own(1, [4])["problem"] == "expected a label for each digit"
    assert not (tmp_path / "own").exists()
    assert opened.add_own(0, [1])["count"] == 1
    assert own.read(tmp_path / "own").labels.tolist() == [1]
    assert np.array_equal(own.read(tmp_path / "own").images[0], IMAGE)


@pytest.fixture
def address(opened) -> Iterator[str]:
    with review.listen(0, opened) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://{server.HOST}:{listening.server_port}/"
        listening.shutdown()


def ask(address: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    request = urllib.request.Request(address + path, body, headers)
    with urllib.request.urlopen(request) as reply:
        return reply.read()


@pytest.mark.parametrize("path", ["items/0", "own/0", "undo"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://example.org"}, {"Host": "example.org"}])
def test_only_the_page_itself_may_decide(address, path, headers):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, path, b"1", **headers)
    assert not Path("out-reviewed.csv").exists()
    assert not Path("own").exists()


@pytest.mark.parametrize("path", ["", "items", "picture/0"])
def test_nothing_is_shown_under_a_name_that_is_not_this_computers(address, path):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(address, path, Host="example.org")


@pytest.mark.parametrize(
    ("path", "body"), [("items/3", b""), ("items/0", b"x"), ("items/0", b"1" * 21), ("own/0", b""), ("undo", b"1")]
)
def test_what_is_no_decision_is_rejected(address, path, body):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(address, path, body, Origin=address.rstrip("/"))
    assert not Path("out-reviewed.csv").exists()


@pytest.mark.parametrize("path", ["picture/3", "picture/-1", "nothing"])
def test_what_there_is_none_of_is_not_found(address, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        ask(address, path)


def test_no_other_page_may_show_a_cell(address):
    with urllib.request.urlopen(address + "picture/0") as reply:
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert reply.headers["Content-Type"] == "image/png"


def test_the_page_contacts_no_external_host():
    page = review.PAGE.read_text(encoding="utf-8")
    assert not any(word in page for word in ("http:", "https:", "url(", "@import"))


def shown(browser: Browser, script: str, expected: object) -> object:
    """The script's value once it is what is expected, or after 20 seconds."""
    for _ in range(200):
        if (value := browser.run(script)) == expected:
            break
        time.sleep(0.1)
    return value


def press(browser: Browser, *keys: str) -> None:
    ActionChains(browser.driver).send_keys(*keys).perform()


COUNT, PLACE = 'document.querySelector("#count").textContent', 'document.querySelector("#place").textContent'


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_a_cell_is_corrected_by_keyboard_alone(browser, address, tmp_path, width):
    browser.open(address, width)
    assert shown(browser, COUNT, "0 of 3 checked") == "0 of 3 checked"
    assert browser.run("document.documentElement.scrollWidth") == width, "the page is wider than the screen"
    press(browser, "2", Keys.BACKSPACE, "1", Keys.ENTER)
    assert shown(browser, PLACE, "page.png, row 1, column 3") == "page.png, row 1, column 3"
    assert lines()[1] == "1,1,1,,false,1,page.png,corrected"
    assert shown(browser, 'document.querySelector("#picture").naturalWidth > 0', True)
    add = 'document.activeElement.id == "add"'
    for _ in range(30):  # Tab reaches the button, and Enter presses it
        if browser.run(add):
            break
        press(browser, Keys.TAB)
    press(browser, Keys.ENTER)
    text = "1 drawing among your own digits."
    assert shown(browser, 'document.querySelector("#what").textContent', text) == text
    assert own.read(tmp_path / "own").labels.tolist() == [1]
    browser.run("document.activeElement.blur()")
    press(browser, Keys.DELETE, Keys.ENTER)
    assert shown(browser, PLACE, "lost.png") == "lost.png"
    press(browser, "5", Keys.ENTER)  # there is no cell to correct
    assert shown(browser, COUNT, "All 3 are checked: out-reviewed.csv") == "All 3 are checked: out-reviewed.csv"
    assert lines()[3:] == ["1,3,,,false,1,page.png,corrected", ",,,,false,,lost.png,accepted"]
    browser.open(address, width)
    assert shown(browser, PLACE, "page.png, row 1, column 1") == "page.png, row 1, column 1", "all are checked"
    assert all("picture/2" in error["message"] for error in browser.errors()), "but for the picture that is gone"


@pytest.mark.slow
def test_a_click_on_a_digit_corrects_and_enter_then_accepts(browser, address):
    browser.open(address, 400)
    assert shown(browser, COUNT, "0 of 3 checked") == "0 of 3 checked"
    button = browser.driver.find_elements("css selector", "#keys button")[4]
    ActionChains(browser.driver).click(button).perform()
    press(browser, Keys.ENTER)
    assert shown(browser, COUNT, "1 of 3 checked") == "1 of 3 checked"
    assert lines()[1] == "1,1,4,,false,1,page.png,corrected"
    press(browser, Keys.ARROW_LEFT)
    assert shown(browser, PLACE, "page.png, row 1, column 1") == "page.png, row 1, column 1"
    assert browser.run('document.querySelector("#value").textContent') == "4"
    browser.errors()


@pytest.mark.slow
def test_the_page_says_so_when_the_server_does_not_answer(browser, opened):
    with review.listen(0, opened) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        browser.open(f"http://{server.HOST}:{listening.server_port}/", 400)
        assert shown(browser, COUNT, "0 of 3 checked") == "0 of 3 checked"
        listening.shutdown()
    press(browser, Keys.ENTER)
    line = "No answer: is `python -m handwriting.review` still running?"
    assert shown(browser, 'document.querySelector("#problem").textContent', line) == line
    assert browser.run(COUNT) == "0 of 3 checked"
    browser.errors()


def test_the_command_says_where_the_page_is_and_what_it_writes(table, monkeypatch, capsys):
    shutil.copy(Path(__file__).parents[2] / "params.yaml", "params.yaml")
    monkeypatch.setattr(sys, "argv", ["review", str(table), "--port", "0"])
    monkeypatch.setattr(server.ThreadingHTTPServer, "serve_forever", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    review.main()
    printed = capsys.readouterr().out
    assert printed.startswith(f"http://{server.HOST}:")
    assert printed.endswith("check 3 cells into out-reviewed.csv; Ctrl-C stops\n\n")
