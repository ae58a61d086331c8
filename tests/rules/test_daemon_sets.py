"""Which nodes a DaemonSet wants a pod on, and how an update proceeds (DAEMON-1 to DAEMON-3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Node, Pod, parse_node, parse_pod
from pvbinder.model.workloads import Workload, parse_workload
from pvbinder.rules.daemon_sets import HASH_LABEL, daemon_pod, decide_daemon_set, node_of, wanted_on

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
