"""Files of pictures: what is read, and what is rejected in one line, at a bounded cost."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from pictures import ENCRYPTED
from PIL import Image

from handwriting.pages import picture
from stages.digits.base.errors import InputError

ROOT = Path(__file__).parents[3]
RAMP = np.add.outer(np.arange(0, 120, 2), np.arange(0, 80, 2)).astype(np.uint8)  # (60, 40), dark at the top left


def rejection(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        picture.load(path)
    assert caught.value.code.isprintable()
    return caught.value.code


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG of a size, in gray, with that image data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "I;16"])
def test_a_png_of_any_kind_is_its_brightness(tmp_path, mode):
    path = tmp_path / "ramp.png"
    image = Image.fromarray(RAMP.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(RAMP).convert(mode)
    image.save(path)
    assert picture.load(path).dtype == np.uint8
    assert np.abs(picture.load(path).astype(int) - RAMP).max() <= 1


def test_a_jpeg_is_read_whatever_it_is_called(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "ramp.jpg", quality=95)
    (tmp_path / "ramp.jpg").rename(tmp_path / "ramp")
    assert np.abs(picture.load(tmp_path / "ramp").astype(int) - RAMP).max() <= 8


def test_a_photo_taken_sideways_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be seen upright, turn it by 90 degrees clockwise
    Image.fromarray(np.rot90(RAMP)).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(picture.load(tmp_path / "photo.png"), RAMP)


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0)])
def test_transparent_paper_is_unlike_the_ink(tmp_path, ink, paper):
    pixels = np.full((20, 20, 4), (ink, ink, ink, 0), dtype=np.uint8)
    pixels[5:9, 5:9, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "ink.png")
    gray = picture.load(tmp_path / "ink.png")
    assert (gray[6, 6], gray[0, 0]) == (ink, paper)


def test_a_large_picture_is_made_smaller_in_its_proportions(tmp_path):
    Image.new("L", (6000, 3000), 200).save(tmp_path / "large.png")
    assert picture.load(tmp_path / "large.png").shape == (picture.MAX_SIDE // 2, picture.MAX_SIDE)


@pytest.mark.parametrize("name", ["ramp.webp", "ramp.tif", "ramp.heic"])
def test_what_scanners_phones_and_the_web_make_is_read(tmp_path, name):
    pillow_heif.register_heif_opener()
    Image.fromarray(RAMP).convert("RGB").save(tmp_path / name, quality=95)
    assert np.abs(picture.load(tmp_path / name).astype(int) - RAMP).max() <= 12


def test_a_16_bit_tiff_keeps_its_brightness(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "ramp.tif")
    assert np.array_equal(picture.load(tmp_path / "ramp.tif"), RAMP)


@pytest.mark.parametrize("name", ["pages.tif", "pages.pdf"])
def test_pages_come_one_after_the_other(tmp_path, name):
    first, *others = [Image.new("L", (90, 60), value) for value in (250, 150, 50)]
    first.save(tmp_path / name, save_all=True, append_images=others)
    names, found = zip(*picture.pages(tmp_path / name), strict=True)
    assert [one.removeprefix(f"{tmp_path}/{name}") for one in names] == [", page 1", ", page 2", ", page 3"]
    assert [round(float(page.mean()), -1) for page in found] == [250, 150, 50]
    assert all(abs(page.shape[1] / page.shape[0] - 1.5) < 0.05 for page in found)


@pytest.mark.parametrize("name", ["pages.tif", "pages.pdf"])
def test_pages_are_counted_without_being_read_and_begin_where_asked(tmp_path, name):
    first, *others = [Image.new("L", (90, 60), value) for value in (250, 150, 50)]
    first.save(tmp_path / name, save_all=True, append_images=others)
    assert picture.count(tmp_path / name) == 3
    [(name, page)] = picture.pages(tmp_path / name, 2)
    assert name.endswith(", page 3")
    assert round(float(page.mean()), -1) == 50


@pytest.mark.parametrize("content", [b"", b"no picture", b"%PDF-1.4\n", b"II*\0" + bytes(60), ENCRYPTED, None])
def test_what_cannot_be_read_counts_as_one_page(tmp_path, content):
    if content is not None:
        (tmp_path / "x.pdf").write_bytes(content)
    assert picture.count(tmp_path / "x.pdf") == 1


def test_a_pdf_or_tiff_may_be_larger_than_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MAX_BYTES", 10)
    for name in ("x.pdf", "x.tif"):
        Image.fromarray(RAMP).save(tmp_path / name)
        assert picture.load(tmp_path / name).any()
    Image.fromarray(RAMP).save(tmp_path / "x.png")
    assert rejection(tmp_path / "x.png").endswith(" bytes, expected at most 10")


def test_a_folder_stands_for_its_pictures_in_the_order_of_their_names(tmp_path):
    for name in ("b.png", "a.PDF", "c.jpg", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert picture.files_of(tmp_path) == [tmp_path / name for name in ("a.PDF", "b.png", "c.jpg")]
    assert picture.files_of(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


def test_a_folder_without_pictures_is_rejected(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"found no picture in this folder; expected names that end in \.png"):
        picture.files_of(tmp_path)


def test_too_many_pages_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "MAX_PAGES", 2)
    first, *others = [Image.new("L", (9, 9), 255)] * 3
    first.save(tmp_path / "x.tif", save_all=True, append_images=others)
    assert rejection(tmp_path / "x.tif") == f"{tmp_path}/x.tif: found 3 pages, expected 1 to 2"
    assert picture.count(tmp_path / "x.tif") == 1


def test_an_encrypted_pdf_is_rejected(tmp_path):
    (tmp_path / "x.pdf").write_bytes(ENCRYPTED)
    assert "password" in rejection(tmp_path / "x.pdf").lower()


def test_a_pdf_of_a_huge_page_costs_no_more_than_a_small_one(tmp_path):
    """200 inches square: at 300 dots each, 3,600 million pixels."""
    Image.new("L", (200, 200), 128).save(tmp_path / "x.pdf", resolution=1)
    assert max(picture.load(tmp_path / "x.pdf").shape) <= picture.MAX_SIDE + 1


def test_a_missing_file_is_rejected(tmp_path):
    assert rejection(tmp_path / "none.png") == f"{tmp_path}/none.png: missing; expected {picture.EXPECTED}"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "."])
def test_a_device_or_directory_is_rejected(path):
    assert rejection(Path(path)).endswith(f": found a directory, device, pipe or socket, expected {picture.EXPECTED}")


def test_a_pipe_is_rejected_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "found a directory, device, pipe or socket" in rejection(tmp_path / "pipe.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        b"GIF89a" + bytes(100),
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        png(30, 30, b""),
        png(0, 0, b""),
        b"%PDF-1.4\n",
        b"II*\0" + bytes(60),
        b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20),
        b"\0\0\0\x18ftypheic" + bytes(60),
    ],
    ids=[
        "empty",
        "text",
        "gif",
        "jpeg",
        "postscript",
        "no data",
        "no size",
        "pdf",
        "tiff",
        "webp",
        "heic",
    ],
)
def test_what_is_no_whole_picture_is_rejected(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    assert rejection(tmp_path / "x.png").startswith(f"{tmp_path}/x.png: not a picture that can be read (")


@pytest.mark.parametrize("name", ["x.jpg", "x.png"])
def test_a_truncated_picture_is_rejected(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:9000])
    assert "not a picture that can be read (image file is truncated" in rejection(tmp_path / name)


@pytest.mark.parametrize("side", [8_000, 12_000, 60_000])
def test_a_decompression_bomb_is_rejected_before_it_is_decoded(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, b""))
    code = (
        "import resource, sys; from pathlib import Path; from handwriting.pages import picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: picture.load(Path(sys.argv[1]))\n"
        "except SystemExit as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    line, kibibytes = done.stdout.splitlines()
    assert line.startswith(f"{path}: ")
    assert "pixels" in line
    assert done.stderr == ""
    assert int(kibibytes) < 2**15


def test_a_file_that_is_too_long_is_rejected_unread(tmp_path):
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(2**40)
    assert rejection(tmp_path / "x.png") == (
        f"{tmp_path}/x.png: found 1,099,511,627,776 bytes, expected at most 67,108,864"
    )
