"""Reading a file of ours: every row, and whether it is as it was written.

SOUND-1  What changed, is missing or is of an earlier time is noticed: rows by their checksums and the totals, a whole
         file of an earlier time by the list of acknowledged writes, a file or log of another directory by its identity.
SOUND-2  Reading changes nothing, and needs no room on the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pvbinder.server.files.disk import trouble_of
from pvbinder.server.store.acknowledged import Acknowledged
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError
from pvbinder.server.store.log_file import read_log
from pvbinder.server.store.pages import with_frames
from pvbinder.server.store.state import Stored

APPLICATION_ID = 0x70766264  # "pvbd", so that `file` and we know the file as ours
SCHEMA_VERSION = 2


class Sound(NamedTuple):
    """The content of a whole file."""

    objects: list[tuple[str, str, Stored]]
    revision: int
    totals: Totals
    identity: str  # of the data directory; "" in a file of before there were lists of acknowledged writes


def read_file(path: Path) -> Sound | None:
    """Return what is in the file; None if it is of version 1, which has no checksums. Raises DataDirectoryError."""
    if read_log(path).lost:  # to be asked first: SQLite makes the -shm file anew, which tells
        raise DamagedDataError(path, "acknowledged writes are missing from its log")
    try:
        with closing(open_for_reading(path)) as connection:
            found = _read_sound(connection, path)
    except sqlite3.OperationalError as error:
        if trouble_of(error, path.parent) != "full":
            raise DamagedDataError(path, error) from error
        with closing(open_in_memory(path)) as connection:  # without the files that SQLite wants beside it
            found = _read_sound(connection, path)
    except sqlite3.DatabaseError as error:
        raise DamagedDataError(path, error) from error
    return found


def _read_sound(connection: sqlite3.Connection, path: Path) -> Sound | None:
    """Return what is in the file; None if it is of version 1."""
    try:
        version = _check_header(connection, path)
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise DamagedDataError(path, "; ".join(problems))
        if version != SCHEMA_VERSION:
            return None
        objects = list(checked_rows(connection, path))
        _, _, meta = objects.pop(0)  # the empty kind comes first
        return Sound(objects, meta.revision, Totals.decode(meta.data), identity_in(connection))
    except (UnicodeDecodeError, ValueError, TypeError, IndexError) as error:
        raise DamagedDataError(path, error) from error


def identity_in(connection: sqlite3.Connection) -> str:
    """Return of which data directory the file is; "" if it doesn't say."""
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'directory'").fetchone()[0]:
        return ""
    found = connection.execute("SELECT identity FROM directory").fetchone()
    return str(found[0]) if found is not None else ""


def open_in_memory(path: Path) -> sqlite3.Connection:
    """Open what the file and its log hold, without touching either."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    log = read_log(path)
    connection.deserialize(with_frames(path.read_bytes(), log.frames[: log.usable]))
    return connection


def open_for_reading(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """Open the file so that nothing in it is changed, not even by closing it; `alone` if nobody writes to it."""
    how = "?mode=ro&immutable=1" if alone else "?mode=ro"
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}{how}", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise UnusableError(path, error) from error


def checked_rows(connection: sqlite3.Connection, path: Path) -> Iterator[tuple[str, str, Stored]]:
    """Give all rows, that of the revision too (kind and key ""), comparing them with their checksums and the totals.

    That a row is missing is known, and raised, at the end only.
    """
    found = Totals()
    meant = None
    identity = identity_in(connection)
    for kind, key, revision, data, checksum in connection.execute(
        "SELECT kind, key, revision, data, checksum FROM object"
    ):
        stored = Stored(revision, data)
        if (checksum_of(kind, key, stored) if kind else checksum_of_totals(stored, identity)) != checksum:
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


def check_acknowledged(path: Path, sound: Sound, known: Acknowledged | None) -> None:
    """Refuse a file that is sound in itself, but not the last one, or not of this directory (ACKNOWLEDGED-1)."""
    if not sound.identity:
        if known is not None and known.lines:
            raise DamagedDataError(path, "it is older than the list of the writes that were acknowledged")
        return
    if known is None:
        raise DamagedDataError(
            path,
            "the list of acknowledged writes beside it is missing or can't be read, so what is missing isn't known",
        )
    if known.identity != sound.identity:
        raise DamagedDataError(path, "it, or its log, is of another data directory")
    if known.revision > sound.revision:
        raise DamagedDataError(
            path, f"it ends at revision {sound.revision}, and writes up to {known.revision} were acknowledged"
        )
