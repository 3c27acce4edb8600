"""Ruled tables and rows of boxes: their cells are found, and what is written in them, without the ruling."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from benchmarks.drawn import forms, odd_pages, papers, strokes
from handwriting.pages import ruling, scan, table
from handwriting.pages.ink import measure


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def assert_found(form: forms.Form, found: table.Table) -> None:
    """Every cell is where it is, and blank where nothing was written."""
    rows, columns = len(form.texts), len(form.texts[0])
    assert (found.rows, found.columns, len(found.cells)) == (rows, columns, rows * columns)
    assert [(cell.row, cell.column) for cell in found.cells] == list(np.ndindex(rows, columns))
    size = np.hypot(*(form.centres[0, 1] - form.centres[0, 0]))
    for cell in found.cells:
        off = np.hypot(*(cell.box.mean(axis=0) - form.centres[cell.row, cell.column]))
        assert off < 0.1 * size
        assert cell.is_blank == (form.texts[cell.row][cell.column] == "")


@pytest.mark.parametrize("line", [1, 3, 7])
@pytest.mark.parametrize("tilt", [-3.5, 0, 3.5])
def test_a_tilted_table_is_found_whatever_its_lines(line, tilt):
    form = forms.scan(4, 6, [forms.drawn], random(), tilt=(tilt, tilt), line=line)
    [found] = table.find_tables(form.picture)
    assert_found(form, found)


@pytest.mark.parametrize("seed", [6, 8, 10, 112, 116, 118, 120, 126])
def test_a_photo_of_a_newspapers_grid_is_found_beside_its_text(seed):
    form = forms.photo([forms.printed, forms.drawn], random(seed))
    [found] = table.find_tables(form.picture)
    assert_found(form, found)


def test_a_line_that_was_missed_at_the_edge_of_a_bent_grid_is_found():
    form = forms.photo([forms.drawn, forms.printed], random(120))
    [found] = table.find_tables(form.picture)
    assert_found(form, found)


def test_a_table_on_a_blackboard_is_found():
    form = forms.scan(4, 5, [forms.drawn], random())
    [found] = table.find_tables(255 - form.picture)
    assert_found(form, found)


def test_a_table_of_numbers_keeps_all_digits_of_a_cell():
    form = forms.scan(4, 3, [forms.drawn], random(1), aspect=2.6, most=3, wander=0.05)
    [found] = table.find_tables(form.picture)
    assert_found(form, found)
    for cell in found.cells:
        if form.texts[cell.row][cell.column]:
            inked = np.flatnonzero(cell.ink.any(axis=0))
            n_digits = len(form.texts[cell.row][cell.column])
            assert np.ptp(inked) > 0.5 * (n_digits - 0.6) * 0.5 * len(cell.ink)


def test_bold_rules_of_a_blurred_photo_leave_no_rest_in_cells_with_faint_digits():
    ink = np.zeros((540, 540))
    digit = strokes.draw(5, 26, 0.12, random())
    for row, column in np.ndindex(9, 9):
        if row != column:
            top, left = 48 + 55 * row - len(digit) // 2, 48 + 55 * column - len(digit) // 2
            ink[top : top + digit.shape[0], left : left + digit.shape[1]] = 0.4 * digit
    for line in range(10):
        cv2.line(ink, (20, 20 + 55 * line), (515, 20 + 55 * line), 0.9, 5 if line % 3 == 0 else 2)
        cv2.line(ink, (20 + 55 * line, 20), (20 + 55 * line, 515), 0.9, 5 if line % 3 == 0 else 2)
    [found] = table.find_tables((230 * (1 - cv2.GaussianBlur(ink, (0, 0), 2.5))).astype(np.uint8))
    assert [cell.is_blank for cell in found.cells] == [row == column for row, column in np.ndindex(9, 9)]
    expected = scan.normalise(cv2.GaussianBlur(np.pad(digit, 9), (0, 0), 2.5))
    for cell in found.cells:
        assert cell.is_blank or difference(scan.normalise(cell.ink), expected) < 0.2


def test_lines_that_go_on_beyond_what_may_be_a_letter_make_no_table_of_it():
    picture = np.full((200, 400), 235, np.uint8)
    cv2.rectangle(picture, (50, 50), (76, 76), 40, 2)
    for level in (50, 76):
        cv2.line(picture, (76, level), (160, level), 40, 2)
    [lattice] = ruling.find_lattices(measure(picture))
    assert lattice.closed.shape == (1, 1)


def test_strokes_between_two_rules_of_lined_paper_are_no_table():
    picture = np.full((500, 700), 235, np.uint8)
    for level in range(60, 480, 40):
        cv2.line(picture, (20, level), (680, level), 150, 2)
        for left in range(450, 650, 50):
            cv2.circle(picture, (left, level - 18), 10, 40, 3)
    for left in (200, 240, 280):
        cv2.line(picture, (left, 220), (left, 260), 150, 2)
    cv2.circle(picture, (220, 240), 10, 40, 3)
    assert ruling.find_lattices(measure(picture))
    assert table.find_tables(picture) == []


def test_tables_side_by_side_are_found_from_left_to_right_though_the_right_one_is_higher():
    first = forms.scan(3, 4, [forms.drawn], random(1), tilt=(0, 0)).picture
    second = forms.scan(4, 3, [forms.drawn], random(2), tilt=(0, 0)).picture
    page = np.full((max(len(first) + 20, len(second)), first.shape[1] + second.shape[1]), 235, np.uint8)
    page[20 : 20 + len(first), : first.shape[1]] = first
    page[: len(second), first.shape[1] :] = second
    assert [(found.rows, found.columns) for found in table.find_tables(page)] == [(3, 4), (4, 3)]


@pytest.mark.parametrize("gap", [12, 20, 30])
def test_tables_whose_rows_are_in_line_stay_apart_where_gaps_between_dashes_would_be_filled(gap):
    one = digits_on(grid(), *MIDDLES)[40:380, 50:452]
    page = np.full((900, 1600), 235, np.uint8)
    for left in (100, 502 + gap):
        page[200:540, left : left + 402] = one
    assert [(found.rows, found.columns) for found in table.find_tables(page)] == [(4, 5), (4, 5)]


@pytest.mark.parametrize("gap", [8, 12, 15, 18, 21])
def test_boxes_close_to_each_other_have_lines_of_their_own(gap):
    picture = np.full((140, 40 + 6 * (66 + gap)), 235, np.uint8)
    for left in range(30, 30 + 6 * (66 + gap), 66 + gap):
        cv2.rectangle(picture, (left, 30), (left + 66, 96), 60, 3)
    lattices = ruling.find_lattices(measure(cv2.GaussianBlur(picture, (0, 0), 1.5)))
    assert [lattice.closed.shape for lattice in lattices] == [(1, 1)] * 6


@pytest.mark.parametrize(
    ("kind", "seed", "shape"),
    [
        ("table, dashed", 337, (9, 8)),  # a few of its dashes are long enough for tables of their own
        ("table, dashed", 431, (6, 3)),  # strokes of digits would be lines if their gaps were filled, too
        ("table, dotted", 333, (6, 5)),  # most of its lines aren't rules
        ("boxes", 310, (1, 10)),
        ("boxes", 315, (4, 8)),
        ("boxes", 323, (1, 8)),  # two digits side by side are strokes as high as their boxes
        ("boxes", 345, (2, 9)),
        ("boxes", 382, (1, 7)),  # one region's margin reaches the next one's lines
        ("boxes", 348, (4, 8)),  # of two rows, digits hide the lines
    ],
)
def test_all_cells_of_a_page_are_found(kind, seed, shape):
    first, *_ = table.find_tables(papers.draw(kind, [forms.drawn], seed).picture)
    assert (first.rows, first.columns) == shape


def test_a_dashed_table_two_of_whose_lines_are_not_seen_is_none():
    assert table.find_tables(papers.draw("table, dashed", [forms.drawn], 428).picture) == []


@pytest.mark.parametrize("seed", [103, 109])
def test_print_is_no_table(seed):
    assert table.find_tables(odd_pages.draw("page of print", [forms.drawn], seed)[0]) == []


def boxes(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of separate boxes with a 3 in each but the last, and the clean digit."""
    ink = strokes.draw(3, 50, 0.1, random())
    page = np.full((40 + 110 * rows, 40 + 100 * columns), 235, np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = 40 + 110 * row, 40 + 100 * column
        cv2.rectangle(page, (left, top), (left + 84, top + 92), 30, 3)
        if (row, column) != (rows - 1, columns - 1):
            part = page[top + 12 : top + 12 + ink.shape[0], left + 6 : left + 6 + ink.shape[1]]
            part[:] = np.minimum(part, 235 - 200 * ink[: part.shape[0], : part.shape[1]])
    return page, ink


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """How much of the ink is in different places, after a blur of a pixel, as a fraction of all ink."""
    a, b = (ndimage.gaussian_filter(image.astype(float), 1) for image in (a, b))
    return float(np.abs(a - b).sum() / (a + b).sum())


def test_rows_of_boxes_are_a_table_and_no_box_is_ink():
    picture, ink = boxes(3, 5)
    [found] = table.find_tables(picture)
    assert (found.rows, found.columns, len(found.cells)) == (3, 5, 15)
    assert [cell.is_blank for cell in found.cells] == [False] * 14 + [True]
    for cell in found.cells[:-1]:
        assert difference(scan.normalise(cell.ink), scan.normalise(ink)) < 0.15


def ruled(digit: np.ndarray, top: int, left: int) -> np.ndarray:
    """A table of 3 × 3 cells of 80 pixels, with a digit's ink at a place."""
    page = np.zeros((280, 280))
    page[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    picture = (235 - 190 * page).astype(np.uint8)
    for position in (20, 100, 180, 260):
        cv2.line(picture, (20, position), (260, position), 50, 2)
        cv2.line(picture, (position, 20), (position, 260), 50, 2)
    return picture


@pytest.mark.parametrize(("top", "left"), [(88, 120), (110, 88), (130, 120)], ids=["above", "left", "below"])
def test_a_digit_that_crosses_the_ruling_stays_whole(top, left):
    ink = strokes.draw(4, 60, 0.1, random())
    rows, columns = np.nonzero(ink.max(axis=1))[0], np.nonzero(ink.max(axis=0))[0]
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    [found] = table.find_tables(ruled(ink, top, left))
    filled = [cell for cell in found.cells if not cell.is_blank]
    assert [(cell.row, cell.column) for cell in filled] == [(1, 1)]
    assert difference(scan.normalise(filled[0].ink), scan.normalise(ink)) < 0.2


def test_two_tables_are_found_from_top_to_bottom():
    first = forms.scan(3, 4, [forms.drawn], random(1), tilt=(0, 0))
    second = forms.scan(2, 5, [forms.drawn], random(2), tilt=(0, 0))
    width = max(first.picture.shape[1], second.picture.shape[1])
    parts = [
        np.pad(one.picture, ((0, 0), (0, width - one.picture.shape[1])), constant_values=245) for one in (first, second)
    ]
    found = table.find_tables(np.vstack(parts))
    assert [(one.rows, one.columns) for one in found] == [(3, 4), (2, 5)]


@pytest.mark.parametrize("digits", [[0, 0, 8, 0], [4, 1, 7, 1]])
def test_digits_on_plain_paper_are_no_table(digits):
    ink = np.hstack([strokes.draw(digit, 100, 0.08, random()) for digit in digits])
    assert table.find_tables(strokes.photograph(ink, dark_on_light=True, random=random())) == []


def test_an_empty_table_is_none():
    form = forms.scan(4, 4, [forms.drawn], random(), blank=1)
    assert table.find_tables(form.picture) == []


def test_noise_holds_no_table():
    assert table.find_tables(random().integers(0, 256, (300, 400), dtype=np.uint8)) == []


def digits_on(picture: np.ndarray, *middles: tuple[int, int]) -> np.ndarray:
    """The picture with a 3, 44 pixels high, around each (x, y), in place."""
    ink = strokes.draw(3, 44, 0.1, random())
    for x, y in middles:
        part = picture[y - ink.shape[0] // 2 :, x - ink.shape[1] // 2 :][: ink.shape[0], : ink.shape[1]]
        part[:] = np.minimum(part, 235 - 190 * ink)
    return picture


MIDDLES = [(90 + 80 * column, 90 + 80 * row) for row in range(4) for column in range(5)]


def grid(dash: int = 1, gap: int = 0, thickness: int = 2) -> np.ndarray:
    """A table of 4 × 5 cells of 80 pixels; its lines are full or dashed."""
    picture = np.full((420, 500), 235, np.uint8)
    for position in range(0, 401, dash + gap):
        for line in range(6):
            picture[50 + position :, 50 + 80 * line :][: dash if position < 320 else 0, :thickness] = 50
            if line < 5:
                picture[50 + 80 * line :, 50 + position :][:thickness, :dash] = 50
    return picture


@pytest.mark.parametrize(("dash", "gap"), [(1, 0), (12, 6), (2, 4), (8, 8)], ids=["full", "dashed", "dotted", "even"])
def test_a_dashed_or_dotted_table_is_found(dash, gap):
    [found] = table.find_tables(digits_on(grid(dash, gap), *MIDDLES[:12], *MIDDLES[14:]))
    assert (found.rows, found.columns) == (4, 5)
    assert [cell.is_blank for cell in found.cells] == [place in (12, 13) for place in range(20)]


def test_a_table_is_one_though_a_column_of_its_rules_is_dashed():
    picture = grid()
    picture[:, 216:286] = grid(4, 8)[:, 216:286]
    [found] = table.find_tables(digits_on(picture, *MIDDLES))
    assert (found.rows, found.columns) == (4, 5)


def test_merged_cells_are_one_cell_with_its_first_row_and_column():
    picture = grid()
    picture[53:130, 135:445] = 235  # the head, but for its first cell
    [found] = table.find_tables(digits_on(picture, *MIDDLES[5:], (250, 90)))
    assert (found.rows, found.columns, len(found.cells)) == (4, 5, 17)
    head = found.cells[1]
    assert (head.row, head.column, head.rows, head.columns) == (0, 1, 1, 4)
    assert not head.is_blank
    assert head.box[1, 0] - head.box[0, 0] == pytest.approx(320, abs=4)


@pytest.mark.parametrize("width", [420, 425])
def test_cells_that_the_pictures_edge_cuts_off_are_kept(width):
    [found] = table.find_tables(digits_on(grid(), *MIDDLES)[:, :width])
    assert (found.rows, found.columns) == (4, 5)


def test_squared_paper_is_no_table():
    picture = np.full((600, 800), 235, np.uint8)
    for position in range(10, 800, 30):
        picture[position : position + 2] = picture[:, position : position + 2] = 170
    assert (
        table.find_tables(digits_on(picture, *((100 + 47 * x, 150 + 101 * y) for x in range(8) for y in range(4))))
        == []
    )


@pytest.mark.parametrize("high", [{200}, {200, 260}])
def test_a_stroke_as_high_as_its_box_is_no_line(high):
    picture = np.full((120, 620), 235, np.uint8)
    for left in range(20, 540, 60):
        cv2.rectangle(picture, (left, 30), (left + 60, 90), 50, 2)
        cv2.line(picture, (left + 34, 31 if left in high else 45), (left + 34, 89 if left in high else 78), 60, 3)
    [found] = table.find_tables(picture)
    assert (found.rows, found.columns) == (1, 9)


@pytest.mark.parametrize(("lower", "rows"), [(4.9, 1), (5.1, 2)])
def test_boxes_that_share_half_their_height_are_a_row(lower, rows):
    """The second of two boxes, 10 pixels high, lies that much lower."""
    outlines = [np.array([(x, y), (x + 10, y), (x + 10, y + 10), (x, y + 10)]) for x, y in ((0, 0), (20, lower))]
    assert len(table._in_rows(outlines)) == rows
