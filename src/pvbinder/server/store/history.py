"""The latest changes, kind by kind: the source of watches and of lists at an older revision.

HISTORY-1  In order: a cursor sees each change of its kind exactly once, by growing revision, with none left out.
HISTORY-2  Bounded: together the changes hold at most `byte_limit` bytes and `change_limit` entries; the oldest go
           first, of all kinds together. The lines that watchers share hold `LINES_BYTES_MAX` beside them.
HISTORY-3  A cursor whose next change is forgotten says so (`HistoryLost`) instead of leaving anything out; one whose
           kind was merely quiet goes on.

A watcher is nothing but a cursor, so a client that never reads costs no memory: one day its next change is forgotten,
and its stream is ended. Changes live as long as the process: nothing is known from before its start.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque

from msgspec import Struct

from pvbinder.server.store.state import Stored

LINES_BYTES_MAX = 16 << 20
OVERHEAD_BYTES = 200  # the weight of a change beside its JSON


class StoredChange(Struct, gc=False):
    """One write: `now` is the object as written, or for a deletion its last state with the deletion's revision."""

    revision: int
    key: str
    now: Stored
    previous: Stored | None
    deleted: bool = False
    line: bytes | None = None  # the encoded event, made by the first watcher that sends it and shared by all others

    @property
    def after(self) -> Stored | None:
        """The object at the key after the write."""
        return None if self.deleted else self.now


class HistoryLost(Exception):  # noqa: N818  (says what happened)
    """The changes that a cursor has yet to see are forgotten."""


class Cursor:
    """A place in the history of one kind; only its watcher uses it, and only from the event loop."""

    __slots__ = ("_deadline", "_expiry", "_history", "_track", "_waiter", "revision")

    def __init__(self, history: History, track: _Track, revision: int) -> None:
        self._history = history
        self._track = track
        self._deadline = 0.0
        self._expiry: asyncio.TimerHandle | None = None  # one for all waits until the same deadline
        self._waiter: asyncio.Future[None] | None = None
        self.revision = revision  # everything up to here has been seen

    def take(self, limit: int, bytes_max: int = 0) -> list[StoredChange]:
        """Return the next changes, and step over them; empty when there is nothing new yet.

        They are at most `limit`, and no more than `bytes_max` if that is given, but at least one.
        """
        if self.revision < self._track.floor:
            raise HistoryLost
        changes = self._track.after(self.revision, limit)
        if bytes_max and len(changes) > 1:
            weight = 0
            for position, change in enumerate(changes):
                weight += len(change.now.data)
                if weight > bytes_max:
                    changes = changes[: position or 1]
                    break
        if changes:
            self.revision = changes[-1].revision
        return changes

    def share(self, change: StoredChange, line: bytes) -> None:
        """Keep the line of a change for the other watchers."""
        self._history.share(change, line)

    def catch_up(self) -> int:
        """Step to the newest revision of the store, all of whose changes have been taken, and return it."""
        if not self._track.after(self.revision, 1):
            self.revision = max(self.revision, self._history.revision)
        return self.revision

    async def wait(self, deadline: float) -> None:
        """Wait until there may be something to take, the history is closed, or the loop's clock shows `deadline`."""
        if self._history.closed or self._track.after(self.revision, 1):
            return
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        # a handle instead of `asyncio.timeout`, and one that stays: a watch waits thousands of times a second
        if self._expiry is None or self._deadline != deadline:
            self.close()
            self._deadline = deadline
            self._expiry = loop.call_at(deadline, self._expire)
        self._track.waiters.add(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._track.waiters.discard(waiter)

    def close(self) -> None:
        """Take back the alarm of the last deadline; a watcher that has stopped waiting should not leave it set."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _expire(self) -> None:
        self._expiry = None
        if self._waiter is not None:
            _wake(self._waiter)


class History:
    """The latest changes of all kinds."""

    def __init__(self, revision: int, *, byte_limit: int = 64 << 20, change_limit: int = 100_000) -> None:
        self.revision = revision
        self._start = revision
        self.closed = False
        self._byte_limit = byte_limit
        self._change_limit = change_limit
        self._bytes = 0
        self._tracks: dict[str, _Track] = {}
        self._ages: deque[tuple[_Track, int]] = deque()  # (track, weight) of every change, oldest first
        self._lines: deque[StoredChange] = deque()  # those with a line, in the order in which it was made
        self._lines_bytes = 0

    def add(self, kind: str, change: StoredChange) -> None:
        """Take in a committed change; revisions must grow."""
        track = self._track(kind)
        weight = len(change.now.data) + OVERHEAD_BYTES
        if change.previous is not None and change.previous.revision <= track.floor:
            weight += len(change.previous.data)  # of an older change in here it is the very same bytes
        track.changes.append(change)
        self._ages.append((track, weight))
        self._bytes += weight
        self.revision = change.revision
        while self._bytes > self._byte_limit or len(self._ages) > self._change_limit:
            oldest, weight = self._ages.popleft()
            self._bytes -= weight
            oldest.drop_first()

    def share(self, change: StoredChange, line: bytes) -> None:
        """Keep the line of a change; those kept longest go first (HISTORY-2)."""
        if len(line) > LINES_BYTES_MAX // 4:
            return
        change.line = line
        self._lines.append(change)
        self._lines_bytes += len(line)
        while self._lines_bytes > LINES_BYTES_MAX:
            oldest = self._lines.popleft()
            self._lines_bytes -= len(oldest.line or b"")
            oldest.line = None

    def announce(self, kinds: set[str]) -> None:
        """Wake the watchers of `kinds`: a batch has been added."""
        for kind in kinds:
            self._track(kind).wake()

    def cursor(self, kind: str, revision: int) -> Cursor:
        """Return a cursor that will see the changes of `kind` after `revision`; HistoryLost when some are forgotten."""
        track = self._track(kind)
        if revision < track.floor:
            raise HistoryLost
        return Cursor(self, track, revision)

    def newer(self, kind: str, revision: int) -> list[StoredChange]:
        """Return all changes of `kind` after `revision`, oldest first; HistoryLost when some are forgotten."""
        track = self._track(kind)
        if revision < track.floor:
            raise HistoryLost
        return track.after(revision, len(track.changes))

    def close(self) -> None:
        """End all waiting: the store is going away."""
        self.closed = True
        for track in self._tracks.values():
            track.wake()

    @property
    def size(self) -> tuple[int, int]:
        """The number of changes that are kept, and their bytes."""
        return len(self._ages), self._bytes

    def _track(self, kind: str) -> _Track:
        track = self._tracks.get(kind)
        if track is None:
            track = self._tracks[kind] = _Track(self._start)
        return track


class _Track:
    """The changes of one kind, all those after `floor`.

    The ones before index `first` are forgotten but not yet cut off, so that forgetting is cheap.
    """

    __slots__ = ("changes", "first", "floor", "waiters")

    def __init__(self, floor: int) -> None:
        self.changes: list[StoredChange] = []
        self.first = 0
        self.floor = floor
        self.waiters: set[asyncio.Future[None]] = set()

    def after(self, revision: int, limit: int) -> list[StoredChange]:
        if not self.changes or self.changes[-1].revision <= revision:
            return []
        start = bisect_right(self.changes, revision, lo=self.first, key=_revision)
        return self.changes[start : start + limit]

    def drop_first(self) -> None:
        self.floor = self.changes[self.first].revision
        self.changes[self.first] = _FORGOTTEN
        self.first += 1
        if self.first > 512 and self.first * 2 > len(self.changes):
            del self.changes[: self.first]
            self.first = 0

    def wake(self) -> None:
        for waiter in self.waiters:
            _wake(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


_FORGOTTEN = StoredChange(0, "", Stored(0, b""), None)


def _revision(change: StoredChange) -> int:
    return change.revision
