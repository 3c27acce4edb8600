"""A form to fill in with one's own digits: a PDF of two pages, A4 and Letter.

python -m handwriting.form [FILE]
"""

from handwriting.collection import form_layout
from stages.digits.base import errors, files, params
from stages.digits.report import drawing

# isort: split
import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from handwriting.collection.form_layout import Layout
from stages.digits.base.errors import InputError

__all__ = ["drawing"]  # it sets Matplotlib up
MM_PER_INCH = 25.4
PALE = "0.72"  # of the ruling and the examples: paler than any pen
NAME_POINTS = (28, 16, 10, 7)  # sizes of an example: the largest that fits


def draw(layout: Layout, classes: Sequence[str]) -> Figure:
    """One page: a row of cells for each class, an example before it, and a marker in each corner."""
    figure = Figure(figsize=(layout.width / MM_PER_INCH, layout.height / MM_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(layout.height, 0))
    axes.set_axis_off()
    for marker, corners in zip(layout.markers, layout.marker_corners(), strict=True):
        _draw_marker(axes, form_layout.marker_image(marker), corners[0])
    for row, name in enumerate(classes):
        left, top, _, _ = layout.cell(row, 0)
        middle = top + layout.cell_height / 2
        points = NAME_POINTS[min(len(name) // 2, len(NAME_POINTS) - 1)]
        axes.text(left - 7, middle, name, color=PALE, size=points, ha="center", va="center")
        for column in range(layout.columns):
            left, top, right, bottom = layout.cell(row, column)
            axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=PALE, linewidth=0.6))
    middle = layout.width / 2
    text = "Write each row's digit in its cells, as you always write it, with a dark pen. Cells may stay blank."
    axes.text(middle, 12, text, size=9, ha="center", va="center")
    text = "Miswritten? Cross the cell out from corner to corner. Then scan the page, 150 dpi or more, either way up:"
    axes.text(middle, layout.height - 16, text, size=9, ha="center", va="center")
    command = "python -m handwriting.collect SCAN"
    axes.text(middle, layout.height - 11, command, size=9, ha="center", va="center", family="monospace")
    return figure


def _draw_marker(axes: Axes, image: form_layout.Marker, corner: Sequence[float]) -> None:
    side = form_layout.MARKER_SIDE / len(image)
    for row, line in enumerate(image):
        for column, value in enumerate(line):
            if not value:
                place = corner[0] + column * side, corner[1] + row * side
                axes.add_patch(Rectangle(place, side, side, color="black", linewidth=0.1))  # without, gaps would show


def write(path: Path, classes: Sequence[str]) -> None:
    """Write the PDF: the same bytes each time."""
    with files.atomic_path(path) as temporary, PdfPages(temporary, metadata={"CreationDate": None}) as pdf:
        for layout in form_layout.LAYOUTS:
            pdf.savefig(draw(layout, classes))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m handwriting.form", description="Write a form for your own digits.")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, default=Path("form.pdf"), help="form.pdf by default"
    )
    path = parser.parse_args().file
    if path.suffix.lower() != ".pdf":
        raise InputError(f"{path}: expected a name that ends in .pdf")
    write(path, params.classes())
    print(f"wrote {path}: print the page of your paper's size, A4 or Letter, fill it in, scan it; then")
    print("python -m handwriting.collect SCAN")


if __name__ == "__main__":
    errors.run(main, "nothing was changed; run it again")
