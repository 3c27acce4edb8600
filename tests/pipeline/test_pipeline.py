"""The original pipeline in DVC's hands, in a clone with small parameters."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import commands
import pytest
import yaml
from commands import changed_stages, dvc, ran, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pipeline(finished, tmp_path_factory) -> Path:
    """A copy of the clone in which the quickstart was followed, which a test may change and leaves as it was."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("pipeline") / "digits", symlinks=True)


def test_the_committed_lock_file_is_in_step_with_code_and_parameters(tmp_path):
    assert ran(dvc(commands.clone(tmp_path / "clone"), "repro", "--dry", "--allow-missing")) == []


def test_the_quickstart_runs_every_stage_and_a_second_run_does_nothing(story):
    printed = story("make").printed
    assert ran(printed["make"]) == ["sample", "prepare", "train", "evaluate", "submit"]
    assert ran(printed["dvc repro"]) == []


def test_the_pipeline_ends_with_a_valid_submission(pipeline):
    lines = (pipeline / "data/submission.csv").read_bytes().decode().split("\n")
    expected = (pipeline / "data/sample/sample_submission.csv").read_text(encoding="utf-8").split("\n")
    assert lines[0] == "ImageId,Label"
    assert [line.split(",")[0] for line in lines] == [line.split(",")[0] for line in expected]
    assert all(re.fullmatch(r"\d+,\d", line) for line in lines[1:-1])


def test_metrics_and_plots_are_readable_and_not_ignored_by_git(pipeline):
    assert "accuracy" in dvc(pipeline, "metrics", "show")
    changed = run(pipeline, "git", "status", "--porcelain")
    assert " M metrics/evaluate.json" in changed
    assert "??" not in changed, "an output is neither ignored nor committed"


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("raw=data/elsewhere", {"prepare", "submit"}),
        ("sample.seed=2", {"sample"}),
        ("prepare.folds=3", {"prepare"}),
        ("train.zoom=0.1", {"train"}),
        ("classes=[a, b, c, d, e, f, g, h, i, j]", {"prepare", "evaluate", "submit"}),
    ],
)
def test_a_parameter_changes_its_own_stages_and_no_others(pipeline, change, stages):
    key, _, value = change.partition("=")
    path = pipeline / "params.yaml"
    before = path.read_text(encoding="utf-8")
    settings = yaml.safe_load(before)
    section, _, name = key.rpartition(".")
    (settings[section] if section else settings)[name] = yaml.safe_load(value)
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    if name == "raw":
        (pipeline / value).symlink_to(pipeline / "data/sample")
    try:
        assert changed_stages(pipeline) == stages
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("base/files.py", {"sample", "prepare", "train", "evaluate", "submit"}),
        ("tables/strict_csv.py", {"sample", "prepare", "submit"}),
        ("model/network.py", {"train", "evaluate", "submit"}),
        ("training/member.py", {"train"}),
        ("prediction/ensemble.py", {"evaluate", "submit"}),
        ("report/drawing.py", {"prepare", "evaluate"}),
    ],
)
def test_a_changed_module_reruns_the_stages_that_use_its_folder(pipeline, module, stages):
    path = pipeline / "stages/digits" / module
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    try:
        assert changed_stages(pipeline) == stages
    finally:
        path.write_bytes(before)


def test_only_modules_count_in_a_folder_of_code(pipeline):
    """A compiler's cache, an editor's backup or swap file, a notebook and its checkpoint rerun nothing."""
    added = [
        pipeline / "stages/digits" / name
        for name in (
            "base/__pycache__/files.cpython-313.pyc",
            "base/files.py~",
            "model/.network.py.swp",
            "training/try.ipynb",
            "report/.ipynb_checkpoints/drawing-checkpoint.py",
        )
    ]
    for path in added:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")
    try:
        assert changed_stages(pipeline) == set()
    finally:
        for path in added:
            path.unlink()


def test_rejected_input_leaves_the_outputs_as_they_were(pipeline):
    kept = [pipeline / "data/prepared/labelled.npz", pipeline / "metrics/prepare.json", pipeline / "plots/samples.png"]
    before = [path.read_bytes() for path in kept]
    train = pipeline / "data/sample/train.csv"
    original = train.read_bytes()
    train.write_bytes(original.replace(b"pixel7,", b"pixel77,"))
    rejected = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "--single-item", "prepare"], cwd=pipeline, capture_output=True, text=True
    )
    train.write_bytes(original)
    assert rejected.returncode != 0
    assert "train.csv, line 1, column 9: found 'pixel77', expected 'pixel7'" in rejected.stderr
    assert "Traceback" not in rejected.stderr
    assert [path.read_bytes() for path in kept] == before


def test_a_read_only_folder_outside_the_repository_can_be_raw(finished, small_params, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "digits", symlinks=True)
    raw = tmp_path / "input/digit-recognizer"
    shutil.copytree(folder / "data/sample", raw)
    for path in (*raw.iterdir(), raw):
        path.chmod(0o555)
    before = [path.read_bytes() for path in sorted(raw.iterdir())]
    (folder / "params.yaml").write_text(small_params.replace("raw: data/sample", f"raw: {raw}"), encoding="utf-8")
    try:
        assert ran(dvc(folder, "repro", "prepare")) == ["prepare"]
        assert str(raw) in (folder / "dvc.lock").read_text(encoding="utf-8")
        assert [path.read_bytes() for path in sorted(raw.iterdir())] == before
    finally:
        raw.chmod(0o755)
