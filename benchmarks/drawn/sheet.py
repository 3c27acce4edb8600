"""A sheet of paper, ruled, printed and written on in millimetres, then scanned or photographed."""

import math
from collections.abc import Iterable

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.drawn import forms
from benchmarks.drawn.forms import Hand
from handwriting.pages.picture import Picture

INKS = {"black": 0.85, "gray": 0.5, "red": 0.55, "blue": 0.4, "green": 0.45, "pale": 0.15}  # the light that each takes
PENS = (0.6, 0.75, 0.85, 0.95)  # pencil, ballpoint, felt-tip
DISTURBANCES = ("none", "holes", "shadow", "finger", "desk")
MARGIN = 15  # mm around what is written: holes and fingers cover no digit
MIN_HEIGHT = 17  # pixels of a digit

Random = np.random.Generator
Intervals = Iterable[tuple[float, float]]


class Sheet:
    """A sheet, `width` by `length`, for digits of a height; all lengths are millimetres."""

    def __init__(self, width: float, length: float, height: float, hands: list[Hand], random: Random):
        self.size, self.height, self.hands, self.random = (width, length), height, hands, random
        self.scale = max(math.exp(random.uniform(math.log(100), math.log(300))) / 25.4, MIN_HEIGHT / height)
        shape = math.ceil(length * self.scale), math.ceil(width * self.scale)
        self.printed, self.written = np.zeros(shape), np.zeros(shape)  # ink, 0 to 1
        self.tone, self.thickness, self.dash, self.gap = INKS["black"], random.uniform(0.2, 0.5), math.inf, 1.0  # rules
        self.pen, self.font = random.choice(PENS), forms.FONTS[random.integers(len(forms.FONTS))]
        self.centres: list[tuple[float, float]] = []  # of the digits
        self.right, self.turn, self.blur = width, random.normal(0, 1.2), 0.0  # where the picture ends; degrees; pixels

    def cover(self, axis: int, intervals: Intervals) -> np.ndarray:
        """How much of each pixel along an axis, 0 for x, lies in one of the intervals."""
        covered = np.zeros(self.printed.shape[1 - axis])
        for low, high in intervals:
            first, last = max(0, math.floor(low * self.scale)), max(0, math.ceil(high * self.scale))
            pixels = np.arange(first, min(last, len(covered)))
            covered[pixels] += forms.coverage(pixels + 0.5, low * self.scale, high * self.scale)
        return covered.clip(0, 1)

    def fill(self, xs: Intervals, ys: Intervals) -> None:
        """Print where an interval of x crosses one of y."""
        across, down = self.cover(0, xs), self.cover(1, ys)
        columns, rows = np.flatnonzero(across), np.flatnonzero(down)
        if len(columns) and len(rows):
            part = np.s_[rows[0] : rows[-1] + 1], np.s_[columns[0] : columns[-1] + 1]
            np.maximum(self.printed[part], self.tone * np.outer(down[part[0]], across[part[1]]), out=self.printed[part])

    def rule(self, axis: int, at: float, low: float, high: float, thickness: float | None = None) -> None:
        """A rule along an axis, full, dashed or dotted."""
        half = (thickness or self.thickness) / 2
        starts = [low] if math.isinf(self.dash) else np.arange(low, high, self.dash + self.gap)
        along, beside = [(start, min(start + self.dash, high)) for start in starts], [(at - half, at + half)]
        self.fill(*((along, beside) if axis == 0 else (beside, along)))

    def rules(self, xs: np.ndarray, ys: np.ndarray, thickness: float | None = None) -> None:
        """All rules of a grid."""
        half = (thickness or self.thickness) / 2
        for axis, places, along in ((0, ys, xs), (1, xs, ys)):
            for at in places:
                self.rule(axis, at, along[0] - half, along[-1] + half, thickness)

    def print(self, text: str, left: float, y: float, size: float) -> None:
        """Words whose middle is y; `size` is an em."""
        font = ImageFont.truetype(self.font, max(7, size * self.scale))
        width, height = font.getbbox(text)[2:]
        image = Image.new("L", (math.ceil(width), math.ceil(height)))
        ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
        forms.place(self.printed, self.tone * np.asarray(image) / 255, self.scale * left + width / 2, self.scale * y)

    def write(
        self, x: float, y: float, count: int = 1, *, is_left: bool = False, hand: Hand | None = None
    ) -> tuple[str, float]:
        """A number of `count` digits whose middle, or left, is x: the number, and where it ends."""
        number, inks = "", []
        for _ in range(count):
            pixels = round(self.height * self.scale * self.random.uniform(0.9, 1.1))
            digit, ink = (hand or self.hands[self.random.integers(len(self.hands))])(pixels, self.random)
            number, inks = number + digit, [*inks, (1 if hand else self.pen) * forms.crop(ink)]
        gaps = [0, *self.random.uniform(0.12, 0.3, count - 1) * self.height]
        widths = [ink.shape[1] / self.scale for ink in inks]
        x -= 0 if is_left else (sum(widths) + sum(gaps)) / 2
        for ink, width, gap in zip(inks, widths, gaps, strict=True):
            self.centres.append((x + gap + width / 2, y + self.random.normal(0, 0.03) * self.height))
            forms.place(self.written, ink, *np.multiply(self.scale, self.centres[-1]))
            x += gap + width
        return number, x

    def write_lines(self, ys: Iterable[float], left: float, right: float) -> dict:
        """Lines of numbers, or of digits at equal distances, from left to right."""
        random, is_digits, pitch = self.random, self.random.random() < 0.3, self.height * self.random.uniform(1.1, 2)
        lines: list[list[str]] = []
        for y in ys:
            x, line = left + self.height * random.uniform(0.1, 0.5), []
            while x + 1.2 * self.height * (count := 1 if is_digits else int(random.integers(1, 5))) < right:
                number, end = self.write(x, y, count, is_left=True)
                line.append(number)
                x = x + pitch if is_digits else end + self.height * random.uniform(1.1, 2.2)
            lines += [line] if line else []
        return {"lines": ["".join(line) for line in lines]} if is_digits else {"numbers": lines}

    def photograph(self, disturbance: str) -> tuple[Picture, np.ndarray]:
        """The sheet as a scanner or a phone sees it, and the digits' centres (n, 2) in the picture."""
        random = self.random
        is_photo = disturbance in ("shadow", "finger", "desk") or random.random() < 0.3
        if disturbance == "holes":
            self._punch()
        sides = self.scale * np.array([self.right, self.size[1]])
        border = sides * random.uniform(0.03, 0.1) * (disturbance == "desk")
        width, height = np.ceil(sides + 2 * border).astype(int).tolist()
        angle = math.radians(self.turn)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        corners = sides * np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        target = corners * (1 + is_photo * random.uniform(-0.03, 0.03, (4, 2))) @ turn.T + sides / 2 + border
        matrix = cv2.getPerspectiveTransform(np.float32(corners + sides / 2), np.float32(target))
        points = np.insert(self.scale * np.array(self.centres).reshape(-1, 2), 2, 1, axis=1) @ matrix.T
        centres = points[:, :2] / points[:, 2:]
        light = (1 - self.printed) * (1 - self.written)
        picture = 1 - forms.warp(1 - light, matrix, (width, height))
        if disturbance == "desk":
            on_paper = forms.warp(np.ones(light.shape), matrix, (width, height))
            grain = cv2.GaussianBlur(random.normal(0, 1, on_paper.shape), (0, 0), *random.choice([1, 30], 2).tolist())
            desk = random.uniform(0.15, 0.6) * (1 + 0.1 * grain / grain.std())
            picture = on_paper * picture + (1 - on_paper) * desk
        if disturbance == "shadow":
            edge = self._ramp(width, height) / random.uniform(0.005, 0.05)
            picture *= 1 - random.uniform(0.25, 0.5) / (1 + np.exp(-edge))
        if disturbance == "finger":
            picture = self._cover_by_finger(picture, centres)
        if is_photo:
            picture *= 1 + random.uniform(0, 0.4) * self._ramp(width, height)
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.4, 1.2) + self.blur)
        picture = picture * random.uniform(*((120, 220) if is_photo else (235, 252)))
        picture += random.normal(0, random.uniform(1, 5), picture.shape)
        return forms.develop(picture, int(random.integers(45, 95))), centres

    def _ramp(self, width: int, height: int) -> np.ndarray:
        """From about -0.5 to 0.5, in any direction."""
        side = self.random.uniform(0, 2 * math.pi)
        x, y = np.meshgrid(np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height))
        return math.cos(side) * x + math.sin(side) * y

    def _punch(self) -> None:
        """Two holes, 80 mm apart, or one in a small sheet."""
        middle = self.size[1] / 2
        for y in (middle - 40, middle + 40) if middle > 50 else (middle,):
            centre = round(8 * self.scale), round(y * self.scale)
            cv2.circle(self.printed, centre, round(3 * self.scale), self.random.uniform(0.2, 0.9), -1)

    def _cover_by_finger(self, picture: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """A fingertip at the edge that is farthest from the digits."""
        height, width = picture.shape
        edges = np.array([(x, y) for at in np.linspace(0.1, 0.9, 20) for x, y in ((0, at), (1, at), (at, 1))])
        free = np.hypot(*(edges[:, None] * (width, height) - centres).transpose(2, 0, 1)).min(
            axis=1, initial=math.hypot(width, height)
        )
        tip = edges[free.argmax()]
        radius = min(9 * self.scale, free.max() - self.height * self.scale)
        outwards = np.where(np.isin(tip, (0, 1)), 2 * tip - 1, 0)
        ends = [np.round(tip * (width, height) + along * outwards).astype(int).tolist() for along in (0, 3 * radius)]
        finger = cv2.line(np.zeros(picture.shape), *ends, 1, max(1, round(2 * radius)))
        finger = cv2.GaussianBlur(finger, (0, 0), 2)
        return picture * (1 - finger) + self.random.uniform(0.35, 0.7) * finger
