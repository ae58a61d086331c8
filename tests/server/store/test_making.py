"""The file of a directory, and the copy of it: how they are made, opened and read, and what is refused."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from pvbinder.server.store import making
from pvbinder.server.store.acknowledged import read_acknowledged
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.database import FILE_NAME, LAST_GOOD_NAME, Database
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError
from pvbinder.server.store.last_good import _revision_of_copy, keep_copy
from pvbinder.server.store.making import connect, create, create_empty, delete_rows, put_rows, statements_of
from pvbinder.server.store.reserve import RESERVE_BYTES
from pvbinder.server.store.sound import Sound, checked_rows, open_for_reading, open_in_memory, read_file
from pvbinder.server.store.state import Stored

A, B = ("pods", "a", Stored(101, b"one")), ("pods", "b", Stored(102, b"two"))
SUMS = checksum_of(*A) + checksum_of(*B)


def made(directory: Path) -> Path:
    path = directory / FILE_NAME
    create(path, [A, B], 105, "me")
    return path


def test_a_file_is_made_with_its_rows_totals_and_identity(tmp_path: Path) -> None:
    path = made(tmp_path)

    with closing(sqlite3.connect(path)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        rows = connection.execute("SELECT * FROM object").fetchall()
        identities = connection.execute("SELECT * FROM directory").fetchall()
    totals = Stored(105, b"2 %d" % SUMS)
    assert (application, version, identities) == (0x70766264, 2, [("me",)])
    assert rows == [
        ("", "", 105, totals.data, checksum_of_totals(totals, "me")),
        ("pods", "a", 101, b"one", checksum_of(*A)),
        ("pods", "b", 102, b"two", checksum_of(*B)),
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_file(path) == Sound([A, B], 105, Totals(2, SUMS), "me")
    with closing(open_in_memory(path)) as connection:
        assert len(list(checked_rows(connection, path))) == 3


def test_what_is_opened_in_memory_is_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    monkeypatch.chdir(tmp_path)
    there = set(tmp_path.iterdir())

    with closing(open_in_memory(path)) as connection:
        connection.execute("DELETE FROM object")
        assert not connection.in_transaction
        assert set(tmp_path.iterdir()) == there


def test_a_file_is_made_without_objects_and_identity(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    create(path)

    assert read_file(path) == Sound([], 100, Totals(0, 0), "")
    with pytest.raises(UnusableError) as refused:
        create(path)
    assert refused.value.message.startswith(f"can't use {path}: ")


def test_an_identity_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = made(tmp_path)
    with closing(connect(path)) as connection:
        making.store_identity(connection, "new")
        assert connection.execute("SELECT * FROM directory").fetchall() == [("new",)]
        assert not connection.in_transaction
    found = read_file(path)
    assert found is not None
    assert found.identity == "new"


@pytest.mark.parametrize("keeps_list", [True, False])
def test_a_new_directory_has_its_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_list: bool) -> None:
    for name in ("new.db", "new.db-wal", "new.db-shm"):
        (tmp_path / name).write_text("left over")
    synced: list[Path] = []
    monkeypatch.setattr(making, "sync_directory", synced.append)

    create_empty(tmp_path / FILE_NAME, keeps_list=keeps_list)

    assert {path.name for path in tmp_path.iterdir()} == {FILE_NAME} | ({"acknowledged"} if keeps_list else set())
    assert synced == [tmp_path]
    found, known = read_file(tmp_path / FILE_NAME), read_acknowledged(tmp_path)
    assert found is not None
    assert len(found.identity) == (32 if keeps_list else 0)
    if keeps_list:
        assert known is not None
        assert (known.identity, known.since) == (found.identity, 100)
    create_empty(tmp_path / "second.db", keeps_list=False)


def test_a_connection_for_writing_is_synced_and_leaves_the_log_to_us(tmp_path: Path) -> None:
    with closing(connect(made(tmp_path))) as connection:
        settings = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "wal_autocheckpoint")
        ]
        assert connection.isolation_level is None
    assert settings == ["wal", 2, 0]
    with pytest.raises(UnusableError) as refused:
        connect(tmp_path / "missing" / FILE_NAME)
    assert refused.value.message.startswith(f"can't use {tmp_path / 'missing' / FILE_NAME}: ")


def test_many_rows_are_a_few_statements() -> None:
    values: list[str | int | bytes] = [*range(2 * 1001)]

    assert list(statements_of(delete_rows, 2, values)) == [
        ("DELETE FROM object WHERE (kind, key) IN (VALUES " + ",".join(["(?,?)"] * 1000) + ")", values[:2000]),
        ("DELETE FROM object WHERE (kind, key) IN (VALUES (?,?))", values[2000:]),
    ]
    assert len(list(statements_of(delete_rows, 2, values[:2000]))) == 1
    assert list(statements_of(put_rows, 5, [])) == []
    assert put_rows(2) == "INSERT OR REPLACE INTO object VALUES (?,?,?,?,?),(?,?,?,?,?)"


# ------------------------------------------------------------------------------------------------ what is refused


def without(key: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("DELETE FROM object WHERE key = ?", (key,))


def said(statement: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(statement)


DAMAGES: dict[str, tuple[Callable[[sqlite3.Connection], object], str]] = {
    "a row is missing": (without("a"), "it has 1 objects, and 2 were written"),
    "the totals are missing": (without(""), "its totals are missing"),
    "a row has other bytes": (said("UPDATE object SET data = x'00' WHERE key = 'a'"), "pods a is not what was written"),
    "a row has text": (
        said("UPDATE object SET data = 'x' WHERE key = 'a'"),
        "a bytes-like object is required, not 'str'",
    ),
    "a row has another revision": (
        said("UPDATE object SET revision = 7 WHERE key = 'b'"),
        "pods b is not what was written",
    ),
    "a row has another key": (said("UPDATE object SET key = 'c' WHERE key = 'b'"), "pods c is not what was written"),
    "the totals changed": (said("UPDATE object SET data = CAST('1 2' AS BLOB) WHERE kind = ''"), "its totals changed"),
    "the identity changed": (said("UPDATE directory SET identity = 'you'"), "its totals changed"),
    "the identity is gone": (said("DELETE FROM directory"), "its totals changed"),
    "a row was made": (
        lambda connection: connection.execute(put_rows(1), making.row_of("pods", "c", Stored(103, b"three"))),
        "it has 3 objects, and 2 were written",
    ),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES.keys())
def test_sound_1_what_changed_or_is_missing_is_noticed(
    tmp_path: Path, damage: Callable[[sqlite3.Connection], object], why: str
) -> None:
    path = made(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        damage(connection)

    with pytest.raises(DamagedDataError) as refused:
        read_file(path)

    assert refused.value.message == f"{path} is damaged: {why}"


def test_sound_1_totals_that_are_none_are_noticed(tmp_path: Path) -> None:
    path = made(tmp_path)
    meta = Stored(105, b"many")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(put_rows(1), ("", "", 105, meta.data, checksum_of_totals(meta, "me")))

    with pytest.raises(DamagedDataError, match="is damaged: not enough values"):
        read_file(path)


def test_the_header_says_whose_file_it_is(tmp_path: Path) -> None:
    path = made(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(DataDirectoryError) as refused:
        read_file(path)
    assert refused.value.message == f"{path} was written by a newer pvbinder (format 3, this one knows 2)"
    assert refused.value.hint == "upgrade pvbinder, or choose another directory with --data-dir"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")
    assert read_file(path) is None
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA application_id = 5")
    with pytest.raises(DataDirectoryError) as refused:
        read_file(path)
    assert refused.value.message == f"{path} is a database of another program"
    assert refused.value.hint == "choose another directory with --data-dir"


def test_sound_1_a_log_that_lost_commits_is_refused_before_sqlite_sees_it(tmp_path: Path) -> None:
    from tests.server.store.test_log_file import shared

    path = made(tmp_path)
    path.with_name(f"{FILE_NAME}-shm").write_bytes(shared(3))

    with pytest.raises(DamagedDataError) as refused:
        read_file(path)

    assert refused.value.message == f"{path} is damaged: acknowledged writes are missing from its log"


def test_sound_2_a_file_is_read_in_memory_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pvbinder.server.store import sound

    path = made(tmp_path)

    def refused(*_: object, **__: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(sound, "open_for_reading", refused)
    code = sqlite3.SQLITE_FULL
    assert read_file(path) == Sound([A, B], 105, Totals(2, SUMS), "me")
    code = sqlite3.SQLITE_ERROR
    with pytest.raises(DamagedDataError, match="unable to open database file"):
        read_file(path)


def test_sound_2_a_file_is_opened_so_that_nothing_changes(tmp_path: Path) -> None:
    path = made(tmp_path)
    for alone in (True, False):
        with closing(open_for_reading(path, alone=alone)) as connection:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM object")
            assert len(connection.execute("SELECT * FROM object").fetchall()) == 3
            assert path.with_name(f"{FILE_NAME}-shm").exists() is not alone
            assert connection.isolation_level is None
    with pytest.raises(UnusableError) as refused:
        open_for_reading(tmp_path / "missing")
    assert refused.value.message.startswith(f"can't use {tmp_path / 'missing'}: ")


# ------------------------------------------------------------------------------------------------ the copy


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    opened.commit({("pods", "a"): A[2]}, 101)
    yield opened
    opened.close()


def test_last_good_1_the_copy_is_as_the_file(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pvbinder.server.store import last_good

    synced: list[Path] = []
    files: list[str] = []
    monkeypatch.setattr(last_good, "sync_directory", synced.append)
    monkeypatch.setattr(os, "fsync", lambda handle: files.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    (tmp_path / f"{LAST_GOOD_NAME}.new").write_text("left over")
    copy = tmp_path / LAST_GOOD_NAME

    assert keep_copy(tmp_path) == 101
    assert (files, synced) == ([f"{LAST_GOOD_NAME}.new"], [tmp_path])
    assert not (tmp_path / f"{LAST_GOOD_NAME}.new").exists()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    found = read_file(copy)
    assert found is not None
    assert found.objects == [A]
    before = copy.stat().st_ino
    assert keep_copy(tmp_path) == 101
    assert copy.stat().st_ino == before, "it is up to date"
    database.commit({("pods", "b"): B[2]}, 102)
    assert keep_copy(tmp_path) == 102
    assert copy.stat().st_ino != before
    assert _revision_of_copy(copy) == (102, found.identity)


def test_last_good_1_a_copy_that_is_damaged_or_of_another_directory_is_made_anew(
    tmp_path: Path, database: Database
) -> None:
    copy = tmp_path / LAST_GOOD_NAME
    assert _revision_of_copy(copy) is None
    copy.write_text("no database" * 1000)
    assert _revision_of_copy(copy) is None
    assert keep_copy(tmp_path) == 101
    copy.unlink()
    create(copy, [A], 101, "another")
    assert keep_copy(tmp_path) == 101
    found = read_file(copy)
    assert found is not None
    assert found.identity != "another"


@pytest.mark.parametrize("missing", [0, 1])
def test_last_good_1_writes_come_first_when_there_is_little_room(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: int
) -> None:
    needed = (tmp_path / FILE_NAME).stat().st_size + 2 * RESERVE_BYTES
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=needed - missing, f_frsize=1))

    assert keep_copy(tmp_path) == (None if missing else 101)
    assert (tmp_path / LAST_GOOD_NAME).exists() is not bool(missing)
    if missing:
        from pvbinder import logs

        (record,) = (logs.fields_of(each) for each in caplog.records if "no copy was kept" in each.message)
        assert record["err"] == f"[Errno {errno.ENOSPC}] there is no room for it on the disk"


def test_last_good_1_a_copy_that_fails_leaves_nothing(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fails)
    assert keep_copy(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(LAST_GOOD_NAME)] == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE object SET data = x'00' WHERE key = 'a'",
        "UPDATE object SET data = 'text' WHERE key = 'a'",
        "UPDATE object SET data = x'00' WHERE kind = ''",
        "DELETE FROM object WHERE kind = ''",
        "DROP TABLE object",
    ],
)
def test_last_good_1_what_is_damaged_is_not_copied_and_stops_nobody(
    tmp_path: Path, database: Database, damage: str
) -> None:
    assert database._connection is not None
    database._connection.execute(damage)

    assert keep_copy(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(LAST_GOOD_NAME)] == []
