"""The room that a database holds, and the log that it empties: when, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.store.test_database_parts import BROKEN, FULL, A, B, at, refusing

from pvbinder.server.store.checksums import Totals
from pvbinder.server.store.database import FILE_NAME, FRAMES_MAX, Database
from pvbinder.server.store.reserve import RESERVE_BYTES, Reserve
from pvbinder.server.store.room import PAGES_KEPT_FREE, Room, frames_for, pages_for
from pvbinder.server.store.sound import read_file


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "data")
    yield opened
    opened.close()


def test_room_1_pages_are_held_ahead(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        asked = hold(database, patched, limit=1_000_000)
        database._hold_pages(5)
        assert (asked, database._pages) == ([10 + 5 + 64 + 256 - 7], 5 + 64 + 256)


def hold(database: Database, patched: pytest.MonkeyPatch, *, limit: int, free: int = 7) -> list[int]:
    """Let the database have ten pages, and the disk room for `limit`; return what is asked for."""
    asked: list[int] = []

    def hold_pages(_: object, count: int) -> bool:
        asked.append(count)
        if count > limit:
            raise FULL
        return True

    class Answer:
        def __init__(self, text: str) -> None:
            self.value = {"PRAGMA page_count": 10, "PRAGMA freelist_count": free}[text]

        def fetchone(self) -> tuple[int]:
            return (self.value,)

    class Connection:
        in_transaction = False

        def execute(self, text: str) -> Answer:
            return Answer(text)

    patched.setattr(Room, "hold_pages", hold_pages)
    patched.setattr(database, "_connection", Connection())
    return asked


HELD: dict[str, tuple[int, int, list[int], int]] = {  # free pages, the disk's room: what is asked for, what is held
    "all": (7, 400, [328], 325),
    "as many as are free": (7, 100, [328, 79], 76),
    "the least": (7, 75, [328, 79, 72], 69),
    "none": (7, 71, [328, 79, 72], 7),
    "many free ones": (300, 400, [35], 325),
    "more free ones than are needed": (500, 400, [10], 500),
    "as many free ones, and no room beyond": (300, 30, [35, 35, 10], 300),
}


@pytest.mark.parametrize(("free", "limit", "asked", "held"), HELD.values(), ids=HELD.keys())
def test_room_1_as_many_pages_are_held_as_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch, free: int, limit: int, asked: list[int], held: int
) -> None:
    with monkeypatch.context() as patched:
        found = hold(database, patched, limit=limit, free=free)
        if held == 7:
            with pytest.raises(OSError, match="no space"):
                database._hold_pages(5)
        else:
            database._hold_pages(5)
    assert (found, database._pages) == (asked, held)


def test_room_1_no_page_is_held_of_a_file_that_is_not_open(database: Database) -> None:
    database._drop_connection()
    database._pages = 3
    database._hold_pages(5)
    database._empty_log()
    assert database._pages == 3


def test_room_1_what_a_batch_needs_is_held_only_if_it_is_not_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    with monkeypatch.context() as patched:
        patched.setattr(database, "_hold_pages", lambda count: asked.append(("pages", count)))
        patched.setattr(Room, "hold_log", lambda _, *of: asked.append(("log", *of)))
        patched.setattr(database, "_frames", 30)
        patched.setattr(database, "_pages", 5 + PAGES_KEPT_FREE)
        patched.setattr(database, "_largest", 100)
        database._hold_for(5, 3, 90)
        assert (asked, database._largest) == ([("log", 33, 100)], 100)
        asked.clear()
        database._hold_for(6, 3, 110)
        assert (asked, database._largest) == ([("pages", 6), ("log", 33, 110)], 110)


LOG, PAGES = ("log", 0, 100), ("pages", 0)


@pytest.mark.parametrize(("error", "was_full", "taken", "expected"), [
    (None, False, True, [LOG, PAGES, "take"]), (None, False, False, [LOG, PAGES, "take", "hold"]),
    (None, True, True, [LOG, PAGES, "doubt", "take"]), (FULL, False, True, [LOG, "doubt", "take"]),
    (FULL, False, False, [LOG, "doubt", "take", "hold"]),
])  # fmt: skip
def test_database_6_the_room_that_is_held_at_the_start(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError | None,
    was_full: bool,
    taken: bool,
    expected: list[object],
) -> None:
    done: list[object] = []

    def told(what: object, answer: object = None, failure: OSError | None = None) -> object:
        done.append(what)
        if failure is not None:
            raise failure
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Room, "hold_log", lambda _, *of: told(("log", *of), failure=error))
        patched.setattr(database, "_hold_pages", lambda count: told(("pages", count)))
        patched.setattr(Reserve, "take", lambda _: told("take", taken))
        patched.setattr(Reserve, "doubt", lambda _: told("doubt"))
        patched.setattr(Reserve, "hold", lambda _: told("hold"))
        patched.setattr(database, "_largest", 100)
        database.is_full = was_full
        database._hold_room()
        assert (done, database.is_full) == (expected, not taken)


def test_room_1_what_a_batch_may_grow_by_is_known_from_what_it_replaces(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    before, after, new = at(101, b"x" * 9000), at(102, b"x" * 18000), at(102, b"x")
    database.commit({A: before}, 101)
    monkeypatch.setattr(database, "_hold_for", lambda *of: asked.append(of))
    database.commit({A: after, B: new}, 102, {A: before})
    assert asked == [(pages_for(after, before) + pages_for(new, None), frames_for({A: after, B: new}), len(after.data))]


@pytest.mark.parametrize(("error", "times", "emptied"), [(FULL, 1, 1), (FULL, 2, 1), (BROKEN, 1, 0)])
def test_room_1_the_log_is_emptied_once_for_a_batch_that_has_no_room(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: OSError, times: int, emptied: int
) -> None:
    done: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(Room, "hold_log", refusing(error, times=times))
        patched.setattr(database, "_empty_log", lambda **how: done.append(how))
        if times == 1 and error is FULL:
            database._hold_for(5, 3, 90)
        else:
            with pytest.raises(OSError, match=error.strerror):
                database._hold_for(5, 3, 90)
    assert done == [{"cut": True}] * emptied


def test_room_1_the_log_is_cut_before_a_deletion_that_met_a_full_disk_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.commit({A: at(101)}, 101)
    done: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(database, "_write", refusing(FULL, times=1))
        patched.setattr(database, "_empty_log", lambda **how: done.append(how))
        database.commit({A: None}, 102, {A: at(101)})
    assert done == [{"cut": True}]


def test_database_1_all_that_a_batch_deletes_is_gone(tmp_path: Path) -> None:
    database = Database(tmp_path)
    there = {(kind, name): at(101) for kind in ("pods", "nodes") for name in ("a", "b")}
    database.commit(there, 101)
    database.commit(dict.fromkeys(there), 102, there)
    database.close()
    found = read_file(tmp_path / FILE_NAME)
    assert found is not None
    assert (found.objects, found.totals) == ([], Totals(0, 0))


@pytest.mark.parametrize(("is_full", "taken", "pages", "expected"), [
    (False, False, 0, True), (True, True, 0, True), (True, False, 5 + PAGES_KEPT_FREE, True),
    (True, False, 4 + PAGES_KEPT_FREE, False),
])  # fmt: skip
def test_database_6_a_write_that_has_room_may_be_tried(
    database: Database, monkeypatch: pytest.MonkeyPatch, is_full: bool, taken: bool, pages: int, expected: bool
) -> None:
    monkeypatch.setattr(Reserve, "take", lambda _: taken)
    database.is_full, database._pages = is_full, pages
    assert database.room_for(5) is expected


@pytest.mark.parametrize(("cut", "is_full", "is_large", "mode"), [
    (False, False, True, "PASSIVE"), (False, True, True, "RESTART"), (True, True, False, "RESTART"),
    (True, False, True, "TRUNCATE"), (True, True, True, "TRUNCATE"),
])  # fmt: skip
@pytest.mark.parametrize("busy", [0, 1])
def test_room_1_how_the_log_is_emptied(
    database: Database, monkeypatch: pytest.MonkeyPatch, cut: bool, is_full: bool, is_large: bool, mode: str, busy: int
) -> None:
    said: list[str] = []

    class Connection:
        in_transaction = False

        def execute(self, text: str) -> Connection:
            said.append(text)
            return self

        def fetchone(self) -> tuple[int, int, int]:
            return busy, 30, 20

    with monkeypatch.context() as patched:
        patched.setattr(database, "_connection", Connection())
        patched.setattr(Room, "log_is_large", property(lambda _: is_large))
        patched.setattr(Room, "log_was_cut", lambda _: said.append("cut"))
        patched.setattr(database, "_hold_pages", lambda count: said.append(f"hold {count}"))
        patched.setattr(database, "is_full", is_full)
        database._empty_log(cut=cut)
        assert said == [
            f"PRAGMA wal_checkpoint({mode})", *(["cut"] if mode == "TRUNCATE" and not busy else []), "hold 0",
        ]  # fmt: skip
        assert database._frames == 10 + busy
        said.clear()
        patched.setattr(Connection, "in_transaction", True)
        database._empty_log(cut=cut)
        assert said == [], "not in the middle of a batch"


def test_room_1_the_log_is_emptied_when_it_is_long(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[dict[str, bool]] = []
    monkeypatch.setattr(database, "_empty_log", lambda **how: emptied.append(how))
    database._frames = FRAMES_MAX - 5
    database.commit({A: at(101)}, 101)
    assert (database._frames, emptied) == (FRAMES_MAX, []), "three frames, and two of the object"
    database.commit({A: None}, 102, {A: at(101)})
    assert (database._frames, emptied) == (FRAMES_MAX + 5, [{}])
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("taken", "error", "still_full"), [(True, None, False), (True, FULL, True), (False, None, True)]
)
def test_database_6_after_a_write_it_is_seen_whether_the_disk_is_full_still(
    database: Database, monkeypatch: pytest.MonkeyPatch, taken: bool, error: OSError | None, still_full: bool
) -> None:
    done: list[object] = []

    def hold_pages(count: int) -> None:
        done.append(("pages", count, database._pages))
        if error is not None:
            raise error

    with monkeypatch.context() as patched:
        patched.setattr(Reserve, "take", lambda _: taken)
        patched.setattr(Reserve, "hold", lambda _: done.append("hold"))
        patched.setattr(Room, "hold_log", lambda _, *of: done.append(("log", *of)))
        patched.setattr(database, "_hold_pages", hold_pages)
        patched.setattr(database, "_largest", 77)
        patched.setattr(database, "_pages", 9)
        database.is_full = True
        database._see_room()
        again = ["hold", ("pages", 0, 0)] if still_full else []
        assert done == ([("log", 0, 77), ("pages", 0, 9)] if taken else []) + again
        assert database.is_full is still_full
    database.is_full = False


def test_the_reserve_is_given_up_for_other_files_and_held_again(database: Database) -> None:
    database.give_up_reserve()
    assert (database._reserve.size, database.is_full) == (0, True)
    database.hold_reserve()
    assert database._reserve.size == RESERVE_BYTES
    assert not database._reserve.is_held, "whether there is room isn't asked"


def test_a_file_that_may_not_grow(database: Database) -> None:
    assert database._connection is not None
    database.limit_size(1000)
    assert database._connection.execute("PRAGMA max_page_count").fetchone() == (1000,)
    database.limit_size(0)
    assert database._connection.execute("PRAGMA max_page_count").fetchone() == (2**32 - 2,)
    database._drop_connection()
    database.limit_size(5)


def test_a_list_that_can_not_be_shortened_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.commit({A: at(101)}, 101)
    size = database.noted_bytes
    assert database._acknowledged is not None
    with monkeypatch.context() as patched:
        patched.setattr(database._acknowledged.__class__, "forget", refusing(FULL))
        database.forget_acknowledged(101)
    assert database.noted_bytes == size
    database.forget_acknowledged(101)
    assert database.noted_bytes < size
