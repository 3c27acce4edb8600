"""Kaggle's files: what is accepted, what is refused and with which words, and what is written."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stages.digits import kaggle
from stages.digits.errors import InputError

PIXELS = [f"pixel{i}" for i in range(784)]
COLUMNS = ["label", *PIXELS]
WHOLE = "expected a whole number from 0 to"


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


def refusal(read: Callable[[Path], kaggle.Table], raw: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(raw)
    message = caught.value.code
    assert "\n" not in message
    assert str(raw) in message
    return message.replace(str(raw), "RAW")


def refused_train(write_raw, raw: Path, train: str | bytes) -> str:
    return refusal(kaggle.read_labelled, write_raw(raw, {"train.csv": train, "test.csv": TEST}))


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
    assert labelled.missing == unlabelled.missing == 0


def test_chunks_keep_all_rows_in_order(write_raw, raw, monkeypatch):
    write_raw(raw, {"train.csv": TRAIN})
    whole = kaggle.read_labelled(raw)
    monkeypatch.setattr(kaggle, "ROWS_AT_ONCE", 5)
    chunked = kaggle.read_labelled(raw)
    assert np.array_equal(chunked.images, whole.images)
    assert np.array_equal(chunked.labels, np.arange(12) % 10)


@pytest.mark.parametrize(
    "changed",
    [
        TRAIN.encode().replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + TRAIN.encode(),
        b"\xef\xbb\xbf" + TRAIN.encode().replace(b"\n", b"\r\n"),
        TRAIN.encode() + b"\n",
        TRAIN.encode() + b"\r\n\r\n",
        TRAIN.encode().rstrip(b"\n"),
    ],
    ids=["crlf", "bom", "bom and crlf", "blank line", "blank lines", "no last line end"],
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
        ("pixel3", "5.0", "'5.0'", 255),
        ("pixel3", "1e2", "'1e2'", 255),
        ("pixel3", "ink", "'ink'", 255),
        ("pixel3", "nan", "'nan'", 255),
        ("pixel3", "True", "'True'", 255),
        ("pixel3", "\u0663", "'\u0663'", 255),  # a digit to Python's int(), none to Kaggle
        ("pixel3", '"', "'\"'", 255),
        ("pixel3", "", "nothing", 255),
        ("pixel3", " ", "nothing", 255),
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
    message = refused_train(write_raw, directory, csv_text(rows))
    assert message == f"RAW: train.csv, line 8, column {column}: found {found}, {WHOLE} {top}"


@pytest.mark.parametrize("spoil", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n")], ids=["lf", "bom and crlf"])
def test_a_bad_value_has_the_same_place_in_a_zip_and_with_crlf(write_raw, raw, spoil):
    rows = labelled_rows()
    rows[6][784] = "x"
    message = refused_train(write_raw, raw, spoil(csv_text(rows)))
    assert message == f"RAW: train.csv, line 8, column pixel783: found 'x', {WHOLE} 255"


def test_the_first_column_of_the_test_file_is_ink(write_raw, raw):
    rows = [row[1:] for row in labelled_rows(3)]
    rows[0][0] = "255"
    write_raw(raw, {"test.csv": csv_text(rows, PIXELS)})
    assert kaggle.read_unlabelled(raw).images[0, 0, 0] == 255
    rows[1][0] = "256"
    write_raw(raw, {"test.csv": csv_text(rows, PIXELS)})
    message = refusal(kaggle.read_unlabelled, raw)
    assert message == f"RAW: test.csv, line 3, column pixel0: found '256', {WHOLE} 255"


def test_the_first_of_two_bad_values_is_named(write_raw, raw):
    rows = labelled_rows()
    rows[9][1] = rows[4][7] = "x"
    assert "line 6, column pixel6: found 'x'" in refused_train(write_raw, raw, csv_text(rows))


def test_blank_lines_count_in_the_line_number(write_raw, raw):
    rows = labelled_rows()
    rows[5][1] = "x"
    text = csv_text(rows).replace("\n", "\n\n", 1)
    assert "line 8, column pixel0" in refused_train(write_raw, raw, text)


@pytest.mark.parametrize("value", ["-1", "256", "x", ""])
def test_a_bad_row_beyond_the_first_chunk_keeps_its_line(write_raw, raw, monkeypatch, value):
    monkeypatch.setattr(kaggle, "ROWS_AT_ONCE", 4)
    rows = labelled_rows()
    rows[10][5] = value
    assert "train.csv, line 12, column pixel4: found" in refused_train(write_raw, raw, csv_text(rows))


def test_a_bad_row_far_down_draws_no_warning_from_pandas(write_raw, directory):
    rows = [["7", *["0"] * 784]] * 1500
    rows[-1] = ["7", "x", *["0"] * 783]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "line 1501, column pixel0: found 'x'" in refused_train(write_raw, directory, csv_text(rows))


def test_bytes_that_are_no_text_are_named_with_their_place(write_raw, raw):
    rows = labelled_rows()
    rows[2][4] = "?"
    message = refused_train(write_raw, raw, csv_text(rows).encode().replace(b"?", b"\xe9"))
    assert message == rf"RAW: train.csv, line 4, column pixel3: found '\\xe9', {WHOLE} 255"


@pytest.mark.parametrize(
    ("values", "count"), [(["5"], 1), (["5"] * 784, 784), (["5"] * 786, 786), (["5"] * 785 + [""], 786)]
)
@pytest.mark.parametrize("row", [0, 6, 11], ids=["first", "middle", "last"])
def test_a_row_too_short_or_too_long_is_named_with_its_line(write_raw, directory, row, values, count):
    rows = labelled_rows()
    rows[row] = values
    message = refused_train(write_raw, directory, csv_text(rows))
    assert message == f"RAW: train.csv, line {row + 2}: found {count} values, expected 785"


def test_all_rows_too_long_are_not_taken_for_an_index(write_raw, raw):
    rows = [[*row, "0"] for row in labelled_rows()]
    assert refused_train(write_raw, raw, csv_text(rows)).endswith("line 2: found 786 values, expected 785")


def test_a_file_cut_off_in_a_row_is_named_with_its_last_line(write_raw, raw):
    assert "train.csv, line 13: found " in refused_train(write_raw, raw, TRAIN[:-500])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ([*COLUMNS[:5], *COLUMNS[6:]], "column 6: found 'pixel5', expected 'pixel4'"),
        (COLUMNS[:-1], "column 785: found no more columns, expected 'pixel783'"),
        ([*COLUMNS, "pixel784"], "column 786: found 'pixel784', expected no more columns"),
        (["id", *COLUMNS], "column 1: found 'id', expected 'label'"),
        (["Label", *PIXELS], "column 1: found 'Label', expected 'label'"),
        (['"label"', *PIXELS], "column 1: found '\"label\"', expected 'label'"),
        ([*COLUMNS[:5], "ink", *COLUMNS[6:]], "column 6: found 'ink', expected 'pixel4'"),
        ([*PIXELS, "label"], "column 1: found 'pixel0', expected 'label'"),
        (["label", "pixel1", "pixel0", *PIXELS[2:]], "column 2: found 'pixel1', expected 'pixel0'"),
        ([*COLUMNS[:5], "pixel0", *COLUMNS[6:]], "column 6: found 'pixel0', a second time, expected 'pixel4'"),
        (["label", "label", *PIXELS[1:]], "column 2: found 'label', a second time, expected 'pixel0'"),
        (["<!DOCTYPE html>"], "column 1: found '<!DOCTYPE html>', expected 'label'"),
    ],
    ids=[
        "one missing", "last missing", "one extra at the end", "one extra", "renamed label", "quoted", "renamed pixel",
        "label last", "reordered", "pixel twice", "label twice", "a web page",
    ],
)  # fmt: skip
def test_wrong_columns_are_named_with_their_place(write_raw, directory, header, message):
    rows = [(row * 2)[: len(header)] for row in labelled_rows()]  # as many values as columns: only the names are wrong
    assert refused_train(write_raw, directory, csv_text(rows, header)) == f"RAW: train.csv, line 1, {message}"


def test_swapped_files_are_said_to_be_swapped(write_raw, raw):
    write_raw(raw, {"train.csv": TEST, "test.csv": TRAIN})
    assert refusal(kaggle.read_labelled, raw) == (
        "RAW: train.csv, line 1, column 1: found no 'label', as test.csv has: are the two files swapped?"
    )
    assert refusal(kaggle.read_unlabelled, raw) == (
        "RAW: test.csv, line 1, column 1: found a 'label', as train.csv has: are the two files swapped?"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: found an empty file, expected a line of column names"),
        ("\n\n", "line 1: found an empty file, expected a line of column names"),
        ("\ufeff", "line 1: found an empty file, expected a line of column names"),
        (csv_text([]), "line 2: found no row, expected an image a line"),
        (csv_text([]).rstrip("\n"), "line 2: found no row, expected an image a line"),
    ],
    ids=["nothing", "blank lines", "bom", "only a header", "only a header, no line end"],
)
def test_an_empty_file_is_refused(write_raw, raw, content, message):
    assert refused_train(write_raw, raw, content) == f"RAW: train.csv, {message}"


def test_a_missing_file_is_named(write_raw, raw):
    write_raw(raw, {"test.csv": TEST})
    assert refusal(kaggle.read_labelled, raw) == (
        "RAW: train.csv: missing; expected a directory or .zip that holds train.csv"
    )


def test_a_missing_test_file_is_named(write_raw, raw):
    write_raw(raw, {"train.csv": TRAIN})
    assert refusal(kaggle.read_unlabelled, raw) == (
        "RAW: test.csv: missing; expected a directory or .zip that holds test.csv"
    )


def test_a_missing_raw_is_named(raw):
    assert refusal(kaggle.read_labelled, raw) == (
        "RAW: missing; params.yaml's `raw` is the directory or .zip with Kaggle's files"
    )


def test_a_directory_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "train.csv").mkdir()
    assert refusal(kaggle.read_labelled, tmp_path) == "RAW: train.csv: Is a directory; expected a CSV file"


@pytest.mark.parametrize(
    "spoil", [lambda _: b"", lambda _: TRAIN.encode(), lambda content: content[: len(content) // 2]],
    ids=["empty", "a CSV file", "truncated"],
)  # fmt: skip
def test_what_is_no_whole_zip_is_refused(write_raw, tmp_path, spoil):
    raw = write_raw(tmp_path / "raw.zip", {"train.csv": TRAIN, "test.csv": TEST})
    raw.write_bytes(spoil(raw.read_bytes()))
    assert refusal(kaggle.read_labelled, raw) == (
        "RAW: found no whole zip archive, expected Kaggle's download or a directory"
    )


def encrypted(content: bytearray) -> None:
    """Only by its flags, in the file's head and in the table of contents: that is where zipfile looks."""
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1


def undecodable(content: bytearray) -> None:
    content[30 + len("train.csv")] |= 0b110  # the kind of the first compressed block: one that is none


def changed(place: float) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        start = int(place * content.index(b"PK\x01\x02"))
        content[start : start + 4] = bytes(byte ^ 0x55 for byte in content[start : start + 4])

    return change


@pytest.mark.parametrize(
    "spoil", [encrypted, undecodable, changed(0), changed(0.1), changed(0.5), changed(0.9)],
    ids=["encrypted", "undecodable", "head", "start", "middle", "end"],
)  # fmt: skip
def test_a_damaged_zip_is_said_to_be_damaged(write_raw, tmp_path, drawn, spoil):
    kaggle.write_table(tmp_path / "train.csv", drawn)
    raw = write_raw(tmp_path / "raw.zip", {"train.csv": (tmp_path / "train.csv").read_bytes()})
    content = bytearray(raw.read_bytes())
    spoil(content)
    raw.write_bytes(content)
    message = refusal(kaggle.read_labelled, raw)
    assert message.startswith("RAW: train.csv: damaged: ")
    assert message.endswith("; download it again")


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
        ("ImageId,Label\n1,0\n", ": found 1 rows, expected 2, as many as test.csv has"),
        ("ImageId,Label\n1,0\n2,0\n3,0\n", ": found 3 rows, expected 2, as many as test.csv has"),
        ("ImageId,Label\n0,0\n1,0\n", ", line 2, column ImageId: found '0', expected '1'"),
        ("ImageId,Label\n1,0\n3,0\n", ", line 3, column ImageId: found '3', expected '2'"),
        ("id,Label\n1,0\n2,0\n", ", line 1: found 'id,Label', expected 'ImageId,Label'"),
        ("Label,ImageId\n0,1\n0,2\n", ", line 1: found 'Label,ImageId', expected 'ImageId,Label'"),
        ("ImageId,Label\n1,0\n2,0,0\n", ": not a CSV file: "),
        ("", ": not a CSV file: "),
        (b"ImageId,Label\n\xff,0\n", ": not a CSV file: "),
    ],
)
def test_a_submission_the_sample_does_not_ask_for_is_refused(write_raw, raw, content, message):
    write_raw(raw, {"sample_submission.csv": content})
    found = refusal(lambda raw: kaggle.check_against_sample(raw, 2), raw)
    assert found.startswith(f"RAW: sample_submission.csv{message}")
