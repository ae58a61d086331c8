"""Claims that a driver called impossible: what they want is asked for again, but seldom (LB-7, RS-6, VM-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class SlowSet:
    """Uids of claims, each for `seconds` from when it was added, and for one uid of what it was refused with."""

    def __init__(self, seconds: float, now: Callable[[], float] | None = None) -> None:
        self._seconds = seconds
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._until: dict[str, tuple[float, str]] = {}

    def add(self, uid: str, refused_with: str = "") -> None:
        """Have the claim wait from now on."""
        self._until[uid] = (self._now() + self._seconds, refused_with)

    def remove(self, uid: str) -> None:
        """Have the claim wait no longer."""
        self._until.pop(uid, None)

    def seconds_left(self, uid: str, refused_with: str = "") -> float:
        """Return how long the claim still waits; 0 if it doesn't, or was refused with something else."""
        until, with_what = self._until.get(uid, (0.0, refused_with))
        left = until - self._now()
        if left > 0 and with_what == refused_with:
            return left
        self._until.pop(uid, None)
        return 0.0
