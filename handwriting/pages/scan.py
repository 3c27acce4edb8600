"""A picture of handwritten digits -> what may be digits, each as MNIST's would look: found, cut out, scaled, centred.

MNIST's form: light ink on black, the longest side of the ink 20 pixels, its centre of mass on pixel 14, its peak 255.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from handwriting.pages import marks, perspective, segment, sheet
from handwriting.pages.ink import Ink
from handwriting.pages.marks import Labels, Mark
from handwriting.pages.picture import Picture
from handwriting.pages.segment import Boxes, Candidates
from handwriting.pages.sheet import Sheet
from stages.digits.base.dataset import SIDE
from stages.digits.base.errors import InputError

BOX = 20  # pixels: the longest side of a digit's ink
CENTRE = 14.0  # the pixel of its centre of mass; with 13.5, most of MNIST would move
FAINT = 64 / 255  # of the peak: fainter ink is blur or noise
MIN_HEIGHT = 6  # pixels of a digit
CELL_FAINT = 0.3  # of a cell's darkest ink
CELL_HEIGHT = 0.15  # of a cell with its margin: what isn't as high is no digit
DASH = 0.2  # of the tallest mark in a cell, its height or width: smaller marks are dirt
MAX_PARTS = 1000  # connected parts of the ink


def find_digits(picture: Picture) -> Candidates:
    """What may be digits in a picture, dark on light or light on dark; InputError if there is nothing."""
    return find_one(picture) or find_on(sheet.straighten(picture))


def find_on(page: Sheet) -> Candidates:
    """What may be digits on a page without tables; InputError if there is nothing."""
    if (count := sum(mark.height >= MIN_HEIGHT for mark in page.marks)) > MAX_PARTS:
        raise InputError(f"found {count:,} marks, expected a few digits on plain paper")
    height = marks.typical_height(page.marks)
    if height < MIN_HEIGHT:
        raise InputError("no digit found; expected dark digits on light paper, or light ones on dark")
    lines = marks.in_lines(
        [one for one in page.marks if one.height >= max(MIN_HEIGHT, segment.SMALLEST * height)], height
    )
    candidates = find_candidates(page.written, page.labels, lines)
    return candidates._replace(boxes=_in_picture(candidates.boxes, page))


def find_one(picture: Picture) -> Candidates | None:
    """The digit of a picture that is in MNIST's form, dark on light or light on dark; None if it isn't."""
    for image in (picture, 255 - picture):
        if is_mnist_form(image):
            rows, columns = np.nonzero(image)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            return Candidates(np.array([box]), image[None], np.array([0]), np.array([[0, 1]]), np.array([0.0]))
    return None


def _in_picture(boxes: Boxes, page: Sheet) -> Boxes:
    """The boxes of the straight page as they are in its picture."""
    corners = perspective.transform(page.back, boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).round().astype(np.int64)


def find_in_cell(ink: Ink, number: int) -> Candidates | None:
    """What may be digits in a table's cell, whose paper is 0; None if there are only dots and dashes.

    `number` is that of the line.
    """
    labels, found = marks.label(ink > CELL_FAINT * ink.max())
    joined = marks.join(found)
    tallest = max((mark.height for mark in joined), default=0)
    if tallest < max(MIN_HEIGHT, CELL_HEIGHT * len(ink)):
        return None
    line = [mark for mark in joined if max(mark.height, mark.width) >= DASH * tallest]
    candidates = find_candidates(ink, labels, [sorted(line, key=lambda mark: mark.left)])
    return candidates._replace(lines=candidates.lines + number)


def find_candidates(ink: Ink, labels: Labels, lines: list[list[Mark]]) -> Candidates:
    """All that may be a digit among the marks of lines."""
    boxes, images, numbers, spans, costs = [], [], [], [], []
    for number, line in enumerate(lines):
        for span in segment.find_spans(np.array([mark[1:] for mark in line])):
            boxes.append(span.box)
            images.append(normalise(marks.cut(ink, labels, marks.union(line[span.first : span.end]))))
            numbers.append(number)
            spans.append((span.first, span.end))
            costs.append(span.cost)
    return Candidates(np.array(boxes), np.stack(images), np.array(numbers), np.array(spans), np.array(costs))


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
