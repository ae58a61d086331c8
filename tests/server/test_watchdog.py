"""The watchdog itself: it names the callback that holds the loop, and doesn't count waiting."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.server.child import running_server
from tests.server.watchdog import Watchdog, watchdog  # noqa: F401  (a fixture)


async def _work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def test_who_holds_the_loop_is_named(watchdog: Watchdog) -> None:  # noqa: F811
    await asyncio.create_task(_work(0.06))
    assert watchdog.longest.seconds >= 0.06
    assert "_work" in watchdog.longest.callback
    with pytest.raises(AssertionError, match=r"50 ms at most: the loop was held by .*_work"):
        watchdog.check(0.05)


async def test_who_waits_does_not_hold_it(watchdog: Watchdog) -> None:  # noqa: F811
    await asyncio.create_task(asyncio.to_thread(time.sleep, 0.2))
    watchdog.check()
    watchdog.reset()
    assert watchdog.longest.seconds == 0.0


def test_a_server_in_a_process_tells_its_figures(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        assert 10 < server.memory_mib <= server.peak_mib
        assert server.cpu_seconds > 0
        server.longest()
        server.check_longest()
