"""Kaggle's files: what is accepted, what is rejected and with which words, and what is written."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.digits.base.errors import InputError
from stages.digits.tables import archive, kaggle

PIXELS = [f"pixel{i}" for i in range(784)]
COLUMNS = ["label", *PIXELS]
WHOLE = "expected a whole number from 0 to"
NO_INDEX = "without an index column (index=False in pandas, row.names=FALSE in R)"


def csv_text(rows: list[list[str]], header: list[str] = COLUMNS) -> str:
    return "".join(",".join(row) + "\n" for row in [header, *rows])


def labelled_rows(count: int = 12) -> list[list[str]]:
    return [[str(row % 10), *["0"] * 783, str(row)] for row in range(count)]


TRAIN = csv_text(labelled_rows())
TEST = csv_text([row[1:] for row in labelled_rows(3)], PIXELS)


@pytest.fixture(params=["raw", "raw.zip"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the files are put: once a directory, once an archive."""
    return tmp_path / request.param


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the files are put when it makes no difference."""
    return tmp_path / "raw"


def rejection(read: Callable[[Path], kaggle.Table], raw: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(raw)
    message = caught.value.code
    assert "\n" not in message
    assert str(raw) in message
    return message.replace(str(raw), "RAW")


def rejected_train(write_raw, raw: Path, train: str | bytes) -> str:
    return rejection(kaggle.read_labelled, write_raw(raw, {"train.csv": train, "test.csv": TEST}))


def test_labels_and_pixels_arrive_as_they_stand_in_the_file(write_raw, raw):
    rows = [[str(label), *(str((label + pixel) % 256) for pixel in range(784))] for label in range(10)]
    write_raw(raw, {"train.csv": csv_text(rows), "test.csv": csv_text([row[1:] for row in rows], PIXELS)})
    labelled, unlabelled = kaggle.read_labelled(raw), kaggle.read_unlabelled(raw)
    expected = (np.arange(10)[:, None] + np.arange(784)) % 256
    assert labelled.images.dtype == labelled.labels.dtype == unlabelled.images.dtype == np.uint8
    assert labelled.images.shape == (10, 28, 28)
    assert np.array_equal(labelled.images.reshape(10, 784), expected)
    assert np.array_equal(unlabelled.images.reshape(10, 784), expected)
    assert labelled.images[3, 2, 5] == 3 + 2 * 28 + 5
    assert np.array_equal(labelled.labels, np.arange(10))
    assert unlabelled.labels is None


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("block_size", [1, 100, 5000])
def test_blocks_keep_all_rows_in_order(write_raw, raw, monkeypatch, block_size, line_end):
    write_raw(raw, {"train.csv": "\ufeff" + TRAIN.replace("\n", line_end)})
    whole = kaggle.read_labelled(raw)
    monkeypatch.setattr(archive, "BLOCK_SIZE", block_size)
    in_blocks = kaggle.read_labelled(raw)
    assert np.array_equal(in_blocks.images, whole.images)
    assert np.array_equal(in_blocks.labels, np.arange(12) % 10)


def test_the_arrays_can_be_written_to_and_are_contiguous(write_raw, raw):
    labelled = kaggle.read_labelled(write_raw(raw, {"train.csv": TRAIN}))
    for array in labelled:
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.mark.parametrize(
    "changed",
    [
        TRAIN.encode().replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + TRAIN.encode(),
        b"\xef\xbb\xbf" + TRAIN.encode().replace(b"\n", b"\r\n"),
        TRAIN.encode().replace(b"\n", b"\r"),
        TRAIN.encode() + b"\n",
        b"\n\n" + TRAIN.encode().replace(b"\n", b"\n\n\n"),
        TRAIN.encode() + b"\r\n\r\n",
        TRAIN.encode().rstrip(b"\n"),
    ],
    ids=["crlf", "bom", "bom and crlf", "cr", "blank line", "blank between", "blank lines", "no last line end"],
)
def test_line_ends_bom_and_blank_lines_change_nothing(write_raw, raw, changed):
    write_raw(raw, {"train.csv": changed})
    found = kaggle.read_labelled(raw)
    assert np.array_equal(found.labels, np.arange(12) % 10)
    assert np.array_equal(found.images[:, 27, 27], np.arange(12))


@pytest.mark.parametrize(
    ("column", "value", "found", "top"),
    [
        ("pixel3", "-1", "'-1'", 255),
        ("pixel3", "256", "'256'", 255),
        ("pixel3", "1.5", "'1.5'", 255),
        ("pixel3", "1e2", "'1e2'", 255),
        ("pixel3", "ink", "'ink'", 255),
        ("pixel3", "nan", "'nan'", 255),
        ("pixel3", "True", "'True'", 255),
        ("pixel3", "\u0663", "'\u0663'", 255),  # a digit to Python's int(), none to Kaggle
        ("pixel3", '"', "'\"'", 255),
        ("pixel3", "", "nothing", 255),
        ("pixel3", " ", "' '", 255),
        ("pixel3", "\0", "'\\x00'", 255),
        ("pixel3", "9" * 30, "'999999999999...9999999999999'", 255),
        ("pixel783", "", "nothing", 255),
        ("pixel0", "300", "'300'", 255),
        ("label", "10", "'10'", 9),
        ("label", "-1", "'-1'", 9),
        ("label", "3.5", "'3.5'", 9),
        ("label", "seven", "'seven'", 9),
        ("label", "", "nothing", 9),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_column(write_raw, directory, column, value, found, top):
    rows = labelled_rows()
    rows[6][COLUMNS.index(column)] = value
    message = rejected_train(write_raw, directory, csv_text(rows))
    assert message == f"RAW: train.csv, line 8, column {column}: found {found}, {WHOLE} {top}"


@pytest.mark.parametrize("value", ["5.0", "5.", "+5", "05", "005", " 5", "5 ", "5\t", '"5"', "'5'", '" +05.0 "'])
@pytest.mark.parametrize("column", ["label", "pixel783"])
def test_a_whole_number_in_another_form_is_rejected_with_the_form_to_write(write_raw, directory, column, value):
    rows = labelled_rows()
    rows[6][COLUMNS.index(column)] = value
    assert rejected_train(write_raw, directory, csv_text(rows)).endswith(": write it as 5")


@pytest.mark.parametrize("value", ["256.0", '"256"', "0256", "-5", "5.5", "5,0", "١"])
def test_what_is_no_pixel_in_any_form_comes_without_a_form_to_write(write_raw, directory, value):
    rows = labelled_rows()
    rows[6][4] = value
    assert "write it as" not in rejected_train(write_raw, directory, csv_text(rows))


@pytest.mark.parametrize("spoil", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n")], ids=["lf", "bom and crlf"])
def test_a_bad_value_has_the_same_place_in_a_zip_and_with_crlf(write_raw, raw, spoil):
    rows = labelled_rows()
    rows[6][784] = "x"
    message = rejected_train(write_raw, raw, spoil(csv_text(rows)))
    assert message == f"RAW: train.csv, line 8, column pixel783: found 'x', {WHOLE} 255"


def test_the_first_column_of_the_test_file_is_ink(write_raw, raw):
    rows = [row[1:] for row in labelled_rows(3)]
    rows[0][0] = "255"
    write_raw(raw, {"test.csv": csv_text(rows, PIXELS)})
    assert kaggle.read_unlabelled(raw).images[0, 0, 0] == 255
    rows[1][0] = "256"
    write_raw(raw, {"test.csv": csv_text(rows, PIXELS)})
    message = rejection(kaggle.read_unlabelled, raw)
    assert message == f"RAW: test.csv, line 3, column pixel0: found '256', {WHOLE} 255"


def test_the_first_of_two_bad_values_is_named(write_raw, raw):
    rows = labelled_rows()
    rows[9][1] = rows[4][7] = "x"
    assert "line 6, column pixel6: found 'x'" in rejected_train(write_raw, raw, csv_text(rows))


def test_blank_lines_count_in_the_line_number(write_raw, raw):
    rows = labelled_rows()
    rows[5][1] = "x"
    text = csv_text(rows).replace("\n", "\n\n", 1)
    assert "line 8, column pixel0" in rejected_train(write_raw, raw, text)


@pytest.mark.parametrize("value", ["-1", "256", "x", ""])
def test_a_bad_row_beyond_the_first_block_keeps_its_line(write_raw, raw, monkeypatch, value):
    monkeypatch.setattr(archive, "BLOCK_SIZE", 4000)
    rows = labelled_rows()
    rows[10][5] = value
    assert "train.csv, line 12, column pixel4: found" in rejected_train(write_raw, raw, csv_text(rows))


def test_bytes_that_are_no_text_are_named_with_their_place(write_raw, raw):
    rows = labelled_rows()
    rows[2][4] = "?"
    message = rejected_train(write_raw, raw, csv_text(rows).encode().replace(b"?", b"\xe9"))
    assert message == rf"RAW: train.csv, line 4, column pixel3: found '\\xe9', {WHOLE} 255"


@pytest.mark.parametrize(
    ("values", "count"), [(["5"], 1), (["5"] * 784, 784), (["5"] * 786, 786), (["5"] * 785 + [""], 786)]
)
@pytest.mark.parametrize("row", [0, 6, 11], ids=["first", "middle", "last"])
def test_a_row_too_short_or_too_long_is_named_with_its_line(write_raw, directory, row, values, count):
    rows = labelled_rows()
    rows[row] = values
    message = rejected_train(write_raw, directory, csv_text(rows))
    assert message == f"RAW: train.csv, line {row + 2}: found {count} value{'s' * (count > 1)}, expected 785"


@pytest.mark.parametrize("first", ["0", "{}"], ids=["equal", "equally spaced"])
@pytest.mark.parametrize("rows", [1, 2, 12])
def test_one_value_too_many_in_each_row_is_not_taken_for_an_index(write_raw, raw, rows, first):
    """Else every image arrives moved by a pixel."""
    too_long = [[first.format(i), *row] for i, row in enumerate(labelled_rows(rows))]
    assert rejected_train(write_raw, raw, csv_text(too_long)).endswith("line 2: found 786 values, expected 785")
    write_raw(raw, {"test.csv": csv_text([row[:-1] for row in too_long], PIXELS)})
    assert rejection(kaggle.read_unlabelled, raw) == "RAW: test.csv, line 2: found 785 values, expected 784"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("\xa0", "1 value"),
        ("\x0c", "1 value"),
        ("\x85", "1 value"),
        ("\u2028", "1 value"),
        ("\x1c", "1 value"),
        (" ", "1 value"),
        ("\t", "1 value"),
        ("\ufeff", "1 value"),
        (",", "2 values"),
    ],
    ids=["NBSP", "form feed", "NEL", "line separator", "file separator", "space", "tab", "bom", "comma"],
)
@pytest.mark.parametrize("row", [0, 6, 12], ids=["first", "middle", "last"])
def test_a_line_that_only_looks_blank_is_named(write_raw, directory, row, line, found):
    rows = labelled_rows()
    rows.insert(row, [line])
    message = rejected_train(write_raw, directory, csv_text(rows))
    assert message == f"RAW: train.csv, line {row + 2}: found {found}, expected 785"


def test_a_second_byte_order_mark_is_named(write_raw, raw):
    message = rejected_train(write_raw, raw, "\ufeff\ufeff" + TRAIN)
    assert message == r"RAW: train.csv, line 1, column 1: found '\ufefflabel', expected 'label'"


def test_a_file_cut_off_in_a_row_is_named_with_its_last_line(write_raw, raw):
    assert "train.csv, line 13: found " in rejected_train(write_raw, raw, TRAIN[:-500])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([*COLUMNS[:5], *COLUMNS[6:]], "column 6: found 'pixel5', expected 'pixel4'"),
        (COLUMNS[:-1], "column 785: found no more columns, expected 'pixel783'"),
        ([*COLUMNS, "pixel784"], "column 786: found 'pixel784', expected no more columns"),
        (["id", *COLUMNS], f"column 1: found 'id', expected 'label': save it again {NO_INDEX}"),
        (["Label", *PIXELS], "column 1: found 'Label', expected 'label'"),
        ([*COLUMNS[:5], "ink", *COLUMNS[6:]], "column 6: found 'ink', expected 'pixel4'"),
        ([*PIXELS, "label"], "column 1: found 'pixel0', expected 'label'"),
        (["label", "pixel1", "pixel0", *PIXELS[2:]], "column 2: found 'pixel1', expected 'pixel0'"),
        ([*COLUMNS[:5], "pixel0", *COLUMNS[6:]], "column 6: found 'pixel0', a second time, expected 'pixel4'"),
        (["label", "label", *PIXELS[1:]], "column 2: found 'label', a second time, expected 'pixel0'"),
        (["<!DOCTYPE html>"], "column 1: found '<!DOCTYPE html>', expected 'label'"),
    ],
    ids=[
        "one missing", "last missing", "one extra at the end", "one extra", "renamed label", "renamed pixel",
        "label last", "reordered", "pixel twice", "label twice", "a web page",
    ],
)  # fmt: skip
def test_wrong_columns_are_named_with_their_place(write_raw, directory, header, message):
    rows = [(row * 2)[: len(header)] for row in labelled_rows()]  # as many values as columns: only the names are wrong
    assert rejected_train(write_raw, directory, csv_text(rows, header)) == f"RAW: train.csv, line 1, {message}"


def quoted(text: str) -> str:
    return re.sub(r"[^,\n]+", r'"\g<0>"', text)


def indexed(text: str, name: str = "") -> str:
    header, *rows = text.splitlines()
    return "".join(f"{line}\n" for line in [f"{name},{header}", *(f"{i},{row}" for i, row in enumerate(rows))])


def numbered_from_1(text: str) -> str:
    return re.sub(r"pixel(\d+)", lambda pixel: f"pixel{int(pixel[1]) + 1}", text)


@pytest.mark.parametrize(
    ("saved", "fixes"),
    [
        (quoted, "without quotes"),
        (lambda text: quoted(text.partition("\n")[0]) + "\n" + text.partition("\n")[2], "without quotes"),
        (indexed, NO_INDEX),
        (lambda text: indexed(text, "Unnamed: 0"), NO_INDEX),
        (lambda text: indexed(quoted(text), '""'), f"without quotes, {NO_INDEX}"),
        (lambda text: text.replace(",", ";"), "commas between the values"),
        (lambda text: text.replace(",", "\t"), "commas between the values"),
        (lambda text: quoted(text).replace(",", ";"), "commas between the values, without quotes"),
        (lambda text: text.replace(",", ", "), "without spaces"),
        (lambda text: text.replace(",", '", "').replace("\n", '"\n"'), "without quotes, without spaces"),
        (numbered_from_1, "with the pixels named from pixel0 on"),
        (lambda text: indexed(numbered_from_1(text)), f"{NO_INDEX}, with the pixels named from pixel0 on"),
    ],
    ids=[
        "QUOTE_ALL", "R without row names", "pandas", "pandas, twice", "R", "semicolons", "tabs",
        "semicolons and quotes", "spaces", "spaces and quotes", "pixels from 1", "pixels from 1 and pandas",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["train.csv", "test.csv"])
def test_a_file_that_another_tool_saved_is_rejected_with_what_to_do(write_raw, directory, name, saved, fixes):
    write_raw(directory, {name: saved(TRAIN if name == "train.csv" else TEST)})
    read = kaggle.read_labelled if name == "train.csv" else kaggle.read_unlabelled
    message = rejection(read, directory)
    assert message.startswith(f"RAW: {name}, line 1, column ")
    assert message.endswith(f": save it again {fixes}")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_rejected_with_what_to_do(write_raw, raw, encoding):
    message = rejected_train(write_raw, raw, TRAIN.encode(encoding))
    assert message.startswith("RAW: train.csv, line 1: found NUL characters or UTF-16, expected UTF-8: save it again")


def test_a_file_of_nul_bytes_is_rejected(write_raw, raw):
    assert "line 1: found NUL characters or UTF-16" in rejected_train(write_raw, raw, bytes(5000))


def test_swapped_files_are_said_to_be_swapped(write_raw, raw):
    write_raw(raw, {"train.csv": TEST, "test.csv": TRAIN})
    assert rejection(kaggle.read_labelled, raw) == (
        "RAW: train.csv, line 1, column 1: found 'pixel0', expected 'label': are train.csv and test.csv swapped?"
    )
    assert rejection(kaggle.read_unlabelled, raw) == (
        "RAW: test.csv, line 1, column 1: found 'label', expected 'pixel0': are train.csv and test.csv swapped?"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: found an empty file, expected a line of column names"),
        ("\n\n", "line 1: found an empty file, expected a line of column names"),
        ("\ufeff", "line 1: found an empty file, expected a line of column names"),
        (csv_text([]), "line 2: found no rows, expected one image per line"),
        (csv_text([]).rstrip("\n"), "line 2: found no rows, expected one image per line"),
    ],
    ids=["nothing", "blank lines", "bom", "only a header", "only a header, no line end"],
)
def test_an_empty_file_is_rejected(write_raw, raw, content, message):
    assert rejected_train(write_raw, raw, content) == f"RAW: train.csv, {message}"


def test_a_missing_file_is_named(write_raw, raw):
    write_raw(raw, {"test.csv": TEST})
    assert rejection(kaggle.read_labelled, raw) == (
        "RAW: train.csv: missing; expected a directory or .zip with train.csv at its top level"
    )


def test_a_missing_test_file_is_named(write_raw, raw):
    write_raw(raw, {"train.csv": TRAIN})
    assert rejection(kaggle.read_unlabelled, raw) == (
        "RAW: test.csv: missing; expected a directory or .zip with test.csv at its top level"
    )


def test_a_missing_raw_is_named(raw):
    assert rejection(kaggle.read_labelled, raw) == (
        "RAW: missing; params.yaml's `raw` is the directory or .zip with Kaggle's files"
    )


def test_a_written_table_reads_back_the_same(tmp_path, drawn, drawn_unlabelled):
    kaggle.write_table(tmp_path / "train.csv", drawn)
    kaggle.write_table(tmp_path / "test.csv", drawn_unlabelled)
    labelled, unlabelled = kaggle.read_labelled(tmp_path), kaggle.read_unlabelled(tmp_path)
    assert np.array_equal(labelled.images, drawn.images)
    assert np.array_equal(labelled.labels, drawn.labels)
    assert np.array_equal(unlabelled.images, drawn_unlabelled.images)


def test_a_written_table_has_kaggles_form(tmp_path, drawn):
    kaggle.write_table(tmp_path / "train.csv", drawn)
    lines = (tmp_path / "train.csv").read_bytes().split(b"\n")
    assert lines[0].decode() == ",".join(COLUMNS)
    assert lines[4].decode() == ",".join(map(str, [3, *drawn.images[3].ravel()]))
    assert lines[-1] == b""
    assert len(lines) == 1 + len(drawn.images) + 1


def test_submission_numbers_images_from_one(tmp_path):
    kaggle.write_submission(tmp_path / "submission.csv", np.array([7, 0, 9], dtype=np.uint8))
    assert (tmp_path / "submission.csv").read_bytes() == b"ImageId,Label\n1,7\n2,0\n3,9\n"


@pytest.mark.parametrize(
    "content",
    ["ImageId,Label\n1,0\n2,0\n", "ImageId,Label\r\n1,0\r\n2,0\r\n", "\ufeffImageId,Label\n1,0\n2,0\n\n"],
    ids=["lf", "crlf", "bom and blank line"],
)
def test_a_submission_as_the_sample_asks_is_accepted(write_raw, raw, content):
    kaggle.check_against_sample(write_raw(raw, {"sample_submission.csv": content}), 2)


def test_without_a_sample_every_submission_is_accepted(write_raw, raw):
    kaggle.check_against_sample(write_raw(raw, {"train.csv": TRAIN}), 2)


def test_our_own_submission_passes_as_a_sample(tmp_path):
    kaggle.write_submission(tmp_path / "sample_submission.csv", np.zeros(12, dtype=np.uint8))
    kaggle.check_against_sample(tmp_path, 12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ImageId,Label\n", ": found 0 rows, expected 2, as many as test.csv has"),
        ("ImageId,Label\n1,0\n", ": found 1 row, expected 2, as many as test.csv has"),
        ("ImageId,Label\n1,0\n2,0\n3,0\n", ": found 3 rows, expected 2, as many as test.csv has"),
        ("ImageId,Label\n0,0\n1,0\n", ", line 2, column ImageId: found '0', expected '1'"),
        ("ImageId,Label\n1,0\n\n3,0\n", ", line 4, column ImageId: found '3', expected '2'"),
        ("ImageId,Label\n1,0\n,0\n", ", line 3, column ImageId: found nothing, expected '2'"),
        ("ImageId,Label\n1,0\n2\n", ", line 3: found 1 value, expected 2"),
        ("ImageId,Label\n1,0\n2,0,0\n", ", line 3: found 3 values, expected 2"),
        ("ImageId,Label\n1,0\n2,\n", f", line 3, column Label: found nothing, {WHOLE} 9"),
        ("ImageId,Label\n1,0\n2,10\n", f", line 3, column Label: found '10', {WHOLE} 9"),
        ("id,Label\n1,0\n2,0\n", ", line 1: found 'id,Label', expected 'ImageId,Label'"),
        ("Label,ImageId\n0,1\n0,2\n", ", line 1: found 'Label,ImageId', expected 'ImageId,Label'"),
        ("", ", line 1: found nothing, expected 'ImageId,Label'"),
        (b"ImageId,Label\n\xff,0\n2,0\n", r", line 2, column ImageId: found '\\xff', expected '1'"),
    ],
)
def test_a_submission_the_sample_does_not_ask_for_is_rejected(write_raw, raw, content, message):
    write_raw(raw, {"sample_submission.csv": content})
    assert rejection(lambda raw: kaggle.check_against_sample(raw, 2), raw) == f"RAW: sample_submission.csv{message}"
