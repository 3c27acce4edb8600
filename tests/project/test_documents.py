"""Every command that a document prints is run as printed; documents.py says how, and which aren't and why."""

import re
from contextlib import suppress

import documents
import psutil
import pytest
from documents import DOCUMENTS, Reader, Section

from stages.digits.tables import kaggle

SECTIONS = documents.sections()


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_every_command_runs_as_printed(section, tell):
    printed = tell(section).printed
    for command in (documents.bare(command) for block in section.blocks for command in block):
        assert (command in printed) == (documents.rule(documents.NOT_RUN, command) is None), command


def test_commands_are_printed_in_blocks_of_their_own_and_nowhere_else():
    for document in DOCUMENTS:
        for _, language, text in documents.parts(document):
            assert language in ("console", "python", "mermaid", ""), f"{document}: {language}"
            assert language == "console" or not re.search(r"(?m)^[$!] ?\w", text), f"{document}: {text}"


@pytest.mark.parametrize("table", ["NOT_RUN", "INSTEAD", "FIRST", "AFTER", "GOES_ON"])
def test_what_is_not_as_for_a_person_is_printed(table):
    """So no exception outlives its command."""
    printed = [documents.bare(command) for s in SECTIONS for block in s.blocks for command in block]
    for pattern in getattr(documents, table):
        assert any(re.fullmatch(pattern, command, re.DOTALL) for command in printed), pattern


@pytest.mark.parametrize("table", ["NAMES", "SMALLER"])
def test_what_is_replaced_in_commands_is_printed(table):
    printed = " ".join(command for s in SECTIONS for block in s.blocks for command in block)
    for part in getattr(documents, table):
        assert part in printed


@pytest.fixture
def reader(tmp_path) -> Reader:
    (tmp_path / "clone/folder").mkdir(parents=True)
    return Reader(tmp_path / "clone")


def test_a_reader_has_no_environment_until_a_block_activates_one_and_each_block_has_its_own_terminal(reader):
    (reader.folder / "activate").write_text("PATH=/activated:$PATH", encoding="utf-8")
    reader.follow(Section("", "", ((". ./activate", "cd folder", "echo $PATH; pwd"), ("echo $PATH", "pwd"))))
    assert reader.printed["echo $PATH; pwd"].startswith("/activated:")
    assert reader.printed["echo $PATH; pwd"].endswith("/folder\n")
    assert reader.printed["echo $PATH"] == f"{reader.home}/bin:/bin:/usr/bin\n"
    assert reader.printed["pwd"] == f"{reader.folder}\n"


def test_each_line_of_a_notebook_has_a_shell_of_its_own_and_the_notebooks_python(reader):
    reader.follow(Section("", "", (("!mkdir made && cd made", "!pwd", "!python -c 'import keras' || echo none"),)))
    assert reader.printed["!pwd"] == f"{reader.notebook}\n"
    assert reader.printed["!python -c 'import keras' || echo none"].endswith("none\n")


def test_a_command_that_fails_ends_the_section_and_is_named_with_what_it_printed(reader):
    with pytest.raises(AssertionError, match=r"\$ echo why; false\nwhy"):
        reader.follow(Section("", "", (("true", "echo why; false", "touch made"),)))
    assert not (reader.folder / "made").exists()


@pytest.mark.slow
def test_what_goes_on_in_the_background_ends_with_its_section(reader, monkeypatch):
    monkeypatch.setitem(documents.GOES_ON, "sleep .*", "ready")
    reader.follow(Section("", "", (("sleep 600 & echo $! ready; wait",),)))
    number = reader.printed["sleep 600 & echo $! ready; wait"].split()[0]
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(number)).wait(60)  # TimeoutExpired if it goes on


@pytest.mark.slow
def test_the_program_for_fashion_mnist_writes_the_images_and_labels_that_keras_gives(story):
    raw = story("python fashion.py").folder / "data/fashion"
    labelled, expected = kaggle.read_labelled(raw), documents.pictures.drawn_digits(20, seed=20)
    assert labelled.images.tobytes() == expected.images.tobytes()
    assert labelled.labels.tolist() == expected.labels.tolist()
    assert kaggle.read_unlabelled(raw).images.tobytes() == documents.pictures.drawn_digits(2, seed=2).images.tobytes()
