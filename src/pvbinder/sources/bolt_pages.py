"""The pages of a bbolt file, each checked as it is read: meta pages, branches, leaves, and the parts of each.

PAGES-1  A page has its own number, a known type, an end within the file, and parts that lie within it.
PAGES-2  Reading costs what is there: no part of a page counts twice, so that a small file can't pretend to be large.

The format is that of bbolt 1.3 and 1.4 (version 2): a header of 16 bytes before each page; meta pages 0 and 1; branches
with the first key of each child; leaves with keys and values, or with buckets, small ones inline. Numbers have the byte
order of the machine that wrote them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pvbinder.sources.content import SourceContent
from pvbinder.sources.errors import DumpFileError

MAGIC: Final = 0xED0CDAED
VERSION: Final = 2
PAGE_SIZES: Final = tuple(1 << bits for bits in range(9, 17))
PAGE_BYTES_MAX: Final = 128 << 20  # a page with its overflow; etcd refuses values over 1.5 MiB, or 10 MiB if told to
_HEADER: Final = 16
_META_BYTES: Final = 64
_ELEMENT: Final = 16
_BUCKET_BYTES: Final = 16
_BRANCH, _LEAF = 1, 2
_IS_BUCKET: Final = 1


class BoltError(DumpFileError):
    """The file is damaged, or cut off, or was written too fast while it was read."""


@dataclass(frozen=True, slots=True)
class Meta:
    """A meta page: which transaction wrote it, and where its tree begins."""

    order: str  # of bytes, as struct has it
    page_bytes: int
    root: int
    pages: int  # the number of the first page that was never used
    transaction: int


@dataclass(frozen=True, slots=True)
class BoltPage:
    """A branch or a leaf, with its overflow."""

    name: str
    order: str
    is_leaf: bool
    count: int
    data: bytes

    def children(self) -> list[tuple[bytes, int]]:
        """Return the first key and the number of each child of a branch."""
        found = []
        at = _HEADER
        for place, key_bytes, child in struct.iter_unpack(f"{self.order}IIQ", self._elements()):
            start = at + place
            found.append((self._part(start, key_bytes), child))
            at += _ELEMENT
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the keys and values of a leaf; what is a bucket is passed over."""
        return ((key, value) for is_bucket, key, value in self._leaf() if not is_bucket)

    def buckets(self) -> dict[bytes, bytes]:
        """Return the buckets of a leaf: where each begins, and the page of an inline one."""
        return {key: value for is_bucket, key, value in self._leaf() if is_bucket}

    def _leaf(self) -> Iterator[tuple[bool, bytes, bytes]]:
        data, end = self.data, len(self.data)
        at, left = _HEADER, end
        for flags, place, key_bytes, value_bytes in struct.iter_unpack(f"{self.order}IIII", self._elements()):
            start = at + place
            middle = start + key_bytes
            stop = middle + value_bytes
            left -= key_bytes + value_bytes
            if stop > end or left < 0:
                raise BoltError(f"{self.name} is damaged: a leaf has an item beyond its end")
            yield bool(flags & _IS_BUCKET), data[start:middle], data[middle:stop]
            at += _ELEMENT

    def _elements(self) -> bytes:
        return self.data[_HEADER : _HEADER + self.count * _ELEMENT]

    def _part(self, start: int, length: int) -> bytes:
        if start + length > len(self.data):
            raise BoltError(f"{self.name} is damaged: a branch has a key beyond its end")
        return self.data[start : start + length]


def has_magic(head: bytes) -> bool:
    """Tell whether a page that begins with `head` is a meta page."""
    return head[_HEADER : _HEADER + 4] in (MAGIC.to_bytes(4, "little"), MAGIC.to_bytes(4, "big"))


def read_meta(content: SourceContent, place: int) -> Meta | None:
    """Return the valid meta page at `place`, if there is one."""
    data = content.at(place, _HEADER + _META_BYTES)
    if len(data) < _HEADER + _META_BYTES or not has_magic(data):
        return None
    order = "<" if data[_HEADER : _HEADER + 4] == MAGIC.to_bytes(4, "little") else ">"
    body = data[_HEADER:]
    _, version, page_bytes, _, root, _, _, pages, transaction, checksum = struct.unpack(f"{order}IIIIQQQQQQ", body)
    is_valid = version == VERSION and page_bytes in PAGE_SIZES and place in (0, page_bytes)
    return Meta(order, page_bytes, root, pages, transaction) if is_valid and checksum == fnv(body[:-8]) else None


def read_page(content: SourceContent, meta: Meta, number: int) -> BoltPage:
    """Return the branch or leaf at page `number`, or raise `BoltError` (PAGES-1)."""
    if not 2 <= number < meta.pages:
        raise _damaged(content, number, "isn't in the file")
    place = number * meta.page_bytes
    data = content.at(place, meta.page_bytes)
    if len(data) < meta.page_bytes:
        raise _damaged(content, number, "is cut off")
    itself, flags, count, overflow = struct.unpack_from(f"{meta.order}QHHI", data)
    if itself != number or flags not in (_BRANCH, _LEAF):
        raise _damaged(content, number, "is no branch and no leaf of its number")
    length = (overflow + 1) * meta.page_bytes
    if number + overflow >= meta.pages or length > PAGE_BYTES_MAX:
        raise _damaged(content, number, "has no end in the file")
    if overflow:
        data += content.at(place + meta.page_bytes, length - meta.page_bytes)
    if len(data) < length or _HEADER + count * _ELEMENT > length:
        raise _damaged(content, number, "is cut off")
    return BoltPage(content.name, meta.order, flags == _LEAF, count, data)


def inline_page(content: SourceContent, meta: Meta, bucket: bytes) -> BoltPage:
    """Return the page that a small bucket has instead of a root."""
    data = bucket[_BUCKET_BYTES:]
    if len(data) < _HEADER:
        raise BoltError(f"{content.name} is damaged: a bucket within a leaf is cut off")
    _, flags, count, _ = struct.unpack_from(f"{meta.order}QHHI", data)
    if flags != _LEAF or _HEADER + count * _ELEMENT > len(data):
        raise BoltError(f"{content.name} is damaged: a bucket within a leaf has no leaf in it")
    return BoltPage(content.name, meta.order, True, count, data)


def root_of(content: SourceContent, meta: Meta, bucket: bytes) -> int:
    """Return the page at which a bucket begins; 0 for one that is inline."""
    if len(bucket) < _BUCKET_BYTES:
        raise BoltError(f"{content.name} is damaged: a bucket has no root")
    root: int = struct.unpack_from(f"{meta.order}Q", bucket)[0]
    return root


def fnv(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash, the checksum of a meta page."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _damaged(content: SourceContent, number: int, how: str) -> BoltError:
    return BoltError(f"{content.name} is damaged: page {number} {how}")
