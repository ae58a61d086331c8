"""Tables and metadata-only forms.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.server.api.tables import parse_include_object, partial_object_metadata_list, render_table
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.events import EVENT, EVENT_OF_EVENTS, from_v1
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind

NOW = datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC)
BORN = {"creationTimestamp": "2026-01-31T12:00:00Z"}
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
OLD_CLASS = {"volume.beta.kubernetes.io/storage-class": "old"}


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural and kind.storage_version_of is None)


ROWS: list[tuple[str, Json, list[object]]] = [
    (
        "persistentvolumes",
        {
            "spec": {
                "capacity": {"storage": "5Gi"},
                "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": "fast",
                "claimRef": {"namespace": "ns1", "name": "c1"},
                "volumeMode": "Filesystem",
            },
            "status": {"phase": "Failed", "reason": "Broken"},
        },
        ["a", "5Gi", "RWO,RWX", "Delete", "Failed", "ns1/c1", "fast", "<unset>", "Broken", "7s", "Filesystem"],
    ),
    (
        "persistentvolumes",
        {"metadata": {"annotations": OLD_CLASS, "deletionTimestamp": "t"}, "spec": {}, "status": {"phase": "Bound"}},
        ["a", "", "", "", "Terminating", "", "old", "<unset>", "", "7s", "<unset>"],
    ),
    (
        "persistentvolumeclaims",
        {
            "spec": {
                "volumeName": "v",
                "storageClassName": "fast",
                "volumeAttributesClassName": "gold",
                "volumeMode": "Block",
            },
            "status": {
                "phase": "Bound",
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOncePod", "ReadOnlyMany"],
            },
        },
        ["a", "Bound", "v", "1Gi", "ROX,RWOP", "fast", "gold", "7s", "Block"],
    ),
    (
        "persistentvolumeclaims",
        {"spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending", "capacity": {"storage": "1Gi"}}},
        ["a", "Pending", "", "", "", "", "<unset>", "7s", "Filesystem"],
    ),
    (
        "storageclasses",
        {
            "metadata": {"annotations": DEFAULT},
            "provisioner": "p",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
        ["a (default)", "p", "Delete", "Immediate", False, "7s"],
    ),
    ("volumeattributesclasses", {"driverName": "d"}, ["a", "d", "7s"]),
    (
        "csidrivers",
        {
            "spec": {
                "attachRequired": True,
                "podInfoOnMount": False,
                "storageCapacity": True,
                "tokenRequests": [{"audience": "x"}, {"audience": "y"}],
                "requiresRepublish": False,
                "volumeLifecycleModes": ["Persistent", "Ephemeral"],
            }
        },
        ["a", True, False, True, "x,y", False, "Persistent,Ephemeral", "7s"],
    ),
    ("csidrivers", {"spec": {}}, ["a", True, False, False, "<unset>", False, "<none>", "7s"]),
    ("csinodes", {"spec": {"drivers": [{}, {}]}}, ["a", 2, "7s"]),
    ("csistoragecapacities", {"storageClassName": "fast"}, ["a", BORN["creationTimestamp"]]),
    (
        "volumeattachments",
        {
            "spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}},
            "status": {"attached": True},
        },
        ["a", "d", "v", "n", True, "7s"],
    ),
    (
        "nodes",
        {
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/admin": ""}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "os"},
            },
        },
        [
            "a",
            "Ready,SchedulingDisabled",
            "admin,worker",
            "7s",
            "v1.36.0",
            "10.0.0.9",
            "<none>",
            "os",
            "<unknown>",
            "<unknown>",
        ],
    ),
    (
        "nodes",
        {"spec": {}, "status": {}},
        ["a", "Unknown", "<none>", "7s", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"],
    ),
    ("namespaces", {"status": {"phase": "Active"}}, ["a", "Active", "7s"]),
    (
        "nodes",
        {"spec": {}, "status": {"nodeInfo": {"kernelVersion": "6.1", "architecture": "arm64"}}},
        ["a", "Unknown", "<none>", "7s", "", "<none>", "<none>", "<unknown>", "6.1 (arm64)", "<unknown>"],
    ),
    (
        "ingressclasses",
        {
            "metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
            "spec": {"controller": "c/d", "parameters": {"apiGroup": "g.io", "kind": "K", "name": "n"}},
        },
        ["a (default)", "c/d", "K.g.io/n", "7s"],
    ),
    (
        "ingresses",
        {
            "spec": {"rules": [{"host": "w"}, {}, {"host": "x"}, {"host": "y"}, {"host": "z"}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "h"}, {"ip": "1.2.3.4"}]}},
        },
        ["a", "<none>", "w,x,y + 2 more...", "1.2.3.4,h", "80", "7s"],
    ),
    ("limitranges", {}, ["a", BORN["creationTimestamp"]]),
    ("clusterroles", {}, ["a", BORN["creationTimestamp"]]),
    (
        "priorityclasses",
        {"value": 5, "globalDefault": True, "preemptionPolicy": "Never"},
        ["a", 5, True, "7s", "Never"],
    ),
    ("poddisruptionbudgets", {"spec": {"minAvailable": 1, "maxUnavailable": "5%"}}, ["a", "1", "5%", 0, "7s"]),
    (
        "flowschemas",
        {"spec": {"priorityLevelConfiguration": {"name": "p"}, "matchingPrecedence": 9}},
        ["a", "p", 9, "<none>", "7s", "?"],
    ),
    (
        "prioritylevelconfigurations",
        {"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}}}},
        ["a", "Limited", 0, "<none>", "<none>", "<none>", "7s"],
    ),
    ("resourceclaims", {"status": {"allocation": {}, "reservedFor": [{}]}}, ["a", "allocated,reserved", "7s"]),
    ("resourceclaims", {"metadata": {"deletionTimestamp": "t"}}, ["a", "deleted", "7s"]),
    (
        "validatingadmissionpolicybindings",
        {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"b": "2", "a": "1"}}}}},
        [
            "a",
            "p",
            "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{},}",
            "7s",
        ],
    ),
    (
        "mutatingadmissionpolicies",
        {"spec": {"mutations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}},
        ["a", 1, "v1/ConfigMap", "7s"],
    ),
    ("certificatesigningrequests", {"spec": {"expirationSeconds": 7200}}, ["a", "7s", "<none>", "", "120m", "Pending"]),
    (
        "apiservices",
        {"spec": {}, "status": {"conditions": [{"type": "Available", "status": "False"}]}},
        ["a", "Local", "False", "7s"],
    ),
    (
        "deployments",
        {"spec": {"selector": {"matchLabels": {"z": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}}},
        ["a", "0/0", 0, 0, "7s", "", "", "b,z=1"],
    ),
    ("deployments", {"spec": {"selector": {}}}, ["a", "0/0", 0, 0, "7s", "", "", ""]),
    (
        "services",
        {
            "spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"], "externalIPs": ["9.9.9.9"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "2.2.2.2"}, {"ip": "1.1.1.1"}]}},
        },
        ["a", "LoadBalancer", "10.0.0.1", "1.1.1.1,2.2.2.2,9.9.9.9", "<none>", "7s", "<none>"],
    ),
    ("services", {"spec": {"clusterIP": "None"}}, ["a", "", "<none>", "<unknown>", "<none>", "7s", "<none>"]),
    ("endpoints", {}, ["a", "<none>", "7s"]),
    ("endpoints", {"subsets": [{"ports": [{"port": 1}]}]}, ["a", "", "7s"]),
    ("endpoints", {"subsets": [{"addresses": [{"ip": "::1"}], "ports": [{"port": 1}]}]}, ["a", "[::1]:1", "7s"]),
    (
        "endpointslices",
        {"ports": [{"name": "http"}, {"port": 2}, {}, {"port": 4}], "endpoints": [{"addresses": []}]},
        ["a", "", "http,2,* + 1 more...", "<unset>", "7s"],
    ),
    (
        "horizontalpodautoscalers",
        {
            "spec": {
                "scaleTargetRef": {"kind": "K", "name": "n"},
                "metrics": [
                    {"type": "External", "external": {"target": {"averageValue": "5"}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "target": {}}},
                    {"type": "Odd"},
                ],
            },
        },
        ["a", "K/n", "<unknown>/5 (avg), cpu: <unknown>/<auto> + 1 more...", "<unset>", 0, 0, "7s"],
    ),
    ("secrets", {"type": "Opaque", "data": {"k": "", "l": ""}}, ["a", "Opaque", 2, "7s"]),
    ("configmaps", {"data": {"k": ""}, "binaryData": {"b": ""}}, ["a", 2, "7s"]),
    ("serviceaccounts", {}, ["a", "7s"]),
    ("leases", {"spec": {"holderIdentity": "me"}}, ["a", "me", "7s"]),
    (
        "events",
        {
            "involvedObject": {"kind": "PersistentVolumeClaim", "name": "c1", "fieldPath": "spec"},
            "type": "Normal",
            "reason": "Provisioning",
            "message": "working\n",
            "source": {"component": "binder", "host": "n1"},
            "firstTimestamp": "2026-01-31T11:00:00Z",
            "lastTimestamp": "2026-01-31T12:00:00Z",
            "count": 3,
        },
        [
            "7s",
            "Normal",
            "Provisioning",
            "persistentvolumeclaim/c1",
            "spec",
            "binder, n1",
            "working",
            "60m",
            3,
            "a",
        ],
    ),
    (
        "events",
        {
            "involvedObject": {"kind": "Pod"},
            "reportingComponent": "c",
            "eventTime": "2026-01-31T11:00:00.000000Z",
            "series": {"count": 5, "lastObservedTime": "2026-01-31T12:00:00.000000Z"},
        },
        ["7s", "", "", "pod", "", "c", "", "60m", 5, "a"],
    ),
]


@pytest.mark.parametrize(("plural", "fields", "cells"), ROWS)
def test_cells(plural: str, fields: Json, cells: list[object]) -> None:
    obj = {**fields, "metadata": {"name": "a", **BORN, **fields.get("metadata", {})}}
    table = render_table(kind_of(plural), [obj], {"resourceVersion": "9"}, "None", NOW)
    assert [row["cells"] for row in table["rows"]] == [cells]
    assert len(table["columnDefinitions"]) == len(cells)


def test_a_cell_may_come_without_a_definition() -> None:
    parent = {"group": "", "resource": "services", "namespace": "n", "name": "s"}
    obj = {"metadata": {"name": "10.0.0.1", **BORN}, "spec": {"parentRef": parent}}
    table = render_table(kind_of("ipaddresses"), [obj], {}, "None", NOW)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "ParentRef"]
    assert table["rows"][0]["cells"] == ["10.0.0.1", "services/n/s", "7s"]


def test_a_pod_that_has_ended_says_so_in_its_row() -> None:
    pod = {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Failed"}}
    (row,) = render_table(kind_of("pods"), [pod], {}, "None", NOW)["rows"]
    said = {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    assert row["conditions"] == [said]


TYPES = {  # columns whose type or format isn't what their cells suggest, as the reference declares them
    "csidrivers": {"StorageCapacity": "boolean", "RequiresRepublish": "boolean", "AttachRequired": "boolean"},
    "csistoragecapacities": {"Created At": "date"},
    "deployments": {"Up-to-date": "string", "Available": "string"},
    "daemonsets": {"Up-to-date": "integer", "Available": "integer"},
    "horizontalpodautoscalers": {"MaxPods": "string", "Replicas": "string"},
    "flowschemas": {"MatchingPrecedence": "string"},
    "limitranges": {"Created At": "date"},
    "roles": {"Created At": "date"},
    "events": {"Count": "string"},
    "priorityclasses": {"Value": "integer", "PreemptionPolicy": "string"},
}


@pytest.mark.parametrize("plural", TYPES)
def test_types_of_columns(plural: str) -> None:
    table = render_table(kind_of(plural), [], {}, "None", NOW)
    found = {column["name"]: column["type"] for column in table["columnDefinitions"]}
    assert TYPES[plural].items() <= found.items()


def test_events_of_both_groups_have_the_same_row() -> None:
    obj = {
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "message": "m",
    }
    older = render_table(EVENT, [obj], {}, "None", NOW)
    newer = render_table(EVENT_OF_EVENTS, [obj], {}, "None", NOW)
    assert older["rows"] == newer["rows"]
    whole = render_table(EVENT_OF_EVENTS, [obj], {}, "Object", NOW)
    assert whole["rows"][0]["object"] == from_v1(obj)


OBJECT: Json = {"kind": "ConfigMap", "metadata": {"name": "a", **BORN}, "data": {"k": "v"}}
PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": OBJECT["metadata"]}


@pytest.mark.parametrize(
    ("include", "shown"),
    [("None", None), ("Metadata", PARTIAL), ("Object", OBJECT)],
    ids=["None", "Metadata", "Object"],
)
def test_what_comes_with_a_row(include: str, shown: Json | None) -> None:
    table = render_table(CONFIG_MAP, [OBJECT], {"resourceVersion": "9"}, include, NOW)
    assert table["rows"] == [{"cells": ["a", 1, "7s"], "object": shown}]
    assert table["metadata"] == {"resourceVersion": "9"}


def test_later_events_of_a_watch_come_without_columns() -> None:
    table = render_table(CONFIG_MAP, [OBJECT], {}, "None", NOW, with_columns=False, version="v1beta1")
    assert table["columnDefinitions"] == []
    assert table["apiVersion"] == "meta.k8s.io/v1beta1"


def test_include_object_is_one_of_three() -> None:
    assert [parse_include_object(text) for text in ("", "None", "Object")] == ["Metadata", "None", "Object"]
    with pytest.raises(ApiError, match="must be 'Metadata', 'Object', 'None', or empty"):
        parse_include_object("Everything")


def test_a_list_of_metadata() -> None:
    assert partial_object_metadata_list([OBJECT], {"resourceVersion": "9"})["items"] == [PARTIAL]
