"""The data directory on disk: one SQLite file, one lock, and what to say when they can't be used.

DATABASE-1  Durable: when `commit` returns, the batch survives ``kill -9`` and a power cut (WAL, synchronous=FULL).
DATABASE-2  Whole: a batch is there entirely or not at all, with the revision that it ends at.
DATABASE-3  Ours alone: a second process on the same directory is told so and changes nothing (`flock` on ``lock``).
DATABASE-4  Private: the directory is ours and 0700, its files are 0600, and none of them is a link or somebody else's.
DATABASE-5  Sound: when it is open, every row was read and is what was written, and none is missing. Anything else is
            refused, and nothing is changed: not even what SQLite would tidy up by itself when it opens a file.

`commit` may be called from any thread, one call at a time; everything else belongs to the thread that opens and closes.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType

from pvbinder.model.errors import PvbinderError
from pvbinder.server.disk import in_words, trouble_of, way_out
from pvbinder.server.private_files import check_file, create_private, private_directory, sync_directory
from pvbinder.server.scratch import OWNER_FILE
from pvbinder.server.store.ceiling import BLOCK, read_ceiling, write_ceiling
from pvbinder.server.store.ceiling import FILE_NAME as CEILING_NAME
from pvbinder.server.store.checksums import Totals, checksum_of
from pvbinder.server.store.log_file import read_log
from pvbinder.server.store.state import Stored

FILE_NAME = "store.db"
LOCK_NAME = "lock"
LAST_GOOD_NAME = "last-good.db"  # a copy from the last start or stop (`last_good.py`)
RECOVERED_NAME = "recovered.db"  # whole and sound, about to take the place of a damaged file (`recovery.py`)
OWN_FILES = (  # each of them is a file of ours, and nothing that leads elsewhere
    FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LOCK_NAME, LAST_GOOD_NAME, RECOVERED_NAME, CEILING_NAME,
)  # fmt: skip
APPLICATION_ID = 0x70766264  # "pvbd", so that `file` and we know the file as ours
SCHEMA_VERSION = 2
# The revision of an empty store. Not 0 or 1: those mean something else, or too little, to clients, and whoever asks for
# changes since then must hear that they are expired.
BEFORE_ANYTHING = 100

# The row with kind and key "" holds the revision of the last commit and the totals: in the same table, so that a batch
# without deletions is one statement.
_SCHEMA = """
CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
                     checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID
"""
_ROWS_AT_ONCE = 1000  # SQLite takes 32 766 parameters in a statement


class DataDirectoryError(PvbinderError):
    """The data directory can't be used as it is."""


class DamagedDataError(DataDirectoryError):
    """The data in the directory is not what was written."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(
            f"{path} is damaged: {why}",
            hint=f"nothing was changed. Recover what can be read, keeping the damaged files:\n"
            f"pvbinder recover --data-dir {shlex.quote(str(path.parent))}",
        )


class WriteFailed(PvbinderError):  # noqa: N818  (says what happened)
    """A batch could not be made durable; none of it is stored."""


class Database:
    """An open and locked data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = lock_directory(directory)
        try:
            path = directory / FILE_NAME
            finish_recovery(directory)
            self._ceiling = read_ceiling(directory)
            if not _is_there(path):
                if self._ceiling is not None or (directory / LAST_GOOD_NAME).exists():
                    raise DamagedDataError(path, "there is nothing in it any more" if path.exists() else "it is gone")
                _create_empty(path)
            self._found, self._revision, self._totals = read_sound(path)
            self._connection = connect(path)
        except BaseException:
            os.close(self._lock)
            raise
        self._used = 0

    def load(self) -> Iterator[tuple[str, str, Stored]]:
        """Give every object, once: kind, key, and what is stored. They were read when it was opened (DATABASE-5)."""
        found, self._found = self._found, []
        yield from found

    def revision(self) -> int:
        """Return a revision that all those that were ever given out are not above (CEILING-1)."""
        return max(self._revision, self._ceiling or 0)

    def commit(
        self,
        written: Mapping[tuple[str, str], Stored | None],
        revision: int,
        replaced: Mapping[tuple[str, str], Stored] = MappingProxyType({}),
    ) -> None:
        """Make a batch durable (DATABASE-1, DATABASE-2): per kind and key what is there now, None for nothing.

        `replaced` is what was there before, where something was. Raises WriteFailed, and then nothing of the batch is
        stored.
        """
        totals = _totals_after(self._totals, written, replaced)
        meta = Stored(revision, totals.encode())
        puts: list[str | int | bytes] = [*_row("", "", meta)]
        deletes: list[str | int | bytes] = []
        for (kind, key), stored in written.items():
            if stored is None:
                deletes += (kind, key)
            else:
                puts += _row(kind, key, stored)
        # As few statements as can be: before and after each of them this thread needs the interpreter, for which it
        # waits up to 5 ms while the event loop is busy.
        statements = [*_statements(_put, 5, puts), *_statements(_delete, 2, deletes)]
        connection = self._connection
        self._used = max(self._used, revision)
        try:
            if revision > (self._ceiling or 0):
                write_ceiling(self.directory, revision + BLOCK)
                self._ceiling = revision + BLOCK
            if len(statements) == 1:
                connection.execute(*statements[0])
            else:
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    connection.execute(*statement)
                connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise WriteFailed(
                f"can't write to {self.directory}: {error}",
                hint="free or grow the disk, or make it writable: writes work again as soon as they can be stored",
            ) from error
        self._totals = totals
        self._revision = revision

    def limit_size(self, pages: int) -> None:
        """Let the file grow to `pages` pages only, as a disk of that size would (0: no limit)."""
        self._connection.execute(f"PRAGMA max_page_count = {pages or 2**32 - 2:d}")

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._connection.close()
        if self._used:
            # without it the next start skips the rest of the block, which is as good
            with suppress(OSError):
                write_ceiling(self.directory, self._used)
        os.close(self._lock)


def _row(kind: str, key: str, stored: Stored) -> tuple[str, str, int, bytes, int]:
    return kind, key, stored.revision, stored.data, checksum_of(kind, key, stored)


def _totals_after(
    totals: Totals, written: Mapping[tuple[str, str], Stored | None], replaced: Mapping[tuple[str, str], Stored]
) -> Totals:
    now = {where: stored for where, stored in written.items() if stored is not None}
    grown = sum(checksum_of(*where, stored) for where, stored in now.items())
    shrunk = sum(checksum_of(*where, stored) for where, stored in replaced.items())
    return totals.changed(added=len(now), removed=len(replaced), checksums=grown - shrunk)


def _put(rows: int) -> str:
    return "INSERT OR REPLACE INTO object VALUES " + ",".join(["(?,?,?,?,?)"] * rows)  # noqa: S608  (no values in it)


def _delete(rows: int) -> str:
    return f"DELETE FROM object WHERE (kind, key) IN (VALUES {','.join(['(?,?)'] * rows)})"  # noqa: S608


def _statements(
    text_for: Callable[[int], str], width: int, values: list[str | int | bytes]
) -> Iterator[tuple[str, list[str | int | bytes]]]:
    """Give the statements, with their parameters, for rows of `width` values."""
    for start in range(0, len(values), _ROWS_AT_ONCE * width):
        part = values[start : start + _ROWS_AT_ONCE * width]
        yield text_for(len(part) // width), part


def lock_directory(directory: Path) -> int:
    """Make the directory if it isn't there, and hold its lock until the returned file is closed (DATABASE-3)."""
    try:
        private_directory(directory)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataDirectoryError(f"{directory} is not a directory", hint="choose one with --data-dir") from error
    except OSError as error:
        raise _unusable(directory, error) from error
    found = {path.name for path in directory.iterdir()}
    if found and not found & {FILE_NAME, LOCK_NAME, LAST_GOOD_NAME, OWNER_FILE}:
        raise DataDirectoryError(
            f"{directory} has files in it that are not pvbinder's", hint="choose an empty directory with --data-dir"
        )
    for name in OWN_FILES:
        check_file(directory / name)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        lock = os.open(directory / LOCK_NAME, flags, 0o600)
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
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if trouble_of(error, directory) != "full":  # who holds the lock is only for the other one's message
            os.close(lock)
            raise _unusable(directory, error) from error
    return lock


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error


def create(path: Path, objects: Iterable[tuple[str, str, Stored]] = (), revision: int = BEFORE_ANYTHING) -> None:
    """Make a new file with `objects` in it, at `revision`."""
    try:
        os.close(create_private(path))
        with closing(connect(path)) as connection:
            _fill(connection, objects, revision)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error


def _create_empty(path: Path) -> None:
    """Make the file of a new directory in one step: one that was made by half would be taken for somebody else's."""
    new = path.with_name("new.db")
    for leftover in (new, new.with_name("new.db-wal"), new.with_name("new.db-shm")):
        leftover.unlink(missing_ok=True)
    create(new)
    new.replace(path)
    sync_directory(path.parent)


def _fill(connection: sqlite3.Connection, objects: Iterable[tuple[str, str, Stored]], revision: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_SCHEMA)
    totals = Totals()
    for kind, key, stored in objects:
        row = _row(kind, key, stored)
        connection.execute(_put(1), row)
        totals = totals.changed(added=1, removed=0, checksums=row[-1])
    connection.execute(_put(1), _row("", "", Stored(revision, totals.encode())))
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
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    return connection


def finish_recovery(directory: Path) -> None:
    """Put a recovered file into its place, if there is one: what it replaces is kept elsewhere by then."""
    recovered, path = directory / RECOVERED_NAME, directory / FILE_NAME
    if recovered.exists():
        for suffix in ("-wal", "-shm"):  # SQLite would apply a log to whatever file it lies beside
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync_directory(directory)
        recovered.replace(path)
        sync_directory(directory)


def read_sound(path: Path) -> tuple[list[tuple[str, str, Stored]], int, Totals]:
    """Return the objects, the revision and the totals; refuses what is not as it was written (DATABASE-5).

    For reading only: on the last close of a file that is open for writing, SQLite empties its log, and with it would go
    what can still be recovered from a log with damage in its middle.
    """
    if read_log(path).lost:  # to be asked first: SQLite makes the -shm file anew, which tells
        raise DamagedDataError(path, "acknowledged writes are missing from its log")
    with closing(open_for_reading(path)) as connection:
        try:
            version = _check_header(connection, path)
            problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
            if problems != ["ok"]:
                raise DamagedDataError(path, "; ".join(problems))
            if version == SCHEMA_VERSION:
                objects = list(checked_rows(connection, path))
                _, _, meta = objects.pop(0)  # the empty kind comes first
                return objects, meta.revision, Totals.decode(meta.data)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise DamagedDataError(path, error) from error
    _add_checksums(path)
    return read_sound(path)


def open_for_reading(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open the file so that nothing in it is changed, not even by closing it; `alone` if nobody writes to it."""
    how = "?mode=ro&immutable=1" if alone else "?mode=ro"
    try:
        return sqlite3.connect(f"{path.absolute().as_uri()}{how}", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error


def checked_rows(connection: sqlite3.Connection, path: Path) -> Iterator[tuple[str, str, Stored]]:
    """Give all rows, that of the revision too (kind and key ""), comparing them with their checksums and the totals.

    That a row is missing is known, and raised, at the end only.
    """
    found = Totals()
    meant = None
    for kind, key, revision, data, checksum in connection.execute(
        "SELECT kind, key, revision, data, checksum FROM object"
    ):
        stored = Stored(revision, data)
        if checksum_of(kind, key, stored) != checksum:
            raise DamagedDataError(path, f"{kind} {key} is not what was written" if kind else "its totals changed")
        if kind:
            found = Totals(found.objects + 1, found.checksums + checksum)
        else:
            meant = Totals.decode(data)
        yield kind, key, stored
    if meant is None:
        raise DamagedDataError(path, "its totals are missing")
    if found != meant:
        raise DamagedDataError(path, f"it has {found.objects} objects, and {meant.objects} were written")


def _check_header(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the format, if it is one that we know."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise DataDirectoryError(
            f"{path} is a database of another program", hint="choose another directory with --data-dir"
        )
    if version > SCHEMA_VERSION:
        raise DataDirectoryError(
            f"{path} was written by a newer pvbinder (format {version}, this one knows {SCHEMA_VERSION})",
            hint="upgrade pvbinder, or choose another directory with --data-dir",
        )
    return int(version)


def _add_checksums(path: Path) -> None:
    """Bring a file of version 1, which had no checksums, to version 2: all of it or, if interrupted, nothing."""
    with closing(connect(path)) as connection:
        rows = connection.execute("SELECT kind, key, revision, data FROM object").fetchall()
        objects = [(kind, key, Stored(revision, data)) for kind, key, revision, data in rows if kind]
        revisions = [revision for kind, _, revision, _ in rows if not kind]
        if not revisions:
            raise DamagedDataError(path, "its revision is missing")
        totals = Totals(len(objects), sum(checksum_of(*row) for row in objects))
        meta = ("", "", Stored(revisions[0], totals.encode()))
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ALTER TABLE object ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0")
            connection.executemany(_put(1), (_row(*row) for row in [*objects, meta]))
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:  # closing takes back what was begun
            raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> DataDirectoryError:
    trouble = trouble_of(error, path if path.is_dir() else path.parent) or "failing"
    return DataDirectoryError(f"can't use {path}: {in_words(trouble, error)}", hint=way_out(trouble))
