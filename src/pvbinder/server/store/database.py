"""The data directory on disk: one SQLite file, one lock, and what to say when they can't be used.

DATABASE-1  Durable: when `commit` returns, the batch survives ``kill -9`` and a power cut (WAL, synchronous=FULL).
DATABASE-2  Whole: a batch is there entirely or not at all, with the revision that it ends at.
DATABASE-3  Ours alone: a second process on the same directory is told so and changes nothing (`flock` on ``lock``).
DATABASE-4  Private: the directory is ours and 0700, its files are 0600, and none of them is a link or somebody else's.
DATABASE-5  Sound: when it is open, every row was read and is what was written, and none is missing. Anything else is
            refused, and nothing is changed: not even what SQLite would tidy up by itself when it opens a file.
DATABASE-6  A full disk is no damage: what is stored is served, what is deleted is stored in the room that is kept for
            that, and other writes fail until there is room again, by itself.

`commit` may be called from any thread, one call at a time; everything else belongs to the thread that opens and closes.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType

from pvbinder.model.errors import PvbinderError
from pvbinder.server.disk import Trouble, in_words, trouble_of, way_out
from pvbinder.server.private_files import PrivateFileError, create_private, sync_directory
from pvbinder.server.store.acknowledged import Acknowledged, AcknowledgedWriter, begin, read_acknowledged
from pvbinder.server.store.ceiling import BLOCK, read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.directory import FILE_NAME, LAST_GOOD_NAME, LOCK_NAME, RECOVERED_NAME, lock_directory
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError, WriteFailed
from pvbinder.server.store.pages import PAGE_BYTES
from pvbinder.server.store.reserve import Reserve, makes_room
from pvbinder.server.store.sound import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    Sound,
    check_acknowledged,
    identity_in,
    open_for_reading,
    read_file,
)
from pvbinder.server.store.state import Stored

__all__ = [
    "FILE_NAME",
    "LAST_GOOD_NAME",
    "LOCK_NAME",
    "RECOVERED_NAME",
    "DamagedDataError",
    "DataDirectoryError",
    "Database",
    "WriteFailed",
]

# The revision of an empty store. Not 0 or 1: those mean something else, or too little, to clients, and whoever asks for
# changes since then must hear that they are expired.
BEFORE_ANYTHING = 100

# The row with kind and key "" holds the revision of the last commit and the totals: in the same table, so that a batch
# without deletions is one statement.
_SCHEMA = """
CREATE TABLE object (kind TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL, data BLOB NOT NULL,
                     checksum INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID
"""
# Which directory the file is of, so that a file or log of another one isn't taken for ours.
_IDENTITY_SCHEMA = "CREATE TABLE IF NOT EXISTS directory (identity TEXT NOT NULL)"
GROWN_BYTES_MAX = 64 << 10  # as pages, with what their splits waste, less than the reserve
PLENTY_BYTES = 64 << 20
PAGES_KEPT_FREE = 8  # what the tree may need besides the rows themselves
_ROWS_AT_ONCE = 1000  # SQLite takes 32 766 parameters in a statement


class Database:
    """An open and locked data directory."""

    def __init__(self, directory: Path, *, keeps_list: bool = True) -> None:
        """Open `directory`; `keeps_list` False for one that nobody would recover, which then has no list of writes."""
        self.directory = directory
        self._path = directory / FILE_NAME
        self._keeps_list = keeps_list
        self._lock = lock_directory(directory)
        self._connection: sqlite3.Connection | None = None
        self._acknowledged: AcknowledgedWriter | None = None
        self.began_full = False
        self._room_bytes = 0
        self._grown_bytes = GROWN_BYTES_MAX  # what a killed process left in the log
        self._used = 0
        try:
            self._reserve = Reserve(directory)
            try:
                self._open()
            except (UnusableError, PrivateFileError, sqlite3.Error, OSError) as error:
                if _trouble(error, directory) != "full":
                    raise
                self._reserve.give_up()
                self.began_full = True
                self._open()
            self._prepare()
        except sqlite3.Error as error:
            self._close_files()
            raise UnusableError(self._path, error) from error
        except OSError as error:
            self._close_files()
            raise UnusableError(directory, error) from error
        except BaseException:
            self._close_files()
            raise

    def _open(self) -> None:
        path, directory = self._path, self.directory
        finish_recovery(directory)
        self._ceiling = read_ceiling(directory)
        known = read_acknowledged(directory)
        if not _is_there(path):
            was_there = (directory / LAST_GOOD_NAME).exists() or (known is not None and known.lines)
            if self._ceiling is not None or was_there:
                raise DamagedDataError(path, "there is nothing in it any more" if path.exists() else "it is gone")
            _create_empty(path, keeps_list=self._keeps_list)
            known = read_acknowledged(directory)
        sound = read_sound(path)
        check_acknowledged(path, sound, known)
        self._found, self._revision, self._totals = sound.objects, sound.revision, sound.totals
        self._identity = sound.identity
        self._known = known
        if self._ceiling is None and known is not None and known.lines:
            self._revision += BLOCK  # what was given out, and came to nothing, isn't known without it

    def _prepare(self) -> None:
        """Open the files for writing; on a full disk what is stored is served, and this is tried again by a write."""
        for _ in range(2):
            try:
                self._connection = connect(self._path)
                self._keep_list(self._connection)
                break
            except (UnusableError, PrivateFileError, sqlite3.Error, OSError) as error:
                if _trouble(error, self.directory) != "full":
                    raise
                self._drop_connection()
                self._reserve.give_up()
                self.began_full = True
        self.began_full = not self._reserve.take() and self.began_full

    def _keep_list(self, connection: sqlite3.Connection) -> None:
        """Go on with the list of acknowledged writes, or begin one (ACKNOWLEDGED-1)."""
        if self._acknowledged is not None or not (self._keeps_list or self._identity):
            return
        known = self._known
        if not self._identity:
            self._identity = secrets.token_hex(16)
            begin(self.directory, self._identity, self._revision)
            _store_identity(connection, self._identity)
            known = None
        elif known is None or known.revision < self._revision:
            begin(self.directory, self._identity, self._revision)
            known = None
        self._acknowledged = AcknowledgedWriter(
            self.directory,
            known or read_acknowledged(self.directory) or Acknowledged(self._identity, self._revision, 0),
        )

    def load(self) -> Iterator[tuple[str, str, Stored]]:
        """Give every object, once: kind, key, and what is stored. They were read when it was opened (DATABASE-5)."""
        found, self._found = self._found, []
        yield from found

    def revision(self) -> int:
        """Return a revision that all those that were ever given out are not above (CEILING-1)."""
        return max(self._revision, self._ceiling or 0)

    def room_for(self, size: int) -> bool:
        """Whether a write of `size` bytes more may be tried: not while the reserve is given up (DATABASE-6)."""
        if self._reserve.is_held or self._reserve.take():
            return True
        needed = 2 * size + PAGE_BYTES
        if self._room_bytes < needed:
            return False
        self._room_bytes -= needed
        return True

    @property
    def has_reserve(self) -> bool:
        """Whether writes that grow are taken again."""
        return self._reserve.is_held or self._reserve.take()

    def give_up_reserve(self) -> None:
        """Give room to what must be written beside the database, such as the kubeconfig of this start."""
        self._reserve.give_up()

    @property
    def noted_bytes(self) -> int:
        """How long the list of acknowledged writes is."""
        return self._acknowledged.size if self._acknowledged is not None else 0

    def forget_acknowledged(self, revision: int) -> None:
        """Shorten the list of acknowledged writes: there is a copy of `revision`. Belongs to the thread of `commit`."""
        if self._acknowledged is not None:
            with suppress(OSError):  # a longer list is as good
                self._acknowledged.forget(revision)

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
        puts: list[str | int | bytes] = ["", "", revision, meta.data, checksum_of_totals(meta, self._identity)]
        deletes: list[str | int | bytes] = []
        for (kind, key), stored in written.items():
            if stored is None:
                deletes += (kind, key)
            else:
                puts += _row(kind, key, stored)
        # As few statements as can be: before and after each of them this thread needs the interpreter, for which it
        # waits up to 5 ms while the event loop is busy.
        statements = [*_statements(_put, 5, puts), *_statements(_delete, 2, deletes)]
        self._used = max(self._used, revision)
        try:
            self._write(statements, revision)
        except (OSError, PrivateFileError, UnusableError, sqlite3.Error) as error:
            failure = self._failure(error)
            if failure.trouble == "read-only" or not all(makes_room(*each, replaced) for each in written.items()):
                if failure.trouble == "full":
                    self._reserve.give_up()
                raise failure from error
            self._make_room()
            try:
                self._write(statements, revision)
            except (OSError, PrivateFileError, UnusableError, sqlite3.Error) as again:
                raise self._failure(again) from again
        self._totals = totals
        self._revision = revision
        if self._acknowledged is not None:
            revisions = {where: None if stored is None else stored.revision for where, stored in written.items()}
            self._acknowledged.note(revisions, revision)
        if not self._reserve.is_held:
            self._make_room()
        else:
            self._grow(written, replaced)

    def _grow(
        self, written: Mapping[tuple[str, str], Stored | None], replaced: Mapping[tuple[str, str], Stored]
    ) -> None:
        """Let the file grow while there is room for it, where there is little: to empty the log needs it (DATABASE-6).

        Otherwise the log, which may be much larger than the reserve, couldn't be emptied on a full disk.
        """
        self._grown_bytes += sum(len(stored.data) for stored in written.values() if stored is not None)
        self._grown_bytes -= sum(len(stored.data) for stored in replaced.values())
        if self._grown_bytes > GROWN_BYTES_MAX:
            disk = os.statvfs(self.directory)
            if disk.f_bavail * disk.f_frsize < PLENTY_BYTES and self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._grown_bytes = 0

    def _write(self, statements: list[tuple[str, list[str | int | bytes]]], revision: int) -> None:
        connection = self._connection
        if connection is None:
            connection = self._connection = connect(self._path)
        try:
            self._keep_list(connection)
            if revision > (self._ceiling or 0):
                write_ceiling(self.directory, revision + BLOCK)
                self._ceiling = revision + BLOCK
            if len(statements) == 1:
                connection.execute(*statements[0])
                return
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(*statement)
            connection.execute("COMMIT")
        except BaseException:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error:
                self._drop_connection()  # closing it takes back what was begun
            raise

    def _failure(self, error: Exception) -> WriteFailed:
        trouble = _trouble(error, self.directory)
        cause = error.__cause__ if isinstance(error, PvbinderError) and error.__cause__ is not None else error
        return WriteFailed(
            f"can't write to {self.directory}: {in_words(trouble, cause)}",
            hint=f"{way_out(trouble)}. Writes work again as soon as they can be stored",
            trouble=trouble,
        )

    def _make_room(self) -> None:
        """Give up the reserve and what the log holds, and see how much room there is inside the file (DATABASE-6)."""
        self._reserve.give_up()
        self._room_bytes = 0
        with suppress(sqlite3.Error):
            if self._connection is not None and not self._connection.in_transaction:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                (free_pages,) = self._connection.execute("PRAGMA freelist_count").fetchone()
                self._room_bytes = max(0, free_pages - PAGES_KEPT_FREE) * PAGE_BYTES

    def limit_size(self, pages: int) -> None:
        """Let the file grow to `pages` pages only, as a disk of that size would (0: no limit)."""
        if self._connection is not None:
            self._connection.execute(f"PRAGMA max_page_count = {pages or 2**32 - 2:d}")

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._drop_connection()
        if self._used:
            # without it the next start skips the rest of the block, which is as good
            with suppress(OSError, PrivateFileError):
                write_ceiling(self.directory, self._used)
        self._close_files()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _close_files(self) -> None:
        self._drop_connection()
        if self._acknowledged is not None:
            self._acknowledged.close()
            self._acknowledged = None
        os.close(self._lock)


def _trouble(error: BaseException, directory: Path) -> Trouble:
    if isinstance(error, UnusableError):
        return error.trouble
    if isinstance(error, PrivateFileError) and error.__cause__ is not None:
        error = error.__cause__
    return trouble_of(error, directory) or "failing"


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


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnusableError(path, error) from error


def create(
    path: Path,
    objects: Iterable[tuple[str, str, Stored]] = (),
    revision: int = BEFORE_ANYTHING,
    identity: str = "",
) -> None:
    """Make a new file with `objects` in it, at `revision`."""
    try:
        os.close(create_private(path))
        with closing(connect(path)) as connection:
            _fill(connection, objects, revision)
            if identity:
                _store_identity(connection, identity)
    except (OSError, sqlite3.Error) as error:
        raise UnusableError(path, error) from error


def _store_identity(connection: sqlite3.Connection, identity: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_IDENTITY_SCHEMA)
    connection.execute("DELETE FROM directory")
    connection.execute("INSERT INTO directory VALUES (?)", (identity,))
    row = connection.execute("SELECT revision, data FROM object WHERE kind = '' AND key = ''").fetchone()
    checksum = checksum_of_totals(Stored(*row), identity)
    connection.execute("UPDATE object SET checksum = ? WHERE kind = '' AND key = ''", (checksum,))
    connection.execute("COMMIT")


def _create_empty(path: Path, *, keeps_list: bool) -> None:
    """Make the file of a new directory in one step: one that was made by half would be taken for somebody else's."""
    new = path.with_name("new.db")
    for leftover in (new, new.with_name("new.db-wal"), new.with_name("new.db-shm")):
        leftover.unlink(missing_ok=True)
    identity = secrets.token_hex(16) if keeps_list else ""
    if keeps_list:
        begin(path.parent, identity, BEFORE_ANYTHING)
    create(new, identity=identity)
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
        raise UnusableError(path, error) from error
    return connection


def finish_recovery(directory: Path) -> None:
    """Put a recovered file into its place, if there is one: what it replaces is kept elsewhere by then."""
    recovered, path = directory / RECOVERED_NAME, directory / FILE_NAME
    if recovered.exists():
        with closing(open_for_reading(recovered, alone=True)) as connection:
            identity = identity_in(connection)
            (revision,) = connection.execute("SELECT revision FROM object WHERE kind = '' AND key = ''").fetchone()
        begin(directory, identity, revision)  # the list of what was acknowledged is that of the damaged file
        for suffix in ("-wal", "-shm"):  # SQLite would apply a log to whatever file it lies beside
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        sync_directory(directory)
        recovered.replace(path)
        sync_directory(directory)


def read_sound(path: Path) -> Sound:
    """Return what is in the file; refuses what is not as it was written (DATABASE-5).

    For reading only: on the last close of a file that is open for writing, SQLite empties its log, and with it would go
    what can still be recovered from a log with damage in its middle.
    """
    found = read_file(path)
    if found is None:
        _add_checksums(path)
        return read_sound(path)
    return found


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
            raise UnusableError(path, error) from error
