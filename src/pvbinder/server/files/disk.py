"""The meaning of a disk's errors: full, read-only, not ours, or failing. In one place, so that all say it in one way.

DISK-1  A disk without room is said to be full, and nothing else: not damaged, and no bug of ours.

SQLite and the system say it in a dozen ways, some of which (``disk I/O error``, ``unable to open database file``) don't
tell. Those are asked about: a small file that is written beside, and gone at once, fails for the same reason.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from pathlib import Path
from typing import Literal, assert_never

Trouble = Literal["full", "read-only", "forbidden", "failing"]

PROBE_BYTES = 64 << 10  # SQLite's shared file is 32 KiB, and comes with a log
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SILENT = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


def trouble_of(error: BaseException, directory: Path) -> Trouble | None:
    """Return what the disk that `directory` is on means by `error`; None if it is no error of a disk (DISK-1)."""
    if isinstance(error, OSError):
        return _of_number(error.errno)
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return "full"
    return probed(directory) or "failing" if code & 0xFF in _SILENT else None


def probed(directory: Path) -> Trouble | None:
    """Write a small file in `directory`, and return what the disk says to that; None if it takes it."""
    path = directory / f".probe-{secrets.token_hex(8)}"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            left = PROBE_BYTES
            while left:
                left -= os.write(handle, bytes(left))
        finally:
            os.close(handle)
            path.unlink()
    except OSError as error:
        return _of_number(error.errno)
    return None


def _of_number(number: int | None) -> Trouble:
    if number in _FULL:
        return "full"
    if number == errno.EROFS:
        return "read-only"
    return "forbidden" if number in (errno.EACCES, errno.EPERM) else "failing"


def in_words(trouble: Trouble, error: BaseException) -> str:
    """Return what happened, for people."""
    match trouble:
        case "full":
            return "the disk is full"
        case "read-only":
            return "Read-only file system"
        case "forbidden":
            return "Permission denied"
        case "failing":
            return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        case _:
            assert_never(trouble)


def way_out(trouble: Trouble) -> str:
    """Return what to do about it."""
    match trouble:
        case "full":
            return "free some space, or grow the disk; nothing that is stored is lost"
        case "read-only":
            return "mount it for writing, or choose another directory with --data-dir"
        case "forbidden":
            return "let this user own and write it, or choose another directory with --data-dir"
        case "failing":
            return "make it writable, or choose another with --data-dir"
        case _:
            assert_never(trouble)
