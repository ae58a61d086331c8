"""An API server that is away, overloaded or confused for minutes: the controllers wait, go on, and end right.

On virtual time, so that minutes cost nothing. Every request is counted: there is no hot loop, whatever is answered. The
faults of connections themselves (resets, half answers, doubled and truncated events) are tried over sockets by
`tests.adversary` and by `tests.kube.test_http`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

import pytest
from tests.controllers.cluster import ADMIN, claim, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.manager import Manager
from pvbinder.controllers.registry import beside_a_cluster
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.server.embedded import EmbeddedServer

pytestmark = pytest.mark.slow

OUTAGE_SECONDS: Final = 200.0
PAIRS: Final = 10
BURST_MAX: Final = 40  # requests in a second, after the first: six lists are tried five times each, and keys come back
LATER_MAX: Final = 4  # requests in a second on average, when it has been away for a minute
SETTLED_SECONDS_MAX: Final = 60.0


def refusal(code: int, reason: str, retry_after: str = "") -> Answer:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": "broken by the test", "code": code}
    return Answer(code, json.dumps(body).encode(), {"retry-after": retry_after} if retry_after else {})


def no_connection() -> Answer:
    raise ConnectionFailed("refused by the test", request_sent=False)


def lost_answer() -> Answer:
    raise ConnectionFailed("reset by the test")


TROUBLES: Final[dict[str, Callable[[], Answer]]] = {
    "refused": no_connection,
    "reset": lost_answer,
    "429": lambda: refusal(429, "TooManyRequests", "5"),
    "500": lambda: refusal(500, "InternalError"),
    "503": lambda: refusal(503, "ServiceUnavailable"),
    "a page": lambda: Answer(200, b"<html>maintenance</html>"),
    "hanging": no_connection,  # after a minute, which is the limit of the line
}


@dataclass
class Line:
    """A line that is in trouble while `trouble` says what is answered."""

    below: InProcessTransport
    trouble: Callable[[], Answer] | None = None
    hangs_seconds: float = 0.0
    carries_out: bool = False  # writes happen, and the answer is the trouble all the same
    times: list[float] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.times.append(asyncio.get_running_loop().time())
        trouble = self.trouble
        if trouble is None:
            return await self.below.send(request)
        if self.carries_out and request.method != "GET":
            await self.below.send(request)
        await asyncio.sleep(self.hangs_seconds)
        return trouble()

    @contextlib.asynccontextmanager
    async def _broken(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        answer = await self.send(request)
        if answer.status:
            raise ApiFailure.from_answer(answer)
        yield nothing()

    @contextlib.asynccontextmanager
    async def _watched(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self.below.watch(request) as lines:
            yield self._until_trouble(lines)

    async def _until_trouble(self, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for line in lines:
            if self.trouble is not None:
                raise ConnectionFailed("the watch broke")
            yield line

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._broken(request) if self.trouble is not None else self._watched(request)

    def rate(self, start: float, end: float) -> float:
        return sum(start <= at < end for at in self.times) / (end - start)


async def nothing() -> AsyncIterator[bytes]:
    """No lines."""
    for line in tuple[bytes, ...]():
        yield line


async def bound(user: Client) -> dict[str, str]:
    return {
        one.name: one.volume_name
        async for page in user.pages(CLAIMS)
        for one in page.items
        if one.phase == "Bound" and one.volume_name
    }


@pytest.mark.parametrize("name", TROUBLES)
@on_virtual_time
async def test_a_server_in_trouble_is_not_overrun_and_all_ends_right(name: str) -> None:
    async with EmbeddedServer(listen=False) as server, asyncio.TaskGroup() as group:
        loop = asyncio.get_running_loop()
        user = Client(InProcessTransport(server.dispatcher, ADMIN))
        line = Line(InProcessTransport(server.dispatcher, ADMIN))
        manager = Manager(line, known=beside_a_cluster())
        running = group.create_task(manager.run())
        await manager.wait_ready()
        for number in range(PAIRS):
            await user.create(VOLUMES, volume(f"disk-{number}"))
            await user.create(CLAIMS, claim(f"claim-{number}"))
        line.hangs_seconds = 60.0 if name == "hanging" else 0.0
        line.carries_out = name in ("reset", "500")
        line.trouble = TROUBLES[name]
        began = loop.time()
        await asyncio.sleep(OUTAGE_SECONDS)
        line.trouble, line.hangs_seconds = None, 0.0

        busiest = max(line.rate(began + second, began + second + 1) for second in range(1, int(OUTAGE_SECONDS)))
        assert busiest <= BURST_MAX
        assert line.rate(began + 60, began + OUTAGE_SECONDS) <= LATER_MAX
        healed = loop.time()
        async with asyncio.timeout(SETTLED_SECONDS_MAX + 1000):
            while len(await bound(user)) < PAIRS:
                await asyncio.sleep(1)
        took = loop.time() - healed
        pairs = await bound(user)
        assert len(set(pairs.values())) == PAIRS
        assert took <= SETTLED_SECONDS_MAX, took
        running.cancel()
