"""How much may be promised: each volume and snapshot counts with its whole size, whatever is in it.

POOL-1  The sizes of all volumes and snapshots together never exceed the given size, or that of the file system where
        none was given; then a new one must also fit into what is free at the moment.
POOL-2  What is being made counts from the moment at which it is begun, so that two at once can't take the same room.

It may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.root import Root


class Pool:
    """The room of a driver: `capacity_bytes` is what the operator gave it, None for all that the file system has."""

    def __init__(self, root: Root, capacity_bytes: int | None) -> None:
        self._root = root
        self._capacity = capacity_bytes
        self._lock = threading.Lock()
        self._promised: dict[str, int] = {}
        self._promised_bytes = 0  # of all

    def available_bytes(self) -> int:
        """Return what a new volume may have."""
        with self._lock:
            return self._room()[1]

    def count(self, identity: str, size_bytes: int) -> None:
        """Count what is there already."""
        with self._lock:
            self._promise(identity, size_bytes)

    def forget(self, identity: str) -> None:
        """Take back what was promised to something that is gone."""
        with self._lock:
            self._promise(identity, 0)

    def promise(self, identity: str, size_bytes: int) -> int:
        """Promise `size_bytes` to `identity` in all (POOL-2), and return what it was before; raises CallFailed."""
        with self._lock:
            before = self._promised.get(identity, 0)
            total, left = self._room()
            if size_bytes > total:
                raise CallFailed(Code.OUT_OF_RANGE, f"{size_bytes} bytes are more than all volumes may have together")
            if size_bytes - before > left:
                raise CallFailed(Code.RESOURCE_EXHAUSTED, f"there is no room for {size_bytes - before} more bytes")
            self._promise(identity, size_bytes)
            return before

    @contextmanager
    def promising(self, identity: str, size_bytes: int) -> Iterator[None]:
        """Promise `size_bytes` to `identity` in all, for good if the context ends well (POOL-2); raises CallFailed."""
        before = self.promise(identity, size_bytes)
        try:
            yield
        except BaseException:
            with self._lock:
                self._promise(identity, before)
            raise

    def _promise(self, identity: str, size_bytes: int) -> None:
        self._promised_bytes += size_bytes - self._promised.pop(identity, 0)
        if size_bytes:
            self._promised[identity] = size_bytes

    def _room(self) -> tuple[int, int]:
        """Return what all may have together, and what of that is left."""
        if self._capacity is not None:
            return self._capacity, max(0, self._capacity - self._promised_bytes)
        total, free = self._root.size_and_free_bytes()
        return total, max(0, min(total - self._promised_bytes, free))
