"""dvc.yaml lists exactly what each stage imports, reads and writes; otherwise DVC silently keeps stale results."""

import ast
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from commands import worker_in_this_process

from handwriting.piles import pile
from stages.digits.base import params
from stages.digits.training import member_cache

ROOT = Path(__file__).parents[2]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = PIPELINE["stages"]
FLOORS = {"base": 0, "tables": 1, "model": 1, "report": 1, "training": 2, "prediction": 2}
TOP_LEVEL = {"raw", "own", "own_weight", "classes"}  # keys of params.yaml that belong to no stage alone


def paths(stage: str, key: str) -> set[str]:
    entries = (entry if isinstance(entry, str) else next(iter(entry)) for entry in STAGES[stage][key])
    return {entry.replace("${raw}", "data/sample") for entry in entries} - {"${own}"}  # an empty folder by default


def imported(source: Path) -> set[Path]:
    """The project's modules that `source` imports, directly or not; packages themselves compute nothing."""
    modules, queue = set(), [source]
    while queue:
        for node in ast.walk(ast.parse(queue.pop().read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{name}" for name in names)]
            for name in names:
                module = ROOT / (name.replace(".", "/") + ".py")
                if name.startswith(("stages", "handwriting")) and module.exists() and module not in modules:
                    modules.add(module)
                    queue.append(module)
    return modules


def room(module: Path) -> str:
    """The folder that a module of the project is in."""
    return str(module.parent.relative_to(ROOT))


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).glob("**/*.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_code_deps_are_the_script_and_the_folders_that_a_stage_imports_from(stage):
    script = ROOT / "stages" / f"{stage}.py"
    listed = {path for path in paths(stage, "deps") if path.startswith("stages/")}
    assert listed == {f"stages/{stage}.py", *map(room, imported(script))}


@pytest.mark.parametrize("module", modules("stages/digits"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_folder_imports_only_from_those_below_it(module):
    """So no stage is imported, and no folder needs one that needs it."""
    above = FLOORS.get(module.parent.name, 0)
    for other in imported(module):
        assert other.parent == module.parent or FLOORS[other.parent.name] < above


def test_train_does_not_depend_on_prediction():
    """So a change of test-time augmentation or of k-NN trains nothing again."""
    assert "stages/digits/prediction" not in paths("train", "deps")
    assert "prediction" not in member_cache.CODE


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_imports_a_stage(stage):
    assert all(room(path).startswith("stages/digits/") for path in imported(ROOT / "stages" / f"{stage}.py"))


@pytest.mark.parametrize("module", modules("handwriting"), ids=lambda path: path.name)
def test_handwriting_imports_what_the_stages_share_and_no_stage(module):
    assert all(room(path).startswith(("stages/digits/", "handwriting")) for path in imported(module))


@pytest.mark.parametrize("folder", ["pages", "piles", "collection"])
def test_how_pages_are_read_or_digits_collected_needs_no_command(folder):
    for module in modules(f"handwriting/{folder}"):
        assert not any(room(path) == "handwriting" for path in imported(module))


def test_cache_key_covers_all_code_that_trains_a_member():
    """Otherwise members of an interrupted run would be taken for those of changed code."""
    member = ROOT / "stages/digits/training/member.py"
    assert set(member_cache.CODE) == {path.parent.name for path in (member, *imported(member))}


def test_a_piles_digest_covers_all_code_that_reads_a_page():
    """Otherwise a stopped run would go on with pages that changed code reads differently."""
    covered = {(ROOT / "stages/digits" / folder).resolve() for folder in pile.CODE}
    needless = {
        ROOT / f"stages/digits/{name}" for name in ("tables", "training", "report")
    }  # bytes, processes, figures
    assert {path.parent for path in imported(ROOT / "handwriting/piles/pile.py")} - needless <= covered


def test_the_layout_says_what_a_change_of_a_folder_reruns():
    text = (ROOT / "docs/layout.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)/` \| (.*) \|$", text.partition("## What reruns what")[2], re.MULTILINE)
    assert {folder: re.findall(r"`(\w+)`", reruns) for folder, reruns in rows} == {
        folder: [stage for stage in STAGES if f"stages/digits/{folder}" in paths(stage, "deps")] for folder in FLOORS
    }


def test_stage_script_and_section_have_one_name():
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))) - TOP_LEVEL
    assert sections <= set(STAGES)
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"} == set(STAGES)
    assert all(STAGES[stage]["cmd"] == f"python -E -m stages.{stage}" for stage in STAGES)


def test_train_has_only_cached_outputs_and_every_metric_and_plot_is_in_git():
    assert STAGES["train"]["outs"] == ["data/models"]
    options = {}
    for stage in STAGES.values():
        for entry in stage["outs"]:
            options |= entry if isinstance(entry, dict) else {entry: {}}
    uncached = {path for path, option in options.items() if option.get("cache") is False}
    assert uncached == {path for stage in STAGES for path in paths(stage, "outs") if not path.startswith("data/")}


@pytest.fixture(scope="module")
def touched(tmp_path_factory, small_params) -> dict[str, tuple[set[str], set[str], set[str]]]:
    """For each stage, run in the order of dvc.yaml: the files it read, those it wrote, the sections it read."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "params.yaml").write_text(small_params, encoding="utf-8")
    read, written, requested = set(), set(), set()

    def record(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str) and arguments[1] is not None:
            path = Path(arguments[0]).absolute()
            if path.is_relative_to(folder) and not path.name.startswith("."):  # a temporary file, renamed when whole
                (written if set(arguments[1]) & set("wax") else read).add(str(path.relative_to(folder)))

        if event == "os.rename" and Path(arguments[1]).absolute().is_relative_to(folder):
            written.add(str(Path(arguments[1]).absolute().relative_to(folder)))

    sys.addaudithook(record)  # cannot be removed; ignores all outside this folder
    files = {}
    with worker_in_this_process(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        section = params.section
        patch.setattr(params, "section", lambda name, declared: requested.add(name) or section(name, declared))
        for key in TOP_LEVEL:
            value = getattr(params, key)
            patch.setattr(params, key, lambda key=key, value=value: requested.add(key) or value())
        for stage in STAGES:
            read.clear(), written.clear(), requested.clear()
            import_module(f"stages.{stage}").main()
            files[stage] = (set(read), set(written), set(requested))
    return files


def covered(files: set[str], listed: set[str]) -> set[str]:
    """Each file as the listed path that is it or holds it, else as itself."""
    return {next((path for path in listed if file == path or file.startswith(f"{path}/")), file) for file in files}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_data_deps_are_the_files_a_stage_reads(stage, touched):
    read, written, _ = touched[stage]
    own = {file for file in read if file.startswith("data/members/") or file in written} | {"params.yaml"}
    listed = {path for path in paths(stage, "deps") if not path.startswith("stages/")}
    assert covered(read - own, listed) == listed


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_outs_are_the_files_a_stage_writes(stage, touched):
    _, written, _ = touched[stage]
    listed = paths(stage, "outs")
    assert covered({file for file in written if not file.startswith("data/members/")}, listed) == listed


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_sections_a_stage_asks_for(stage, touched):
    _, _, requested = touched[stage]
    assert set(STAGES[stage].get("params", [])) == requested
