"""Ruled forms and newspaper grids, drawn, filled, scanned or photographed; with what stands in each cell.

python -m benchmarks.drawn.forms FILE

Draws a filled form, tilted as on a scanner, into a PNG file: docs/form.png shows how it is read.
"""

import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.drawn import strokes
from handwriting.pages.picture import Picture
from stages.digits.base.dataset import Labelled

FONTS = [
    Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral", "STIXGeneralBol")
]

Ink = np.ndarray  # (height, width), 0 for paper to 1
Hand = Callable[[int, np.random.Generator], tuple[str, Ink]]  # a height in pixels -> a digit and its ink


class Form(NamedTuple):
    """A picture of one table, what stands in its cells, and where their centres are."""

    picture: Picture
    texts: list[list[str]]  # row by row
    centres: np.ndarray  # (rows, columns, 2): x and y


def drawn(height: int, random: np.random.Generator) -> tuple[str, Ink]:
    """A digit of strokes, of one school or another."""
    thickness = random.uniform(0.05, 0.11)
    if random.random() < 0.4:
        text, shape = strokes.SHAPES[random.integers(len(strokes.SHAPES))]
        return text, strokes.draw_strokes(shape, height, thickness, random)
    digit = int(random.integers(10))
    return str(digit), strokes.draw(digit, height, thickness, random)


def printed(height: int, random: np.random.Generator, *, is_bold: bool = False) -> tuple[str, Ink]:
    """A digit of a font, 1 to 9."""
    text, fonts = str(random.integers(1, 10)), FONTS[is_bold :: 1 + is_bold]
    font = ImageFont.truetype(fonts[random.integers(len(fonts))], round(1.35 * height))
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (math.ceil(right - left) + 4, math.ceil(bottom - top) + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, font=font, fill=255)
    return text, np.asarray(image) / 255


def from_images(labelled: Labelled) -> Hand:
    """A hand that writes the digits of labelled images."""

    def hand(height: int, random: np.random.Generator) -> tuple[str, Ink]:
        row = int(random.integers(len(labelled.images)))
        side = round(28 / 20 * height)
        large = cv2.resize(labelled.images[row], (side, side), interpolation=cv2.INTER_CUBIC)
        sharp = np.clip((large / 255 - 0.25) / 0.5, 0, 1)  # a pen's edge, not that of 20 pixels
        return str(labelled.labels[row]), sharp

    return hand


def draw(
    rows: int,
    columns: int,
    hands: list[Hand],
    random: np.random.Generator,
    *,
    cell: int = 60,
    line: float = 2,
    block: float = 0,
    ruling: float = 0.8,
    aspect: float = 1.2,
    blank: float = 0.1,
    wander: float = 0.12,
    margin: float = 1.0,
    most: int = 1,
) -> tuple[Ink, list[list[str]], np.ndarray]:
    """The ink of a filled table, its texts, and the crossings of its lines (rows + 1, columns + 1, 2).

    `line` and `block` are the thickness in pixels of the ruling and of every third line, `ruling` its darkness;
    `wander` how far, as a fraction of a cell, a digit may be off its cell's middle; `most` the digits of a number.
    """  # fmt: skip
    width, gap = round(cell * aspect), round(margin * cell)
    xs, ys = gap + width * np.arange(columns + 1), gap + cell * np.arange(rows + 1)
    ink = np.zeros((ys[-1] + gap, xs[-1] + gap))
    texts = []
    for top in ys[:-1]:
        texts.append([])
        for left in xs[:-1]:
            text = ""
            if random.random() >= blank:
                count = int(random.integers(1, most + 1))
                height = round(cell * random.uniform(0.45, 0.7))
                hand = hands[random.integers(len(hands))]
                x, pen = left + width / 2 - (count - 1) * 0.45 * height, random.uniform(0.6, 0.95)
                for _ in range(count):
                    digit, one = hand(height, random)
                    one = crop(one)
                    off = random.uniform(-wander, wander, 2) * cell / count
                    place(ink, pen * one, x + off[0], top + cell / 2 + off[1])
                    x, text = x + 0.9 * height, text + digit
            texts[-1].append(text)
    corners = np.stack(np.meshgrid(xs, ys), axis=-1).astype(float)
    return np.maximum(ink, ruling * _ruling(ink.shape, xs, ys, line, block)), texts, corners


def crop(ink: Ink) -> Ink:
    """Without the paper around it."""
    rows, columns = np.nonzero(ink.max(axis=1) > 0.1)[0], np.nonzero(ink.max(axis=0) > 0.1)[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def place(page: Ink, ink: Ink, x: float, y: float) -> None:
    """The middle of the ink at x, y, in place."""
    top, left = max(0, round(y - ink.shape[0] / 2)), max(0, round(x - ink.shape[1] / 2))
    part = page[top : top + ink.shape[0], left : left + ink.shape[1]]
    np.maximum(part, ink[: part.shape[0], : part.shape[1]], out=part)


def _ruling(shape: tuple[int, int], xs: np.ndarray, ys: np.ndarray, line: float, block: float) -> Ink:
    """Lines at fractions of a pixel: drawn eight times as thick, then averaged."""
    page = np.zeros(shape)
    for lines, (low, high), across in ((ys, (xs[0], xs[-1]), True), (xs, (ys[0], ys[-1]), False)):
        for number, position in enumerate(lines):
            half = (block if block and number % 3 == 0 else line) / 2
            pixels = np.arange(shape[0 if across else 1])
            covered = coverage(pixels, position - half, position + half)
            along = slice(int(low), int(high) + 1)
            part = page[:, along] if across else page[along].T
            np.maximum(part, covered[:, None], out=part)
    return page


def coverage(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """How much of each pixel, of these centres, lies between two places."""
    return np.clip(np.minimum(pixels + 0.5, high) - np.maximum(pixels - 0.5, low), 0, 1)


def scan(
    rows: int,
    columns: int,
    hands: list[Hand],
    random: np.random.Generator,
    *,
    tilt: tuple[float, float] = (-3, 3),
    **options,
) -> Form:
    """A table as a scanner sees it, tilted by `tilt` degrees, from and to."""
    ink, texts, corners = draw(rows, columns, hands, random, **options)
    height, width = ink.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(*tilt), 1)
    matrix = np.vstack([matrix, [0, 0, 1]])
    picture = 245 * (1 - 0.85 * warp(ink, matrix, (width, height)))
    picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.4, 0.9)) + random.normal(0, 3, ink.shape)
    return _form(picture, texts, corners, matrix, quality=80)


def photo(
    hands: list[Hand],
    random: np.random.Generator,
    *,
    size: tuple[int, int] = (640, 480),
    blur: float = 1.6,
    rows: int = 9,
    columns: int = 9,
    keystone: float = 0.06,
    **options,
) -> Form:
    """A newspaper's grid as a phone sees it: keystone, text around, uneven light, blur, noise, JPEG."""  # fmt: skip
    options = {
        "aspect": 1.0, "line": random.uniform(0.8, 2.5), "block": random.uniform(2.5, 6), "margin": 1.5, "wander": 0.1,
        "ruling": random.uniform(0.5, 0.9), "blank": random.uniform(0, 0.2),
    } | options  # fmt: skip
    ink, texts, corners = draw(rows, columns, hands, random, **options)
    _write_around(ink, corners, random)
    width, height = size
    across = max(np.ptp(corners[..., 0]), np.ptp(corners[..., 1]) * width / height)
    fill = width / across * random.uniform(0.6, 0.95)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    half = np.array([np.ptp(corners[..., 0]), np.ptp(corners[..., 1])]) / 2
    middle = corners.reshape(-1, 2).mean(axis=0)
    angle = math.radians(random.uniform(-6, 6))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = square * half * fill * (1 + random.uniform(-keystone, keystone, (4, 2))) @ turn.T
    moved += np.array(size) / 2 + random.uniform(-0.03, 0.03, 2) * size
    matrix = cv2.getPerspectiveTransform((square * half + middle).astype(np.float32), moved.astype(np.float32))
    ink = warp(ink, matrix, size)
    side = random.uniform(0, 2 * math.pi)
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
    light = 1 + random.uniform(0, 0.7) * (math.cos(side) * x + math.sin(side) * y)
    picture = random.uniform(90, 210) * light * (1 - random.uniform(0.5, 0.85) * ink)
    picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, blur)) + random.normal(
        0, random.uniform(1, 5), ink.shape
    )
    return _form(picture, texts, corners, matrix, quality=int(random.integers(40, 90)))


def _write_around(ink: Ink, corners: np.ndarray, random: np.random.Generator) -> None:
    """A newspaper's text left and right of the grid and below it, in place."""
    page = Image.fromarray(np.zeros(ink.shape, np.uint8))
    pen = ImageDraw.Draw(page)
    size = int(random.integers(10, 24))
    font = ImageFont.truetype(FONTS[2], size)
    for y in range(0, ink.shape[0], round(1.3 * size)):
        letters = "".join(chr(97 + random.integers(26)) if random.random() < 0.83 else " " for _ in range(200))
        pen.text((-5, y), letters, font=font, fill=200)
    words = np.asarray(page) / 255
    (left, top), (right, bottom) = corners[0, 0].astype(int) - 12, corners[-1, -1].astype(int) + 12
    words[top:bottom, left:right] = 0
    words[: top if random.random() < 0.7 else 0] = 0
    np.maximum(ink, words, out=ink)


def warp(ink: Ink, matrix: np.ndarray, size: tuple[int, int]) -> Ink:
    """The ink under a perspective; twice too large, then averaged."""
    larger = np.diag([2.0, 2.0, 1.0]) @ matrix
    large = cv2.warpPerspective(ink, larger, (2 * size[0], 2 * size[1]), flags=cv2.INTER_LINEAR)
    return cv2.resize(large, size, interpolation=cv2.INTER_AREA)


def _form(
    brightness: np.ndarray, texts: list[list[str]], corners: np.ndarray, matrix: np.ndarray, quality: int
) -> Form:
    mapped = cv2.perspectiveTransform(corners.reshape(1, -1, 2), matrix).reshape(corners.shape)
    centres = (mapped[:-1, :-1] + mapped[1:, :-1] + mapped[:-1, 1:] + mapped[1:, 1:]) / 4
    return Form(develop(brightness, quality), texts, centres)


def develop(brightness: np.ndarray, quality: int) -> Picture:
    """What a JPEG file of that quality keeps."""
    file = io.BytesIO()
    Image.fromarray(brightness.clip(0, 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def main() -> None:
    random = np.random.default_rng(3)
    form = scan(6, 9, [drawn], random, tilt=(1.5, 2.5), cell=80, line=3, margin=0.6)
    Image.fromarray(form.picture).save(sys.argv[1])


if __name__ == "__main__":
    main()
