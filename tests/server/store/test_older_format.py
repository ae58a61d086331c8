"""A data directory of format 1, which had no checksums, goes on as one of format 2 with everything that was in it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.server.serving import Serving, serving

from pvbinder.server.store import database
from pvbinder.server.store.database import DamagedDataError, Database, DataDirectoryError, connect

NAMESPACE = (
    b'{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","uid":"u-1","resourceVersion":"101",'
    b'"creationTimestamp":"2026-01-31T12:00:00Z"},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}'
)
VOLUME = (
    b'{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"disk","uid":"u-2","resourceVersion":"104",'
    b'"creationTimestamp":"2026-01-31T12:00:00Z"},"spec":{"capacity":{"storage":"1Gi"},"hostPath":{"path":"/x","type"'
    b':""},"accessModes":["ReadWriteOnce"],"persistentVolumeReclaimPolicy":"Retain","volumeMode":"Filesystem"},'
    b'"status":{"phase":"Available"}}'
)
ROWS = [
    ("", "", 105, b""),  # the revision of the last commit; the object of 105 was deleted
    ("namespaces", "shop", 101, NAMESPACE),
    ("persistentvolumes", "disk", 104, VOLUME),
    ("things", "odd \u00e9", 103, b"{}"),
]
FORMAT_1 = """
CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
                     PRIMARY KEY (kind, key)) WITHOUT ROWID;
PRAGMA application_id = 1886806628;
PRAGMA user_version = 1;
"""


def write_format_1(directory: Path, rows: list[tuple[str, str, int, bytes]]) -> Path:
    """Write a data directory as it was before there were checksums."""
    path = directory / "store.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(FORMAT_1)
        connection.executemany("REPLACE INTO object VALUES (?, ?, ?, ?)", rows)
    return path


def everything_in(directory: Path) -> tuple[list[tuple[str, str, int, bytes]], int]:
    """Open the directory; its objects and its revision."""
    opened = Database(directory)
    found = [(kind, key, stored.revision, stored.data) for kind, key, stored in opened.load()]
    revision = opened.revision()
    opened.close()
    return found, revision


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def test_everything_is_there_and_has_its_checksum(tmp_path: Path) -> None:
    path = write_format_1(tmp_path, ROWS)
    assert everything_in(tmp_path) == (ROWS[1:], 105)
    assert format_of(path) == 2
    assert everything_in(tmp_path) == (ROWS[1:], 105), "what is read now is checked"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE object SET data = ? WHERE key = 'disk'", (VOLUME.replace(b"1Gi", b"9Gi"),))
    with pytest.raises(DamagedDataError, match="disk is not what was written"):
        Database(tmp_path)


def test_a_directory_in_which_nothing_was_made_is_brought_along(tmp_path: Path) -> None:
    write_format_1(tmp_path, [("", "", 100, b"")])
    assert everything_in(tmp_path) == ([], 100)


async def test_a_server_goes_on_with_it(tmp_path: Path) -> None:
    write_format_1(tmp_path, ROWS[:3])

    async def names(server: Serving) -> list[str]:
        return [
            item["metadata"]["name"] for item in (await server.send("GET", "/api/v1/persistentvolumes")).body["items"]
        ]

    async with serving(tmp_path) as server:
        assert await names(server) == ["disk"]
        disk = await server.send("GET", "/api/v1/persistentvolumes/disk")
        assert (disk.body["metadata"]["uid"], disk.revision) == ("u-2", "104")
        changed = await server.send("PATCH", "/api/v1/persistentvolumes/disk", {"metadata": {"labels": {"a": "b"}}})
        assert int(changed.revision) > 105, "revisions go on where they were"
    async with serving(tmp_path) as server:
        assert (await server.send("GET", "/api/v1/persistentvolumes/disk")).body["metadata"]["labels"] == {"a": "b"}


# It opens the directory, and is killed when SQLite is about to run a statement that begins with what it is told.
KILLED_AT = """
import os, pathlib, signal, sys
from pvbinder.server.store import database

connect = database.connect

def connect_and_watch(path):
    connection = connect(path)
    connection.set_trace_callback(
        lambda statement: statement.strip().startswith(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL)
    )
    return connection

database.connect = connect_and_watch
database.Database(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("statement", ["BEGIN", "ALTER", "INSERT OR REPLACE", "PRAGMA user_version", "COMMIT"])
def test_killed_on_the_way_it_is_still_all_there(tmp_path: Path, statement: str) -> None:
    path = write_format_1(tmp_path, ROWS)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT, str(tmp_path), statement], capture_output=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert format_of(path) == 1, "all of it or nothing"
    assert everything_in(tmp_path) == (ROWS[1:], 105)
    assert format_of(path) == 2


def test_without_its_revision_it_is_damaged(tmp_path: Path) -> None:
    write_format_1(tmp_path, ROWS[1:])
    with pytest.raises(DamagedDataError, match="its revision is missing"):
        Database(tmp_path)


def test_a_file_that_cannot_be_written_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect_without_patience(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    monkeypatch.setattr(database, "connect", connect_without_patience)
    path = write_format_1(tmp_path, ROWS)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataDirectoryError, match="database is locked"):
            Database(tmp_path)
        other.execute("ROLLBACK")
    assert everything_in(tmp_path) == (ROWS[1:], 105)
