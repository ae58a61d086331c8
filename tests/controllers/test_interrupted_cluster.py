"""Every write of a small cluster's controllers fails, or is the last one of a life, in turn: the end is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, namespace, using, volume
from tests.controllers.test_interrupted import FailingOnce, symbolic, tell_with_a_death
from tests.controllers.test_scheduler import delayed, local, scheduled
from tests.controllers.test_stateful_sets import pods, stateful_set

from pvbinder.controllers.kubelet import create_node
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import with_small_cluster
from pvbinder.controllers.stateful_sets import STATEFUL_SETS
from pvbinder.kube.kinds import CLAIMS, NAMESPACES, PODS, VOLUMES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS

Story = Callable[[Cluster], Coroutine[Any, Any, None]]
ALL = ControllerOptions(enable_hostpath_provisioner=True)
TIMES = {"startTime", "startedAt", "finishedAt", "podIP", "podIPs", "lastProbeTime", "volumeName", "ownerReferences"}


async def a_pod_finds_its_disk(c: Cluster) -> None:
    """Reserve, bind, assign, run."""
    await c.create(delayed("local"), local("disk", "node-1"), claim("data", storageClassName="local"))
    await c.create(scheduled("web", using("data")))
    await c.until(lambda: pods(c) == ["web"])


async def a_set_shrinks(c: Cluster) -> None:
    """Two pods with claims, then one: the claim of the other goes with its pod."""
    await c.create(volume("disk-0"), volume("disk-1"))
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    await c.client.create(STATEFUL_SETS, stateful_set("db", 2, persistentVolumeClaimRetentionPolicy=policy))
    await c.until(lambda: pods(c) == ["db-0", "db-1"])
    await c.client.patch(STATEFUL_SETS, "db", "default", {"spec": {"replicas": 1}}, patch_type="merge")
    await c.until(lambda: pods(c) == ["db-0"] and c.of(CLAIMS).keys() == ["default/data-db-0"])
    await c.until(lambda: sorted(disk.phase for disk in c.of(VOLUMES)) == ["Bound", "Released"])


async def a_namespace_goes(c: Cluster) -> None:
    """A pod, its claim, and an owner with its dependent, all in a namespace that is deleted."""
    await c.create(namespace("shop"), volume("disk"), claim("data", namespace="shop"))
    manifest = scheduled("web", using("data"))
    manifest["metadata"]["namespace"] = "shop"
    await c.create(manifest)
    owner = await c.client.create(metadata_of(CONFIG_MAPS), {"metadata": {"name": "owner", "namespace": "shop"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid, "blockOwnerDeletion": True}
    dependent: Json = {"metadata": {"name": "dependent", "namespace": "shop", "ownerReferences": [reference]}}
    await c.client.create(metadata_of(CONFIG_MAPS), dependent)
    await c.until(lambda: pods(c) == ["web"])
    await c.client.delete(metadata_of(CONFIG_MAPS), "owner", "shop", propagation="Foreground")
    await c.client.delete(NAMESPACES, "shop")
    await c.until(lambda: "shop" not in c.of(NAMESPACES) and c.of(VOLUMES)["disk"].phase == "Released")


STORIES: dict[str, tuple[Story, int]] = {  # and how many writes at least the controllers make in it
    "a pod finds its disk": (a_pod_finds_its_disk, 7),
    "a set shrinks": (a_set_shrinks, 28),
    "a namespace goes": (a_namespace_goes, 12),
}
FAULTS = [
    (name, number, way)
    for name, (_, writes) in STORIES.items()
    for number in range(writes)
    for way in ("conflict", "server error", "answer lost")
]
DEATHS = [(name, number) for name, (_, writes) in STORIES.items() for number in range(writes)]
_ends: dict[str, Json] = {}


async def end_of(story: Story, fault: FailingOnce | None = None) -> Json:
    async with cluster(ALL, with_small_cluster()) as c:
        await create_node(c.client, "node-1")
        await c.settle()
        if fault is not None:
            c.line.before, c.line.after = fault.before, fault.after
        await story(c)
        await c.settle()
        return await state_of(c)


async def undisturbed(name: str) -> Json:
    """The end of a story, run once for all tests."""
    if name not in _ends:
        _ends[name] = await end_of(STORIES[name][0])
    return _ends[name]


@pytest.mark.parametrize(("name", "number", "way"), FAULTS, ids=[f"{n}, write {i}, {w}" for n, i, w in FAULTS])
async def test_a_failed_write_changes_nothing_in_the_end(name: str, number: int, way: str) -> None:
    fault = FailingOnce(number, way)

    found = await end_of(STORIES[name][0], fault)

    assert fault.left < 0, "the write was reached"
    assert lines(found) == lines(await undisturbed(name))


@pytest.mark.parametrize(("name", "number"), DEATHS, ids=[f"{name}, after write {number}" for name, number in DEATHS])
async def test_controllers_that_die_after_a_write_are_made_good_by_the_next(name: str, number: int) -> None:
    async with cluster(ALL, with_small_cluster()) as c:
        await create_node(c.client, "node-1")
        await c.settle()
        await tell_with_a_death(c, STORIES[name][0], number)
        found = await state_of(c)

    assert lines(found) == lines(await undisturbed(name))


async def state_of(c: Cluster) -> Json:
    """All pods, claims and volumes, without values that differ from run to run, equal disks included."""
    state: Json = {}
    for kind in (PODS, CLAIMS):
        for found in await c.client.list_all(kind):  # type: ignore[misc]
            state[f"{kind.resource.kind} {found.key}"] = without_times(symbolic(found.document()))
    phases = sorted((disk.phase, str(disk.claim_key)) for disk in await c.client.list_all(VOLUMES))
    state["volumes"] = [list(one) for one in phases]
    return state


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in TIMES}
    if isinstance(value, list):
        return sorted((without_times(inner) for inner in value), key=str)
    return value


def lines(state: Json) -> list[str]:
    """A state line by line, so that a difference can be read."""
    return json.dumps(state, indent=1, sort_keys=True).splitlines()
