"""The objects of all kinds, with one counter of revisions, durable writes in batches, and watches.

STORE-1  Acknowledged is durable: when the future of a write is done without an error, the write survives ``kill -9``.
STORE-2  Revisions strictly grow, over restarts too, and no revision is ever used twice.
STORE-3  Reads see committed states only: `get`, `list` and watches never show a write that could still fail.
STORE-4  A watch shows exactly the changes after its revision, in order; a list is a state that existed at its revision.
STORE-5  A batch that can't be committed fails as a whole, with every write made after it; the head goes back to the
         committed state, reads go on, and the next write tries the disk again.
STORE-6  On a full disk a batch is committed in parts that the log has room for, so a deletion doesn't fail with the
         larger writes after it.
STORE-7  Whoever stops waiting for a write ends nothing for those who wait for it as well (`barrier`, `settled`).

A write is read-check-modify with no `await` in between, against the *head* (committed plus pending writes), so no write
is lost and no lock is needed. It gets its revision at once and joins the batch; one batch at a time is with the
database's thread, the next one gathers meanwhile (group commit).

Not promised: that a write is seen by `get` before its future is done. Everything belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import TracebackType

from pvbinder import logs
from pvbinder.model.histogram import Durations, Histogram
from pvbinder.server.store.database import Database
from pvbinder.server.store.errors import WriteFailed
from pvbinder.server.store.history import Cursor, History, HistoryLost, StoredChange
from pvbinder.server.store.interfaces import Page, RevisionExpired, RevisionFromTheFuture
from pvbinder.server.store.last_good import keep_copy
from pvbinder.server.store.memory import NoDatabase
from pvbinder.server.store.reserve import makes_room
from pvbinder.server.store.room import LOG_BYTES, pages_for
from pvbinder.server.store.state import Collection, Stored

PART_BYTES = LOG_BYTES  # of a part of a batch on a full disk; a deletion counts as an eighth
NOTED_BYTES_MAX = 16 << 20  # of the list of acknowledged writes, before a new copy is made

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """The number of objects, and of everything done since the start."""

    revision: int
    objects: dict[str, int]
    commits: int
    writes: int
    failed_commits: int
    commit_durations: Durations
    history_changes: int
    history_bytes: int


@dataclass(slots=True)
class _Batch:
    writes: list[tuple[str, StoredChange, asyncio.Future[None]]] = field(default_factory=list)

    @property
    def can_be_parted(self) -> bool:
        """Whether it is more than a part."""
        return bool(self.parted()[1].writes)

    def parted(self) -> tuple[_Batch, _Batch]:
        """Split it: the first writes, as many as a full disk takes at once, and the others (STORE-6)."""
        size = count = 0
        for kind, change, _ in self.writes:
            where, stored = (kind, change.key), None if change.deleted else change.now
            before = {} if change.previous is None else {where: change.previous}
            size += PART_BYTES // 8 + (len(stored.data) if stored is not None else 0)
            if count and (size > PART_BYTES or not makes_room(where, stored, before)):
                break
            count += 1
            if not makes_room(where, stored, before):
                break
        return _Batch(self.writes[:count]), _Batch(self.writes[count:])


class Store:
    """An open data directory: a `StoreView` for its users. Construct, then ``async with``."""

    def __init__(
        self,
        directory: Path | None,
        *,
        history_bytes: int = 64 << 20,
        history_changes: int = 100_000,
        keep_copy: bool = False,
    ) -> None:
        """Open `directory`; `keep_copy` keeps a copy in it, made anew after a crash and at the end (LAST_GOOD-1).

        Without a `directory` nothing is kept, and STORE-1 means this process only (MEMORY-1).
        """
        self._directory = directory
        self._keeps_copy = keep_copy and directory is not None
        self._database = NoDatabase() if directory is None else Database(directory, keeps_list=keep_copy)
        self._limits = (history_bytes, history_changes)
        self._collections: dict[str, Collection] = {}
        self._head: dict[tuple[str, str], StoredChange] = {}  # the last of the writes under way to each key
        self._batch = _Batch()
        self._committing: _Batch | None = None
        self._gathering = False
        self._why_not_writable: str | None = None
        self._noted_bytes_max = NOTED_BYTES_MAX
        self._idle = asyncio.Event()
        self._idle.set()
        self._commits = self._writes = self._failed = 0
        self._durations = Histogram()
        self._began = 0.0
        try:
            self._load()
            if self._database.is_full:
                self._say_full()
        except BaseException:
            self._database.close()
            raise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pvbinder-commit")
        self._copier = ThreadPoolExecutor(1, thread_name_prefix="pvbinder-copy")

    def _load(self) -> None:
        kinds: dict[str, list[tuple[str, Stored]]] = {}
        for kind, key, stored in self._database.load():
            kinds.setdefault(kind, []).append((key, stored))
        self._collections = {kind: Collection(objects) for kind, objects in kinds.items()}
        # A start takes a revision of its own: a watch from before it may have missed something (STORE-4). It needs no
        # write: a start that writes nothing leaves the same objects to the next one, at the same revision.
        self._last_revision = self.revision = self._database.revision() + 1
        byte_limit, change_limit = self._limits
        self._history = History(self.revision, byte_limit=byte_limit, change_limit=change_limit)

    async def __aenter__(self) -> Store:
        if self._keeps_copy:
            self._copier.submit(self._copy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is pending, end the watches and close the files."""
        self._history.close()
        try:
            await self._idle.wait()
            if self._keeps_copy:
                await asyncio.get_running_loop().run_in_executor(self._copier, self._copy)
        finally:
            self._thread.shutdown()
            self._copier.shutdown()
            self._database.close()

    def _copy(self) -> None:
        """Make a copy, and let the list of acknowledged writes begin after it. Belongs to the copier's thread."""
        assert self._directory is not None, "only a directory has copies"
        revision = keep_copy(self._directory)
        if revision is not None:
            self._thread.submit(self._database.forget_acknowledged, revision)
        self._noted_bytes_max = NOTED_BYTES_MAX + (self._noted_bytes_max if revision is None else 0)

    # ---------------------------------------------------------------- reading

    @property
    def is_empty(self) -> bool:
        """Whether there is no object of any kind."""
        return not any(map(len, self._collections.values()))

    def get(self, kind: str, key: str) -> Stored | None:
        """Return the committed object at `key`."""
        collection = self._collections.get(kind)
        return None if collection is None else collection.get(key)

    def list(
        self, kind: str, prefix: str = "", *, after: str = "", limit: int = 0, revision: int | None = None
    ) -> Page:
        """Return the objects whose key begins with `prefix`, in order, from key `after` on, at most `limit` (0: all).

        With a `revision`, as they were then (STORE-4): RevisionExpired or RevisionFromTheFuture when that can't be.
        """
        collection = self._collections.get(kind) or _EMPTY
        past = {} if revision is None else self._past(kind, revision)
        if past:
            here = {key for key in past if key.startswith(prefix) and key >= after}
            others = {key for key in collection.keys(prefix, after) if key not in here}
            keys = sorted(others | {key for key in here if past[key] is not None})
            count = len(keys) if not limit else min(limit, len(keys))
            keys, remaining, next_key = keys[:count], len(keys) - count, keys[count] if count < len(keys) else ""
        else:
            keys, remaining, next_key = collection.first_keys(prefix, after, limit)
        revision = self.revision if revision is None else revision
        return Page(collection.items(keys, past), revision, remaining, next_key)

    def objects(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Stored]]:
        """Give the committed objects whose key begins with `prefix`."""
        collection = self._collections.get(kind) or _EMPTY
        for key in collection.keys(prefix):
            stored = collection.get(key)
            if stored is not None:
                yield key, stored

    def watch(self, kind: str, revision: int) -> Cursor:
        """Return a cursor over the changes of `kind` after `revision`; RevisionExpired when some are forgotten."""
        if revision > self.revision:
            raise RevisionFromTheFuture(f"revision {revision} is not reached yet: the store is at {self.revision}")
        try:
            return self._history.cursor(kind, revision)
        except HistoryLost:
            raise RevisionExpired(f"the changes after revision {revision} are forgotten") from None

    @property
    def why_not_writable(self) -> str | None:
        """Why the last write could not be stored; None if it could, and before the first."""
        return self._why_not_writable

    def give_up_reserve(self) -> None:
        """Give up the reserve of a full disk, for files that must be written beside the database (RESERVE-1)."""
        self._database.give_up_reserve()
        if self._why_not_writable is None:
            self._say_full()

    def hold_reserve(self) -> None:
        """Hold a reserve again, as large as the disk allows."""
        self._database.hold_reserve()

    def _say_full(self) -> None:
        self._why_not_writable = "the disk is full"
        log.error("the disk is full: what is stored is served, and what is deleted makes room", path=self._directory)

    def end_watches(self) -> None:
        """End all watches, now and from now on."""
        self._history.close()

    @property
    def closed(self) -> bool:
        """Whether watches must end because the store is being closed."""
        return self._history.closed

    def _past(self, kind: str, revision: int) -> dict[str, Stored | None]:
        """Return what was different at `revision`: for each key changed since, the object of that time."""
        if revision > self.revision:
            raise RevisionFromTheFuture(f"revision {revision} is not reached yet: the store is at {self.revision}")
        try:
            newer = self._history.newer(kind, revision)
        except HistoryLost:
            raise RevisionExpired(f"the changes after revision {revision} are forgotten") from None
        return {change.key: change.previous for change in reversed(newer)}

    # ---------------------------------------------------------------- writing

    def head(self, kind: str, key: str) -> Stored | None:
        """Return the object at `key` as the next write must see it: pending writes count."""
        change = self._head.get((kind, key))
        return self.get(kind, key) if change is None else change.after

    def heads(self, kind: str, prefix: str = "") -> Iterator[tuple[str, Stored]]:
        """Give the objects whose key begins with `prefix` as the next write must see them: pending writes count."""
        pending = {key: one.after for (of, key), one in self._head.items() if of == kind and key.startswith(prefix)}
        for key, stored in self.objects(kind, prefix):
            if key not in pending:
                yield key, stored
        for key, head in pending.items():
            if head is not None:
                yield key, head

    def pending(self, kind: str, prefix: str = "") -> Iterator[tuple[Stored | None, Stored | None]]:
        """Give, for each key that begins with `prefix` and has a write under way, what is committed and the head."""
        for (of, key), change in self._head.items():
            if of == kind and key.startswith(prefix):
                yield self.get(kind, key), change.after

    def count_heads(self, kind: str, prefix: str = "") -> int:
        """Return how many objects `heads` would give, without going through them."""
        collection = self._collections.get(kind) or _EMPTY
        count = collection.count(prefix)
        for (of, key), change in self._head.items():
            if of == kind and key.startswith(prefix):
                count += (change.after is not None) - (collection.get(key) is not None)
        return count

    async def settled(self, kind: str, key: str) -> None:
        """Wait until what `head` shows at `key` is durable; raises WriteFailed if it comes to nothing.

        For whoever answers with the head without writing anything: it must not be more than what a write would say.
        """
        if (kind, key) not in self._head:
            return
        for batch in (self._batch, self._committing):
            for of, change, future in reversed(batch.writes if batch is not None else []):
                if of == kind and change.key == key:
                    await asyncio.shield(future)
                    return

    async def barrier(self) -> None:
        """Wait until every write made so far is durable; raises WriteFailed if they come to nothing.

        For whoever refuses something because of what the head shows: a read that follows must show it as well.
        """
        batch = self._batch if self._batch.writes else self._committing
        if batch is not None and batch.writes:
            await asyncio.shield(batch.writes[-1][2])

    def put(self, kind: str, key: str, encode: Callable[[int], bytes]) -> tuple[Stored, asyncio.Future[None]]:
        """Write the bytes that `encode` makes for the new revision at `key`; the future is done when they are durable.

        The future fails with WriteFailed (STORE-5). Whoever stops waiting for it has not undone the write.
        """
        revision = self._last_revision + 1
        stored = Stored(revision, encode(revision))
        previous = self.head(kind, key)
        if self._why_not_writable is not None:
            self._check_room((kind, key), stored, previous)
        self._last_revision = revision
        return stored, self._add(kind, StoredChange(revision, key, stored, previous))

    def _check_room(self, where: tuple[str, str], stored: Stored, previous: Stored | None) -> None:
        """Refuse at once what a full disk wouldn't take, so that deletions in the same batch don't fail with it."""
        before = {} if previous is None else {where: previous}
        if makes_room(where, stored, before):
            return
        waiting = [*self._batch.writes, *(self._committing.writes if self._committing is not None else ())]
        pages = sum(pages_for(change.now, change.previous) for _, change, _ in waiting if not change.deleted)
        if not self._database.room_for(pages + pages_for(stored, previous)):
            raise WriteFailed(self._why_not_writable or "", trouble="full")

    def delete(self, kind: str, key: str) -> tuple[Stored, asyncio.Future[None]]:
        """Remove what is at `key`; what is returned is its last state with the revision of the deletion (GW-12)."""
        previous = self.head(kind, key)
        if previous is None:
            raise KeyError(key)
        self._last_revision = revision = self._last_revision + 1
        last = Stored(revision, with_revision(previous, revision))
        return last, self._add(kind, StoredChange(revision, key, last, previous, deleted=True))

    def _add(self, kind: str, change: StoredChange) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._head[kind, change.key] = change
        self._batch.writes.append((kind, change, future))
        if not self._gathering and self._committing is None:
            # the other requests that are ready in this turn of the loop join the same batch
            self._gathering = True
            self._idle.clear()
            asyncio.get_running_loop().call_soon(self._commit)
        return asyncio.shield(future)  # others wait for it, too (STORE-7)

    def _commit(self) -> None:
        self._gathering = False
        batch, self._batch = self._batch, _Batch()
        if self._database.is_full:
            batch, self._batch = batch.parted()
        self._committing = batch
        self._began = perf_counter()
        if isinstance(self._database, NoDatabase):
            kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            kept.add_done_callback(self._committed)
            kept.set_result(None)
            return
        written = {(kind, change.key): None if change.deleted else change.now for kind, change, _ in batch.writes}
        replaced = {where: stored for where in written if (stored := self.get(*where)) is not None}
        commit = asyncio.get_running_loop().run_in_executor(
            self._thread, self._database.commit, written, batch.writes[-1][1].revision, replaced
        )
        commit.add_done_callback(self._committed)

    def _committed(self, commit: asyncio.Future[None]) -> None:
        batch, self._committing = self._committing, None
        assert batch is not None
        error = commit.exception()
        if error is None:
            self._advance(batch)
        elif isinstance(error, WriteFailed) and error.trouble == "full" and batch.can_be_parted:
            self._batch.writes[:0] = batch.writes  # in parts
        else:
            self._rewind(batch, error)
        if self._batch.writes:
            self._commit()
        else:
            self._idle.set()

    def _advance(self, batch: _Batch) -> None:
        kinds: set[str] = set()
        for kind, change, future in batch.writes:
            where = (kind, change.key)
            kinds.add(kind)
            collection = self._collections.get(kind)
            if collection is None:
                collection = self._collections[kind] = Collection()
            if change.deleted:
                collection.remove(change.key)
            else:
                collection.put(change.key, change.now)
            self._history.add(kind, change)
            if self._head.get(where) is change:  # else a later write to the same key is still under way
                del self._head[where]
            if not future.done():
                future.set_result(None)
        self.revision = batch.writes[-1][1].revision
        self._commits += 1
        if self._why_not_writable is not None and not self._database.is_full:
            log.warning("writes are stored again", revision=self.revision)
            self._why_not_writable = None
        if self._keeps_copy and self._database.noted_bytes > self._noted_bytes_max:
            self._noted_bytes_max = sys.maxsize  # until the copy is made
            self._copier.submit(self._copy)
        self._durations.observe(perf_counter() - self._began)
        self._writes += len(batch.writes)
        self._history.announce(kinds)

    def _rewind(self, batch: _Batch, error: BaseException) -> None:
        if str(error) != self._why_not_writable:  # said once, not for every write
            log.error("writes refused", err=str(error), writes=len(batch.writes) + len(self._batch.writes))
        later, self._batch = self._batch, _Batch()
        self._head.clear()
        self._failed += 1
        self._why_not_writable = str(error)
        for _, _, future in batch.writes + later.writes:
            if not future.done():
                future.set_exception(error if isinstance(error, WriteFailed) else WriteFailed(str(error)))
                future.exception()  # the caller has stopped waiting

    def statistics(self) -> StoreStatistics:
        """Return what the store holds and has done."""
        changes, weight = self._history.size
        return StoreStatistics(
            revision=self.revision,
            objects={kind: len(collection) for kind, collection in self._collections.items()},
            commits=self._commits,
            writes=self._writes,
            failed_commits=self._failed,
            commit_durations=self._durations.value(),
            history_changes=changes,
            history_bytes=weight,
        )


def with_revision(stored: Stored, revision: int) -> bytes:
    """Return the object's bytes with another resourceVersion.

    The first ``"resourceVersion":"N"`` is the one of the object's own metadata, as metadata comes first in canonical
    bytes and what comes before it there are plain strings (inside of which quotes are escaped).
    """
    return stored.data.replace(b'"resourceVersion":"%d"' % stored.revision, b'"resourceVersion":"%d"' % revision, 1)


_EMPTY = Collection()
