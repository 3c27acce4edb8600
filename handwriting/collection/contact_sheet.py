"""A picture of the digits that were taken from a page, to check."""

from stages.digits.report import drawing

# isort: split
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from handwriting.collection.page import Page
from stages.digits.base.dataset import SIDE, Labels, Probabilities

CELL_INCHES = 0.32
GAP = 4  # pixels between two digits


def save(
    page: Page,
    labels: Labels,
    differ: np.ndarray | None,
    probabilities: Probabilities | None,
    classes: Sequence[str],
    path: Path,
) -> None:
    """Draw the digits where their cells are, each row's label before it.

    Those of the mask `differ` (n,) are framed, with what the models take them for.
    """
    drawing.save(draw(page, labels, differ, probabilities, classes), path)


def draw(
    page: Page, labels: Labels, differ: np.ndarray | None, probabilities: Probabilities | None, classes: Sequence[str]
) -> Figure:
    rows, columns = page.shape
    pitch = SIDE + GAP
    board = np.full((rows * pitch, columns * pitch), 24, dtype=np.uint8)  # cells with nothing taken are pale grey
    for (row, column), image in zip(page.cells.tolist(), page.images, strict=True):
        board[row * pitch : row * pitch + SIDE, column * pitch : column * pitch + SIDE] = image
    width, height = (columns + 2) * CELL_INCHES, (rows + 1.5) * CELL_INCHES
    figure = Figure(figsize=(max(width, 4), height), layout="constrained")
    axes = figure.subplots()
    axes.imshow(board, cmap="gray_r", vmin=0, vmax=255)
    label_of = {row: classes[label] for (row, _), label in zip(page.cells.tolist(), labels.tolist(), strict=True)}
    axes.set_xticks([])
    axes.set_yticks([pitch * row + SIDE / 2 for row in label_of], list(label_of.values()))
    axes.tick_params(left=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    framed = np.flatnonzero(np.zeros(len(labels)) if differ is None else differ)
    for index in framed:
        assert probabilities is not None
        row, column = page.cells[index]
        place = column * pitch - 1, row * pitch - 1
        axes.add_patch(Rectangle(place, SIDE + 1, SIDE + 1, fill=False, color=drawing.ERROR, linewidth=1.2))
        name = classes[probabilities[index].argmax()][:4]
        axes.text(place[0] + 2, place[1] + 2, name, color=drawing.ERROR, size=7, va="top")
    note = f"; framed: {len(framed)} that the models read as others" if len(framed) else ""
    axes.set_title(f"{len(labels)} digits taken{note}", loc="left")
    return figure
