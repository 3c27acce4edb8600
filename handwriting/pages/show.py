"""What was read, drawn over its picture."""

from stages.digits.report import drawing

# isort: split
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stages.digits.base.dataset import Images, Probabilities

MAX_PREDICTED = 48


def prediction(
    picture: np.ndarray,
    boxes: np.ndarray,
    images: Images,
    probabilities: Probabilities,
    names: Sequence[str],
    sure: float,
) -> Figure:
    """A picture with a box around each of its digits; beside it what the networks saw, and what they took it for.

    `boxes` (n, 4) are left, top, right and bottom in pixels; `names` are those of the predicted classes. What is
    less probable than `sure` is red.
    """
    columns = 8
    count = min(len(images), MAX_PREDICTED)
    rows = -(-count // columns)
    figure = Figure(figsize=(4 + columns, max(2.6, 1.45 * rows)), layout="constrained")
    [left, right] = figure.subfigures(1, 2, squeeze=False, width_ratios=(4, columns)).flat
    page = left.subplots()
    drawing.bare(page)
    page.imshow(picture, cmap="gray", vmin=0, vmax=255)
    grid = list(right.subplots(max(2, rows), columns).flat)
    for axes in grid:
        axes.set_axis_off()
    for axes, box, image, row, name in zip(grid, boxes, images, probabilities, names, strict=False):
        colour = drawing.VALIDATION if row.max() >= sure else drawing.ERROR
        page.add_patch(Rectangle(box[:2], *(box[2:] - box[:2]), fill=False, color=colour, linewidth=1.5))
        drawing.draw_ink(axes, image)
        title = f"{textwrap.fill(name, drawing.TITLE_WIDTH)}\n{100 * row.max():.1f} %"
        axes.set_title(title if row.max() >= sure else f"{title}, unsure", fontsize=8, color=colour)
    return figure


def table(picture: np.ndarray, boxes: np.ndarray, names: Sequence[str], unsure: Sequence[bool]) -> Figure:
    """A picture with the cells (n, 4, 2) of its tables outlined, in each what was read; what is unsure is red."""
    height, width = picture.shape
    cell = float(np.median(np.ptp(boxes[..., 1], axis=1)))  # pixels
    inches = float(np.clip(width / cell * 0.34, drawing.WIDTH, 2 * drawing.WIDTH))
    figure = Figure(figsize=(inches, inches * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    drawing.bare(axes)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    points = cell / width * inches * 72  # of type, a cell's height
    for box, name, is_unsure in zip(boxes, names, unsure, strict=True):
        colour = drawing.ERROR if is_unsure else drawing.VALIDATION
        outline = 0.08 * (box.mean(axis=0) - box) + box
        axes.fill(
            *outline.T, facecolor=(*to_rgb(drawing.ERROR), 0.15) if is_unsure else "none", edgecolor=colour,
            linewidth=max(0.4, points / 40),
        )  # fmt: skip
        left, top = outline[0]
        axes.text(
            left + 0.06 * cell, top + 0.04 * cell, name, color=colour, fontsize=max(4, 0.3 * points), weight="bold",
            va="top",
        )  # fmt: skip
    return figure
