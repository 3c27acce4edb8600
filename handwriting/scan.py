"""A picture of handwritten digits -> the digits, each as MNIST's would look: found, cut out, scaled and centred.

MNIST's form: light ink on black, the longest side of the ink 20 pixels, its centre of mass on pixel 14, its peak 255.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from handwriting.picture import Picture
from stages.digits.dataset import SIDE, Images
from stages.digits.errors import InputError

BOX = 20  # pixels: the longest side of a digit's ink
CENTRE = 14.0  # the pixel of its centre of mass; with 13.5, most of MNIST would move
FAINT = 64 / 255  # of the peak: fainter ink is blur or noise
OVERVIEW_SIDE = 32  # pixels of the small copy that shows the paper
BLACK = 10  # of 255: a darker board says nothing about the light
NOISE_LEVELS = 4  # standard deviations of the paper that ink must exceed
MIN_CONTRAST = 0.08  # of the paper's brightness: what differs less is no ink
MIN_HEIGHT = 6  # pixels of a digit
SMALLEST = 0.3  # of the tallest digit's height: smaller marks are dots, dashes and specks
MAX_PARTS = 1000  # connected parts of the ink

Ink = npt.NDArray[np.float32]  # (height, width), 0 for paper to 1; below 0, for noise
Labels = npt.NDArray[np.int32]  # (height, width), the number of a connected part, 0 outside
Boxes = npt.NDArray[np.int64]  # (n, 4): left, top, right and bottom, the last two exclusive


class Scan(NamedTuple):
    """The digits of a picture, line by line, each from left to right."""

    boxes: Boxes  # in pixels of the picture
    images: Images  # in MNIST's form


def find_digits(picture: Picture) -> Scan:
    """The digits of a picture, dark on light or light on dark; InputError if there is none."""
    for image in (picture, 255 - picture):
        if is_mnist_form(image):
            rows, columns = np.nonzero(image)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            return Scan(np.array([box]), image[None])
    ink = measure_ink(picture)
    labels, n_parts = ndimage.label(_mask(ink), structure=np.ones((3, 3)))
    if n_parts > MAX_PARTS:
        raise InputError(f"found {n_parts:,} marks, expected a few digits on plain paper")
    marks = _join(_find_marks(labels))
    tallest = max((mark.height for mark in marks), default=0)
    digits = _in_reading_order([mark for mark in marks if mark.height >= max(MIN_HEIGHT, SMALLEST * tallest)])
    if not digits:
        raise InputError("no digit found; expected dark digits on light paper, or light ones on dark")
    images = np.stack([normalise(_cut(ink, labels, mark)) for mark in digits])
    return Scan(np.array([mark[1:] for mark in digits]), images)


def is_mnist_form(picture: Picture) -> bool:
    """Whether the picture needs no normalising: all of MNIST is in this form."""
    if picture.shape != (SIDE, SIDE) or picture.max() < 254:
        return False
    rows, columns = np.nonzero(picture)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    centre = np.array(ndimage.center_of_mass(picture))
    return bool(BOX - 1 <= longest <= BOX and (np.abs(centre - CENTRE) <= 0.51).all())


def normalise(ink: Ink) -> npt.NDArray[np.uint8]:
    """The ink of one digit -> an image (28, 28) in MNIST's form."""
    ink = np.where(ink < FAINT * ink.max(), 0, ink) / ink.max()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(BOX * side / max(ink.shape))) for side in ink.shape)
    small = Image.fromarray((255 * ink).round().astype(np.uint8)).resize((width, height), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, dtype=np.float64)
    pixels *= 255 / pixels.max()
    top, left = (
        int(np.clip(round(CENTRE - centre), 0, SIDE - side))
        for centre, side in zip(ndimage.center_of_mass(pixels), pixels.shape, strict=True)
    )
    image = np.zeros((SIDE, SIDE), dtype=np.uint8)
    image[top : top + height, left : left + width] = pixels.round()
    return image


def measure_ink(picture: Picture) -> Ink:
    """How much darker each pixel is than the paper there, or lighter than the board: uneven light is divided out."""
    overview = Image.fromarray(picture)
    overview.thumbnail((OVERVIEW_SIDE, OVERVIEW_SIDE), Image.Resampling.BOX)
    small = np.asarray(overview, dtype=np.float32)
    window = min(small.shape)
    difference = small - ndimage.median_filter(small, size=max(3, 3 * window // 4))
    light_ink = (difference**3).sum() > 0  # the few pixels that differ most are lighter
    brightness = np.float32(picture)
    if light_ink:
        brightness, small = 255 - brightness, 255 - small
    paper = ndimage.percentile_filter(small, 85, size=max(3, 2 * window // 5))
    paper = ndimage.gaussian_filter(paper, window / 10)
    height, width = picture.shape
    paper = np.asarray(Image.fromarray(paper).resize((width, height), Image.Resampling.BILINEAR))
    ink = 1 - brightness / np.maximum(paper, 1)
    board = 255 - paper
    if light_ink and board.min() >= BLACK:  # where little light falls, chalk is as much darker as the board
        ink *= board.mean() / board
    return ink


def _mask(ink: Ink) -> npt.NDArray[np.bool_]:
    """Where there is ink: above Otsu's threshold and above the paper's noise."""
    smooth = ndimage.gaussian_filter(ink, max(ink.shape) / 800)
    middle = np.median(smooth)
    noise = 1.4826 * np.median(np.abs(smooth - middle))  # the standard deviation, of a normal distribution
    return smooth > max(_otsu(smooth), middle + NOISE_LEVELS * noise, MIN_CONTRAST)


def _otsu(ink: Ink) -> float:
    """The threshold that leaves the least variance on both sides of it."""
    counts, edges = np.histogram(ink.clip(0, 1), bins=256, range=(0, 1))
    below = np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * edges[1:])
    above = ink.size - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = (sums[-1] - sums[:-1]) / above - sums[:-1] / below
    return float(edges[1:-1][np.argmax(np.nan_to_num(below * above * gap**2))])


class _Mark(NamedTuple):
    """One or several connected parts of the mask, and their box."""

    parts: tuple[int, ...]  # their numbers
    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


def _find_marks(labels: Labels) -> list[_Mark]:
    """Each connected part as a mark of its own, but for those along the picture's edge: table, shadow, frame."""
    marks = [
        _Mark((number,), across.start, down.start, across.stop, down.stop)
        for number, (down, across) in enumerate(ndimage.find_objects(labels), start=1)
    ]
    along = [
        max(np.count_nonzero(edge == mark.parts[0]) / len(edge) for edge in (labels[0], labels[-1], *labels.T[[0, -1]]))
        for mark in marks
    ]
    inside = [mark for mark, fraction in zip(marks, along, strict=True) if fraction <= 0.5]
    return inside or marks


def _join(marks: list[_Mark]) -> list[_Mark]:
    """The strokes of one digit as one mark: they lie above each other, with little between them."""
    joined: list[_Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.height):
        while other := next((other for other in joined if _belong_together(mark, other)), None):
            joined.remove(other)
            mark = _Mark(
                mark.parts + other.parts,
                min(mark.left, other.left),
                min(mark.top, other.top),
                max(mark.right, other.right),
                max(mark.bottom, other.bottom),
            )
        joined.append(mark)
    return joined


def _belong_together(a: _Mark, b: _Mark) -> bool:
    shared = min(a.right, b.right) - max(a.left, b.left)
    gap = max(a.top, b.top) - min(a.bottom, b.bottom)
    small, tall = sorted((a.height, b.height))
    needed = 0.7 if small > 0.6 * tall else 0.3  # two slanted digits may overlap a little
    return shared >= needed * min(a.width, b.width) and gap <= 0.3 * tall


def _in_reading_order(marks: list[_Mark]) -> list[_Mark]:
    """Line by line, from left to right; a line may rise or fall."""
    lines: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.left):
        for line in lines:
            shared = min(mark.bottom, line[-1].bottom) - max(mark.top, line[-1].top)
            if shared >= 0.4 * min(mark.height, line[-1].height):
                line.append(mark)
                break
        else:
            lines.append([mark])
    return [mark for line in sorted(lines, key=lambda line: np.mean([mark.top for mark in line])) for mark in line]


def _cut(ink: Ink, labels: Labels, mark: _Mark) -> Ink:
    """The ink of a mark and of its blurred edge, without that of its neighbours."""
    margin = 1 + mark.height // 20
    box = slice(max(0, mark.top - margin), mark.bottom + margin), slice(max(0, mark.left - margin), mark.right + margin)
    own = np.isin(labels[box], mark.parts)
    near = ndimage.binary_dilation(own, iterations=margin) & ((labels[box] == 0) | own)
    return np.where(near, ink[box], 0)
