"""A small cluster whose controllers see their API server through a `FalseLine`, with a judge before the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tests.adversary.answers import FalseLine
from tests.adversary.judge import Judge
from tests.controllers.cluster import ADMIN, KINDS, Cluster

from pvbinder.controllers.manager import Manager
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import with_small_cluster
from pvbinder.kube.client import Kind
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, PODS, VOLUMES, Metadata, metadata_of
from pvbinder.kube.transport import Transport
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS, SECRETS, Resource
from pvbinder.server.embedded import EmbeddedServer

SETTLED_SECONDS = 900.0  # from the last fault until the state of an undisturbed run
FILLED_SECONDS = 1.0  # from the start until all caches are filled, those that a controller fills for itself included
HELD_SECONDS = 60.0  # longer than a period of faults, and than back-offs at its end
CONFIG: Kind[Metadata] = metadata_of(CONFIG_MAPS)
SETS: Kind[Metadata] = metadata_of(Resource("apps", "v1", "StatefulSet", "statefulsets", True))


class World(Cluster):
    """A cluster with false answers for its controllers only."""

    def __init__(self, server: EmbeddedServer, options: ControllerOptions, group: asyncio.TaskGroup, root: Path):
        super().__init__(server, options, group, with_small_cluster())
        self.root = root
        self.honest = InProcessTransport(server.dispatcher, ADMIN)
        self.judge = Judge(self.honest)
        self.false = FalseLine(look=self.judge.look)
        for kind in (CONFIG, SETS):
            self.informers.of(kind).add_handler(lambda _: self._changed.set())

    async def start(self) -> None:
        """Start the controllers; caches that don't fill because of a fault are waited for."""

        def line_as(user: str) -> Transport:
            return self.false.line(user, self.honest)

        self.manager = Manager(line_as("informers"), self._options, transport_as=line_as, known=self._known)
        self._running = self._group.create_task(self.manager.run())
        async with asyncio.timeout(SETTLED_SECONDS):
            await self.manager.wait_ready()

    async def make(self, *objects: Json) -> None:
        """Create objects of any kind that the stories need."""
        for obj in objects:
            kind: Kind[Any] = KINDS.get(obj["kind"]) or {"ConfigMap": CONFIG, "StatefulSet": SETS}[obj["kind"]]
            if kind.resource.namespaced:
                obj["metadata"].setdefault("namespace", "default")
            await self.client.create(kind, obj)

    async def until(self, question: Callable[[], bool]) -> None:
        """Wait until the answer is yes, for as long as settling may take."""
        async with asyncio.timeout(SETTLED_SECONDS):
            while not question():
                self._changed.clear()
                await self._changed.wait()

    async def stays(self, question: Callable[[], bool]) -> None:
        """Check that the answer stays yes for a minute."""
        loop = asyncio.get_running_loop()
        end = loop.time() + HELD_SECONDS
        while loop.time() < end:
            if not question():
                self.judge.crimes.append("what had to stay is gone")
                return
            await asyncio.sleep(1.0)

    async def bind(self, volume: str, claim: str) -> None:
        """Bind by hand, where no binder runs."""
        disk = (await self.client.get(VOLUMES, volume)).document()
        orders = (await self.client.get(CLAIMS, claim, "default")).document()
        disk["spec"]["claimRef"] = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": "default",
            "name": claim,
            "uid": orders["metadata"]["uid"],
        }
        disk = (await self.client.replace(VOLUMES, disk)).document()
        disk["status"] = {"phase": "Bound"}
        await self.client.replace(VOLUMES, disk, subresource="status")
        orders["spec"]["volumeName"] = volume
        orders = (await self.client.replace(CLAIMS, orders)).document()
        orders["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
        await self.client.replace(CLAIMS, orders, subresource="status")


Story: TypeAlias = Callable[[World], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Tale:
    """The objects before the controllers start, the story after that, and the names of the controllers."""

    controllers: str
    before: Story
    then: Story
    resources: tuple[str, ...]  # each has false answers for a while, in turn


@dataclass(frozen=True, slots=True)
class End:
    """How a tale ended."""

    state: Json
    crimes: tuple[str, ...]
    requests: int
    given: int
    problem: str = ""


@asynccontextmanager
async def world(options: ControllerOptions, root: Path) -> AsyncGenerator[World]:
    """An API server and a user; the controllers aren't started yet."""
    async with EmbeddedServer(listen=False) as server, asyncio.TaskGroup() as group:
        here = World(server, options, group, root)
        watching = group.create_task(here.informers.run())
        await here.informers.wait_synced()
        yield here
        await here.stop()
        watching.cancel()


async def settled(here: World, expected: Json | None) -> Json:
    """Return the state once it is as `expected`, or after enough time for that."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLED_SECONDS
    while True:
        await asyncio.sleep(HELD_SECONDS)
        state = await state_of(here)
        if expected is None or state == expected or loop.time() >= end:
            return state


async def tell(tale: Tale, false: FalseLine, root: Path, expected: Json | None = None) -> End:
    """Let `tale` happen with the false answers of `false`."""
    options = ControllerOptions(
        controllers=tale.controllers,
        enable_hostpath_provisioner=True,
        hostpath_root=str(root),
        pvclaimbinder_sync_period=15.0,
    )
    async with world(options, root) as here:
        await tale.before(here)
        false.look = here.judge.look
        here.false = false
        problem = ""
        try:
            await here.start()
            await asyncio.sleep(FILLED_SECONDS)
            false.begin()
            await tale.then(here)
        except TimeoutError:
            problem = "it never came to its end"
        state = await settled(here, expected)
        return End(state, tuple(here.judge.crimes), len(false.seen), len(false.given), problem)


VARIABLE = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime", "lastPhaseTransitionTime"}
    | {"generation", "startTime", "startedAt", "finishedAt", "podIP", "podIPs", "lastProbeTime", "deletionTimestamp"}
    | {"volumeName", "containerID"}
)


def symbolic(value: Any) -> Any:
    """Return `value` with symbols in place of values that differ from run to run."""
    if isinstance(value, dict):
        return {key: symbolic(inner) for key, inner in value.items() if key not in VARIABLE}
    if isinstance(value, list):
        inner = [symbolic(one) for one in value]
        is_conditions = all(isinstance(one, dict) and "type" in one for one in inner)
        return sorted(inner, key=lambda one: str(one["type"])) if is_conditions else inner
    return value


async def state_of(here: World) -> Json:
    """The objects of the tales, without values that differ from run to run."""
    state: Json = {"storage": sorted(path.name for path in here.root.iterdir())}
    kinds: tuple[Kind[Any], ...] = (PODS, CLAIMS, VOLUMES, CONFIG, SETS, metadata_of(SECRETS))
    for kind in (*kinds, KINDS["VolumeAttributesClass"], KINDS["Namespace"]):
        for found in await here.client.list_all(kind):
            shown = json.dumps(symbolic(found.document())).replace(str(here.root), "ROOT")
            state[f"{kind.resource.kind} {found.key}"] = json.loads(shown)
    return state
