"""The bytes of one source, read at any place: a file that may be as large as it likes, or what a pipe gave.

CONTENT-1  No file is mapped into memory: one that is cut off while it is read gives fewer bytes, not a signal.
"""

from __future__ import annotations

import os
from typing import Protocol


class SourceContent(Protocol):
    """Bytes with a name for error messages."""

    @property
    def name(self) -> str:
        """The name that the user gave it."""
        ...

    @property
    def size(self) -> int:
        """The number of bytes now."""
        ...

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; fewer where it ends."""
        ...


class FileContent:
    """A regular file that is open; whoever opened it closes it."""

    def __init__(self, name: str, opened: int) -> None:
        self.name = name
        self._opened = opened

    @property
    def size(self) -> int:
        """The number of bytes now: a database that somebody writes grows."""
        return os.fstat(self._opened).st_size

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on (CONTENT-1)."""
        first = os.pread(self._opened, length, offset)
        if len(first) == length or not first:
            return first
        parts = [first]  # the system may give less than is there
        while (missing := length - sum(map(len, parts))) and (
            part := os.pread(self._opened, missing, offset + length - missing)
        ):
            parts.append(part)
        return b"".join(parts)


class MemoryContent:
    """Bytes that are in memory already."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._data = data

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._data)

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on."""
        return self._data[offset : offset + length]
