"""What the state of a node means for its pods (NODES-1 to NODES-3)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import parse_node, parse_pod
from pvbinder.model.scheduling import Taint
from pvbinder.rules.node_troubles import (
    condition_status,
    executing_taints,
    failed_by,
    is_out_of_service,
    over_threshold,
    seconds_until_eviction,
    wanted_taints,
    with_wanted_taints,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FOREIGN = {"key": "gpu", "effect": "NoSchedule"}


def node(conditions: dict[str, str], *taints: Json, unschedulable: bool = False) -> Json:
    told = [{"type": type_, "status": value} for type_, value in conditions.items()]
    spec: Json = {"taints": list(taints)} if taints else {}
    if unschedulable:
        spec["unschedulable"] = True
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": told}}


def test_nodes_1_taints_are_added_and_taken_by_condition() -> None:
    tainted = with_wanted_taints(node({"Ready": "Unknown", "MemoryPressure": "True"}, FOREIGN), NOW)
    assert tainted is not None
    assert tainted["spec"]["taints"] == [
        FOREIGN,
        {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2026-03-01T12:00:00Z"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
    ]
    assert with_wanted_taints(tainted, NOW) is None
    well = {**tainted, "status": node({"Ready": "True"})["status"]}
    assert (with_wanted_taints(well, NOW) or {})["spec"] == {"taints": [FOREIGN]}
    assert with_wanted_taints(node({"Ready": "True"}), NOW) is None


def tolerations(*tolerated: tuple[str, int | None]) -> list[Json]:
    made: list[Json] = [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key, _ in tolerated]
    for toleration, (_, seconds) in zip(made, tolerated, strict=True):
        if seconds is not None:
            toleration["tolerationSeconds"] = seconds
    return made


STAYS: dict[str, tuple[list[tuple[str, int | None]], list[str], float | None]] = {  # tolerated, taints: seconds
    "no taints": ([], [], None),
    "not tolerated": ([], ["a"], 0),
    "tolerated": ([("a", None)], ["a"], None),
    "for a time": ([("a", 30)], ["a"], 30),
    "the shortest counts": ([("a", 30), ("b", 10)], ["a", "b"], 10),
    "one of two": ([("a", 30)], ["a", "b"], 0),
    "an endless one and a limit": ([("a", None), ("b", 10)], ["a", "b"], 10),
    "a negative time is none": ([("a", -5)], ["a"], 0),
}


@pytest.mark.parametrize(("tolerated", "keys", "expected"), STAYS.values(), ids=STAYS.keys())
def test_nodes_2_how_long_a_pod_may_stay(
    tolerated: list[tuple[str, int | None]], keys: list[str], expected: float | None
) -> None:
    pod = parse_pod(encode({"metadata": {"name": "p"}, "spec": {"tolerations": tolerations(*tolerated)}}))

    assert seconds_until_eviction(pod, [Taint(key, effect="NoExecute") for key in keys]) == expected
    assert seconds_until_eviction(pod, [Taint("other", effect="NoSchedule")]) is None


def test_nodes_3_the_oldest_that_are_over_go_beyond_the_threshold() -> None:
    pods = [
        parse_pod(
            encode(
                {
                    "metadata": {"name": f"p{hour}", "creationTimestamp": f"2026-03-01T{hour:02}:00:00Z"},
                    "status": {"phase": phase},
                }
            )
        )
        for hour, phase in ((3, "Failed"), (1, "Running"), (2, "Succeeded"), (4, "Succeeded"))
    ]

    assert [pod.name for pod in over_threshold(pods, 1)] == ["p2", "p3"]
    assert over_threshold(pods, 3) == over_threshold(pods, 0) == []


def test_nodes_3_only_a_node_that_is_not_ready_is_out_of_service() -> None:
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}

    assert is_out_of_service(parse_node(encode(node({"Ready": "False"}, taint))))
    assert not is_out_of_service(parse_node(encode(node({"Ready": "True"}, taint))))
    assert not is_out_of_service(parse_node(encode(node({"Ready": "False"}))))


def keys(document: Json) -> list[str]:
    return sorted(f"{key.removeprefix('node.kubernetes.io/')}:{effect}" for key, effect in wanted_taints(document))


WANTED: dict[str, tuple[Json, list[str]]] = {
    "it is ready": (node({"Ready": "True"}), []),
    "it isn't": (node({"Ready": "False"}), ["not-ready:NoExecute", "not-ready:NoSchedule"]),
    "nobody knows": (node({"Ready": "Unknown"}), ["unreachable:NoExecute", "unreachable:NoSchedule"]),
    "it has said nothing yet": ({}, ["not-ready:NoSchedule"]),
    "it is cordoned": (node({"Ready": "True"}, unschedulable=True), ["unschedulable:NoSchedule"]),
    "all is scarce": (
        node(dict.fromkeys(("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"), "True")),
        [
            "disk-pressure:NoSchedule",
            "memory-pressure:NoSchedule",
            "network-unavailable:NoSchedule",
            "pid-pressure:NoSchedule",
        ],
    ),
    "nothing is": (node({"Ready": "True", "DiskPressure": "False"}), []),
}


@pytest.mark.parametrize(("document", "expected"), WANTED.values(), ids=WANTED.keys())
def test_nodes_1_the_taints_of_a_state(document: Json, expected: list[str]) -> None:
    assert keys(document) == expected


def test_nodes_1_a_taint_of_ours_is_known_by_key_and_effect() -> None:
    wrong = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}
    [only] = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]

    assert with_wanted_taints(node({"Ready": "True"}, wrong), NOW) == node({"Ready": "True"})
    assert with_wanted_taints(node({"Ready": "True"}, only, unschedulable=True), NOW) is None
    later = with_wanted_taints(node({"Ready": "False"}), NOW)
    assert later is not None
    assert [one.get("timeAdded") for one in later["spec"]["taints"]] == ["2026-03-01T12:00:00Z", None]
    assert condition_status(node({"Ready": "False", "Other": "True"}), "Other") == "True"
    assert condition_status({}, "Ready") is None


def test_nodes_2_the_taints_that_end_pods() -> None:
    taints = [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoSchedule"}]

    assert executing_taints(parse_node(encode(node({}, *taints)))) == (Taint("a", effect="NoExecute"),)


def test_nodes_2_the_first_toleration_that_fits_counts() -> None:
    pod = parse_pod(encode({"metadata": {"name": "p"}, "spec": {"tolerations": tolerations(("a", 30), ("a", 10))}}))

    assert seconds_until_eviction(pod, [Taint("a", effect="NoExecute"), Taint("b")]) == 30


def test_a_pod_that_was_ended_from_outside_says_so() -> None:
    assert failed_by(parse_pod(encode({"metadata": {"uid": "u"}})), "Why", "because", NOW) == {
        "metadata": {"uid": "u"},
        "status": {
            "conditions": [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "Why",
                    "message": "because",
                    "lastTransitionTime": "2026-03-01T12:00:00Z",
                }
            ]
        },
    }
