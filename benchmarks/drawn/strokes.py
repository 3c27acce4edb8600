"""Digits drawn with strokes, in hands that differ, and photographs of them."""

import math

import numpy as np
from PIL import Image, ImageDraw

from handwriting.pages.picture import Picture

OVERSAMPLING = 4  # strokes are drawn that much larger, then averaged

Stroke = list[tuple[float, float]]  # points (x, y); a digit is about 0.7 wide and 1 high, y pointing down


def arc(x: float, y: float, radius_x: float, radius_y: float, start: float, end: float) -> Stroke:
    """Part of an ellipse; angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return [(x + radius_x * math.cos(angle), y + radius_y * math.sin(angle)) for angle in angles]


STROKES: list[list[Stroke]] = [  # of each digit
    [arc(0.35, 0.5, 0.3, 0.5, -90, 270)],
    [[(0.2, 0.2), (0.4, 0), (0.4, 1)]],
    [[*arc(0.35, 0.3, 0.3, 0.3, -170, 30), (0.05, 1), (0.68, 1)]],
    [[*arc(0.3, 0.26, 0.3, 0.26, -150, 90), *arc(0.3, 0.76, 0.34, 0.24, -90, 150)]],
    [[(0.4, 0), (0.03, 0.65), (0.7, 0.65)], [(0.52, 0.3), (0.52, 1)]],
    [[(0.62, 0), (0.14, 0), (0.1, 0.45), *arc(0.32, 0.68, 0.32, 0.32, -130, 140)]],
    [[(0.55, 0), (0.2, 0.3), *arc(0.35, 0.7, 0.3, 0.3, -170, 190)]],
    [[(0.03, 0), (0.66, 0), (0.25, 1)]],
    [arc(0.35, 0.25, 0.25, 0.25, 90, 450), arc(0.35, 0.75, 0.31, 0.25, -90, 270)],
    [[*arc(0.34, 0.3, 0.28, 0.3, 0, 360), (0.62, 0.3), (0.5, 1)]],
]


SHAPES: list[tuple[str, list[Stroke]]] = [  # digits as other schools teach them, and other marks
    ("4", [[(0.3, 0), (0.06, 0.52), (0.42, 0.46)], [(0.62, 0), (0.34, 1)]]),
    ("4", [[(0.15, 0), (0.08, 0.5), (0.4, 0.46)], [(0.55, 0.04), (0.48, 1)]]),
    ("5", [[(0.2, 0.1), (0.17, 0.45), *arc(0.32, 0.7, 0.3, 0.3, -120, 140)], [(0.28, 0), (0.66, -0.01)]]),
    ("1", [[(0.1, 0.36), (0.36, 0), (0.26, 1)]]),
    ("1", [[(0.16, 0.28), (0.36, 0), (0.33, 1)], [(0.12, 1), (0.55, 1)]]),
    ("7", [[(0.05, 0.02), (0.6, 0), (0.25, 1)], [(0.2, 0.5), (0.6, 0.48)]]),
    ("7", [[(0.03, 0.12), (0.12, 0.02), (0.35, 0.09), (0.62, 0), (0.3, 1)], [(0.22, 0.5), (0.6, 0.48)]]),
    ("6", [[(0.5, 0), (0.2, 0.4), *arc(0.34, 0.74, 0.26, 0.26, -180, 180)]]),
    ("6", [[(0.48, 0.1), (0.34, 0), *arc(0.36, 0.7, 0.28, 0.3, -170, 230)]]),
]


def draw(digit: int, height: int, thickness: float, random: np.random.Generator) -> np.ndarray:
    """The ink (height + margin, width + margin), 0 to 1, of a digit in a hand of its own."""
    return draw_strokes(STROKES[digit], height, thickness, random)


def draw_strokes(
    strokes: list[Stroke],
    height: int,
    thickness: float,
    random: np.random.Generator,
    shape: tuple[float, float, float] | None = None,
) -> np.ndarray:
    """The same of any strokes; `shape` is turn, slant and stretch, random ones by default."""
    turn, slant, stretch = shape or (
        random.uniform(-0.12, 0.12),
        random.uniform(-0.15, 0.3),
        random.uniform(0.8, 1.15),
    )
    margin = thickness + 0.25
    side = round((1 + 2 * margin) * height) * OVERSAMPLING
    picture = Image.new("L", (side, side))
    pen = ImageDraw.Draw(picture)
    scale, width = height * OVERSAMPLING, max(1, round(thickness * height * OVERSAMPLING))
    for stroke in strokes:
        points = np.array(stroke) - 0.35 + random.normal(0, 0.008, (len(stroke), 2))
        x = stretch * points[:, 0] - slant * (points[:, 1] - 0.15)
        y = points[:, 1] + turn * x
        line = [(scale * (left + 0.5 + margin), scale * (top + 0.35 + margin)) for left, top in zip(x, y, strict=True)]
        pen.line(line, fill=255, width=width, joint="curve")
        for left, top in line:
            pen.ellipse([left - width / 2, top - width / 2, left + width / 2, top + width / 2], fill=255)
    return np.asarray(picture.reduce(OVERSAMPLING), dtype=np.float64) / 255


def photograph(ink: np.ndarray, *, dark_on_light: bool, random: np.random.Generator) -> Picture:
    """The ink on paper, lit from one side, with noise; or light on a dark board."""
    height, width = ink.shape
    side = random.uniform(0, 2 * math.pi)
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
    light = 1 + 0.5 * (math.cos(side) * across + math.sin(side) * down)
    paper, pen = (200, 70) if dark_on_light else (60, 190)
    brightness = (paper + (pen - paper) * ink) * light + random.normal(0, 6, ink.shape)
    return brightness.clip(0, 255).round().astype(np.uint8)
