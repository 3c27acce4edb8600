"""Fuzz the reader of Kaggle's files: damaged files end in an InputError of one line, or are read exactly.

python -m benchmarks.fuzzing.fuzz_reader [--seed 1] [--count 10000] [--keep DIRECTORY]

Damages small valid files at random, plain and zipped, of 28 x 28 and of 2 x 2 pixels, and reads them. Each has to
- give the rows of `obvious_rows`, a reader of twenty lines, or an InputError with the line and column that it names;
- of a damaged archive, give the rows that went into it, or an InputError that says that it is damaged;
- have an InputError of one line, of at most 1,000 characters;
- take at most 1 second of CPU time. No file has more than 100 KB.
Prints the figures and exits with 1 if an input failed; `--keep` keeps those. One seed always makes the same inputs.
"""

import argparse
import io
import random
import re
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.digits.base.errors import InputError
from stages.digits.tables import archive, kaggle

TOKENS = [
    b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b",\n", b" ", b'"', b"'", b"-", b"+", b".", b".0", b"e2", b"0",
    b"00", b"1", b"9", b"10", b"255", b"256", b"nan", b"label", b"pixel0", b"\0", b"\x0b", b"\x0c", b"\x1c", b"\x7f",
    b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xc2\x85", b"\xe2\x80\xa8", b"\xd9\xa3",
    b"9" * 400, b"," * 9000, b"\n" * 999,
]  # fmt: skip
PLAIN = re.compile(rb"0|[1-9][0-9]{0,2}")
METHODS = [zipfile.ZIP_STORED] * 6 + [zipfile.ZIP_DEFLATED] * 12 + [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a folder that is fast to write to
SIDES = (2, 2, 2, 28)  # the small width more often: it takes a twentieth of the time


def obvious_rows(content: bytes, columns: dict[str, int]) -> list[list[int]] | tuple[int, str | None]:
    """The rows; of an invalid file, the number of the line that isn't as expected and, if a value isn't, its column."""
    lines = re.split(rb"\r\n|\r|\n", content.removeprefix(b"\xef\xbb\xbf"))
    numbered = [(number, line.split(b",")) for number, line in enumerate(lines, start=1) if line]
    if not numbered:
        return 1, None
    number, header = numbered.pop(0)
    if header != [name.encode() for name in columns]:
        return number, None
    if not numbered:
        return len(lines) + bool(lines[-1]), None
    for number, values in numbered:
        if len(values) != len(columns):
            return number, None
        for value, (name, greatest) in zip(values, columns.items(), strict=True):
            if not PLAIN.fullmatch(value) or int(value) > greatest:
                return number, name
    return [[int(value) for value in values] for _, values in numbered]


def mutate(content: bytes, rng: random.Random) -> bytes:
    """`content` with one to four changes, of at most 100 KB."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        start = rng.randrange(len(content) + 1)
        if rng.random() < 0.2:  # near a line end, where most depends on single bytes
            start = rng.choice([found.start() for found in re.finditer(rb"\n|$", content)])
        end = min(len(content), start + rng.choice((0, 1, 1, 2, 4, rng.randrange(200), rng.randrange(9000))))
        piece = content[start:end]
        change = rng.choice(("token", "token", "bit", "delete", "zero", "repeat", "move", "noise", "cut"))
        if change == "token":
            piece = rng.choice(TOKENS) + (b"" if rng.random() < 0.5 else piece)
        elif change == "bit":
            piece = bytes(byte ^ (1 << rng.randrange(8)) for byte in piece[:1]) + piece[1:]
        elif change == "delete":
            piece = b""
        elif change == "zero":
            piece = bytes(len(piece))
        elif change == "repeat":
            piece *= rng.choice((2, 2, 3, 50))
        elif change == "move":
            other = rng.randrange(len(content) + 1)
            piece = content[other : other + len(piece)]
        elif change == "noise":
            piece = rng.randbytes(len(piece))
        content = content[:start] + piece + (b"" if change == "cut" else content[end:])
    return content[:100_000]


def valid_csv(columns: dict[str, int], rng: random.Random) -> bytes:
    """One to nine rows."""
    line_end, ink = rng.choice(("\n", "\r\n", "\r")), range(rng.choice((0, 9, 99, 255)) + 1)
    lines = [",".join(columns)]
    for _ in range(rng.randint(1, 9)):
        values = rng.choices(ink, k=len(columns))
        values[0] = min(values[0], min(columns.values()))
        lines.append(",".join(map(str, values)))
    return rng.choice((b"", b"", b"\xef\xbb\xbf")) + line_end.join([*lines, ""]).encode()


def zipped(files: dict[str, bytes], method: int) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as writer:
        for name, content in files.items():
            writer.writestr(zipfile.ZipInfo(name), content, method)
    return archive.getvalue()


def read(raw: Path, name: str) -> np.ndarray | str:
    """The rows as `obvious_rows` gives them, or the text of the InputError."""
    try:
        if name == kaggle.SAMPLE_SUBMISSION:
            kaggle.check_against_sample(raw, 2)
            return np.empty(0)
        table = kaggle.read_labelled(raw) if name == "train.csv" else kaggle.read_unlabelled(raw)
    except InputError as error:
        return str(error.code).replace(str(raw), "raw")
    pixels = table.images.reshape(len(table.images), -1)
    return pixels if table.labels is None else np.column_stack([table.labels, pixels])


def problem(answer: np.ndarray | str, expected: list[list[int]] | tuple[int, str | None]) -> str | None:
    """What is wrong with the answer to a CSV file for which `obvious_rows` gives `expected`."""
    if not isinstance(answer, str):
        return None if isinstance(expected, list) and np.array_equal(answer, expected) else "read as something else"
    if isinstance(expected, list):
        return "a valid file is rejected"
    line, column = expected
    place = re.search(r"\.csv, line (\d+)(?:, column (\w+))?", answer)
    right = place and int(place[1]) == line and (not column or place[2] == column)
    return None if right else f"expected line {line}, column {column}"


class Input(NamedTuple):
    kind: str  # csv, csv in zip: the CSV file is damaged; zip, zip with sample: the archive
    raw: Path
    name: str  # of the file to read
    content: bytes  # of that file, also if it is in an archive
    written: bytes  # what is damaged


def set_side(side: int) -> None:
    """From now on the reader expects images of side × side pixels."""
    kaggle.SIDE = side
    kaggle.PIXELS = [f"pixel{i}" for i in range(side**2)]


def make_input(rng: random.Random, folder: Path) -> Input:
    """Write the next input into `folder`, and set the size of images and blocks for it."""
    kind = rng.choice(("csv", "csv in zip", "zip", "zip with sample"))
    name = rng.choice(("train.csv", "test.csv"))
    archive.BLOCK_SIZE = rng.choice((10, 100, 1000, 2**18))
    set_side(rng.choice(SIDES))
    content = valid_csv(columns_of(name), rng)
    raw = folder / ("directory" if kind == "csv" else "archive.zip")
    if kind == "csv":
        raw.mkdir(exist_ok=True)
        content = mutate(content, rng)
        (raw / name).write_bytes(content)
        return Input(kind, raw, name, content, content)
    if kind == "csv in zip":
        content = mutate(content, rng)
        raw.write_bytes(zipped({name: content}, zipfile.ZIP_DEFLATED))
        return Input(kind, raw, name, content, content)
    if kind == "zip with sample":
        name, content = kaggle.SAMPLE_SUBMISSION, b"ImageId,Label\n1,0\n2,0\n"
    written = mutate(zipped({"a": b"", name: content, "b.csv": content}, rng.choice(METHODS)), rng)
    raw.write_bytes(written)
    return Input(kind, raw, name, content, written)


def columns_of(name: str) -> dict[str, int]:
    return ({"label": 9} if name == "train.csv" else {}) | dict.fromkeys(kaggle.PIXELS, 255)


def judge(tried: Input, answer: np.ndarray | str) -> str | None:
    """What is wrong with the answer, if anything is."""
    if isinstance(answer, str) and (len(answer) > 1000 or len(answer.splitlines()) != 1):
        return "expected one line of at most 1,000 characters"
    if isinstance(answer, str) and tried.kind in ("zip", "zip with sample"):
        return None if ": damaged: " in answer else "something else is blamed for the damage of the archive"
    if tried.kind == "zip with sample":
        return None
    return problem(answer, obvious_rows(tried.content, columns_of(tried.name)))


def try_one(rng: random.Random, folder: Path) -> tuple[Input, str | None, float]:
    """Make one input and read it: what is wrong with the answer if anything is, and the seconds it took."""
    tried = make_input(rng, folder)
    start = time.perf_counter()
    try:
        answer = read(tried.raw, tried.name)
    except Exception:
        return tried, traceback.format_exc(), time.perf_counter() - start
    seconds = time.perf_counter() - start
    if seconds > 1:  # the machine may have been busy: asking for the CPU time takes longer than most of these files
        start = time.process_time()
        read(tried.raw, tried.name)
        seconds = time.process_time() - start
    wrong = judge(tried, answer) or (f"took {seconds:.1f} s" if seconds > 1 else None)
    return tried, wrong and f"{wrong}; answer: {str(answer)[:300]}", seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="directory for the inputs that fail")
    args = parser.parse_args()
    rng, kinds, failures, slowest = random.Random(args.seed), Counter(), 0, 0.0
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for i in range(args.count):
            tried, wrong, seconds = try_one(rng, Path(folder))
            kinds[tried.kind] += 1
            slowest = max(slowest, seconds)
            if wrong:
                failures += 1
                print(f"input {i}, {tried.kind}, {len(tried.written)} bytes: {wrong}", flush=True)
                if args.keep:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{args.seed}-{i}").write_bytes(tried.written)
    print(
        f"seed {args.seed}: {args.count:,} inputs ({', '.join(f'{n:,} {kind}' for kind, n in sorted(kinds.items()))})"
    )
    print(f"{failures} failed, the slowest took {slowest:.3f} seconds, all {time.process_time():.0f} CPU seconds")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
