"""The copy ``last-good.db``: a recovery takes objects from it that a damaged file has lost.

LAST_GOOD-1  It is whole, sound and private, or it isn't there: it is read through before it replaces the one before.

It is made at a clean stop, and after the start when there is none of this revision, as after a crash. It has a
connection of its own, so commits go on meanwhile. That it can't be made stops nobody; the log says so.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import create_private, sync_directory
from pvbinder.server.store.directory import FILE_NAME, LAST_GOOD_NAME
from pvbinder.server.store.reserve import RESERVE_BYTES
from pvbinder.server.store.sound import checked_rows, identity_in, open_for_reading

log = logs.get(__name__)


def keep_copy(directory: Path) -> int | None:
    """Bring the copy in `directory` up to date, if it isn't (LAST_GOOD-1). For any thread, while the store is open.

    Returns the revision that it has then; None if none could be made.
    """
    try:
        return _keep_copy(directory)
    except (OSError, sqlite3.Error, PvbinderError, TypeError, ValueError) as error:  # the last two: damaged rows
        log.error("no copy was kept for recovery", err=str(error))
        return None


def _keep_copy(directory: Path) -> int:
    path, new = directory / LAST_GOOD_NAME, directory / f"{LAST_GOOD_NAME}.new"
    new.unlink(missing_ok=True)
    with closing(open_for_reading(directory / FILE_NAME)) as source:
        revision = _revision_of(source)
        if (revision, identity_in(source)) == _revision_of_copy(path):
            return revision
        disk = os.statvfs(directory)
        if disk.f_bavail * disk.f_frsize < (directory / FILE_NAME).stat().st_size + 2 * RESERVE_BYTES:
            raise OSError(errno.ENOSPC, "there is no room for it on the disk")  # and writes come first
        os.close(create_private(new))
        try:
            source.execute("VACUUM INTO ?", (str(new),))
            with closing(open_for_reading(new, alone=True)) as copy:
                for _ in checked_rows(copy, directory / FILE_NAME):
                    pass
                revision = _revision_of(copy)
            handle = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    new.replace(path)
    sync_directory(directory)
    return revision


def _revision_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT revision FROM object WHERE kind = '' AND key = ''").fetchone()[0])


def _revision_of_copy(path: Path) -> tuple[int, str] | None:
    if not path.exists():
        return None
    try:
        with closing(open_for_reading(path, alone=True)) as copy:
            return _revision_of(copy), identity_in(copy)
    except (sqlite3.Error, TypeError, ValueError):
        return None  # it is damaged itself: a new one takes its place
