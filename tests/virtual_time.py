"""Tests on the loop on which waiting takes no time (`pvbinder.virtual_time`), so that none of them sleeps.

    @on_virtual_time
    async def test_a_failed_key_comes_back_after_its_delay() -> None:
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(1000)
        assert asyncio.get_running_loop().time() - started == 1000

An asynchronous fixture runs on pytest-asyncio's own loop: in these tests use an async context manager instead.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from pvbinder.virtual_time import NothingLeftToDo, VirtualTimeLoop

__all__ = ["NothingLeftToDo", "VirtualTimeLoop", "on_virtual_time"]

P = ParamSpec("P")


def on_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test on a loop of its own whose waits take no time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
