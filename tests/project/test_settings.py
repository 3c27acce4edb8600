"""Only data, code and params.yaml change a run: a user's own settings don't."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("sample", "prepare", "train", "evaluate", "submit")
HOSTILE = {
    "AUTOGRAPH_VERBOSITY": "10",
    "CUDA_VISIBLE_DEVICES": "0",
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "1",
    "LC_ALL": "C",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as notebooks set it; it can't be imported here
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "OMP_NUM_THREADS": "7",
    "OPENBLAS_CORETYPE": "Prescott",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONWARNINGS": "error",
    "TF_CPP_MIN_LOG_LEVEL": "0",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "TZ": "Asia/Kathmandu",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}
MATPLOTLIBRC = "text.usetex: True\nfont.size: 30\nsavefig.bbox: tight\nbackend: qtagg\naxes.grid: True\n"
KERAS_JSON = {"floatx": "float16", "image_data_format": "channels_first", "backend": "torch", "epsilon": 1e-3}


def outputs(folder: Path) -> dict[str, bytes]:
    """What the stages wrote."""
    paths = (path for name in ("data", "metrics", "plots") for path in (folder / name).rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file() and path.suffix}


def run(folder: Path, small_params: str, **environment: str) -> None:
    """All stages, in `folder`, as dvc.yaml runs them."""
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "params.yaml").write_text(small_params, encoding="utf-8")
    for stage in STAGES:
        command = [sys.executable, "-E", "-m", f"stages.{stage}"]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_hostile_settings_change_no_byte(tmp_path, small_params, finished):
    """Also another folder, with a space and letters beyond ASCII, another umask, and no DVC."""
    home = tmp_path / "home"
    for path, text in (
        (".keras/keras.json", json.dumps(KERAS_JSON)),
        (".config/matplotlib/matplotlibrc", MATPLOTLIBRC),
    ):
        (home / path).parent.mkdir(parents=True)
        (home / path).write_text(text, encoding="utf-8")
    hostile = tmp_path / "with a space, ä and 字"
    hostile.mkdir()
    (hostile / "matplotlibrc").write_text(MATPLOTLIBRC, encoding="utf-8")
    umask = os.umask(0o077)
    try:
        run(
            hostile, small_params, **HOSTILE, HOME=str(home), MATPLOTLIBRC=str(home / ".config/matplotlib/matplotlibrc")
        )
    finally:
        os.umask(umask)
    written, expected = outputs(hostile), outputs(finished)
    assert len(written) > 15
    assert written.keys() == expected.keys()
    assert [name for name in expected if written[name] != expected[name]] == []


@pytest.mark.parametrize("module", ["stages.train", "handwriting.predict"])
def test_a_python_without_the_packages_is_one_line(module):
    done = subprocess.run([sys.executable, "-S", "-m", module], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lacks this project's packages" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("text", ["distributed: [1", "only text", "- a list"])
def test_a_broken_configuration_of_dask_is_one_line_that_names_the_file(tmp_path, text):
    config = tmp_path / ".config/dask/broken.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(text, encoding="utf-8")
    command = [sys.executable, "-E", "-m", "stages.train"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert str(config) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A repository with this project's data/.gitignore and with DVC set up."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data/.gitignore", folder / "data")
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.fixture
def clone(template, tmp_path) -> Path:
    return shutil.copytree(template, tmp_path / "clone")


def tracked(folder: Path) -> list[str]:
    """What `git add --all` would commit under data/."""
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    done = subprocess.run(["git", "ls-files", "data"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data/train.csv", "data/mine/train.csv", "data/mine/deep/test.csv", "data/x.zip"])
def test_no_file_that_a_user_puts_under_data_enters_git(clone, name):
    (clone / name).parent.mkdir(parents=True, exist_ok=True)
    (clone / name).write_text("label\n1\n")
    assert tracked(clone) == ["data/.gitignore"]


@pytest.mark.slow
def test_an_experiment_with_a_users_folder_commits_none_of_it(clone):
    (clone / "data/mine").mkdir()
    (clone / "data/mine/train.csv").write_text("label\n1\n")
    (clone / "dvc.yaml").write_text("stages: {copy: {cmd: cp data/mine/train.csv out, deps: [data/mine], outs: [out]}}")
    (clone / "params.yaml").write_text("raw: data/sample\n")
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "start"], cwd=clone, check=True)
    command = [sys.executable, "-m", "dvc", "exp", "run", "-q", "-S", "raw=data/mine"]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    refs = subprocess.run(["git", "for-each-ref", "--format=%(refname)"], cwd=clone, capture_output=True, text=True)
    experiments = [ref for ref in refs.stdout.split() if ref.startswith("refs/exps/")]
    assert experiments
    for ref in experiments:
        tree = subprocess.run(["git", "ls-tree", "-r", "--name-only", ref], cwd=clone, capture_output=True, text=True)
        assert "train.csv" not in tree.stdout


@pytest.mark.slow
def test_dvc_can_track_a_users_file_under_data(clone):
    (clone / "data/digit-recognizer.zip").write_bytes(b"zip")
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "data/digit-recognizer.zip"], cwd=clone, check=True)
    assert tracked(clone) == ["data/.gitignore", "data/digit-recognizer.zip.dvc"]
