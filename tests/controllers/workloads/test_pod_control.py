"""Pods of workloads are made and ended once (PODCONTROL-1 to PODCONTROL-3), statuses written when they change."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.controllers.cluster import Cluster, namespace
from tests.controllers.workloads.small import REPLICA_SETS, change, pods_of, replica_set, until_status, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import EVENTS, NAMESPACES, PODS
from pvbinder.kube.transport import Request

ALONE = ControllerOptions(controllers="replicaset")


def made(c: Cluster) -> int:
    return c.line.asked("POST", "/pods")


@on_virtual_time
async def test_podcontrol_1_no_pod_is_made_or_ended_twice() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 3))
        await c.until(lambda: len(c.of(PODS)) == 3)
        for replicas in (1, 4, 2):
            await change(c, REPLICA_SETS, "web", {"spec": {"replicas": replicas}})
            await until_status(c, REPLICA_SETS, "web", lambda status, n=replicas: status.get("replicas") == n)  # type: ignore[misc]
            await c.settle()

        assert made(c) == 6
        ended = [one.path for one in c.line.seen if one.method == "DELETE"]
        assert len(ended) == len(set(ended)) == 4


@on_virtual_time
async def test_podcontrol_2_a_pod_that_took_the_name_is_not_ended() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 1))
        await c.until(lambda: len(c.of(PODS)) == 1)
        await c.settle()
        name = pods_of(c, "web")[0].name
        taken = asyncio.Event()

        async def take_the_name(request: Request) -> None:
            if request.method == "GET" and request.path.endswith("/replicasets/web") and not taken.is_set():
                taken.set()
                document = (await c.client.get(PODS, name, "default")).document()
                await c.client.delete(PODS, name, "default", grace_seconds=0)
                for field in ("uid", "resourceVersion", "ownerReferences", "generateName", "managedFields"):
                    document["metadata"].pop(field, None)
                document["metadata"]["labels"] = {"app": "another"}
                await c.client.create(PODS, document)

        c.line.after_waiting = take_the_name
        await change(c, REPLICA_SETS, "web", {"spec": {"replicas": 0}})
        await taken.wait()
        await until_status(c, REPLICA_SETS, "web", lambda status: status.get("replicas") == 0)

        assert (await c.client.get(PODS, name, "default")).labels == {"app": "another"}


@on_virtual_time
async def test_podcontrol_3_a_namespace_that_is_going_takes_no_pods() -> None:
    async with workloads(ALONE) as c:
        manifest = replica_set("web", 0)
        manifest["metadata"]["namespace"] = "shop"
        await c.create(namespace("shop"))
        await c.client.create(REPLICA_SETS, manifest)
        await c.client.delete(NAMESPACES, "shop")
        await c.client.patch(REPLICA_SETS, "web", "shop", {"spec": {"replicas": 1}}, patch_type="merge")
        async with asyncio.timeout(100):
            while not made(c):
                await asyncio.sleep(0.5)
        await c.settle()

        assert made(c) <= 2, "for each change of the set one try"
        assert len(c.of(EVENTS)) == 0


@on_virtual_time
async def test_statuses_1_a_status_that_says_what_is_there_costs_nothing() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 0))
        await until_status(c, REPLICA_SETS, "web", lambda status: "observedGeneration" in status)
        await c.settle()
        before = c.line.asked("PUT", "/status")

        await change(c, REPLICA_SETS, "web", {"metadata": {"labels": {"a": "b"}}})
        await c.settle()

        assert c.line.asked("PUT", "/status") == before


@on_virtual_time
async def test_statuses_2_a_status_names_the_revision_that_was_decided_about() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 0))
        await until_status(c, REPLICA_SETS, "web", lambda status: "observedGeneration" in status)

        [written] = [one for one in c.line.seen if one.method == "PUT"]
        with pytest.raises(ApiFailure) as refused:
            await c.client.replace(REPLICA_SETS, json.loads(written.body or b""), subresource="status")
        assert refused.value.is_conflict
