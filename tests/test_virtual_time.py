"""The promises of the tests' clock."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.virtual_time import NothingLeftToDo, VirtualTimeLoop, on_virtual_time

from pvbinder.virtual_time import VirtualClock


@on_virtual_time
async def test_virtual_1_waiting_takes_no_time() -> None:  # else it meets the time limit of a test
    loop = asyncio.get_running_loop()
    started = loop.time()

    await asyncio.sleep(1000)

    assert loop.time() - started == 1000


@on_virtual_time
async def test_virtual_1_timers_fire_in_order_and_at_their_time() -> None:
    loop = asyncio.get_running_loop()
    fired: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, loop.time()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in {"late": 30.0, "soon": 0.005, "later": 30.5}.items():
            group.create_task(wait(name, seconds))

    assert fired == [("soon", 0.005), ("late", 30.0), ("later", 30.5)]


@on_virtual_time
async def test_virtual_2_time_waits_for_a_thread() -> None:
    loop = asyncio.get_running_loop()

    await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.02), timeout=10)

    assert loop.time() < 10


@on_virtual_time
async def test_virtual_2_time_waits_for_what_it_was_told_about() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    done = asyncio.Event()
    busy = True

    def work() -> None:
        nonlocal busy
        time.sleep(0.02)
        loop.call_soon_threadsafe(done.set)
        busy = False

    loop.watch_outside(lambda: busy)
    thread = threading.Thread(target=work)
    thread.start()

    await asyncio.wait_for(done.wait(), timeout=10)

    thread.join()
    assert loop.time() < 10


@on_virtual_time
async def test_virtual_2_time_waits_for_a_socket() -> None:
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    timer = threading.Timer(0.02, there.send, [b"x"])
    timer.start()

    assert await asyncio.wait_for(reader.readexactly(1), timeout=10) == b"x"

    timer.join()
    writer.close()
    there.close()
    await writer.wait_closed()


def test_virtual_3_a_wait_for_nothing_fails_at_once() -> None:
    @on_virtual_time
    async def hangs() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftToDo, match="test_virtual_time"):
        hangs()


@on_virtual_time
async def test_virtual_4_another_thread_may_not_call_the_loop() -> None:
    loop = asyncio.get_running_loop()

    with pytest.raises(RuntimeError, match="another thread"):
        await asyncio.to_thread(loop.call_soon, print)
    with pytest.raises(RuntimeError, match="another thread"):
        await asyncio.to_thread(loop.call_later, 1.0, print)


@on_virtual_time
async def test_virtual_5_the_clock_goes_with_the_loop() -> None:
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    await asyncio.sleep(5)
    clock = VirtualClock(monday, asyncio.get_running_loop())

    assert clock() == monday
    await asyncio.sleep(3600)
    assert clock() == monday + timedelta(hours=1)
