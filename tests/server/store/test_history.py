"""The history by itself: how much is kept, what a cursor takes, and when it wakes (HISTORY-1 to HISTORY-3)."""

from __future__ import annotations

import asyncio

import pytest

from pvbinder.server.store import history as histories
from pvbinder.server.store.history import LINES_BYTES_MAX, OVERHEAD_BYTES, Cursor, History, HistoryLost, StoredChange
from pvbinder.server.store.state import Stored


def change(revision: int, *, size: int = 0, previous: Stored | None = None, deleted: bool = False) -> StoredChange:
    return StoredChange(revision, f"k{revision}", Stored(revision, b"x" * size), previous, deleted)


def revisions(changes: list[StoredChange]) -> list[int]:
    return [each.revision for each in changes]


def test_a_change_shows_what_is_there_after_it() -> None:
    made, gone = change(5), change(6, deleted=True)
    assert (made.after, gone.after) == (Stored(5, b""), None)
    assert (made.deleted, made.line) == (False, None)


def test_history_2_a_change_weighs_what_is_kept_only_for_it() -> None:
    history = History(100)
    history.add("pods", change(101, size=10))
    assert history.size == (1, 10 + 200)
    history.add("pods", change(102, size=10, previous=Stored(101, b"y" * 50)))
    assert history.size == (2, 420), "what was before is in here already"
    history.add("pods", change(103, size=10, previous=Stored(100, b"y" * 50)))
    assert history.size == (3, 680)
    history.add("pods", change(104, size=10, previous=Stored(99, b"y" * 50)))
    assert (history.size, history.revision) == ((4, 940), 104)


def test_history_2_the_oldest_go_first_of_all_kinds_together() -> None:
    history = History(100, change_limit=3)
    for revision, kind in ((101, "pods"), (102, "nodes"), (103, "pods")):
        history.add(kind, change(revision, size=revision))
    assert revisions(history.newer("pods", 100)) == [101, 103]
    history.add("nodes", change(104, size=104))
    assert history.size == (3, 3 * 200 + 102 + 103 + 104)
    assert revisions(history.newer("pods", 101)) == [103]
    assert revisions(history.newer("nodes", 100)) == [102, 104], "of which nothing is forgotten"
    with pytest.raises(HistoryLost):
        history.newer("pods", 100)
    with pytest.raises(HistoryLost):
        history.cursor("pods", 100)
    assert revisions(history.cursor("pods", 101).take(9)) == [103]


def test_history_2_the_bytes_are_bounded_to_the_byte() -> None:
    history = History(100, byte_limit=2 * (OVERHEAD_BYTES + 10))
    for revision in (101, 102):
        history.add("pods", change(revision, size=10))
    assert history.size == (2, 420)
    history.add("pods", change(103, size=11))
    assert history.size == (1, 211)


def test_history_2_forgotten_changes_are_cut_off_now_and_then() -> None:
    history = History(100, change_limit=600)
    for revision in range(101, 101 + 1200):
        history.add("pods", change(revision))
    track = history._tracks["pods"]
    assert (len(track.changes), track.first, track.floor) == (1200, 600, 700)
    assert {id(each) for each in track.changes[:600]} == {id(histories._FORGOTTEN)}, "they hold no memory"
    history.add("pods", change(1301))
    assert (len(track.changes), track.first, track.floor) == (600, 0, 701), "more than half were forgotten"
    history.add("pods", change(1302))
    assert (len(track.changes), track.first, track.floor) == (601, 1, 702)
    assert revisions(history.newer("pods", 1300)) == [1301, 1302]
    assert revisions(history.newer("pods", 702))[0] == 703


def test_history_1_what_is_after_a_revision() -> None:
    history = History(100)
    assert history.newer("pods", 100) == []
    for revision in (103, 105, 107):
        history.add("pods", change(revision))
    found = {revision: revisions(history.newer("pods", revision)) for revision in (100, 103, 104, 106, 107, 108)}
    assert found == {100: [103, 105, 107], 103: [105, 107], 104: [105, 107], 106: [107], 107: [], 108: []}
    with pytest.raises(HistoryLost):
        history.newer("pods", 99)


TAKEN: dict[str, tuple[int, int, list[int]]] = {  # limit, bytes at most: what is taken, of 10, 20 and 30 bytes
    "all": (9, 0, [101, 102, 103]),
    "as many as may be": (2, 0, [101, 102]),
    "none": (0, 0, []),
    "to the byte": (9, 30, [101, 102]),
    "a byte less": (9, 29, [101]),
    "at least one": (9, 5, [101]),
    "all of the bytes": (9, 60, [101, 102, 103]),
}


@pytest.mark.parametrize(("limit", "bytes_max", "expected"), TAKEN.values(), ids=TAKEN.keys())
def test_history_1_a_cursor_steps_over_what_it_takes(limit: int, bytes_max: int, expected: list[int]) -> None:
    history = History(100)
    for revision, size in ((101, 10), (102, 20), (103, 30)):
        history.add("pods", change(revision, size=size))
    cursor = history.cursor("pods", 100)
    assert revisions(cursor.take(limit, bytes_max)) == expected
    assert cursor.revision == (expected or [100])[-1]
    assert revisions(cursor.take(9)) == [each for each in (101, 102, 103) if each not in expected]


def test_history_3_a_cursor_that_is_too_late_says_so() -> None:
    history = History(100, change_limit=1)
    cursor = history.cursor("pods", 100)
    history.add("pods", change(101))
    assert revisions(cursor.take(1)) == [101]
    late = history.cursor("pods", 100)
    history.add("pods", change(102))
    with pytest.raises(HistoryLost):
        late.take(1)
    history.add("nodes", change(103))
    assert cursor.revision == 101
    with pytest.raises(HistoryLost):
        cursor.take(1)


def test_a_cursor_that_has_seen_all_of_its_kind_catches_up_with_the_store() -> None:
    history = History(100)
    cursor = history.cursor("pods", 100)
    history.add("nodes", change(101))
    assert cursor.catch_up() == cursor.revision == 101
    history.add("pods", change(102))
    assert cursor.catch_up() == cursor.revision == 101, "not before it has taken what there is"
    ahead = history.cursor("pods", 150)
    assert ahead.catch_up() == 150


def test_history_2_lines_are_shared_and_those_kept_longest_go_first() -> None:
    history = History(100)
    changes = [change(101 + n) for n in range(6)]
    line = bytes(LINES_BYTES_MAX // 4)
    cursor = history.cursor("pods", 100)
    cursor.share(changes[0], line + b"x")
    assert changes[0].line is None, "one so long isn't kept"
    for each in changes[:4]:
        cursor.share(each, line)
    assert [each.line for each in changes] == [line] * 4 + [None] * 2
    history.share(changes[4], b"a")
    assert [each.line is not None for each in changes] == [False, True, True, True, True, False]
    history.share(changes[5], line)
    assert [each.line is not None for each in changes] == [False, False, True, True, True, True]
    assert history._lines_bytes == 3 * len(line) + 1


# ------------------------------------------------------------------------------------------------ waiting


def alarms() -> int:
    """Return how many alarms of cursors are set."""
    scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return sum(not each.cancelled() and "Cursor._expire" in repr(each) for each in scheduled)


async def begun(cursor: Cursor, deadline: float) -> asyncio.Task[None]:
    task = asyncio.create_task(cursor.wait(deadline))
    await asyncio.sleep(0)
    return task


async def test_a_cursor_does_not_wait_for_what_is_there() -> None:
    history = History(100)
    cursor = history.cursor("pods", 100)
    history.add("pods", change(101))
    await cursor.wait(asyncio.get_running_loop().time() + 60)
    assert cursor._waiter is None
    cursor.take(1)
    history.close()
    await cursor.wait(asyncio.get_running_loop().time() + 60)
    assert (cursor._waiter, alarms()) == (None, 0)


async def test_a_cursor_is_woken_by_its_kind_alone_and_by_the_end() -> None:
    history = History(100)
    deadline = asyncio.get_running_loop().time() + 60
    pods, nodes = history.cursor("pods", 100), history.cursor("nodes", 100)
    waits = [await begun(each, deadline) for each in (pods, nodes)]
    assert alarms() == 2
    history.add("pods", change(101))
    assert [len(history._tracks[kind].waiters) for kind in ("pods", "nodes")] == [1, 1]
    history.announce({"pods"})
    history.announce({"pods", "claims"})
    await waits[0]
    assert (waits[1].done(), len(history._tracks["pods"].waiters)) == (False, 0)
    history.close()
    history.close()
    await waits[1]
    assert (history.closed, alarms()) == (True, 2), "an alarm stays for the next wait"
    for each in (pods, nodes):
        each.close()
        each.close()
    assert alarms() == 0


async def test_a_cursor_has_one_alarm_for_all_waits_until_the_same_deadline() -> None:
    history = History(100)
    cursor = history.cursor("pods", 100)
    deadline = asyncio.get_running_loop().time() + 60
    found = []
    for until in (deadline, deadline, deadline + 1):
        task = await begun(cursor, until)
        found.append(cursor._expiry)
        assert alarms() == 1
        history.announce({"pods"})
        await task
    assert found[0] is found[1] is not found[2]
    assert found[2] is not None
    assert found[2].when() == deadline + 1
    task = await begun(cursor, deadline)
    task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), alarms(), cursor._expiry) == (True, 0, None)
    assert not history._tracks["pods"].waiters


async def test_a_cursor_is_woken_by_its_deadline() -> None:
    history = History(100)
    cursor = history.cursor("pods", 100)
    await cursor.wait(asyncio.get_running_loop().time())
    assert (cursor._expiry, cursor.take(1)) == (None, [])
    cursor._expire()


def test_how_much_is_kept_is_a_decision() -> None:
    history = History(100)
    assert (history._byte_limit, history._change_limit) == (67_108_864, 100_000)
    assert (LINES_BYTES_MAX, OVERHEAD_BYTES) == (16_777_216, 200)
