"""What the README says is so: its figures, commands, paths and error texts."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks import tenfold
from benchmarks.compare import summary
from benchmarks.measured import PROFILES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNS = pd.read_csv(ROOT / "benchmarks/kaggle.csv", keep_default_na=False)
COMMANDS = re.findall(r"(?m)^\$ (.+?)(?:\s+#.*)?$", README)
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in [*ROOT.glob("stages/**/*.py"), ROOT / "Makefile"])


def row(name: str) -> str:
    return next(line for line in README.splitlines() if line.startswith(f"| {name} |"))


@pytest.mark.parametrize("profile", PROFILES)
def test_kaggles_figures_are_those_of_the_committed_runs(profile):
    runs = RUNS[RUNS["profile"] == profile]
    images, mean = runs["images"].iloc[0], runs["errors"].mean()
    assert set(runs["changes"]) == {" ".join(PROFILES[profile])}
    assert set(runs["images"]) == {images}
    assert row(profile) == (
        f"| {profile} | **{100 - 100 * mean / images:.2f} %** ± {100 * mean**0.5 / images:.2f} "
        f"| {', '.join(map(str, runs['errors']))} of {images:,} "
        f"| {runs['cpu_minutes'].mean():.1f} CPU min, {runs['wall_minutes'].mean():.1f} min |"
    )
    (machine,) = set(runs["machine"])
    assert f"On {machine.replace('2 cores,', 'two cores of an')}" in README


@pytest.mark.parametrize("profile", ["quick", "best"])
def test_the_command_of_a_profile_makes_what_was_measured(profile):
    changes = [f"-S {change}" for change in ["raw=data/digit-recognizer.zip", *PROFILES[profile]]]
    assert " ".join(["dvc exp run", *changes]) in COMMANDS


def test_the_table_of_rivals_is_the_committed_comparison():
    assert summary(pd.read_csv(ROOT / "benchmarks/compare.csv")) in README


def test_the_share_of_the_rest_is_the_measured_one():
    found = json.loads((ROOT / "benchmarks/share.json").read_text(encoding="utf-8"))
    assert f"{100 * found['share_of_the_rest']:.1f} % of its CPU time is not" in README
    assert f"takes {found['without_gradient_steps']} CPU s where the whole takes {found['cpu_seconds']:,}" in README


def test_the_cost_of_a_tenfold_file_is_the_measured_one():
    found = pd.read_csv(ROOT / "benchmarks/tenfold.csv").set_index(["stage", "rows"]).sort_index()
    whole, longest = found.loc[("prepare", 42_000)], found.loc[("prepare", 420_000)]
    two, four = (found.loc[(f"train, {members} members", 420_000), "peak_mib"] for members in (2, 4))
    assert len(two) == len(four) == tenfold.RUNS
    assert f"prepared in {longest['cpu_seconds']} CPU s and {longest['peak_mib']} MiB" in README
    assert f"in {whole['cpu_seconds']} CPU s\nand {whole['peak_mib']} MiB" in README
    assert f"two small members within {two.min():,} to {two.max():,} MiB" in README
    assert f"four within\n{four.min():,} to {four.max():,}" in README


def test_the_samples_figures_are_those_of_the_committed_metrics():
    found = json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8"))
    line = row("default, on the sample")
    assert f"{found['accuracy']:.2%}".replace("%", " %") in line
    assert f"{found['errors']} of {found['images']:,}" in line


def test_the_numbers_of_the_one_idea_are_those_of_the_parameters():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert params["prepare"]["folds"] == 10
    assert params["train"]["members"] == 4
    assert "one\nof ten folds; `train` fits four networks, its members" in README
    assert params["train"]["validation_fraction"] == 0.03
    assert "learns from 97 %; the other 3 %" in README


@pytest.mark.parametrize(
    "target", sorted({*re.findall(r"`make (\w+)`", README), *re.findall(r"\$ make (\w+)", README)})
)
def test_every_target_it_names_is_in_the_makefile(target):
    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"))


@pytest.mark.parametrize("key", sorted(set(re.findall(r"-S ([\w.]+)=", README))))
def test_every_parameter_it_sets_exists(key):
    value = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for part in key.split("."):
        value = value[part]


def test_its_tree_is_the_tree():
    tree = README.partition("## The tree\n\n```\n")[2].partition("```")[0]
    named = set(re.findall(r"[\w./]+(?:\.py|\.yaml|\.lock|\.md|/)(?=\s)", tree))
    modules = {path.name for path in ROOT.glob("stages/**/*.py") if path.name != "__init__.py"}
    assert {name for name in named if name.endswith(".py")} == modules
    for name in named - modules:
        assert list(ROOT.glob(name)) or list((ROOT / "stages").glob(name)), name


def test_its_graph_is_dvcs():
    drawn = set(re.findall(r"(?m)^\t(\w+) --> (\w+)$", README))
    dag = subprocess.run(
        [sys.executable, "-m", "dvc", "dag", "--dot"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert drawn == {(a, b) for a, b in re.findall(r'"(\w+)" -> "(\w+)"', dag)}


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_every_link_and_picture_is_there(link):
    assert (ROOT / link).is_file()


@pytest.mark.parametrize(
    "text",
    [
        "lacks this project's packages",
        "no scheduler answers at",
        "training diverged",
        "can't import this project's code",
        "expected Python 3.11, 3.12 or 3.13",
    ],
)
def test_the_error_texts_it_explains_are_those_of_the_code(text):
    assert text in README
    assert text in SOURCES


def test_the_plain_commands_come_in_the_order_that_works():
    wanted = [
        "python3 -m venv .venv",
        ". .venv/bin/activate",
        "pip install --require-hashes -r requirements.txt",
        "dvc repro",
        "pytest",
    ]
    assert [command for command in COMMANDS if command in wanted] == wanted


def test_metrics_it_explains_are_the_metrics():
    table = README.partition("| in `metrics/evaluate.json`")[2].partition("\n\n")[0]
    explained = {name for cell in re.findall(r"(?m)^\| (`.+?) \|", table) for name in re.findall(r"`(\w+)`", cell)}
    assert explained == set(json.loads((ROOT / "metrics/evaluate.json").read_text(encoding="utf-8")))
