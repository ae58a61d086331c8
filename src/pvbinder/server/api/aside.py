"""Work that would hold the loop for too long is done aside: in threads of their own, in turn by user.

ASIDE-1  Light work is done at once, in the turn of the loop that asks for it: nothing waits, and no other write comes
         between.
ASIDE-2  Heavy work never holds the loop: it runs in a thread, and the loop gets the interpreter back within
         `SWITCH_SECONDS` whenever it has something to do.
ASIDE-3  Nobody stops the others: each user has at most one piece of heavy work under way and `WAITING_MAX` waiting, of
         `WAITING_BYTES_MAX` bytes, and users have their turn one after the other. Who asks for more is told to try
         again (429).

What is given must be pure: it may look at its arguments and at tables that never change, never at the store. Who has
waited looks again at what may have changed meanwhile (`server.api.rest.write_request`).

Call it from the loop's thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pvbinder.server.errors import ApiError

T = TypeVar("T")

LIGHT_BYTES_MAX: Final = 16 << 10  # of JSON: all work on it takes some milliseconds at most
LIGHT_YAML_BYTES_MAX: Final = 4 << 10  # it is read event by event, in Python
SWITCH_SECONDS: Final = 0.001
WORKERS: Final = 2
WAITING_MAX: Final = 50  # for each user
WAITING_BYTES_MAX: Final = 16 << 20  # for each user: waiting work holds its body
WAITING_OF_ALL_MAX: Final = 500
WAITING_BYTES_OF_ALL_MAX: Final = 96 << 20


@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    size: int


class Aside:
    """The threads for heavy work, and the work that waits for them."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting: dict[str, deque[_Job]] = {}  # by user, the next one first
        self._busy: set[str] = set()
        self.count = 0  # pieces of heavy work so far

    async def run(self, user: str, work: Callable[[], T], *, heavy: bool, size: int = 0) -> T:
        """Return what `work` returns, or raise what it raises; ApiError 429 if too much waits (ASIDE-1 to 3).

        `size` is the number of bytes held for it while it waits.
        """
        if not heavy:
            return work()
        job: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._add(user, _Job(work, job, size))
        return await job

    def close(self) -> None:
        """End the threads; waiting work is cancelled."""
        for jobs in self._waiting.values():
            for job in jobs:
                job.done.cancel()
        self._waiting.clear()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None

    def _add(self, user: str, job: _Job) -> None:
        jobs = self._waiting.get(user, deque())
        if jobs and (len(jobs) >= WAITING_MAX or sum(other.size for other in jobs) + job.size > WAITING_BYTES_MAX):
            raise _too_many()
        everybody = [other for of_user in self._waiting.values() for other in of_user]
        held = sum(other.size for other in everybody)
        if len(everybody) >= WAITING_OF_ALL_MAX or held + job.size > WAITING_BYTES_OF_ALL_MAX:
            raise _too_many()
        jobs.append(job)
        self._waiting[user] = jobs
        self.count += 1
        self._start()

    def _start(self) -> None:
        while len(self._busy) < WORKERS:
            user = next((user for user in self._waiting if user not in self._busy), None)
            if user is None:
                return
            jobs = self._waiting.pop(user)
            job = jobs.popleft()
            if jobs:
                self._waiting[user] = jobs  # at the end: the others come first
            if job.done.cancelled():  # the client has gone
                continue
            self._busy.add(user)
            running = asyncio.get_running_loop().run_in_executor(self._executor(), job.work)
            running.add_done_callback(lambda running, user=user, job=job: self._ended(user, job, running))  # type: ignore[misc]

    def _executor(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="pvbinder-aside")
            sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        return self._threads

    def _ended(self, user: str, job: _Job, running: asyncio.Future[Any]) -> None:
        self._busy.discard(user)
        if running.cancelled():
            job.done.cancel()
        elif job.done.cancelled():
            running.exception()  # nobody waits for it
        elif (error := running.exception()) is not None:
            job.done.set_exception(error)
        else:
            job.done.set_result(running.result())
        self._start()


def is_heavy(size: int, content_type: str = "", body: bytes = b"") -> bool:
    """Tell whether what is to be made of `size` bytes, of a `body` of that type among them, is heavy work."""
    if size > LIGHT_BYTES_MAX:
        return True
    if content_type == "application/json":  # as nearly all are
        return False
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.endswith("yaml"):  # few bytes of it can stand for many
        return len(body) > LIGHT_YAML_BYTES_MAX or (b"&" in body and b"*" in body)
    return media_type == "application/json-patch+json" and (len(body) > LIGHT_YAML_BYTES_MAX or b"copy" in body)


def _too_many() -> ApiError:
    message = "the server has too much work waiting, please try again later"
    return ApiError(429, "TooManyRequests", message, details={"retryAfterSeconds": 1}, headers={"Retry-After": "1"})
