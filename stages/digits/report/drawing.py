"""Figures for people; the numbers behind them are in the CSV files beside them."""

from stages.digits.base import environment, files  # first: Matplotlib reads its variables when it is imported

# isort: split
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from stages.digits.base.dataset import DIGITS, SIDE, Images, Labels

matplotlib.rcdefaults()  # not the settings in a user's matplotlibrc
matplotlib.rcParams.update({"font.size": 10, "axes.titlesize": 11, "figure.titlesize": 11, "legend.fontsize": 9})
matplotlib.rcParams["text.parse_math"] = False  # a class may be named $

__all__ = ["environment"]
DOTS_PER_INCH = 120
WIDTH = 8.3  # inches: on 830 pixels of a README, a point of type is 1.4 pixels high
# of Okabe and Ito's palette: they differ for the colour-blind, and in grey
TRAIN, VALIDATION, ERROR = "#e69f00", "#0072b2", "#d55e00"
ACCURACIES = (0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995, 0.999, 1)  # ticks of an axis that widens towards 1
MAX_MISCLASSIFIED, MISCLASSIFIED_COLUMNS = 48, 8
TITLE_WIDTH = 15  # characters above a misclassified image


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without the name of the software that drew it."""
    with files.atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})


def samples(images: Images, labels: Labels, classes: Sequence[str], each: int = 16) -> Figure:
    """The first images of every class, one row per class."""
    board = np.zeros((DIGITS, each, SIDE, SIDE), dtype=np.uint8)  # drawn as one image: an axes for each takes seconds
    for digit, row in enumerate(board):
        first = images[np.flatnonzero(labels == digit)[:each]]
        row[: len(first)] = first
    room = _room(classes)
    width = WIDTH + room
    figure = Figure(figsize=(width, DIGITS * WIDTH / (each + 0.8)))
    axes = figure.subplots()
    draw_ink(axes, board.swapaxes(1, 2).reshape(DIGITS * SIDE, each * SIDE))
    bare(axes)
    axes.set_yticks(SIDE * (np.arange(DIGITS) + 0.5), classes, fontsize=12)
    axes.tick_params(left=False)
    figure.subplots_adjust(left=(0.42 + room) / width, right=0.995, top=0.99, bottom=0.01)
    return figure


def history(rows: pd.DataFrame) -> Figure:
    """Loss and accuracy over the epochs (the columns of `EpochMetrics`): mean and (pale) range of the members."""
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    epochs = rows["epoch"].max()
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, colour in (("train", TRAIN), ("validation", VALIDATION)):
            label = "train (augmented, with dropout)" if part == "train" else "validation"
            sns.lineplot(
                rows, x="epoch", y=f"{part}_{quantity}", ax=axes, color=colour, label=label,
                linestyle="--" if part == "train" else "-",
                errorbar=("pi", 100), marker="o" if epochs <= 30 else None,
            )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=quantity, title=f"{quantity.capitalize()}: mean and range")
        if quantity == "loss":
            axes.set_yscale("log")
            axes.yaxis.get_minor_locator().set_params(subs=(2, 3, 5))  # ticks with room for their labels
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
        else:
            axes.set_yscale("function", functions=(lambda y: -np.cbrt(1 - y), lambda y: 1 + y**3))
            axes.set_yticks(ACCURACIES, [f"{100 * tick:g} %" for tick in ACCURACIES])
            axes.set_ylim(min(0.99, rows[["train_accuracy", "validation_accuracy"]].min().min()), 1)
        axes.legend(loc="upper right" if quantity == "loss" else "lower right")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        sns.despine(ax=axes)
    return figure


def confusion_matrix(pairs: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Counts of actual (down) against predicted (across) classes, from `actual, predicted, images, fraction`.

    The colour is the fraction of the actual class's images.
    """
    counts, fractions = (
        pairs.pivot(index="actual", columns="predicted", values=name).to_numpy() for name in ("images", "fraction")
    )
    room = _room(classes)
    figure = Figure(figsize=(WIDTH + room, 7 + room), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(  # without the diagonal, which would take the whole range of colours
        100 * fractions, annot=np.where(counts, counts.astype(str), ""), fmt="", mask=np.eye(DIGITS, dtype=bool),
        cmap=sns.light_palette(ERROR, as_cmap=True), vmin=0, vmax=_max_off_diagonal(100 * fractions), ax=axes,
        linewidths=1, square=True, cbar_kws={"label": "% of the actual class", "shrink": 0.8},
        xticklabels=classes, yticklabels=classes,
    )  # fmt: skip
    for digit in range(DIGITS):
        axes.text(
            digit + 0.5, digit + 0.5, f"{counts[digit, digit]}\n{100 * fractions[digit, digit]:.1f} %",
            ha="center", va="center", fontsize=9, color=VALIDATION, weight="bold",
        )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="actual")
    axes.tick_params(axis="y", rotation=0)
    axes.set_title(f"{counts.sum() - np.trace(counts):,} errors in {counts.sum():,} held-out images")
    return figure


class Misclassified(NamedTuple):
    """Misclassified images, in the order in which they are drawn."""

    images: Images
    actual: Labels
    predicted: Labels
    confidence: np.ndarray  # (n,), probabilities of the predictions
    writers: Sequence[str] | None = None  # whose name is drawn below


def misclassified(errors: Misclassified, classes: Sequence[str], own: Misclassified | None = None) -> Figure:
    """The first misclassified images, each with its label, the prediction and its probability; below, one's own."""
    titles, height = _titles(errors, classes)
    if own is None:
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        _draw_misclassified(figure, errors, titles, "")
        return figure
    own_titles, own_height = _titles(own, classes)
    figure = Figure(figsize=(WIDTH, height + own_height), layout="constrained")
    [upper, lower] = figure.subfigures(2, 1, squeeze=False, height_ratios=(height, own_height)).flat
    _draw_misclassified(upper, errors, titles, "")
    _draw_misclassified(lower, own, own_titles, " of your own")
    return figure


def _titles(errors: Misclassified, classes: Sequence[str]) -> tuple[list[str], float]:
    """The titles of the images that are drawn, and the height in inches that these need."""
    titles = [
        textwrap.fill(f"{classes[actual]} read as {classes[predicted]}", TITLE_WIDTH) + f"\n{100 * sure:.0f} % sure"
        for _, actual, predicted, sure in zip(*(part[:MAX_MISCLASSIFIED] for part in errors[:4]), strict=True)
    ]
    if errors.writers and any(errors.writers):
        titles = [f"{title}\n{writer[:TITLE_WIDTH]}" for title, writer in zip(titles, errors.writers, strict=False)]
    extra_lines = max((title.count("\n") for title in titles), default=1) - 1
    rows = max(1, -(-len(titles) // MISCLASSIFIED_COLUMNS))
    return titles, rows * (1.45 + 0.16 * extra_lines) + 0.4


def _draw_misclassified(figure: FigureBase, errors: Misclassified, titles: list[str], whose: str) -> None:
    count, total = len(titles), len(errors.images)
    which = f"All {count}" if count == total else f"The {count} most confident of {total}"
    some = f"{which} misclassified images{whose}, most confident first"
    figure.suptitle(some if count else f"No misclassified images{whose}")
    rows = max(1, -(-count // MISCLASSIFIED_COLUMNS))
    for index, axes in enumerate(figure.subplots(rows, MISCLASSIFIED_COLUMNS, squeeze=False).flat):
        bare(axes)
        if index < count:
            draw_ink(axes, errors.images[index])
            axes.set_title(titles[index], fontsize=9)


def _room(classes: Sequence[str]) -> float:
    """Inches that the names of the classes need beyond those of one character."""
    return 0.12 * (max(map(len, classes)) - 1)


def _max_off_diagonal(values: np.ndarray) -> float:
    return float((values * (1 - np.eye(DIGITS))).max())


def bare(axes: Axes) -> None:
    """Draw no axes."""
    axes.set(xticks=[], yticks=[])
    sns.despine(ax=axes, left=True, bottom=True)


def draw_ink(axes: Axes, image: np.ndarray) -> None:
    """Dark ink on white; `image` has ink 0–255."""
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
