"""What belongs to a workload is found, adopted and released (DEPENDENTS-1 to DEPENDENTS-3)."""

from __future__ import annotations

from tests.controllers.cluster import Cluster
from tests.controllers.workloads.small import REPLICA_SETS, change, pod_of, pods_of, read, replica_set, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import encode

ALONE = ControllerOptions(controllers="replicaset")


def owners(c: Cluster, name: str) -> list[str]:
    return [owner.name for owner in c.of(PODS)[f"default/{name}"].owner_references]


@on_virtual_time
async def test_dependents_1_an_orphan_wakes_those_that_select_it() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 1))
        await c.until(lambda: len(c.of(PODS)) == 1)
        await c.create(pod_of("web", "more"))

        await c.until(lambda: len(pods_of(c, "web")) == 1)


@on_virtual_time
async def test_dependents_1_whoever_loses_an_object_is_told() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 1))
        await c.until(lambda: len(c.of(PODS)) == 1)
        name = pods_of(c, "web")[0].name
        await change(c, PODS, name, {"metadata": {"labels": {"app": "lost"}, "ownerReferences": []}})

        await c.until(lambda: len(pods_of(c, "web")) == 1 and not owners(c, name))


@on_virtual_time
async def test_dependents_2_a_set_that_is_going_adopts_nothing() -> None:
    async with workloads(ALONE) as c:
        going = replica_set("web", 1)
        going["metadata"]["finalizers"] = ["example.com/keep"]
        await c.client.create(REPLICA_SETS, going)
        await c.until(lambda: len(c.of(PODS)) == 1)
        await c.client.delete(REPLICA_SETS, "web", "default")
        await c.settle()

        await c.create(pod_of("web", "orphan"))
        await c.until(lambda: "default/orphan" in c.of(PODS))
        await c.settle()

        assert owners(c, "orphan") == []


@on_virtual_time
async def test_dependents_2_an_old_set_adopts_nothing_for_another_of_its_name() -> None:
    async with workloads(ALONE) as c:
        await c.client.create(REPLICA_SETS, replica_set("web", 0))
        await c.settle()
        controller = c.manager.controllers["replicaset-controller"]
        document = (await read(c, REPLICA_SETS, "web")).document()
        document["metadata"] |= {"uid": "of-an-earlier-one", "resourceVersion": "1"}
        controller._sets._objects["default/web"] = REPLICA_SETS.parse(encode(document))  # type: ignore[attr-defined]
        await c.create(pod_of("web", "orphan"))
        controller._queue.add("default/web")  # type: ignore[attr-defined]
        await c.settle()

        assert not [one for one in c.line.seen if b"of-an-earlier-one" in (one.body or b"")]


@on_virtual_time
async def test_dependents_3_what_was_adopted_counts_at_once() -> None:
    async with workloads(ALONE) as c:
        await c.create(pod_of("web", "first"), pod_of("web", "second"))
        await c.client.create(REPLICA_SETS, replica_set("web", 2))
        await c.until(lambda: owners(c, "first") == owners(c, "second") == ["web"])
        await c.settle()

        assert c.line.asked("POST", "/pods") == 0
        assert c.line.asked("PATCH") == 2
