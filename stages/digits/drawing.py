"""Pictures for eyes; the numbers behind them are in the CSV files beside them."""

from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.digits.dataset import DIGITS, SIDE

DOTS_PER_INCH = 120
FITTED, VALIDATION = "#3b6ea8", "#d1495b"
MOST_MISTAKES = 48


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that depends on the figure alone, not on the version that drew it."""
    figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})


def samples(images: np.ndarray, labels: np.ndarray, each: int = 16) -> Figure:
    """The first images (n, 28, 28) uint8 of every digit, a row a digit."""
    board = np.zeros((DIGITS, each, SIDE, SIDE), dtype=np.uint8)  # one picture: an axes an image takes seconds
    for digit, row in enumerate(board):
        first = images[np.flatnonzero(labels == digit)[:each]]
        row[: len(first)] = first
    figure = Figure(figsize=(each * 0.5 + 0.4, DIGITS * 0.5 + 0.1))
    axes = figure.subplots()
    _draw_ink(axes, board.swapaxes(1, 2).reshape(DIGITS * SIDE, each * SIDE))
    _bare(axes)
    axes.set_yticks(SIDE * (np.arange(DIGITS) + 0.5), range(DIGITS), fontsize=13)
    axes.tick_params(left=False)
    figure.subplots_adjust(left=0.05, right=0.995, top=0.99, bottom=0.01)
    return figure


def history(rows: pd.DataFrame) -> Figure:
    """Loss and accuracy over the epochs (the columns of `member.Epoch`): mean and, pale, range of the members."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    epochs = rows["epoch"].max()
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, colour in (("train", FITTED), ("validation", VALIDATION)):
            label = "train, as augmented" if part == "train" else "validation"
            sns.lineplot(
                rows, x="epoch", y=f"{part}_{quantity}", ax=axes, color=colour, label=label,
                errorbar=("pi", 100), marker="o" if epochs <= 30 else None,
            )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=quantity, title=quantity.capitalize())
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        sns.despine(ax=axes)
    return figure


def confusion(counts: np.ndarray) -> Figure:
    """Counts (10, 10) of actual (down) against predicted (across); the colour is the share of the actual digit."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mistaken = shares * (1 - np.eye(DIGITS))  # else the diagonal takes all of the colour
    figure = Figure(figsize=(7.6, 6.6), layout="constrained")
    axes = figure.subplots()
    sns.heatmap(
        100 * mistaken, annot=np.where(counts, counts.astype(str), ""), fmt="", mask=np.eye(DIGITS, dtype=bool),
        cmap=sns.light_palette(VALIDATION, as_cmap=True), vmin=0, ax=axes,
        linewidths=1, square=True, cbar_kws={"label": "% of the actual digit", "shrink": 0.8},
    )  # fmt: skip
    for digit in range(DIGITS):
        axes.text(
            digit + 0.5, digit + 0.5, f"{counts[digit, digit]}\n{100 * shares[digit, digit]:.1f} %",
            ha="center", va="center", fontsize=8, color="#2a7f4f", weight="bold",
        )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="actual")
    axes.tick_params(axis="y", rotation=0)
    errors = int(counts.sum() - np.trace(counts))
    axes.set_title(f"{errors} of {counts.sum()} held-out images mistaken")
    return figure


def mistakes(images: np.ndarray, actual: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> Figure:
    """The first of the mistaken images (n, 28, 28) uint8, each with its label, the guess and how sure it was."""
    across = 12
    shown = min(len(images), MOST_MISTAKES)
    down = max(1, -(-shown // across))
    figure = Figure(figsize=(across, down * 1.35 + 0.4), layout="constrained")
    which = f"all {shown}" if shown == len(images) else f"the {shown} surest of {len(images)}"
    figure.suptitle(f"{which} mistakes, the surest first" if shown else "no mistakes", fontsize=12)
    for position, axes in enumerate(figure.subplots(down, across, squeeze=False).flat):
        _bare(axes)
        if position < shown:
            _draw_ink(axes, images[position])
            axes.set_title(
                f"{actual[position]} read as {predicted[position]}\n{100 * confidence[position]:.0f} % sure",
                fontsize=8,
            )
    return figure


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    sns.despine(ax=axes, left=True, bottom=True)


def _draw_ink(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
