"""The store against a model: a list of the states that existed, one for each revision."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pvbinder.server.store import (
    HistoryLost,
    RevisionExpired,
    RevisionFromTheFuture,
    Store,
    Stored,
    WriteFailed,
)

KIND = "things"


def encoder(text: str) -> Callable[[int], bytes]:
    """What a handler gives to the store: canonical bytes at a revision."""

    def encode(revision: int) -> bytes:
        return msgspec.json.encode({"metadata": {"resourceVersion": str(revision)}, "data": text})

    return encode


def text_of(stored: Stored) -> str:
    return str(msgspec.json.decode(stored.data)["data"])


async def put(store: Store, key: str, text: str = "x", kind: str = KIND) -> Stored:
    stored, durable = store.put(kind, key, encoder(text))
    await durable
    return stored


async def delete(store: Store, key: str, kind: str = KIND) -> Stored:
    stored, durable = store.delete(kind, key)
    await durable
    return stored


def listed(store: Store, revision: int | None = None, prefix: str = "") -> dict[str, str]:
    return {key: text_of(stored) for key, stored in store.list(KIND, prefix, revision=revision).items}


# ------------------------------------------------------------------------------------------------ the model

OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcde"), st.text("xyz", max_size=3)),
        st.tuples(st.just("delete"), st.sampled_from("abcde"), st.just("")),
        st.tuples(st.just("wait"), st.just(""), st.just("")),
        st.tuples(st.just("restart"), st.just(""), st.just("")),
    ),
    max_size=30,
)


class Model:
    """The states that existed: `states[revision]` is what was there then."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.states: dict[int, dict[str, str]] = {revision: {}}
        self.changes: list[tuple[int, str, str | None]] = []

    def wrote(self, revision: int, key: str, text: str | None) -> None:
        assert revision > self.revision
        state = dict(self.states[self.revision])
        if text is None:
            del state[key]
        else:
            state[key] = text
        self.revision = revision
        self.states[revision] = state
        self.changes.append((revision, key, text))


async def run_against_model(directory: Path, operations: list[tuple[str, str, str]]) -> None:
    state: dict[str, str] = {}
    last_written = 0
    while operations:
        async with Store(directory) as store:
            model = Model(store.revision)
            assert store.revision > last_written, "a revision must not come again"
            assert listed(store) == state
            model.states[store.revision] = state
            if last_written:
                with pytest.raises(RevisionExpired):
                    store.watch(KIND, last_written)
            operations = await run_until_restart(store, model, operations)
            check(store, model)
            state = model.states[model.revision]
            last_written = model.changes[-1][0] if model.changes else last_written


async def run_until_restart(
    store: Store, model: Model, operations: list[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    pending: list[asyncio.Future[None]] = []
    for position, (operation, key, text) in enumerate(operations):
        if operation == "put":
            stored, durable = store.put(KIND, key, encoder(text))
            model.wrote(stored.revision, key, text)
            pending.append(durable)
        elif operation == "delete" and store.head(KIND, key) is not None:
            stored, durable = store.delete(KIND, key)
            model.wrote(stored.revision, key, None)
            pending.append(durable)
        elif operation == "wait":
            for durable in pending:
                await durable
        elif operation == "restart":
            operations = operations[position + 1 :]
            break
    else:
        operations = []
    for durable in pending:
        await durable
    return operations


def check(store: Store, model: Model) -> None:
    assert store.revision == model.revision
    for revision, state in model.states.items():
        assert listed(store, revision) == state, f"the list at {revision} is no state that existed"
        cursor = store.watch(KIND, revision)
        seen = [
            (change.revision, change.key, None if change.deleted else text_of(change.now)) for change in cursor.take(99)
        ]
        assert seen == [change for change in model.changes if change[0] > revision]


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_store_4_a_watch_replays_exactly_the_changes_and_a_list_is_a_state_that_existed(
    operations: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run_against_model(Path(directory), operations))


# ------------------------------------------------------------------------------------------------ one by one


async def test_store_1_what_is_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        written = await put(store, "a", "one")
        await put(store, "b", "two")
        await delete(store, "b")
    async with Store(tmp_path) as store:
        assert store.get(KIND, "a") == written
        assert store.get(KIND, "b") is None


async def test_store_2_revisions_grow_over_restarts_also_after_a_deletion(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a")
        deleted = await delete(store, "a")
    async with Store(tmp_path) as store:
        assert (await put(store, "a")).revision > deleted.revision


async def test_store_3_reads_and_watches_do_not_see_a_write_that_could_still_fail(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        cursor = store.watch(KIND, store.revision)
        stored, durable = store.put(KIND, "a", encoder("one"))

        assert store.head(KIND, "a") == stored
        assert store.get(KIND, "a") is None
        assert listed(store) == {}
        assert cursor.take(9) == []

        await durable
        assert store.get(KIND, "a") == stored
        assert [change.revision for change in cursor.take(9)] == [stored.revision]


async def full_disk(store: Store) -> None:
    """Let the database file not grow any more, as a full disk would."""
    store._database.limit_size(1)


async def test_store_5_a_failed_batch_takes_all_its_writes_with_it_and_reads_go_on(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        kept = await put(store, "kept")
        await full_disk(store)
        big = "x" * 100_000
        _, first = store.put(KIND, "a", encoder(big))
        await asyncio.sleep(0)  # the first batch is with the database's thread, the next one gathers
        _, second = store.put(KIND, "kept", encoder("changed"))

        with pytest.raises(WriteFailed, match="full"):
            await first
        with pytest.raises(WriteFailed):
            await second
        assert store.head(KIND, "kept") == store.get(KIND, "kept") == kept
        assert listed(store) == {"kept": "x"}

        assert store.why_not_writable
        store._database.limit_size(0)
        assert (await put(store, "a", big)).revision > kept.revision
        assert not store.why_not_writable
    async with Store(tmp_path) as store:
        assert listed(store) == {"a": big, "kept": "x"}


async def test_a_read_only_disk_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "kept")
        assert store._database._connection is not None
        store._database._connection.execute("PRAGMA query_only = ON")
        _, durable = store.put(KIND, "new", encoder("y"))
        with pytest.raises(WriteFailed, match="can't write to"):
            await durable
        assert listed(store) == {"kept": "x"}
        assert store._database._connection is not None
        store._database._connection.execute("PRAGMA query_only = OFF")


async def test_a_write_whose_waiter_was_cancelled_is_made_all_the_same(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        _, durable = store.put(KIND, "a", encoder("one"))
        durable.cancel()
        await put(store, "b")
        assert listed(store) == {"a": "one", "b": "x"}


async def test_writes_of_one_turn_of_the_loop_share_a_commit(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        futures = [store.put(KIND, f"k{number}", encoder("x"))[1] for number in range(50)]
        for future in futures:
            await future
        assert store.statistics().commits == 1
        assert store.statistics().writes == 50


async def test_a_deletion_shows_the_last_state_at_its_own_revision(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", 'says "resourceVersion":"1" itself')
        last = await delete(store, "a")
        shown = msgspec.json.decode(last.data)
        assert shown["metadata"]["resourceVersion"] == str(last.revision)
        assert shown["data"] == 'says "resourceVersion":"1" itself'


async def test_keys_are_ordered_by_their_bytes_and_cut_off_at_the_namespace(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in ("a/z", "a-b/x", "a/b", "b/a"):
            await put(store, key)
        assert list(listed(store)) == ["a-b/x", "a/b", "a/z", "b/a"]
        assert list(listed(store, prefix="a/")) == ["a/b", "a/z"]


async def test_a_page_says_how_many_come_after_it_and_which_is_next(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in ("a/1", "a/2", "a/3", "b/1", "c/1"):
            await put(store, key)
        for prefix, expected in (("a/", ["a/1", "a/2", "a/3"]), ("", ["a/1", "a/2", "a/3", "b/1", "c/1"])):
            for after in ("", "a/2", "a/9", "z"):
                left = [key for key in expected if key >= after]
                for limit in range(7):
                    page = store.list(KIND, prefix, after=after, limit=limit)
                    shown = left[:limit] if limit else left
                    rest = left[len(shown) :]
                    assert [key for key, _ in page.items] == shown
                    assert (page.remaining, page.next_key) == (len(rest), rest[0] if rest else "")


async def test_pages_of_an_old_revision_join_to_the_list_of_that_revision(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in "abcdefg":
            await put(store, key)
        revision = store.revision
        before = listed(store)
        await put(store, "bb")
        await delete(store, "d")
        await put(store, "e", "changed")

        found: dict[str, str] = {}
        after = ""
        while True:
            page = store.list(KIND, after=after, limit=2, revision=revision)
            found |= {key: text_of(stored) for key, stored in page.items}
            assert page.remaining == len(before) - len(found)
            if not page.remaining:
                break
            after = page.items[-1][0] + "\0"
            assert page.next_key >= after
        assert found == before


async def test_what_is_not_reached_yet_cannot_be_read(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        with pytest.raises(RevisionFromTheFuture):
            store.list(KIND, revision=store.revision + 1)
        with pytest.raises(RevisionFromTheFuture):
            store.watch(KIND, store.revision + 1)


# ------------------------------------------------------------------------------------------------ history


async def test_history_1_each_change_of_a_kind_is_seen_once_and_in_order(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        cursor = store.watch(KIND, store.revision)
        written = []
        for number in range(20):
            written.append((await put(store, f"k{number % 3}", str(number))).revision)
            await put(store, "other", kind="others")
        seen: list[int] = []
        while changes := cursor.take(3):
            seen += [change.revision for change in changes]
        assert seen == written


async def test_history_2_the_oldest_changes_are_forgotten_first(tmp_path: Path) -> None:
    async with Store(tmp_path, history_changes=10) as store:
        first = store.revision
        revisions = [(await put(store, "k", str(number))).revision for number in range(2000)]
        assert store.statistics().history_changes == 10
        with pytest.raises(RevisionExpired):
            store.watch(KIND, first)
        with pytest.raises(RevisionExpired):
            store.list(KIND, revision=first)
        cursor = store.watch(KIND, revisions[-11])
        assert [change.revision for change in cursor.take(99)] == revisions[-10:]


async def test_history_2_the_bytes_kept_are_bounded(tmp_path: Path) -> None:
    async with Store(tmp_path, history_bytes=20_000) as store:
        for number in range(100):
            await put(store, "k", str(number) * 500)
        assert store.statistics().history_bytes <= 20_000


async def test_history_3_a_cursor_that_was_overtaken_says_so_and_a_quiet_one_goes_on(tmp_path: Path) -> None:
    async with Store(tmp_path, history_changes=10) as store:
        slow = store.watch(KIND, store.revision)
        quiet = store.watch("others", store.revision)
        for number in range(50):
            await put(store, "k", str(number))
        with pytest.raises(HistoryLost):
            slow.take(9)
        await put(store, "o", kind="others")
        assert [change.key for change in quiet.take(9)] == ["o"]


async def waited(cursor_wait: Awaitable[None]) -> None:
    async with asyncio.timeout(10):
        await cursor_wait


async def test_a_cursor_waits_until_its_kind_changes(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Store(tmp_path) as store, asyncio.TaskGroup() as tasks:
        cursor = store.watch(KIND, store.revision)
        waiting = tasks.create_task(waited(cursor.wait(loop.time() + 60)))
        await put(store, "o", kind="others")
        assert not waiting.done()
        await put(store, "a")
        await waiting
        assert len(cursor.take(9)) == 1


async def test_a_cursor_that_waits_again_until_the_same_deadline_is_woken_by_it(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 0.2
    async with Store(tmp_path) as store:
        cursor = store.watch(KIND, store.revision)
        given_up = asyncio.ensure_future(waited(cursor.wait(deadline)))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        for number in range(3):
            waiting = asyncio.ensure_future(waited(cursor.wait(deadline)))
            await put(store, "a", str(number))
            await waiting
            assert len(cursor.take(9)) == 1
        await waited(cursor.wait(deadline))
        assert cursor.take(9) == []
        assert loop.time() >= deadline - 0.05


async def test_a_cursor_waits_no_longer_than_its_deadline_nor_than_the_store(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with Store(tmp_path) as store:
        cursor = store.watch(KIND, store.revision)
        await waited(cursor.wait(loop.time()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(waited(cursor.wait(loop.time() + 60)))
            await asyncio.sleep(0)
            store.end_watches()
        assert store.closed
