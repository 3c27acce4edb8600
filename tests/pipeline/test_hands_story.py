"""From a repository of labelled pictures to models that have learned from its hands: what the README's section left."""

import json
from collections.abc import Callable

import pytest
from commands import dvc, ran, run
from documents import Story
from ruamel.yaml import YAML

from stages.digits.base import dataset
from stages.digits.tables import own

pytestmark = pytest.mark.slow
WRITERS = ("0000-north", "0001-south", "0002-west")
COLLECT = "python -m handwriting.collect data/numbers"


@pytest.fixture(scope="module")
def learned(story: Callable[[str], Story]) -> Story:
    return story(COLLECT)


def test_the_import_records_the_address_and_the_revision_and_git_holds_no_picture(learned):
    imported = YAML(typ="safe").load((learned.folder / "data/numbers.dvc").read_text(encoding="utf-8"))
    [dependency] = imported["deps"]
    assert dependency["repo"]["url"] == "https://github.com/kensanata/numbers"
    assert dependency["repo"]["rev_lock"] == run(learned.folder / "../home/numbers", "git", "rev-parse", "HEAD").strip()
    names = run(learned.folder, "git", "ls-files", "--cached", "--others", "--exclude-standard", "data").split()
    assert {"data/numbers.dvc", "data/own.dvc"} <= set(names)
    assert not [name for name in names if name.startswith(("data/numbers/", "data/own/"))]


def test_each_writer_is_taken_whole_and_what_is_beside_them_is_passed_over(learned):
    lines = learned.printed[COLLECT].splitlines()
    assert lines[0].endswith("data/numbers: passed over 2 beside folders 0 to 9, or links out of it: README.md, tools")
    for writer in WRITERS:
        assert [
            line for line in lines if line.startswith(f"data/numbers/{writer}: took 40 digits into data/own/{writer}/")
        ]


def test_hands_and_print_are_read_as_writers(learned):
    table = own.read(learned.folder / "data/own")
    assert table.names == (*WRITERS, dataset.PRINT)
    assert len(table.labels) == 3 * 40 + 60


def test_they_are_learned_from_and_counted_apart(learned):
    assert ran(learned.printed["dvc exp run -S own=data/own -S own_weight=1"]) == [
        "prepare",
        "train",
        "evaluate",
        "submit",
    ]
    diff = json.loads(dvc(learned.folder, "metrics", "diff", "--json"))
    assert diff["metrics/prepare.json"]["own_rows"]["new"] == 180
    assert "new" in diff["metrics/evaluate.json"]["own_errors"]
