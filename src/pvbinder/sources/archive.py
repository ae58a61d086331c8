"""Archives: tar, as it is or compressed with gzip, read from beginning to end and never unpacked onto the disk.

ARCHIVE-1  Only regular files are given. A link, a device or a directory is none: a link is given without content, so
           that it can be named; nothing follows it.
ARCHIVE-2  A path that leads out of the archive is refused, with the archive.
ARCHIVE-3  Bombs are refused: bytes in all, bytes a file, bytes for each compressed one, files, headers and their length
           are bounded. Memory holds one file.
ARCHIVE-4  An archive that is cut off or damaged ends in a `DumpFileError`, also at its very end.

Names come as ustar, GNU tar (``L``) and pax (``path``) write them. Sparse files aren't read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pvbinder.sources.content import SourceContent
from pvbinder.sources.errors import DumpFileError

BLOCK: Final = 512
GZIP: Final = b"\x1f\x8b"
ALL_BYTES_MAX: Final = 16 << 30
FILE_BYTES_MAX: Final = 512 << 20
FILES_MAX: Final = 500_000
HEADER_BYTES_MAX: Final = 1 << 20  # of the long names before a file
LEVELS_MAX: Final = 64
RATIO_MAX: Final = 250  # zlib's own limit is about 1030; text has 5 to 30
RATIO_BYTES_FREE: Final = 128 << 20
_READ_BYTES: Final = 256 << 10
_REGULAR: Final = (b"0", b"\0", b"7")
_LINKS: Final = (b"1", b"2")
_NAMES: Final = (b"L", b"x")
_SKIPPED: Final = (b"g", b"K")  # headers for all files, and names of links' targets


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive; `read` gives its content until the next one is asked for, None what is a link."""

    path: PurePosixPath
    size: int
    read: Callable[[], bytes] | None


class ArchiveStream:
    """The bytes of a source from beginning to end, uncompressed where they are compressed (ARCHIVE-3)."""

    def __init__(self, content: SourceContent) -> None:
        self.name = content.name
        self._content = content
        self._at = self.taken = 0
        self._waiting = bytearray()
        self._is_gzip = content.at(0, 2) == GZIP
        self._inflate = zlib.decompressobj(31)

    def take(self, length: int) -> bytes:
        """Return the next `length` bytes; fewer at the end."""
        while len(self._waiting) < length and (part := self._part()):
            self._waiting += part
        found = bytes(self._waiting[:length])
        del self._waiting[:length]
        return found

    def skip(self, length: int) -> int:
        """Pass over the next bytes and return how many there were."""
        left = length
        while left and (part := self.take(min(left, _READ_BYTES))):
            left -= len(part)
        return length - left

    def _part(self) -> bytes:
        part = self._inflated() if self._is_gzip else self._raw()
        self.taken += len(part)
        if self.taken > ALL_BYTES_MAX:
            raise DumpFileError(f"{self.name} has more than {ALL_BYTES_MAX >> 30} GiB in it")
        if self._is_gzip and self.taken > max(RATIO_BYTES_FREE, RATIO_MAX * self._at):
            raise DumpFileError(f"{self.name} is refused: a byte of it stands for more than {RATIO_MAX}")
        return part

    def _raw(self) -> bytes:
        part = self._content.at(self._at, _READ_BYTES)
        self._at += len(part)
        return part

    def _inflated(self) -> bytes:
        try:
            while True:
                if self._inflate.eof:  # gzip allows several streams after each other
                    rest = self._inflate.unused_data or self._raw()
                    if not rest.strip(b"\0"):
                        return b""
                    self._inflate = zlib.decompressobj(31)
                else:
                    rest = self._inflate.unconsumed_tail or self._raw()
                    if not rest:
                        raise DumpFileError(f"{self.name} is cut off: its compressed content doesn't end")
                if part := self._inflate.decompress(rest, _READ_BYTES):
                    return part
        except zlib.error as error:
            raise DumpFileError(f"{self.name} is damaged: {error}") from error


def is_tar(head: bytes) -> bool:
    """Tell whether the first block of something is the header of a file in a tar archive."""
    return len(head) == BLOCK and head[0] != 0 and _checksum_is_right(head)


def members(stream: ArchiveStream) -> Iterator[Member]:
    """Yield the files of a tar archive (ARCHIVE-1 to 4)."""
    count = 0
    name: str | None = None
    while True:
        head = stream.take(BLOCK)
        if len(head) < BLOCK:
            raise DumpFileError(f"{stream.name} is cut off: its archive doesn't end")
        if not head.strip(b"\0"):
            stream.skip(ALL_BYTES_MAX)  # to the end: a compressed archive has a checksum there
            return
        if not _checksum_is_right(head):
            raise DumpFileError(f"{stream.name} is damaged: the header of a file is wrong after {stream.taken} bytes")
        count += 1
        if count > FILES_MAX:
            raise DumpFileError(f"{stream.name} has more than {FILES_MAX} files in it")
        size, type_ = _number(stream.name, head[124:136]), head[156:157]
        padded = -(-size // BLOCK) * BLOCK
        if type_ in _NAMES:
            name = _long_name(stream, type_, size, padded) or name
            continue
        path = _path(stream.name, name if name is not None else _short_name(head))
        name = None
        if type_ in _SKIPPED or type_ not in (*_REGULAR, *_LINKS):
            _skip(stream, padded if type_ not in (b"3", b"4", b"5", b"6") else 0)
            continue
        if type_ in _LINKS:
            yield Member(path, 0, None)
            continue
        yield from _file(stream, path, size, padded)


def _file(stream: ArchiveStream, path: PurePosixPath, size: int, padded: int) -> Iterator[Member]:
    is_read = False

    def read() -> bytes:
        nonlocal is_read
        if size > FILE_BYTES_MAX:
            raise DumpFileError(f"{path} in {stream.name} is larger than {FILE_BYTES_MAX >> 20} MiB")
        data = stream.take(padded)
        if len(data) < padded:
            raise DumpFileError(f"{stream.name} is cut off, in {path}")
        is_read = True
        return data[:size]

    yield Member(path, size, read)
    if not is_read:
        _skip(stream, padded)


def _skip(stream: ArchiveStream, length: int) -> None:
    if stream.skip(length) < length:
        raise DumpFileError(f"{stream.name} is cut off: its archive doesn't end")


def _checksum_is_right(head: bytes) -> bool:
    field = head[148:156].strip(b"\0 ")
    if not field or field.strip(b"01234567"):
        return False
    return int(field, 8) == sum(head[:148]) + sum(head[156:]) + 8 * 0x20


def _number(name: str, field: bytes) -> int:
    if field[0] & 0x80:  # GNU tar's form for large files
        return int.from_bytes(field, "big") & ((1 << 94) - 1)
    digits = field.strip(b"\0 ")
    if digits.strip(b"01234567"):
        raise DumpFileError(f"{name} is damaged: the size of a file in it is no number")
    return int(digits or b"0", 8)


def _short_name(head: bytes) -> str:
    before = head[345:500].partition(b"\0")[0] if head[257:262] == b"ustar" and head[262:263] == b"\0" else b""
    return b"/".join(part for part in (before, head[:100].partition(b"\0")[0]) if part).decode(errors="replace")


def _long_name(stream: ArchiveStream, type_: bytes, size: int, padded: int) -> str | None:
    if size > HEADER_BYTES_MAX:
        raise DumpFileError(f"{stream.name} is refused: the name of a file in it has {size} bytes")
    data = stream.take(padded)
    if len(data) < padded:
        raise DumpFileError(f"{stream.name} is cut off: its archive doesn't end")
    if type_ == b"L":
        return data[:size].partition(b"\0")[0].decode(errors="replace")
    at = 0
    found = None
    while at < size:  # records: their length in decimal, a space, key=value, a line feed
        number, _, _ = data[at : at + 20].partition(b" ")
        if not number.isdigit() or not 0 < int(number) <= size - at:
            raise DumpFileError(f"{stream.name} is damaged: a header of a file in it is no pax header")
        key, _, value = data[at + len(number) + 1 : at + int(number) - 1].partition(b"=")
        found = value.decode(errors="replace") if key == b"path" else found
        at += int(number)
    return found


def _path(name: str, text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\0" in text:
        raise DumpFileError(f"{name} is refused: a file in it would be outside of it ({text})")
    if len(path.parts) > LEVELS_MAX:
        raise DumpFileError(f"{name} is refused: a file in it is {len(path.parts)} directories deep")
    return path
