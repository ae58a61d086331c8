"""The rows that are on the pages of a SQLite file, whether or not the tree above still leads to them.

A page that was lost, or is another's, takes with it all that SQLite would reach through it. The rows of the other pages
are still there, each with its checksum: here they are read page by page. Pages that were given up hold rows of earlier
times, so what is found here is a state that an object had, not the one that it has: the newest of all counts, and the
list of acknowledged writes (`acknowledged.py`) says whether that is the last one.

Format: https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pvbinder.server.store.checksums import checksum_of, checksum_of_totals
from pvbinder.server.store.log_file import Frame
from pvbinder.server.store.state import Stored

PAGE_BYTES = 4096
_INTERIOR, _LEAF = 2, 10  # of a table without row numbers, as ours is
_LOCAL_BYTES_MAX = (PAGE_BYTES - 12) * 64 // 255 - 23
_LOCAL_BYTES_MIN = (PAGE_BYTES - 12) * 32 // 255 - 23
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}


class Row(NamedTuple):
    """A row as it was found; `is_sound` if it has the checksum that it was written with."""

    kind: str
    key: str
    stored: Stored
    is_sound: bool


def with_frames(database: bytes, frames: Iterable[Frame]) -> bytes:
    """Return the file as it is with `frames` of its log applied, which then needs no log."""
    image = bytearray(database)
    for frame in frames:
        end = frame.page * PAGE_BYTES
        if len(frame.data) == PAGE_BYTES and frame.page < 1 << 24:
            image.extend(bytes(max(0, end - len(image))))
            image[end - PAGE_BYTES : end] = frame.data
    image.extend(bytes(-len(image) % PAGE_BYTES))
    if image:
        image[18:20] = b"\x01\x01"
        image[28:32] = (len(image) // PAGE_BYTES).to_bytes(4, "big")
    return bytes(image)


def rows_in(image: bytes, identity: str) -> Iterator[Row]:
    """Give every row on every page of the file, which is one of the directory with this `identity`."""
    for start in range(0, len(image) - PAGE_BYTES + 1, PAGE_BYTES):
        header = start + (100 if start == 0 else 0)
        kind = image[header]
        if kind not in (_INTERIOR, _LEAF):
            continue
        (count,) = struct.unpack_from(">H", image, header + 3)
        cells = header + (12 if kind == _INTERIOR else 8)
        if cells + 2 * count > start + PAGE_BYTES:
            continue
        for (offset,) in struct.iter_unpack(">H", image[cells : cells + 2 * count]):
            at = start + offset + (4 if kind == _INTERIOR else 0)
            try:
                row = _row(_payload(image, at, start + PAGE_BYTES), identity)
            except (ValueError, IndexError, struct.error):
                continue  # damaged beyond its name
            if row is not None:
                yield row


def _payload(image: bytes, at: int, end: int) -> bytes:
    length, at = _varint(image, at)
    if length <= _LOCAL_BYTES_MAX:
        if at + length > end:
            raise ValueError
        return image[at : at + length]
    local = _LOCAL_BYTES_MIN + (length - _LOCAL_BYTES_MIN) % (PAGE_BYTES - 4)
    if local > _LOCAL_BYTES_MAX:
        local = _LOCAL_BYTES_MIN
    if at + local + 4 > end or length > len(image):
        raise ValueError
    parts, left = [image[at : at + local]], length - local
    (page,) = struct.unpack_from(">I", image, at + local)
    while left:
        start = (page - 1) * PAGE_BYTES
        if not 0 < start <= len(image) - PAGE_BYTES:
            parts.append(bytes(left))  # the name is before it: the row is known, and not sound
            break
        (page,) = struct.unpack_from(">I", image, start)
        part = image[start + 4 : start + min(PAGE_BYTES, left + 4)]
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _row(record: bytes, identity: str) -> Row | None:
    head, at = _varint(record, 0)
    types = []
    while at < head:
        found, at = _varint(record, at)
        types.append(found)
    if len(types) != 5 or types[0] % 2 == 0 or types[1] % 2 == 0 or min(types[0], types[1]) < 13:
        return None
    if types[3] < 12 or types[3] % 2 or types[2] not in _INTEGER_BYTES or types[4] not in _INTEGER_BYTES:
        return None
    values = []
    for found in types:
        size = _INTEGER_BYTES[found] if found < 12 else (found - 12) // 2
        values.append((found, record[at : at + size]))
        at += size
    kind, key = values[0][1].decode(), values[1][1].decode()
    stored = Stored(_integer(*values[2]), values[3][1])
    meant = checksum_of(kind, key, stored) if kind else checksum_of_totals(stored, identity)
    return Row(kind, key, stored, meant == _integer(*values[4]))


def _integer(kind: int, data: bytes) -> int:
    return kind - 8 if kind in (8, 9) else int.from_bytes(data, "big", signed=True)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1
