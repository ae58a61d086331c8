"""A commit step by step: its statements, what is taken back, and the tries on a full disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.store.test_database_parts import BROKEN, FULL, A, B, at, refusing

from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.store.acknowledged import read_acknowledged
from pvbinder.server.store.checksums import Totals, checksum_of
from pvbinder.server.store.database import (
    FILE_NAME,
    Database,
    WriteFailed,
)
from pvbinder.server.store.errors import UnusableError
from pvbinder.server.store.reserve import RESERVE_BYTES
from pvbinder.server.store.sound import read_file


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "data")
    yield opened
    opened.close()


class Traced:
    """The statements that a commit runs."""

    def __init__(self, database: Database) -> None:
        self.said: list[str] = []
        assert database._connection is not None
        database._connection.set_trace_callback(lambda text: self.said.append(text.split(" ")[0]))

    def writes(self) -> list[str]:
        found = [word for word in self.said if word != "PRAGMA"]
        self.said.clear()
        return found


def test_database_2_a_batch_is_as_few_statements_as_can_be(database: Database) -> None:
    traced = Traced(database)
    database.commit({A: at(101), B: at(102)}, 102)
    assert traced.writes() == ["INSERT"]
    database.commit({A: None, B: at(104)}, 104, {A: at(101), B: at(102)})
    assert traced.writes() == ["BEGIN", "INSERT", "DELETE", "COMMIT"]
    database.commit({("pods", f"k{n}"): at(200 + n) for n in range(1000)}, 1200)
    assert traced.writes() == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


def test_database_2_what_is_on_disk_after_a_batch(database: Database, tmp_path: Path) -> None:
    database.commit({A: at(101, b"one"), B: at(102, b"two")}, 102)
    database.commit({A: None, B: at(104, b"three")}, 105, {A: at(101, b"one"), B: at(102, b"two")})
    found = read_file(tmp_path / "data" / FILE_NAME)
    assert found is not None
    assert (found.objects, found.revision) == ([(*B, at(104, b"three"))], 105)
    assert found.totals == Totals(1, checksum_of(*B, at(104, b"three")))
    known = read_acknowledged(tmp_path / "data")
    assert known is not None
    assert {where: tuple(noted) for where, noted in known.newest.items()} == {A: (105, True), B: (104, False)}
    assert (database.revision(), database._revision) == (100_102, 105)


def test_database_2_a_batch_that_fails_changes_nothing_that_is_known(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.commit({A: at(101)}, 101)
    before = (database._totals, database._revision, database._pages, database._frames)
    size = database.noted_bytes
    with monkeypatch.context() as patched:
        patched.setattr(database, "_write", refusing(BROKEN))
        with pytest.raises(WriteFailed) as failed:
            database.commit({B: at(102)}, 102)
    assert failed.value.message == f"can't write to {database.directory}: broken"
    assert failed.value.hint == (
        "make it writable, or choose another with --data-dir. Writes work again as soon as they can be stored"
    )
    assert (failed.value.trouble, database.is_full) == ("failing", False)
    assert failed.value.__cause__ is BROKEN
    assert (database._totals, database._revision, database._pages, database._frames) == before
    assert database.noted_bytes == size
    assert database._used == 102, "the revision was given out"


def test_a_failure_says_what_the_disk_said(database: Database) -> None:
    wrapped = UnusableError(database.directory, BROKEN)
    wrapped.__cause__ = BROKEN
    private = PrivateFileError("odd thing")
    assert database._failure(wrapped).message == f"can't write to {database.directory}: broken"
    assert database._failure(private).message == f"can't write to {database.directory}: odd thing"
    full = database._failure(FULL)
    assert (full.message, full.trouble) == (f"can't write to {database.directory}: the disk is full", "full")
    assert full.hint == (
        "free some space, or grow the disk; nothing that is stored is lost."
        " Writes work again as soon as they can be stored"
    )


@pytest.mark.parametrize(("error", "frees", "tries"), [
    (BROKEN, True, 3), (BROKEN, False, 1), (FULL, True, 3), (FULL, False, 1),
    (OSError(errno.EROFS, "read-only"), True, 1),
])  # fmt: skip
def test_database_6_what_frees_is_tried_again_with_the_room_of_the_log_and_of_the_reserve(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: OSError, frees: bool, tries: int
) -> None:
    database.commit({A: at(101)}, 101)
    done: list[str] = []

    def write(*_: object) -> None:
        done.append("write" if database._reserve.size else "write without the reserve")
        raise error

    monkeypatch.setattr(database, "_write", write)
    monkeypatch.setattr(database, "_empty_log", lambda **how: done.append(f"empty {how}"))
    with pytest.raises(WriteFailed):
        database.commit({A: None} if frees else {B: at(102)}, 102, {A: at(101)} if frees else {})
    whole = ["write", "empty {'cut': True}", "write", "empty {'cut': True}", "write without the reserve"]
    assert done == (whole if tries == 3 else ["write"])
    assert database._reserve.size == RESERVE_BYTES, "it is held again"
    assert database.is_full is (error is FULL)
    assert database._reserve.is_held is (error is not FULL and tries == 1)
    monkeypatch.undo()


def test_database_6_the_third_try_may_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.commit({A: at(101)}, 101)
    real, left = database._write, [2]

    def write(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise FULL
        real(*arguments)

    monkeypatch.setattr(database, "_write", write)
    database.commit({A: None}, 102, {A: at(101)})
    assert (database._revision, database._totals, database.is_full) == (102, Totals(0, 0), False)
    assert database._reserve.is_held


def test_database_2_what_was_begun_is_taken_back(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = database._connection
    assert connection is not None
    statements: list[tuple[str, list[Any]]] = [
        ("DELETE FROM object WHERE key = ?", ["a"]),
        ("DELETE FROM missing WHERE key = ?", ["a"]),
    ]
    database.commit({A: at(101)}, 101)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        database._write(connection, statements, 102)
    assert not connection.in_transaction
    assert database._connection is connection
    assert connection.execute("SELECT count(*) FROM object").fetchone() == (2,)


def test_database_2_a_connection_that_takes_nothing_back_is_closed(database: Database) -> None:
    assert database._connection is not None
    close = database._connection.close

    class Stuck:
        in_transaction = True
        closed = False

        def execute(self, text: str, *_: object) -> None:
            raise sqlite3.OperationalError(text)

        def close(self) -> None:
            self.closed = True
            close()

    stuck = Stuck()
    database._connection = stuck  # type: ignore[assignment]
    with pytest.raises(sqlite3.OperationalError, match="one"):
        database._write(stuck, [("one", [])], 101)  # type: ignore[arg-type]
    assert (database._connection, stuck.closed) == (None, True)
    database.commit({A: at(102)}, 102)


def test_the_list_of_writes_is_kept_in_a_part_of_the_reserve(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database._acknowledged is not None
    sizes: list[int] = []
    monkeypatch.setattr(type(database._acknowledged), "is_behind", property(lambda _: True))
    monkeypatch.setattr(database._acknowledged.__class__, "catch_up", lambda _: sizes.append(database._reserve.size))
    database._note({A: 101}, 101)
    assert sizes == [RESERVE_BYTES, 0]
    assert database._reserve.size == RESERVE_BYTES
    os.truncate(database.directory / "reserve", 128 << 10)
    database._note({A: 102}, 102)
    assert sizes == [RESERVE_BYTES, 0, 128 << 10], "the rest is for what must be written"
    os.truncate(database.directory / "reserve", (128 << 10) + 1)
    database._note({A: 103}, 103)
    assert sizes[3:] == [(128 << 10) + 1, 0]
    monkeypatch.undo()
    database._note({A: 104}, 104)
    database._reserve.give_up()
