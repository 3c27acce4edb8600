"""Fuzz the reader of Kaggle's files, guided by coverage: an input that runs new code is mutated further.

uv pip install atheris && python -m benchmarks.fuzzing.fuzz_coverage [-max_total_time=3600] [-seed=1] [CORPUS_DIRECTORY]

`fuzz_reader` mutates valid files blindly; this one reaches code that needs a chain of small mutations. A CSV file,
plain or zipped, gives the rows of `obvious_rows`, or an InputError that names line and column. An altered archive
may give any rows, or any InputError of one line. The options are libFuzzer's. It stops at the first failure and saves
that input as crash-*. In half an hour it fills 2 GiB of memory: repeat shorter runs, with other seeds and the same
corpus.
"""

import random
import sys
import tempfile
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stages.digits"]):  # the whole reader: fuzz_reader imports the rest of it
    from benchmarks.fuzzing import fuzz_reader
    from stages.digits.tables import archive

SIDE, BLOCK_SIZE = 2, 100  # small, so that a few bytes cross each limit
SEEDS = 40  # valid files to start from
KINDS = ("csv", "csv in zip", "zip")
NAMES = ("train.csv", "test.csv")


def make_input(data: bytes, folder: Path) -> fuzz_reader.Input:
    """Write the file: the first byte of `data` says what it is, the others are its content."""
    kind, name = KINDS[data[0] % len(KINDS)], NAMES[data[0] // len(KINDS) % len(NAMES)]
    content = data[1:]
    raw = folder / ("directory" if kind == "csv" else "archive.zip")
    if kind == "csv":
        raw.mkdir(exist_ok=True)
        (raw / name).write_bytes(content)
    else:
        raw.write_bytes(fuzz_reader.zipped({name: content}, zipfile.ZIP_STORED) if kind == "csv in zip" else content)
    return fuzz_reader.Input(kind, raw, name, content, content)


def judge(tried: fuzz_reader.Input) -> None:
    """AssertionError if the answer is wrong. An altered archive may be a valid one: its rows aren't judged."""
    answer = fuzz_reader.read(tried.raw, tried.name)
    if tried.kind == "zip":
        wrong = isinstance(answer, str) and len(answer.splitlines()) != 1
    else:
        wrong = fuzz_reader.judge(tried, answer)
    assert not wrong, f"{wrong}; answer: {str(answer)[:300]}"


def write_seeds(corpus: Path) -> None:
    rng = random.Random(1)
    for i in range(SEEDS):
        name = NAMES[i // len(KINDS) % len(NAMES)]
        content = fuzz_reader.valid_csv(fuzz_reader.columns_of(name), rng)
        if KINDS[i % len(KINDS)] == "zip":
            content = fuzz_reader.zipped({"a": b"", name: content}, rng.choice(fuzz_reader.METHODS))
        (corpus / f"seed-{i}").write_bytes(bytes([i % (len(KINDS) * len(NAMES))]) + content)


def write_dictionary(path: Path) -> None:
    """fuzz_reader's tokens, in libFuzzer's notation."""
    short = [token for token in fuzz_reader.TOKENS if len(token) < 20]
    path.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in token) + '"\n' for token in short))


def main() -> None:
    archive.BLOCK_SIZE = BLOCK_SIZE
    fuzz_reader.set_side(SIDE)
    with tempfile.TemporaryDirectory(dir=fuzz_reader.MEMORY) as folder:
        corpus, dictionary, files = (Path(folder) / name for name in ("corpus", "dictionary", "files"))
        corpus.mkdir()
        files.mkdir()
        write_seeds(corpus)
        write_dictionary(dictionary)
        options = [*sys.argv, str(corpus), f"-dict={dictionary}", "-max_len=4096", "-print_final_stats=1"]
        atheris.Setup(options, lambda data: judge(make_input(data, files)) if data else None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
