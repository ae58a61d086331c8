"""The file ``reserve``: room on the disk that is kept back, so that objects can be deleted when the disk is full.

RESERVE-1  A full disk leaves room for the small files beside the database, without which nothing can be deleted: it is
           given up for them, and for deletions where the log has no room (ROOM-1).
RESERVE-2  What is left of it is held again at once, all of it as soon as there is room. Writes that grow are taken
           again when there is room for it and as much again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pvbinder.server.files.private_files import create_private
from pvbinder.server.store.state import Stored

FILE_NAME = "reserve"
RESERVE_BYTES = 256 << 10
_BYTES_MIN = 4 << 10


class Reserve:
    """The reserve of one data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / FILE_NAME
        try:
            self.is_held = self._path.stat().st_size >= RESERVE_BYTES
        except OSError:
            self.is_held = False

    def take(self) -> bool:
        """Hold the reserve, if there is room for it and as much again (RESERVE-2); returns whether that is so."""
        if self.is_held:
            return True
        try:
            disk = os.statvfs(self._directory)
            if disk.f_bavail * disk.f_frsize + self.size < 2 * RESERVE_BYTES:
                return False
            self._grow(2 * RESERVE_BYTES, keep=RESERVE_BYTES)  # a quota says no here only
        except OSError:
            self.hold()
            return False
        self.is_held = True
        return True

    def hold(self) -> None:
        """Hold as much of it as there is room for, without a word on whether there is more."""
        size = RESERVE_BYTES
        while size >= _BYTES_MIN and size > self.size:
            with suppress(OSError):
                self._grow(size, keep=size)
            size //= 2

    def _grow(self, size: int, *, keep: int) -> None:
        """Let the file have `size` bytes for a moment, and then `keep`; raises OSError, and it is as it was."""
        try:
            handle = create_private(self._path)
        except FileExistsError:
            handle = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            before = os.fstat(handle).st_size
            try:
                os.posix_fallocate(handle, 0, size)
            except OSError:
                os.ftruncate(handle, before)
                raise
            os.ftruncate(handle, keep)
        finally:
            os.close(handle)

    def doubt(self) -> None:
        """Ask the disk again before it is said to have room; the present reserve stays."""
        self.is_held = False

    @property
    def size(self) -> int:
        """How much of it is held."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def give_up(self) -> None:
        """Give the room back to the disk (RESERVE-1)."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.is_held = False


def makes_room(where: tuple[str, str], stored: Stored | None, replaced: Mapping[tuple[str, str], Stored]) -> bool:
    """Whether a write is one that a full disk takes: of what is deleted or being deleted, or not larger than before."""
    before = replaced.get(where)
    if stored is None or before is None:
        return stored is None
    return len(stored.data) <= len(before.data) or b'"deletionTimestamp":"' in stored.data
