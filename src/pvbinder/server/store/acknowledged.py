"""The file ``acknowledged``: the writes that were acknowledged since the last good copy, by name and revision.

ACKNOWLEDGED-1  After ``kill -9`` it names every acknowledged write since its beginning. So a database that lost some is
                recognised, though it is sound in itself, and which objects are older, gone or back is known by name.
ACKNOWLEDGED-2  It never claims too much: a torn end, a damaged line or a power cut cost what they held, no more; that a
                line in the middle is missing is noticed.
ACKNOWLEDGED-3  It stops no write: a write that can't be noted is noted with a later one.

It lies beside the database, so that one damage doesn't take both, and has no data of objects. A line is a checksum and
JSON: its number, and of each write of a batch the revision, kind and key, and a 0 for a deletion. It is written after
the commit and before the answer, and synced only when it begins: after a power cut its last seconds may be missing, and
then it says less.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from pvbinder.server.files.private_files import replacing

FILE_NAME = "acknowledged"
_TITLE = "pvbinder acknowledged writes 1"
_PENDING_BYTES_MAX = 16 << 20


class Noted(NamedTuple):
    """The last acknowledged write of an object."""

    revision: int
    deleted: bool


@dataclass(slots=True)
class Acknowledged:
    """The content of a file: of which data directory, since which revision, and the newest write of each object."""

    identity: str
    since: int
    revision: int
    newest: dict[tuple[str, str], Noted] = field(default_factory=dict)
    is_whole: bool = True  # no line in its middle is damaged or missing
    lines: int = 0
    size: int = 0


def read_acknowledged(directory: Path) -> Acknowledged | None:
    """Return what the file says; None if there is none, or its beginning can't be read (ACKNOWLEDGED-2)."""
    try:
        raw = (directory / FILE_NAME).read_bytes()
    except OSError:
        return None
    first, end, _ = raw.partition(b"\n")
    head = _decoded(first)
    if not end or head is None or len(head) != 3 or head[0] != _TITLE:
        return None
    _, identity, since = head
    if not isinstance(identity, str) or not isinstance(since, int):
        return None
    found = Acknowledged(identity, since, since, size=len(first) + 1)
    at, damaged = found.size, False
    for line in raw[found.size :].split(b"\n"):
        at += len(line) + 1
        values = _decoded(line)
        if values is None or len(values) != 2:
            damaged = damaged or bool(line)
            continue
        number, writes = values
        found.is_whole = found.is_whole and not damaged and number == found.lines + 1
        found.lines, found.size, damaged = number, at, False
        for revision, kind, key, *deleted in writes:
            found.revision = max(found.revision, revision)
            before = found.newest.get((kind, key))
            if before is None or before.revision < revision:
                found.newest[kind, key] = Noted(revision, bool(deleted))
    return found


def begin(directory: Path, identity: str, since: int) -> None:
    """Begin the file anew, durably; raises OSError."""
    with replacing(directory / FILE_NAME) as file:
        file.write(_encoded([_TITLE, identity, since]))


class AcknowledgedWriter:
    """Notes writes. For one thread at a time."""

    def __init__(self, directory: Path, known: Acknowledged) -> None:
        self._directory = directory
        self._identity = known.identity
        self._handle = _open(directory)
        self._lines = known.lines
        self.size = known.size  # the rest is a torn end, and is written over
        self._pending = b""

    def note(self, written: Mapping[tuple[str, str], int | None], revision: int) -> None:
        """Note a batch: per kind and key the revision of the object, None for none (ACKNOWLEDGED-3)."""
        self._lines += 1
        writes = [(revision, *where, 0) if at is None else (at, *where) for where, at in written.items()]
        self._pending += _encoded([self._lines, writes])
        self.catch_up()

    @property
    def is_behind(self) -> bool:
        """Whether something waits for room on the disk."""
        return bool(self._pending)

    def catch_up(self) -> None:
        """Write what was noted and is not in the file yet, as far as there is room."""
        try:
            while self._pending:
                count = os.pwrite(self._handle, self._pending, self.size)
                self.size += count
                self._pending = self._pending[count:]
        except OSError:
            if len(self._pending) > _PENDING_BYTES_MAX:  # a gap in the numbers then says that some are missing
                self._pending = b""

    def forget(self, revision: int) -> None:
        """Begin anew with the notes after `revision`, at which there is a copy now; raises OSError."""
        known = read_acknowledged(self._directory)
        if known is None or known.since >= revision or self._pending:
            return
        later = sorted((noted, where) for where, noted in known.newest.items() if noted.revision > revision)
        writes = [(noted.revision, *where, 0) if noted.deleted else (noted.revision, *where) for noted, where in later]
        data = _encoded([_TITLE, self._identity, revision]) + (_encoded([1, writes]) if writes else b"")
        with replacing(self._directory / FILE_NAME) as file:
            file.write(data)
        handle = _open(self._directory)
        os.close(self._handle)
        self._handle, self._lines, self.size = handle, int(bool(writes)), len(data)

    def close(self) -> None:
        """Make it durable as far as the disk lets us."""
        with suppress(OSError):
            os.ftruncate(self._handle, self.size)
            os.fsync(self._handle)
        os.close(self._handle)


def _open(directory: Path) -> int:
    return os.open(directory / FILE_NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)


def _encoded(values: list[object]) -> bytes:
    text = msgspec.json.encode(values)
    return b"%08x %s\n" % (crc32(text), text)


def _decoded(line: bytes) -> list[Any] | None:
    stated, _, text = line.partition(b" ")
    try:
        if int(stated, 16) != crc32(text):
            return None
        return msgspec.json.decode(text, type=list)
    except (ValueError, msgspec.DecodeError):
        return None
