"""kine's SQLite databases, as k3s writes them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from tests.sources.etcd_writer import Change, puts
from tests.sources.objects import CLASS, claim, names

from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.kine import read_kine
from pvbinder.sources.options import SourceOptions
from pvbinder.sources.reading import read_sources

TABLE = """CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name INTEGER, created INTEGER, deleted INTEGER,
create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)"""
HISTORY: list[Change] = [*puts([CLASS, claim("a"), claim("b")]), ("/registry/persistentvolumeclaims/shop/a", None)]


def make(path: Path, history: Iterable[Change] = HISTORY, compacted: int = 0) -> Path:
    """Write a database as kine does, with a gap that it filled."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(TABLE)
        database.execute(
            "INSERT INTO kine(name, prev_revision, deleted) VALUES ('compact_rev_key', ?, 0)", (compacted,)
        )
        insert = "INSERT INTO kine(name, created, deleted, value) VALUES (?, ?, ?, ?)"
        for name, value in history:
            database.execute(insert, (name, 1, int(value is None), value or b""))
        database.execute("INSERT INTO kine(name, created, deleted, value) VALUES ('gap-99', 0, 1, NULL)")
        database.commit()
    return path


def read(path: Path, at: int | None = None) -> list[str]:
    return names([each for _, each in read_sources([str(path)], SourceOptions(at_revision=at))])


def test_kine_1_each_name_has_its_newest_row(tmp_path: Path) -> None:
    path = make(tmp_path / "state.db")
    assert read(path) == ["StorageClass/fast", "PersistentVolumeClaim/b"]
    assert read(path, 4) == ["StorageClass/fast", "PersistentVolumeClaim/a", "PersistentVolumeClaim/b"]
    assert [one.revision for one in read_kine(path)] == [2, 4]


def test_kine_2_revisions_that_are_not_there_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "state.db", compacted=4)
    for at, why in ((3, "was compacted"), (99, "no revision 99 yet")):
        with pytest.raises(DumpFileError, match=why):
            read(path, at)


def test_kine_3_a_database_in_use_is_read_and_not_changed(tmp_path: Path) -> None:
    path = make(tmp_path / "state.db")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO kine(name, created, deleted, value) VALUES (?, 1, 0, ?)", puts([claim("new")])[0])
        assert len(read(path)) == 2  # it isn't committed
        writer.commit()
        before = {each.name: each.read_bytes() for each in tmp_path.iterdir() if not each.name.endswith("-shm")}
        assert read(path)[-1] == "PersistentVolumeClaim/new"
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir() if not each.name.endswith("-shm")} == before


def test_kine_3_a_copy_with_its_log_and_without_the_logs_index_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "state.db")
    copies = tmp_path / "copies"
    copies.mkdir()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO kine(name, created, deleted, value) VALUES (?, 1, 0, ?)", puts([claim("new")])[0])
        writer.commit()
        for name in ("state.db", "state.db-wal"):
            shutil.copyfile(tmp_path / name, copies / name)
    copies.chmod(0o500)
    try:
        assert read(copies / "state.db")[-1] == "PersistentVolumeClaim/new"
        assert sorted(each.name for each in copies.iterdir()) == ["state.db", "state.db-wal"]
    finally:
        copies.chmod(0o700)


def test_kine_3_a_copy_alone_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = make(tmp_path / "state.db")
    assert [each.name for each in tmp_path.iterdir()] == ["state.db"]
    assert len(read(path)) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["state.db"]


def test_kine_4_a_view_is_no_table(tmp_path: Path) -> None:
    """It could go on for ever."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
        database.execute(f"CREATE VIEW kine AS {endless} SELECT id, 'a' AS name, 0 AS deleted, x'' AS value FROM n")
        database.commit()
    with pytest.raises(DumpFileError, match="it has no table kine"):
        read(path)


@pytest.mark.parametrize("make_table", ["CREATE TABLE kine (id INTEGER)", "CREATE TABLE object (kind TEXT)"])
def test_kine_4_another_database_is_refused(tmp_path: Path, make_table: str) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(make_table)
    with pytest.raises(DumpFileError) as caught:
        read(path)
    assert ("pvbinder export" in str(caught.value.hint)) == ("object" in make_table)


def test_kine_4_any_damaged_page_ends_in_an_error_or_in_objects(tmp_path: Path) -> None:
    data = make(tmp_path / "state.db").read_bytes()
    other = tmp_path / "other.db"
    for at in range(0, len(data), 211):
        for changed in (data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :], data[:at]):
            other.write_bytes(changed)
            try:
                found = read(other)
            except DumpFileError:
                continue
            except Exception as error:
                raise AssertionError(f"byte {at}") from error
            assert len(found) <= 3
