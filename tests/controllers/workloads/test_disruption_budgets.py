"""The disruption controller in small on a real API server (BUDGETS-1, BUDGETS-2; BUDGET-1 to BUDGET-3)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.controllers.workloads.small import (
    DEPLOYMENTS,
    change,
    deployment,
    pod_of,
    pods_of,
    told,
    until_rolled_out,
    until_status,
    workloads,
)
from tests.virtual_time import on_virtual_time

from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.workloads.disruption_budgets import BUDGETS
from pvbinder.kube.kinds import PODS, metadata_of
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.disruption_budgets import Expected, Unreckonable, budget_status, expected_of

ALL = ControllerOptions(controllers="disruption,deployment,replicaset,scheduler,kubelet")
EVICTED = metadata_of(PODS.resource)
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def budget(**spec: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def numbers(status: Json) -> tuple[int, ...]:
    fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    return tuple(status.get(field, 0) for field in fields)


@on_virtual_time
async def test_budgets_1_the_status_follows_the_pods() -> None:
    async with workloads(ALL) as c:
        await c.client.create(BUDGETS, budget(maxUnavailable=1))
        await c.client.create(DEPLOYMENTS, deployment("web", 3))
        await until_rolled_out(c, "web", 3)
        status = await until_status(c, BUDGETS, "web", lambda status: numbers(status) == (1, 3, 2, 3))
        [condition] = status["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "DisruptionAllowed",
            "True",
            "SufficientPods",
        )

        await change(c, DEPLOYMENTS, "web", {"spec": {"replicas": 5}})
        await until_status(c, BUDGETS, "web", lambda status: numbers(status) == (1, 5, 4, 5))
        await change(c, BUDGETS, "web", {"spec": {"maxUnavailable": None, "minAvailable": "100%"}})
        status = await until_status(c, BUDGETS, "web", lambda status: numbers(status) == (0, 5, 5, 5))
        assert status["conditions"][0]["reason"] == "InsufficientPods"


@on_virtual_time
async def test_budgets_1_an_eviction_uses_the_budget_up_until_the_pod_is_back() -> None:
    async with workloads(ALL) as c:
        await c.client.create(BUDGETS, budget(minAvailable=2))
        await c.client.create(DEPLOYMENTS, deployment("web", 3))
        await until_status(c, BUDGETS, "web", lambda status: numbers(status) == (1, 3, 2, 3))
        victim = pods_of(c, "web")[0]
        eviction: Json = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": victim.name, "namespace": "default"},
        }
        await c.client.create(EVICTED, eviction, subresource="eviction")

        await c.until(lambda: victim.key not in c.of(PODS))
        status = await until_status(c, BUDGETS, "web", lambda status: numbers(status) == (1, 3, 2, 3))
        assert not status.get("disruptedPods")


@on_virtual_time
async def test_budgets_2_nothing_is_asked_while_nothing_happens() -> None:
    async with workloads(ALL) as c:
        await c.client.create(BUDGETS, budget(minAvailable=1))
        await until_status(c, BUDGETS, "web", lambda status: bool(status.get("conditions")))
        await c.until(lambda: ("NoPods", "No matching pods found") in told(c, "PodDisruptionBudget"))
        await asyncio.sleep(10)
        before = len(c.line.seen)
        await c.create(pod_of("other", "unrelated", annotations={}))
        await asyncio.sleep(10)

        assert not [one.path for one in c.line.seen[before:] if "disruption" in one.path]


def of(**spec: Any) -> Workload:
    return parse_workload(encode({**budget(**spec), "status": spec.pop("status", {})}))


def pod(name: str, *, ready: bool = True, owner: str = "", **meta: Any) -> Pod:
    owners = [{"apiVersion": "x/v1", "kind": "Thing", "name": owner, "uid": owner, "controller": True}] if owner else []
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return parse_pod(encode({"metadata": {"name": name, "ownerReferences": owners, **meta}, "status": status}))


PODS_OF_TWO = [pod("a", owner="one"), pod("b", owner="one"), pod("c", owner="two"), pod("d")]
ASKED = {  # the budget: pods that there should be, and that must be healthy
    "a number counts what there is": ({"minAvailable": 2}, Expected(4, 2)),
    "a percentage counts what is wanted": ({"minAvailable": "50%"}, Expected(5, 3)),
    "so does maxUnavailable": ({"maxUnavailable": 2}, Expected(5, 3)),
    "in percent, rounded up": ({"maxUnavailable": "25%"}, Expected(5, 3)),
    "more than there are": ({"maxUnavailable": 9}, Expected(5, 0)),
}


@pytest.mark.parametrize(("spec", "expected"), ASKED.values(), ids=ASKED.keys())
def test_budget_2_what_is_asked(spec: Json, expected: Expected) -> None:
    scales = {"one": 3, "two": 2}

    assert expected_of(of(**spec), PODS_OF_TWO, lambda _, owner: (owner.uid, scales[owner.uid])) == expected


def test_budget_1_healthy_pods_are_ready_and_neither_going_nor_evicted() -> None:
    evicted = {"disruptedPods": {"late": "2026-03-01T11:57:00Z", "now": "2026-03-01T11:59:00Z"}}
    known = parse_workload(encode({**budget(minAvailable=1), "status": evicted}))
    pods = [pod("well"), pod("sick", ready=False), pod("going", deletionTimestamp="x"), pod("late"), pod("now")]

    status = budget_status(known, pods, Expected(5, 1), NOW)

    assert numbers(status) == (1, 2, 1, 5)
    assert status["disruptedPods"] == {"now": "2026-03-01T11:59:00Z"}


def test_budget_3_what_can_not_be_reckoned_allows_nothing() -> None:
    wanted = expected_of(of(maxUnavailable=1), [pod("a", owner="one")], lambda _, _owner: None)
    assert wanted == Unreckonable("things.x does not implement the scale subresource")

    status = budget_status(of(maxUnavailable=1), [pod("a")], wanted, NOW)

    assert status["disruptionsAllowed"] == 0
    assert status["conditions"][0]["reason"] == "SyncFailed"
