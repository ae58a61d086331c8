"""The data directory on disk: one SQLite file, one lock, and what to say when they can't be used.

DATABASE-1  Durable: when `commit` returns, the batch survives ``kill -9`` and a power cut (WAL, synchronous=FULL).
DATABASE-2  Whole: a batch is there entirely or not at all, with the revision that it ends at.
DATABASE-3  Ours alone: a second process on the same directory is told so and changes nothing (`flock` on ``lock``).
DATABASE-4  Private: the directory is 0700, its files 0600.

`commit` may be called from any thread, one call at a time; everything else belongs to the thread that opens and closes.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pvbinder.model.errors import PvbinderError
from pvbinder.server.store.state import Stored

FILE_NAME = "store.db"
LOCK_NAME = "lock"
APPLICATION_ID = 0x70766264  # "pvbd", so that `file` and we know the file as ours
SCHEMA_VERSION = 1
# The revision of an empty store. Not 0 or 1: those mean something else, or too little, to clients, and whoever asks for
# changes since then must hear that they are expired.
BEFORE_ANYTHING = 100

# The row with kind and key "" holds the revision of the last commit: in the same table, so that a batch without
# deletions is one statement.
_SCHEMA = """
CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
                     PRIMARY KEY (kind, key)) WITHOUT ROWID
"""
_ROWS_AT_ONCE = 1000  # SQLite takes 32 766 parameters in a statement


class DataDirectoryError(PvbinderError):
    """The data directory can't be used as it is."""


class WriteFailed(PvbinderError):  # noqa: N818  (says what happened)
    """A batch could not be made durable; none of it is stored."""


class Database:
    """An open and locked data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = _make_and_lock(directory)
        try:
            self._connection = _open(directory / FILE_NAME)
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> Iterator[tuple[str, str, Stored]]:
        """Give every object: kind, key, and what is stored."""
        rows = self._connection.execute("SELECT kind, key, revision, data FROM object WHERE kind > ''")
        try:
            for kind, key, revision, data in rows:
                yield kind, key, Stored(revision, data)
        except sqlite3.DatabaseError as error:
            raise _damaged(self.directory / FILE_NAME, error) from error

    def revision(self) -> int:
        """Return the revision that the last commit ended at."""
        (revision,) = self._connection.execute("SELECT revision FROM object WHERE kind = ''").fetchone()
        return int(revision)

    def commit(self, written: Mapping[tuple[str, str], Stored | None], revision: int) -> None:
        """Make a batch durable (DATABASE-1, DATABASE-2): per kind and key what is there now, None for nothing.

        Raises WriteFailed, and then nothing of the batch is stored.
        """
        puts: list[str | int | bytes] = ["", "", revision, b""]
        deletes: list[str | int | bytes] = []
        for (kind, key), stored in written.items():
            if stored is None:
                deletes += (kind, key)
            else:
                puts += (kind, key, stored.revision, stored.data)
        # As few statements as can be: before and after each of them this thread needs the interpreter, for which it
        # waits up to 5 ms while the event loop is busy.
        statements = [*_statements(_put, 4, puts), *_statements(_delete, 2, deletes)]
        connection = self._connection
        try:
            if len(statements) == 1:
                connection.execute(*statements[0])
                return
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(*statement)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise WriteFailed(
                f"can't write to {self.directory}: {error}",
                hint="free or grow the disk, or make it writable: writes work again as soon as they can be stored",
            ) from error

    def limit_size(self, pages: int) -> None:
        """Let the file grow to `pages` pages only, as a disk of that size would (0: no limit)."""
        self._connection.execute(f"PRAGMA max_page_count = {pages or 2**32 - 2:d}")

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._connection.close()
        os.close(self._lock)


def _put(rows: int) -> str:
    return "INSERT OR REPLACE INTO object VALUES " + ",".join(["(?,?,?,?)"] * rows)  # noqa: S608  (no values in it)


def _delete(rows: int) -> str:
    return f"DELETE FROM object WHERE (kind, key) IN (VALUES {','.join(['(?,?)'] * rows)})"  # noqa: S608


def _statements(
    text_for: Callable[[int], str], width: int, values: list[str | int | bytes]
) -> Iterator[tuple[str, list[str | int | bytes]]]:
    """Give the statements, with their parameters, for rows of `width` values."""
    for start in range(0, len(values), _ROWS_AT_ONCE * width):
        part = values[start : start + _ROWS_AT_ONCE * width]
        yield text_for(len(part) // width), part


def _make_and_lock(directory: Path) -> int:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataDirectoryError(f"{directory} is not a directory", hint="choose one with --data-dir") from error
    except OSError as error:
        raise _unusable(directory, error) from error
    found = {path.name for path in directory.iterdir()}
    if found and not found & {FILE_NAME, LOCK_NAME}:
        raise DataDirectoryError(
            f"{directory} has files in it that are not pvbinder's", hint="choose an empty directory with --data-dir"
        )
    try:
        lock = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(directory, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        by = f" (process {holder})" if holder else ""
        raise DataDirectoryError(
            f"another pvbinder is running on {directory}{by}",
            hint="use that one, stop it, or choose another directory with --data-dir",
        ) from error
    directory.chmod(0o700)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _open(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        _check_or_create(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _damaged(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check_or_create(connection: sqlite3.Connection, path: Path) -> None:
    # NORMAL would be enough against kill -9, FULL also holds against a power cut (DATABASE-1)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables and not application:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        connection.execute(_put(1), ("", "", BEFORE_ANYTHING, b""))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        return
    if application != APPLICATION_ID:
        raise DataDirectoryError(
            f"{path} is a database of another program", hint="choose another directory with --data-dir"
        )
    if version > SCHEMA_VERSION:
        raise DataDirectoryError(
            f"{path} was written by a newer pvbinder (format {version}, this one knows {SCHEMA_VERSION})",
            hint="upgrade pvbinder, or choose another directory with --data-dir",
        )
    problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if problems != ["ok"]:
        raise _damaged(path, "; ".join(problems))


def _damaged(path: Path, why: object) -> DataDirectoryError:
    return DataDirectoryError(
        f"{path} is damaged: {why}",
        hint=f"put back a copy, or move {path.parent} away and start afresh; nothing was changed",
    )


def _unusable(path: Path, error: Exception) -> DataDirectoryError:
    return DataDirectoryError(f"can't use {path}: {error}", hint="make it writable, or choose another with --data-dir")
