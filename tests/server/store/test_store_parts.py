"""The store step by step: parts of a batch, what a full disk refuses at once, copies, errors, and what it tells."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.server.store.test_pending_writes import SlowCommits
from tests.server.store.test_store import KIND, delete, encoder, put

from pvbinder import logs
from pvbinder.server.store import RevisionExpired, RevisionFromTheFuture, Store, Stored, StoredChange, WriteFailed
from pvbinder.server.store import store as stores
from pvbinder.server.store.database import LAST_GOOD_NAME, Database
from pvbinder.server.store.store import NOTED_BYTES_MAX, PART_BYTES, StoreStatistics, _Batch, with_revision

EIGHTH = PART_BYTES // 8
DYING = b'{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"}}'


# ------------------------------------------------------------------------------------------------ parts


def gone() -> tuple[Stored | None, bool]:
    return Stored(1, b"x"), True


def dying(size: int) -> tuple[Stored | None, bool]:
    return Stored(2, DYING.ljust(size)), False


def grows() -> tuple[Stored | None, bool]:
    return Stored(2, b"x" * 10), False


PARTS: dict[str, tuple[list[tuple[Stored | None, bool]], int]] = {  # writes: how many are in the first part
    "nothing": ([], 0),
    "one": ([gone()], 1),
    "eight deletions": ([gone()] * 8, 8),
    "nine deletions": ([gone()] * 9, 8),
    "what grows alone": ([grows(), gone()], 1),
    "what grows at the end": ([gone(), gone(), grows(), gone()], 2),
    "a large one alone": ([dying(2 * PART_BYTES), gone()], 1),
    "as large as a part": ([dying(PART_BYTES - 2 * EIGHTH), gone()], 2),
    "a byte larger": ([dying(PART_BYTES - 2 * EIGHTH + 1), gone()], 1),
}


@pytest.mark.parametrize(("writes", "first"), PARTS.values(), ids=PARTS.keys())
def test_store_6_a_batch_is_split_as_a_full_disk_takes_it(writes: list[tuple[Any, bool]], first: int) -> None:
    previous = Stored(1, b"x")
    made: list[Any] = [
        (KIND, StoredChange(n, f"k{n}", now, previous, deleted), None) for n, (now, deleted) in enumerate(writes)
    ]
    batch = _Batch(made)

    taken, others = batch.parted()

    assert (taken.writes, others.writes) == (made[:first], made[first:])
    assert batch.can_be_parted is (first < len(writes))


def test_the_sizes_of_parts_and_lists_are_decisions() -> None:
    assert (PART_BYTES, NOTED_BYTES_MAX) == (524_288, 16_777_216)


def test_a_deletion_has_its_own_revision_in_the_first_place_only() -> None:
    data = b'{"metadata":{"resourceVersion":"7"},"x":{"resourceVersion":"7"}}'
    assert with_revision(Stored(7, data), 12) == (b'{"metadata":{"resourceVersion":"12"},"x":{"resourceVersion":"7"}}')


# ------------------------------------------------------------------------------------------------ reading


async def test_what_a_store_tells_of_itself(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        found = (store.is_empty, store.revision, store.closed, store.why_not_writable)
        assert found == (True, 101, False, None)
        first = store.statistics()
        assert (first.revision, first.objects, first.commits, first.history_bytes) == (101, {}, 0, 0)
        for key in ("a", "b"):
            await put(store, key)
        await put(store, "c", kind="others")
        await delete(store, "c", kind="others")
        weights = [len(change.now.data) + 200 for change in store.watch(KIND, 101).take(9)]
        weights += [len(change.now.data) + 200 for change in store.watch("others", 101).take(9)]
        told = store.statistics()
        assert told == StoreStatistics(
            revision=105,
            objects={KIND: 2, "others": 0},
            commits=4,
            writes=4,
            failed_commits=0,
            commit_durations=told.commit_durations,
            history_changes=4,
            history_bytes=sum(weights),
        )
        assert told.commit_durations.count == 4
        await delete(store, "a")
        await delete(store, "b")
        assert store.is_empty
        store.end_watches()
        assert store.statistics().commits == 6
        assert store._history.closed


async def test_store_4_what_is_forgotten_or_not_reached_is_said(tmp_path: Path) -> None:
    async with Store(tmp_path, history_changes=2) as store:
        for n in range(4):
            await put(store, f"k{n}")
        assert store.revision == 105
        for ask in (lambda revision: store.list(KIND, revision=revision), lambda revision: store.watch(KIND, revision)):
            with pytest.raises(RevisionExpired) as expired:
                ask(102)
            assert expired.value.message == "the changes after revision 102 are forgotten"
            with pytest.raises(RevisionFromTheFuture) as early:
                ask(106)
            assert early.value.message == "revision 106 is not reached yet: the store is at 105"
            ask(105)
            ask(103)


async def test_store_4_bytes_of_the_history_are_bounded_by_the_store_s_owner(tmp_path: Path) -> None:
    async with Store(tmp_path, history_bytes=1) as store:
        await put(store, "a")
        assert store.statistics().history_changes == 0
    async with Store(tmp_path / "other") as store:
        assert store._limits == (67_108_864, 100_000)


async def test_store_4_a_list_of_the_past_keeps_to_its_prefix_and_its_kind(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in ("n/a", "n/b", "n/d", "o/a"):
            await put(store, key)
        revision = store.revision
        await delete(store, "n/b")
        await put(store, "n/c")
        await put(store, "o/a", "changed")
        await put(store, "n/a", "changed", kind="others")
        page = store.list(KIND, "n/", after="n/b", revision=revision)
        assert [key for key, _ in page.items] == ["n/b", "n/d"]
        assert (page.revision, page.remaining, page.next_key) == (revision, 0, "")
        page = store.list(KIND, "n/", limit=2, revision=revision)
        assert ([key for key, _ in page.items], page.remaining, page.next_key) == (["n/a", "n/b"], 1, "n/d")
        page = store.list(KIND, limit=2)
        assert (page.revision, page.remaining, page.next_key) == (store.revision, 2, "n/d")
        assert store.list("nothing").items == []
        assert [key for key, _ in store.objects(KIND, "n/")] == ["n/a", "n/c", "n/d"]
        assert list(store.objects("nothing")) == []
        assert store.get("nothing", "n/a") is None


async def test_store_2_a_start_takes_a_revision_of_its_own(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        written = await put(store, "a")
    for _ in range(2):
        async with Store(tmp_path) as store:
            assert store.revision == written.revision + 1
            with pytest.raises(RevisionExpired):
                store.watch(KIND, written.revision)


# ------------------------------------------------------------------------------------------------ writing


async def test_what_is_not_there_can_not_be_deleted(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        with pytest.raises(KeyError, match="a"):
            store.delete(KIND, "a")
        assert (await put(store, "a")).revision == 102, "and no revision is lost"


async def test_the_heads_of_a_kind_are_the_committed_ones_with_the_pending_over_them(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        for key in ("n/a", "n/b", "n/c", "o/a"):
            await put(store, key, "old")
        slow = SlowCommits(store)
        with slow.patch:
            changed, done = store.put(KIND, "n/a", encoder("new"))
            store.delete(KIND, "n/b")
            made, _ = store.put(KIND, "n/d", encoder("new"))
            store.put(KIND, "o/b", encoder("new"))
            store.put("others", "n/x", encoder("new"))
            heads = dict(store.heads(KIND, "n/"))
            assert heads == {"n/c": store.get(KIND, "n/c"), "n/a": changed, "n/d": made}
            assert list(store.pending(KIND, "n/")) == [
                (store.get(KIND, "n/a"), changed),
                (store.get(KIND, "n/b"), None),
                (None, made),
            ]
            assert [store.count_heads(KIND, prefix) for prefix in ("n/", "o/", "", "p/")] == [3, 2, 5, 0]
            assert [store.count_heads(kind) for kind in ("others", "nothing")] == [1, 0]
            assert store.head(KIND, "n/b") is None
            slow.let_one_go()
            await done
        assert list(store.pending(KIND)) == []


async def test_store_7_who_answers_with_the_head_waits_for_the_last_write_to_it_alone(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await store.settled(KIND, "a")
        await store.barrier()
        slow = SlowCommits(store)
        with slow.patch:
            store.put(KIND, "a", encoder("one"))
            await slow.wait_begun()
            store.put(KIND, "b", encoder("one"))
            store.put(KIND, "a", encoder("two"))
            store.put("others", "b", encoder("two"))
            waits = [
                asyncio.create_task(wait)
                for wait in (store.settled(KIND, "a"), store.settled("others", "b"), store.barrier())
            ]
            await asyncio.wait_for(store.settled(KIND, "c"), 10)
            slow.let_one_go()
            await slow.wait_begun()
            assert [wait.done() for wait in waits] == [False] * 3, "the writes of the first batch are others"
            third = asyncio.create_task(store.barrier())
            slow.let_one_go()
            await asyncio.gather(*waits, third)


async def test_store_7_who_waits_hears_that_it_came_to_nothing(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        slow = SlowCommits(store)
        slow._commit = _failing(ValueError("odd"))
        with slow.patch:
            _, first = store.put(KIND, "a", encoder("one"))
            await slow.wait_begun()
            _, second = store.put(KIND, "b", encoder("one"))
            waits = [asyncio.create_task(wait) for wait in (store.settled(KIND, "b"), store.barrier())]
            await asyncio.sleep(0)
            slow.let_one_go()
            for each in (first, second, *waits):
                with pytest.raises(WriteFailed) as failed:
                    await each
                assert (failed.value.message, failed.value.trouble) == ("odd", "failing")
        assert (store.head(KIND, "a"), store.get(KIND, "a")) == (None, None)
        told = store.statistics()
        assert (told.failed_commits, told.commits, told.writes) == (1, 0, 0)
        assert store.why_not_writable == "odd"
        assert (await put(store, "c")).revision == 104, "what was given out doesn't come again"
        assert store.why_not_writable is None


def _failing(error: Exception) -> Any:
    def commit(*_: Any) -> None:
        raise error

    return commit


async def test_database_6_what_a_full_disk_would_not_take_is_refused_at_once(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a", "x" * 5000)
        asked: list[int] = []
        answers = [False, True]

        def room_for(pages: int) -> bool:
            asked.append(pages)
            return answers.pop(0)

        store._database.room_for = room_for  # type: ignore[method-assign]
        store._why_not_writable = "the disk is full"
        with pytest.raises(WriteFailed) as failed:
            store.put(KIND, "b", lambda _: b"x" * 9000)
        assert (failed.value.message, failed.value.trouble) == ("the disk is full", "full")
        assert asked == [2 + 3]
        slow = SlowCommits(store)
        with slow.patch:
            futures = [store.put(KIND, "a", lambda _: b"less")[1]]
            await slow.wait_begun()
            assert asked == [5], "what is smaller than before isn't asked about"
            futures += [store.put(KIND, "b", lambda _: b"x" * 9000)[1]]
            assert asked == [5, 1 + 5], "the one before counts"
            futures += [store.delete(KIND, "a")[1]]
            answers.append(False)
            with pytest.raises(WriteFailed):
                store.put(KIND, "c", lambda _: b"x" * 9000)
            assert asked == [5, 6, 1 + 5 + 5]
            assert store._last_revision == futures_revision(store), "a refused write takes no revision"
            for _ in range(2):
                slow.let_one_go()
            await asyncio.gather(*futures)
        assert store.why_not_writable is None


def futures_revision(store: Store) -> int:
    """Return the revision of the last write that waits."""
    return store._batch.writes[-1][1].revision


async def test_the_reserve_is_for_files_beside_the_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Store(tmp_path) as store:
        size = (tmp_path / "reserve").stat().st_size
        store.give_up_reserve()
        assert not (tmp_path / "reserve").exists()
        assert store.why_not_writable == "the disk is full"
        store._why_not_writable = "said before"
        store.give_up_reserve()
        assert store.why_not_writable == "said before"
        store.hold_reserve()
        assert (tmp_path / "reserve").stat().st_size == size
        said = [record.message for record in caplog.records if "the disk is full" in record.message]
        assert len(said) == 1
        await put(store, "a")
        assert store.why_not_writable is None


async def test_a_store_on_a_full_disk_says_so_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pvbinder.server.store.reserve.Reserve.take", lambda _: False)
    async with Store(tmp_path) as store:
        assert store.why_not_writable == "the disk is full"
        (record,) = (each for each in caplog.records if "the disk is full" in each.message)
        assert record.levelname == "ERROR"


def test_a_store_that_can_not_be_read_gives_its_directory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(_: object) -> None:
        raise ValueError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "_load", odd)
        with pytest.raises(ValueError, match="odd"):
            Store(tmp_path)
    store = Store(tmp_path)
    store._database.close()


# ------------------------------------------------------------------------------------------------ copies


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The copies that were asked for; each is of revision 101."""
    made: list[Path] = []

    def keep(directory: Path) -> int | None:
        made.append(directory)
        return 101

    monkeypatch.setattr(stores, "keep_copy", keep)
    return made


async def test_last_good_1_a_copy_is_made_at_the_start_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: list[Path]
) -> None:
    async with Store(tmp_path):
        pass
    assert copies == []
    assert not (tmp_path / "acknowledged").exists()
    forgotten: list[int] = []
    monkeypatch.setattr(Database, "forget_acknowledged", lambda _, revision: forgotten.append(revision))
    async with Store(tmp_path, keep_copy=True) as store:
        await put(store, "a")
    assert copies == [tmp_path] * 2
    assert forgotten == [101, 101]


async def test_a_copy_is_made_when_the_list_of_writes_is_long(tmp_path: Path, copies: list[Path]) -> None:
    async with Store(tmp_path, keep_copy=True) as store:
        await asyncio.get_running_loop().run_in_executor(store._copier, lambda: None)
        assert (len(copies), store._noted_bytes_max) == (1, NOTED_BYTES_MAX)
        store._noted_bytes_max = store._database.noted_bytes + 10_000
        await put(store, "a")
        assert len(copies) == 1
        store._noted_bytes_max = 0
        store._copier.submit = lambda call: copies.append(call.__self__)  # type: ignore[method-assign,assignment,return-value]
        await put(store, "b")
        assert (len(copies), store._noted_bytes_max) == (2, sys.maxsize)
        await put(store, "c")
        assert len(copies) == 2, "one is asked for already"
        del store._copier.submit
        store._copy()
        assert store._noted_bytes_max == NOTED_BYTES_MAX


async def test_a_copy_that_can_not_be_made_is_tried_again_after_as_many_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "keep_copy", lambda _: None)
    async with Store(tmp_path) as store:
        store._noted_bytes_max = 1000
        forgotten: list[int] = []
        store._database.forget_acknowledged = forgotten.append  # type: ignore[method-assign,assignment]
        store._copy()
        await asyncio.get_running_loop().run_in_executor(store._thread, lambda: None)
        assert (forgotten, store._noted_bytes_max) == ([], NOTED_BYTES_MAX + 1000)


async def test_store_1_an_end_waits_for_what_is_under_way(tmp_path: Path) -> None:
    store = Store(tmp_path)
    await store.__aenter__()
    slow = SlowCommits(store)
    with slow.patch:
        _, future = store.put(KIND, "a", encoder("one"))
        await slow.wait_begun()
        _, later = store.put(KIND, "b", encoder("one"))
        end = asyncio.create_task(store.__aexit__(None, None, None))
        await asyncio.sleep(0)
        assert (store.closed, end.done()) == (True, False)
        for _ in range(2):
            slow.let_one_go()
        await end
        await asyncio.gather(future, later)
    async with Store(tmp_path) as store:
        assert store.get(KIND, "b") is not None


async def test_refusals_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Store(tmp_path) as store:
        slow = SlowCommits(store)
        for text in ("odd", "odd", "other"):
            slow._commit = _failing(WriteFailed(text, trouble="read-only"))
            with slow.patch:
                _, future = store.put(KIND, "a", encoder("one"))
                slow.let_one_go()
                with pytest.raises(WriteFailed) as failed:
                    await future
                assert failed.value.trouble == "read-only"
        said = [logs.fields_of(each) for each in caplog.records if "writes refused" in each.message]
        assert [(each["err"], each["writes"]) for each in said] == [("odd", 1), ("other", 1)]


async def test_store_6_a_batch_that_does_not_fit_is_tried_in_parts(tmp_path: Path) -> None:
    async with Store(tmp_path) as store:
        await put(store, "a")
        sizes: list[int] = []
        real = store._database.commit

        def commit(written: Any, *others: Any) -> None:
            sizes.append(len(written))
            if any(key.startswith("big") for _, key in written):
                store._database.is_full = True
                raise WriteFailed("no room", trouble="full")
            real(written, *others)

        store._database.commit = commit  # type: ignore[method-assign,assignment]
        deleted = store.delete(KIND, "a")[1]
        big = [store.put(KIND, f"big{n}", encoder("x"))[1] for n in range(2)]
        await deleted
        for each in big:
            with pytest.raises(WriteFailed, match="no room"):
                await each
        assert sizes[:2] == [3, 1]
        assert store.get(KIND, "a") is None
        assert LAST_GOOD_NAME not in {path.name for path in tmp_path.iterdir()}
        del store._database.commit
