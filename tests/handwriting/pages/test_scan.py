"""From a picture to MNIST's form: every digit is found and looks as its clean ink would."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks.drawn import strokes
from handwriting.pages import scan
from stages.digits.base.errors import InputError


def ink(digit: int, height: int = 100, thickness: float = 0.1, seed: int = 0) -> np.ndarray:
    return strokes.draw(digit, height, thickness, np.random.default_rng(seed))


def on_page(*placed: tuple[np.ndarray, int, int], size: tuple[int, int], paper: int = 220, pen: int = 40) -> np.ndarray:
    """A picture of a size, with ink at each place (top, left)."""
    page = np.zeros(size)
    for one, top, left in placed:
        part = page[top : top + one.shape[0], left : left + one.shape[1]]
        np.maximum(part, one, out=part)
    return (paper + (pen - paper) * page).round().astype(np.uint8)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """How much of the ink is in different places, after a blur of a pixel, as a fraction of all ink."""
    a, b = (ndimage.gaussian_filter(image.astype(float), 1) for image in (a, b))
    return float(np.abs(a - b).sum() / (a + b).sum())


def only(picture: np.ndarray) -> np.ndarray:
    [image] = scan.find_digits(picture).images
    return image


def assert_mnist_form(image: np.ndarray) -> None:
    rows, columns = np.nonzero(image)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    assert np.abs(np.array(ndimage.center_of_mass(image)) - 14).max() <= 0.5001


@pytest.mark.parametrize("digit", range(10))
def test_a_digit_comes_in_the_form_of_mnist(digit):
    assert_mnist_form(scan.normalise(ink(digit)))
    assert_mnist_form(only(on_page((ink(digit), 20, 50), size=(250, 300))))


@pytest.mark.parametrize("thickness", [0.05, 0.09, 0.15])
@pytest.mark.parametrize("height", [35, 60, 120, 300])
@pytest.mark.parametrize("dark_on_light", [True, False])
def test_uneven_light_noise_size_and_polarity_change_little(height, thickness, dark_on_light):
    random = np.random.default_rng(height)
    for digit in (1, 4, 5, 8):
        clean = strokes.draw(digit, height, thickness, random)
        photo = strokes.photograph(clean, dark_on_light=dark_on_light, random=random)
        assert difference(only(photo), scan.normalise(clean)) < 0.25


@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 140), (60, 0), (200, 260)])
def test_the_place_on_the_page_changes_little(top, left):
    clean = ink(3)
    assert difference(only(on_page((clean, top, left), size=(400, 450))), scan.normalise(clean)) < 0.1


def test_the_size_of_the_page_changes_little():
    clean = ink(6, height=60)
    assert difference(only(on_page((clean, 700, 500), size=(1200, 900))), scan.normalise(clean)) < 0.2


def test_a_picture_and_its_negative_give_one_image():
    page = on_page((ink(9), 20, 30), size=(220, 220))
    assert difference(only(page), only(255 - page)) < 0.05


def test_a_picture_in_the_form_of_mnist_stays_as_it_is():
    image = scan.normalise(ink(2))
    assert np.array_equal(only(image), image)
    assert np.array_equal(only(255 - image), image)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.roll(image, 3, axis=1),
        lambda image: image // 2,
        lambda image: np.pad(np.asarray(Image.fromarray(image).resize((20, 20))), 4),
        lambda image: image + (image < 50) * np.uint8(40),
    ],
    ids=["moved", "pale", "smaller", "on gray"],
)
def test_a_picture_of_mnists_size_in_another_form_is_normalised(change):
    image = scan.normalise(ink(2))
    changed = change(image)
    assert not scan.is_mnist_form(changed)
    assert_mnist_form(only(changed))
    assert difference(only(changed), image) < 0.2


def test_several_digits_are_found_from_left_to_right_in_lines():
    """The line rises; each digit stays in its box."""
    digits = [7, 1, 5, 0, 4]
    placed = [(ink(digit, 60, 0.1), 150 - 12 * index, 30 + 90 * index) for index, digit in enumerate(digits)]
    second = [(ink(digit, 60, 0.1), 320, 60 + 100 * index) for index, digit in enumerate([2, 8])]
    found = scan.find_digits(on_page(*reversed(placed), *second, size=(500, 600)))
    assert len(found.images) == 7
    for image, (clean, *_) in zip(found.images, [*placed, *second], strict=True):
        assert difference(image, scan.normalise(clean)) < 0.25
    for (left, top, right, bottom), (clean, above, before) in zip(found.boxes, [*placed, *second], strict=True):
        assert above <= top < bottom <= above + clean.shape[0]
        assert before <= left < right <= before + clean.shape[1]


def test_the_strokes_of_one_digit_stay_together():
    """A crease in the paper cuts a 5 in two."""
    cut = ink(5)
    cut[64:70] = 0
    images = scan.find_digits(on_page((cut, 20, 30), (ink(3), 20, 230), size=(220, 420))).images
    assert len(images) == 2
    assert difference(images[0], scan.normalise(cut)) < 0.1


def test_dots_dashes_and_specks_are_no_digits():
    page = on_page((ink(4), 40, 30), (ink(2), 40, 200), size=(260, 420))
    page[128:134, 182:198] = 40  # a dash
    page[160:166, 350:356] = 40  # a full stop
    page[np.random.default_rng(0).integers(0, 260, 30), np.random.default_rng(1).integers(0, 420, 30)] = 40
    assert len(scan.find_digits(page).images) == 2


def test_a_table_beside_the_paper_is_no_digit():
    page = on_page((ink(4), 40, 60), (ink(2), 40, 220), size=(300, 420))
    page[:, :25] = 60
    page[-20:] = 60
    assert len(scan.find_digits(page).images) == 2


def blank(value: int, noise: float) -> np.ndarray:
    random = np.random.default_rng(0)
    return (value + random.normal(0, noise, (200, 300))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        blank(255, 0),
        blank(0, 0),
        blank(128, 0),
        blank(200, 6),
        blank(60, 12),
        blank(200, 6) * np.linspace(0.5, 1, 300),
        np.zeros((28, 28)),
        np.full((1, 1), 255),
        np.zeros((1, 900)),
        np.pad(np.zeros((3, 3)), 20, constant_values=255),
    ],
    ids=["white", "black", "gray", "paper", "board", "shaded paper", "blank image", "pixel", "line", "speck"],
)
def test_a_picture_without_a_digit_is_rejected(picture):
    with pytest.raises(InputError, match=r"^no digit found; expected dark digits on light paper"):
        scan.find_digits(picture.astype(np.uint8))


def test_noise_is_no_page_of_digits():
    with pytest.raises(InputError):
        scan.find_digits(np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8))


def test_a_picture_full_of_marks_is_rejected():
    image = Image.new("L", (800, 800), 255)
    pen = ImageDraw.Draw(image)
    for top in range(0, 800, 20):
        for left in range(0, 800, 20):
            right, down = np.random.default_rng(left * top).integers(0, 8, 2)
            x, y = left + right, top + down
            pen.rectangle([x, y, x + 5, y + 11], fill=0)
    with pytest.raises(InputError, match=r"^found 1,\d+ marks, expected a few digits on plain paper"):
        scan.find_digits(np.asarray(image))


def test_lines_of_writing_close_together_stay_apart():
    placed = [
        (ink(digit, 60, 0.1), 70 * row, 90 * column) for row in range(5) for column, digit in enumerate([3, 5, 8])
    ]
    found = scan.find_digits(on_page(*placed, size=(450, 330)))
    assert len(found.images) == 15
    assert found.lines.tolist() == [line for line in range(5) for _ in range(3)]


@pytest.mark.parametrize("slope", [-0.15, 0.15])
def test_lines_of_writing_may_rise_and_fall(slope):
    placed = [
        (ink(digit, 40, 0.1), round(160 + 75 * row + slope * 80 * column), 80 * column)
        for row in range(4)
        for column, digit in enumerate([2, 1, 7, 3, 0, 8, 4, 5, 9, 6])
    ]
    found = scan.find_digits(on_page(*placed, size=(640, 880)))
    singles = found.spans[:, 1] - found.spans[:, 0] == 1
    assert found.lines[singles].tolist() == [line for line in range(4) for _ in range(10)]


DIGITS = [3, 5, 8, 2, 0, 9, 6]


def ruled(pale: int, down: bool) -> np.ndarray:
    """Three lines of digits on lined or squared paper; each digit lies over a rule."""
    inks = [ink(digit, 60, 0.1) for digit in DIGITS]
    placed = [(one, 30 + 110 * row, 30 + 90 * column) for row in range(3) for column, one in enumerate(inks)]
    page = on_page(*placed, size=(400, 700))
    for position in range(25, 700, 55):
        page[position : position + 2] = np.minimum(page[position : position + 2], pale)
        if down:
            page[:, position : position + 2] = np.minimum(page[:, position : position + 2], pale)
    return page


@pytest.mark.parametrize(("pale", "down"), [(60, False), (190, False), (150, True), (190, True)])
def test_digits_stay_whole_on_lined_and_squared_paper(pale, down):
    found = scan.find_digits(ruled(pale, down))
    singles = found.spans[:, 1] - found.spans[:, 0] == 1
    assert found.lines[singles].tolist() == [line for line in range(3) for _ in DIGITS]
    for image, digit in zip(found.images[singles], 3 * DIGITS, strict=True):
        assert difference(image, scan.normalise(ink(digit, 60, 0.1))) < 0.25


@pytest.mark.parametrize("dash", [4, 12, 30])
def test_a_dashed_rule_is_no_digit(dash):
    page = on_page((ink(4, 60, 0.1), 40, 60), (ink(2, 60, 0.1), 40, 220), size=(200, 420))
    for left in range(20, 400, round(1.6 * dash)):
        page[150:153, left : left + dash] = 40
    assert len(scan.find_digits(page).images) == 2
