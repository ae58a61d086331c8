"""Events are deleted an hour after their last write (the reference's ``--event-ttl``), so that they don't pile up.

EXPIRY-1  An event goes no sooner than `seconds` after its last write, and no later than a sweep after that, or one hour
          after a restart.
EXPIRY-2  Whoever watches sees each of them deleted.

There is no clock on each event: each sweep notes the store's revision, and deletes the events that haven't been written
since an old enough one.

Rules: docs/rules/apiserver.md#1-resource-table
"""

from __future__ import annotations

import asyncio
from collections import deque

from pvbinder.server.store import StoreView, WriteFailed

EVENT_SECONDS = 3600.0
SWEEP_SECONDS = 60.0
DELETIONS_PER_TURN = 200  # deletions in one turn of the loop


class Expiry:
    """Forgets the objects of one kind some time after their last write. Construct, then ``await run()``."""

    def __init__(
        self, store: StoreView, kind: str, *, seconds: float = EVENT_SECONDS, sweep_seconds: float = SWEEP_SECONDS
    ) -> None:
        self._store = store
        self._kind = kind
        self._seconds = seconds
        self._sweep_seconds = sweep_seconds
        self._noted: deque[tuple[float, int]] = deque()  # (when, the revision then), oldest first

    async def run(self) -> None:
        """Sweep until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            self._noted.append((clock(), self._store.revision))
            await asyncio.sleep(self._sweep_seconds)
            old = 0
            while self._noted and clock() - self._noted[0][0] >= self._seconds:
                _, old = self._noted.popleft()
            if old:
                await self._forget(old)

    async def _forget(self, revision: int) -> None:
        """Delete what has not been written after `revision`."""
        keys = [key for key, stored in self._store.objects(self._kind) if stored.revision <= revision]
        for start in range(0, len(keys), DELETIONS_PER_TURN):
            pending = []
            for key in keys[start : start + DELETIONS_PER_TURN]:
                head = self._store.head(self._kind, key)
                if head is not None and head.revision <= revision:
                    pending.append(self._store.delete(self._kind, key)[1])
            for durable in pending:
                try:
                    await durable
                except WriteFailed:
                    return  # the store has said so in the log; the next sweep finds them again
