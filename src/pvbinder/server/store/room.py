"""Room on the disk that is ours before it is needed: for the pages of the database, and for its log.

ROOM-1  Every page that the log holds has its place in the database. So the log can be emptied on a full disk, however
        large it is and however fast the disk was filled, and then it takes the next writes in the room that it has.
ROOM-2  The log's room isn't given back while the directory is in use, nor at a clean stop, nor by a kill.

Room is taken with `fallocate`, beyond the end of the files, so that their length stays what SQLite made it. A file
system that can't do that, or one that never writes to the same place twice (btrfs, ZFS), promises neither.

The handles stay open until SQLite has closed its own: closing one would end the locks that SQLite has on the file.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from pvbinder.server.store.pages import PAGE_BYTES
from pvbinder.server.store.state import Stored

LOG_BYTES = 512 << 10  # for some deletions, besides the largest object
PAGES_KEPT_FREE = 64  # for objects that grow when they are marked as deleted, and for the tree itself
PAGES_AHEAD = 256
_NEW_ROW_PAGES = 3  # one may split a leaf and a page above
_KEEP_SIZE = 1
_LOG_HEADER_BYTES = 32
_FRAME_BYTES = 24 + PAGE_BYTES
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})


def pages_for(stored: Stored, before: Stored | None) -> int:
    """Return by how many pages the file may grow when `stored` takes the place of `before`; an upper bound."""
    pages = len(stored.data) // PAGE_BYTES
    return pages + _NEW_ROW_PAGES if before is None else max(0, pages - len(before.data) // PAGE_BYTES) + 1


def frames_for(written: Mapping[tuple[str, str], Stored | None]) -> int:
    """Return how many frames a batch adds to the log, roughly."""
    return 3 + sum(2 if stored is None else 2 + len(stored.data) // PAGE_BYTES for stored in written.values())


class Room:
    """The room of one database, whose files must be there."""

    def __init__(self, database: Path) -> None:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._database = os.open(database, flags)
        try:
            self._log = os.open(database.with_name(f"{database.name}-wal"), flags)
        except BaseException:
            os.close(self._database)
            raise
        self._log_bytes = self.least_log_bytes = 0

    def hold_pages(self, count: int) -> bool:
        """Hold room for a database of `count` pages; False where that can't be done. Raises OSError when it is full."""
        return _hold(self._database, count * PAGE_BYTES)

    def hold_log(self, frames: int, largest: int) -> None:
        """Hold room for a log of `frames`, and for any deletion with an object of `largest` bytes; raises OSError."""
        least = max(self.least_log_bytes, LOG_BYTES + largest + largest // 16)
        size = max(least, _LOG_HEADER_BYTES + frames * _FRAME_BYTES)
        if size > self._log_bytes:
            if size > least:
                size += LOG_BYTES
            _hold(self._log, size)
            self._log_bytes = size
        self.least_log_bytes = least

    @property
    def frames(self) -> int:
        """How many frames the log has room for in its length."""
        return os.fstat(self._log).st_size // _FRAME_BYTES

    @property
    def log_is_large(self) -> bool:
        """Whether the log has more room than a full disk can spare."""
        return max(self._log_bytes, os.fstat(self._log).st_size) > self.least_log_bytes

    def log_was_cut(self) -> None:
        """Hold what deletions need after SQLite has given back the log's room; raises OSError."""
        self._log_bytes = 0
        _hold(self._log, self.least_log_bytes)
        self._log_bytes = self.least_log_bytes

    def end_log(self) -> None:
        """Let the next start find no frames in the log, all of which must be in the database (ROOM-2)."""
        if os.fstat(self._log).st_size:
            os.pwrite(self._log, bytes(_LOG_HEADER_BYTES), 0)
            os.fsync(self._log)

    def close(self) -> None:
        """Close the handles; the room stays."""
        os.close(self._log)
        os.close(self._database)


def _hold(handle: int, size: int) -> bool:
    call = _fallocate()
    if call is None:
        return False
    if call(handle, _KEEP_SIZE, 0, size) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    call.restype = ctypes.c_int
    return call
