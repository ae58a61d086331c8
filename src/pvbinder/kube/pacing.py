"""A bound on requests per second that the user sets: ``--kube-api-qps`` and ``--kube-api-burst``.

PACING-1  All lines of a process together send `burst` requests at once, and then so many in a second. Watches are not
          counted, as in client-go, nor are leases: whoever renews a lease too late loses the lead.
PACING-2  A request that is given up while it waits for its turn is never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from pvbinder.kube.election import LEASE_PATHS
from pvbinder.kube.queue import TokenBucket
from pvbinder.kube.transport import Answer, Request, Transport

QPS: Final = 5.0  # client-go's, where only the burst is given, or 0
BURST: Final = 10


def pace_of(qps: float | None, burst: int | None) -> TokenBucket | None:
    """Return the bound that the two flags set, as client-go reads them: 0 is its default, less than 0 none at all."""
    if (qps is None and burst is None) or (qps is not None and qps < 0):
        return None
    return TokenBucket(qps or QPS, burst or BURST)


@dataclass(frozen=True, slots=True)
class PacedLine:
    """A line whose requests wait for their turn; put it outside a fence, which is then asked when the turn has come."""

    line: Transport
    pace: TokenBucket

    async def send(self, request: Request) -> Answer:
        """Send `request` when its turn has come (PACING-1)."""
        if not request.path.startswith(LEASE_PATHS):
            await asyncio.sleep(self.pace.reserve(asyncio.get_running_loop().time()))
        return await self.line.send(request)

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch, at once."""
        return self.line.watch(request)
