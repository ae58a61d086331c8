"""The DaemonSet controller in small on a real API server (DAEMONS-1 to DAEMONS-4)."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.controllers.cluster import Cluster
from tests.controllers.workloads.small import change, pods_of, read, template, told, until_status, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.workloads.daemon_sets import DAEMON_SETS
from pvbinder.controllers.workloads.revisions import REVISIONS
from pvbinder.kube.kinds import NODES, PODS
from pvbinder.model.json import Json, encode

ALL = ControllerOptions(controllers="daemonset,scheduler,kubelet,garbagecollector")
ALONE = ControllerOptions(controllers="daemonset")


def daemon_set(**spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent", "agent:1"), **spec},
    }


def image(name: str) -> Json:
    return {"spec": {"template": template("agent", name)}}


def where(c: Cluster) -> dict[str, str]:
    """The image that runs on each node."""
    return {
        pod.node_name: pod.document()["spec"]["containers"][0]["image"]
        for pod in pods_of(c, "agent")
        if pod.phase == "Running"
    }


def runs_on(*nodes: str, image: str = "agent:1") -> dict[str, str]:
    return dict.fromkeys(nodes, image)


@on_virtual_time
async def test_daemons_1_each_node_has_a_pod() -> None:
    async with workloads(ALL, nodes=2) as c:
        await c.client.create(DAEMON_SETS, daemon_set())
        await c.until(lambda: where(c) == runs_on("node-1", "node-2"))
        await create_node(c.client, "node-3")
        await c.until(lambda: where(c) == runs_on("node-1", "node-2", "node-3"))

        status = await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("numberAvailable") == 3)
        assert status == {
            "currentNumberScheduled": 3,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 3,
            "numberReady": 3,
            "updatedNumberScheduled": 3,
            "numberAvailable": 3,
            "observedGeneration": 1,
        }
        assert {reason for reason, _ in told(c, "DaemonSet")} == {"SuccessfulCreate"}
        await c.client.delete(PODS, pods_of(c, "agent")[0].name, "default")
        await c.until(lambda: len(where(c)) == 3 and len(c.of(PODS)) == 3)


@on_virtual_time
async def test_daemons_1_selectors_and_taints_count() -> None:
    async with workloads(ALL, nodes=3) as c:
        await c.client.patch(NODES, "node-1", "", {"metadata": {"labels": {"disk": "ssd"}}}, patch_type="merge")
        await c.client.patch(NODES, "node-2", "", {"metadata": {"labels": {"disk": "ssd"}}}, patch_type="merge")
        keep_off = {"spec": {"taints": [{"key": "own", "effect": "NoSchedule"}]}}
        await c.client.patch(NODES, "node-2", "", keep_off, patch_type="merge")
        await c.client.create(
            DAEMON_SETS, daemon_set(template=template("agent", "agent:1", nodeSelector={"disk": "ssd"}))
        )
        await c.until(lambda: where(c) == runs_on("node-1"))

        await c.client.patch(NODES, "node-1", "", {"spec": {"unschedulable": True}}, patch_type="merge")
        await c.client.patch(NODES, "node-2", "", {"spec": {"taints": None}}, patch_type="merge")
        await c.until(lambda: where(c) == runs_on("node-1", "node-2"))

        await c.client.patch(NODES, "node-1", "", {"metadata": {"labels": {"disk": None}}}, patch_type="merge")
        await c.until(lambda: where(c) == runs_on("node-2"))


@on_virtual_time
async def test_daemons_2_a_new_template_replaces_one_pod_after_the_other() -> None:
    async with workloads(ALL, nodes=3) as c:
        await c.client.create(DAEMON_SETS, daemon_set())
        await c.until(lambda: len(where(c)) == 3)
        least = [3]
        c.of(PODS).add_handler(lambda _: least.append(len(where(c))))
        await change(c, DAEMON_SETS, "agent", image("agent:2"))
        await c.until(lambda: where(c) == runs_on("node-1", "node-2", "node-3", image="agent:2"))

        assert min(least) == 2
        assert [one.spec["revision"] for one in await c.client.list_all(REVISIONS)] in ([1, 2], [2, 1])
        status = await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("updatedNumberScheduled") == 3)
        assert status["observedGeneration"] == 2


@on_virtual_time
async def test_daemons_2_a_surge_makes_the_new_pod_first() -> None:
    async with workloads(ALL, nodes=2) as c:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        await c.client.create(DAEMON_SETS, daemon_set(updateStrategy=strategy))
        await c.until(lambda: len(where(c)) == 2)
        least = [2]
        c.of(PODS).add_handler(lambda _: least.append(len(where(c))))
        await change(c, DAEMON_SETS, "agent", image("agent:2"))
        await c.until(lambda: len(c.of(PODS)) == 2 and where(c) == runs_on("node-1", "node-2", image="agent:2"))

        assert min(least) == 2


@on_virtual_time
async def test_daemons_2_on_delete_only_deleted_pods_are_updated() -> None:
    async with workloads(ALL, nodes=2) as c:
        await c.client.create(DAEMON_SETS, daemon_set(updateStrategy={"type": "OnDelete"}))
        await c.until(lambda: len(where(c)) == 2)
        await change(c, DAEMON_SETS, "agent", image("agent:2"))
        await asyncio.sleep(5)
        assert set(where(c).values()) == {"agent:1"}
        name = next(pod.name for pod in c.of(PODS) if pod.node_name == "node-1")
        await c.client.delete(PODS, name, "default")

        await c.until(lambda: where(c) == {"node-1": "agent:2", "node-2": "agent:1"})


@on_virtual_time
async def test_daemons_3_an_old_set_ends_no_pod_of_the_new_one() -> None:
    async with workloads(ALL) as c:
        await c.client.create(DAEMON_SETS, daemon_set())
        await c.until(lambda: len(where(c)) == 1)
        await c.settle()
        controller = c.manager.controllers["daemonset-controller"]
        document = (await read(c, DAEMON_SETS, "agent")).document()
        document["spec"]["template"]["spec"]["nodeSelector"] = {"nowhere": "yes"}
        document["metadata"] |= {"generation": 0, "resourceVersion": "1"}
        stale = DAEMON_SETS.parse(encode(document))
        controller._sets._objects["default/agent"] = stale  # type: ignore[attr-defined]
        controller._queue.add("default/agent")  # type: ignore[attr-defined]
        await asyncio.sleep(10)

        assert len(where(c)) == 1
        assert c.line.asked("DELETE", ending=pods_of(c, "agent")[0].name) == 0


@on_virtual_time
async def test_daemons_4_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads(ALL) as c:
        await c.client.create(DAEMON_SETS, daemon_set())
        await until_status(c, DAEMON_SETS, "agent", lambda status: status.get("numberAvailable") == 1)
        await asyncio.sleep(10)
        before = len(c.line.seen)
        await c.client.patch(NODES, "node-1", "", {"metadata": {"annotations": {"a": "b"}}}, patch_type="merge")
        await asyncio.sleep(100)

        assert len(c.line.seen) == before
