"""How many pods a ReplicaSet makes or ends, and its status (REPLICAS-RANK is tested in test_workloads.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Pod, parse_pod
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.replica_sets import (
    Replicas,
    decide_replicas,
    ranked_for_deletion,
    replica_set_status,
    seconds_to_look_again,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
AT_NOW = "2026-03-01T12:00:00Z"


def replica_set(replicas: int, *, meta: Json | None = None, status: Json | None = None, **spec: Any) -> Workload:
    metadata = {"name": "web", "generation": 3, **(meta or {})}
    return parse_workload(
        encode({"metadata": metadata, "spec": {"replicas": replicas, **spec}, "status": status or {}})
    )


def pod(
    name: str,
    *,
    ready: str | None = None,
    phase: str = "Running",
    node: str = "n1",
    cost: str | None = None,
    restarts: int = 0,
    created: str = "2026-03-01T11:00:00Z",
    labels: dict[str, str] | None = None,
) -> Pod:
    annotations = {} if cost is None else {"controller.kubernetes.io/pod-deletion-cost": cost}
    metadata = {"name": name, "annotations": annotations, "creationTimestamp": created, "labels": labels or {}}
    conditions = [] if ready is None else [{"type": "Ready", "status": "True", "lastTransitionTime": ready}]
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [{"restartCount": restarts}]}
    return parse_pod(encode({"metadata": metadata, "spec": {"nodeName": node}, "status": status}))


def test_what_a_set_needs() -> None:
    a, b = pod("a"), pod("b", created=AT_NOW)

    assert decide_replicas(replica_set(3), [a]) == Replicas(2, ())
    assert decide_replicas(replica_set(2), [a, b]) == Replicas(0, ())
    assert decide_replicas(replica_set(1), [a, b]) == Replicas(0, (b,))
    assert decide_replicas(replica_set(0), [a, b]) == Replicas(0, (b, a))
    assert decide_replicas(replica_set(501), []) == Replicas(500, ())
    assert len(decide_replicas(replica_set(1), [pod(f"p{number}") for number in range(502)]).delete) == 500
    assert decide_replicas(replica_set(3, meta={"deletionTimestamp": AT_NOW}), [a]) == Replicas(0, ())


EARLIER, LATER = "2026-03-01T11:10:00Z", "2026-03-01T11:20:00Z"
FIRST = {  # of two pods the first one goes first
    "without a node": (pod("z", node=""), pod("a", phase="Pending")),
    "pending": (pod("z", phase="Pending"), pod("a", phase="Unknown")),
    "no phase": (pod("z", phase=""), pod("a", phase="Unknown")),
    "unknown": (pod("z", phase="Unknown"), pod("a")),
    "not ready": (pod("z"), pod("a", ready=EARLIER, cost="-1")),
    "cheaper": (pod("z", cost="-1"), pod("a")),
    "no cost is 0": (pod("z", cost="cheap"), pod("a", cost="1")),
    "ready for a shorter time": (pod("z", ready=LATER), pod("a", ready=EARLIER, restarts=1)),
    "more restarts": (pod("z", restarts=2, created=EARLIER), pod("a", restarts=1, created=LATER)),
    "younger": (pod("z", created=LATER), pod("a", created=EARLIER)),
    "never made": (pod("z", created=EARLIER), pod("a", created="")),
    "by name": (pod("a"), pod("z")),
}


@pytest.mark.parametrize(("goes", "stays"), FIRST.values(), ids=FIRST.keys())
def test_which_pod_goes_first(goes: Pod, stays: Pod) -> None:
    assert ranked_for_deletion([stays, goes]) == [goes, stays]


def test_a_pod_of_the_node_with_more_of_them_goes_first() -> None:
    over = [pod(f"x{number}", node="n2", phase="Failed") for number in range(3)]
    two = [pod("z1", node="n1"), pod("z2", node="n1")]

    assert [one.name for one in ranked_for_deletion([pod("a", node="n2"), *two])] == ["z1", "z2", "a"]
    ranked = [one.name for one in ranked_for_deletion([pod("a", node="n2"), *over, *two]) if one.phase == "Running"]
    assert ranked == ["z1", "z2", "a"], "those that are over don't count"


FAILED = {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": AT_NOW, "reason": "No", "message": "room"}
OTHER = {"type": "Other"}
KNOWN = {**FAILED, "lastTransitionTime": EARLIER}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}}
PODS = [
    pod("a", ready="2026-03-01T11:59:50Z", labels={"app": "web", "more": "x"}),
    pod("b", ready="2026-03-01T11:59:30Z", labels={"app": "web"}),
    pod("c"),
]
STATUSES: dict[str, tuple[Workload, list[Pod], tuple[str, str] | None, Json]] = {
    "no pods": (replica_set(1), [], None, {"replicas": 0}),
    "all counts": (
        replica_set(3, template=TEMPLATE, minReadySeconds=20),
        PODS,
        None,
        {"replicas": 3, "fullyLabeledReplicas": 2, "readyReplicas": 2, "availableReplicas": 1},
    ),
    "a template without labels": (
        replica_set(3),
        PODS,
        None,
        {"replicas": 3, "fullyLabeledReplicas": 3, "readyReplicas": 2, "availableReplicas": 2},
    ),
    "pods can't be made": (
        replica_set(1, status={"conditions": [OTHER]}),
        [],
        ("No", "room"),
        {"replicas": 0, "conditions": [OTHER, FAILED]},
    ),
    "they still can't": (
        replica_set(1, status={"conditions": [KNOWN, OTHER]}),
        [],
        ("Again", "nothing"),
        {"replicas": 0, "conditions": [OTHER, KNOWN]},
    ),
    "they can": (replica_set(1, status={"conditions": [KNOWN]}), [], None, {"replicas": 0}),
}


@pytest.mark.parametrize(("one", "pods", "failure", "status"), STATUSES.values(), ids=STATUSES.keys())
def test_the_status_of_a_set(one: Workload, pods: list[Pod], failure: tuple[str, str] | None, status: Json) -> None:
    expected = {**status, "terminatingReplicas": 2, "observedGeneration": 3}

    assert replica_set_status(one, pods, 2, NOW, failure) == expected


def test_when_the_next_pod_becomes_available() -> None:
    assert seconds_to_look_again(PODS, 60, NOW) == 30
    assert seconds_to_look_again(PODS, 20, NOW) == 10
    assert seconds_to_look_again(PODS, 10, NOW) is None
    assert seconds_to_look_again([], 10, NOW) is None
