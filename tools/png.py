"""Pictures of the page: PNG as the browser makes it, how much is to be seen in a part of it, and smaller PNG."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass

PALETTE_MAX = 256
FREQUENT = 128  # of them
_CHANNELS = {2: 3, 6: 4}  # by the type of colour: RGB, RGBA


@dataclass(frozen=True)
class Picture:
    """Pixels, row by row."""

    width: int
    height: int
    channels: int
    rows: list[bytes]

    def colours(self, left: int, top: int, width: int, height: int) -> int:
        """Return how many different colours a part has."""
        size = self.channels
        found: set[bytes] = set()
        for row in self.rows[top : top + height]:
            part = row[left * size : (left + width) * size]
            found.update(part[at : at + size] for at in range(0, len(part), size))
        return len(found)

    def brightness(self) -> float:
        """Return the mean of all values, from 0 to 255."""
        sample = self.rows[::16]
        return sum(sum(row[::7]) / len(row[::7]) for row in sample) / len(sample)


def small(picture: Picture) -> bytes:
    """Return a PNG of at most 256 colours: the most frequent, and those least like them; others become the nearest."""
    size = picture.channels
    pixels = [row[at : at + 3] for row in picture.rows for at in range(0, len(row), size)]
    counts = Counter(pixels)
    palette = [colour for colour, _ in counts.most_common(FREQUENT)]
    nearest = {colour: min(_distance(colour, each) for each in palette) for colour in counts}
    unlike = sorted(
        counts, key=lambda colour: nearest[colour] * counts[colour], reverse=True
    )  # a sign is small, and matters
    palette += [colour for colour in unlike if nearest[colour]][: PALETTE_MAX - len(palette)]
    number = {colour: at for at, colour in enumerate(palette)}
    for colour in counts:
        if colour not in number:
            number[colour] = min(range(len(palette)), key=lambda at: _distance(colour, palette[at]))
    numbers = bytes(number[pixel] for pixel in pixels)
    lines = (numbers[at : at + picture.width] for at in range(0, len(numbers), picture.width))
    packed = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _distance(one: bytes, other: bytes) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def read(png: bytes) -> Picture:
    """Read a PNG of 8 bits a channel, not interlaced."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, head = 8, b"", b""
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            head = data
        elif kind == b"IDAT":
            packed += data
        at += 12 + length
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", head)
    assert (depth, interlaced) == (8, 0)
    size = _CHANNELS[colour]
    return Picture(width, height, size, _unfiltered(zlib.decompress(packed), width * size, size))


def _unfiltered(data: bytes, length: int, size: int) -> list[bytes]:
    rows: list[bytes] = []
    above = bytes(length)
    for at in range(0, len(data), length + 1):
        row = bytearray(data[at + 1 : at + 1 + length])
        match data[at]:
            case 1:
                for each in range(size, length):
                    row[each] = (row[each] + row[each - size]) & 255
            case 2:
                for each in range(length):
                    row[each] = (row[each] + above[each]) & 255
            case 3:
                for each in range(length):
                    left = row[each - size] if each >= size else 0
                    row[each] = (row[each] + (left + above[each]) // 2) & 255
            case 4:
                for each in range(length):
                    left, corner = (row[each - size], above[each - size]) if each >= size else (0, 0)
                    row[each] = (row[each] + _nearest(left, above[each], corner)) & 255
        above = bytes(row)
        rows.append(above)
    return rows


def _nearest(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    to_left, to_above, to_corner = abs(guess - left), abs(guess - above), abs(guess - corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner
