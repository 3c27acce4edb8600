"""Files of pictures -> gray pixels, at a bounded cost: PNG, JPEG, WebP, TIFF, HEIC and PDF, page by page."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pillow_heif
import pypdfium2
from PIL import Image, ImageOps

from stages.digits.base.errors import InputError
from stages.digits.tables import archive

EXPECTED = "a PNG, JPEG, WebP, TIFF, HEIC or PDF file"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "HEIF")
MAX_PIXELS = 50_000_000  # of the file's picture: a photo of a phone has 12 to 50 million
MAX_BYTES = 2**26  # of a file of one picture, which may be read at once
MAX_DOCUMENT_BYTES = 2**33  # of a PDF or TIFF file, which is read page by page
MAX_PAGES = 10_000
PDF, TIFFS = b"%PDF-", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how they begin; a PDF after blanks
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".heic", ".heif", ".pdf")
MAX_SIDE = 4000  # pixels: larger pictures are made smaller
DOTS_PER_INCH = 300  # of a PDF's page
POINTS_PER_INCH = 72
PDF_PAGES_AT_ONCE = 20  # then the file is opened again: PDFium keeps all that it has read of it

cv2.setNumThreads(1)  # its results then don't depend on the number of cores

Picture = npt.NDArray[np.uint8]  # (height, width), brightness, at most MAX_SIDE either way


def load(path: Path) -> Picture:
    """The first page, as a person sees it: upright, transparent parts filled; InputError if the file is none."""
    return next(pages(path))[1]


def files_of(path: Path) -> list[Path]:
    """The file itself; of a folder, its pictures, by the ends of their names, in the order of these names.

    InputError if the folder has none.
    """
    if not path.is_dir():
        return [path]
    found = [one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and not one.name.startswith(".")]
    if not found:
        raise InputError(f"{path}: found no picture in this folder; expected names that end in {' '.join(SUFFIXES)}")
    return sorted(found)


def count(path: Path) -> int:
    """How many pages a file has, at the cost of its beginning; 1 if it can't be read, which `pages` reports."""
    try:
        beginning = _check(path)
        if beginning.startswith(PDF):
            with pypdfium2.PdfDocument(path) as document:
                number = len(document)
        else:
            number = 1
            if beginning.startswith(TIFFS):
                with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("TIFF",)) as image:
                    number = getattr(image, "n_frames", 1)
    except (Exception, InputError):  # as in `pages`
        return 1
    return number if 1 <= number <= MAX_PAGES else 1


def pages(path: Path, first: int = 0) -> Iterator[tuple[str, Picture]]:
    """The pages of a file from the first one, from 0, on, each with its name."""
    try:
        is_pdf = _check(path).startswith(PDF)
        yield from _pdf_pages(path, first) if is_pdf else _image_pages(path, first)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; expected {EXPECTED}") from None
    except Exception as error:  # Pillow raises a dozen kinds: the file may hold anything
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{path}: not a picture that can be read ({reason}); expected {EXPECTED}: save it as one of these"
        ) from None


def name_page(path: Path, number: int, count: int) -> str:
    """The file's name, and the page's number, from 0, as a person counts if there are several."""
    name = str(path).encode(errors="backslashreplace").decode()  # no part of a CSV may be other bytes than UTF-8
    return name if count == 1 else f"{name}, page {number + 1}"


def _check(path: Path) -> bytes:
    """The beginning of a file, without blanks; InputError if it is no regular file, or too large."""
    beginning = b""
    if path.is_file():
        with path.open("rb") as file:
            beginning = file.read(1024).lstrip()
    limit = MAX_DOCUMENT_BYTES if beginning.startswith((PDF, *TIFFS)) else MAX_BYTES
    archive.check_regular(path, str(path), EXPECTED, limit)
    return beginning


def _image_pages(path: Path, first: int) -> Iterator[tuple[str, Picture]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large or damaged files, which are rejected here
        pillow_heif.register_heif_opener(thumbnails=False)
        with Image.open(path, formats=FORMATS) as image:
            count = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
            for number in _numbers(path, first, count):
                if count > 1:
                    image.seek(number)
                _check_size(path, *image.size)
                image.draft("L", (MAX_SIDE, MAX_SIDE))  # a JPEG file can be decoded at a fraction of its size
                yield name_page(path, number, count), _gray(ImageOps.exif_transpose(_shrink(image)))


def _pdf_pages(path: Path, first: int) -> Iterator[tuple[str, Picture]]:
    with pypdfium2.PdfDocument(path) as document:
        numbers = _numbers(path, first, count := len(document))
    for start in numbers[::PDF_PAGES_AT_ONCE]:
        with pypdfium2.PdfDocument(path) as document:
            for number in numbers[start - first : start - first + PDF_PAGES_AT_ONCE]:
                page = document[number]
                inches = [side / POINTS_PER_INCH for side in page.get_size()]
                if not min(inches) > 0:
                    raise InputError(f"{path}: found a page of {inches[0]:g} × {inches[1]:g} inches")
                dots = min(DOTS_PER_INCH, MAX_SIDE / max(inches))
                bitmap = page.render(scale=dots / POINTS_PER_INCH, grayscale=True)
                yield name_page(path, number, count), np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width)
                bitmap.close()
                page.close()


def _numbers(path: Path, first: int, count: int) -> range:
    if not 1 <= count <= MAX_PAGES:
        raise InputError(f"{path}: found {count:,} pages, expected 1 to {MAX_PAGES:,}")
    return range(first, count)


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
