"""A real API server in the test's process, with real controllers and the client of a user beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pvbinder.controllers.context import Credentials
from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.informer import Informer
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, EVENTS, NAMESPACES, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.json import Json
from pvbinder.model.names import DEFAULT_CLASS
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

T = TypeVar("T", bound=KubernetesObject)

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
DEADLINE_SECONDS = 20.0
KINDS: dict[str, Kind[KubernetesObject]] = {
    kind.resource.kind: kind  # type: ignore[misc]
    for kind in (ATTRIBUTES_CLASSES, CLAIMS, EVENTS, NAMESPACES, NODES, PODS, STORAGE_CLASSES, VOLUMES)
}


def goes_on(_request: Request) -> None:
    """No fault."""


async def waits_for_nothing(_request: Request) -> None:
    """No fault either."""


@dataclass
class Breakable:
    """A line that fails when the test wants it to: a fault raises, or answers in place of the server."""

    line: Transport
    before: Callable[[Request], Answer | None] = goes_on
    after: Callable[[Request], None] = goes_on
    after_waiting: Callable[[Request], Awaitable[None]] = waits_for_nothing
    seen: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.seen.append(request)
        instead = self.before(request)
        if instead is not None:
            return instead
        answer = await self.line.send(request)
        self.after(request)
        await self.after_waiting(request)
        return answer

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.line.watch(request)

    def asked(self, method: str, ending: str = "") -> int:
        """How many requests with `method` had a path that ends so."""
        return sum(r.method == method and r.path.endswith(ending) for r in self.seen)


def fails(times: int, method: str, ending: str = "") -> Callable[[Request], None]:
    """Break the connection during the first `times` requests like these."""
    left = times

    def fail(request: Request) -> None:
        nonlocal left
        if left and request.method == method and request.path.endswith(ending):
            left -= 1
            raise ConnectionFailed("broken by the test")

    return fail


class Cluster:
    """The server, the controllers and the user's client, for a test."""

    def __init__(
        self,
        server: EmbeddedServer,
        options: ControllerOptions,
        group: asyncio.TaskGroup,
        known: tuple[ControllerDeclaration, ...] = CONTROLLERS,
        line_as: Callable[[str], Transport] | None = None,
        credentials: Credentials | None = None,
        watched: Sequence[Kind[KubernetesObject]] = (),
    ) -> None:
        self.server = server
        self._options = options
        self._group = group
        self._known = known
        self._line_as = line_as
        self._credentials = credentials
        self._running: asyncio.Task[None] | None = None
        self.client = Client(InProcessTransport(server.dispatcher, ADMIN))
        self.informers = Informers(self.client)
        self._changed = asyncio.Event()
        self.begins_with: Callable[[Request], Answer | None] = goes_on  # the fault of the line at the next start
        for kind in (*KINDS.values(), *watched):
            self.informers.of(kind).add_handler(lambda _: self._changed.set())

    async def start(self) -> None:
        """Start the controllers, on a line of their own."""
        self.line = Breakable(InProcessTransport(self.server.dispatcher, ADMIN), self.begins_with)
        self.manager = Manager(
            self.line,
            self._options,
            transport_as=self._line_as,
            known=self._known,
            credentials=self._credentials,
        )
        self._running = self._group.create_task(self.manager.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.manager.wait_ready()

    async def stop(self) -> None:
        """Stop the controllers."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def restart(self) -> None:
        """Stop the controllers, and start new ones that know nothing."""
        await self.stop()
        await self.start()

    @property
    def news(self) -> asyncio.Event:
        """Set it when something happened that `until` may wait for."""
        return self._changed

    def of(self, kind: Kind[T]) -> Informer[T]:
        """The user's own view of a kind, kept current by a watch."""
        return self.informers.of(kind)

    async def create(self, *objects: Json) -> None:
        """Create objects as they stand in manifests; the namespace ``default`` can be left out."""
        for obj in objects:
            kind = KINDS[obj["kind"]]
            if kind.resource.namespaced:
                obj["metadata"].setdefault("namespace", "default")
            await self.client.create(kind, obj)

    async def until(self, question: Callable[[], bool]) -> None:
        """Wait until the answer to `question` about the user's view is yes, with a deadline."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not question():
                self._changed.clear()
                await self._changed.wait()

    async def settle(self) -> None:
        """Wait until the controllers' caches are current, and their queues are idle."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._has_settled():
                await asyncio.sleep(0.001)  # not 0: on virtual time that would be no time, and delays would never pass

    async def settle_with_the_store(self) -> None:
        """Wait likewise for kinds without a view of the user: each cache must have the stored objects."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not all(map(self._is_current, self.manager.informers)) or not self._is_idle():
                await asyncio.sleep(0.001)

    def _is_current(self, cache: Informer[KubernetesObject]) -> bool:
        stored = self.server.store.objects(cache.kind.resource.qualified)
        return versions_in(cache) == {key: str(one.revision) for key, one in stored}

    def _is_idle(self) -> bool:
        return all(queue.is_idle for queue in self.manager.statistics().queues.values())

    def _has_settled(self) -> bool:
        theirs = {informer.kind.resource: informer for informer in self.manager.informers}
        for informer in self.informers:
            seen = theirs.get(informer.kind.resource)
            if seen is not None and versions_in(seen) != versions_in(informer):
                return False
        return self._is_idle()


def versions_in(informer: Informer[KubernetesObject]) -> dict[str, str]:
    """Which state of which object a cache holds."""
    return {view.key: view.resource_version for view in informer}


@asynccontextmanager
async def cluster(
    options: ControllerOptions,
    known: tuple[ControllerDeclaration, ...] = CONTROLLERS,
    credentials: Credentials | None = None,
    load: Sequence[Json] | None = None,
    watched: Sequence[Kind[KubernetesObject]] = (),
) -> AsyncGenerator[Cluster]:
    """An API server that begins with the objects of `load`, and the controllers that `options` choose among `known`.

    Of the kinds in `watched` the user has a view, too.
    """
    found = [("the test", document) for document in load] if load is not None else None
    async with EmbeddedServer(listen=False, load=found) as server, asyncio.TaskGroup() as group:
        here = Cluster(server, options, group, known, credentials=credentials, watched=watched)
        watching = group.create_task(here.informers.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await here.informers.wait_synced()
        await here.start()
        yield here
        await here.stop()
        watching.cancel()


def claim(name: str, *, namespace: str = "default", **spec: object) -> Json:
    """A claim."""
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": wanted | spec,
    }


def volume(name: str, **spec: object) -> Json:
    """A volume."""
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": f"/tmp/{name}"},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": wanted | spec}


def storage_class(
    name: str, provisioner: str = "csi.example.com", *, is_default: bool = False, **fields: object
) -> Json:
    """A class; its volumes are made at once unless `fields` say otherwise."""
    metadata = {"name": name, "annotations": {DEFAULT_CLASS: "true"} if is_default else {}}
    head: Json = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata}
    return head | {"provisioner": provisioner} | fields


def pod(name: str, *volumes: Json, node: str = "", namespace: str = "default") -> Json:
    """A pod that nobody schedules."""
    spec: Json = {"containers": [{"name": "c", "image": "i"}], "volumes": list(volumes), "schedulerName": "by-hand"}
    if node:
        spec["nodeName"] = node
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def namespace(name: str) -> Json:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def using(claim_name: str) -> Json:
    """A pod's volume that is a claim."""
    return {"name": claim_name, "persistentVolumeClaim": {"claimName": claim_name}}
