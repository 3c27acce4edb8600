"""The commands that the documents print, followed by a reader: a shell that nobody prepared, in a clone of its own.

The reader goes through a section (`## ...`) from top to bottom, with a new terminal for each ```console block. A line
that begins with `!` is for a notebook, where each has a shell of its own. All other sections start from what the
quickstart left. The tables below say what isn't as it would be for a person.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import commands
import numpy as np
import pictures
import psutil
from commands import PATIENCE, ROOT, run
from PIL import Image

from benchmarks.drawn import forms, hands
from stages.digits.base import files

DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
STARTS = 5  # of DVC's queue


class Section(NamedTuple):
    document: str
    title: str
    blocks: tuple[tuple[str, ...], ...]  # of commands as printed, without their prompt

    def __str__(self) -> str:
        return f"{self.document}: {self.title}"


class Story(NamedTuple):
    """What became of a section: the reader's clone at its end, and what each command printed (without its comment)."""

    folder: Path
    printed: dict[str, str]


def sections() -> list[Section]:
    """The sections that print commands, in the order of the documents."""
    found: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for document in DOCUMENTS:
        for title, language, text in parts(document):
            if language == "console":
                lines = re.findall(r"(?m)^(?:\$ |(?=!))((?:.*\\\n)*.*)$", text)
                found.setdefault((document, title), []).append(tuple(lines))
    return [Section(*place, tuple(blocks)) for place, blocks in found.items()]


def parts(document: str) -> Iterator[tuple[str, str, str]]:
    """The document's fenced blocks: the section that each is in, its language, its text."""
    title = ""
    text = (ROOT / document).read_text(encoding="utf-8")
    for part in re.finditer(r"^##? ([^\n]+)$|^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if part[1]:
            title = part[1]
        else:
            yield title, part[2], part[3]


def section_with(command: str) -> Section:
    """The first section that prints the command."""
    return next(s for s in sections() if command in (bare(c) for block in s.blocks for c in block))


def bare(command: str) -> str:
    """The command without its comment."""
    return re.sub(r"\s+#.*$", "", command)


# ---- What isn't as it would be for a person. Patterns of whole commands, without comments.

NOT_RUN = {
    r"make test(-fast)?|pytest( .*)?": "they would run these tests within themselves",
    r"pip install .*": "needs the package index",
    r"python -m benchmarks\.compare .*": "takes minutes to hours; test_benchmarks.py tests its parts",
}
NAMES = {  # for what the reader puts in their own
    "REPOSITORY": lambda reader: str(reader.folder),
    "/kaggle/input": lambda reader: str(reader.folder.parent / "kaggle/input"),
    "SCHEDULER": lambda _: "127.0.0.1",
}


SMALLER = {  # settings that would take minutes
    "train.seed=2,3": "train.seed=2",
    "handwriting.print": "handwriting.print --count 60",
    "train.epochs=24": "train.epochs=4",
    "train.epochs=6": "train.epochs=4",  # so in the README's section quick is what best left: DVC reruns nothing
}


def smaller(command: str) -> str:
    """The command with smaller settings."""
    for setting, instead in SMALLER.items():
        command = command.replace(setting, instead)
    return command


class Reader:
    """Somebody with a clone of the project and nothing but the system's programs, `kaggle` and a name for Git."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.home, self.notebook = folder.with_name("home"), folder.with_name("notebook")
        self.printed: dict[str, str] = {}
        self.failure = ""
        sample, kaggles = folder / "data/sample", folder.with_name("kaggle")
        if sample.exists():  # after the quickstart
            shutil.copytree(sample, kaggles / "input/digit-recognizer")
            shutil.make_archive(str(kaggles / "digit-recognizer"), "zip", sample)
        install(self.home / "bin/kaggle", KAGGLE.format(archive=kaggles / "digit-recognizer.zip"))
        (self.home / ".gitconfig").write_text("[user]\nname = Reader\nemail = reader@example.org\n", encoding="utf-8")
        install(self.notebook / "home/bin/python", f'exec {sys._base_executable} "$@"\n')  # without our packages

    def follow(self, section: Section) -> None:
        """Run the section's commands; AssertionError, with what was printed, at the first that fails."""
        with ExitStack() as terminals:
            for block in section.blocks:
                terminal = terminals.enter_context(opened(self.folder, self.home))
                for command in block:
                    if rule(NOT_RUN, bare(command)) is None:
                        self.printed[bare(command)] = self.run(command, terminal)

    def run(self, command: str, terminal: "Terminal") -> str:
        first, instead, after, ready = (rule(t, bare(command)) for t in (FIRST, INSTEAD, AFTER, GOES_ON))
        if first:
            first(self, command)
        if instead:
            instead(self.folder)
            return ""
        for name, value in NAMES.items():
            command = re.sub(rf"(?<!\w){name}(?!\w)", value(self), command)
        command = smaller(command)
        if command.startswith("!"):
            with opened(self.notebook, self.notebook / "home") as cell:
                printed = cell.run(command.removeprefix("!"))
        elif ready:
            printed = terminal.start(command, ready)
        else:
            printed = terminal.run(command)
        return printed + (after(self, terminal, command, printed) or "" if after else "")


def story(section: Section, base: Path, params: str) -> Story:
    """Follow the section in `base`, or tell what came of it if that was done: AssertionError if a command failed."""
    place = base / re.sub(r"\W+", "-", str(section))
    end = place / "story.json"
    with files.lock(place.with_suffix(".lock"), lambda: None):
        if not place.exists():
            folder = start(section, place / "digits", base, params)
            reader = Reader(folder)
            try:
                reader.follow(section)
            except AssertionError as error:
                reader.failure = str(error)
            end.write_text(json.dumps([reader.printed, reader.failure]), encoding="utf-8")
    printed, failure = json.loads(end.read_text(encoding="utf-8"))
    assert not failure, failure
    return Story(place / "digits", printed)


def start(section: Section, folder: Path, base: Path, params: str) -> Path:
    """What the reader has before the section: a new clone for the quickstart, else what that left, committed."""
    quickstart = section_with("make")
    if section != quickstart:
        shutil.copytree(story(quickstart, base, params).folder, folder, symlinks=True)
        commands.commit(folder, "quickstart")
        return folder
    commands.clone(folder)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    commands.commit(folder, "small")
    set_up(folder)
    return folder


def rule(rules: dict, command: str) -> object:
    """The entry of the first pattern that is the command's, or None."""
    return next((value for pattern, value in rules.items() if re.fullmatch(pattern, command, re.DOTALL)), None)


def install(program: Path, script: str) -> None:
    """A program, in Bash."""
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/usr/bin/env bash\n{script}", encoding="utf-8")
    program.chmod(0o755)


KAGGLE = """\
# Stands in for Kaggle's command-line tool, which needs an account.
set -e
[[ "$1 $3 $4" == "competitions -c digit-recognizer" ]]
case "$2 $5" in
  "download -p") cp {archive} "$6" ;;
  "submit -f") [[ $(head -n 1 "$6") == ImageId,Label && $7 == -m && -n $8 && $# == 8 ]] ;;
  *) exit 2 ;;
esac
"""


def set_up(folder: Path) -> None:
    """Stands in for the installation of packages, which needs a network: the environment of these tests."""
    shutil.rmtree(folder / ".venv", ignore_errors=True)
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".venv/ready").touch()


def set_up_clone(reader: Reader, _: "Terminal", command: str, *__: str) -> None:
    set_up((reader.notebook if command.startswith("!") else reader.folder) / command.split()[-1])


def bring_pictures(reader: Reader, command: str) -> None:
    """The reader's own scans and photos: those that the command names."""
    for name in re.findall(r"(?<!--show )\b[\w-]+\.(?:png|jpe?g)\b", command):
        if not (reader.folder / name).exists():
            pictures.photo((4, 2)).save(reader.folder / name)


def bring_form(reader: Reader, _: str) -> None:
    """A scanned form with a digit in most cells."""
    form = forms.scan(3, 4, [forms.drawn], np.random.default_rng(0), cell=60)
    Image.fromarray(form.picture).save(reader.folder / "form.png")


def bring_pile(reader: Reader, _: str) -> None:
    """A folder of two scanned forms."""
    (reader.folder / "scans").mkdir()
    for seed in range(2):
        form = forms.scan(3, 4, [forms.drawn], np.random.default_rng(seed), cell=60)
        Image.fromarray(form.picture).save(reader.folder / f"scans/{seed}.png")


def bring_filled_form(reader: Reader, command: str) -> None:
    """The printed form, filled in by an invented hand, and scanned upside down."""
    random = np.random.default_rng(0)
    filled = hands.fill(hands.print_form(reader.folder / "form.pdf"), hands.KEPT, random, each=8)
    Image.fromarray(np.rot90(hands.scan(filled, random), 2)).save(reader.folder / bare(command).split()[-1])


def bring_hands(reader: Reader, command: str) -> None:
    """A repository in place of the one that is imported: forty digits by each of three invented hands."""
    repository = reader.home / "numbers"
    for seed, (name, hand) in enumerate(hands.HANDS.items()):
        random = np.random.default_rng(seed)
        for digit, number in np.ndindex(10, 4):
            picture = repository / f"000{seed}-{name}/{digit}/number-{number}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((245 - 180 * hands.draw(hand, digit, 60, random)).astype(np.uint8)).save(picture)
    for name in ("README.md", "tools/cut.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("", encoding="utf-8")
    run(repository, "git", "init", "--quiet")
    commands.identify(repository)
    commands.commit(repository, "hands")
    with (reader.home / ".gitconfig").open("a", encoding="utf-8") as file:
        file.write(f'[url "{repository}"]\ninsteadOf = {command.split()[2]}\n')


def save_fashion(reader: Reader, _: str) -> None:
    """The program of the page, and the files that Keras would download for it, with drawn digits for clothes."""
    (program,) = (text for _, language, text in parts("docs/fashion.md") if language == "python")
    (reader.folder / "fashion.py").write_text(program, encoding="utf-8")
    pictures.write_fashion_mnist(reader.home / ".keras/datasets/fashion-mnist")


def change_the_seed(reader: Reader, _: str) -> None:
    """So that there is something to train."""
    params = reader.folder / "params.yaml"
    params.write_text(re.sub(r"(?m)^(train:\n  seed:) .*", r"\1 7", params.read_text(encoding="utf-8")))


def free_port(number: int) -> Callable[..., None]:
    """Waits until another test run, say, has left the port."""

    def wait(*_: object) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", number)):
                    return
            time.sleep(1)

    return wait


def run_queue(reader: Reader, terminal: "Terminal", command: str, _: str) -> str:
    """Wait until all experiments are done; start again, as the README says, if DVC's worker stops (dvc#10428)."""
    queued = set(re.findall(r"Queued experiment '([\w-]+)'", "".join(reader.printed.values())))
    printed: list[str] = []
    while not queued <= experiments(reader.folder):
        if not workers(reader.folder):
            assert len(printed) < STARTS, "an experiment failed, or the queue never ends"
            printed.append(terminal.run(command))
        time.sleep(2)
    _, hanging = psutil.wait_procs(workers(reader.folder), timeout=60)
    for process in hanging:
        process.kill()
    return "".join(printed)


def experiments(folder: Path) -> set[str]:
    """The names of the experiments that have finished."""
    return set(run(folder, "git", "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps/??/*/*").split())


def workers(folder: Path) -> list[psutil.Process]:
    """DVC's processes that run the folder's queue."""
    processes = psutil.process_iter(["cmdline", "cwd"])
    return [p for p in processes if "queue-worker" in (p.info["cmdline"] or []) and p.info["cwd"] == str(folder)]


INSTEAD = {r"python3 -m venv \.venv": set_up}
FIRST = {  # what the reader has or does before
    r"python -m handwriting\.predict scans .*": bring_pile,
    r"python -m handwriting\.predict form\.png": bring_form,
    r"python -m handwriting\.predict .*": bring_pictures,
    r"python -m handwriting\.collect .*\.jpg": bring_filled_form,
    r"dvc import .*": bring_hands,
    r"python fashion\.py": save_fashion,
    r"make demo": free_port(8000),
    r"python -m handwriting\.review .*": free_port(8001),
    r"python -m dask scheduler": free_port(8786),
    r"DASK_SCHEDULER_ADDRESS=.* make": change_the_seed,
}
AFTER = {r"!?git clone .*": set_up_clone, r"dvc queue start": run_queue}
GOES_ON = {  # until it is stopped: what it prints once it is ready
    r"make demo": "Ctrl-C stops",
    r"python -m handwriting\.review .*": "Ctrl-C stops",
    r"python -m dask scheduler": "Scheduler at",
    r"python -m dask worker .*": "Registered to",
}


class Terminal:
    def __init__(self, shell: subprocess.Popen, log: Path):
        self.shell, self.log = shell, log

    def run(self, command: str) -> str:
        """What the command prints; AssertionError if it fails."""
        self.write(f"{{ {command}\n}} </dev/null; printf '\\n{END} %d\\n' $?\n")
        lines = []
        for line in self.shell.stdout:
            if line.startswith(END):
                break
            lines.append(line)
        printed = "".join(lines).removesuffix("\n")
        assert self.shell.poll() is None and line.split()[-1] == "0", f"$ {command}\n{printed}"
        return printed

    def start(self, command: str, ready: str) -> str:
        """The same for a command that goes on in the background, up to what it prints once it is ready."""
        self.write(f"{{ {command}\n}} </dev/null >{self.log} 2>&1 &\n")
        end = time.monotonic() + PATIENCE
        while not self.log.exists() or ready not in self.log.read_text(encoding="utf-8"):
            assert time.monotonic() < end, f"$ {command}\n{self.log.read_text(encoding='utf-8')}"
            time.sleep(0.2)
        return self.log.read_text(encoding="utf-8")

    def write(self, text: str) -> None:
        self.shell.stdin.write(text)
        self.shell.stdin.flush()


END = "- - status:"


@contextmanager
def opened(folder: Path, home: Path) -> Iterator[Terminal]:
    """A terminal with no environment active, only `home/bin`; what still runs in it is killed when it is closed."""
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=folder,
        env={
            "HOME": str(home),
            "PATH": f"{home / 'bin'}{os.pathsep}{os.defpath}",
            "LC_ALL": "C.UTF-8",
            "LOGNAME": "reader",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Terminal(shell, folder.parent / f"terminal-{shell.pid}.log")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.communicate()
