"""Files of pictures -> gray pixels, at a bounded cost: PNG, JPEG, WebP, TIFF, HEIC and PDF, page by page."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pypdfium2
from PIL import Image, ImageOps, ImageSequence

from stages.digits.base.errors import InputError
from stages.digits.tables import archive

EXPECTED = "a PNG, JPEG, WebP, TIFF, HEIC or PDF file"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "HEIF")
MAX_PIXELS = 50_000_000  # of the file's picture: a photo of a phone has 12 to 50 million
MAX_BYTES = 2**26  # of the file
MAX_PAGES = 50
MAX_SIDE = 4000  # pixels: larger pictures are made smaller
DOTS_PER_INCH = 300  # of a PDF's page
POINTS_PER_INCH = 72

cv2.setNumThreads(1)  # its results then don't depend on the number of cores

Picture = npt.NDArray[np.uint8]  # (height, width), brightness, at most MAX_SIDE either way


def load(path: Path) -> Picture:
    """The first page, as a person sees it: upright, transparent parts filled; InputError if the file is none."""
    return next(pages(path))[1]


def pages(path: Path) -> Iterator[tuple[str, Picture]]:
    """The pages of a file, one after the other, each with a name: that of the file, and a number if it has several."""
    try:
        archive.check_regular(path, str(path), EXPECTED, MAX_BYTES)
        with path.open("rb") as file:
            is_pdf = file.read(1024).lstrip().startswith(b"%PDF-")
        yield from _pdf_pages(path) if is_pdf else _image_pages(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; expected {EXPECTED}") from None
    except Exception as error:  # Pillow raises a dozen kinds: the file may hold anything
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: not a picture that can be read ({reason}); expected {EXPECTED}: save it as one of these"
        ) from None


def _image_pages(path: Path) -> Iterator[tuple[str, Picture]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large or damaged files, which are rejected here
        pillow_heif.register_heif_opener(thumbnails=False)
        with Image.open(path, formats=FORMATS) as image:
            count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            names = _name_pages(path, count)
            for name, page in zip(names, ImageSequence.Iterator(image) if count > 1 else [image], strict=True):
                _check_size(path, *page.size)
                page.draft("L", (MAX_SIDE, MAX_SIDE))  # a JPEG file can be decoded at a fraction of its size
                yield name, _gray(ImageOps.exif_transpose(_shrink(page)))


def _pdf_pages(path: Path) -> Iterator[tuple[str, Picture]]:
    with pypdfium2.PdfDocument(path) as document:
        for number, name in enumerate(_name_pages(path, len(document))):
            page = document[number]
            inches = [side / POINTS_PER_INCH for side in page.get_size()]
            if not min(inches) > 0:
                raise InputError(f"{path}: found a page of {inches[0]:g} × {inches[1]:g} inches")
            dots = min(DOTS_PER_INCH, MAX_SIDE / max(inches))
            bitmap = page.render(scale=dots / POINTS_PER_INCH, grayscale=True)
            yield name, np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)
            bitmap.close()
            page.close()


def _name_pages(path: Path, count: int) -> list[str]:
    if not 1 <= count <= MAX_PAGES:
        raise InputError(f"{path}: found {count:,} pages, expected 1 to {MAX_PAGES}")
    return [str(path)] if count == 1 else [f"{path}, page {number}" for number in range(1, count + 1)]


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: found {width:,} × {height:,} pixels, expected at most {MAX_PIXELS:,}")


def _shrink(image: Image.Image) -> Image.Image:
    """At most MAX_SIDE pixels either way, in a mode whose values are amounts of light."""
    if image.mode.startswith("I"):  # 16 bits
        values = np.asarray(image)
        small = Image.fromarray((values.clip(0, 2**16 - 1) // 257).astype(np.uint8))
        small.info, image = image.info, small
    elif image.mode != "L":
        image = image.convert("RGBA" if image.has_transparency_data else "L")
    else:
        image = image.copy()
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    return image


def _gray(image: Image.Image) -> Picture:
    """Brightness; what is transparent becomes white, or black where what can be seen is light."""
    brightness = np.array(image.convert("L"), dtype=np.float32)
    if image.mode == "RGBA":
        opacity = np.asarray(image.getchannel("A"), dtype=np.float32) / 255
        is_light = (brightness * opacity).sum(dtype=np.float64) > 127.5 * opacity.sum(dtype=np.float64)
        brightness *= opacity
        brightness += (0 if is_light else 255) * (1 - opacity)
    return brightness.round().astype(np.uint8)
