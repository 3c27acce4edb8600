"""What the README says is true: its commands, paths, graph and error messages; cog checks its figures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import documents
import pytest
import yaml

from benchmarks.shared.presets import PRESETS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in documents.DOCUMENTS)
MODULES = [*ROOT.glob("stages/**/*.py"), *ROOT.glob("handwriting/**/*.py")]
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, ROOT / "Makefile"])
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("preset", PRESETS)
def test_the_command_of_a_preset_sets_what_was_measured_after_all_commands_before_it(preset):
    """What `-S` sets stays in params.yaml."""
    section = documents.section_with("dvc exp run -S raw=data/digit-recognizer.zip")
    params = {f"{name}.{key}": str(value) for name in ("prepare", "train") for key, value in PARAMS[name].items()}
    expected = params | dict(change.split("=") for change in ["raw=data/digit-recognizer.zip", *PRESETS[preset]])
    runs = []
    for command in (command for block in section.blocks for command in block if "dvc exp run" in command):
        params |= dict(re.findall(r"-S ([\w.]+)=(\S+)", command))
        runs.append(dict(params))
    assert expected in runs


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z][a-z-]*)", DOCUMENTS))))
def test_every_target_it_names_is_in_the_makefile(target):
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"))


def test_its_layout_is_the_tree():
    text = (ROOT / "docs/layout.md").read_text(encoding="utf-8")
    tables = re.findall(r"\| modules \|\n(.+?)\n\n", text, re.DOTALL)
    rows = re.findall(r"(?m)^\| `([\w/]+)` \| [^|]+ \| (`[^|]+) \|$", "\n".join(tables))
    folders = {f"stages/digits/{name}" if (ROOT / "stages/digits" / name).exists() else name: row for name, row in rows}
    assert set(folders) == {str(path.parent.relative_to(ROOT)) for path in MODULES} - {"stages", "stages/digits"}
    for folder, modules in folders.items():
        written = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
        assert set(re.findall(r"`(\w+)`", modules)) == written


@pytest.mark.slow
def test_its_graph_is_dvcs():
    edges = {
        (before, after) for before, ends in re.findall(r"(?m)^\t(\w+) --> (.+)$", README) for after in ends.split(" & ")
    }
    dag = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert edges == {(a, b) for a, b in re.findall(r'"(\w+)" -> "(\w+)"', dag)}


@pytest.mark.parametrize("document", documents.DOCUMENTS)
def test_every_link_and_image_exists(document):
    path = ROOT / document
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[\w-]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


def test_cog_checks_every_document_with_generated_figures():
    generated = re.search(r"(?m)^GENERATED := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split()
    with_figures = {name for name in documents.DOCUMENTS if "[[[cog" in (ROOT / name).read_text(encoding="utf-8")}
    assert set(generated) == with_figures


def test_links_to_its_own_sections_exist():
    sections = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", README)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", README)) <= sections


@pytest.mark.parametrize(
    "text",
    [
        "lacks this project's packages",
        "no scheduler answers at",
        "training diverged",
        "different code or library versions",
        "expected Python 3.11, 3.12 or 3.13",
    ],
)
def test_the_messages_that_troubleshooting_explains_are_those_of_the_code(text):
    assert text in (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    assert text in SOURCES


def test_every_metric_is_explained_and_no_other():
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for name in ("metrics/prepare.json", "metrics/evaluate.json"):
        table = page.partition(f"| in `{name}`")[2].partition("\n\n")[0]
        explained = {key for cell in re.findall(r"(?m)^\| (`.+?) \|", table) for key in re.findall(r"`(\w+)`", cell)}
        written = set(json.loads((ROOT / name).read_text(encoding="utf-8")))
        assert {key for key in explained if not key.startswith(("own_", "print_"))} == written  # of no own digits


def test_no_line_is_wider_than_120_columns_but_for_tables():
    assert not [line for line in README.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
