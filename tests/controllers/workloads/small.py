"""A small cluster with the workloads' controllers, each as its own service account, and the workloads to try."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.controllers.cluster import Cluster, cluster

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.controllers.workloads.deployments import DEPLOYMENTS
from pvbinder.controllers.workloads.replica_sets import REPLICA_SETS
from pvbinder.kube.client import Kind, KubernetesObject
from pvbinder.kube.kinds import EVENTS, PODS
from pvbinder.model.json import Json
from pvbinder.model.objects import Pod
from pvbinder.model.workloads import Workload

T = TypeVar("T", bound=KubernetesObject)
DEPLOYING = ControllerOptions(controllers="deployment,replicaset,scheduler,kubelet,garbagecollector")


def template(app: str, image: str = "nginx:1", **spec: object) -> Json:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def replica_set(name: str, replicas: int, **spec: object) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
            **spec,
        },
    }


def deployment(name: str, replicas: int, **spec: object) -> Json:
    return {**replica_set(name, replicas, **spec), "kind": "Deployment"}


def pod_of(app: str, name: str, **fields: Any) -> Json:
    """A pod that nobody controls, with the labels of a workload."""
    metadata = {"name": name, "namespace": "default", "labels": {"app": app}, **fields}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template(app)["spec"]}


def now() -> datetime:
    """The time on a loop of virtual time, for controllers that look at the clock."""
    return datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())


def on_the_loops_time() -> tuple[ControllerDeclaration, ...]:
    """All controllers, their clocks the loop's."""

    def keep(make: Callable[[ControllerContext], Controller]) -> Callable[[ControllerContext], Controller]:
        def made(context: ControllerContext) -> Controller:
            controller = make(context)
            if hasattr(controller, "_now"):
                controller._now = now
            return controller

        return made

    return tuple(replace(one, make=keep(one.make)) for one in CONTROLLERS)


@asynccontextmanager
async def workloads(options: ControllerOptions = DEPLOYING, nodes: int = 1) -> AsyncGenerator[Cluster]:
    async with cluster(options, on_the_loops_time()) as c:
        for number in range(nodes):
            await create_node(c.client, f"node-{number + 1}")
        yield c


def pods_of(c: Cluster, app: str) -> list[Pod]:
    """The pods with that label that aren't going."""
    return [pod for pod in c.of(PODS) if pod.labels.get("app") == app and not pod.is_deleting]


def running(c: Cluster, app: str) -> int:
    return sum(pod.phase == "Running" for pod in pods_of(c, app))


def images(c: Cluster, app: str) -> set[str]:
    return {pod.document()["spec"]["containers"][0]["image"] for pod in pods_of(c, app)}


async def change(c: Cluster, kind: Kind[T], name: str, what: Json) -> T:
    return await c.client.patch(kind, name, "default", what, patch_type="merge")


async def read(c: Cluster, kind: Kind[Workload], name: str) -> Workload:
    return await c.client.get(kind, name, "default")


async def until_status(c: Cluster, kind: Kind[Workload], name: str, question: Callable[[Json], bool]) -> Json:
    """Wait, on virtual time, until the status of the workload answers yes, and return it."""
    async with asyncio.timeout(200):
        while not question((found := await read(c, kind, name)).status):
            await asyncio.sleep(0.5)
        return found.status


async def until_gone(c: Cluster, kind: Kind[T], name: str) -> None:
    """Wait, on virtual time, until there is no such object."""
    async with asyncio.timeout(200):
        while any(one.name == name for one in await c.client.list_all(kind, "default")):
            await asyncio.sleep(0.5)


async def until_rolled_out(c: Cluster, name: str, replicas: int) -> Json:
    """Wait until all pods of the deployment are new and available, as ``kubectl rollout status`` does."""
    async with asyncio.timeout(200):
        while True:
            found = await read(c, DEPLOYMENTS, name)
            counts = [found.counted(field) for field in ("replicas", "updatedReplicas", "availableReplicas")]
            if found.counted("observedGeneration") >= found.generation and counts == [replicas] * 3:
                return found.status
            await asyncio.sleep(0.5)


async def replica_sets(c: Cluster) -> list[Workload]:
    """All replica sets, by revision."""
    found = await c.client.list_all(REPLICA_SETS, "default")
    return sorted(found, key=lambda one: int(one.annotations.get("deployment.kubernetes.io/revision", "0")))


def told(c: Cluster, kind: str) -> list[tuple[str, str]]:
    """Reason and message of the events about objects of that kind, in order."""
    documents = [event.document() for event in c.of(EVENTS)]
    own = [one for one in documents if one["involvedObject"]["kind"] == kind]
    return [(one["reason"], one["message"]) for one in sorted(own, key=lambda one: one["metadata"]["name"])]


__all__ = ["DEPLOYMENTS", "REPLICA_SETS"]
