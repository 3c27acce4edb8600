"""How `make` sets up .venv: which Python, what installs, what it says if it fails. Python and uv are stand-ins.

Each appends its arguments to `log`. test_install.py has the real ones.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import wait_for

ROOT = Path(__file__).parents[2]
VENV = "uv venv --quiet --allow-existing --python python3 .venv"
SYNC = "uv pip sync --python .venv --require-hashes requirements.txt"
PIP_INSTALL = "-m pip --disable-pip-version-check install --quiet"
PIP_SYNC = f"python {PIP_INSTALL} --no-deps --no-compile --require-hashes --requirement=requirements.txt"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A clone's files for set-up, and `bin`, in which all programs are that are on PATH."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "cat", "grep", "mkdir", "mv", "readlink", "rm", "sed", "touch"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    for name in ("Makefile", "setup.sh", "requirements.txt", "requirements-search.txt"):
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


def add_uv(
    path: Path, finds: str = "nothing", install: str = "echo ' + keras==3.15.1'; echo Downloading keras"
) -> None:
    add_program(path, f'case "$*" in "python find"*) echo {finds};; venv*) mkdir -p .venv;; pip*) {install};; esac')


def add_pip(folder: Path, install: str = "", settings: str = "/dev/null") -> None:
    """The Python of `.venv`, with pip, which prints that file as its settings."""
    script = f'case "$*" in *"config list") cat {settings};; "-m pip"*) {install};; esac'
    add_program(folder / ".venv/bin/python", script)


def make(folder: Path, *arguments: str, **environment: str) -> tuple[int, list[str], list[str]]:
    """The exit code, the lines that it prints, and the commands that it ran, but for those that only ask."""
    command = [shutil.which("make"), "--no-print-directory", ".venv/ready", *arguments]
    environment |= {
        "PATH": str(folder / "bin"),
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # as in containers
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, process_group=0
    )
    log = (folder / "log").read_text().splitlines()
    ran = [line for line in log if not re.match(r"\S+ (-c|--version|python find|-m pip.* config list)", line)]
    return done.returncode, (done.stdout + done.stderr).splitlines(), ran


def test_uv_installs_what_the_lock_holds_and_shows_what_it_downloads(folder):
    add_python(folder, "python3", "3.12")
    add_uv(folder / "bin/uv")
    code, lines, ran = make(folder)
    assert code == 0
    assert ran == [VENV, SYNC]
    assert lines[1:] == ["Downloading keras"]
    assert (folder / ".venv/ready").exists()


@pytest.mark.parametrize("interrupted", [False, True])
def test_without_uv_pip_brings_the_pinned_one_checked_by_its_hashes(folder, interrupted):
    add_python(folder, "python3", "3.13")
    add_pip(folder, install="cat > installed; mv .venv/uv .venv/bin/uv")
    add_uv(folder / ".venv/uv")
    if interrupted:
        (folder / ".venv/bin/uv").write_text("half a program")
    code, _, ran = make(folder)
    assert code == 0
    assert ran[:3] == ["python3 -m venv .venv", f"python {PIP_INSTALL} --require-hashes -r /dev/stdin", SYNC]
    first, *hashes = (folder / "installed").read_text().splitlines()
    assert re.fullmatch(r"uv==\S+ \\", first)
    assert len(hashes) > 5
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)


def test_tensorflow_is_compiled_while_make_goes_on_even_where_the_environment_forbids_bytecode(folder):
    add_python(folder, "python3", "3.12")
    add_uv(folder / "bin/uv")
    compiled = folder / "compiled"
    add_program(
        folder / ".venv/bin/python", f'[[ $1 != -c ]] || echo "${{PYTHONDONTWRITEBYTECODE-writes}} $2" > {compiled}'
    )
    assert make(folder)[0] == 0
    wait_for(lambda: compiled.exists() and compiled.read_text())
    assert compiled.read_text() == "writes import stages.digits.model.backend\n"


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


@pytest.mark.parametrize("fails", ["venv", "sync"])
def test_if_uv_fails_one_line_says_so_and_pip_installs_the_same_lock(folder, fails):
    add_python(folder, "python3", "3.12")
    add_pip(folder)
    add_uv(folder / "bin/uv", install="echo error: no network; exit 2")
    if fails == "venv":
        add_program(folder / "bin/uv", 'case "$*" in venv*) echo error: no network; exit 2;; esac')
    code, lines, ran = make(folder)
    assert code == 0
    assert ran[-2:] == ["python3 -m venv .venv", PIP_SYNC]
    assert lines[1:] == ["error: no network", "uv failed: see above. pip installs the same, in two minutes or more"]
    assert (folder / ".venv/ready").exists()


def test_for_the_search_uv_or_else_pip_installs_both_locks(folder):
    add_python(folder, "python3", "3.12")
    add_pip(folder)
    add_uv(folder / "bin/uv", install="exit 2")
    ran = make(folder, ".venv/search")[2]
    assert f"{SYNC} requirements-search.txt" in ran
    assert f"{PIP_SYNC} --requirement=requirements-search.txt" in ran
    assert (folder / ".venv/search").exists()


def test_if_pip_fails_too_one_line_names_the_remedy_and_no_finished_environment_is_left(folder):
    add_python(folder, "python3", "3.12")
    add_pip(folder, install="echo ERROR: no network either; exit 1")
    add_uv(folder / "bin/uv", install="echo error: no network; exit 2")
    code, lines, _ = make(folder)
    assert code != 0
    assert "ERROR: no network either" in lines
    remedy = [line for line in lines if line.startswith("setting up .venv failed: see above.")]
    assert "PIP_INDEX_URL or PIP_CERT" in remedy[0]
    assert not (folder / ".venv/ready").exists()


def test_if_pip_can_not_bring_uv_it_does_not_try_the_rest(folder):
    add_python(folder, "python3", "3.12")
    add_pip(folder, install="exit 1")
    code, lines, ran = make(folder)
    assert code != 0
    assert len(ran) == 2
    assert lines[1].startswith("setting up .venv failed")


@pytest.mark.parametrize("program", ["uv", "pip"])
def test_ctrl_c_ends_set_up_without_a_second_attempt_or_advice(folder, program):
    interrupted = "trap 'exit 1' INT; kill -INT 0"
    add_python(folder, "python3", "3.12")
    add_pip(folder, install=interrupted)
    add_uv(folder / "bin/uv", install=interrupted if program == "uv" else "exit 1")
    code, lines, ran = make(folder)
    assert code != 0
    assert ran[-1] == (SYNC if program == "uv" else PIP_SYNC)
    assert not [line for line in lines if "setting up .venv failed" in line]


def variables_of_uv(
    folder: Path, settings: str = "", variable: str = "PIP_CONFIG_FILE", **environment: str
) -> dict[str, str]:
    """The variables that uv gets, UV_* and SSL_*, without empty ones, where pip has the settings.

    `variable` is set for set-up to ask pip for them.
    """
    add_python(folder, "python3", "3.12")
    (folder / "settings").write_text(settings)
    add_pip(folder, settings="settings")
    add_uv(folder / "bin/uv", install='for name in ${!UV_*} ${!SSL_*}; do echo "$name=${!name}"; done > variables')
    assert make(folder, **{variable: "a"}, **environment)[0] == 0
    pairs = [line.split("=", 1) for line in (folder / "variables").read_text().splitlines()]
    return {name: value for name, value in pairs if value}


@pytest.mark.parametrize(
    ("settings", "indexes"),
    [
        ("global.index-url='https://a/simple'", ["https://a/simple"]),
        ("global.index-url='a'\ninstall.index-url='b'", ["b"]),
        ("install.index-url='b'\n:env:.index-url='c'", ["c"]),
        ("global.index-url='a'\nglobal.extra-index-url='\\nb\\nc'", ["a", "b", "c"]),
        ("global.extra-index-url='b'", []),  # the index is uv's default: then uv needs no other
    ],
)
def test_uv_gets_pips_index(folder, settings, indexes):
    variables = variables_of_uv(folder, settings)
    assert [variables.get("UV_DEFAULT_INDEX"), *variables.get("UV_EXTRA_INDEX_URL", "").split()] == (indexes or [None])
    assert variables.get("UV_INDEX_URL") == variables.get("UV_DEFAULT_INDEX")  # its name in older versions
    assert (variables.get("UV_INDEX_STRATEGY") == "unsafe-best-match") == bool(indexes)


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"])
def test_an_index_of_uvs_own_in_a_variable_stays(folder, name):
    variables = variables_of_uv(folder, "global.index-url='a'", **{name: "own"})
    assert {key: value for key, value in variables.items() if "INDEX" in key} == {name: "own"}


@pytest.mark.parametrize("path", ["uv.toml", ".config/uv/uv.toml", "named.toml"])
def test_an_index_of_uvs_own_in_a_file_stays(folder, path):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text('index-url = "own"')
    settings = "global.index-url='a'"
    variables = variables_of_uv(folder, settings, UV_CONFIG_FILE=str(folder / "named.toml"))
    assert "UV_DEFAULT_INDEX" not in variables


@pytest.mark.parametrize(
    ("settings", "environment", "file"),
    [
        ("global.cert='a.pem'", {}, "a.pem"),
        ("global.cert='~/a.pem'", {}, "HOME/a.pem"),
        ("global.cert='a.pem'", {"REQUESTS_CA_BUNDLE": "b.pem"}, "a.pem"),
        ("global.cert='a.pem'", {"SSL_CERT_FILE": "own.pem"}, "own.pem"),
        ("", {"REQUESTS_CA_BUNDLE": "b.pem", "CURL_CA_BUNDLE": "c.pem"}, "b.pem"),
        ("", {"CURL_CA_BUNDLE": "c.pem"}, "c.pem"),
    ],
)
def test_uv_gets_pips_certificates_unless_it_has_its_own(folder, settings, environment, file):
    variables = variables_of_uv(folder, settings, **environment)
    assert variables["SSL_CERT_FILE"] == file.replace("HOME", str(folder))


@pytest.mark.skipif(not any(Path("/etc/ssl/certs").glob("*")), reason="this system has no certificates")
def test_uv_trusts_the_systems_certificates_under_the_name_of_any_version(folder):
    variables = variables_of_uv(folder)
    assert (variables["UV_SYSTEM_CERTS"], variables["UV_NATIVE_TLS"]) == ("1", "1")


def test_where_uv_made_the_environment_the_python_below_has_pips_settings_for_the_search(folder):
    index = "case \"$0 $*\" in .venv/*) exit 1;; *'config list') echo \"global.index-url='a'\";; esac"
    add_program(folder / "bin/python3", index)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(folder / "bin/python3")
    add_uv(folder / "bin/uv", install='echo "$UV_DEFAULT_INDEX" >> indexes')
    assert make(folder, ".venv/search", PIP_CONFIG_FILE="pip.conf")[0] == 0
    assert (folder / "indexes").read_text() == "a\na\n"


@pytest.mark.parametrize(("own", "hosts"), [("", "a b:80"), ("c", "c")])
def test_uv_trusts_the_hosts_that_pip_trusts_unless_it_has_its_own(folder, own, hosts):
    variables = variables_of_uv(folder, "global.trusted-host='a\\nb:80'", UV_INSECURE_HOST=own)
    assert variables["UV_INSECURE_HOST"] == hosts


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_CERT", "PIP_TRUSTED_HOST", "PIP_CONFIG_FILE"])
def test_pip_is_asked_if_a_variable_may_be_a_setting_for_uv(folder, name):
    variables = variables_of_uv(folder, "global.index-url='a'", variable=name)
    assert variables["UV_DEFAULT_INDEX"] == "a"


@pytest.mark.parametrize(
    ("path", "key"),
    [(".pip/pip.conf", "index-url"), (".config/pip/pip.conf", "cert"), ("xdg/pip/pip.conf", "trusted-host")],
)
def test_pip_is_asked_if_a_file_may_have_a_setting_for_uv(folder, path, key):
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text(f"[global]\n{key} = a\n")
    xdg = {"XDG_CONFIG_HOME": str(folder / "xdg")} if path.startswith("xdg") else {}
    variables = variables_of_uv(folder, "global.index-url='a'", variable="OTHER", **xdg)
    assert variables["UV_DEFAULT_INDEX"] == "a"
