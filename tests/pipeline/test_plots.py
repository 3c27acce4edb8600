"""DVC's plots: what the charts show, and that the page shows them with no network."""

import json
import re
import runpy
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import vl_convert
import yaml
from dvc_render import VegaRenderer

from stages.digits.report import metrics

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / ".dvc" / "plots"
PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
CHARTS = {name: chart for plot in PLOTS if isinstance(plot, dict) for name, chart in plot.items()}
IMAGES = [plot for plot in PLOTS if isinstance(plot, str)]


def plots_show(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "dvc", "plots", "show", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def picture(spec: dict) -> ElementTree.Element:
    return ElementTree.fromstring(vl_convert.vegalite_to_svg(spec, vl_version="5.21"))


def texts(svg: ElementTree.Element) -> list[str]:
    return [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]


def marks(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    """The marks of data, without those of axes and legends."""
    groups = [group for group in svg.iter() if f"mark-{kind} role-mark" in group.get("class", "")]
    return [mark for group in groups for mark in group]


def labels(svg: ElementTree.Element) -> list[tuple[str, float]]:
    """The labels of axes, each with its distance from the top."""
    groups = [group for group in svg.iter() if "role-axis-label" in group.get("class", "")]
    return [(mark.text, float(mark.get("transform").split(",")[1].rstrip(")"))) for group in groups for mark in group]


def brightness(mark: ElementTree.Element) -> float:
    """The mean of red, green and blue, 0 to 255, of a fill such as `rgb(9, 9, 9)`."""
    return sum(map(int, re.findall(r"\d+", mark.get("fill")))) / 3


def compared(name: str, **revisions: pd.DataFrame) -> ElementTree.Element:
    """The chart as `dvc plots diff` draws it; DVC hands the cells of a CSV over as text."""
    rows = [
        row | {"rev": revision} for revision, table in revisions.items() for row in table.astype(str).to_dict("records")
    ]
    chart = CHARTS[name] | {"y": next(iter(CHARTS[name]["y"].values())), "template_dir": TEMPLATES}
    return picture(VegaRenderer(rows, name, **chart).get_filled_template())


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / next(iter(CHARTS[name]["y"])))


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict:
    return json.loads(plots_show("--json", "--out", tmp_path_factory.mktemp("json")))


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    plots_show("--out", folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def sources(page) -> list[str]:
    """All that the page has a browser fetch."""
    sources = []

    class Sources(HTMLParser):
        def handle_starttag(self, _tag, attributes):
            sources.extend(value for name, value in attributes if name in ("src", "href", "srcset", "data"))

    Sources().feed(page.read_text(encoding="utf-8"))
    return sources


def test_dvc_renders_every_plot_without_errors(shown):
    assert "errors" not in shown
    assert set(shown["data"]) == {*CHARTS, *IMAGES}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHARTS if len(table(name))])
def test_chart_has_its_title_and_axes_labelled(shown, name):
    written = texts(picture(shown["data"][name][0]["content"]))
    assert {text for key, text in CHARTS[name].items() if key in ("title", "x_label", "y_label")} <= set(written)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["loss", "accuracy"])
def test_curves_of_training_and_validation_are_drawn_for_each_member_and_the_mean(shown, name):
    svg = picture(shown["data"][name][0]["content"])
    assert {"training", "validation"} <= set(texts(svg))
    assert len(marks(svg, "line")) == 2 * (table(name)["member"].nunique() + 1)


def test_the_learning_rate_is_one_line_a_revision_that_rises_and_falls():
    rates = pd.DataFrame({"member": [0, 0, 0, 1, 1, 1], "epoch": [1, 2, 3] * 2, "learning_rate": [0.002, 0.008, 0] * 2})
    svg = compared("learning_rate", main=rates, workspace=rates.assign(learning_rate=0.001))
    assert len(marks(svg, "line")) == 2
    steps = [float(y) for y in re.findall(r"[ML][\d.-]+,([\d.-]+)", marks(svg, "line")[0].get("d"))]
    assert steps[1] < steps[0] < steps[2]  # the axis of an SVG points down


def test_the_accuracy_axis_widens_towards_100_percent(shown):
    svg = picture(shown["data"]["accuracy"][0]["content"])
    heights = {text: y for text, y in labels(svg) if text}
    assert heights["80%"] - heights["95%"] < 2 * (heights["95%"] - heights["99.5%"])  # linear: 3.3 times


def test_the_headline_states_accuracy_with_its_error_errors_members_and_log_loss(shown):
    rows = pd.read_csv(ROOT / "plots/headline.csv")
    assert rows["figure"].tolist() == ["accuracy", "errors", "labelled images", "members", "log loss"]
    assert {*rows["figure"], *rows["value"]} <= set(texts(picture(shown["data"]["headline"][0]["content"])))


def test_class_balance_compares_predictions_for_both_files_with_the_labels(shown):
    svg = picture(shown["data"]["class_balance"][0]["content"])
    assert {"held out", "labelled", "unlabelled"} <= set(texts(svg))
    assert Counter(mark.get("fill") for mark in marks(svg, "symbol")) == dict.fromkeys(
        ("#0072b2", "#999999", "#e69f00"), 10
    )


def test_the_worst_writer_comes_first_and_each_bar_has_its_count_beside_it():
    rows = [("steady", 1, 200, 0.005), ("hasty", 30, 100, 0.3)]
    svg = compared("own_writers", workspace=pd.DataFrame(rows, columns=["writer", "errors", "images", "error_rate"]))
    heights = dict(labels(svg))
    assert heights["hasty"] < heights["steady"]
    assert {mark.text for mark in marks(svg, "text")} == {"30 of 100", "1 of 200"}


def test_each_panel_of_the_errors_of_a_class_has_an_axis_of_its_own():
    """So errors of 0.4 % are seen beside own errors of 80 %."""
    own = pd.DataFrame({"digit": range(10), "measure": "own recall", "value": 0.2})
    written = [text for text, _ in labels(compared("per_class", workspace=pd.concat([table("per_class"), own])))]
    assert {"80%", "5%"} <= set(written)


def test_confusion_prints_every_count_and_leaves_zeros_blank():
    cells = marks(compared("confusion_matrix", workspace=table("confusion_matrix")), "text")
    counts = table("confusion_matrix")["images"]
    assert Counter(cell.text for cell in cells) == Counter(counts[counts > 0].astype(str))


def test_confusion_colours_errors_only_and_by_the_fraction_of_the_actual_digit():
    rare, common = (0, 1, 5, 0.5), (1, 0, 50, 0.05)  # five of ten are worse than fifty of a thousand
    right = [(0, 0, 5, 0.5), (1, 1, 950, 0.95)]
    cells = pd.DataFrame([rare, common, *right], columns=["actual", "predicted", "images", "fraction"])
    first, second = [brightness(mark) for mark in marks(compared("confusion_matrix", workspace=cells), "rect")]
    assert first < second < 255


def test_confusion_without_an_error_still_has_a_legend():
    cells = pd.DataFrame({"actual": [0, 1], "predicted": [0, 1], "images": [5, 5], "fraction": [1.0, 1.0]})
    written = texts(compared("confusion_matrix", workspace=cells))
    assert "0.1%" in written
    assert "NaN%" not in written


def test_confusion_has_a_panel_for_each_revision():
    svg = compared(
        "confusion_matrix", main=table("confusion_matrix"), workspace=table("confusion_matrix").assign(images=7)
    )
    assert Counter(cell.text for cell in marks(svg, "text"))["7"] >= 100
    assert {"main", "workspace"} <= set(texts(svg))


@pytest.mark.parametrize("name", ["confusion_matrix", "per_class"])
def test_classes_come_in_the_order_of_their_labels_and_long_names_are_slanted(name):
    names = ["Bag", "Ankle boot", "Dress", "T-shirt/top", "Coat", "Sandal", "Shirt", "Sneaker", "Pullover", "Trouser"]
    svg = compared(name, workspace=metrics.name_classes(table(name), names))
    written = [text for text in texts(svg) if text in names]
    assert written == names * (2 if name == "confusion_matrix" else 1)
    assert slanted(svg) == set(names)
    assert not slanted(compared(name, workspace=table(name)))


def slanted(svg: ElementTree.Element) -> set[str]:
    elements = svg.iter("{http://www.w3.org/2000/svg}text")
    return {element.text for element in elements if "rotate(-40)" in element.get("transform", "")} - {None}


@pytest.mark.parametrize("name", ["per_class", "calibration"])
def test_revisions_differ_in_colour(name):
    svg = compared(name, main=table(name), workspace=table(name))
    colours = Counter(mark.get("fill") for kind in ("symbol", "rect") for mark in marks(svg, kind))
    assert list(colours.values()) == [len(table(name))] * 2


def test_bars_show_the_errors_of_each_digit_from_zero():
    values = table("per_class").assign(value=1.0)
    values.loc[values.index[3], "value"] = 0.98
    svg = compared("per_class", workspace=values)
    assert {"missed (1 − recall)", "false (1 − precision)", "0%", "2%"} <= set(texts(svg))
    wrong = [re.search(r"share wrong: (\d+%)", bar.get("aria-label"))[1] for bar in marks(svg, "rect")]
    assert Counter(wrong) == {"0%": 19, "2%": 1}


def test_calibration_shows_the_diagonal_and_larger_points_for_more_images():
    bins = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.5, 0.9], "images": [9, 1000]})
    svg = compared("calibration", workspace=bins)
    assert [line.get("stroke-dasharray") for line in marks(svg, "line")].count("4,4") == 1
    small, large = [float(point.get("d").split(",")[0].removeprefix("M")) for point in marks(svg, "symbol")]
    assert small < large / 2


def test_calibration_gives_bins_of_few_images_long_error_bars():
    bins = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [1.0, 0.9], "images": [2, 1000]})
    bars = marks(compared("calibration", workspace=bins), "rule")
    few, many = [abs(float(bar.get("y2"))) for bar in bars]
    assert few > 10 * many


def test_page_fetches_nothing_but_the_images_beside_it(page, sources):
    assert len(sources) == len(IMAGES)
    assert all((page.parent / source).is_file() for source in sources)


def test_page_styles_itself_without_the_network():
    readable = (TEMPLATES / "page.html").read_text(encoding="utf-8").partition('<script id="vega">')[0]
    assert not any(word in readable for word in ("http", "url(", "@import"))


@pytest.mark.slow
def test_dvc_calls_vega_embed_for_every_chart_as_the_page_expects(page):
    written = page.read_text(encoding="utf-8")
    assert all(f"vegaEmbed('#{name}', spec)" in written for name in CHARTS)


@pytest.mark.slow
def test_page_carries_the_vega_of_the_installed_vl_convert():
    page = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    renewed = runpy.run_path(str(TEMPLATES / "page.py"))["renewed"](page)
    same = page == renewed  # compared here, or pytest would take minutes to show where 900 kB differ
    assert same, "renew it: python .dvc/plots/page.py"
