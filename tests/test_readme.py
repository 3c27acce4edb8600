"""What the README says is true: its commands, paths, graph and error messages; cog checks its figures."""

import json
import re
import subprocess
import sys
from pathlib import Path

import documents
import pytest
import yaml

from benchmarks.presets import PRESETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [documents.bare(command) for s in documents.sections() for block in s.blocks for command in block]
DOCUMENTS = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in documents.DOCUMENTS)
MODULES = [*ROOT.glob("stages/**/*.py"), *ROOT.glob("handwriting/*.py")]
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in [*MODULES, ROOT / "Makefile"])
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("preset", ["quick", "best"])
def test_the_command_of_a_preset_sets_what_was_measured(preset):
    measured = {"raw=data/digit-recognizer.zip", *PRESETS[preset]}
    default = {f"train.{key}={value}" for key, value in PARAMS["train"].items()}
    assert measured in [set(re.findall(r"-S (\S+)", command)) - default for command in COMMANDS]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z][a-z-]*)", DOCUMENTS))))
def test_every_target_it_names_is_in_the_makefile(target):
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"))


def test_its_layout_is_the_tree():
    tree = (ROOT / "docs/layout.md").read_text(encoding="utf-8").partition("```\n")[2].partition("```")[0]
    named = set(re.findall(r"[\w./]+(?:\.py|\.yaml|\.lock|\.md|/)(?=\s)", tree))
    modules = {path.name for path in MODULES if path.name != "__init__.py"}
    assert {name for name in named if name.endswith(".py")} == modules
    for name in named - modules:
        assert list(ROOT.glob(name)) or list((ROOT / "stages").glob(name)), name


def test_its_graph_is_dvcs():
    edges = set(re.findall(r"(?m)^\t(\w+) --> (\w+)$", README))
    dag = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert edges == {(a, b) for a, b in re.findall(r'"(\w+)" -> "(\w+)"', dag)}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", *map(str, ROOT.glob("docs/*.md"))])
def test_every_link_and_image_exists(document):
    path = ROOT / document
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[\w-]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


def test_cog_checks_every_document_with_generated_figures():
    generated = re.search(r"(?m)^GENERATED := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"))[1].split()
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    with_figures = {path for path in documents if "[[[cog" in path.read_text(encoding="utf-8")}
    assert {ROOT / name for name in generated} == with_figures


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
    table = page.partition("| in `metrics/evaluate.json`")[2].partition("\n\n")[0]
    explained = {name for cell in re.findall(r"(?m)^\| (`.+?) \|", table) for name in re.findall(r"`(\w+)`", cell)}
    assert explained == set(json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8")))


def test_no_line_is_wider_than_120_columns_but_for_tables():
    assert not [line for line in README.splitlines() if len(line) > 120 and not line.startswith(("|", "!["))]
