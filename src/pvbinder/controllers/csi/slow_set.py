"""Claims that a driver called impossible: what they want is asked for again, but seldom (RS-6, VM-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class SlowSet:
    """Uids of claims, each for `seconds` from when it was added."""

    def __init__(self, seconds: float, now: Callable[[], float] | None = None) -> None:
        self._seconds = seconds
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._until: dict[str, float] = {}

    def add(self, uid: str) -> None:
        """Have the claim wait from now on."""
        self._until[uid] = self._now() + self._seconds

    def remove(self, uid: str) -> None:
        """Have the claim wait no longer."""
        self._until.pop(uid, None)

    def seconds_left(self, uid: str) -> float:
        """Return how long the claim still waits; 0 if it doesn't."""
        until = self._until.get(uid)
        left = until - self._now() if until is not None else 0.0
        if left <= 0:
            self._until.pop(uid, None)
        return max(left, 0.0)
