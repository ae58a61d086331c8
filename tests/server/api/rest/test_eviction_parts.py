"""Parts of an eviction: which budgets count, bounds, the options of its deletion, conditions as wholes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.serving import Serving, serving

from pvbinder.server.api.rest import evictions
from pvbinder.server.api.rest.evictions import DISRUPTED_PODS_MAX, take_from
from pvbinder.server.errors import ApiError

PODS = "/api/v1/namespaces/shop/pods"
BUDGETS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
NOW, BEFORE = "2026-03-01T12:00:00Z", "2020-01-01T00:00:00Z"
READY = [{"type": "Ready", "status": "True"}]


async def a_pod(server: Serving, labels: dict[str, str] | None = None, conditions: Any = READY) -> None:
    spec = {"terminationGracePeriodSeconds": 30, "nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    await server.send("POST", PODS, {"metadata": {"name": "p", "labels": labels or {}}, "spec": spec})
    status = {"status": {"phase": "Running", "conditions": conditions}}
    assert (await server.send("PATCH", f"{PODS}/p/status", status)).status == 200


async def a_budget(server: Serving, selector: Any, namespace: str = "shop", name: str = "b") -> None:
    body = {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": selector}}
    assert (await server.send("POST", BUDGETS.replace("shop", namespace), body)).status == 201


async def evict(server: Serving, options: Any = None) -> Any:
    body: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    return await server.send("POST", f"{PODS}/p/eviction", {**body, "deleteOptions": options} if options else body)


async def test_which_budgets_count(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, {"app": "a"})
        await a_budget(server, {}, "default")
        await a_budget(server, None, name="of nothing".replace(" ", "-"))
        await a_budget(server, {"matchLabels": {"app": "a"}})
        await a_budget(server, {}, name="c")
        several = await evict(server)
        assert (several.status, several.message) == (
            500,
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
        for name in ("b", "c"):
            await server.send("DELETE", f"{BUDGETS}/{name}")
        assert (await evict(server)).status == 201, "the one of another namespace, and that of nothing, don't count"


async def test_a_pod_without_labels_is_under_no_budget(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server)
        await a_budget(server, {})
        assert (await evict(server)).status == 201


def test_a_selector_that_is_none_selects_nothing() -> None:
    for spec in (None, {}, {"selector": None}, {"selector": {"matchLabels": 5}}):
        assert not evictions._selects({"spec": spec}, {"a": "b"})
    assert not evictions._selects({}, {"a": "b"})
    assert evictions._selects({"spec": {"selector": {"matchLabels": {"a": "b"}}}}, {"a": "b"})


OPTIONS: dict[str, tuple[dict[str, Any], int, list[str] | None]] = {
    "time": ({"gracePeriodSeconds": 5}, 5, None),
    "policy": ({"propagationPolicy": "Foreground"}, 30, ["foregroundDeletion"]),
    "with a kind": ({"kind": "DeleteOptions", "apiVersion": "policy/v1", "gracePeriodSeconds": 7}, 7, None),
}


@pytest.mark.parametrize(("options", "grace", "finalizers"), OPTIONS.values(), ids=OPTIONS.keys())
async def test_the_options_of_its_deletion_count(
    tmp_path: Path, options: dict[str, Any], grace: int, finalizers: list[str] | None
) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server)
        assert (await evict(server, options)).status == 201
        metadata = (await server.send("GET", f"{PODS}/p")).body["metadata"]
        assert (metadata["deletionGracePeriodSeconds"], metadata.get("finalizers")) == (grace, finalizers)
        assert metadata["deletionTimestamp"] == f"2026-03-01T12:00:{grace:02}Z"


async def test_eviction_3_a_pod_that_was_told_before_keeps_the_time(tmp_path: Path) -> None:
    told = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": BEFORE, "reason": "x"}
    async with serving(tmp_path) as server:
        await a_pod(server, conditions=[told, *READY])
        await evict(server)
        pod = (await server.send("GET", f"{PODS}/p")).body
        assert [one["type"] for one in pod["status"]["conditions"]] == ["DisruptionTarget", "Ready"]
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["conditions"][0] == {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": BEFORE,
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }


def test_a_budget_of_which_no_generation_was_seen_yet() -> None:
    budget = {"metadata": {"name": "b"}, "spec": {}, "status": {"disruptionsAllowed": 1}}
    pod = {"metadata": {"name": "p"}, "status": {"conditions": READY}}
    changed = take_from(budget, pod, NOW)
    assert changed is not None
    assert [one["observedGeneration"] for one in changed["status"]["conditions"]] == [0]


def test_what_a_pod_is_told() -> None:
    condition = {
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": None,
        "lastTransitionTime": NOW, "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    }  # fmt: skip
    assert evictions._with_condition({"metadata": {}}, NOW) == {"metadata": {}, "status": {"conditions": [condition]}}
    undated = {"type": "DisruptionTarget", "status": "True"}
    status = {"phase": "Running", "observedGeneration": 3, "conditions": [undated]}
    told = evictions._with_condition({"metadata": {"generation": 4}, "status": status}, NOW)["status"]
    assert told == {**status, "conditions": [{**condition, "observedGeneration": 4}]}


STATUS = {"observedGeneration": 1, "disruptionsAllowed": 1}
BOUNDS: dict[str, tuple[dict[str, Any], bool]] = {  # the budget's status, and whether the pod may go
    "as many disrupted as may be": ({"disruptedPods": {str(n): NOW for n in range(DISRUPTED_PODS_MAX)}}, True),
    "one more": ({"disruptedPods": {str(n): NOW for n in range(DISRUPTED_PODS_MAX + 1)}}, False),
    "seen later": ({"observedGeneration": 2}, True),
    "less than none": ({"disruptionsAllowed": -1}, False),
    "one": ({}, True),
}


@pytest.mark.parametrize(("status", "goes"), BOUNDS.values(), ids=BOUNDS.keys())
def test_where_a_budget_ends(status: dict[str, Any], goes: bool) -> None:
    budget = {"metadata": {"name": "b", "generation": 1}, "spec": {}, "status": {**STATUS, **status}}
    pod = {"metadata": {"name": "p"}, "status": {"conditions": READY}}
    if goes:
        taken = take_from(budget, pod, NOW)
        assert taken is not None
        assert taken["status"]["disruptionsAllowed"] == 0
    else:
        with pytest.raises(ApiError):
            take_from(budget, pod, NOW)


@pytest.mark.parametrize(
    "conditions",
    [None, [], [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "Unknown"}]],
)
def test_eviction_2_only_the_condition_says_that_a_pod_is_ready(conditions: Any) -> None:
    budget = {"metadata": {"name": "b"}, "spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    assert take_from(budget, {"metadata": {"name": "p"}, "status": {"conditions": conditions}}, NOW) is None
    assert take_from(budget, {"metadata": {"name": "p"}}, NOW) is None


async def test_eviction_1_what_is_taken_is_written_with_its_owner(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await a_pod(server, {"app": "a"})
        await a_budget(server, {})
        status = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
        before = await server.send("PATCH", f"{BUDGETS}/b/status", {"status": {**status, "expectedPods": 2}})
        assert (await evict(server)).status == 201
        budget = (await server.send("GET", f"{BUDGETS}/b")).body
        (entry,) = [one for one in budget["metadata"]["managedFields"] if one["manager"] == "kube-apiserver"]
        assert (entry["operation"], entry["apiVersion"], entry["time"], entry["subresource"]) == (
            "Update", "policy/v1", NOW, "status",
        )  # fmt: skip
        owned = entry["fieldsV1"]["f:status"]
        assert owned.keys() == {"f:conditions", "f:disruptedPods", "f:disruptionsAllowed"}
        assert budget["status"]["conditions"] == [
            {
                "type": "DisruptionAllowed", "status": "False", "observedGeneration": 1, "lastTransitionTime": NOW,
                "reason": "InsufficientPods", "message": "",
            }
        ]  # fmt: skip
        assert (budget["status"]["disruptedPods"], budget["spec"]) == ({"p": NOW}, before.body["spec"])
        assert int(budget["metadata"]["resourceVersion"]) == int(before.revision) + 1
