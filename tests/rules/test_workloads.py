"""Decisions of deployments and replica sets: whose a pod is, which one goes, how a rollout proceeds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.model.selectors import LabelSelector
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.adoption import decide_belonging, selects
from pvbinder.rules.deployment_scaling import (
    allowed_surge,
    max_unavailable,
    new_set_replicas,
    proportional_sizes,
    scaled_value,
)
from pvbinder.rules.deployment_status import condition_of, deployment_status
from pvbinder.rules.deployments import (
    MAX,
    REVISION,
    ChangeReplicaSet,
    CreateReplicaSet,
    DeleteReplicaSet,
    ReplicaSetsOf,
    decide_deployment,
    sorted_out,
)
from pvbinder.rules.pod_templates import template_hash
from pvbinder.rules.replica_sets import ranked_for_deletion

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def pod(name: str = "p", *, meta: Json | None = None, spec: Json | None = None, status: Json | None = None) -> Pod:
    return parse_pod(
        encode({"metadata": {"name": name, "uid": name, **(meta or {})}, "spec": spec or {}, "status": status or {}})
    )


# ------------------------------------------------------------------------------------------------ whose it is


def owned_by(uid: str) -> Json:
    return {"ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": uid, "controller": True}]}


DELETED = {"deletionTimestamp": "2026-03-01T12:00:00Z"}
BELONGINGS: dict[str, tuple[Json, bool, bool, str]] = {  # metadata, selected, owner is going: whose it is
    "controlled and selected": (owned_by("me"), True, False, "ours"),
    "controlled, not selected": (owned_by("me"), False, False, "release"),
    "controlled, not selected, we are going": (owned_by("me"), False, True, "not ours"),
    "another's": (owned_by("other"), True, False, "not ours"),
    "nobody's, selected": ({}, True, False, "adopt"),
    "nobody's, not selected": ({}, False, False, "not ours"),
    "nobody's, we are going": ({}, True, True, "not ours"),
    "nobody's, it is going": (DELETED, True, False, "not ours"),
}


@pytest.mark.parametrize(("meta", "selected", "going", "expected"), BELONGINGS.values(), ids=BELONGINGS.keys())
def test_adoption_1_whose_an_object_is(meta: Json, selected: bool, going: bool, expected: str) -> None:
    assert decide_belonging(pod(meta=meta), "me", is_selected=selected, owner_is_going=going) == expected


def test_adoption_2_a_selector_that_selects_everything_selects_nothing() -> None:
    assert not selects(LabelSelector(), {"a": "b"})
    assert not selects(None, {"a": "b"})
    assert selects(LabelSelector(match_labels={"a": "b"}), {"a": "b", "c": "d"})


# ------------------------------------------------------------------------------------------------ which pod goes


def ready_since(time: str) -> Json:
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}]}


def on(node: str, created: str = "2026-03-01T10:00:00Z", cost: str = "0") -> dict[str, Any]:
    meta = {"creationTimestamp": created, "annotations": {"controller.kubernetes.io/pod-deletion-cost": cost}}
    return {"meta": meta, "spec": {"nodeName": node}}


def test_replicas_2_pods_that_do_least_go_first() -> None:
    early, late = ready_since("2026-03-01T10:00:00Z"), ready_since("2026-03-01T11:00:00Z")
    in_order = [
        pod("without a node", meta={"creationTimestamp": "2026-03-01T09:00:00Z"}),
        pod("pending", **on("n1"), status={"phase": "Pending"}),
        pod("not ready", **on("n1"), status={"phase": "Running"}),
        pod("cheap", **on("n2", cost="-5"), status=early),
        pod("on a full node, ready for less long", **on("n1"), status=late),
        pod("on a full node", **on("n1"), status=early),
        pod("younger", **on("n3", "2026-03-01T11:00:00Z"), status=early),
        pod("older", **on("n4"), status=early),
        pod("dear", **on("n1", cost="100"), status=late),
    ]

    assert [one.name for one in ranked_for_deletion(in_order[::-1])] == [one.name for one in in_order]


# ------------------------------------------------------------------------------------------------ arithmetic


def workload(kind: str = "Deployment", *, name: str = "web", meta: Json | None = None, **fields: Any) -> Workload:
    spec: Json = {"replicas": fields.pop("replicas", 1), **fields.pop("spec", {})}
    document = {
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1, **(meta or {})},
        "spec": spec,
        "status": fields.pop("status", {}),
    }
    return parse_workload(encode(document))


def rolling(replicas: int, surge: object = "25%", unavailable: object = "25%", **spec: Any) -> Workload:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return workload(
        replicas=replicas,
        spec={"strategy": strategy, "template": {"new": True}, "progressDeadlineSeconds": 600, **spec},
    )


def replica_set(name: str, replicas: int, available: int = 0, revision: int = 1, *, new: bool = False) -> Workload:
    annotations = {REVISION: str(revision), MAX: "13"}
    meta = {"creationTimestamp": f"2026-03-01T10:00:{revision:02}Z", "annotations": annotations}
    status = {"replicas": replicas, "availableReplicas": available, "observedGeneration": 1}
    spec = {"template": {"new": True} if new else {"old": revision}}
    return workload("ReplicaSet", name=name, replicas=replicas, meta=meta, status=status, spec=spec)


BOUNDS = {  # replicas, maxSurge, maxUnavailable: pods more, pods fewer
    "a quarter of 4": (4, "25%", "25%", 1, 1),
    "surge is rounded up, unavailable down": (10, "25%", "25%", 3, 2),
    "never both 0": (1, 0, 0, 0, 1),
    "a quarter of 1": (1, "25%", "25%", 1, 0),
    "not more than there are": (2, 0, 5, 0, 2),
    "none wanted": (0, "25%", "25%", 0, 0),
}


@pytest.mark.parametrize(("replicas", "surge", "gone", "more", "fewer"), BOUNDS.values(), ids=BOUNDS.keys())
def test_the_bounds_of_a_rollout(replicas: int, surge: object, gone: object, more: int, fewer: int) -> None:
    chosen = rolling(replicas, surge, gone)

    assert (allowed_surge(chosen), max_unavailable(chosen)) == (more, fewer)


def test_numbers_and_percentages() -> None:
    assert [scaled_value(value, 10, round_up=True) for value in (3, "25%", "100%", "x", None)] == [3, 3, 10, 0, 0]


def test_the_new_set_grows_into_the_room_that_there_is() -> None:
    old = replica_set("old", 4, 4)
    assert new_set_replicas(rolling(4, 1, 0), [old], 0, is_recreating=False) == 1
    assert new_set_replicas(rolling(4, 0, 1), [old], 0, is_recreating=False) == 0
    assert new_set_replicas(rolling(4, "100%", 0), [old], 0, is_recreating=False) == 4


def test_a_change_of_size_is_shared_in_proportion() -> None:
    sets = [replica_set("large", 8, 8, 1), replica_set("small", 5, 5, 2)]  # 10 wanted, 13 at most

    grown = {one.name: size for one, size in proportional_sizes(rolling(20), sets)}
    shrunk = {one.name: size for one, size in proportional_sizes(rolling(5), sets)}
    none = {one.name: size for one, size in proportional_sizes(rolling(0), sets)}

    assert grown == {"large": 15, "small": 10}
    assert shrunk == {"large": 4, "small": 3}
    assert none == {"large": 0, "small": 0}


def test_a_set_without_pods_gets_no_share() -> None:
    sets = [replica_set("large", 8, 8, 1), replica_set("empty", 0, 0, 2)]
    assert {one.name: size for one, size in proportional_sizes(rolling(20), sets)} == {"large": 25, "empty": 0}


# ------------------------------------------------------------------------------------------------ steps


def sizes(steps: list[Any]) -> dict[str, int]:
    changes = [one for one in steps if isinstance(one, ChangeReplicaSet) and one.scaled]
    return {one.document["metadata"]["name"]: one.document["spec"]["replicas"] for one in changes}


def noted(one: Workload, wanted: Workload) -> Workload:
    """The replica set with the notes that the deployment leaves on it."""
    document = one.document()
    most = wanted.replicas + allowed_surge(wanted)
    document["metadata"]["annotations"] |= {
        MAX: str(most),
        "deployment.kubernetes.io/desired-replicas": str(wanted.replicas),
    }
    return parse_workload(encode(document))


def test_a_new_template_makes_a_replica_set_within_the_surge() -> None:
    wanted = rolling(4, 1, 1)
    [step] = decide_deployment(wanted, sorted_out(wanted, [replica_set("old", 4, 4)]), has_old_pods=True)

    assert isinstance(step, CreateReplicaSet)
    assert step.replicas == 1
    assert step.document["metadata"]["annotations"][REVISION] == "2"


def test_old_pods_go_as_new_ones_become_available() -> None:
    wanted = rolling(4, 1, 1)
    old = noted(replica_set("old", 4, 4), wanted)
    waiting = noted(replica_set("new", 1, 0, 2, new=True), wanted)
    there = noted(replica_set("new", 1, 1, 2, new=True), wanted)

    assert sizes(decide_deployment(wanted, ReplicaSetsOf(waiting, (old,)), has_old_pods=True)) == {"old": 3}
    assert sizes(decide_deployment(wanted, ReplicaSetsOf(there, (old,)), has_old_pods=True)) == {"old": 2}


def test_old_pods_that_are_not_available_go_first() -> None:
    wanted = rolling(4, 1, 1)
    broken = noted(replica_set("broken", 2, 0), wanted)
    good = noted(replica_set("good", 2, 2, 2), wanted)
    new = noted(replica_set("new", 1, 1, 3, new=True), wanted)

    assert sizes(decide_deployment(wanted, ReplicaSetsOf(new, (broken, good)), has_old_pods=True)) == {"broken": 0}


def test_recreate_waits_for_the_last_old_pod() -> None:
    wanted = workload(replicas=2, spec={"strategy": {"type": "Recreate"}, "template": {"new": True}})
    old, empty = replica_set("old", 2, 2), replica_set("old", 0, 0)

    assert sizes(decide_deployment(wanted, ReplicaSetsOf(None, (old,)), has_old_pods=True)) == {"old": 0}
    assert decide_deployment(wanted, ReplicaSetsOf(None, (empty,)), has_old_pods=True) == []
    [made] = decide_deployment(wanted, ReplicaSetsOf(None, (empty,)), has_old_pods=False)
    assert isinstance(made, CreateReplicaSet)
    assert made.replicas == 2


def test_the_oldest_empty_replica_sets_go_when_the_rollout_is_done() -> None:
    done = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 1}
    wanted = rolling(1, 1, 0, revisionHistoryLimit=1)
    wanted = parse_workload(encode({**wanted.document(), "status": done}))
    new = noted(replica_set("new", 1, 1, 4, new=True), wanted)
    old = tuple(replica_set(f"old-{number}", 0, 0, number) for number in (1, 2, 3))

    steps = decide_deployment(wanted, ReplicaSetsOf(new, old), has_old_pods=False)

    assert [one.replica_set.name for one in steps if isinstance(one, DeleteReplicaSet)] == ["old-1", "old-2"]
    busy = parse_workload(encode({**wanted.document(), "status": {}}))
    assert decide_deployment(busy, ReplicaSetsOf(new, old), has_old_pods=False) == []


# ------------------------------------------------------------------------------------------------ status


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    wanted = rolling(1, 1, 0)
    first = deployment_status(wanted, ReplicaSetsOf(None, ()), NOW, created="web-1")
    there = parse_workload(encode({**wanted.document(), "status": first}))
    new = replica_set("web-1", 1, 1, 1, new=True)
    later = datetime(2026, 3, 1, 12, 5, 0, tzinfo=UTC)

    second = deployment_status(there, ReplicaSetsOf(new, ()), later)

    progress, available = condition_of(second, "Progressing"), condition_of(second, "Available")
    assert progress is not None
    assert available is not None
    assert (progress["reason"], progress["lastTransitionTime"], progress["lastUpdateTime"]) == (
        "NewReplicaSetAvailable",
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:05:00Z",
    )
    assert (available["status"], available["lastTransitionTime"]) == ("True", "2026-03-01T12:05:00Z")


AVAILABLE = {  # of 4 pods, of which one may be unavailable, so many are available: is the deployment?
    "all": (4, "True"),
    "all but one": (3, "True"),
    "too few": (2, "False"),
}


@pytest.mark.parametrize(("ready", "status"), AVAILABLE.values(), ids=AVAILABLE.keys())
def test_a_deployment_is_available_without_those_that_may_be_missing(ready: int, status: str) -> None:
    new = replica_set("web-1", 4, ready, 1, new=True)
    found = condition_of(deployment_status(rolling(4, 0, 1), ReplicaSetsOf(new, ()), NOW), "Available")
    assert found is not None
    assert found["status"] == status


def test_a_pause_and_its_end_are_conditions_whose_status_is_unknown() -> None:
    paused = rolling(1, 1, 0, paused=True)
    status = deployment_status(paused, ReplicaSetsOf(None, ()), NOW, is_scaled_only=True)
    progress = condition_of(status, "Progressing")
    assert progress is not None
    assert (progress["status"], progress["reason"]) == ("Unknown", "DeploymentPaused")
    resumed = parse_workload(encode({**rolling(1, 1, 0).document(), "status": status}))
    progress = condition_of(
        deployment_status(resumed, ReplicaSetsOf(None, ()), NOW, is_scaled_only=True), "Progressing"
    )
    assert progress is not None
    assert (progress["status"], progress["reason"]) == ("Unknown", "DeploymentResumed")


def test_the_same_template_has_the_same_name() -> None:
    assert template_hash({"a": 1, "b": 2}) == template_hash({"b": 2, "a": 1})
    assert template_hash({"a": 1}) != template_hash({"a": 1}, 1)
