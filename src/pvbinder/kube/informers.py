"""The informers that a process shares: one a kind, of one history.

`Informers.run` has one task for each informer, and that task has the kind's list and watch. It ends only when `run` is
cancelled: the manager does so after all controllers have stopped (MANAGER-3). A failure of the server doesn't end it
(INFORMER-8).

A process that waits for the lead holds them: their caches fill, and their handlers hear of nothing. So nothing piles up
while it waits, however long that is, and it begins as one that was just started does, but with full caches.

A kind that is asked for while they run begins to be watched at once. Only what is learnt from elsewhere is worth that,
such as what a driver can do: all others are asked for at the start, so that it is known when all are filled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TypeVar

from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.history import History
from pvbinder.kube.informer import Informer
from pvbinder.kube.informer_statistics import InformerStatistics
from pvbinder.model.resources import Resource

T = TypeVar("T", bound=KubernetesObject)


class Informers:
    """One informer a kind, shared by all controllers of a process: one list and one watch, however many listen."""

    def __init__(self, client: Client, *, streams: bool = False) -> None:
        """Make none yet; `streams` is how their first lists come (INFORMER-17)."""
        self.history = History()
        self._client = client
        self._streams = streams
        self._informers: dict[Resource, Informer[KubernetesObject]] = {}
        self._group: asyncio.TaskGroup | None = None  # while they run
        self._is_held = False

    def of(self, kind: Kind[T]) -> Informer[T]:
        """The informer of `kind`, made at the first call; it fills from `run()` on, or from now if that is earlier."""
        informer = self._informers.get(kind.resource)
        if informer is None:
            informer = Informer(
                self._client,
                kind,  # type: ignore[arg-type]
                history=self.history,
                decides=True,
                streams=self._streams,
            )
            if self._is_held:
                informer.hold()
            self._informers[kind.resource] = informer
            self._start(informer)
        elif informer.kind != kind:
            raise RuntimeError(f"{kind.resource.qualified} is read in two ways: one informer can't make both views")
        return informer  # type: ignore[return-value]

    def any_of(self, kind: Kind[T]) -> Informer[KubernetesObject]:
        """The informer of the resource of `kind`, whichever views it makes; as `kind` says if there is none yet."""
        if kind.resource not in self._informers:
            self.of(kind)
        return self._informers[kind.resource]

    def __iter__(self) -> Iterator[Informer[KubernetesObject]]:
        return iter(self._informers.values())

    def hold(self) -> None:
        """Hold all of them, those too that are asked for later, until `let_go()` (INFORMER-16)."""
        self._is_held = True
        for informer in self._informers.values():
            informer.hold()

    async def let_go(self) -> None:
        """Let handlers hear of what is there, and of what comes; the loop gets a turn after each kind."""
        self._is_held = False
        for informer in list(self._informers.values()):
            informer.let_go()
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Keep all of them current until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for informer in self._informers.values():
                    self._start(informer)
                await asyncio.Event().wait()
        finally:
            self._group = None

    def _start(self, informer: Informer[KubernetesObject]) -> None:
        if self._group is not None:
            self._group.create_task(informer.run(), name=f"informer {informer.kind.resource.qualified}")

    async def wait_synced(self) -> None:
        """Wait for the first list of every one that is asked for by now."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    def statistics(self) -> dict[str, InformerStatistics]:
        """By the name of the resource."""
        return {resource.qualified: informer.statistics() for resource, informer in self._informers.items()}
