"""How `make` sets up .venv: which Python, what installs, what it says if it fails. Python and uv are stand-ins.

Each appends its arguments to `log`.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import wait_for

ROOT = Path(__file__).parents[2]
SYNC = "uv pip sync --python .venv --require-hashes requirements.txt"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A clone's Makefile and lock, and `bin`, in which all programs are that are on PATH."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "cat", "mkdir", "sed", "touch"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def add_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!{shutil.which("bash")}\necho "{path.name} $*" >> log\n{script}\n')
    path.chmod(0o755)


def add_python(folder: Path, name: str, version: str) -> None:
    """Its `-c` succeeds if the version is supported, its `-m venv` brings the folder `with-pip`."""
    supported = version in ("3.11", "3.12", "3.13")
    script = f'case "$*" in -c*) exit {int(not supported)};; --version) echo Python {version}.1;; esac\n'
    add_program(folder / "bin" / name, script + "mkdir -p .venv")


def add_uv(path: Path, finds: str = "nothing", network: bool = True) -> None:
    printed = "echo ' + keras==3.15.1'; echo Downloading keras"
    install = printed if network else "echo error: no network; exit 2"
    add_program(path, f'case "$*" in "python find"*) echo {finds};; venv*) mkdir -p .venv;; pip*) {install};; esac')


def make(folder: Path, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit code, the lines that it prints, and the commands that it ran, but for those that look for a Python."""
    command = [shutil.which("make"), "--no-print-directory", ".venv/ready", *arguments]
    environment = {"PATH": str(folder / "bin"), "PYTHONDONTWRITEBYTECODE": "1"}  # as containers set it
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    log = (folder / "log").read_text().splitlines()
    ran = [line for line in log if not re.match(r"\S+ (-c|--version|python find)", line)]
    return done.returncode, (done.stdout + done.stderr).splitlines(), ran


def test_uv_installs_what_the_lock_holds_and_shows_what_it_downloads(folder):
    add_python(folder, "python3", "3.12")
    add_uv(folder / "bin/uv")
    code, lines, ran = make(folder)
    assert code == 0
    assert ran == ["uv venv --quiet --allow-existing --python python3 .venv", SYNC]
    assert lines[1:] == ["Downloading keras"]
    assert (folder / ".venv/ready").exists()


def test_without_uv_pip_brings_the_pinned_one_checked_by_its_hashes(folder):
    add_python(folder, "python3", "3.13")
    add_program(folder / ".venv/bin/python", 'case "$*" in *pip*) cat > installed; mv .venv/uv .venv/bin/uv;; esac')
    add_uv(folder / ".venv/uv")
    (folder / "bin/mv").symlink_to(shutil.which("mv"))
    code, _, ran = make(folder)
    assert code == 0
    assert ran[0] == "python3 -m venv .venv"
    assert re.match("python -m pip install .*--require-hashes -r /dev/stdin", ran[1])
    assert ran[2:] == [SYNC]
    first, *hashes = (folder / "installed").read_text().splitlines()
    assert re.fullmatch(r"uv==\S+ \\", first)
    assert len(hashes) > 5
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_tensorflow_is_compiled_while_make_goes_on_even_where_the_environment_forbids_bytecode(folder):
    add_python(folder, "python3", "3.12")
    add_uv(folder / "bin/uv")
    compiled = folder / "compiled"
    add_program(folder / ".venv/bin/python", f'echo "${{PYTHONDONTWRITEBYTECODE-writes}} $*" > {compiled}')
    assert make(folder)[0] == 0
    wait_for(lambda: compiled.exists() and compiled.read_text())
    assert compiled.read_text() == "writes -c import stages.digits.model.backend\n"


@pytest.mark.parametrize("name", ["python3.13", "python3.12", "python3.11"])
def test_beside_a_newer_default_a_supported_python_is_found_by_its_usual_name(folder, name):
    add_python(folder, "python3", "3.14")
    add_python(folder, name, name.removeprefix("python"))
    add_uv(folder / "bin/uv")
    code, _, ran = make(folder)
    assert code == 0
    assert ran[0] == f"uv venv --quiet --allow-existing --python {name} .venv"


def test_uv_finds_a_python_that_is_not_on_path(folder):
    add_python(folder, "python3", "3.14")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    add_python(folder, "../elsewhere/python3.12", "3.12")
    add_uv(folder / "bin/uv", finds=str(elsewhere / "python3.12"))
    code, _, ran = make(folder)
    assert code == 0
    assert ran[0] == f"uv venv --quiet --allow-existing --python {elsewhere}/python3.12 .venv"


def test_the_python_that_is_named_is_taken(folder):
    add_python(folder, "python3", "3.13")
    add_python(folder, "python3.11", "3.11")
    add_uv(folder / "bin/uv")
    assert make(folder, "PYTHON=python3.11")[2][0] == "uv venv --quiet --allow-existing --python python3.11 .venv"


@pytest.mark.parametrize("arguments", [[], ["PYTHON=python3"]])
def test_no_supported_python_is_one_line(folder, arguments):
    add_python(folder, "python3", "3.14")
    add_uv(folder / "bin/uv")
    code, lines, ran = make(folder, *arguments)
    assert code != 0
    assert lines[0] == "found Python 3.14.1, expected Python 3.11, 3.12 or 3.13: make PYTHON=python3.12"
    assert not [line for line in lines[1:] if not line.startswith("make: ***")]
    assert ran == []


def test_a_failed_download_says_what_to_do_and_leaves_no_finished_environment(folder):
    add_python(folder, "python3", "3.12")
    add_uv(folder / "bin/uv", network=False)
    code, lines, _ = make(folder)
    assert code != 0
    assert lines[1:3] == [
        "error: no network",
        "setting up .venv failed: see above; is the network there? Then the same command continues",
    ]
    assert not (folder / ".venv/ready").exists()
