"""bbolt, the file format of etcd's database, read without a lock: buckets, and the items of a bucket in order.

BOLT-1  The newest valid one of the two meta pages counts: right magic, version and checksum, the greater transaction.
BOLT-2  A damaged or truncated file ends in a `BoltError` that says what is wrong: pages are checked (`bolt_pages`), a
        key is where the branch above says - so no page can be in a tree twice -, depth is bounded.
BOLT-3  While somebody writes: the branches of a tree, and its last leaf, are those of one transaction. A leaf that was
        overwritten meanwhile is noticed by its keys or its type; reading goes on in the tree of a later transaction.
BOLT-4  Memory holds one leaf and the list of leaves, whatever the size of the file.

The list of free pages isn't needed for reading. Leaves that a deletion of items writes anew in place aren't
noticed by their keys: who reads a file that is in use looks for such deletions himself (`etcd`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

from pvbinder.sources.bolt_pages import (
    PAGE_SIZES,
    BoltError,
    BoltPage,
    Meta,
    has_magic,
    inline_page,
    read_meta,
    read_page,
    root_of,
)
from pvbinder.sources.content import SourceContent

LEAVES_MAX: Final = 4_000_000  # of 4 KiB, 16 GiB: twice what etcd recommends as the largest database
LEVELS_MAX: Final = 32
CHANGES_MAX: Final = 200  # transactions that may come in between while one tree is read
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Tree:
    """The leaves of a bucket at one transaction, by first key, and the last of them, which changes soonest."""

    meta: Meta
    firsts: list[bytes]
    pages: list[int]
    tail: BoltPage

    def end(self, at: int) -> bytes | None:
        """Return the first key of the next leaf; None after the last."""
        return self.firsts[at + 1] if at + 1 < len(self.firsts) else None


WantedLeaf = Callable[[bytes, bytes | None], bool]  # of a leaf: its first key, and the first of the next


def is_bolt(content: SourceContent) -> bool:
    """Tell whether it begins as a database of bbolt does, if only in one of its two meta pages."""
    return any(has_magic(content.at(place, 20)) for place in (0, *PAGE_SIZES))


class BoltFile:
    """A database for reading."""

    def __init__(self, content: SourceContent) -> None:
        self._content = content
        self.name = content.name
        self._places: tuple[int, ...] = (0, *PAGE_SIZES)  # of meta pages, until one says how large pages are

    def newest(self) -> Meta:
        """Return the newest valid meta page (BOLT-1)."""
        found = [meta for place in self._places if (meta := read_meta(self._content, place)) is not None]
        if not found:
            raise BoltError(f"{self.name} is damaged: neither of its meta pages is valid")
        newest = max(found, key=lambda meta: meta.transaction)
        self._places = (0, newest.page_bytes)
        missing = newest.pages * newest.page_bytes - self._content.size
        if missing > 0:
            raise BoltError(f"{self.name} is cut off: {missing} bytes are missing at its end")
        return newest

    def bucket(self, name: bytes) -> dict[bytes, bytes]:
        """Return all items of a small bucket, as they are in one transaction; none if there is no such bucket."""

        def read(meta: Meta) -> dict[bytes, bytes]:
            found = self._find(meta, name)
            leaves = () if found is None else self._leaves_of(meta, found)
            return {key: value for page in leaves for key, value in page.items()}

        return self._settled(read)

    def tree(self, name: bytes) -> Tree | None:
        """Return the leaves of a bucket (BOLT-3); None if there is no such bucket."""

        def read(meta: Meta) -> Tree | None:
            found = self._find(meta, name)
            if found is None:
                return None
            root = root_of(self._content, meta, found)
            return self._tree(meta, root) if root else Tree(meta, [b""], [0], inline_page(self._content, meta, found))

        return self._settled(read)

    def items(self, name: bytes, tree: Tree, wanted: WantedLeaf | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values in the order of keys, beginning with `tree`; only leaves that are `wanted` are read.

        After a change from outside the items are those of later transactions. No key is yielded twice.
        """
        last = b""
        at = changes = read = 0
        while at < len(tree.pages):
            if wanted is not None and not wanted(tree.firsts[at], tree.end(at)):
                at += 1
                continue
            try:
                page, items = self._leaf(tree, at)
                read = self._sum(tree.meta, read, page)
            except BoltError:
                changes += 1
                if changes > CHANGES_MAX or self.newest() == tree.meta:
                    raise
                tree, read = self._again(name), 0
                at = max(bisect_right(tree.firsts, last) - 1, 0)
                continue
            for key, value in items:
                if key > last:
                    yield key, value
                    last = key
            at += 1

    def _leaf(self, tree: Tree, at: int) -> tuple[BoltPage, list[tuple[bytes, bytes]]]:
        """The items of one leaf, or BoltError if it isn't the leaf that the branch above it means (BOLT-2, BOLT-3)."""
        is_tail = at + 1 == len(tree.pages)
        page = tree.tail if is_tail else read_page(self._content, tree.meta, tree.pages[at])
        if not page.is_leaf:
            raise BoltError(f"{self.name} is damaged: page {tree.pages[at]} is a branch where a leaf should be")
        items = list(page.items())
        before, end = tree.firsts[at], tree.end(at)
        for number, (key, _) in enumerate(items):
            if key < before or (number and key == before) or (end is not None and key >= end):
                raise BoltError(f"{self.name} is damaged: page {tree.pages[at]} has keys that belong elsewhere")
            before = key
        return page, items

    def _again(self, name: bytes) -> Tree:
        tree = self.tree(name)
        if tree is None:
            raise BoltError(f"{self.name} lost its bucket {name.decode()} while it was read")
        return tree

    def _settled(self, read: Callable[[Meta], _T]) -> _T:
        """What `read` returns of a transaction that is still the newest one when it is done."""
        for _ in range(CHANGES_MAX):
            meta = self.newest()
            try:
                found = read(meta)
            except BoltError:
                if self.newest() == meta:
                    raise
                continue
            if self.newest() == meta:
                return found
        raise BoltError(
            f"{self.name} is written faster than it can be read", hint="take a snapshot: etcdctl snapshot save FILE"
        )

    def _find(self, meta: Meta, name: bytes) -> bytes | None:
        for page in self._pages_of(meta, self._tree(meta, meta.root)):
            found = page.buckets().get(name)
            if found is not None:
                return found
        return None

    def _leaves_of(self, meta: Meta, bucket: bytes) -> Iterator[BoltPage]:
        root = root_of(self._content, meta, bucket)
        if root:
            yield from self._pages_of(meta, self._tree(meta, root))
        else:
            yield inline_page(self._content, meta, bucket)

    def _pages_of(self, meta: Meta, tree: Tree) -> Iterator[BoltPage]:
        read = 0
        for number in tree.pages:
            page = read_page(self._content, meta, number)
            read = self._sum(meta, read, page)
            yield page

    def _sum(self, meta: Meta, read: int, page: BoltPage) -> int:
        """Count the bytes that were read of one tree: more than the file has can't be right, and might not end."""
        if read + len(page.data) > meta.pages * meta.page_bytes:
            raise BoltError(f"{self.name} is damaged: its pages lie over each other")
        return read + len(page.data)

    def _tree(self, meta: Meta, root: int) -> Tree:
        """The leaves below `root`; all are equally deep, as in every B+ tree."""
        firsts, pages, read = [b""], [root], 0
        for _ in range(LEVELS_MAX):
            first = read_page(self._content, meta, pages[0])
            if first.is_leaf:
                tail = read_page(self._content, meta, pages[-1])
                return Tree(meta, firsts, pages, tail)
            children: list[tuple[bytes, int]] = []
            for number in pages:
                branch = read_page(self._content, meta, number)
                if branch.is_leaf or not branch.count:
                    raise BoltError(f"{self.name} is damaged: page {number} is no branch, and its neighbour is one")
                read = self._sum(meta, read, branch)
                children += branch.children()
                if len(children) > LEAVES_MAX:
                    raise BoltError(f"{self.name} has more than {LEAVES_MAX} leaves")
            firsts, pages = [key for key, _ in children], [number for _, number in children]
            if any(one >= other for one, other in pairwise(firsts)):
                raise BoltError(f"{self.name} is damaged: the keys of a branch are out of order")
        raise BoltError(f"{self.name} is damaged: its tree has more than {LEVELS_MAX} levels")
