"""Databases of bbolt for tests, written page by page: any page size, byte order, depth, overflow and inline bucket."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pvbinder.sources.bolt_pages import MAGIC, VERSION, fnv

Items = dict[bytes, bytes]
BRANCH, LEAF, META, FREELIST = 1, 2, 4, 16


@dataclass
class BoltWriter:
    """Lays out pages; `page_bytes` and `order` are those of the machine that is pretended."""

    page_bytes: int = 4096
    order: str = "<"
    transaction: int = 7
    per_page_max: int = 1000  # items of a leaf and children of a branch: small for deep trees
    _pages: dict[int, bytes] = field(default_factory=dict)
    _next: int = 3  # after the meta pages and the list of free ones

    def file(self, buckets: dict[bytes, Items]) -> bytes:
        """Return a database with `buckets`; a bucket that fits into a quarter of a page is inline, as in bbolt."""
        root = self._tree([(1, name, self._bucket(items)) for name, items in sorted(buckets.items())])
        self._pages[2] = struct.pack(f"{self.order}QHHI", 2, FREELIST, 0, 0)
        metas = [self.meta(number, root) for number in (0, 1)]
        data = bytearray(self._next * self.page_bytes)
        for number, page in [*enumerate(metas), *self._pages.items()]:
            data[number * self.page_bytes : number * self.page_bytes + len(page)] = page
        return bytes(data)

    def meta(self, number: int, root: int) -> bytes:
        """Return meta page 0 or 1: transactions take turns, so the older one is of the transaction before."""
        transaction = self.transaction - (self.transaction % 2 != number)
        body = struct.pack(
            f"{self.order}IIIIQQQQQ", MAGIC, VERSION, self.page_bytes, 0, root, 0, 2, self._next, transaction
        )
        return struct.pack(f"{self.order}QHHI", number, META, 0, 0) + body + struct.pack(f"{self.order}Q", fnv(body))

    def _bucket(self, items: Items) -> bytes:
        elements = [(0, key, value) for key, value in sorted(items.items())]
        if 16 + sum(16 + len(key) + len(value) for _, key, value in elements) <= self.page_bytes // 4:
            return struct.pack(f"{self.order}QQ", 0, 0) + self._leaf(0, elements)
        return struct.pack(f"{self.order}QQ", self._tree(elements), 0)

    def _tree(self, elements: list[tuple[int, bytes, bytes]]) -> int:
        level: list[tuple[bytes, int]] = []
        group: list[tuple[int, bytes, bytes]] = []
        taken = 16
        for element in elements:
            length = 16 + len(element[1]) + len(element[2])
            if group and (taken + length > self.page_bytes or len(group) >= self.per_page_max):
                level.append((group[0][1], self._add(self._leaf, group)))
                group, taken = [], 16
            group.append(element)
            taken += length
        level.append((group[0][1] if group else b"", self._add(self._leaf, group)))
        while len(level) > 1:
            width = min(self.per_page_max, (self.page_bytes - 16) // (16 + max(len(key) for key, _ in level)))
            parts = [level[at : at + width] for at in range(0, len(level), width)]
            level = [(part[0][0], self._add(self._branch, part)) for part in parts]
        return level[0][1]

    def _add(self, page: object, parts: list) -> int:  # type: ignore[type-arg]
        number = self._next
        data: bytes = page(number, parts)  # type: ignore[operator]
        self._pages[number] = data
        self._next += -(-len(data) // self.page_bytes)
        return number

    def _leaf(self, number: int, elements: list[tuple[int, bytes, bytes]]) -> bytes:
        heads, body = b"", b""
        for at, (flags, key, value) in enumerate(elements):
            place = 16 * (len(elements) - at) + len(body)
            heads += struct.pack(f"{self.order}IIII", flags, place, len(key), len(value))
            body += key + value
        return self._page(number, LEAF, len(elements), heads + body)

    def _branch(self, number: int, children: list[tuple[bytes, int]]) -> bytes:
        heads, body = b"", b""
        for at, (key, child) in enumerate(children):
            heads += struct.pack(f"{self.order}IIQ", 16 * (len(children) - at) + len(body), len(key), child)
            body += key
        return self._page(number, BRANCH, len(children), heads + body)

    def _page(self, number: int, flags: int, count: int, body: bytes) -> bytes:
        overflow = -(-(16 + len(body)) // self.page_bytes) - 1
        return struct.pack(f"{self.order}QHHI", number, flags, count, overflow) + body
