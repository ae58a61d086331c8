"""Work on files, off the loop: in a bounded number of threads, and never two at once about the same thing.

WORK-1  Work with a key in common runs one after the other, in the order in which it came.
WORK-2  Work that was begun is finished, whether or not its caller still waits: a call that timed out leaves no half of
        a change, and the next call about the same thing waits for it.
WORK-3  Copies have threads of their own, so that they keep nothing short waiting.
WORK-4  No more than `WAITING_MAX` calls wait; one more is Unavailable.
WORK-5  An error of the disk is an answer: ResourceExhausted if it is full, else Internal.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from pvbinder import logs
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local.walking import TreeChangedError
from pvbinder.volumes.directories import LinkRefusedError

T = TypeVar("T")

SHORT_THREADS: Final = 4
LONG_THREADS: Final = 4
WAITING_MAX: Final = 4096

log = logs.get(__name__)


@dataclass(slots=True)
class _Turn:
    """Whose turn it is for a key, and how many want it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Work:
    """What runs work; see `working`."""

    def __init__(self, group: asyncio.TaskGroup, short: ThreadPoolExecutor, long: ThreadPoolExecutor) -> None:
        self._group = group
        self._short = short
        self._long = long
        self._turns: dict[str, _Turn] = {}
        self._waiting = 0

    async def run(self, keys: Iterable[str], function: Callable[[], T], *, is_long: bool = False) -> T:
        """Run `function` in a thread when it is the turn of all `keys`; raises what it raises (WORK-5)."""
        if self._waiting >= WAITING_MAX:
            raise CallFailed(Code.UNAVAILABLE, "the driver has too much to do: try again later")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._waiting += 1
        self._group.create_task(self._settle(sorted(set(keys)), function, is_long, done))
        return await asyncio.shield(done)

    async def _settle(self, keys: list[str], function: Callable[[], T], is_long: bool, done: asyncio.Future[T]) -> None:
        try:
            async with AsyncExitStack() as stack:
                for key in keys:
                    await stack.enter_async_context(self._turn(key))
                loop = asyncio.get_running_loop()
                done.set_result(await loop.run_in_executor(self._long if is_long else self._short, function))
        except asyncio.CancelledError:
            done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
            done.set_exception(_as_answer(error))
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncGenerator[None]:
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if turn.users == 0:
                del self._turns[key]


@asynccontextmanager
async def working() -> AsyncGenerator[Work]:
    """Give what runs work; leaving it waits until all that was begun is done."""
    threads = partial(ThreadPoolExecutor, thread_name_prefix="csi-local")
    with threads(SHORT_THREADS) as short, threads(LONG_THREADS) as long:
        failed: Exception | None = None
        async with asyncio.TaskGroup() as group:
            try:
                yield Work(group, short, long)
            except Exception as error:  # noqa: BLE001 - raised again when all is done, not as a group
                failed = error
        if failed is not None:
            raise failed


def _as_answer(error: Exception) -> Exception:
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return CallFailed(Code.RESOURCE_EXHAUSTED, "the disk is full")
        log.error("files can't be changed", err=str(error))
        return CallFailed(Code.INTERNAL, f"the driver can't change its files: {error.strerror or error}")
    if isinstance(error, TreeChangedError | LinkRefusedError):
        return CallFailed(Code.INTERNAL, f"the driver can't reach the data: {error}")
    return error
