"""A page's rules are found and erased, and what is written stays."""

import cv2
import numpy as np
import pytest

from benchmarks.drawn import strokes
from handwriting.pages import ink, rules, sheet


def write(page: np.ndarray, digit: int, top: int, left: int, size: int = 30) -> None:
    """Write a digit on a page of ink, 0 to 1."""
    stroke = strokes.draw(digit, size, 0.1, np.random.default_rng(0))
    part = page[top : top + stroke.shape[0], left : left + stroke.shape[1]]
    np.maximum(part, stroke[: part.shape[0], : part.shape[1]], out=part)


def as_ink(picture: np.ndarray) -> np.ndarray:
    return (picture / 255).astype(np.float32)


@pytest.mark.parametrize("gap", [4, 7, 9])
def test_a_dashed_rule_is_one_rule(gap):
    picture = np.zeros((300, 700), np.uint8)
    for left in range(40, 640, 20 + gap - 7):
        cv2.line(picture, (left, 150), (left + 12, 150), 150, 2)
    across, down = rules.find_all(as_ink(picture))
    assert (len(across), len(down)) == (1, 0)
    assert len(across[0].middles) > 570
    assert not rules.erase(as_ink(picture), (across, down))[0].any()


def test_digits_exactly_below_each_other_are_no_rule():
    page = np.zeros((900, 300))
    for number in range(30):
        write(page, 8 if number % 2 else 3, 20 + 28 * number, 140, 24)
    page = cv2.GaussianBlur(page, (0, 0), 2.5)
    assert rules.find_all(page.astype(np.float32)) == ([], [])


def test_a_few_ones_below_each_other_are_no_rule():
    picture = np.zeros((300, 400), np.uint8)
    for top in (20, 62):
        cv2.line(picture, (200, top), (200, top + 32), 230, 2)
    assert rules.find_all(as_ink(picture)) == ([], [])


def test_rules_that_a_stroke_links_are_told_apart():
    picture = np.zeros((300, 700), np.uint8)
    for level in (140, 160):
        cv2.line(picture, (40, level), (660, level), 150, 2)
    cv2.line(picture, (150, 140), (450, 160), 150, 2)
    across, _ = rules.find_all(as_ink(picture))
    assert [round(rule.middles.mean()) for rule in across] == pytest.approx([140, 160], abs=1)


def test_a_blurred_bold_rule_is_a_rule():
    picture = np.zeros((300, 700), np.uint8)
    for level in (80, 150, 220):
        cv2.line(picture, (40, level), (660, level), 255, 5)
    across, _ = rules.find_all(cv2.GaussianBlur(as_ink(picture), (0, 0), 3))
    assert len(across) == 3


def test_a_digit_that_a_rule_cuts_in_two_is_kept():
    page = np.zeros((400, 700))
    for left in range(60, 460, 60):
        write(page, 3, 90, left)
    cv2.ellipse(page, (300, 250), (10, 17), 0, 0, 360, 0.9, 3)
    page[248:252] = 0
    for level in (60, 250, 360):
        cv2.line(page, (20, level), (680, level), 0.6, 2)
    marks = sheet.straighten((235 - 190 * page).astype(np.uint8)).marks
    [cut] = [mark for mark in marks if 200 < mark.top < 340]
    assert cut.height > 30


def test_squared_paper_in_uneven_light_is_no_desk():
    picture = np.full((600, 500), 25, np.uint8)
    paper = np.tile(np.linspace(100, 190, 440), (540, 1))
    paper[::14] *= 0.6
    paper[1::14] *= 0.6
    paper[:, ::14] *= 0.6
    picture[30:570, 30:470] = paper
    measured = ink.measure(picture)
    assert (measured[30:570, 60:130].max(axis=1) > 0.2).mean() > 0.9
    assert np.abs(measured[5:20]).max() < 0.1


def test_paper_on_a_desk_with_a_light_corner_is_no_desk():
    picture = np.full((450, 600), 80, np.uint8)
    picture[:40, :40] = 150
    picture[40:410, 40:560] = 190
    cv2.line(picture, (200, 150), (260, 150), 40, 4)
    assert ink.measure(picture)[150, 230] > 0.5
