"""Write printed digits into data/own, as a writer named `print`: meters, receipts and forms are printed, MNIST isn't.

python -m handwriting.print [--count COUNT] [--seed SEED]

A digit in one of Matplotlib's fonts is turned by up to 6°, made 14 to 30 pixels high, blurred by 0.4 to 2.4 pixels,
with a contrast of 0.4 to 1 on gray, noisy paper, as in a small photo; then brought to MNIST's form as any photo is.
"""

from stages.digits.report import drawing

# isort: split
import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageFont
from tqdm import tqdm

from handwriting.collection import intake
from handwriting.collection.intake import Target
from handwriting.collection.pictures import LeftOut
from handwriting.pages.picture import Picture
from stages.digits.base import dataset, errors, params
from stages.digits.base.dataset import Images, Probabilities
from stages.digits.base.errors import InputError
from stages.digits.tables import own

FOLDER = Path(drawing.matplotlib.get_data_path(), "fonts/ttf")
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral"),
    *("STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10"),
)
FONT_SIZE = 96  # pixels, before a digit is made smaller


def draw(digit: int, font: str, random: np.random.Generator) -> Picture:
    """A small photo of a printed digit."""
    mask = ImageFont.truetype(FOLDER / f"{font}.ttf", FONT_SIZE).getmask(str(digit))
    ink = Image.frombytes("L", mask.size, bytes(mask)).rotate(
        random.uniform(-6, 6), Image.Resampling.BICUBIC, expand=True
    )
    height = round(random.uniform(14, 30))
    width = max(1, round(ink.width * height / ink.height))
    board = Image.new("L", (width + 2 * height, 3 * height))
    board.paste(ink.resize((width, height), Image.Resampling.BOX), (height, height))
    blurred = np.asarray(board.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 2.4)))) / 255
    brightness = random.uniform(150, 255) * (1 - random.uniform(0.4, 1) * blurred)
    noise = random.normal(0, random.uniform(0, 6), blurred.shape)
    return (brightness + noise).clip(0, 255).round().astype(np.uint8)


def pages(count: int, seed: int) -> Iterator[tuple[str, int, Picture]]:
    """Printed digits, each with a name and its label, one label after the other."""
    for digit in range(dataset.DIGITS):
        for number in range(digit, count, dataset.DIGITS):
            random = np.random.default_rng([seed, number])  # of its own: a larger count adds to a smaller one
            yield f"digit {number}", digit, draw(digit, FONTS[number // dataset.DIGITS % len(FONTS)], random)


def unread(images: Images) -> Probabilities:
    """No predictions: models may differ, and what is written is the same each time."""
    return np.zeros((len(images), dataset.DIGITS))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m handwriting.print", description="Write printed digits.")
    parser.add_argument("--count", type=int, default=intake.BATCH, help=f"by default, and at most, {intake.BATCH}")
    parser.add_argument("--seed", type=int, default=1, help="each has other digits; 1 by default")
    arguments = parser.parse_args()
    if not (1 <= arguments.count <= intake.BATCH and arguments.seed >= 0):
        raise InputError(f"expected --count from 1 to {intake.BATCH}, and --seed from 0")
    to = Target(params.own() or own.FOLDER, dataset.PRINT, params.classes(), unread)
    bar = tqdm(pages(arguments.count, arguments.seed), total=arguments.count, leave=False, disable=None)
    intake.take_pictures(dataset.PRINT, bar, LeftOut(list), to, intake.known(to.folder))


if __name__ == "__main__":
    errors.run(main, "nothing was changed; run it again")
