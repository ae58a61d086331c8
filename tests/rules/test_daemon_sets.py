"""Which nodes a DaemonSet wants a pod on, and how an update proceeds (DAEMON-1 to DAEMON-3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Node, Pod, parse_node, parse_pod
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.daemon_sets import (
    HASH_LABEL,
    DaemonPlan,
    daemon_pod,
    daemon_status,
    decide_daemon_set,
    node_of,
    wanted_on,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def agent(rolling: Json | None = None, **pod_spec: Any) -> Workload:
    spec = {
        "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [], **pod_spec}},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxUnavailable": 1}},
    }
    return parse_workload(encode({"metadata": {"name": "agent", "namespace": "shop", "uid": "u"}, "spec": spec}))


def node(name: str = "n1", *taints: tuple[str, str], labels: dict[str, str] | None = None) -> Node:
    spec = {"taints": [{"key": key, "effect": effect} for key, effect in taints]}
    return parse_node(encode({"metadata": {"name": name, "labels": labels or {}}, "spec": spec}))


def pod(name: str, on: str, revision: str = "new", *, ready: bool = True, phase: str = "Running") -> Pod:
    metadata = {"name": name, "uid": name, "labels": {HASH_LABEL: revision}}
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]}
    return parse_pod(encode({"metadata": metadata, "spec": {"nodeName": on}, "status": status}))


AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
        }
    }
}
FITS = {  # the node, the pod: (gets one, keeps one)
    "any": (node(), {}, (True, True)),
    "another node by name": (node(), {"nodeName": "n2"}, (False, False)),
    "no such label": (node(), {"nodeSelector": {"gpu": "yes"}}, (False, False)),
    "the label": (node(labels={"gpu": "yes"}), {"nodeSelector": {"gpu": "yes"}}, (True, True)),
    "no affinity": (node(), {"affinity": AFFINITY}, (False, False)),
    "affinity": (node(labels={"gpu": "yes"}), {"affinity": AFFINITY}, (True, True)),
    "tainted for new ones": (node("n1", ("own", "NoSchedule")), {}, (False, True)),
    "tainted for all": (node("n1", ("own", "NoExecute")), {}, (False, False)),
    "cordoned": (node("n1", ("node.kubernetes.io/unschedulable", "NoSchedule")), {}, (True, True)),
    "not ready": (node("n1", ("node.kubernetes.io/not-ready", "NoExecute")), {}, (True, True)),
}


@pytest.mark.parametrize(("here", "spec", "expected"), FITS.values(), ids=FITS.keys())
def test_daemon_1_which_nodes_get_and_keep_a_pod(here: Node, spec: Json, expected: tuple[bool, bool]) -> None:
    wanted = wanted_on(agent(**spec), here)

    assert (wanted.runs, wanted.stays) == expected


def test_daemon_1_a_pod_is_bound_to_its_node_before_it_is_placed() -> None:
    waiting = parse_pod(encode(daemon_pod(agent(affinity=AFFINITY), "n7", "new")))

    assert node_of(waiting) == "n7"


def test_daemon_2_a_node_has_one_pod() -> None:
    two = {"n1": [pod("a", "n1"), pod("b", "n1")], "n2": []}
    plan = decide_daemon_set(agent(), [node("n1"), node("n2")], two, "new", NOW)

    assert (plan.create, [one.name for one in plan.delete]) == (("n2",), ["b"])


def test_daemon_2_a_pod_that_is_over_is_replaced() -> None:
    failed = {"n1": [pod("a", "n1", phase="Failed")]}
    plan = decide_daemon_set(agent(), [node("n1")], failed, "new", NOW)

    assert ([one.name for one in plan.delete], [one.name for one in plan.over]) == (["a"], ["a"])


def test_daemon_3_old_pods_that_are_not_available_go_first() -> None:
    nodes = [node("n1"), node("n2"), node("n3")]
    old = {name: [pod(name, name, "old", ready=name != "n2")] for name in ("n1", "n2", "n3")}

    assert [one.name for one in decide_daemon_set(agent(), nodes, old, "new", NOW).delete] == ["n2"]
    more = agent({"maxUnavailable": 2})
    assert [one.name for one in decide_daemon_set(more, nodes, old, "new", NOW).delete] == ["n2", "n1"]


def test_daemon_3_a_surge_makes_new_pods_first() -> None:
    nodes = [node("n1"), node("n2")]
    surge = agent({"maxSurge": 1, "maxUnavailable": 0})
    old = {name: [pod(name, name, "old")] for name in ("n1", "n2")}
    assert decide_daemon_set(surge, nodes, old, "new", NOW).create == ("n1",)

    both = {**old, "n1": [*old["n1"], pod("fresh", "n1")]}
    plan = decide_daemon_set(surge, nodes, both, "new", NOW)
    assert ([one.name for one in plan.delete], plan.create) == (["n1"], ())


def test_daemon_1_a_pod_tolerates_what_befalls_its_node() -> None:
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    other = {"key": "own", "operator": "Exists"}
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "uid": "u"}
    document = daemon_pod(agent(tolerations=[other, mine], hostNetwork=True), "n7", "h")

    assert document == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "generateName": "agent-",
            "labels": {"app": "agent", "controller-revision-hash": "h"},
            "ownerReferences": [owner | {"controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "containers": [],
            "hostNetwork": True,
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [field]}}
            },
            "tolerations": [
                other,
                mine,
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"},
                {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"},
            ],
        },
    }
    assert len(daemon_pod(agent(), "n7", "h")["spec"]["tolerations"]) == 6
    assert daemon_pod(agent(affinity=AFFINITY), "n7", "h")["spec"]["affinity"] == {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}], **field}]
            }
        }
    }


MEANT: dict[str, tuple[Json, str]] = {
    "it is there": ({"nodeName": "n1"}, "n1"),
    "nothing is said": ({}, ""),
    "affinity to labels": ({"affinity": AFFINITY}, ""),
    "another field, then the name": (
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchFields": [{"key": "x", "operator": "In", "values": ["n1"]}]},
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": []}]},
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2", "n3"]}]},
                        ]
                    }
                }
            }
        },
        "n2",
    ),
}


@pytest.mark.parametrize(("spec", "expected"), MEANT.values(), ids=MEANT.keys())
def test_daemon_1_the_node_that_a_pod_is_meant_for(spec: Json, expected: str) -> None:
    assert node_of(parse_pod(encode({"spec": spec}))) == expected


def going(name: str, on: str, revision: str = "new", phase: str = "Running") -> Pod:
    document = pod(name, on, revision, phase=phase).document()
    document["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    return parse_pod(encode(document))


def shown(plan: DaemonPlan) -> tuple[list[str], list[str], list[str]]:
    return list(plan.create), [one.name for one in plan.delete], [one.name for one in plan.over]


N1, N2, N3 = node("n1"), node("n2"), node("n3")
FULL, CLOSED = node("n4", ("own", "NoSchedule")), node("n5", ("own", "NoExecute"))
SURGE = {"maxSurge": 1, "maxUnavailable": 0}
waiting = parse_pod(encode({**daemon_pod(agent(), "n1", "new"), "status": {"phase": "Pending"}}))
Plans = dict[str, tuple[Workload, list[Node], dict[str, list[Pod]], tuple[list[str], list[str], list[str]]]]
PLANS: Plans = {  # the nodes, the pods by node: what is made, what is ended, what of that was over
    "a node without a pod": (agent(), [N1, N2], {"n1": [pod("a", "n1")]}, (["n2"], [], [])),
    "a node that takes no new ones": (agent(), [FULL], {}, ([], [], [])),
    "but keeps the one it has": (agent(), [FULL], {"n4": [pod("a", "n4", "old")]}, ([], [], [])),
    "a node that takes none": (agent(), [CLOSED], {"n5": [pod("a", "n5"), pod("b", "n5")]}, ([], ["a", "b"], [])),
    "what is going already isn't ended": (agent(), [CLOSED], {"n5": [going("a", "n5")]}, ([], [], [])),
    "the one with a node stays": (agent(), [N1], {"n1": [waiting, pod("z", "n1")]}, ([], [""], [])),
    "an old and a new one may be there": (
        agent(),
        [N1],
        {"n1": [pod("a", "n1"), pod("b", "n1", "old"), pod("c", "n1", "old")]},
        ([], ["c"], []),
    ),
    "one that is over goes": (agent(), [N1], {"n1": [pod("a", "n1", phase="Succeeded")]}, ([], ["a"], ["a"])),
    "one that is over and going": (agent(), [N1], {"n1": [going("a", "n1", phase="Failed")]}, ([], [], [])),
    "an update waits while pods are made": (
        agent(),
        [N1, N2],
        {"n1": [pod("a", "n1", "old")]},
        (["n2"], [], []),
    ),
    "one may be unavailable": (
        agent(),
        [N1, N2],
        {"n1": [pod("a", "n1", "old")], "n2": [pod("b", "n2", "old")]},
        ([], ["a"], []),
    ),
    "one is already": (
        agent(),
        [N1, N2],
        {"n1": [pod("a", "n1", "new", ready=False)], "n2": [pod("b", "n2", "old")]},
        ([], [], []),
    ),
    "one goes already": (
        agent(),
        [N1, N2],
        {"n1": [going("a", "n1", "old")], "n2": [pod("b", "n2", "old")]},
        ([], [], []),
    ),
    "half of them": (
        agent({"maxUnavailable": "50%"}),
        [N1, N2, N3],
        {name: [pod(name, name, "old")] for name in ("n1", "n2", "n3")},
        ([], ["n1", "n2"], []),
    ),
    "at least one": (agent({"maxUnavailable": 0}), [N1], {"n1": [pod("a", "n1", "old")]}, ([], ["a"], [])),
    "one where nothing is said": (
        agent({"other": 1}),
        [N1, N2],
        {"n1": [pod("a", "n1", "old")], "n2": [pod("b", "n2", "old")]},
        ([], ["a"], []),
    ),
    "a surge for what isn't available": (
        agent(SURGE),
        [N1, N2],
        {"n1": [pod("a", "n1", "old", ready=False)], "n2": [pod("b", "n2", "old")]},
        (["n1"], [], []),
    ),
    "the new one isn't available yet": (
        agent(SURGE),
        [N1, N2],
        {"n1": [pod("a", "n1", "old"), pod("c", "n1", ready=False)], "n2": [pod("b", "n2", "old")]},
        ([], [], []),
    ),
    "the old one goes already": (
        agent(SURGE),
        [N1],
        {"n1": [going("a", "n1", "old"), pod("c", "n1")]},
        ([], [], []),
    ),
    "a larger surge": (
        agent({"maxSurge": 2, "maxUnavailable": 0}),
        [N1, N2, N3],
        {
            "n1": [pod("a", "n1", "old"), pod("c", "n1")],
            "n2": [pod("b", "n2", "old")],
            "n3": [pod("d", "n3", "old")],
        },
        (["n2"], ["a"], []),
    ),
    "all are new": (agent(), [N1], {"n1": [pod("a", "n1")]}, ([], [], [])),
}


@pytest.mark.parametrize(("one", "nodes", "pods", "expected"), PLANS.values(), ids=PLANS.keys())
def test_the_next_steps_of_a_daemon_set(
    one: Workload,
    nodes: list[Node],
    pods: dict[str, list[Pod]],
    expected: tuple[list[str], list[str], list[str]],
) -> None:
    """DAEMON-1 to DAEMON-3."""
    assert shown(decide_daemon_set(one, nodes, pods, "new", NOW)) == expected


def test_daemon_3_without_rolling_nothing_is_updated() -> None:
    document = agent().document()
    document["spec"]["updateStrategy"] = {"type": "OnDelete", "rollingUpdate": {}}
    old = {"n1": [pod("a", "n1", "old")]}

    assert decide_daemon_set(parse_workload(encode(document)), [N1], old, "new", NOW) == DaemonPlan()


def test_the_status_of_a_daemon_set() -> None:
    document = agent().document()
    document["metadata"]["generation"] = 3
    counted = daemon_status(
        parse_workload(encode({**document, "status": {"collisionCount": 2}})),
        [N1, N2, N3, FULL, CLOSED, node("n6")],
        {
            "n1": [pod("a", "n1")],
            "n2": [pod("b", "n2", "old"), pod("c", "n2", ready=False)],
            "n3": [pod("d", "n3", "old", ready=False)],
            "n4": [pod("e", "n4")],
        },
        "new",
        NOW,
    )

    assert counted == {
        "currentNumberScheduled": 3,
        "numberMisscheduled": 1,
        "desiredNumberScheduled": 4,
        "numberReady": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
        "numberUnavailable": 2,
        "observedGeneration": 3,
        "collisionCount": 2,
    }
    assert daemon_status(agent(), [], {}, "new", NOW) == {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
        "observedGeneration": 0,
    }


def test_a_pod_is_available_when_it_was_ready_for_long_enough() -> None:
    document = agent().document()
    document["spec"]["minReadySeconds"] = 10
    one = parse_workload(encode(document))
    fresh = pod("a", "n1").document()
    fresh["status"]["conditions"][0]["lastTransitionTime"] = "2026-03-01T11:59:55Z"
    there = {"n1": [parse_pod(encode(fresh))], "n2": [pod("b", "n2", "old", ready=False)]}

    status = daemon_status(one, [N1], there, "new", NOW)
    assert (status["numberReady"], status.get("numberAvailable"), status["numberUnavailable"]) == (1, None, 1)
    assert shown(decide_daemon_set(one, [N1, N2], there, "new", NOW)) == ([], ["b"], [])
