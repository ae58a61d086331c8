"""The store as its users see it: small interfaces, one for each thing that can be done with it.

- `ReadView`: committed states, now and in the past.
- `Watchable`: the changes after a revision.
- `HeadView`: the states that the next write must see, pending writes counted.
- `WriteView`: writes, checked against a `HeadView`.
- `StoreView`: all of them, for handlers that do all of it.

A user names the smallest one that it needs: code with a `ReadView` can't write. Opening, closing, the disk and its
reserve are the owner's business (`Store`, `server.embedded`).

Everywhere `kind` is the name of a collection (``persistentvolumes``) and `key` the name in it, ``namespace/name`` for a
kind in namespaces. Keys are in the order of their bytes. All calls belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pvbinder.model.errors import PvbinderError
from pvbinder.server.store.history import Cursor
from pvbinder.server.store.state import Stored


class RevisionExpired(PvbinderError):  # noqa: N818  (says what happened)
    """The history no longer reaches back to the revision; the caller must list anew (410)."""


class RevisionFromTheFuture(PvbinderError):  # noqa: N818  (says what happened)
    """The revision isn't reached yet."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, as it was at `revision`; `remaining` objects come after it, the first of them at `next_key`."""

    items: list[tuple[str, Stored]]
    revision: int
    remaining: int
    next_key: str


class ReadView(Protocol):
    """Committed states only: no read shows a write that could still fail (STORE-3)."""

    @property
    def revision(self) -> int:
        """The newest committed revision."""
        ...

    @property
    def is_empty(self) -> bool:
        """Whether there is no object of any kind."""
        ...

    def get(self, kind: str, key: str) -> Stored | None:
        """Return the committed object at `key`."""
        ...

    def list(
        self, kind: str, prefix: str = "", *, after: str = "", limit: int = 0, revision: int | None = None
    ) -> Page:
        """Return the objects whose key begins with `prefix`, in order, from key `after` on, at most `limit` (0: all).

        With a `revision` the objects are those of that time (STORE-4). Raises RevisionExpired when the history has
        forgotten changes after it, and RevisionFromTheFuture when the store hasn't reached it.
        """
        ...

    def objects(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Stored]]:
        """Give the committed objects whose key begins with `prefix`; writes made meanwhile may show or not."""
        ...


class Watchable(Protocol):
    """The changes of a kind, each once and in order (STORE-4)."""

    @property
    def closed(self) -> bool:
        """Whether watches must end because the store is being closed."""
        ...

    def watch(self, kind: str, revision: int) -> Cursor:
        """Return a cursor over the changes of `kind` after `revision`.

        Raises RevisionExpired when some of them are forgotten, and RevisionFromTheFuture. A cursor that stays behind
        until the history forgets its next change raises HistoryLost: its watcher must list anew.
        """
        ...


class HeadView(Protocol):
    """The head: the committed states with the pending writes over them. A pending write can still fail (STORE-5)."""

    def head(self, kind: str, key: str) -> Stored | None:
        """Return the object at `key` as the next write must see it."""
        ...

    def heads(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Stored]]:
        """Give the objects whose key begins with `prefix` as the next write must see them, in no order."""
        ...

    def pending(self, kind: str, prefix: str = "") -> Iterator[tuple[Stored | None, Stored | None]]:
        """Give, for each key that begins with `prefix` and has a pending write, what is committed and the head."""
        ...

    def count_heads(self, kind: str, prefix: str = "") -> int:
        """Return how many objects `heads` would give, without going through them."""
        ...


class WriteView(HeadView, Protocol):
    """Writes: read the head, check it and write, with no `await` in between; so no write is lost, without a lock."""

    def put(self, kind: str, key: str, encode: Callable[[int], bytes]) -> tuple[Stored, asyncio.Future[None]]:
        """Write the bytes that `encode` makes for the new revision at `key`; the future is done when they are durable.

        The future fails with WriteFailed (STORE-5). A caller that stops waiting for it has not undone the write. Raises
        WriteFailed at once for a write that a full disk wouldn't take.
        """
        ...

    def delete(self, kind: str, key: str) -> tuple[Stored, asyncio.Future[None]]:
        """Remove the object at `key`; return its last state with the revision of the deletion (GW-12).

        The future is that of `put`. Raises KeyError when the head has no such object.
        """
        ...

    async def settled(self, kind: str, key: str) -> None:
        """Wait until the head at `key` is durable; raise WriteFailed if the write comes to nothing.

        A handler that answers with the head without a write of its own must call this first.
        """
        ...

    async def barrier(self) -> None:
        """Wait until every write made so far is durable; raise WriteFailed if they come to nothing.

        A handler that refuses a request because of the head must call this first: a read that follows shows it then.
        """
        ...


class WatchableView(ReadView, Watchable, Protocol):
    """Committed states and their changes: for a list and the watch that follows it."""


class StoreView(WatchableView, WriteView, Protocol):
    """Everything that a handler of requests may do with the store."""
