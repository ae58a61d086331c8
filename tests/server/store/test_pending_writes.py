"""What the next write to an object must see while earlier ones are still on their way to the disk (STORE-3)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.server.store.test_store import KIND, delete, encoder, put

from pvbinder.server.store import HistoryLost, Store


class SlowCommits:
    """Holds each commit of a store until it is let go."""

    def __init__(self, store: Store) -> None:
        self._commit = store._database.commit
        self._go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.patch = patch.object(store._database, "commit", self._held)

    def _held(self, *arguments: Any) -> None:
        self.begun.release()
        assert self._go.acquire(timeout=30)
        self._commit(*arguments)

    def let_one_go(self) -> None:
        self._go.release()

    async def wait_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=30)


async def test_the_head_stays_the_newest_write_when_an_older_one_becomes_durable(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "zero")
        slow = SlowCommits(store)
        with slow.patch:
            _, first = store.put(KIND, "a", encoder("one"))
            await slow.wait_begun()
            second, durable = store.put(KIND, "a", encoder("two"))
            slow.let_one_go()
            await first
            assert store.head(KIND, "a") == second, "who writes now must start from the write that is pending"
            slow.let_one_go()
            await durable
        assert store.head(KIND, "a") == store.get(KIND, "a") == second


async def test_a_pending_deletion_after_a_deletion_is_not_forgotten(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "zero")
        slow = SlowCommits(store)
        with slow.patch:
            _, first = store.delete(KIND, "a")
            await slow.wait_begun()
            _, again = store.put(KIND, "a", encoder("again"))
            slow.let_one_go()
            await first
            await slow.wait_begun()
            _, last = store.delete(KIND, "a")
            assert store.head(KIND, "a") is None
            slow.let_one_go()
            await again
            assert store.head(KIND, "a") is None, "the object is deleted, though it is there until that is durable"
            slow.let_one_go()
            await last


async def test_a_deletion_that_becomes_durable_does_not_forget_a_younger_one(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "zero")
        slow = SlowCommits(store)
        with slow.patch:
            writes = [store.delete(KIND, "a")[1], store.put(KIND, "a", encoder("again"))[1]]  # of one batch
            await slow.wait_begun()
            last = store.delete(KIND, "a")[1]
            slow.let_one_go()
            await asyncio.gather(*writes)
            assert store.head(KIND, "a") is None, "who writes now must not change what is deleted already"
            assert [head for _, head in store.pending(KIND)] == [None]
            slow.let_one_go()
            await last


async def test_a_pending_write_after_a_deletion_is_not_forgotten(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "zero")
        slow = SlowCommits(store)
        with slow.patch:
            _, deleted = store.delete(KIND, "a")
            await slow.wait_begun()
            again, durable = store.put(KIND, "a", encoder("again"))
            slow.let_one_go()
            await deleted
            assert store.head(KIND, "a") == again
            slow.let_one_go()
            await durable


async def test_a_pending_deletion_is_not_forgotten(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        slow = SlowCommits(store)
        with slow.patch:
            _, made = store.put(KIND, "a", encoder("one"))
            await slow.wait_begun()
            _, deleted = store.delete(KIND, "a")
            slow.let_one_go()
            await made
            assert store.head(KIND, "a") is None
            assert store.get(KIND, "a") is not None, "readers see what is durable"
            slow.let_one_go()
            await deleted


async def test_nothing_is_pending_any_more_when_all_is_durable(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "one")
        await put(store, "a", "two")
        await delete(store, "a")
        await put(store, "b")
        assert store._head == {}, "or memory grows with every key ever written"


async def test_history_3_a_cursor_at_the_oldest_change_that_is_kept_sees_what_follows_and_one_before_is_lost(
    tmp_path: Path,
) -> None:
    async with Store(tmp_path, history_changes=5) as store:
        written = [(await put(store, "k", str(number))).revision for number in range(20)]
        oldest_kept = written[-5]
        at_the_floor = store.watch(KIND, oldest_kept - 1)
        assert [change.revision for change in at_the_floor.take(99)] == written[-5:]
        lost = store.watch(KIND, oldest_kept - 1)
        await put(store, "k", "one more")
        try:
            taken = lost.take(99)
        except HistoryLost:
            pass
        else:
            raise AssertionError(f"the change at {oldest_kept} was left out silently: {taken}")


async def test_what_is_counted_is_what_the_next_write_sees(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in ("n/a", "n/b", "n/c", "o/a"):
            await put(store, key, "zero")
        slow = SlowCommits(store)
        with slow.patch:
            futures = [store.put(KIND, key, encoder("one"))[1] for key in ("n/a", "n/d", "o/b")]
            futures += [store.delete(KIND, key)[1] for key in ("n/b", "n/d")]
            for prefix in ("", "n/", "o/", "p/"):
                assert store.count_heads(KIND, prefix) == len(list(store.heads(KIND, prefix)))
            assert store.count_heads(KIND, "n/") == 2
            slow.let_one_go()
            await asyncio.gather(*futures)
        assert store.count_heads(KIND, "n/") == 2


async def test_store_7_who_waits_for_the_write_of_another_waits_on_when_that_one_goes(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        slow = SlowCommits(store)
        with slow.patch:

            async def write() -> None:
                _, durable = store.put(KIND, "a", encoder("one"))
                await durable

            writer = asyncio.create_task(write())
            await slow.wait_begun()
            refused = asyncio.create_task(store.barrier())
            reader = asyncio.create_task(store.settled(KIND, "a"))
            await asyncio.sleep(0)
            writer.cancel()
            await asyncio.wait([writer])
            assert not refused.done(), "a client that hangs up ends no other's request"
            assert not reader.done()
            slow.let_one_go()
            await refused
            await reader
        assert store.get(KIND, "a") is not None
