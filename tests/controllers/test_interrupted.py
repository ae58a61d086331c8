"""Every write of the small controllers fails or is the last one, in turn: the end is that of an undisturbed run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, pod, storage_class, using, volume
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.kinds import CLAIMS, PODS, VOLUMES
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode
from pvbinder.model.names import PRE_RESIZE_CAPACITY

Story = Callable[[Cluster], Coroutine[Any, Any, None]]
OURS = "pvc-protection,pv-protection,ephemeral-volume,persistentvolume-expander"
FLEX = {"flexVolume": {"driver": "example.com/lvm"}, "hostPath": None, "storageClassName": "growing"}
EPHEMERAL: Json = {
    "name": "scratch",
    "ephemeral": {
        "volumeClaimTemplate": {
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        }
    },
}


async def expand(c: Cluster) -> None:
    """A bound FlexVolume grows: four writes."""
    await c.create(volume("disk", **FLEX), claim("orders", storageClassName="growing", volumeName="disk"))
    orders = (await c.client.get(CLAIMS, "orders", "default")).document()
    disk = (await c.client.get(VOLUMES, "disk")).document()
    disk["spec"]["claimRef"] = {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "orders"}
    disk["spec"]["claimRef"]["uid"] = orders["metadata"]["uid"]
    await c.client.replace(VOLUMES, disk)
    orders["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    await c.client.replace(CLAIMS, orders, subresource="status")
    await c.create(storage_class("growing", "disk.example", allowVolumeExpansion=True))
    grown = (await c.client.get(CLAIMS, "orders", "default")).document()
    grown["spec"]["resources"]["requests"]["storage"] = "2Gi"
    await c.client.replace(CLAIMS, grown)
    await c.until(lambda: "disk" in c.of(VOLUMES) and PRE_RESIZE_CAPACITY in c.of(VOLUMES)["disk"].annotations)


async def two_ephemeral_volumes(c: Cluster) -> None:
    """A pod with two ephemeral volumes: two creates."""
    await c.create(pod("shop", EPHEMERAL, {**EPHEMERAL, "name": "cache"}))
    await c.until(lambda: len(c.of(CLAIMS)) == 2)


async def a_claim_and_its_pod_go(c: Cluster) -> None:
    """A used claim and an unused one are deleted, then the pod, and a volume: three finalizers are taken away."""
    await c.create(claim("orders"), claim("invoices"), pod("shop", using("orders"), node="n1"), volume("disk"))
    for name in ("orders", "invoices"):
        await c.client.delete(CLAIMS, name, "default")
    await c.client.delete(VOLUMES, "disk")
    await c.client.delete(PODS, "shop", "default", grace_seconds=0)
    await c.until(lambda: len(c.of(CLAIMS)) + len(c.of(VOLUMES)) == 0)


STORIES: dict[str, tuple[Story, int]] = {  # and how many writes the controllers make in it, undisturbed
    "expand": (expand, 4),
    "ephemeral volumes": (two_ephemeral_volumes, 2),
    "protection": (a_claim_and_its_pod_go, 3),
}


def is_write_of_ours(request: Request) -> bool:
    return request.method != "GET" and not request.path.endswith("/events")


class FailingOnce:
    """The write with this number fails, in one of these ways."""

    def __init__(self, number: int, way: str) -> None:
        self.left = number
        self.way = way

    def before(self, request: Request) -> Answer | None:
        if not is_write_of_ours(request):
            return None
        self.left -= 1
        if self.left != -1:
            return None
        match self.way:
            case "conflict":
                return refused(409, "Conflict")
            case "server error":
                return refused(500, "InternalError")
            case "busy":
                return refused(429, "TooManyRequests")
            case "broken before":
                raise ConnectionFailed("broken by the test")
        return None

    def after(self, request: Request) -> None:
        if self.way == "answer lost" and self.left == -1 and is_write_of_ours(request):
            self.left -= 1
            raise ConnectionFailed("broken by the test")


WAYS = ("conflict", "server error", "busy", "broken before", "answer lost")
FAULTS = [(name, number, way) for name, (_, writes) in STORIES.items() for number in range(writes) for way in WAYS]


async def state_after(story: Story, fault: FailingOnce | None = None) -> tuple[Json, int]:
    async with cluster(ControllerOptions(controllers=OURS)) as c:
        if fault is not None:
            c.line.before, c.line.after = fault.before, fault.after
        await story(c)
        await c.settle()
        return await state_of(c), sum(map(is_write_of_ours, c.line.seen))


_undisturbed: dict[str, Json] = {}


async def undisturbed(name: str) -> Json:
    """The end of a story, run once for all tests."""
    if name not in _undisturbed:
        _undisturbed[name], _ = await state_after(STORIES[name][0])
    return _undisturbed[name]


@pytest.mark.parametrize(("story", "writes"), STORIES.values(), ids=STORIES.keys())
@on_virtual_time
async def test_an_undisturbed_run_costs_its_writes(story: Story, writes: int) -> None:
    assert (await state_after(story))[1] == writes


@pytest.mark.parametrize(("name", "number", "way"), FAULTS, ids=[f"{n}, write {i}, {w}" for n, i, w in FAULTS])
@on_virtual_time
async def test_a_failed_write_changes_nothing_in_the_end(name: str, number: int, way: str) -> None:
    story, _ = STORIES[name]
    fault = FailingOnce(number, way)

    found, _ = await state_after(story, fault)

    assert fault.left < 0, "the write was reached"
    assert found == await undisturbed(name)


DEATHS = [(name, number) for name, (_, writes) in STORIES.items() for number in range(writes)]


@pytest.mark.parametrize(("name", "number"), DEATHS, ids=[f"{name} after write {number}" for name, number in DEATHS])
@on_virtual_time
async def test_a_controller_that_dies_after_a_write_is_made_good_by_the_next(name: str, number: int) -> None:
    async with cluster(ControllerOptions(controllers=OURS)) as c:
        await tell_with_a_death(c, STORIES[name][0], number)
        found = await state_of(c)

    assert found == await undisturbed(name)


async def tell_with_a_death(c: Cluster, story: Story, number: int) -> None:
    """Let `story` happen, kill the controllers after their write with this number, and start them again."""
    died = asyncio.Event()
    left = number

    async def die(request: Request) -> None:
        nonlocal left
        if is_write_of_ours(request):
            left -= 1
            if left < 0:
                died.set()
                await asyncio.Event().wait()  # to the server they are dead from here on

    c.line.after_waiting = die
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(story(c))
        async with asyncio.timeout(20):
            await died.wait()
        await c.restart()
        await telling
    await c.settle()


def refused(status: int, reason: str) -> Answer:
    return Answer(status, encode({"kind": "Status", "code": status, "reason": reason, "message": "by the test"}))


async def state_of(c: Cluster) -> Json:
    """All claims and volumes, without values that differ from run to run."""
    state: Json = {}
    for claim_found in await c.client.list_all(CLAIMS):
        state[f"claim {claim_found.key}"] = symbolic(claim_found.document())
    for volume_found in await c.client.list_all(VOLUMES):
        state[f"volume {volume_found.key}"] = symbolic(volume_found.document())
    return state


VARIABLE = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime"}
VARIABLE |= {"lastPhaseTransitionTime", "generation"}


def symbolic(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: symbolic(inner) for key, inner in value.items() if key not in VARIABLE}
    if isinstance(value, list):
        return [symbolic(inner) for inner in value]
    return value
