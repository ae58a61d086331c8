"""The file ``reserve``: room on the disk that is kept back, so that objects can be deleted when the disk is full.

RESERVE-1  While it is held, a full disk leaves room for deletions: it is given up for them, and for the kubeconfig.
RESERVE-2  It is taken again by itself when there is room for it and as much again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pvbinder.server.private_files import create_private
from pvbinder.server.store.state import Stored

FILE_NAME = "reserve"
RESERVE_BYTES = 256 << 10


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
        """Hold the reserve, if there is room for it (RESERVE-2); returns whether it is held."""
        if self.is_held:
            return True
        try:
            disk = os.statvfs(self._directory)
            if disk.f_bavail * disk.f_frsize < 2 * RESERVE_BYTES:
                return False
            self._path.unlink(missing_ok=True)
            handle = create_private(self._path)
            try:
                os.posix_fallocate(handle, 0, RESERVE_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()
            return False
        self.is_held = True
        return True

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
