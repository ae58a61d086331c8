"""All controllers of a small cluster together, each as its own user under RBAC: stories from end to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controllers.cluster import DEADLINE_SECONDS, Cluster, claim, namespace, storage_class, volume
from tests.controllers.test_stateful_sets import stateful_set

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import with_small_cluster
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.kube.kinds import CLAIMS, EVENTS, NAMESPACES, PODS, VOLUMES
from pvbinder.kube.transport import Answer, Request, Transport
from pvbinder.model.json import Json
from pvbinder.plane.users import bind_kubelet, user_of
from pvbinder.server.embedded import EmbeddedServer

WITH_HOST_PATHS = ControllerOptions(enable_hostpath_provisioner=True)


@dataclass
class Judged:
    """A line that remembers the requests that were refused with 403."""

    line: Transport
    refusals: list[str]

    async def send(self, request: Request) -> Answer:
        answer = await self.line.send(request)
        if answer.status == 403 and b"it is being terminated" not in answer.body:
            self.refusals.append(f"{request.method} {request.path}: {answer.body.decode()}")
        return answer

    def watch(self, request: Request) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.line.watch(request)


@asynccontextmanager
async def small_cluster(options: ControllerOptions = WITH_HOST_PATHS) -> AsyncGenerator[Cluster]:
    """What `up` starts: every controller, under its own name, and one node."""
    refusals: list[str] = []
    async with EmbeddedServer(listen=False, service_accounts=True) as server, asyncio.TaskGroup() as group:

        def line_as(name: str) -> Judged:
            return Judged(InProcessTransport(server.dispatcher, user_of(name)), refusals)

        here = Cluster(server, options, group, with_small_cluster(), line_as)
        watching = group.create_task(here.informers.run())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await here.informers.wait_synced()
        await create_node(here.client, "local")
        await bind_kubelet(here.client)
        await here.start()
        yield here
        await here.stop()
        watching.cancel()
    assert not refusals, "every controller may do what it has to"


MADE = storage_class("made", "kubernetes.io/host-path", volumeBindingMode="WaitForFirstConsumer")


def phases(c: Cluster, in_namespace: str) -> dict[str, str]:
    return {pod.name: pod.phase for pod in c.of(PODS) if pod.namespace == in_namespace}


async def test_users_1_a_database_comes_grows_shrinks_and_goes_with_its_namespace() -> None:
    async with small_cluster() as c:
        await c.create(
            namespace("shop"),
            MADE,
        )
        database = stateful_set("db", 2)
        database["metadata"]["namespace"] = "shop"
        database["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "made"
        await c.client.create(STATEFUL_SETS, database)
        await c.until(lambda: phases(c, "shop") == {"db-0": "Running", "db-1": "Running"})
        assert {claim.phase for claim in c.of(CLAIMS)} == {"Bound"}
        assert {claim.selected_node for claim in c.of(CLAIMS)} == {"local"}
        directories = [Path(volume.host_path.path or "") for volume in c.of(VOLUMES) if volume.host_path is not None]
        assert all(directory.is_dir() for directory in directories)

        await c.client.delete(NAMESPACES, "shop")

        await c.until(lambda: "shop" not in c.of(NAMESPACES))
        await c.until(lambda: len(c.of(VOLUMES)) == 0)
        assert not any(directory.exists() for directory in directories)


async def test_a_volume_is_recycled_with_nobody_playing_by_hand() -> None:
    async with small_cluster() as c:
        await c.create(volume("disk", persistentVolumeReclaimPolicy="Recycle"), claim("data"))
        await c.until(lambda: any(claim.phase == "Bound" for claim in c.of(CLAIMS)))

        await c.client.delete(CLAIMS, "data", "default")

        await c.until(lambda: c.of(VOLUMES)["disk"].phase == "Available" and c.of(VOLUMES)["disk"].claim_ref is None)
        await c.until(lambda: any(event.document()["reason"] == "VolumeRecycled" for event in c.of(EVENTS)))
        await c.until(lambda: len(c.of(PODS)) == 0)


async def test_a_claim_in_use_waits_for_its_pod() -> None:
    async with small_cluster() as c:
        await c.create(MADE)
        await c.client.create(STATEFUL_SETS, made_of("made"))
        await c.until(lambda: phases(c, "default") == {"db-0": "Running"})
        await c.client.delete(CLAIMS, "data-db-0", "default")
        await c.until(lambda: c.of(CLAIMS)["default/data-db-0"].is_deleting)
        first = c.of(CLAIMS)["default/data-db-0"].uid

        await c.client.delete(PODS, "db-0", "default")

        await c.until(
            lambda: phases(c, "default") == {"db-0": "Running"} and c.of(CLAIMS)["default/data-db-0"].uid != first
        )


async def test_a_scratch_volume_lives_as_long_as_its_pod() -> None:
    async with small_cluster() as c:
        await c.create(MADE)
        template = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "made",
        }
        scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": template}}}
        spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [scratch]}
        await c.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})
        await c.until(lambda: phases(c, "default") == {"web": "Running"})

        await c.client.delete(PODS, "web", "default")

        await c.until(lambda: len(c.of(PODS)) == len(c.of(CLAIMS)) == len(c.of(VOLUMES)) == 0)


def made_of(storage_class_name: str) -> Json:
    database = stateful_set("db", 1)
    database["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = storage_class_name
    return database
