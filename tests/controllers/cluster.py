"""A real API server in the test's process with real controllers beside it, and a user who looks and acts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.informer import Informer, Informers
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, EVENTS, NAMESPACES, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.json import Json
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.requests import UserInfo

T = TypeVar("T", bound=KubernetesObject)

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
DEADLINE_SECONDS = 20.0
KINDS: dict[str, Kind[KubernetesObject]] = {
    kind.resource.kind: kind  # type: ignore[misc]
    for kind in (ATTRIBUTES_CLASSES, CLAIMS, EVENTS, NAMESPACES, NODES, PODS, STORAGE_CLASSES, VOLUMES)
}


@dataclass
class Breakable:
    """A line that fails when the test wants it to."""

    line: Transport
    before: Callable[[Request], None] = lambda _: None
    after: Callable[[Request], None] = lambda _: None
    seen: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        self.seen.append(request)
        self.before(request)
        answer = await self.line.send(request)
        self.after(request)
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
    """What a test needs of a cluster."""

    def __init__(self, server: EmbeddedServer, manager: Manager, line: Breakable) -> None:
        self.server = server
        self.manager = manager
        self.line = line  # that of the controllers
        self.client = Client(InProcessTransport(server.dispatcher, ADMIN))
        self.informers = Informers(self.client)
        self._changed = asyncio.Event()
        for kind in KINDS.values():
            self.informers.of(kind).add_handler(lambda _: self._changed.set())

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
        """Wait until the controllers have seen what the server has, and have nothing more to do."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._has_settled():
                await asyncio.sleep(0)

    def _has_settled(self) -> bool:
        seen = self.manager.informers.statistics()
        mine = self.informers.statistics()
        for resource, statistics in mine.items():
            if resource in seen and seen[resource].resource_version != statistics.resource_version:
                return False
        return all(queue.is_idle for queue in self.manager.statistics().queues.values())


@asynccontextmanager
async def cluster(
    options: ControllerOptions, known: tuple[ControllerDeclaration, ...] = CONTROLLERS
) -> AsyncGenerator[Cluster]:
    """An API server with the controllers that `options` choose among the `known` ones."""
    async with EmbeddedServer(listen=False) as server:
        controllers_line = Breakable(InProcessTransport(server.dispatcher, ADMIN))
        here = Cluster(server, Manager(controllers_line, options, known=known), controllers_line)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(here.informers.run())
            running = group.create_task(here.manager.run())
            async with asyncio.timeout(DEADLINE_SECONDS):
                await here.informers.wait_synced()
                await here.manager.wait_ready()
            yield here
            running.cancel()
            watching.cancel()


@asynccontextmanager
async def more_controllers(c: Cluster, options: ControllerOptions) -> AsyncGenerator[Manager]:
    """More controllers on the server of `c`, started later, over the same line."""
    manager = Manager(c.line, options)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(manager.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await manager.wait_ready()
        yield manager
        running.cancel()


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
