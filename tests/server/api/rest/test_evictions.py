"""Evictions: those that a PodDisruptionBudget allows, and the statuses of pod and budget afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Serving, serving

from pvbinder.server.api.rest.evictions import DISRUPTED_PODS_MAX, take_from
from pvbinder.server.errors import ApiError

PODS = "/api/v1/namespaces/shop/pods"
BUDGETS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
NOW = "2026-03-01T12:00:00Z"
READY = [{"type": "Ready", "status": "True"}]
UNREADY = [{"type": "Ready", "status": "False"}]


async def a_pod(server: Serving, name: str, *, phase: str = "Running", grace: int = 0, ready: bool = True) -> None:
    spec = {"terminationGracePeriodSeconds": grace, "nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    metadata = {"name": name, "labels": {"app": "a"}}
    assert (await server.send("POST", PODS, {"metadata": metadata, "spec": spec})).status == 201
    status = {"phase": phase, "conditions": READY if ready else UNREADY}
    assert (await server.send("PATCH", f"{PODS}/{name}/status", {"status": status})).status == 200


async def a_budget(server: Serving, allowed: int, *, name: str = "b", selector: Any = None, **more: Any) -> None:
    spec = {"minAvailable": 1, "selector": selector or {"matchLabels": {"app": "a"}}, **more}
    assert (await server.send("POST", BUDGETS, {"metadata": {"name": name}, "spec": spec})).status == 201
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "currentHealthy": 1 + allowed,
        "desiredHealthy": 1,
        "expectedPods": 3,
    }
    assert (await server.send("PATCH", f"{BUDGETS}/{name}/status", {"status": status})).status == 200


async def evict(server: Serving, name: str, query: str = "", **options: Any) -> int:
    body: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    if options:
        body["deleteOptions"] = options
    return (await server.send("POST", f"{PODS}/{name}/eviction{query}", body)).status


async def names(server: Serving) -> set[str]:
    return {pod["metadata"]["name"] for pod in (await server.send("GET", PODS)).body["items"]}


async def test_eviction_1_a_budget_is_never_overdrawn_however_many_ask_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for number in range(6):
            await a_pod(server, f"p{number}")
        await a_budget(server, 2)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(evict(server, f"p{number}")) for number in range(6)]
        assert sorted(one.result() for one in asked) == [201, 201, 429, 429, 429, 429]
        status = (await server.send("GET", f"{BUDGETS}/b")).body["status"]
        gone = {f"p{number}" for number in range(6)} - await names(server)
        assert (status["disruptionsAllowed"], status["disruptedPods"].keys()) == (0, gone)
        (condition,) = status["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "DisruptionAllowed",
            "False",
            "InsufficientPods",
        )


async def test_eviction_1_what_is_refused_for_another_reason_takes_nothing_of_the_budget(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p")
        await a_budget(server, 1)
        assert await evict(server, "p", preconditions={"uid": "other"}) == 409
        assert (await server.send("GET", f"{BUDGETS}/b")).body["status"]["disruptionsAllowed"] == 1
        revision = (await server.send("GET", f"{PODS}/p")).revision
        assert await evict(server, "p", preconditions={"resourceVersion": revision}) == 201


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
async def test_eviction_2_a_pod_that_does_not_run_needs_no_budget(tmp_path: Path, phase: str) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p", phase=phase)
        await a_budget(server, 0)
        assert await evict(server, "p") == 201
        assert await names(server) == set()


async def test_eviction_2_a_pod_that_is_going_needs_no_budget(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p", grace=30)
        await a_budget(server, 0)
        await server.send("DELETE", f"{PODS}/p")
        assert await evict(server, "p", gracePeriodSeconds=0) == 201
        assert await names(server) == set()


UNHEALTHY = {  # the budget's policy: whether a pod that isn't ready can be evicted
    "enough others are healthy": ({}, {"currentHealthy": 1, "desiredHealthy": 1}, True),
    "too few others are healthy": ({}, {"currentHealthy": 0, "desiredHealthy": 1}, False),
    "none needs to be": ({}, {"currentHealthy": 0, "desiredHealthy": 0}, False),
    "it is told to let them go": ({"unhealthyPodEvictionPolicy": "AlwaysAllow"}, {"desiredHealthy": 1}, True),
    "the default, written out": ({"unhealthyPodEvictionPolicy": "IfHealthyBudget"}, {"desiredHealthy": 1}, False),
}


@pytest.mark.parametrize(("spec", "status", "goes"), UNHEALTHY.values(), ids=UNHEALTHY.keys())
def test_eviction_2_a_pod_that_is_not_ready(spec: dict[str, Any], status: dict[str, Any], goes: bool) -> None:
    budget = {"metadata": {"name": "b"}, "spec": spec, "status": {"disruptionsAllowed": 0, **status}}
    pod = {"metadata": {"name": "p"}, "status": {"conditions": UNREADY}}
    if goes:
        assert take_from(budget, pod, NOW) is None
        return
    with pytest.raises(ApiError) as refused:
        take_from(budget, pod, NOW)
    assert refused.value.code == 429


SAYS = {  # the budget's status: code, and the cause
    "not seen yet": (
        {"observedGeneration": 1, "disruptionsAllowed": 5},
        429,
        "The disruption budget b is still being processed by the server.",
    ),
    "too few are healthy": (
        {"observedGeneration": 2, "currentHealthy": 2, "desiredHealthy": 3},
        429,
        "The disruption budget b needs 3 healthy pods and has 2 currently",
    ),
    "it can't be reckoned": (
        {
            "observedGeneration": 2,
            "conditions": [
                {"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed", "message": "no scale"}
            ],
        },
        429,
        "The disruption budget b does not allow evicting pods currently because it failed sync: no scale",
    ),
    "others were disrupted just now": (
        {"observedGeneration": 2, "currentHealthy": 4, "desiredHealthy": 3},
        429,
        "The disruption budget b does not allow evicting pods currently",
    ),
    "as many as are wanted": (
        {"observedGeneration": 2, "currentHealthy": 3, "desiredHealthy": 3},
        429,
        "The disruption budget b needs 3 healthy pods and has 3 currently",
    ),
    "nothing is known": (
        {"observedGeneration": 3},
        429,
        "The disruption budget b needs 0 healthy pods and has 0 currently",
    ),
    "it says why": (
        {
            "observedGeneration": 2,
            "currentHealthy": 4,
            "desiredHealthy": 3,
            "conditions": [
                {"type": "Other", "status": "False", "message": "other"},
                {"type": "DisruptionAllowed", "status": "False", "reason": "Because", "message": "it is so"},
            ],
        },
        429,
        "The disruption budget b does not allow evicting pods currently (Because): it is so",
    ),
    "it allows them": (
        {
            "observedGeneration": 2,
            "currentHealthy": 4,
            "desiredHealthy": 3,
            "conditions": [{"type": "DisruptionAllowed", "status": "True", "reason": "SyncFailed", "message": "x"}],
        },
        429,
        "The disruption budget b does not allow evicting pods currently",
    ),
    "it failed without a word": (
        {
            "observedGeneration": 2,
            "currentHealthy": 1,
            "desiredHealthy": 3,
            "conditions": [{"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed"}],
        },
        429,
        "The disruption budget b needs 3 healthy pods and has 1 currently",
    ),
    "nobody confirms disruptions": (
        {
            "observedGeneration": 2,
            "disruptionsAllowed": 1,
            "disruptedPods": {str(number): NOW for number in range(DISRUPTED_PODS_MAX + 1)},
        },
        403,
        None,
    ),
}


@pytest.mark.parametrize(("status", "code", "cause"), SAYS.values(), ids=SAYS.keys())
def test_a_refusal_says_what_the_budget_lacks(status: dict[str, Any], code: int, cause: str | None) -> None:
    budget = {"metadata": {"name": "b", "generation": 2}, "spec": {}, "status": status}
    with pytest.raises(ApiError) as refused:
        take_from(budget, {"metadata": {"name": "p"}, "status": {"conditions": READY}}, NOW)
    causes = (refused.value.details or {}).get("causes", [{"message": None}])
    assert (refused.value.code, causes[0]["message"]) == (code, cause)


READY_POD: dict[str, Any] = {"metadata": {"name": "p"}, "status": {"conditions": READY}}
BEFORE = "2020-01-01T00:00:00Z"


def test_a_refusal_has_all_that_a_client_acts_on() -> None:
    budget = {"metadata": {"name": "b", "generation": 1}, "spec": {}, "status": {}}
    violates = "Cannot evict pod as it would violate the pod's disruption budget."

    with pytest.raises(ApiError) as unseen:
        take_from(budget, READY_POD, NOW)
    why = "The disruption budget b is still being processed by the server."
    causes = [{"reason": "DisruptionBudget", "message": why}]
    assert (unseen.value.code, unseen.value.reason, unseen.value.message) == (429, "TooManyRequests", violates)
    assert unseen.value.details == {"causes": causes, "retryAfterSeconds": 10}
    assert unseen.value.headers == {"Retry-After": "10"}

    with pytest.raises(ApiError) as none_left:
        take_from({**budget, "status": {"observedGeneration": 1}}, READY_POD, NOW)
    why = "The disruption budget b needs 0 healthy pods and has 0 currently"
    assert none_left.value.details == {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    assert none_left.value.headers == {}

    full = {"observedGeneration": 1, "disruptedPods": {str(number): NOW for number in range(DISRUPTED_PODS_MAX + 1)}}
    with pytest.raises(ApiError) as too_many:
        take_from({**budget, "status": full}, READY_POD, NOW)
    assert (too_many.value.code, too_many.value.reason, too_many.value.message) == (
        403,
        "Forbidden",
        (
            'poddisruptionbudget.policy "b" is forbidden: '
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        ),
    )
    assert too_many.value.details == {"name": "b", "group": "policy", "kind": "poddisruptionbudget"}


INSUFFICIENT = {
    "type": "DisruptionAllowed",
    "status": "False",
    "observedGeneration": 2,
    "lastTransitionTime": NOW,
    "reason": "InsufficientPods",
    "message": "",
}
OTHERS = [
    {"type": "Other"},
    {"type": "DisruptionAllowed", "status": "True", "lastTransitionTime": BEFORE},
    {"type": "B"},
]
TAKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # the budget's status before, and after
    "one of two": (
        {"disruptionsAllowed": 2, "disruptedPods": {"q": BEFORE}, "conditions": OTHERS},
        {"disruptionsAllowed": 1, "disruptedPods": {"q": BEFORE, "p": NOW}, "conditions": OTHERS},
    ),
    "the last": (
        {"disruptionsAllowed": 1, "conditions": OTHERS},
        {"disruptionsAllowed": 0, "disruptedPods": {"p": NOW}, "conditions": [OTHERS[0], INSUFFICIENT, OTHERS[2]]},
    ),
    "the last, with no condition": (
        {"disruptionsAllowed": 1},
        {"disruptionsAllowed": 0, "disruptedPods": {"p": NOW}, "conditions": [INSUFFICIENT]},
    ),
    "the last, where there was none before": (
        {"disruptionsAllowed": 1, "conditions": [{**INSUFFICIENT, "reason": "x", "lastTransitionTime": BEFORE}]},
        {
            "disruptionsAllowed": 0,
            "disruptedPods": {"p": NOW},
            "conditions": [{**INSUFFICIENT, "lastTransitionTime": BEFORE}],
        },
    ),
}


@pytest.mark.parametrize(("before", "after"), TAKEN.values(), ids=TAKEN.keys())
def test_eviction_1_what_is_taken_of_a_budget(before: dict[str, Any], after: dict[str, Any]) -> None:
    budget = {"metadata": {"name": "b", "generation": 2}, "spec": {}, "kept": 1}

    assert take_from({**budget, "status": {"observedGeneration": 2, **before}}, READY_POD, NOW) == {
        **budget,
        "status": {"observedGeneration": 2, **after},
    }


async def test_eviction_1_the_server_owns_what_it_takes(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p", grace=30)
        await a_budget(server, 1)
        assert await evict(server, "p") == 201
        budget = (await server.send("GET", f"{BUDGETS}/b")).body
        owners = [
            (one["manager"], one.get("subresource"), one["operation"]) for one in budget["metadata"]["managedFields"]
        ]
        assert ("kube-apiserver", "status", "Update") in owners
        assert budget["status"]["disruptionsAllowed"] == 0
        assert list(budget["status"]["disruptedPods"]) == ["p"]
        pod = (await server.send("GET", f"{PODS}/p")).body
        condition = next(one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget")
        assert ("observedGeneration" in condition, condition["lastProbeTime"]) == (False, None)
        assert [one["type"] for one in pod["status"]["conditions"]][:1] == ["Ready"]


async def test_eviction_3_the_pod_learns_why_it_goes(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p", grace=30)
        assert await evict(server, "p") == 201
        pod = (await server.send("GET", f"{PODS}/p")).body
        assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
        condition = next(one for one in pod["status"]["conditions"] if one["type"] == "DisruptionTarget")
        assert (condition["status"], condition["reason"], condition["message"]) == (
            "True",
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
        )


@pytest.mark.parametrize(("query", "options"), [("?dryRun=All", {}), ("", {"dryRun": ["All"]})])
async def test_eviction_4_a_dry_run_writes_nothing(tmp_path: Path, query: str, options: dict[str, Any]) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p")
        await a_budget(server, 1)
        before = server.store.revision
        assert await evict(server, "p", query, **options) == 201
        assert server.store.revision == before


SELECTORS: dict[str, tuple[list[Any], int]] = {
    "another label": ([{"matchLabels": {"app": "other"}}], 201),
    "everything": ([{}], 429),
    "an expression": ([{"matchExpressions": [{"key": "app", "operator": "Exists"}]}], 429),
    "one that can't be read": ([{"matchExpressions": [{"key": "app", "operator": "Near"}]}], 201),
    "two that select it": ([{"matchLabels": {"app": "a"}}, {}], 500),
}


@pytest.mark.parametrize(("selectors", "status"), SELECTORS.values(), ids=SELECTORS.keys())
async def test_only_budgets_that_select_the_pod_count(tmp_path: Path, selectors: list[Any], status: int) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p")
        for number, selector in enumerate(selectors):
            spec = {"minAvailable": 1, "selector": selector}
            await server.send("POST", BUDGETS, {"metadata": {"name": f"b{number}"}, "spec": spec})
        assert await evict(server, "p") == status


async def test_an_eviction_of_another_pod_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, "p")
        for name in ("q", ""):
            refused = await server.send("POST", f"{PODS}/p/eviction", {"metadata": {"name": name}})
            assert (refused.status, refused.message) == (400, "name in URL does not match name in Eviction object")
        assert await evict(server, "gone") == 404
