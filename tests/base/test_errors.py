"""Mistakes and faults are one line; files are written whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stages.digits.base import errors, files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", ["two\nlines", "a\0b", "\x1b[31mred", "raw \udcff byte", "x" * 392_003, "\u2028"])
def test_a_message_is_one_short_printable_line(text):
    message = errors.InputError(text).code
    assert message.isprintable()
    assert len(message) <= 500


def python(code: str, **options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.slow
def test_garbage_is_collected_once_a_stage_has_imported_its_modules():
    code = "import sys; sys.argv[0] = '-m'; import gc, stages.submit; print(gc.isenabled()); "
    code += "from stages.digits.base import errors; errors.run(lambda: print(gc.isenabled()))"
    assert python(code).stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("raise OSError(28, 'No space left on device', 'data/x')", "data/x: No space left on device"),
        ("open('nothing/here')", "nothing/here: No such file or directory"),
        ("raise MemoryError", "out of memory"),
    ],
)
def test_a_fault_of_the_machine_is_one_line(fault, line):
    done = python(f"from stages.digits.base import errors\ndef main(): {fault}\nerrors.run(main)")
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    done = python("from stages.digits.base import errors\ndef main(): 1 / 0\nerrors.run(main)")
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_stage_with_one_line(number):
    code = (
        "import os, time\nfrom stages.digits.base import errors\n"
        f"def main(): os.kill(os.getpid(), {int(number)}); time.sleep(60)\nerrors.run(main, 'advice')"
    )
    done = python(code)
    assert done.returncode == 128 + number
    assert done.stderr == f"stopped by {number.name}: advice\n"


def interrupted_after(imported: str, *arguments: str) -> tuple[int, list[str]]:
    """How a Python ends that gets SIGINT once it has imported that module, and the lines it prints."""
    command, lines = [sys.executable, "-X", "importtime", *arguments], []
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        for line in started.stderr:
            if not line.startswith("import time:"):
                lines.append(line)
            elif line.rpartition("|")[2].strip() == imported:
                started.send_signal(signal.SIGINT)
    return started.returncode, lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "imported"),
    [
        ("stages.train", "stages"),
        ("stages.train", "numpy"),
        ("stages.train", "distributed"),
        ("stages.evaluate", "stages.digits.base.environment"),  # before TensorFlow, while nothing is printed
        ("handwriting.predict", "handwriting"),
        ("handwriting.demo", "numpy"),
    ],
)
def test_ctrl_c_while_a_command_imports_its_libraries_ends_it_without_a_traceback(command, imported):
    ended, lines = interrupted_after(imported, "-m", command)
    assert ended == -signal.SIGINT
    assert lines == []


def test_ctrl_c_that_a_background_job_ignores_ends_no_import():
    """A shell ignores it for what ends in `&`."""
    ignore = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv = ['-m']"
    assert interrupted_after("stages", "-c", f"{ignore}; import stages, numpy") == (0, [])


def test_a_run_under_nohup_goes_on_after_its_terminal_is_closed():
    code = (
        "import os, signal\nfrom stages.digits.base import errors\n"
        "def main(): os.kill(os.getpid(), signal.SIGHUP); print('went on')\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nerrors.run(main)"
    )
    assert python(code).stdout == "went on\n"


def test_a_second_signal_does_not_interrupt_the_clean_up():
    code = (
        "import os, signal, time\nfrom stages.digits.base import errors\n"
        "def main():\n    try: signal.raise_signal(signal.SIGINT)\n"
        "    finally: signal.raise_signal(signal.SIGINT); signal.raise_signal(signal.SIGTERM); print('cleaned up')\n"
        "errors.run(main, 'advice')"
    )
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "stopped by SIGINT: advice\n")


def test_a_file_size_limit_is_one_line_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text("old")
    code = (
        "import resource\nfrom pathlib import Path\nfrom stages.digits.base import errors, files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"errors.run(lambda: files.write_text(Path({str(path)!r}), 5000 * 'x'))"
    )
    done = python(code)
    assert done.returncode == 1
    assert done.stderr == f"{path}: File too large\n"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "new/model.keras", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "new/model.keras").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "new/model.keras").stat().st_mode) == 0o666 & ~umask


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
