"""New links for whoever presses Enter."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pvbinder.cli import links
from pvbinder.cli.links import renewing


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: what a person holds, and what the process reads."""
    person, process = pty.openpty()
    yield person, process
    os.close(person)
    os.close(process)


class Renewals:
    """Counts, and can be waited for."""

    def __init__(self) -> None:
        self.count = 0
        self._more = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._more.set()

    async def next(self) -> None:
        async with asyncio.timeout(30):
            await self._more.wait()
        self._more.clear()


async def test_links_1_enter_gives_a_new_one(terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    renewals = Renewals()
    with renewing(renewals, terminal[1]):
        for _ in range(2):
            os.write(terminal[0], b"\n")
            await renewals.next()
    assert renewals.count == 2


async def test_links_1_without_a_terminal_a_signal_does() -> None:
    renewals = Renewals()
    reader, writer = os.pipe()
    with renewing(renewals, reader):
        os.kill(os.getpid(), signal.SIGUSR1)
        await renewals.next()
        os.write(writer, b"\n")
        await asyncio.sleep(0)
    assert os.read(reader, 9) == b"\n", "what comes by a pipe is somebody else's"
    os.close(reader)
    os.close(writer)


async def test_links_2_in_the_background_nothing_is_read(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = [os.getpgrp() + 1]
    asked: list[Any] = []

    def foreground(descriptor: int) -> int:
        asked.append(descriptor)
        return groups[0]

    monkeypatch.setattr(os, "tcgetpgrp", foreground)
    monkeypatch.setattr(links, "LOOK_AGAIN_SECONDS", 0.001)
    renewals = Renewals()
    with renewing(renewals, terminal[1]):
        os.write(terminal[0], b"\n")
        async with asyncio.timeout(30):
            while len(asked) < 3:
                await asyncio.sleep(0)
        assert renewals.count == 0
        groups[0] = os.getpgrp()
        await renewals.next()
