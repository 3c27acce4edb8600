"""A PNG or JPEG file -> gray pixels, at a bounded cost."""

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from stages.digits import archive
from stages.digits.errors import InputError

MAX_PIXELS = 50_000_000  # of the file's picture: a photo of a phone has 12 to 50 million
MAX_BYTES = 2**26  # of the file
EXPECTED = "a PNG or JPEG file"
MAX_SIDE = 4000  # pixels: larger pictures are made smaller

Picture = npt.NDArray[np.uint8]  # (height, width), brightness, at most MAX_SIDE either way


def load(path: Path) -> Picture:
    """The picture as a person sees it: upright, transparent parts filled; InputError if the file is none."""
    try:
        archive.check_regular(path, str(path), "a PNG or JPEG file", MAX_BYTES)
        return _decode(path)
    except FileNotFoundError:
        raise InputError(f"{path}: missing; expected a PNG or JPEG file") from None
    except Exception as error:  # Pillow raises a dozen kinds: the file may hold anything
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: not a PNG or JPEG picture that can be read: {reason}") from None


def _decode(path: Path) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large or damaged files, which are rejected here
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(f"{path}: found {width:,} × {height:,} pixels, expected at most {MAX_PIXELS:,}")
            image.draft("L", (MAX_SIDE, MAX_SIDE))  # a JPEG file can be decoded at a fraction of its size
            return _gray(ImageOps.exif_transpose(_shrink(image)))


def _shrink(image: Image.Image) -> Image.Image:
    """At most MAX_SIDE pixels either way, in a mode whose values are amounts of light."""
    if image.mode.startswith("I"):  # 16 bits
        values = np.asarray(image)
        image = Image.fromarray((values.clip(0, 2**16 - 1) // 257).astype(np.uint8))
    elif image.mode != "L":
        image = image.convert("RGBA" if image.has_transparency_data else "L")
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.BOX)
    return image


def _gray(image: Image.Image) -> Picture:
    """Brightness; what is transparent becomes white, or black where what can be seen is light."""
    brightness = np.asarray(image.convert("L"), dtype=np.float64)
    if image.mode == "RGBA":
        opacity = np.asarray(image.getchannel("A"), dtype=np.float64) / 255
        is_light = (brightness * opacity).sum() > 127.5 * opacity.sum()
        brightness = brightness * opacity + (0 if is_light else 255) * (1 - opacity)
    return brightness.round().astype(np.uint8)
