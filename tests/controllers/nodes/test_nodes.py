"""Nodes in trouble and their pods on a real API server (PODGC-1 to 4, EVICTION-1 to 3, LIFECYCLE-1 and 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.adversary.answers import status, text
from tests.controllers.cluster import Cluster, claim, cluster, pod, using
from tests.controllers.test_proofs import falsify
from tests.controllers.workloads.small import change, on_the_loops_time, workloads
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.nodes.pod_garbage import PodGarbageCollector
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import ControllerDeclaration
from pvbinder.kube.kinds import CLAIMS, EVENTS, NODES, PODS
from pvbinder.kube.transport import Answer
from pvbinder.model.json import Json, encode

PODGC = ControllerOptions(controllers="podgc")
EVICTION = ControllerOptions(controllers="taint-eviction-controller,kubelet")
LIFECYCLE = ControllerOptions(controllers="nodelifecycle")


def placed(name: str, **spec: Any) -> Json:
    manifest = pod(name, node="node-1")
    manifest["spec"] |= spec
    return manifest


async def taint(c: Cluster, *taints: Json) -> None:
    await c.client.patch(NODES, "node-1", "", {"spec": {"taints": list(taints) or None}}, patch_type="merge")


def seconds() -> float:
    return asyncio.get_running_loop().time()


# -- pods whose node is gone


@on_virtual_time
async def test_podgc_1_pods_go_with_their_node_and_their_claims_can_go_too() -> None:
    both = ControllerOptions(controllers="podgc,pvc-protection")
    async with workloads(both) as c:
        await c.create(claim("data"), pod("web", using("data"), node="node-1"))
        await c.until(lambda: "default/web" in c.of(PODS) and "default/data" in c.of(CLAIMS))
        last: list[Json] = []
        c.of(PODS).add_handler(lambda change: last.append(change.object.document()))
        await c.client.delete(CLAIMS, "data", "default")
        await c.client.delete(NODES, "node-1")

        await c.until(lambda: not c.of(PODS).keys() and not c.of(CLAIMS).keys())

        [condition] = [one for one in last[-1]["status"]["conditions"] if one["type"] == "DisruptionTarget"]
        assert last[-1]["status"]["phase"] == "Failed"
        assert (condition["status"], condition["reason"], condition["message"]) == (
            "True",
            "DeletionByPodGC",
            "PodGC: node no longer exists",
        )


@on_virtual_time
async def test_podgc_1_a_pod_on_a_node_that_nobody_ever_saw_has_its_quarantine() -> None:
    async with cluster(PODGC, on_the_loops_time()) as c:
        await c.create(pod("web", node="nowhere"))
        began = seconds()
        async with asyncio.timeout(100):
            while await c.client.list_all(PODS):
                await asyncio.sleep(1)

        assert 40 <= seconds() - began <= 45


@on_virtual_time
async def test_podgc_1_a_node_that_registers_anew_keeps_its_pods() -> None:
    async with workloads(PODGC) as c:
        await c.create(placed("web"))
        await c.until(lambda: "default/web" in c.of(PODS))
        await c.client.delete(NODES, "node-1")
        await c.until(lambda: "node-1" not in c.of(NODES))
        await create_node(c.client, "node-1")
        await asyncio.sleep(100)

        assert "default/web" in c.of(PODS)


FALSE_ANSWERS = {
    "a page": text(404, "404 page not found"),
    "another name": status(404, "NotFound", "not found", name="other", kind="nodes"),
    "an error": text(503, "unavailable"),
}


@pytest.mark.parametrize("answer", FALSE_ANSWERS.values(), ids=FALSE_ANSWERS.keys())
@on_virtual_time
async def test_podgc_1_a_false_answer_about_a_node_ends_no_pod(answer: Answer) -> None:
    async with workloads(PODGC) as c:
        await c.create(placed("web"))
        await c.until(lambda: "default/web" in c.of(PODS))
        await c.settle()
        collector = c.manager.controllers["pod-garbage-collector-controller"]
        del collector._nodes._objects["node-1"]  # type: ignore[attr-defined]  # the cache has missed it
        given = falsify(c, answer, method="GET", ending="/nodes/node-1", times=3)
        collector._node_queue.add("node-1")  # type: ignore[attr-defined]
        async with asyncio.timeout(300):
            while len(given) < 3:
                await asyncio.sleep(1)
        await asyncio.sleep(10)

        assert "default/web" in c.of(PODS)
        assert c.line.asked("DELETE") == 0


@on_virtual_time
async def test_podgc_2_a_deleted_pod_without_a_node_goes() -> None:
    async with cluster(PODGC) as c:
        held = pod("web")
        held["metadata"]["finalizers"] = ["example.com/keep"]
        await c.create(held)
        await c.client.delete(PODS, "web", "default")
        await c.until(lambda: c.of(PODS)["default/web"].is_shut_down)
        await change(c, PODS, "web", {"metadata": {"finalizers": None}})

        await c.until(lambda: not c.of(PODS).keys())


@on_virtual_time
async def test_podgc_3_the_oldest_pods_that_are_over_go_beyond_the_threshold() -> None:
    def keeping_two(context: ControllerContext) -> PodGarbageCollector:
        return PodGarbageCollector(context, over_kept_max=2)

    known = (ControllerDeclaration("podgc", "pod-garbage-collector", keeping_two),)
    async with cluster(PODGC, known) as c:
        await create_node(c.client, "node-1")
        for name in ("a", "b", "c", "d"):
            await c.create(placed(name))
            over = {"status": {"phase": "Succeeded"}}
            await c.client.patch(PODS, name, "default", over, patch_type="merge", subresource="status")

        await c.until(lambda: sorted(c.of(PODS).keys()) == ["default/c", "default/d"])
        await c.settle()
        assert len(c.of(PODS)) == 2


@on_virtual_time
async def test_podgc_4_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads(PODGC) as c:
        await c.create(placed("web"))
        await c.until(lambda: "default/web" in c.of(PODS))
        await c.settle()
        before = len(c.line.seen)
        await change(c, PODS, "web", {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(100)

        assert len(c.line.seen) == before


# -- eviction by taint

NO_EXECUTE: Json = {"key": "maintenance", "effect": "NoExecute"}


def tolerating(seconds: int | None) -> Json:
    toleration: Json = {"key": "maintenance", "operator": "Exists", "effect": "NoExecute"}
    return {"tolerations": [toleration | ({"tolerationSeconds": seconds} if seconds is not None else {})]}


@on_virtual_time
async def test_eviction_1_pods_go_when_they_do_not_tolerate_a_taint_any_longer() -> None:
    async with workloads(EVICTION) as c:
        await c.create(
            placed("intolerant"), placed("patient", **tolerating(10)), placed("tolerant", **tolerating(None))
        )
        await c.until(lambda: {one.phase for one in c.of(PODS)} == {"Running"} and len(c.of(PODS)) == 3)
        began = seconds()
        await taint(c, {**NO_EXECUTE, "effect": "NoSchedule"}, NO_EXECUTE)

        await c.until(lambda: "default/intolerant" not in c.of(PODS))
        assert seconds() - began < 5
        await c.until(lambda: c.of(PODS).keys() == ["default/tolerant"])
        assert 9 <= seconds() - began <= 12


@on_virtual_time
async def test_eviction_1_a_taint_that_goes_in_time_evicts_nobody() -> None:
    async with workloads(EVICTION) as c:
        await c.create(placed("patient", **tolerating(10)))
        await c.until(lambda: "default/patient" in c.of(PODS))
        await taint(c, NO_EXECUTE)
        await asyncio.sleep(5)
        await taint(c)
        await asyncio.sleep(30)

        assert "default/patient" in c.of(PODS)
        told = [event.document() for event in c.of(EVENTS)]
        messages = [one["message"] for one in told if one["reason"] == "TaintManagerEviction"]
        assert messages == ["Cancelling deletion of Pod default/patient"]


@on_virtual_time
async def test_eviction_2_a_taint_that_is_not_there_any_more_evicts_nobody() -> None:
    async with workloads(EVICTION) as c:
        await c.create(placed("web"))
        await c.until(lambda: "default/web" in c.of(PODS) and c.of(PODS)["default/web"].phase == "Running")
        controller = c.manager.controllers["taint-eviction-controller"]
        document = c.of(NODES)["node-1"].document()
        document["spec"] = {"taints": [NO_EXECUTE]}
        document["metadata"]["resourceVersion"] = "1"
        controller._nodes._objects["node-1"] = NODES.parse(encode(document))  # type: ignore[attr-defined]
        controller._queue.add("default/web")  # type: ignore[attr-defined]
        await c.settle()

        assert "default/web" in c.of(PODS)
        assert c.line.asked("DELETE") == 0


@on_virtual_time
async def test_eviction_3_events_tell_it() -> None:
    async with workloads(EVICTION) as c:
        await c.create(placed("web"))
        await c.until(lambda: "default/web" in c.of(PODS))
        last: list[Json] = []
        c.of(PODS).add_handler(lambda change: last.append(change.object.document()))
        await taint(c, NO_EXECUTE)
        await c.until(lambda: not c.of(PODS).keys())
        await c.until(
            lambda: "Marking for deletion Pod default/web" in {one.document()["message"] for one in c.of(EVENTS)}
        )

        conditions = {one["type"]: one.get("reason") for one in last[-1]["status"]["conditions"]}
        assert conditions["DisruptionTarget"] == "DeletionByTaintManager"


# -- taints by condition


async def say(c: Cluster, type_: str, value: str) -> None:
    conditions = {"status": {"conditions": [{"type": type_, "status": value}]}}
    await c.client.patch(NODES, "node-1", "", conditions, patch_type="strategic", subresource="status")


def taints(c: Cluster) -> set[str]:
    spec = c.of(NODES)["node-1"].document().get("spec") or {}
    return {f"{one['key'].removeprefix('node.kubernetes.io/')}:{one['effect']}" for one in spec.get("taints") or []}


CONDITIONS = {
    "not ready": ("Ready", "False", {"not-ready:NoSchedule", "not-ready:NoExecute"}),
    "unknown": ("Ready", "Unknown", {"unreachable:NoSchedule", "unreachable:NoExecute"}),
    "full disk": ("DiskPressure", "True", {"disk-pressure:NoSchedule"}),
}


@pytest.mark.parametrize(("type_", "value", "expected"), CONDITIONS.values(), ids=CONDITIONS.keys())
@on_virtual_time
async def test_lifecycle_1_taints_follow_the_conditions(type_: str, value: str, expected: set[str]) -> None:
    async with workloads(LIFECYCLE) as c:
        await taint(c, {"key": "own", "effect": "NoSchedule"})
        await say(c, type_, value)
        await c.until(lambda: taints(c) == {"own:NoSchedule"} | expected)

        await say(c, type_, "True" if type_ == "Ready" else "False")

        await c.until(lambda: taints(c) == {"own:NoSchedule"})


@on_virtual_time
async def test_lifecycle_1_a_cordon_is_a_taint() -> None:
    async with workloads(LIFECYCLE) as c:
        for cordoned, expected in ((True, {"unschedulable:NoSchedule"}), (None, set())):
            await c.client.patch(NODES, "node-1", "", {"spec": {"unschedulable": cordoned}}, patch_type="merge")
            await c.until(lambda wanted=expected: taints(c) == wanted)  # type: ignore[misc]


@on_virtual_time
async def test_lifecycle_2_a_node_that_becomes_not_ready_is_told() -> None:
    async with workloads(LIFECYCLE) as c:
        await say(c, "Ready", "False")
        await c.until(lambda: len(c.of(EVENTS)) == 1)

        [event] = [one.document() for one in c.of(EVENTS)]
        assert (event["reason"], event["message"]) == ("NodeNotReady", "Node node-1 status is now: NodeNotReady")


@on_virtual_time
async def test_lifecycle_1_pods_of_a_node_that_is_not_ready_go_after_their_time() -> None:
    all_of_them = ControllerOptions(controllers="nodelifecycle,taint-eviction-controller,kubelet")
    async with workloads(all_of_them) as c:
        await c.create(placed("web"))  # with the tolerations that every pod is given: 300 s
        await c.until(lambda: "default/web" in c.of(PODS) and c.of(PODS)["default/web"].phase == "Running")
        began = seconds()
        await say(c, "Ready", "False")
        async with asyncio.timeout(600):
            while await c.client.list_all(PODS):
                await asyncio.sleep(1)

        assert 299 <= seconds() - began <= 305
