"""A disk that says no at any statement and any call of a commit: nothing acknowledged is lost, and it goes on."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pvbinder.server.files import disk
from pvbinder.server.store import Store, WriteFailed
from pvbinder.server.store.database import Database
from pvbinder.server.store.reserve import FILE_NAME, RESERVE_BYTES, Reserve, makes_room
from pvbinder.server.store.state import Stored

KIND = "things"
FAULTS = {"full": sqlite3.SQLITE_FULL, "failing": sqlite3.SQLITE_IOERR, "in sync": sqlite3.SQLITE_IOERR_FSYNC}


class FaultyConnection:
    """A connection of which the statement that comes next `after` so many fails, and each one `until` then."""

    def __init__(self, connection: sqlite3.Connection, after: int, code: int) -> None:
        self._connection = connection
        self.left = after
        self.code = code
        self.met = False

    def execute(self, text: str, *values: Any) -> sqlite3.Cursor:
        self.left -= 1
        if self.left == -1:
            self.met = True
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.code
            raise error
        return self._connection.execute(text, *values)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def close(self) -> None:
        self._connection.close()


def batch(revision: int) -> dict[tuple[str, str], Stored | None]:
    return {
        (KIND, "a"): Stored(revision - 1, b"x" * 100),
        (KIND, "b"): None,
        (KIND, "new"): Stored(revision, b"y" * 5000),
    }


BEFORE = {(KIND, "a"): Stored(200, b"old"), (KIND, "b"): Stored(201, b"old")}


@pytest.mark.parametrize("code", FAULTS.values(), ids=FAULTS.keys())
def test_database_2_a_fault_at_any_statement_leaves_all_of_a_batch_or_nothing(tmp_path: Path, code: int) -> None:
    after = 0
    while True:
        directory = tmp_path / f"data{after}"
        database = Database(directory)
        database.commit(BEFORE, 201)
        faulty = FaultyConnection(database._connection, after, code)  # type: ignore[arg-type]
        database._connection = faulty  # type: ignore[assignment]
        with contextlib.suppress(WriteFailed):
            database.commit(batch(203), 203, BEFORE)
        acknowledged = not faulty.met
        database._connection = faulty._connection if database._connection is faulty else database._connection  # type: ignore[comparison-overlap]
        database.commit({(KIND, "later"): Stored(300, b"z")}, 300)
        database.close()
        database = Database(directory)
        found = {key: stored.revision for _, key, stored in database.load()}
        database.close()
        expected = {"a": 202, "new": 203} if acknowledged else {"a": 200, "b": 201}
        assert found == expected | {"later": 300}, f"fault after {after} statements"
        if not faulty.met:
            assert after >= 4, "each statement had its turn"
            return
        after += 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["open", "fsync", "fchmod", "replace"])
def test_database_2_a_fault_of_the_system_while_the_ceiling_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    database = Database(tmp_path)

    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(Path if call == "replace" else os, call, fail)
        with pytest.raises(WriteFailed) as failure:
            database.commit({(KIND, "a"): Stored(200, b"{}")}, 200)
    assert (failure.value.trouble == "full") == (number in (errno.ENOSPC, errno.EDQUOT))
    database.commit({(KIND, "b"): Stored(201, b"{}")}, 201)
    database.close()
    database = Database(tmp_path)
    assert [key for _, key, _ in database.load()] == ["b"]
    database.close()


async def test_database_6_it_is_said_once_that_the_disk_is_full_and_once_that_it_is_not_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with Store(tmp_path) as store:
        await store.put(KIND, "kept", lambda _: b"x" * 3000)[1]
        await store.put(KIND, "gone", lambda _: b"x" * 3000)[1]
        connection = store._database._connection
        assert connection is not None
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        store._database.limit_size(pages)
        store._database._reserve.take = lambda: False  # type: ignore[method-assign]  # nor has the disk any
        for n in range(20):
            with pytest.raises(WriteFailed) as failure:
                await store.put(KIND, f"k{n}", lambda _: b"x" * 100_000)[1]
            assert failure.value.trouble == "full"
        assert store.why_not_writable == "can't write to " + f"{tmp_path}: the disk is full"
        await store.delete(KIND, "gone")[1]
        await store.put(KIND, "kept", lambda _: b"y" * 3000)[1]
        del store._database._reserve.take
        store._database.limit_size(0)
        await store.put(KIND, "after", lambda _: b"x" * 100_000)[1]
        assert [store.why_not_writable] == [None]
        assert set(dict(store.objects(KIND))) == {"kept", "after"}
    assert caplog.text.count("writes refused") == 1
    assert caplog.text.count("writes are stored again") == 1


ROOM = {
    "a deletion": (None, b"old", True),
    "as large as before": (b"new", b"old", True),
    "larger": (b"newer", b"old", False),
    "made": (b"n", None, False),
    "larger, and about to go": (b'{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}', b"old", True),
}


@pytest.mark.parametrize(("now", "before", "does"), ROOM.values(), ids=ROOM.keys())
def test_reserve_1_the_reserve_is_for_what_makes_room(now: bytes | None, before: bytes | None, does: bool) -> None:
    where = (KIND, "a")
    stored = None if now is None else Stored(2, now)
    replaced = {} if before is None else {where: Stored(1, before)}
    assert makes_room(where, stored, replaced) is does


def test_reserve_2_it_is_taken_when_there_is_room_for_it_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path)
    assert reserve.take()
    assert (tmp_path / FILE_NAME).stat().st_size == RESERVE_BYTES
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert Reserve(tmp_path).is_held, "over restarts"
    reserve.give_up()
    assert not (tmp_path / FILE_NAME).exists()

    class Disk:
        f_bavail, f_frsize = 2 * RESERVE_BYTES - 1, 1

    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda _: Disk)
        assert not reserve.take()
    assert reserve.take()


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = code
    return error


TROUBLES: dict[str, tuple[BaseException, str | None]] = {
    "no space": (OSError(errno.ENOSPC, ""), "full"),
    "quota": (OSError(errno.EDQUOT, ""), "full"),
    "read-only": (OSError(errno.EROFS, ""), "read-only"),
    "not ours": (OSError(errno.EACCES, ""), "forbidden"),
    "broken": (OSError(errno.EIO, ""), "failing"),
    "SQLite: full": (sqlite_error(sqlite3.SQLITE_FULL), "full"),
    "SQLite: broken": (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), "failing"),
    "SQLite: damaged": (sqlite_error(sqlite3.SQLITE_CORRUPT), None),
    "no error of a disk": (ValueError(), None),
}


@pytest.mark.parametrize(("error", "meant"), TROUBLES.values(), ids=TROUBLES.keys())
def test_disk_1_what_the_disk_means(tmp_path: Path, error: BaseException, meant: str | None) -> None:
    assert disk.trouble_of(error, tmp_path) == meant


def test_disk_1_a_silent_error_on_a_full_disk_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "write", full)
    for code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        assert disk.trouble_of(sqlite_error(code), tmp_path) == "full"
    assert list(tmp_path.iterdir()) == [], "and nothing is left of the question"
