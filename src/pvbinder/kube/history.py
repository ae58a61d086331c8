"""Whether all caches of a process tell of one history of the server.

A restored backup takes the server back to a past, and each cache learns of it at its own time: the one has volumes of
the new history already, the other still has claims that were never made there. A pair of the two histories is a false
pair, and its claim is, on a true proof, gone. So the caches are believed together or not at all.

HISTORY-1  When one cache sees that revisions begin anew, every other one lists anew, and believes what is listed.
HISTORY-2  Until each cache that decides has done so, no decision is made: work queues wait for `wait_whole()`.
HISTORY-3  A cache that sees the same break by itself begins no second one.

Not promised: that a break is seen before the first request that meets it. Writes name the revision they were made from,
and a bind that meets a claim of the undone time takes its reservation back (BEGUN-1). It belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pvbinder import logs
from pvbinder.kube.handover import Handover

PATIENCE_SECONDS: Final = 30.0  # until a log line says which caches are waited for

log = logs.get(__name__)


class Follower:
    """One cache's part in a history: up to which epoch it has listed."""

    __slots__ = ("epoch", "list_anew", "name")

    def __init__(self, name: str, list_anew: Callable[[], None]) -> None:
        self.name = name
        self.list_anew = list_anew
        self.epoch = 0


class History:
    """The epochs of a server, counted by its breaks, and the caches that follow them."""

    def __init__(self) -> None:
        self.epoch = 0
        self.handover = Handover()  # the end of all decisions by these caches
        self._followers: list[Follower] = []
        self._decisive: set[Follower] = set()
        self._behind: set[Follower] = set()
        self._whole = asyncio.Event()
        self._whole.set()

    @property
    def is_whole(self) -> bool:
        """Whether all caches that decide are of this epoch."""
        return not self._behind

    def join(self, follower: Follower, *, decides: bool) -> None:
        """Have `follower` told of breaks; with `decides`, decisions wait for it."""
        follower.epoch = self.epoch
        self._followers.append(follower)
        if decides:
            self._decisive.add(follower)

    def leave(self, follower: Follower) -> None:
        """Tell `follower` nothing more, and wait for it no longer."""
        self._followers.remove(follower)
        self._decisive.discard(follower)
        self._forgo(follower)

    def begin_anew(self, seen_by: Follower) -> None:
        """Begin an epoch, unless `seen_by` only now sees the break that began this one (HISTORY-1, HISTORY-3)."""
        if seen_by.epoch < self.epoch:
            return
        self.epoch += 1
        self._behind = set(self._decisive)
        if self._behind:
            self._whole.clear()
        for follower in self._followers:
            if follower is not seen_by:
                follower.list_anew()

    def has_listed(self, follower: Follower, epoch: int) -> None:
        """Note that `follower` has all that a list of `epoch` says."""
        follower.epoch = epoch
        if epoch == self.epoch:
            self._forgo(follower)

    def _forgo(self, follower: Follower) -> None:
        self._behind.discard(follower)
        if not self._behind:
            self._whole.set()

    async def wait_whole(self) -> None:
        """Wait until all caches that decide are of this epoch, and say now and then for which ones (HISTORY-2)."""
        while not self.is_whole:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._whole.wait()
            except TimeoutError:
                missing = ",".join(sorted(follower.name for follower in self._behind))
                log.warning("revisions began anew, and caches are not listed since", resources=missing)
