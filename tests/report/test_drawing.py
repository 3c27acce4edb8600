"""The figures: what they show, and that they are the same bytes each time."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from stages.digits.report import drawing, metrics

HISTORY = pd.DataFrame(
    {
        "member": [0, 0, 1, 1],
        "epoch": [1, 2, 1, 2],
        "train_loss": [1.0, 0.5, 2.0, 0.7],
        "validation_loss": [0.8, 0.4, 0.6, 0.2],
        "train_accuracy": [0.5, 0.8, 0.7, 0.9],
        "validation_accuracy": [0.6, 0.9, 0.8, 0.9],
    }
)
DIGITS = "0123456789"
FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
COUNTS = np.diag(np.arange(90, 100))
COUNTS[4, 9], COUNTS[7, 1] = 6, 3


def pairs(counts: np.ndarray) -> pd.DataFrame:
    """Each pair of digits as often as `counts` says, as `evaluate` tabulates them."""
    actual, predicted = np.repeat(np.indices(counts.shape).reshape(2, -1), counts.ravel(), axis=1)
    return metrics.confusion_matrix(predicted, actual)


SAMPLES = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)


def confusion_matrix(classes: Sequence[str] = DIGITS) -> Figure:
    return drawing.confusion_matrix(pairs(COUNTS), classes)


def history() -> Figure:
    return drawing.history(HISTORY)


def samples(classes: Sequence[str] = DIGITS) -> Figure:
    return drawing.samples(SAMPLES, np.tile(np.arange(10), 3), classes, each=2)


def errors(count: int) -> drawing.Misclassified:
    images = np.zeros((count, 28, 28), dtype=np.uint8)
    images[:, 5, 5] = np.arange(count) + 1
    actual = np.arange(count)
    return drawing.Misclassified(images, actual % 10, (actual + 1) % 10, np.linspace(0.99, 0.4, count))


def misclassified(count: int = 3, classes: Sequence[str] = DIGITS) -> Figure:
    return drawing.misclassified(errors(count), classes)


@pytest.fixture(scope="module")
def confused() -> Figure:
    return confusion_matrix()


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def images_in(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for axes in figure.axes for image in axes.images]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.slow
@pytest.mark.parametrize("draw", [confusion_matrix, history, samples, misclassified])
def test_a_figure_is_a_png_with_the_same_bytes_each_time(draw, tmp_path):
    drawing.save(draw(), tmp_path / "first.png")
    drawing.save(draw(), tmp_path / "second.png")
    content = (tmp_path / "first.png").read_bytes()
    assert content == (tmp_path / "second.png").read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "PNG"
        assert picture.getextrema()[0] == (0, 255)  # something dark on white
        assert "Software" not in picture.info


def test_samples_show_the_first_images_of_each_digit_in_its_row():
    figure = samples()
    [board] = images_in(figure)
    for digit in range(10):
        row = board[28 * digit : 28 * (digit + 1)]
        assert np.array_equal(row, np.hstack([SAMPLES[digit], SAMPLES[digit + 10]]))
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].get_yticklabels()}
    assert heights == {str(digit): 28 * digit + 14 for digit in range(10)}


def test_samples_leave_room_where_a_digit_has_few_images():
    figure = drawing.samples(np.full((3, 28, 28), 9, dtype=np.uint8), np.array([1, 1, 8]), DIGITS, each=4)
    [board] = images_in(figure)
    inked = board.reshape(10, 28, 4, 28).min(axis=(1, 3)) == 9
    assert inked.sum(axis=1).tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 1, 0]
    assert inked[1].tolist() == [True, True, False, False]


def test_ink_is_dark_on_the_same_scale_in_every_image():
    [image] = misclassified(1).axes[0].images
    assert image.get_clim() == (0, 255)
    assert image.cmap(0)[:3] == (1, 1, 1)


def test_confusion_shows_the_counts_and_leaves_zeros_out(confused):
    labels = texts(confused)
    assert sorted(text for text in labels if text and "\n" not in text) == ["3", "6"]
    assert labels.count("") == 90 - 2
    assert [text.split("\n")[0] for text in labels if "\n" in text] == [str(count) for count in range(90, 100)]


def test_confusion_shows_actual_down_and_predicted_across(confused):
    axes = confused.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert places["6"] == (9.5, 4.5)
    assert places["94\n94.0 %"] == (4.5, 4.5)


def test_confusion_colours_the_fraction_of_the_actual_digit(confused):
    fractions = confused.axes[0].collections[0].get_array().reshape(10, 10)
    assert fractions[4, 9] == pytest.approx(6.0)
    assert fractions[7, 1] == pytest.approx(3.0)
    assert fractions.mask.diagonal().all()


def test_the_confusion_matrix_states_the_errors(confused):
    assert titles(confused) == [f"9 errors in {COUNTS.sum()} held-out images"]


def test_confusion_of_a_flawless_run_can_be_drawn(tmp_path):
    figure = drawing.confusion_matrix(pairs(np.diag([5] * 10)), DIGITS)
    drawing.save(figure, tmp_path / "confusion_matrix.png")
    assert titles(figure) == ["0 errors in 50 held-out images"]


def test_misclassified_images_are_titled_with_actual_predicted_and_confidence():
    assert titles(misclassified(3)) == ["0 read as 1\n99 % sure", "1 read as 2\n70 % sure", "2 read as 3\n40 % sure"]


def test_misclassified_images_come_in_the_given_order():
    assert [image[5, 5] for image in images_in(misclassified(3))] == [1, 2, 3]


@pytest.mark.parametrize(
    ("count", "drawn", "headline"),
    [
        (0, 0, "No misclassified images"),
        (1, 1, "All 1 misclassified images, most confident first"),
        (9, 9, "All 9 misclassified images, most confident first"),
        (10, 9, "The 9 most confident of 10 misclassified images, most confident first"),
    ],
)
def test_misclassified_images_fill_at_most_a_page(count, drawn, headline, monkeypatch):
    monkeypatch.setattr(drawing, "MAX_MISCLASSIFIED", 9)
    figure = misclassified(count)
    assert len(images_in(figure)) == len(titles(figure)) == drawn
    assert figure.get_suptitle() == headline


def test_misclassified_images_of_ones_own_stand_below_the_others_under_a_title_of_their_own():
    figure = drawing.misclassified(errors(2), DIGITS, errors(1))
    assert [part.get_suptitle() for part in figure.subfigs] == [
        "All 2 misclassified images, most confident first",
        "All 1 misclassified images of your own, most confident first",
    ]
    assert [len(images_in(part)) for part in figure.subfigs] == [2, 1]


def test_a_figure_without_misclassified_images_can_be_drawn(tmp_path):
    drawing.save(misclassified(0), tmp_path / "misclassified.png")
    assert (tmp_path / "misclassified.png").stat().st_size > 0


def test_samples_and_confusion_show_the_names_of_the_classes_in_the_order_of_their_labels():
    assert [text.get_text() for text in samples(FASHION).axes[0].get_yticklabels()] == FASHION
    axes = confusion_matrix(FASHION).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == FASHION
    assert [text.get_text() for text in axes.get_yticklabels()] == FASHION
    assert {text.get_text(): text.get_position() for text in axes.texts}["6"] == (9.5, 4.5)


def test_misclassified_images_are_titled_with_the_names_of_the_classes():
    title, *_ = titles(misclassified(1, FASHION))
    assert " ".join(title.split()) == "T-shirt/top read as Trouser 99 % sure"


@pytest.mark.parametrize("draw", [samples, confusion_matrix, lambda classes: misclassified(10, classes)])
@pytest.mark.parametrize(
    "names", [[f"Handwritten letter {letter}" for letter in "abcdefghij"], ["$", "$x^$", *r"\_^{}%&#"]]
)
def test_any_names_are_drawn_as_they_are_and_inside_the_figure(draw, names):
    figure = draw(names)
    figure.set_dpi(drawing.DOTS_PER_INCH)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for text in (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.title):
        box, page = text.get_window_extent(), figure.bbox
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1


def test_history_shows_the_mean_and_the_range_of_the_members():
    loss, accuracy = history().axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    train, validation = loss.lines[:2]
    assert train.get_ydata() == pytest.approx([1.5, 0.6])
    assert validation.get_ydata() == pytest.approx([0.7, 0.3])
    assert accuracy.lines[1].get_ydata() == pytest.approx([0.7, 0.9])
    low, high = loss.collections[0].get_paths()[0].get_extents().intervaly
    assert (low, high) == pytest.approx((0.5, 2.0))


def test_history_names_both_parts():
    legend = history().axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["train (augmented, with dropout)", "validation"]
