"""The CSV of a pile: it grows by whole pages, and a stopped run goes on."""

import json
import multiprocessing
import resource
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from handwriting.piles import journal
from handwriting.piles.pile import Place, Result, unread
from stages.digits.base.errors import InputError

PAGES = [Place(f"{name}.png", 0, 100, 1) for name in "abcd"]
WHOLE = journal.HEADER.decode() + "".join(f",,,,true,,{place.file}\n" for place in PAGES)


class Stopped(BaseException):
    """As Ctrl-C, or the end of the process."""


def result(place: Place) -> Result:
    return unread(place.file, "no digit found") | {"png": b"a picture", "text": "is printed"}


def run(csv: Path, *, stop: int = 99, digest: str = "models", may_reuse: bool = False, pages=PAGES) -> list[str]:
    """The pages that are read anew, until the run is stopped before the one at `stop`."""
    new = []

    def read(known: Collection[Place]) -> Iterator[tuple[Place, Result | None]]:
        for number, place in enumerate(pages):
            if number == stop:
                raise Stopped
            yield place, None if place in known else result(place)

    try:
        for page, is_new in journal.keep(csv, digest, may_reuse, read):
            new += [page["name"]] * is_new
    except Stopped:
        pass
    return new


@pytest.fixture
def csv(tmp_path) -> Path:
    return tmp_path / "out.csv"


def hidden(csv: Path) -> list[str]:
    return sorted(path.name for path in csv.parent.iterdir() if path != csv)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_stopped_run_leaves_whole_pages_and_the_next_goes_on_to_the_same_bytes(csv, stop):
    assert run(csv, stop=stop) == [place.file for place in PAGES[:stop]]
    assert csv.read_text() == "".join(WHOLE.splitlines(keepends=True)[: 1 + stop])
    assert run(csv) == [place.file for place in PAGES[stop:]]
    assert csv.read_text() == WHOLE
    assert hidden(csv) == [".out.csv.pages"]


def test_what_is_printed_is_not_kept(csv):
    run(csv)
    records = [json.loads(line) for line in journal.path_beside(csv).read_text().splitlines()]
    assert [record.get("name") for record in records] == [None, *(place.file for place in PAGES), None]
    assert not any({"png", "text"} & set(record) for record in records)


@pytest.mark.parametrize("cut", [1, 40])
def test_a_page_that_a_killed_run_has_half_written_is_read_again(csv, cut):
    run(csv, stop=3)
    path = journal.path_beside(csv)
    path.write_bytes(path.read_bytes()[:-cut])
    csv.write_text("".join(WHOLE.splitlines(keepends=True)[:3])[:-cut])
    assert run(csv) == ["c.png", "d.png"]
    assert csv.read_text() == WHOLE


def test_a_journal_that_ends_in_something_else_counts_up_to_there(csv):
    run(csv, stop=2)
    with journal.path_beside(csv).open("ab") as file:
        file.write(bytes(100) + b"\n")
    assert run(csv) == ["c.png", "d.png"]
    assert csv.read_text() == WHOLE


def test_a_page_that_is_in_the_journal_but_not_in_the_csv_is_not_read_again(csv):
    run(csv, stop=3)
    csv.write_text("".join(WHOLE.splitlines(keepends=True)[:3]))
    assert run(csv) == ["d.png"]
    assert csv.read_text() == WHOLE


def test_a_finished_csv_is_read_anew_unless_its_pages_may_be_reused(csv):
    run(csv)
    assert run(csv, may_reuse=True) == []
    assert run(csv) == [place.file for place in PAGES]
    assert csv.read_text() == WHOLE


def test_only_a_page_whose_file_has_changed_or_is_new_is_read_and_the_order_is_that_of_the_files(csv):
    run(csv)
    changed = [Place("0.png", 0, 1, 1), PAGES[0], PAGES[1]._replace(changed=2), *PAGES[2:]]
    assert run(csv, may_reuse=True, pages=changed) == ["0.png", "b.png"]
    assert [line.rpartition(",")[2] for line in csv.read_text().splitlines()[1:]] == [page.file for page in changed]


def test_different_models_go_on_with_no_pile(csv):
    run(csv, stop=2)
    before = csv.read_bytes()
    with pytest.raises(InputError, match=r"out\.csv: was begun with different models or code: move it away"):
        run(csv, digest="retrained")
    assert csv.read_bytes() == before
    assert run(csv) == ["c.png", "d.png"], "the pages are kept"


def test_different_models_begin_again_once_the_csv_was_moved_away_or_finished(csv):
    run(csv, stop=2)
    csv.unlink()
    assert len(run(csv, digest="retrained")) == 4
    assert len(run(csv, digest="retrained again", may_reuse=True)) == 4


@pytest.mark.parametrize("content", ["a,b\n1,2\n", WHOLE, WHOLE + "1,1,7,,false,1,mine.png\n"])
def test_a_csv_of_something_else_stays_as_it_is(csv, content):
    csv.write_text(content)
    with pytest.raises(InputError, match=r"out\.csv: holds what `python -m handwriting\.predict` didn't write"):
        run(csv)
    assert csv.read_text() == content
    assert hidden(csv) == []


def test_a_csv_that_was_changed_by_hand_stays_as_it_is(csv):
    run(csv, stop=3)
    changed = csv.read_text().replace(",true,", ",false,", 1)
    csv.write_text(changed)
    with pytest.raises(InputError, match="or what was changed since"):
        run(csv)
    assert csv.read_text() == changed


def test_a_folder_or_a_pipe_is_no_csv(tmp_path):
    with pytest.raises(InputError, match="didn't write"):
        run(tmp_path)


def test_an_older_csv_is_replaced_only_once_a_page_is_read(csv):
    run(csv)
    assert run(csv, stop=0, digest="retrained") == []
    assert csv.read_text() == WHOLE
    assert hidden(csv) == [".out.csv.pages"]


def test_a_csv_that_another_program_changes_meanwhile_loses_no_page(csv):
    with pytest.raises(InputError, match=r"out\.csv: another program changed it: move it away; pages in the CSV are"):
        for page, _ in journal.keep(csv, "models", False, lambda _: ((place, result(place)) for place in PAGES)):
            if page["name"] == "b.png":
                csv.with_name("saved").write_text("saved by a spreadsheet")
                csv.with_name("saved").replace(csv)
    assert csv.read_text() == "saved by a spreadsheet"
    csv.unlink()
    assert run(csv) == ["c.png", "d.png"]
    assert csv.read_text() == WHOLE


def hold(csv: Path, held, end) -> None:
    for _ in journal.keep(csv, "models", False, lambda _: ((place, result(place)) for place in PAGES)):
        held.set()
        end.wait(60)


def test_a_second_command_on_the_same_csv_is_one_line(csv):
    context = multiprocessing.get_context("fork")
    held, end = context.Event(), context.Event()
    first = context.Process(target=hold, args=(csv, held, end))
    first.start()
    try:
        assert held.wait(60)
        with pytest.raises(InputError, match=r"out\.csv: another command is writing it: wait until it ends"):
            run(csv)
    finally:
        end.set()
        first.join()
    assert csv.read_text() == WHOLE


@pytest.mark.parametrize("room", [30, 350, 500])
def test_a_full_disk_leaves_whole_pages_and_the_next_run_goes_on(csv, room):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    run(csv, stop=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.path_beside(csv).stat().st_size + room, hard))
    try:
        with pytest.raises(InputError, match=r"out\.csv: File too large; pages in the CSV are kept; the same command"):
            run(csv)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert WHOLE.startswith(csv.read_text())
    assert csv.read_text().endswith("\n")
    run(csv)
    assert csv.read_text() == WHOLE
    assert hidden(csv) == [".out.csv.pages"]


def test_a_write_that_fails_half_way_leaves_the_file_as_it_was(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "file").open("wb", buffering=0) as file:
        journal._write(file, b"whole\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                journal._write(file, b"does not fit\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file").read_bytes() == b"whole\n"
