"""SQLite's write-ahead log as bytes: which of its frames are sound, and whether acknowledged ones are lost.

SQLite stops reading the log at the first frame that is not what was written, without a word. After a crash that is
right: a torn end is a commit that nobody was told of. But a frame that is damaged further up takes all later commits
with it, and those were acknowledged. Two things tell the one from the other:

- the ``-shm`` file, which survives ``kill -9``, counts the frames that were committed and synced;
- where that is of no use, as after a power cut: a commit is synced before the next one is written, so at most the last
  commit of the log can be torn.

LOG_FILE-1  A torn end counts as nothing lost; a damaged or missing frame of an acknowledged commit counts as lost.

Formats: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_SHARED_HEADER_BYTES = 48


@dataclass(frozen=True, slots=True)
class Frame:
    """A page as it was written at one time; `ends_commit` if a commit ends with it."""

    page: int
    data: bytes
    ends_commit: bool
    is_sound: bool


@dataclass(frozen=True, slots=True)
class LogFile:
    """The content of a log: its frames, and how many of them come in sound commits before anything that isn't sound."""

    page_size: int
    frames: list[Frame]
    usable: int
    lost: bool


def read_log(database: Path) -> LogFile:
    """Read the log of `database`, and say whether acknowledged commits are lost in it (LOG_FILE-1)."""
    log, shared = _bytes_of(database, "-wal"), _bytes_of(database, "-shm")
    header = log[:_HEADER_BYTES]
    if not _is_header(header):
        # A shared header of commits that aren't in the database yet belongs to a log that was there.
        committed = _committed(shared, None)
        return LogFile(0, [], 0, lost=bool(committed))
    (page_size,) = struct.unpack_from(">I", header, 8)
    frames = list(_frames(log, header, page_size))
    usable, sound = 0, 0
    for sound, frame in enumerate(frames, 1):
        if not frame.is_sound:
            sound -= 1
            break
        if frame.ends_commit:
            usable = sound
    committed = _committed(shared, header[16:24])
    lost = committed > usable if committed is not None else sum(frame.ends_commit for frame in frames[sound:]) > 1
    return LogFile(page_size, frames, usable, lost)


def _bytes_of(database: Path, suffix: str) -> bytes:
    try:
        return database.with_name(database.name + suffix).read_bytes()
    except FileNotFoundError:
        return b""


def _is_header(header: bytes) -> bool:
    if len(header) < _HEADER_BYTES:
        return False
    (magic,) = struct.unpack_from(">I", header)
    if magic not in (0x377F0682, 0x377F0683):
        return False
    return _checksum((0, 0), header[:24], _words(header)) == struct.unpack_from(">II", header, 24)


def _words(header: bytes) -> str:
    return ">" if header[3] & 1 else "<"  # the byte order in which checksums read their words


def _frames(log: bytes, header: bytes, page_size: int) -> Iterator[Frame]:
    """Give the frames of this generation of the log, each checked with the checksum that the one before it states."""
    order = _words(header)
    before: tuple[int, int] = struct.unpack_from(">II", header, 24)
    size = _FRAME_HEADER_BYTES + page_size
    for start in range(_HEADER_BYTES, len(log) - size + 1, size):
        page, pages, *_ = struct.unpack_from(">II", log, start)
        stated: tuple[int, int] = struct.unpack_from(">II", log, start + 16)
        is_ours = log[start + 8 : start + 16] == header[16:24]
        data = log[start + _FRAME_HEADER_BYTES : start + size]
        is_sound = is_ours and _checksum(_checksum(before, log[start : start + 8], order), data, order) == stated
        if not is_ours and _is_older_generation(log, start, size, header):
            return
        yield Frame(page, data, ends_commit=is_ours and pages > 0, is_sound=is_sound)
        before = stated


def _is_older_generation(log: bytes, start: int, size: int, header: bytes) -> bool:
    """Whether nothing of this generation comes after `start`: the rest is from before the log began anew."""
    return all(log[at + 8 : at + 16] != header[16:24] for at in range(start, len(log) - size + 1, size))


def _checksum(seed: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _committed(shared: bytes, salts: bytes | None) -> int | None:
    """Return how many frames were committed and synced, 0 if all of them are in the database, None if it isn't known.

    The file holds its header twice, and is not trusted unless both agree. One with other `salts` is of another time.
    """
    header = shared[:_SHARED_HEADER_BYTES]
    if len(shared) < 100 or header != shared[_SHARED_HEADER_BYTES : 2 * _SHARED_HEADER_BYTES] or not any(header):
        return None
    if _checksum((0, 0), header[:40], "=") != struct.unpack_from("=II", header, 40):
        return None
    committed: int = struct.unpack_from("=I", header, 16)[0]
    in_database: int = struct.unpack_from("=I", shared, 96)[0]
    if salts is not None:
        return committed if header[32:40] == salts else None
    return committed if in_database < committed else 0
