"""The facts for placing pods."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import MalformedObjectError, StorageClass, parse_node, parse_pod, parse_storage_class
from pvbinder.model.quantity import parse_quantity
from pvbinder.model.scheduling import (
    CsiDriver,
    CsiStorageCapacity,
    NodeState,
    PodDemands,
    Taint,
    Toleration,
    TopologyRequirement,
    TopologyTerm,
    allowed_topologies,
    demands_of,
    parse_csi_driver,
    parse_csi_storage_capacity,
    state_of,
)
from pvbinder.model.selectors import LabelSelector, NodeSelector

TAINT = Taint("disk", "5", "NoSchedule")
TOLERATED = {  # a toleration: does a pod that has it put up with TAINT
    "the same": (Toleration("disk", "Equal", "5", "NoSchedule"), True),
    "every effect": (Toleration("disk", "Equal", "5"), True),
    "Equal is meant": (Toleration("disk", None, "5"), True),
    "another effect": (Toleration("disk", "Equal", "5", "NoExecute"), False),
    "another key": (Toleration("cpu", "Exists"), False),
    "another value": (Toleration("disk", "Equal", "6"), False),
    "no value": (Toleration("disk"), False),
    "any value": (Toleration("disk", "Exists"), True),
    "any taint": (Toleration(None, "Exists"), True),
    "Equal without a key": (Toleration(None, "Equal", "5"), False),
    "less": (Toleration("disk", "Lt", "6"), True),
    "not less": (Toleration("disk", "Lt", "5"), False),
    "more": (Toleration("disk", "Gt", "4"), True),
    "not more": (Toleration("disk", "Gt", "5"), False),
    "more than no number": (Toleration("disk", "Gt", "few"), False),
    "more than nothing": (Toleration("disk", "Gt"), False),
    "an operator that is none": (Toleration("disk", "Near", "5"), False),
}


@pytest.mark.parametrize(("toleration", "is_so"), TOLERATED.values(), ids=TOLERATED.keys())
def test_a_taint_is_put_up_with(toleration: Toleration, is_so: bool) -> None:
    assert toleration.tolerates(TAINT) is is_so


def test_no_value_is_an_empty_value() -> None:
    assert Toleration("disk").tolerates(Taint("disk", "", "NoSchedule"))


@pytest.mark.parametrize(
    ("effect", "is_so"), [("NoSchedule", True), ("NoExecute", True), ("PreferNoSchedule", False), ("", False)]
)
def test_a_taint_keeps_new_pods_off(effect: str, is_so: bool) -> None:
    assert Taint("a", "b", effect).keeps_new_pods_off is is_so


AFFINITY: Json = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
DEMANDS: dict[str, tuple[Json, PodDemands]] = {
    "nothing": ({}, PodDemands("default-scheduler", False, {}, None, ())),
    "empty": (
        {"spec": {"affinity": {}, "schedulerName": "", "schedulingGates": []}},
        PodDemands("default-scheduler", False, {}, None, ()),
    ),
    "everything": (
        {
            "spec": {
                "schedulerName": "mine",
                "schedulingGates": [{"name": "g"}],
                "nodeSelector": {"disk": "ssd"},
                "affinity": AFFINITY,
                "tolerations": [
                    {"key": "k", "operator": "o", "value": "v", "effect": "e", "tolerationSeconds": 3},
                    {},
                ],
            }
        },
        PodDemands(
            "mine",
            True,
            {"disk": "ssd"},
            NodeSelector(()),
            (Toleration("k", "o", "v", "e", 3), Toleration(None, None, None, None, None)),
        ),
    ),
}


@pytest.mark.parametrize(("document", "expected"), DEMANDS.values(), ids=DEMANDS.keys())
def test_the_demands_of_a_pod(document: Json, expected: PodDemands) -> None:
    assert demands_of(parse_pod(encode(document))) == expected


def test_the_state_of_a_node() -> None:
    spec = {"unschedulable": True, "taints": [{"key": "k", "value": "v", "effect": "e"}, {}]}

    assert state_of(parse_node(encode({"spec": spec}))) == NodeState(True, (Taint("k", "v", "e"), Taint("", "", "")))
    assert state_of(parse_node(b"{}")) == NodeState(False, ())


TERM = TopologyTerm((TopologyRequirement("zone", ("a", "b")), TopologyRequirement("disk", ("ssd",))))
NODES: dict[str, tuple[TopologyTerm, dict[str, str], bool]] = {
    "all": (TERM, {"zone": "b", "disk": "ssd"}, True),
    "not all": (TERM, {"zone": "b"}, False),
    "another value": (TERM, {"zone": "c", "disk": "ssd"}, False),
    "an empty term": (TopologyTerm(()), {"zone": "b"}, False),
    "no term": (TopologyTerm(None), {"zone": "b"}, False),
}


@pytest.mark.parametrize(("term", "labels", "is_so"), NODES.values(), ids=NODES.keys())
def test_a_topology_matches_labels(term: TopologyTerm, labels: dict[str, str], is_so: bool) -> None:
    assert term.matches(labels) is is_so


def test_the_topologies_of_a_class() -> None:
    terms = [{"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}, {}]}, {}]

    assert allowed_topologies(parse_storage_class(encode({"allowedTopologies": terms}))) == (
        TopologyTerm((TopologyRequirement("zone", ("a", "b")), TopologyRequirement("", ()))),
        TopologyTerm(None),
    )
    assert allowed_topologies(parse_storage_class(b"{}")) == ()


META = {"name": "n", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}


@pytest.mark.parametrize(("spec", "reports"), [({"storageCapacity": True}, True), ({}, False), (None, False)], ids=str)
def test_a_driver_that_reports_its_capacity(spec: Json | None, reports: bool) -> None:
    data = encode({"metadata": META, "spec": spec})

    assert parse_csi_driver(data) == CsiDriver(data, "n", "u-1", "7", reports, "")
    assert parse_csi_driver(data).key == "n"


def test_the_capacity_of_a_driver() -> None:
    data = encode(
        {
            "metadata": META,
            "storageClassName": "fast",
            "nodeTopology": {"matchLabels": {"zone": "a"}},
            "capacity": "1Gi",
            "maximumVolumeSize": 1000,
        }
    )
    found = parse_csi_storage_capacity(data)

    assert msgspec.structs.asdict(found) == {
        "raw": data,
        "name": "n",
        "namespace": "shop",
        "uid": "u-1",
        "resource_version": "7",
        "storage_class": "fast",
        "topology": LabelSelector({"zone": "a"}),
        "capacity": parse_quantity("1Gi"),
        "maximum_volume_size": parse_quantity("1k"),
    }
    assert found.key == "shop/n"
    assert parse_csi_storage_capacity(b"{}") == CsiStorageCapacity(b"{}", "", "", "", "", "", None, None, None)


def test_what_is_malformed_is_called_by_its_kind() -> None:
    classes = storage_class_of({"allowedTopologies": 5})
    with pytest.raises(MalformedObjectError, match=r"^StorageClass"):
        allowed_topologies(classes)
    with pytest.raises(MalformedObjectError, match=r"^Pod"):
        demands_of(parse_pod(encode({"spec": {"tolerations": 5}})))
    with pytest.raises(MalformedObjectError, match=r"^Node"):
        state_of(parse_node(encode({"spec": {"taints": 5}})))
    with pytest.raises(MalformedObjectError, match=r"^CSIDriver"):
        parse_csi_driver(b"[")
    with pytest.raises(MalformedObjectError, match=r"^CSIStorageCapacity"):
        parse_csi_storage_capacity(b"[")


def storage_class_of(document: Json) -> StorageClass:
    return parse_storage_class(encode(document))


def test_a_capacity_that_is_no_amount_is_malformed() -> None:
    with pytest.raises(MalformedObjectError, match=r"^CSIStorageCapacity: 'many': quantities must match"):
        parse_csi_storage_capacity(encode({"capacity": "many"}))


def capacity(**fields: Any) -> CsiStorageCapacity:
    return parse_csi_storage_capacity(encode({"metadata": META, **fields}))


REACHED: dict[str, tuple[Json, bool]] = {
    "these labels": ({"nodeTopology": {"matchLabels": {"zone": "a"}}}, True),
    "other labels": ({"nodeTopology": {"matchLabels": {"zone": "b"}}}, False),
    "every node": ({"nodeTopology": {}}, True),
    "no node": ({}, False),
    "a selector that is none": ({"nodeTopology": {"matchExpressions": [{"key": "zone", "operator": "Near"}]}}, False),
}


@pytest.mark.parametrize(("fields", "is_so"), REACHED.values(), ids=REACHED.keys())
def test_a_node_reaches_storage(fields: Json, is_so: bool) -> None:
    assert capacity(**fields).is_reachable_from({"zone": "a"}) is is_so


HOLDS: dict[str, tuple[Json, bool]] = {
    "as much": ({"capacity": "1Gi"}, True),
    "too little": ({"capacity": "1Mi"}, False),
    "nothing said": ({}, False),
    "the largest volume counts first": ({"capacity": "1Mi", "maximumVolumeSize": "2Gi"}, True),
    "and can be too small": ({"capacity": "5Gi", "maximumVolumeSize": "1Mi"}, False),
}


@pytest.mark.parametrize(("fields", "is_so"), HOLDS.values(), ids=HOLDS.keys())
def test_storage_holds_a_volume(fields: Json, is_so: bool) -> None:
    assert capacity(**fields).holds(parse_quantity("1Gi")) is is_so
