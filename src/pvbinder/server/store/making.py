"""Making the file of a directory, and opening it for writing.

The file of a new directory is there whole, with its identity, or not at all.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pvbinder.server.files.private_files import create_private, sync_directory
from pvbinder.server.store.acknowledged import begin
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.errors import UnusableError
from pvbinder.server.store.sound import APPLICATION_ID, SCHEMA_VERSION
from pvbinder.server.store.state import Stored

# The revision of an empty store. Not 0 or 1: those mean something else, or too little, to clients, and whoever asks for
# changes since then must hear that they are expired.
EMPTY_STORE_REVISION = 100

# The row with kind and key "" holds the revision of the last commit and the totals: in the same table, so that a batch
# without deletions is one statement.
_SCHEMA = """
CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
                     checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID
"""
# Which directory the file is of, so that a file or log of another one isn't taken for ours.
_IDENTITY_SCHEMA = "CREATE TABLE IF NOT EXISTS directory (identity TEXT NOT NULL)"

_ROWS_AT_ONCE = 1000  # SQLite takes 32 766 parameters in a statement


def create(
    path: Path,
    objects: Iterable[tuple[str, str, Stored]] = (),
    revision: int = EMPTY_STORE_REVISION,
    identity: str = "",
) -> None:
    """Make a new file with `objects` in it, at `revision`."""
    try:
        os.close(create_private(path))
        with closing(connect(path)) as connection:
            _fill(connection, objects, revision)
            if identity:
                store_identity(connection, identity)
    except (OSError, sqlite3.Error) as error:
        raise UnusableError(path, error) from error


def store_identity(connection: sqlite3.Connection, identity: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_IDENTITY_SCHEMA)
    connection.execute("DELETE FROM directory")
    connection.execute("INSERT INTO directory VALUES (?)", (identity,))
    row = connection.execute("SELECT revision, data FROM object WHERE kind = '' AND key = ''").fetchone()
    checksum = checksum_of_totals(Stored(*row), identity)
    connection.execute("UPDATE object SET checksum = ? WHERE kind = '' AND key = ''", (checksum,))
    connection.execute("COMMIT")


def create_empty(path: Path, *, keeps_list: bool) -> None:
    """Make the file of a new directory in one step: one that was made by half would be taken for somebody else's."""
    new = path.with_name("new.db")
    for leftover in (new, new.with_name("new.db-wal"), new.with_name("new.db-shm")):
        leftover.unlink(missing_ok=True)
    identity = secrets.token_hex(16) if keeps_list else ""
    if keeps_list:
        begin(path.parent, identity, EMPTY_STORE_REVISION)
    create(new, identity=identity)
    new.replace(path)
    sync_directory(path.parent)


def _fill(connection: sqlite3.Connection, objects: Iterable[tuple[str, str, Stored]], revision: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SCHEMA)
    totals = Totals()
    for kind, key, stored in objects:
        row = row_of(kind, key, stored)
        connection.execute(put_rows(1), row)
        totals = totals.changed(added=1, removed=0, checksums=row[-1])
    connection.execute(put_rows(1), row_of("", "", Stored(revision, totals.encode())))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
        # NORMAL would be enough against kill -9, FULL also holds against a power cut (DATABASE-1)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # Database does it, and holds room for it
    except sqlite3.Error as error:
        raise UnusableError(path, error) from error
    return connection


def row_of(kind: str, key: str, stored: Stored) -> tuple[str, str, int, bytes, int]:
    return kind, key, stored.revision, stored.data, checksum_of(kind, key, stored)


def put_rows(rows: int) -> str:
    return "INSERT OR REPLACE INTO object VALUES " + ",".join(["(?,?,?,?,?)"] * rows)  # noqa: S608  (no values in it)


def delete_rows(rows: int) -> str:
    return f"DELETE FROM object WHERE (kind, key) IN (VALUES {','.join(['(?,?)'] * rows)})"  # noqa: S608


def statements_of(
    text_for: Callable[[int], str], width: int, values: list[str | int | bytes]
) -> Iterator[tuple[str, list[str | int | bytes]]]:
    """Give the statements, with their parameters, for rows of `width` values."""
    for start in range(0, len(values), _ROWS_AT_ONCE * width):
        part = values[start : start + _ROWS_AT_ONCE * width]
        yield text_for(len(part) // width), part
