"""Where the bytes come from: whatever is wrong with an archive or a path is one line, at a bounded cost."""

import io
import os
import signal
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stages.digits.base.errors import InputError
from stages.digits.tables import archive, kaggle

ROWS = 60
CSV = b"label,pixel0,pixel1,pixel2,pixel3\n" + b"".join(b"%d,0,7,89,%d\n" % (i % 10, i) for i in range(ROWS))
SAMPLE = b"ImageId,Label\n" + b"".join(b"%d,0\n" % i for i in range(1, ROWS + 1))
DIRECTORY = b"PK\x01\x02"  # starts an entry in an archive's table of contents
END = b"PK\x05\x06"  # starts its end


@pytest.fixture(autouse=True)
def tiny_images(monkeypatch) -> None:
    monkeypatch.setattr(kaggle, "SIDE", 2)
    monkeypatch.setattr(kaggle, "PIXELS", ["pixel0", "pixel1", "pixel2", "pixel3"])


@pytest.fixture(autouse=True)
def no_endless_wait() -> Iterator[None]:
    """A test that waits on a pipe for ever fails."""
    signal.alarm(60)
    yield
    signal.alarm(0)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as writer:
        for name, data in files.items():
            writer.writestr(zipfile.ZipInfo(name), data, method)
    return content.getvalue()


WHOLE = zipped({"sample_submission.csv": SAMPLE, "train.csv": CSV})
TABLE = kaggle.Table(
    np.array([[0, 7, 89, i] for i in range(ROWS)], dtype=np.uint8).reshape(-1, 2, 2),
    np.arange(ROWS, dtype=np.uint8) % 10,
)


def read_all(raw: Path) -> kaggle.Table:
    """Every file that the stages read of it."""
    kaggle.check_against_sample(raw, ROWS)
    return kaggle.read_labelled(raw)


def rejection(read: Callable[[Path], object], raw: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(raw)
    message = str(caught.value.code).replace(str(raw), "RAW")
    assert len(message.splitlines()) == 1
    assert len(message) < 400
    return message


def is_damaged(message: str) -> bool:
    return message.startswith("RAW: ") and ".csv: damaged: " in message and message.endswith("; download it again")


def patched(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def test_an_archive_that_is_whole_is_read(tmp_path):
    (tmp_path / "raw.zip").write_bytes(WHOLE)
    table = read_all(tmp_path / "raw.zip")
    assert np.array_equal(table.images, TABLE.images)
    assert np.array_equal(table.labels, TABLE.labels)


@pytest.mark.parametrize("files", [{"train.csv": CSV}, {"a": b"", "train.csv": CSV, "folder/train.csv": b""}])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"], ids=["plain", "self-extracting"])
def test_an_archive_in_another_form_is_read(tmp_path, files, method, before):
    (tmp_path / "raw.zip").write_bytes(before + zipped(files, method))
    assert np.array_equal(read_all(tmp_path / "raw.zip").images, TABLE.images)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_an_archive_written_to_a_pipe_is_read(tmp_path, method):
    """Checksums and sizes come after the data, in the large form."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe, zipfile.ZipFile(pipe, "w", method) as writer:
        writer.comment = b"from a pipe"
        with writer.open("train.csv", "w", force_zip64=True) as entry:
            entry.write(CSV)
    with os.fdopen(reading, "rb") as pipe:
        (tmp_path / "raw.zip").write_bytes(pipe.read())
    assert np.array_equal(read_all(tmp_path / "raw.zip").images, TABLE.images)


def exact_or_damaged(raw: Path, content: bytes) -> bool:
    """Whether it is rejected as damaged; if not, all is read as it is in `WHOLE`."""
    raw.write_bytes(content)
    try:
        table = read_all(raw)
    except InputError as error:
        assert is_damaged(str(error.code).replace(str(raw), "RAW"))
        return True
    assert np.array_equal(table.images, TABLE.images)
    assert np.array_equal(table.labels, TABLE.labels)
    return False


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF], ids=hex)
def test_no_changed_byte_of_an_archive_changes_what_is_read_of_it(tmp_path, change):
    damaged = [
        exact_or_damaged(tmp_path / "raw.zip", patched(WHOLE, place, bytes([WHOLE[place] ^ change])))
        for place in range(len(WHOLE))
    ]
    assert np.mean(damaged) > 0.8  # the rest are times, versions and attributes, of which nothing depends


def test_an_archive_cut_off_anywhere_is_damaged(tmp_path):
    for place in range(len(WHOLE)):
        assert exact_or_damaged(tmp_path / "raw.zip", WHOLE[:place])


def test_an_archive_that_lacks_bytes_at_its_start_is_damaged(tmp_path):
    """What a broken download looks like."""
    for place in range(1, len(WHOLE)):
        assert exact_or_damaged(tmp_path / "raw.zip", WHOLE[place:])


@pytest.mark.parametrize("length", [1, 100, 400])
def test_an_archive_that_lacks_bytes_in_its_middle_is_damaged(tmp_path, length):
    for place in range(len(WHOLE) - length):
        exact_or_damaged(tmp_path / "raw.zip", WHOLE[:place] + WHOLE[place + length :])


@pytest.mark.parametrize("length", [1, 16, 64, 256])
def test_an_archive_with_a_block_of_zeros_is_damaged(tmp_path, length):
    for place in range(len(WHOLE) - length + 1):
        exact_or_damaged(tmp_path / "raw.zip", patched(WHOLE, place, bytes(length)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 9, 93, 99])
def test_a_compression_that_kaggle_does_not_use_is_damage(tmp_path, method):
    """bzip2 and LZMA have exceptions of their own, and no limit to how much a byte of theirs may expand."""
    content = WHOLE
    for place in (content.index(b"PK\x03\x04") + 8, content.index(DIRECTORY) + 10):
        content = patched(content, place, struct.pack("<H", method))
    (tmp_path / "raw.zip").write_bytes(content)
    message = rejection(read_all, tmp_path / "raw.zip")
    assert message == (
        f"RAW: sample_submission.csv: damaged: found compression method {method}, expected deflate; download it again"
    )


def test_a_whole_bzip2_archive_is_rejected_alike(tmp_path):
    (tmp_path / "raw.zip").write_bytes(zipped({"train.csv": CSV}, zipfile.ZIP_BZIP2))
    assert "found compression method 12, expected deflate" in rejection(read_all, tmp_path / "raw.zip")


@pytest.mark.parametrize(
    ("place", "new"),
    [
        (WHOLE.index(DIRECTORY) + 46, b"\xff"),  # the first letter of a name
        (WHOLE.index(DIRECTORY) + 42, b"\xff\xff\xff\x7f"),  # where the entry is
        (WHOLE.index(DIRECTORY) + 24, b"\x10"),  # its size
        (WHOLE.index(DIRECTORY) + 28, b"\xff\xff"),  # the length of its name
        (WHOLE.index(DIRECTORY) + 32, b"\x37"),  # the length of its comment: the next entry
        (WHOLE.index(END) + 16, b"\xff\xff\xff\x7f"),  # where the table of contents is
        (WHOLE.index(END) + 12, b"\xff\xff\xff\x7f"),  # its size
        (30 + len("sample_submission.csv"), b"\x07"),  # the kind of the first compressed block: there is none such
    ],
    ids=[
        "name",
        "offset",
        "size",
        "length of name",
        "length of comment",
        "offset of contents",
        "size of contents",
        "kind of block",
    ],
)
def test_a_damaged_field_is_damage(tmp_path, place, new):
    assert exact_or_damaged(tmp_path / "raw.zip", patched(WHOLE, place, new))


def test_a_name_that_is_not_utf8_is_damage(tmp_path):
    content = zipped({"sample_submissión.csv": SAMPLE, "train.csv": CSV})  # a name beyond ASCII is marked as UTF-8
    (tmp_path / "raw.zip").write_bytes(content.replace("ó".encode(), b"\xff\xff"))
    assert is_damaged(rejection(read_all, tmp_path / "raw.zip"))


def test_a_damaged_name_is_not_a_missing_file(tmp_path):
    place = WHOLE.rindex(b"train.csv")
    (tmp_path / "raw.zip").write_bytes(patched(WHOLE, place, b"brain.csv"))
    assert is_damaged(rejection(kaggle.read_labelled, tmp_path / "raw.zip"))


def test_encryption_is_named(tmp_path):
    content = bytearray(WHOLE)  # only by its flags, in the entry's header and in the table of contents
    for place in (content.rindex(b"PK\x03\x04") + 6, content.rindex(DIRECTORY) + 8):
        content[place] |= 1
    (tmp_path / "raw.zip").write_bytes(content)
    message = rejection(kaggle.read_labelled, tmp_path / "raw.zip")
    assert "encrypted" in message
    assert is_damaged(message)


@pytest.mark.parametrize("block_size", [50, 2**18])
@pytest.mark.parametrize("place", [40, 1000, -1])
def test_the_checksum_comes_before_any_line_is_blamed(tmp_path, monkeypatch, block_size, place):
    monkeypatch.setattr(archive, "BLOCK_SIZE", block_size)
    content = zipped({"train.csv": CSV}, zipfile.ZIP_STORED)
    start = content.index(b"label")
    (tmp_path / "raw.zip").write_bytes(patched(content, start + place % len(CSV), b"x"))
    message = rejection(kaggle.read_labelled, tmp_path / "raw.zip")
    assert message == "RAW: train.csv: damaged: Bad CRC-32 for file 'train.csv'; download it again"


@pytest.mark.parametrize(
    "content", [b"", CSV, b"\0" * 1000, WHOLE[:-30]], ids=["empty", "a CSV file", "zeros", "cut off"]
)
def test_what_is_not_a_zip_archive_is_said_not_to_be(tmp_path, content):
    (tmp_path / "raw.zip").write_bytes(content)
    message = rejection(kaggle.read_labelled, tmp_path / "raw.zip")
    assert message == "RAW: train.csv: damaged: not a whole zip archive; download it again"


@pytest.mark.parametrize("name", ["../train.csv", "a/../../b", "/etc/passwd", "..\\train.csv", "\\train.csv", ".."])
def test_a_path_out_of_the_archive_is_rejected(tmp_path, name):
    (tmp_path / "raw.zip").write_bytes(zipped({"train.csv": CSV, name: b""}))
    assert f"found {name!r}, a path that leads out of the archive" in rejection(read_all, tmp_path / "raw.zip")


def test_a_repeated_name_is_rejected(tmp_path):
    content = zipped({"train.csv": CSV, "traim.csv": CSV})
    (tmp_path / "raw.zip").write_bytes(content.replace(b"traim.csv", b"train.csv"))
    assert "found 'train.csv' more than once" in rejection(read_all, tmp_path / "raw.zip")


@pytest.mark.parametrize("name", ["digits/train.csv", "Train.csv", "train.csv/", "train.csv.zip"])
def test_a_file_that_is_not_at_the_top_of_the_archive_is_missing(tmp_path, name):
    (tmp_path / "raw.zip").write_bytes(zipped({name: CSV}))
    assert rejection(read_all, tmp_path / "raw.zip") == (
        "RAW: train.csv: missing; expected a directory or .zip with train.csv at its top level"
    )


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/full", "."])
def test_a_link_to_what_is_not_a_regular_file_is_not_read(tmp_path, target):
    (tmp_path / "train.csv").symlink_to(target)
    assert rejection(kaggle.read_labelled, tmp_path) == (
        "RAW: train.csv: found a directory, device, pipe or socket, expected a CSV file"
    )


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train.csv")
    os.mkfifo(tmp_path / "sample_submission.csv")
    assert "found a directory, device, pipe or socket" in rejection(kaggle.read_labelled, tmp_path)
    assert "found a directory, device, pipe or socket" in rejection(read_all, tmp_path)


def test_raw_may_not_be_a_pipe_or_device(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for raw in (tmp_path / "pipe", tmp_path / "zero"):
        assert rejection(kaggle.read_labelled, raw) == (
            "RAW: found a device, pipe or socket, expected a directory or .zip with Kaggle's files"
        )


def test_a_loop_of_links_is_named(tmp_path):
    (tmp_path / "train.csv").symlink_to("train.csv")
    assert rejection(kaggle.read_labelled, tmp_path) == (
        "RAW: train.csv: Too many levels of symbolic links; expected a CSV file that can be read"
    )
    assert rejection(kaggle.read_labelled, tmp_path / "train.csv").startswith(
        "RAW: Too many levels of symbolic links; "
    )


def test_a_path_with_a_nul_character_is_one_line(tmp_path):
    assert rejection(read_all, tmp_path / "a\0b").endswith(
        r"a\x00b: embedded null byte; params.yaml's `raw` is the directory or .zip with Kaggle's files"
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a" * 256, "File name too long"),
        ("a", "missing"),
        ("file/b", "Not a directory"),
    ],
    ids=["256 letters", "missing", "below a file"],
)
def test_a_path_that_leads_nowhere_is_one_line(tmp_path, name, reason):
    (tmp_path / "file").touch()
    assert rejection(read_all, tmp_path / name) == (
        f"RAW: {reason}; params.yaml's `raw` is the directory or .zip with Kaggle's files"
    )


def test_ten_times_kaggles_rows_are_welcome():
    longest_row = len("9" + ",255" * 28 * 28 + "\r\n")
    assert 10 * 42_000 * longest_row < archive.MAX_BYTES
    assert 10 * 28_000 * len("280000,0\r\n") < kaggle.SAMPLE_MAX_BYTES


def test_a_file_beyond_the_bound_is_rejected_before_it_is_read(tmp_path):
    with (tmp_path / "train.csv").open("wb") as file:
        file.truncate(archive.MAX_BYTES + 1)  # takes no space on the disk
    message = rejection(kaggle.read_labelled, tmp_path)
    assert message == "RAW: train.csv: found 2,147,483,649 bytes, expected at most 2,147,483,648"


@pytest.mark.parametrize("padding", [0, archive.SMALL_ARCHIVE], ids=["small archive", "large archive"])
def test_an_archive_that_expands_beyond_the_bound_is_rejected_before_it_is_read(tmp_path, padding):
    """Like a line of gigabytes or millions of rows: zeros compress 1,000-fold."""
    content = zipped({"padding": os.urandom(padding), "train.csv": CSV})
    place = content.rindex(DIRECTORY) + 24  # the size, not compressed
    (tmp_path / "raw.zip").write_bytes(patched(content, place, struct.pack("<I", 2**32 - 2)))
    bound = archive.MAX_BYTES if padding else archive.SMALL_ARCHIVE_MAX_BYTES
    message = rejection(kaggle.read_labelled, tmp_path / "raw.zip")
    assert message == (
        f"RAW: train.csv: damaged: found 4,294,967,294 bytes, expected at most {bound:,}; download it again"
    )


def test_a_sample_submission_beyond_the_bound_is_rejected(tmp_path):
    (tmp_path / "sample_submission.csv").write_bytes(bytes(kaggle.SAMPLE_MAX_BYTES + 1))
    message = rejection(read_all, tmp_path)
    assert message == "RAW: sample_submission.csv: found 16,777,217 bytes, expected at most 16,777,216"


def test_a_table_of_contents_beyond_the_bound_is_rejected(tmp_path):
    (tmp_path / "raw.zip").write_bytes(zipped({f"{i:0200}": b"" for i in range(1100)}))
    message = rejection(read_all, tmp_path / "raw.zip")
    assert "damaged: found a table of contents of 270,600 bytes, expected a few hundred" in message


HEADER = CSV.partition(b"\n")[0] + b"\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0" * 20_000_000, "line 1, column 1: found '000000000000...0000000000000', expected 'label'"),
        (HEADER + b"0" * 20_000_000, "line 2, column label: found '000000000000...0000000000000', expected a whole"),
        (HEADER + b"," * 20_000_000, "line 2: found more than 5 values, expected 5"),
        (b"," * 20_000_000, "line 1, column 1: found '', expected 'label'"),
        (HEADER + b"1,2,3,4,5" + b"," * 90_000, "line 2: found more than 5 values, expected 5"),
        (HEADER + b"1,2,3,4,5\n" * 9999 + b"," * 90_000, "line 10001: found more than 5 values, expected 5"),
        (HEADER + b"x" * 20_000_000, "line 2, column label: found 'xxxxxxxxxxxx...xxxxxxxxxxxxx', expected a whole"),
        (b",".join([b"pixel%d" % i for i in range(1_000_000)]), "line 1, column 1: found 'pixel0', expected 'label'"),
        (HEADER + b"\n" * 20_000_000, "line 20000002: found no rows, expected one image per line"),
        (HEADER + b"\r" * 20_000_000, "line 20000002: found no rows, expected one image per line"),
        (bytes(20_000_000), "line 1: found NUL characters or UTF-16"),
    ],
    ids=[
        "one line", "one number", "one row", "one header", "90,000 commas", "a long row later", "a word",
        "a million columns", "blank lines", "blank lines in CR", "NUL bytes",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["directory", "archive"])
def test_what_is_rejected_takes_little_memory(tmp_path, form, content, message):
    raw = tmp_path / ("raw.zip" if form == "archive" else "raw")
    if form == "archive":
        raw.write_bytes(zipped({"train.csv": content}))
    else:
        raw.mkdir()
        (raw / "train.csv").write_bytes(content)
    tracemalloc.start()
    try:
        found = rejection(kaggle.read_labelled, raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.startswith(f"RAW: train.csv, {message}")
    assert peak < 20 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [b"\n", b"1,0\n", b"1\n", b",", b"a"], ids=["blank", "rows", "short rows", "commas", "a word"]
)
def test_a_sample_submission_that_is_rejected_takes_a_bounded_memory(tmp_path, unit):
    content = b"ImageId,Label\n" + unit * (8_000_000 // len(unit))
    (tmp_path / "sample_submission.csv").write_bytes(content)
    tracemalloc.start()
    try:
        assert ": found " in rejection(read_all, tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200 * 2**20
