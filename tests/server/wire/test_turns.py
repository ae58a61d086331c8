"""Turns on the loop, with parsers that count their input."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pvbinder.server.wire import turns
from pvbinder.server.wire.turns import INBOX_BYTES_MAX, PIECE_BYTES, Paced, Turns


@dataclass(slots=True)
class Transport:
    """What a connection asks of its transport."""

    is_paused: bool = False
    said: list[str] = field(default_factory=list)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.said.append(name)


class Parser(asyncio.Protocol):
    """A parser that counts its input, and seems to take long for it."""

    def __init__(self, name: str, order: list[str], clock: list[float], seconds: float) -> None:
        self.name, self.order, self.clock, self.seconds = name, order, clock, seconds
        self.taken = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert len(data) <= PIECE_BYTES
        self.taken += data
        self.order.append(self.name)
        self.clock[0] += self.seconds


class Hall:
    """Connections that share the turns of one loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = [0.0]
        self.order: list[str] = []
        monkeypatch.setattr(turns, "perf_counter", lambda: self.clock[0])
        self.turns = Turns()

    def connect(self, name: str, seconds: float = 0.001) -> tuple[Paced, Parser, Transport]:
        paced, parser, transport = Paced(self.turns), Parser(name, self.order, self.clock, seconds), Transport()
        paced.begin(cast(Any, parser), cast(Any, transport))
        return paced, parser, transport


async def test_turn_1_a_turn_ends_after_its_time_whatever_came(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    for number in range(100):
        hall.connect(str(number))[0].data_received(b"x" * 10)
    assert len(hall.order) == 4, "4 ms of 1 ms each"
    await asyncio.sleep(0)
    assert len(hall.order) == 8
    while len(hall.order) < 100:
        await asyncio.sleep(0)
    assert sorted(map(int, hall.order)) == list(range(100))


async def test_turn_1_what_comes_is_parsed_whole_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    paced, parser, _ = hall.connect("a")
    sent = bytes(range(256)) * 250
    for start in range(0, len(sent), 7001):
        paced.data_received(sent[start : start + 7001])
    while len(parser.taken) < len(sent):
        await asyncio.sleep(0)
    assert parser.taken == sent


async def test_turn_2_who_used_the_least_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    busy = [hall.connect(f"busy {number}")[0] for number in range(50)]
    for paced in busy:
        paced.data_received(bytes(60_000))
    for _ in range(30):
        await asyncio.sleep(0)
    seldom = hall.connect("seldom")[0]
    hall.order.clear()
    seldom.data_received(b"GET")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert "seldom" in hall.order[:8]


async def test_turn_3_who_has_too_much_unparsed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    paced, parser, transport = hall.connect("a", seconds=1.0)
    paced.data_received(bytes(PIECE_BYTES))  # which uses up this turn
    paced.data_received(bytes(INBOX_BYTES_MAX))
    paced.data_received(bytes(1))
    assert transport.is_paused
    while len(parser.taken) < INBOX_BYTES_MAX + PIECE_BYTES + 1:
        await asyncio.sleep(0)
    assert not transport.is_paused


async def test_turn_3_who_holds_its_transport_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    paced, parser, transport = hall.connect("a")
    parser.transport.pause_reading()
    paced.data_received(b"later")
    await asyncio.sleep(0)
    assert (parser.taken, transport.is_paused) == (b"", True)
    parser.transport.resume_reading()
    await asyncio.sleep(0)
    assert (parser.taken, transport.is_paused) == (b"later", False)


async def test_turn_3_who_was_put_out_holds_nothing_and_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    monkeypatch.setattr(turns, "GOODBYE_SECONDS", 0.0)
    paced, parser, transport = hall.connect("a")
    paced.data_received(bytes(60_000))
    taken = len(parser.taken)
    parser.transport.put_out()
    paced.data_received(bytes(60_000))
    while "abort" not in transport.said:
        await asyncio.sleep(0)
    assert len(parser.taken) == taken
    assert transport.said == ["close", "abort"]


async def test_turn_3_going_on_where_nothing_is_held_costs_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall(monkeypatch)
    paced, parser, _ = hall.connect("a")
    parser.transport.resume_reading()
    paced.data_received(b"now")
    assert parser.taken == b"now"
