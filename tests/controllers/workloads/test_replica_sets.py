"""The ReplicaSet controller in small on a real API server (REPLICAS-1 to REPLICAS-4)."""

from __future__ import annotations

from tests.controllers.workloads.small import (
    REPLICA_SETS,
    change,
    pod_of,
    pods_of,
    read,
    replica_set,
    running,
    told,
    until_gone,
    until_status,
    workloads,
)
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import EVENTS, PODS, metadata_of
from pvbinder.model.json import encode
from pvbinder.model.resources import Resource
from pvbinder.model.workloads import parse_workload

QUOTAS = metadata_of(Resource("", "v1", "ResourceQuota", "resourcequotas", True))
ALONE = ControllerOptions(controllers="replicaset")


@on_virtual_time
async def test_replicas_1_a_set_has_as_many_pods_as_it_wants() -> None:
    async with workloads() as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 3))
        await c.until(lambda: running(c, "web") == 3)
        first = pods_of(c, "web")[0]
        assert first.name.startswith("web-")
        assert [(owner.kind, owner.name, owner.controller) for owner in first.owner_references] == [
            ("ReplicaSet", "web", True)
        ]

        await c.client.delete(PODS, first.name, "default")
        await c.until(lambda: running(c, "web") == 3 and first.key not in c.of(PODS))
        await change(c, REPLICA_SETS, "web", {"spec": {"replicas": 1}})
        await c.until(lambda: len(c.of(PODS)) == 1)

        status = await until_status(c, REPLICA_SETS, "web", lambda status: status.get("availableReplicas") == 1)
        assert status == {
            "replicas": 1,
            "fullyLabeledReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
            "terminatingReplicas": 0,
            "observedGeneration": 2,
        }


@on_virtual_time
async def test_replicas_1_pods_are_adopted_and_let_go() -> None:
    async with workloads() as c:
        await c.create(pod_of("web", "orphan"))
        await c.client.create(REPLICA_SETS, replica_set("web", 2))
        await c.until(lambda: running(c, "web") == 2)
        orphan = c.of(PODS)["default/orphan"]
        assert [owner.name for owner in orphan.owner_references] == ["web"], "adopted, so one more was enough"

        await change(c, PODS, "orphan", {"metadata": {"labels": {"app": "other"}}})

        await c.until(lambda: not c.of(PODS)["default/orphan"].owner_references)
        await c.until(lambda: running(c, "web") == 2)


@on_virtual_time
async def test_replicas_1_after_an_orphaning_deletion_the_pods_are_taken_back() -> None:
    async with workloads() as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 2))
        await c.until(lambda: running(c, "web") == 2)
        before = {pod.uid for pod in pods_of(c, "web")}
        await c.client.delete(REPLICA_SETS, "web", "default", propagation="Orphan")
        await until_gone(c, REPLICA_SETS, "web")
        assert not any(pod.owner_references for pod in await c.client.list_all(PODS))

        await c.client.create(REPLICA_SETS, replica_set("web", 2))

        await c.until(lambda: all(pod.owner_references for pod in c.of(PODS)))
        assert {pod.uid for pod in pods_of(c, "web")} == before


@on_virtual_time
async def test_replicas_1_events_tell_what_was_made_and_ended() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 1))
        await c.until(lambda: len(c.of(PODS)) == 1)
        name = pods_of(c, "web")[0].name
        await change(c, REPLICA_SETS, "web", {"spec": {"replicas": 0}})
        await c.until(lambda: len(c.of(EVENTS)) == 2)

        assert told(c, "ReplicaSet") == [
            ("SuccessfulCreate", f"Created pod: {name}"),
            ("SuccessfulDelete", f"Deleted pod: {name}"),
        ]


@on_virtual_time
async def test_replicas_1_pods_that_are_refused_are_told_and_tried_again() -> None:
    async with workloads(ALONE) as c:
        quota = {"metadata": {"name": "none", "namespace": "default"}, "spec": {"hard": {"pods": "0"}}}
        made = (await c.client.create(QUOTAS, quota)).document()
        made["status"] = {"hard": {"pods": "0"}, "used": {"pods": "0"}}
        await c.client.replace(QUOTAS, made, subresource="status")
        await c.client.create(REPLICA_SETS, replica_set("web", 1))

        status = await until_status(c, REPLICA_SETS, "web", lambda status: bool(status.get("conditions")))

        [condition] = status["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "ReplicaFailure",
            "True",
            "FailedCreate",
        )
        assert "exceeded quota: none" in condition["message"]
        await c.until(lambda: len(c.of(EVENTS)) >= 1)
        [(reason, message), *_] = told(c, "ReplicaSet")
        assert reason == "FailedCreate"
        assert message.startswith('Error creating: pods "web-')
        await c.client.delete(QUOTAS, "none", "default")
        await c.until(lambda: len(c.of(PODS)) == 1)
        await until_status(c, REPLICA_SETS, "web", lambda status: not status.get("conditions"))


@on_virtual_time
async def test_replicas_3_an_old_set_ends_no_pod_of_the_new_one() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 2))
        await c.until(lambda: len(c.of(PODS)) == 2)
        await c.settle()
        current = await read(c, REPLICA_SETS, "web")
        controller = c.manager.controllers["replicaset-controller"]
        document = current.document()
        document["spec"]["replicas"] = 0
        document["metadata"] |= {"generation": 0, "resourceVersion": "1"}
        stale = parse_workload(encode(document))
        controller._sets._objects["default/web"] = stale  # type: ignore[attr-defined]
        controller._queue.add("default/web")  # type: ignore[attr-defined]
        await c.settle()

        assert len(pods_of(c, "web")) == 2
        assert c.line.asked("DELETE") == 0


@on_virtual_time
async def test_replicas_4_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 2))
        await c.until(lambda: len(c.of(EVENTS)) == 2)
        await c.settle()
        before = len(c.line.seen)

        await c.create(pod_of("other", "unrelated"))
        await c.until(lambda: "default/unrelated" in c.of(PODS))
        await c.settle()

        assert len(c.line.seen) == before


@on_virtual_time
async def test_replicas_4_pods_become_available_when_they_were_ready_for_long_enough() -> None:
    async with workloads() as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 1, minReadySeconds=2))
        ready = await until_status(c, REPLICA_SETS, "web", lambda status: status.get("readyReplicas") == 1)

        assert "availableReplicas" not in ready
        await until_status(c, REPLICA_SETS, "web", lambda status: status.get("availableReplicas") == 1)
