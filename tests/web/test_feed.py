"""The rows and their changes for one reader."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from typing import Any, cast

from tests.insight.builders import claim, storage_class, volume
from tests.virtual_time import on_virtual_time
from tests.web.visitor import Changing, view_of

from pvbinder.server.wire.messages import Closable
from pvbinder.web.feed import (
    BATCH_ROWS,
    BATCH_SECONDS,
    BEAT_SECONDS,
    DECISIONS_FIRST,
    PIECE_ROWS,
    WAITING_MAX,
    Feed,
    event,
)
from pvbinder.web.journal import Journal, NotedEvent
from pvbinder.web.rows import RowKind, ShownRow, row_of


class Reader:
    """A feed of objects, and what it yields."""

    def __init__(self, objects: Changing) -> None:
        self.objects = objects
        self.feed = Feed(objects.keys, self.row)
        objects.listen(lambda kind, before, after: self.feed.changed(kind, (after or before).key))  # type: ignore[union-attr]
        self.events: AsyncIterator[bytes] = self.feed.events()
        self.made = 0

    def row(self, kind: RowKind, key: str) -> ShownRow | None:
        self.made += 1
        view = self.objects.get(kind, key)
        return row_of(view, lambda _: ()) if view is not None else None

    async def next(self) -> tuple[str, Any]:
        text = (await anext(self.events)).decode()
        if text == ":\n\n":
            return ":", None
        name, data, *rest = text.split("\n")
        assert rest == ["", ""]
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def rest(self) -> list[tuple[str, Any]]:
        return [each async for each in self._parsed()]

    async def _parsed(self) -> AsyncIterator[tuple[str, Any]]:
        while True:
            try:
                yield await self.next()
            except StopAsyncIteration:
                return


def ids(document: Any) -> list[str]:
    return [row["id"] for row in document["rows"]]


@on_virtual_time
async def test_feed_1_all_rows_come_first_in_pieces_and_in_order() -> None:
    volumes = [view_of(volume(f"v{number}")) for number in range(PIECE_ROWS)]
    reader = Reader(Changing([view_of(claim()), *volumes, view_of(storage_class())]))
    async with aclosing(cast("Closable", reader.events)):
        name, first = await reader.next()
        assert (name, first["done"], len(first["rows"])) == ("rows", False, PIECE_ROWS)
        assert ids(first)[:2] == ["class/fast", "volume/v0"]
        name, second = await reader.next()
        assert (name, second["done"], ids(second)) == ("rows", True, [f"volume/v{PIECE_ROWS - 1}", "claim/shop/orders"])


@on_virtual_time
async def test_feed_1_nothing_at_all_is_said_too() -> None:
    reader = Reader(Changing())
    assert await reader.next() == ("rows", {"rows": [], "done": True})


@on_virtual_time
async def test_feed_1_a_change_while_rows_are_sent_isnt_lost() -> None:
    objects = Changing([view_of(volume(f"v{number:04}")) for number in range(PIECE_ROWS + 1)])
    reader = Reader(objects)
    await reader.next()
    objects.put(view_of(volume("v0000", phase="Released")))
    objects.remove("volume", "v0001")
    await reader.next()
    name, change = await reader.next()
    assert name == "change"
    assert [(row["id"], row["state"]) for row in change["rows"]] == [("volume/v0000", "Released")]
    assert change["gone"] == ["volume/v0001"]


@on_virtual_time
async def test_feed_2_changes_come_in_batches_with_the_newest_state() -> None:
    objects = Changing()
    reader = Reader(objects)
    await reader.next()
    clock = asyncio.get_running_loop().time
    times = []
    for phase in ("Available", "Bound", "Released"):
        for size in ("1Gi", "2Gi"):
            objects.put(view_of(volume("v", size, phase=phase)))
        _, change = await reader.next()
        times.append(clock())
        assert [(row["state"], row["facts"]["size"]) for row in change["rows"]] == [(phase, "2Gi")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap >= BATCH_SECONDS - 1e-9 for gap in gaps)
    assert all(gap < 2 * BATCH_SECONDS for gap in gaps)


@on_virtual_time
async def test_feed_2_a_large_change_comes_in_parts() -> None:
    objects = Changing()
    reader = Reader(objects)
    await reader.next()
    for number in range(BATCH_ROWS + 1):
        objects.put(view_of(volume(f"v{number}")))
    assert [len((await reader.next())[1]["rows"]) for _ in range(2)] == [BATCH_ROWS, 1]


@on_virtual_time
async def test_feed_3_a_reader_that_is_too_slow_begins_anew() -> None:
    objects = Changing([view_of(volume("v"))])
    reader = Reader(objects)
    await reader.next()
    for number in range(2 * WAITING_MAX):
        reader.feed.changed("claim", f"shop/c{number}")
    assert len(reader.feed._changed) <= WAITING_MAX
    assert await reader.next() == ("reset", {})
    assert ids((await reader.next())[1]) == ["volume/v"]
    objects.put(view_of(volume("w")))
    assert ids((await reader.next())[1]) == ["volume/w"], "and goes on as before"


async def test_feed_4_others_get_their_turn() -> None:
    class Slow(Changing):
        def get(self, kind: RowKind, key: str) -> Any:
            time.sleep(0.001)
            return super().get(kind, key)

    reader = Reader(Slow([view_of(volume(f"v{number}")) for number in range(100)]))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.get_running_loop().create_task(others())
    await reader.next()
    other.cancel()
    assert turns >= 5, "in 100 ms"


@on_virtual_time
async def test_feed_5_silence_is_broken_now_and_then() -> None:
    reader = Reader(Changing())
    await reader.next()
    began = asyncio.get_running_loop().time()
    assert await reader.next() == (":", None)
    assert asyncio.get_running_loop().time() - began == BEAT_SECONDS


@on_virtual_time
async def test_feed_5_a_feed_that_is_closed_ends() -> None:
    reader = Reader(Changing())
    await reader.next()
    reader.feed.close()
    assert await reader.rest() == []


@on_virtual_time
async def test_feed_6_decisions_follow_the_rows_each_once() -> None:
    journal = Journal()

    def decide(count: int) -> None:
        for number in range(count):
            journal.note(NotedEvent(1.0, "claim/shop/orders", str(number)))
        list(journal.fold(2.0))

    decide(DECISIONS_FIRST + 5)
    feed = Feed(lambda _: [], lambda *_: None, journal)
    events = feed.events()
    told: list[int] = []
    names: list[str] = []
    async with aclosing(cast("Closable", events)):
        while len(told) < DECISIONS_FIRST:
            name, data, *_ = (await anext(events)).decode().split("\n")
            names.append(name)
            told += [each["seq"] for each in json.loads(data[6:]).get("decisions", ())]
        assert names[0] == "event: rows"
        decide(1)
        feed.decided()
        told += [each["seq"] for each in json.loads((await anext(events)).split(b"data: ")[1])["decisions"]]
    assert told == list(range(6, DECISIONS_FIRST + 7))


def test_feed_1_an_event_is_two_lines_whatever_is_in_it() -> None:
    made = event("rows", {"note": "a\n\nevent: x\r\ndata: y\u2028"})
    assert made.count(b"\n") == 3
    assert made.startswith(b"event: rows\ndata: {")
