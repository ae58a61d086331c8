"""Signals to stop: the effect of the first one, and that of a second one, which is never held back."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from pvbinder.cli.signals import SIGNALS, listening

DEADLINE_SECONDS = 10


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
async def test_signals_1_who_is_ready_hears_of_it(number: signal.Signals) -> None:
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        stop.is_ready = True
        os.kill(os.getpid(), number)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stop.wished.wait()

    assert stop.number == number


async def test_signals_3_a_terminal_that_is_closed_is_a_wish_unless_it_is_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        task = asyncio.current_task()
        assert task is not None
        with listening(task) as stop:
            stop.is_ready = True
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
        assert not stop.number
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_signals_1_who_is_not_ready_is_cancelled() -> None:
    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        with listening(task) as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return stop.number
        return 0

    async with asyncio.timeout(DEADLINE_SECONDS):
        assert await asyncio.create_task(main()) == signal.SIGTERM


async def test_signals_2_the_second_one_is_the_systems() -> None:
    task = asyncio.current_task()
    assert task is not None
    with listening(task) as stop:
        stop.is_ready = True
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await stop.wished.wait()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
