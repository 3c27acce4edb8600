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

PAGES = [Place(f"{name}.png", 0, f"{name}.png", "100 bytes") for name in "abcd"]
WHOLE = journal.HEADER.decode() + "".join(f",,,,true,,{place.file}\n" for place in PAGES)


def read(_: Collection[Place]) -> Iterator[tuple[Place, Result | None]]:
    yield from ((place, result(place)) for place in PAGES)


class Stopped(BaseException):
    """As Ctrl-C, or the end of the process."""


def result(place: Place) -> Result:
    page = unread(place.name, "no digit found") | {"printed": {"png": b"a picture", "text": "is printed"}}
    del page["problem"]
    return page


def run(csv: Path, *, stop: int = 99, digest: str = "models", may_reuse: bool = False, pages=PAGES, read_page=result):
    """The pages that are read anew, until the run is stopped before the one at `stop`."""
    new = []

    def read(known: Collection[Place]) -> Iterator[tuple[Place, Result | None]]:
        for number, place in enumerate(pages):
            if number == stop:
                raise Stopped
            yield place, None if place in known else read_page(place)

    try:
        for page, is_new in journal.keep(csv, digest, pages, may_reuse, read):
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
    records = [json.loads(line) for line in journal.path_beside(csv).read_text().splitlines() if line]
    assert [record.get("name") for record in records] == [None, *(place.file for place in PAGES), None]
    assert not any(record.get("printed") for record in records)


@pytest.mark.parametrize("cut", [2, 40])
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
    changed = [Place("0.png", 0, "0.png", ""), PAGES[0], PAGES[1]._replace(state="changed"), *PAGES[2:]]
    assert run(csv, may_reuse=True, pages=changed) == ["0.png", "b.png"]
    assert [line.rpartition(",")[2] for line in csv.read_text().splitlines()[1:]] == [page.file for page in changed]


@pytest.mark.parametrize("stop", [2, 99])
def test_different_models_go_on_with_no_pile_and_replace_none(csv, stop):
    run(csv, stop=stop)
    before = csv.read_bytes()
    with pytest.raises(InputError, match=r"out\.csv: was read by different models or code: move it away, or choose"):
        run(csv, digest="retrained")
    assert csv.read_bytes() == before
    assert run(csv, may_reuse=True) == [place.file for place in PAGES[stop:]], "the pages are kept"


@pytest.mark.parametrize("stop", [2, 99])
def test_different_models_begin_again_once_the_csv_was_moved_away(csv, stop):
    run(csv, stop=stop)
    csv.unlink()
    assert run(csv, digest="retrained", stop=1) == ["a.png"]
    assert run(csv, digest="retrained") == ["b.png", "c.png", "d.png"]
    assert csv.read_text() == WHOLE


def test_a_csv_that_was_moved_away_is_written_again_from_the_journal(csv):
    run(csv, stop=2)
    csv.unlink()
    assert run(csv) == ["c.png", "d.png"]
    assert csv.read_text() == WHOLE


def test_a_page_that_could_not_be_read_is_tried_again_and_takes_the_place_of_its_line(csv):
    lost = {PAGES[1]: unread("b.png", "lost")}
    assert len(run(csv, read_page=lambda place: lost.get(place) or result(place))) == 4
    assert run(csv, may_reuse=True) == ["b.png"]
    assert csv.read_text() == WHOLE


def test_half_a_line_of_a_killed_run_spoils_no_line_after_it(csv):
    lost = {PAGES[1]: unread("b.png", "lost")}
    run(csv, stop=3, read_page=lambda place: lost.get(place) or result(place))
    path = journal.path_beside(csv)
    path.write_bytes(path.read_bytes()[:-40])
    csv.write_text("".join(WHOLE.splitlines(keepends=True)[:3]))
    assert run(csv, stop=3) == ["b.png", "c.png"]
    assert run(csv) == ["d.png"]
    assert csv.read_text() == WHOLE


def test_a_file_that_is_given_twice_has_its_rows_twice(csv):
    twice = [PAGES[0], PAGES[1], PAGES[0]]
    run(csv, pages=twice)
    assert run(csv, pages=twice, may_reuse=True) == []
    assert [line.rpartition(",")[2] for line in csv.read_text().splitlines()[1:]] == ["a.png", "b.png", "a.png"]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", WHOLE, WHOLE + "1,1,7,,false,1,mine.png\n"])
def test_a_csv_of_something_else_stays_as_it_is(csv, content):
    csv.write_text(content)
    with pytest.raises(InputError, match=r"out\.csv: holds what `python -m handwriting\.predict` didn't write"):
        run(csv)
    assert csv.read_text() == content
    assert hidden(csv) == []


def test_a_csv_that_was_changed_by_hand_stays_as_it_is(csv):
    run(csv, stop=3)
    changed = csv.read_text().replace("a.png", "x.png")
    csv.write_text(changed)
    with pytest.raises(InputError, match="or what was changed since"):
        run(csv)
    assert csv.read_text() == changed


def test_a_folder_or_a_pipe_is_no_csv(tmp_path):
    with pytest.raises(OSError, match="Is a directory"):
        run(tmp_path)


def test_a_csv_that_is_read_anew_keeps_all_its_pages_meanwhile(csv):
    run(csv)
    assert run(csv, stop=1) == ["a.png"]
    assert csv.read_text() == WHOLE


def test_a_csv_that_another_program_changes_meanwhile_loses_no_page(csv):
    with pytest.raises(InputError, match=r"out\.csv: another program changed it: move it away; pages in the CSV are"):
        for page, _ in journal.keep(csv, "models", PAGES, False, read):
            if page["name"] == "b.png":
                csv.with_name("saved").write_text("saved by a spreadsheet")
                csv.with_name("saved").replace(csv)
    assert csv.read_text() == "saved by a spreadsheet"
    csv.unlink()
    assert run(csv) == ["c.png", "d.png"]
    assert csv.read_text() == WHOLE


def hold(csv: Path, held, end) -> None:
    for _ in journal.keep(csv, "models", PAGES, False, read):
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
        with pytest.raises(InputError, match=r"out\.csv.*: File too large; pages in the CSV are kept; the same"):
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
    (tmp_path / "file").write_bytes(b"whole\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(InputError, match="File too large"):
            journal._append(tmp_path / "file", b"does not fit\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file").read_bytes() == b"whole\n"
