"""The data directory on disk: one SQLite file, one lock, and the errors when they can't be used.

DATABASE-1  Durable: when `commit` returns, the batch survives ``kill -9`` and a power cut (WAL, synchronous=FULL).
DATABASE-2  Whole: a batch is there entirely or not at all, with the revision that it ends at.
DATABASE-3  Ours alone: a second process on the same directory is told so and changes nothing (`flock` on ``lock``).
DATABASE-4  Private: the directory is ours and 0700, its files are 0600, and none of them is a link or somebody else's.
DATABASE-5  Sound: when it is open, every row has been read and checked, and none is missing. Anything else is refused,
            and nothing is changed: not even what SQLite would tidy up by itself when it opens a file.
DATABASE-6  A full disk is no damage: stored objects are served, deletions use the room that is kept for them
            (`room.py`), and other writes fail until there is room again.

`commit` may be called from any thread, one call at a time; everything else belongs to the thread that opens and closes.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.disk import in_words, trouble_of, way_out
from pvbinder.server.files.private_files import PrivateFileError, sync_directory
from pvbinder.server.store.acknowledged import Acknowledged, AcknowledgedWriter, begin, read_acknowledged
from pvbinder.server.store.ceiling import BLOCK_REVISIONS, read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.directory import FILE_NAME, LAST_GOOD_NAME, LOCK_NAME, RECOVERED_NAME, lock_directory
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError, WriteFailed, trouble_in
from pvbinder.server.store.making import (
    connect,
    create_empty,
    delete_rows,
    put_rows,
    row_of,
    statements_of,
    store_identity,
)
from pvbinder.server.store.reserve import Reserve, makes_room
from pvbinder.server.store.room import PAGES_AHEAD, PAGES_KEPT_FREE, Room, frames_for, pages_for
from pvbinder.server.store.sound import (
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
    "connect",
]

FRAMES_MAX = 4000  # of the log, before it is emptied
LIST_RESERVE_BYTES = 128 << 10  # of the reserve, which the list of acknowledged writes doesn't get


class Database:
    """An open and locked data directory."""

    def __init__(self, directory: Path, *, keeps_list: bool = True) -> None:
        """Open `directory`; `keeps_list` False for one that nobody would recover, which then has no list of writes."""
        self.directory = directory
        self._path = directory / FILE_NAME
        self._keeps_list = keeps_list
        self._lock = lock_directory(directory)
        self._connection: sqlite3.Connection | None = None
        self._anchor: sqlite3.Connection | None = None
        self._room: Room | None = None
        self._acknowledged: AcknowledgedWriter | None = None
        self.is_full = False
        self._pages = 0  # the file may grow by at least as many in its room
        self._frames = 0  # the log has at most as many
        self._used = 0
        try:
            self._reserve = Reserve(directory)
            try:
                self._open()
            except (UnusableError, PrivateFileError, sqlite3.Error, OSError) as error:
                if trouble_in(error, directory) != "full":
                    raise
                self._reserve.give_up()
                self.is_full = True
                self._open()
            self._prepare()
            self._hold_room()
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
            create_empty(path, keeps_list=self._keeps_list)
            known = read_acknowledged(directory)
        sound = read_sound(path)
        check_acknowledged(path, sound, known)
        self._found, self._revision, self._totals = sound.objects, sound.revision, sound.totals
        self._largest = max((len(stored.data) for _, _, stored in sound.objects), default=0)
        self._identity = sound.identity
        self._known = known
        if self._ceiling is None and known is not None and known.lines:
            self._revision += BLOCK_REVISIONS  # revisions of failed writes aren't known without it

    def _prepare(self) -> None:
        """Open the files for writing; on a full disk what is stored is served, and this is tried again by a write."""
        for _ in range(2):
            try:
                self._keep_list(self._connected())
                break
            except (UnusableError, PrivateFileError, sqlite3.Error, OSError) as error:
                if trouble_in(error, self.directory) != "full":
                    raise
                self._drop_connection()
                self._reserve.give_up()
                self.is_full = True

    def _connected(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is None:
            connection = self._connection = connect(self._path)
        if self._anchor is None:
            # it keeps SQLite from removing the log, and with it the log's room, when the other one is closed
            self._anchor = anchor = open_for_reading(self._path)
            anchor.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if self._room is None:
            self._room = Room(self._path)
            self._frames = self._room.frames  # the log that a killed process left
        return connection

    def _hold_room(self) -> None:
        """Hold what a full disk needs, as far as there is room; it is full if there isn't."""
        if self._room is None:
            return
        try:
            self._room.hold_log(0, self._largest)
            self._hold_pages(0)
        except OSError as error:
            if trouble_of(error, self.directory) != "full":
                raise
            self.is_full = True
        if self.is_full:
            self._reserve.doubt()
        if self._reserve.take():
            self.is_full = False
        else:
            self.is_full = True
            self._reserve.hold()

    def _keep_list(self, connection: sqlite3.Connection) -> None:
        """Go on with the list of acknowledged writes, or begin one (ACKNOWLEDGED-1)."""
        if self._acknowledged is not None or not (self._keeps_list or self._identity):
            return
        known = self._known
        if not self._identity:
            self._identity = secrets.token_hex(16)
            begin(self.directory, self._identity, self._revision)
            store_identity(connection, self._identity)
            known = None
        elif known is None or known.revision < self._revision:
            begin(self.directory, self._identity, self._revision)
            known = None
        self._acknowledged = AcknowledgedWriter(
            self.directory,
            known or read_acknowledged(self.directory) or Acknowledged(self._identity, self._revision, 0),
        )

    def load(self) -> Iterator[tuple[str, str, Stored]]:
        """Give every object, once: kind, key, and the stored object. They were read when it was opened (DATABASE-5)."""
        found, self._found = self._found, []
        yield from found

    def revision(self) -> int:
        """Return a revision that no revision ever given out is above (CEILING-1)."""
        return max(self._revision, self._ceiling or 0)

    def room_for(self, pages: int) -> bool:
        """Whether a write of so many pages, the waiting ones counted, may be tried (DATABASE-6)."""
        return not self.is_full or self._reserve.take() or self._pages >= pages + PAGES_KEPT_FREE

    def give_up_reserve(self) -> None:
        """Give up the reserve, for files that must be written beside the database, such as this start's kubeconfig."""
        self._reserve.give_up()
        self.is_full = True

    def hold_reserve(self) -> None:
        """Hold what is left of the reserve."""
        self._reserve.hold()

    @property
    def noted_bytes(self) -> int:
        """The length of the list of acknowledged writes."""
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

        `replaced` is the object before, if there was one. Raises WriteFailed, and then nothing of the batch is stored.
        """
        totals = self._totals.after(written, replaced)
        meta = Stored(revision, totals.encode())
        puts: list[str | int | bytes] = ["", "", revision, meta.data, checksum_of_totals(meta, self._identity)]
        deletes: list[str | int | bytes] = []
        for (kind, key), stored in written.items():
            if stored is None:
                deletes += (kind, key)
            else:
                puts += row_of(kind, key, stored)
        # As few statements as can be: before and after each of them this thread needs the interpreter, for which it
        # waits up to 5 ms while the event loop is busy.
        statements = [*statements_of(put_rows, 5, puts), *statements_of(delete_rows, 2, deletes)]
        self._used = max(self._used, revision)
        frees = all(makes_room(*each, replaced) for each in written.items())
        largest = max((len(stored.data) for stored in written.values() if stored is not None), default=0)
        pages = sum(pages_for(stored, replaced.get(at)) for at, stored in written.items() if stored is not None)
        frames = frames_for(written)
        for turn in range(3):
            try:
                connection = self._connected()
                if not frees:
                    self._hold_for(pages, frames, largest)
                self._write(connection, statements, revision)
                break
            except (OSError, PrivateFileError, UnusableError, sqlite3.Error) as error:
                failure = self._failure(error)
                if failure.trouble == "full":
                    self.is_full = True
                    self._reserve.doubt()
                if failure.trouble == "read-only" or not frees or turn == 2:
                    self._reserve.hold()
                    raise failure from error
                with suppress(OSError, sqlite3.Error):
                    self._empty_log(cut=True)
                if turn == 1:
                    self._reserve.give_up()
        self._pages -= pages
        self._totals = totals
        self._revision = revision
        self._frames += frames
        self._note({where: None if stored is None else stored.revision for where, stored in written.items()}, revision)
        if self.is_full:
            self._see_room()
        elif self._frames > FRAMES_MAX:
            with suppress(OSError, sqlite3.Error):
                self._empty_log()

    def _note(self, revisions: Mapping[tuple[str, str], int | None], revision: int) -> None:
        """Note a batch in the list of acknowledged writes, if need be in a part of the reserve."""
        if self._acknowledged is None:
            return
        self._acknowledged.note(revisions, revision)
        if self._acknowledged.is_behind and self._reserve.size > LIST_RESERVE_BYTES:
            self._reserve.give_up()
            self._acknowledged.catch_up()
            self._reserve.hold()

    def _see_room(self) -> None:
        """See after a write to a full disk what room there is, and whether the disk is full still."""
        if self._reserve.take():
            with suppress(OSError, sqlite3.Error):
                if self._room is not None:
                    self._room.hold_log(0, self._largest)
                self._hold_pages(0)
                self.is_full = False
                return
        self._reserve.hold()
        self._pages = 0
        with suppress(OSError, sqlite3.Error):
            self._hold_pages(0)

    def _hold_for(self, pages: int, frames: int, largest: int) -> None:
        """Hold room for a batch that grows by `pages` at most; raises OSError when the disk is full (ROOM-1)."""
        for last in (False, True):
            try:
                if self._pages < pages + PAGES_KEPT_FREE:
                    self._hold_pages(pages)
                if self._room is not None:
                    self._room.hold_log(self._frames + frames, max(largest, self._largest))
                self._largest = max(largest, self._largest)
                return
            except OSError as error:
                if last or trouble_in(error, self.directory) != "full":
                    raise
                self._empty_log(cut=True)

    def _hold_pages(self, pages: int) -> None:
        """Hold room for the present pages and `pages` more, besides those that are kept free.

        When it raises OSError, the free pages within the file are all that there is.
        """
        connection, room = self._connection, self._room
        if connection is None or room is None:
            return
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        self._pages = free
        for ahead in (PAGES_AHEAD, min(free, PAGES_AHEAD), 0):
            wanted = max(free, pages + PAGES_KEPT_FREE + ahead)
            try:
                room.hold_pages(count + wanted - free)
            except OSError:
                if not ahead:
                    raise
            else:
                self._pages = wanted
                return

    def _empty_log(self, *, cut: bool = False) -> None:
        """Bring what the log holds into the database, so that it begins anew in the room that it has (ROOM-1).

        `cut` where the disk is full: then it keeps no more room than deletions need. Raises sqlite3.Error or OSError.
        """
        connection, room = self._connection, self._room
        if connection is None or room is None or connection.in_transaction:
            return
        cut = cut and room.log_is_large
        mode = "TRUNCATE" if cut else "RESTART" if self.is_full else "PASSIVE"
        busy, frames, emptied = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        self._frames = frames - emptied + busy
        if cut and not busy:
            room.log_was_cut()  # first: nothing can be deleted without it
        with suppress(OSError):
            self._hold_pages(0)  # SQLite gave back what the file had beyond its pages

    def _write(
        self, connection: sqlite3.Connection, statements: list[tuple[str, list[str | int | bytes]]], revision: int
    ) -> None:
        try:
            self._keep_list(connection)
            if revision > (self._ceiling or 0):
                write_ceiling(self.directory, revision + BLOCK_REVISIONS)
                self._ceiling = revision + BLOCK_REVISIONS
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
        trouble = trouble_in(error, self.directory)
        cause = error.__cause__ if isinstance(error, PvbinderError) and error.__cause__ is not None else error
        return WriteFailed(
            f"can't write to {self.directory}: {in_words(trouble, cause)}",
            hint=f"{way_out(trouble)}. Writes work again as soon as they can be stored",
            trouble=trouble,
        )

    def limit_size(self, pages: int) -> None:
        """Let the file grow to `pages` pages only, as a disk of that size would (0: no limit)."""
        if self._connection is not None:
            self._connection.execute(f"PRAGMA max_page_count = {pages or 2**32 - 2:d}")

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._end_log()
        if self._used:
            # without it the next start skips the rest of the block, which is as good
            with suppress(OSError, PrivateFileError):
                write_ceiling(self.directory, self._used)
        self._close_files()

    def _end_log(self) -> None:
        """Leave a log without frames, and its room (ROOM-2): its content is in the database."""
        is_empty = False
        if self._connection is not None and not self._connection.in_transaction:
            with suppress(sqlite3.Error, OSError):
                self.is_full = True  # as if it were: the next write may need the room
                self._empty_log(cut=True)
                is_empty = not self._frames
        self._drop_connection()
        if is_empty and self._room is not None:
            with suppress(OSError):  # the frames are in both then, which is as good
                self._room.end_log()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _close_files(self) -> None:
        self._drop_connection()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        if self._room is not None:
            self._room.close()
            self._room = None
        if self._acknowledged is not None:
            self._acknowledged.close()
            self._acknowledged = None
        os.close(self._lock)


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnusableError(path, error) from error


def finish_recovery(directory: Path) -> None:
    """Put a recovered file into its place, if there is one: the old file is kept elsewhere by then."""
    recovered, path = directory / RECOVERED_NAME, directory / FILE_NAME
    if recovered.exists():
        with closing(open_for_reading(recovered, alone=True)) as connection:
            identity = identity_in(connection)
            (revision,) = connection.execute("SELECT revision FROM object WHERE kind = '' AND key = ''").fetchone()
        begin(directory, identity, revision)  # the list of acknowledged writes is that of the damaged file
        for suffix in ("-wal", "-shm"):  # SQLite would apply a log to any file beside it
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
            connection.executemany(put_rows(1), (row_of(*row) for row in [*objects, meta]))
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:  # closing takes back what was begun
            raise UnusableError(path, error) from error
