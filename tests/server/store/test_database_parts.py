"""A database step by step: opening it, what is missed or refused, and the end."""

from __future__ import annotations

import errno
import gc
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.server.store.test_older_format import write_format_1

from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.store import database as databases
from pvbinder.server.store.acknowledged import begin, read_acknowledged
from pvbinder.server.store.ceiling import read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of
from pvbinder.server.store.database import (
    FILE_NAME,
    FRAMES_MAX,
    LAST_GOOD_NAME,
    RECOVERED_NAME,
    Database,
    WriteFailed,
    finish_recovery,
)
from pvbinder.server.store.errors import DamagedDataError, UnusableError
from pvbinder.server.store.making import create
from pvbinder.server.store.reserve import RESERVE_BYTES, Reserve
from pvbinder.server.store.room import PAGES_AHEAD, Room
from pvbinder.server.store.sound import read_file
from pvbinder.server.store.state import Stored

A, B = ("pods", "a"), ("pods", "b")
FULL = OSError(errno.ENOSPC, "no space")
BROKEN = OSError(errno.EIO, "broken")


def at(revision: int, data: bytes = b"{}") -> Stored:
    return Stored(revision, data)


def handles() -> int:
    """Return how many files this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "data")
    yield opened
    opened.close()


def refusing(error: Exception, *, times: int = 1_000_000) -> Callable[..., Any]:
    """Return a call that raises so many times, and then does nothing."""
    left = [times]

    def refuse(*_: object, **__: object) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return refuse


# ------------------------------------------------------------------------------------------------ opening


def test_a_new_directory(database: Database, tmp_path: Path) -> None:
    assert database.directory == tmp_path / "data"
    assert (database.revision(), list(database.load()), database.is_full) == (100, [], False)
    assert database.noted_bytes == (tmp_path / "data" / "acknowledged").stat().st_size > 0
    assert (tmp_path / "data" / "reserve").stat().st_size == RESERVE_BYTES
    assert read_ceiling(tmp_path / "data") is None


def test_objects_are_given_once(tmp_path: Path) -> None:
    create(tmp_path / FILE_NAME, [("pods", "a", at(101)), ("pods", "b", at(102, b"x" * 77))], 105)
    database = Database(tmp_path)
    assert database._largest == 77
    assert list(database.load()) == [("pods", "a", at(101)), ("pods", "b", at(102, b"x" * 77))]
    assert list(database.load()) == []
    assert database.revision() == 105
    database.close()
    assert read_ceiling(tmp_path) is None, "nothing was written"


def test_a_directory_without_a_list_of_writes(tmp_path: Path) -> None:
    database = Database(tmp_path, keeps_list=False)
    database.commit({A: at(101)}, 101)
    database.forget_acknowledged(101)
    assert database.noted_bytes == 0
    database.close()
    assert not (tmp_path / "acknowledged").exists()
    database = Database(tmp_path)
    assert database.noted_bytes > 0, "one is begun when it is opened with it"
    database.commit({B: at(102)}, 102)
    database.close()
    known, found = read_acknowledged(tmp_path), read_file(tmp_path / FILE_NAME)
    assert known is not None
    assert found is not None
    assert (known.since, known.identity, set(known.newest)) == (101, found.identity, {B})
    assert len(known.identity) == 32
    database = Database(tmp_path, keeps_list=False)
    database.commit({A: None}, 103, {A: at(101)})
    database.close()
    known = read_acknowledged(tmp_path)
    assert known is not None
    assert known.revision == 103, "a list that there is goes on"


def test_a_list_that_is_behind_the_file_is_begun_anew(tmp_path: Path) -> None:
    """As after a power cut, which may cost the last lines."""
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    size = database.noted_bytes
    database.commit({B: at(102)}, 102)
    database.close()
    os.truncate(tmp_path / "acknowledged", size)
    Database(tmp_path).close()
    known = read_acknowledged(tmp_path)
    assert known is not None
    assert (known.since, known.lines) == (102, 0)


def test_a_list_that_is_as_far_as_the_file_goes_on(tmp_path: Path) -> None:
    for revision in (101, 102):
        database = Database(tmp_path)
        database.commit({A: at(revision)}, revision, {A: at(101)} if revision > 101 else {})
        database.close()
    known = read_acknowledged(tmp_path)
    assert known is not None
    assert (known.since, known.lines) == (100, 2)


@pytest.mark.parametrize("trace", ["ceiling", LAST_GOOD_NAME, "acknowledged"])
@pytest.mark.parametrize("is_empty", [True, False])
def test_database_5_a_file_that_was_there_is_missed(tmp_path: Path, trace: str, is_empty: bool) -> None:
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    database.close()
    for path in list(tmp_path.iterdir()):
        if path.name not in (trace, "lock"):
            path.unlink()
    if trace == LAST_GOOD_NAME:
        create(tmp_path / LAST_GOOD_NAME)
    if is_empty:
        (tmp_path / FILE_NAME).write_bytes(b"")
        (tmp_path / FILE_NAME).chmod(0o600)
    with pytest.raises(DamagedDataError) as refused:
        Database(tmp_path)
    why = "there is nothing in it any more" if is_empty else "it is gone"
    assert refused.value.message == f"{tmp_path / FILE_NAME} is damaged: {why}"


def test_database_5_a_list_that_has_only_begun_is_no_trace(tmp_path: Path) -> None:
    """So it is after a kill between the beginning of the list and that of the file."""
    begin(tmp_path, "me", 100)
    (tmp_path / "lock").write_bytes(b"")
    (tmp_path / "lock").chmod(0o600)
    (tmp_path / "acknowledged").chmod(0o600)
    database = Database(tmp_path)
    assert database.revision() == 100
    database.close()


def test_ceiling_1_without_it_a_block_is_skipped(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    assert read_ceiling(tmp_path) == 100_101
    database.commit({B: at(102)}, 102)
    assert read_ceiling(tmp_path) == 100_101, "not for every write"
    database.close()
    assert read_ceiling(tmp_path) == 102
    (tmp_path / "ceiling").unlink()
    database = Database(tmp_path)
    assert database.revision() == 100_102
    database.close()


def test_ceiling_1_it_is_raised_by_the_first_revision_above_it(tmp_path: Path) -> None:
    database = Database(tmp_path)
    write_ceiling(tmp_path, 150)
    database.close()
    database = Database(tmp_path)
    assert database.revision() == 150
    database.commit({A: at(150)}, 150)
    assert read_ceiling(tmp_path) == 150
    database.commit({B: at(151)}, 151)
    assert read_ceiling(tmp_path) == 100_151
    database.close()


@pytest.mark.parametrize("error", [BROKEN, sqlite3.OperationalError("odd"), ValueError("odd")])
@pytest.mark.parametrize("step", ["read_sound", "connect", "open_for_reading", "Room"])
def test_what_can_not_be_opened_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    Database(tmp_path).close()
    before = handles()
    with monkeypatch.context() as patched:
        patched.setattr(databases, step, refusing(error))
        with pytest.raises((UnusableError, ValueError)) as refused:
            Database(tmp_path)
    assert isinstance(error, ValueError) == (refused.value is error)
    if isinstance(refused.value, UnusableError):
        where = tmp_path / FILE_NAME if isinstance(error, sqlite3.Error) else tmp_path
        assert refused.value.message == f"can't use {where}: {'broken' if error is BROKEN else 'odd'}"
    assert handles() == before
    Database(tmp_path).close()


@pytest.mark.parametrize("step", ["read_sound", "connect"])
def test_database_6_what_has_no_room_gets_that_of_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    Database(tmp_path).close()
    real = getattr(databases, step)
    sizes: list[int] = []

    def tight(path: Path) -> Any:
        sizes.append((tmp_path / "reserve").stat().st_size if (tmp_path / "reserve").exists() else 0)
        if sizes[-1]:
            raise UnusableError(path, FULL)
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(databases, step, tight)
        database = Database(tmp_path)
    assert sizes == [RESERVE_BYTES, 0]
    assert not database.is_full, "there is room for the reserve again"
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES
    database.commit({A: at(101)}, 101)
    database.close()


def test_database_6_what_is_stored_is_served_when_nothing_can_be_opened_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tmp_path / FILE_NAME, [("pods", "a", at(101))], 101)
    with monkeypatch.context() as patched:
        patched.setattr(databases, "connect", refusing(UnusableError(tmp_path, FULL)))
        database = Database(tmp_path)
        assert database.is_full
        assert list(database.load()) == [("pods", "a", at(101))]
        with pytest.raises(WriteFailed) as failed:
            database.commit({B: at(102)}, 102)
        assert failed.value.trouble == "full"
    database.commit({B: at(103)}, 103)
    database.close()


@pytest.mark.parametrize("error", [FULL, BROKEN])
def test_database_6_room_that_can_not_be_held_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    before = handles()
    with monkeypatch.context() as patched:
        patched.setattr(Room, "hold_log", refusing(error))
        if error is BROKEN:
            with pytest.raises(UnusableError):
                Database(tmp_path)
            assert handles() == before
        patched.setattr(Room, "hold_log", refusing(FULL))
        patched.setattr(Reserve, "take", lambda _: False)
        database = Database(tmp_path)
        is_full = database.is_full
    assert is_full
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES, "as much as there is"
    database.commit({A: at(101)}, 101)
    assert not database.is_full, "there is room again"
    database.close()


def test_a_path_that_can_not_be_asked_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not databases._is_there(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    assert not databases._is_there(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"x")
    assert databases._is_there(tmp_path / "file")
    monkeypatch.setattr(Path, "stat", refusing(BROKEN))
    with pytest.raises(OSError, match="broken") as refused:
        databases._is_there(tmp_path / "file")
    assert refused.value is BROKEN or isinstance(refused.value, UnusableError)


def test_recovery_5_a_recovered_file_takes_its_place_with_a_list_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr(
        databases, "sync_directory", lambda path: synced.append((path, (path / RECOVERED_NAME).exists()))
    )
    finish_recovery(tmp_path)
    assert list(tmp_path.iterdir()) == []
    create(tmp_path / RECOVERED_NAME, [("pods", "a", at(101))], 150, "me")
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"{FILE_NAME}{suffix}").write_text("damaged")
    finish_recovery(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {FILE_NAME, "acknowledged"}
    found, known = read_file(tmp_path / FILE_NAME), read_acknowledged(tmp_path)
    assert found is not None
    assert known is not None
    assert (found.objects, found.identity) == ([("pods", "a", at(101))], "me")
    assert (known.identity, known.since, known.lines) == ("me", 150, 0)
    assert synced == [(tmp_path, True), (tmp_path, False)]


def test_an_older_format_gets_checksums_and_totals(tmp_path: Path) -> None:
    rows = [("", "", 105, b""), ("pods", "a", 103, b"one"), ("pods", "b", 104, b"two")]
    path = write_format_1(tmp_path, rows)
    found = databases.read_sound(path)
    objects = [(kind, key, Stored(revision, data)) for kind, key, revision, data in rows[1:]]
    assert found.objects == objects
    assert (found.revision, found.totals) == (105, Totals(2, sum(checksum_of(*each) for each in objects)))
    with closing(sqlite3.connect(path)) as connection:
        columns = connection.execute(
            "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('object')"
        ).fetchall()
    assert columns[-1] == ("checksum", "INTEGER", 1, "0")


def test_an_older_format_without_its_revision_is_damaged(tmp_path: Path) -> None:
    path = write_format_1(tmp_path, [("pods", "a", 103, b"one")])
    with pytest.raises(DamagedDataError) as refused:
        databases.read_sound(path)
    assert refused.value.message == f"{path} is damaged: its revision is missing"


# ------------------------------------------------------------------------------------------------ the end


def test_a_stop_leaves_nothing_open_and_all_in_the_database(tmp_path: Path) -> None:
    before = handles()
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    log = tmp_path / f"{FILE_NAME}-wal"
    assert log.read_bytes()[:4] in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
    database.close()
    assert handles() == before
    assert log.read_bytes()[:32].strip(b"\0") == b"", "no frame is found by the next start"
    with closing(sqlite3.connect(f"{(tmp_path / FILE_NAME).as_uri()}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT key FROM object WHERE kind <> ''").fetchall() == [("a",)]


@pytest.mark.parametrize("trouble", ["in a transaction", "not emptied", "emptying fails"])
def test_room_2_frames_that_are_not_in_the_database_stay_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    ended: list[str] = []
    monkeypatch.setattr(Room, "end_log", lambda _: ended.append("end"))
    assert database._connection is not None
    if trouble == "in a transaction":
        database._connection.execute("BEGIN")
    elif trouble == "not emptied":
        monkeypatch.setattr(database, "_empty_log", lambda **_: None)
    else:
        monkeypatch.setattr(database, "_empty_log", refusing(BROKEN))
    database.close()
    assert ended == []
    database = Database(tmp_path)
    assert [key for _, key, _ in database.load()] == ["a"]
    database.close()
    assert ended == ["end"]


@pytest.mark.parametrize("error", [FULL, PrivateFileError("odd")])
def test_a_stop_does_without_a_ceiling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    database = Database(tmp_path)
    database.commit({A: at(101)}, 101)
    monkeypatch.setattr(databases, "write_ceiling", refusing(error))
    monkeypatch.setattr(Room, "end_log", refusing(BROKEN))
    before = handles()
    database.close()
    assert handles() < before
    assert read_ceiling(tmp_path) == 100_101


def test_how_much_is_held_ahead_is_a_decision() -> None:
    assert (FRAMES_MAX, databases.LIST_RESERVE_BYTES, PAGES_AHEAD) == (4000, 131_072, 256)
