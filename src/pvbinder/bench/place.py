"""The objects of a run: made in a namespace and a class of their own, and taken away again (BENCH-1, BENCH-2)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, NAMESPACES, VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json

IN_FLIGHT: Final = 64
LABEL: Final = "pvbinder.dev/bench"
PREFIX: Final = "pvbinder-bench"
GONE_SECONDS: Final = 60.0  # until finalizers that nobody takes away are taken away here
CLEAN_UP_SECONDS: Final = 300.0

T = TypeVar("T")


class LeftOverError(PvbinderError):
    """Objects of a run could not be deleted."""


class BenchPlace:
    """The namespace, the class and the volumes of one run."""

    def __init__(self, client: Client, run: str) -> None:
        self.client = client
        self.run = run
        self.namespace = self.storage_class = f"{PREFIX}-{run}"

    @property
    def selector(self) -> str:
        """The label selector of everything that the run made."""
        return f"{LABEL}={self.run}"

    def volume(self, number: int) -> Json:
        """Return a volume of this run that holds nothing and is used by nobody."""
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self.storage_class}-{number:06}", "labels": {LABEL: self.run}},
            "spec": {
                "storageClassName": self.storage_class,
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": f"/nonexistent/{self.storage_class}"},
            },
        }

    def claim(self, number: int) -> Json:
        """Return a claim that any volume of this run fits."""
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"claim-{number:06}",
                "namespace": self.namespace,
                "labels": {LABEL: self.run},
            },
            "spec": {
                "storageClassName": self.storage_class,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }

    async def make_namespace(self) -> None:
        """Create the namespace."""
        await self.client.create(NAMESPACES, {"metadata": {"name": self.namespace, "labels": {LABEL: self.run}}})

    async def make_volumes(self, numbers: Iterable[int]) -> None:
        """Create volumes, many at once."""
        await at_once(numbers, lambda number: self.client.create(VOLUMES, self.volume(number)))

    async def make_claims(self, numbers: Iterable[int]) -> None:
        """Create claims, many at once."""
        await at_once(numbers, lambda number: self.client.create(CLAIMS, self.claim(number)))

    async def clean_up(self, *, patience_seconds: float = GONE_SECONDS) -> None:
        """Delete everything that the run made; raise `LeftOverError` with what is left.

        Finalizers that nobody takes away for `patience_seconds` are taken away here.
        """
        try:
            async with asyncio.timeout(CLEAN_UP_SECONDS):
                await self._delete_all(CLAIMS, patience_seconds)
                await self._delete_all(VOLUMES, patience_seconds)
                await self.client.delete(NAMESPACES, self.namespace)
        except (TimeoutError, ApiFailure, ConnectionFailed) as error:
            raise LeftOverError(
                f"objects of this run may be left over: {getattr(error, 'message', 'they are not deleted in time')}",
                hint=f"kubectl delete ns/{self.namespace}; kubectl delete pv -l {self.selector}",
            ) from error

    async def _delete_all(self, kind: Kind[Any], patience_seconds: float) -> None:
        asked: set[str] = set()
        loop = asyncio.get_running_loop()
        patience_ends = loop.time() + patience_seconds
        while left := await self.client.list_all(kind, label_selector=self.selector):
            new = [view for view in left if view.key not in asked]
            asked.update(view.key for view in new)
            await at_once(new, lambda view: self._delete(kind, view))
            if loop.time() >= patience_ends:
                await at_once(left, lambda view: self._take_finalizers_away(kind, view))
            await asyncio.sleep(0.5)

    async def _delete(self, kind: Kind[Any], view: KubernetesObject) -> None:
        with contextlib.suppress(ApiFailure):
            await self.client.delete(kind, view.name, view.namespace, uid=view.uid)

    async def _take_finalizers_away(self, kind: Kind[Any], view: KubernetesObject) -> None:
        change: Json = {"metadata": {"uid": view.uid, "finalizers": None}}
        with contextlib.suppress(ApiFailure):
            await self.client.patch(kind, view.name, view.namespace, change, patch_type="merge")


@asynccontextmanager
async def bench_place(client: Client) -> AsyncGenerator[BenchPlace]:
    """Give a place for a run, with its namespace, and take it away at the end (BENCH-2)."""
    place = BenchPlace(client, secrets.token_hex(3))
    await place.make_namespace()
    try:
        yield place
    finally:
        await _uncancelled(place.clean_up())


async def _uncancelled(work: Awaitable[None]) -> None:
    """Do `work` to its end, even if Ctrl-C comes once more meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


async def at_once(things: Iterable[T], do: Callable[[T], Awaitable[object]], in_flight: int = IN_FLIGHT) -> None:
    """Do something with each of `things`, so many at a time."""
    pending = iter(things)

    async def worker() -> None:
        for thing in pending:
            await do(thing)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(worker())
