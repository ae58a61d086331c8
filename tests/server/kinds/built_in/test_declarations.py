"""What claims, volumes, classes and pods declare of themselves: names, columns, subresources, the cells of a row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.kinds.built_in.persistent_volumes import PERSISTENT_VOLUME
from pvbinder.server.kinds.built_in.pods import POD
from pvbinder.server.kinds.built_in.storage_classes import STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS
from pvbinder.server.objects.kind import Json, ServedKind

NOW = datetime(2026, 1, 31, 12, 10, tzinfo=UTC)
META: Json = {"name": "a", "creationTimestamp": "2026-01-31T12:00:00Z"}
BARE: Json = {"metadata": META, "spec": {}}
BETA = {"volume.beta.kubernetes.io/storage-class": "old"}
NAMES: dict[str, tuple[ServedKind, str, tuple[str, ...], tuple[str, ...], str]] = {
    "volume": (PERSISTENT_VOLUME, "persistentvolume", ("pv",), (), "io.k8s.api.core.v1.PersistentVolume"),
    "claim": (
        PERSISTENT_VOLUME_CLAIM,
        "persistentvolumeclaim",
        ("pvc",),
        (),
        "io.k8s.api.core.v1.PersistentVolumeClaim",
    ),
    "class": (STORAGE_CLASS, "storageclass", ("sc",), (), "io.k8s.api.storage.v1.StorageClass"),
    "attributes class": (
        VOLUME_ATTRIBUTES_CLASS,
        "volumeattributesclass",
        ("vac",),
        (),
        "io.k8s.api.storage.v1.VolumeAttributesClass",
    ),
    "pod": (POD, "pod", ("po",), ("all",), "io.k8s.api.core.v1.Pod"),
}


@pytest.mark.parametrize(("kind", "singular", "short", "categories", "schema"), NAMES.values(), ids=NAMES.keys())
def test_the_names_of_a_kind(
    kind: ServedKind, singular: str, short: tuple[str, ...], categories: tuple[str, ...], schema: str
) -> None:
    assert (kind.singular, kind.short_names, kind.categories, kind.schema) == (singular, short, categories, schema)


COLUMNS: dict[str, tuple[ServedKind, list[tuple[str, int, str]]]] = {  # name, priority, description
    "volume": (
        PERSISTENT_VOLUME,
        [
            ("Capacity", 0, "How much it holds."),
            ("Access Modes", 0, "The ways in which it can be mounted."),
            ("Reclaim Policy", 0, "What follows release."),
            ("Status", 0, "Whether it is available, bound or released."),
            ("Claim", 0, "The claim that it is bound to."),
            ("StorageClass", 0, "The class it belongs to."),
            ("VolumeAttributesClass", 0, "The class of its attributes."),
            ("Reason", 0, "Why it failed."),
            ("VolumeMode", 1, "Block or file system."),
        ],
    ),
    "claim": (
        PERSISTENT_VOLUME_CLAIM,
        [
            ("Status", 0, "Whether it is pending, bound or lost."),
            ("Volume", 0, "The volume behind it."),
            ("Capacity", 0, "How much the volume holds."),
            ("Access Modes", 0, "The ways in which the volume can be mounted."),
            ("StorageClass", 0, "The class it asks for."),
            ("VolumeAttributesClass", 0, "The class of its attributes."),
            ("VolumeMode", 1, "Block or file system."),
        ],
    ),
    "class": (
        STORAGE_CLASS,
        [
            ("Name", 0, "The class's name, and whether it is the default."),
            ("Provisioner", 0, "Who makes the volumes of this class."),
            ("ReclaimPolicy", 0, "What becomes of volumes."),
            ("VolumeBindingMode", 0, "When to bind."),
            ("AllowVolumeExpansion", 0, "Whether claims of this class can grow."),
        ],
    ),
    "attributes class": (VOLUME_ATTRIBUTES_CLASS, [("DriverName", 0, "Whose volumes the class is for.")]),
    "pod": (
        POD,
        [
            ("Ready", 0, "How many of its containers are ready."),
            ("Status", 0, "The state of its containers, in one word."),
            ("Restarts", 0, "How often containers were restarted."),
            ("IP", 1, "Its address."),
            ("Node", 1, "Where it runs."),
            ("Nominated Node", 1, "Where it may run once others have made room."),
            ("Readiness Gates", 1, "How many of its gates are open."),
        ],
    ),
}


@pytest.mark.parametrize(("kind", "columns"), COLUMNS.values(), ids=COLUMNS.keys())
def test_the_columns_of_a_kind(kind: ServedKind, columns: list[tuple[str, int, str]]) -> None:
    own = [one for one in kind.columns if one.name != "Age" and (one.name != "Name" or kind is STORAGE_CLASS)]

    assert [(one.name, one.priority, one.description) for one in own] == columns
    assert kind.columns[0].format == "name"


CELLS: dict[str, tuple[ServedKind, Json, list[object]]] = {
    "a volume": (
        PERSISTENT_VOLUME,
        {
            "metadata": META,
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": "shop", "name": "orders"},
                "storageClassName": "fast",
                "volumeAttributesClassName": "gold",
                "volumeMode": "Block",
            },
            "status": {"phase": "Failed", "reason": "why"},
        },
        ["a", "1Gi", "RWO,ROX", "Retain", "Failed", "shop/orders", "fast", "gold", "why", "10m", "Block"],
    ),
    "a volume with little in it": (
        PERSISTENT_VOLUME,
        {"metadata": {**META, "annotations": BETA, "deletionTimestamp": "x"}, "spec": {"claimRef": {"uid": "u"}}},
        ["a", "", "", "", "Terminating", "/", "old", "<unset>", "", "10m", "<unset>"],
    ),
    "a volume without anything": (
        PERSISTENT_VOLUME,
        BARE,
        ["a", "", "", "", "", "", "", "<unset>", "", "10m", "<unset>"],
    ),
    "a claim": (
        PERSISTENT_VOLUME_CLAIM,
        {
            "metadata": META,
            "spec": {
                "volumeName": "disk",
                "storageClassName": "fast",
                "volumeAttributesClassName": "gold",
                "volumeMode": "Block",
            },
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"]},
        },
        ["a", "Bound", "disk", "1Gi", "RWX", "fast", "gold", "10m", "Block"],
    ),
    "a claim that names a volume": (
        PERSISTENT_VOLUME_CLAIM,
        {"metadata": {**META, "annotations": BETA, "deletionTimestamp": "x"}, "spec": {"volumeName": "disk"}},
        ["a", "Terminating", "disk", "0", "", "old", "<unset>", "10m", "<unset>"],
    ),
    "a claim without a volume": (
        PERSISTENT_VOLUME_CLAIM,
        {**BARE, "status": {"phase": "Pending", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"]}},
        ["a", "Pending", "", "", "", "", "<unset>", "10m", "<unset>"],
    ),
    "a class": (
        STORAGE_CLASS,
        {
            "metadata": {**META, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
            "reclaimPolicy": "Retain",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
        ["a (default)", "p", "Retain", "WaitForFirstConsumer", True, "10m"],
    ),
    "a class that was the default once": (
        STORAGE_CLASS,
        {
            "metadata": {**META, "annotations": {"storageclass.beta.kubernetes.io/is-default-class": "true"}},
            "provisioner": "p",
        },
        ["a (default)", "p", "Delete", "Immediate", False, "10m"],
    ),
    "a class that is none": (
        STORAGE_CLASS,
        {"metadata": {**META, "annotations": {"storageclass.kubernetes.io/is-default-class": "yes"}}},
        ["a", "", "Delete", "Immediate", False, "10m"],
    ),
    "an attributes class": (VOLUME_ATTRIBUTES_CLASS, {"metadata": META, "driverName": "d"}, ["a", "d", "10m"]),
    "an attributes class of nobody": (VOLUME_ATTRIBUTES_CLASS, {"metadata": META}, ["a", "<unset>", "10m"]),
    "a pod without anything": (
        POD,
        BARE,
        ["a", "0/0", "", "0", "10m", "<none>", "<none>", "<none>", "<none>"],
    ),
    "a pod on its node": (
        POD,
        {
            "metadata": META,
            "spec": {"nodeName": "n", "readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]},
            "status": {
                "phase": "Running",
                "podIPs": [{"ip": "10.0.0.1"}],
                "podIP": "10.0.0.1",
                "nominatedNodeName": "m",
                "conditions": [{"type": "x", "status": "True"}, {"type": "y", "status": "False"}],
            },
        },
        ["a", "0/0", "Running", "0", "10m", "10.0.0.1", "n", "m", "1/2"],
    ),
}


@pytest.mark.parametrize(("kind", "obj", "cells"), CELLS.values(), ids=CELLS.keys())
def test_the_cells_of_a_row(kind: ServedKind, obj: Json, cells: list[object]) -> None:
    assert [column.cell(obj, NOW) for column in kind.columns] == cells


USUAL, ANY = ("get", "patch", "update"), ("create", "get")
SUBRESOURCES: dict[str, tuple[tuple[str, ...], str, bool]] = {  # its verbs, the kind of its body, has a path
    "attach": (ANY, "PodAttachOptions", False),
    "binding": (("create",), "Binding", False),
    "ephemeralcontainers": (USUAL, "", False),
    "eviction": (("create",), "Eviction", False),
    "exec": (ANY, "PodExecOptions", False),
    "log": (("get",), "Pod", False),
    "portforward": (ANY, "PodPortForwardOptions", False),
    "proxy": (("create", "delete", "get", "patch", "update"), "PodProxyOptions", True),
    "resize": (USUAL, "", False),
    "status": (USUAL, "", False),
}


def test_the_subresources_of_a_pod() -> None:
    assert {
        one.name: (one.verbs, one.body.kind if one.body is not None else "", one.has_path) for one in POD.subresources
    } == SUBRESOURCES
    found = {one.name: one for one in POD.subresources}
    assert found["eviction"].body_schema == "io.k8s.api.policy.v1.Eviction"
    assert [name for name, one in found.items() if one.removes] == ["eviction"]
    bodies = [one.body for one in POD.subresources if one.name not in ("binding", "eviction") and one.body is not None]
    assert {(body.group, body.version, body.plural, body.namespaced) for body in bodies} == {("", "v1", "pods", True)}


def test_which_metadata_are_checked() -> None:
    """When an object is made, and when it is changed: all of them, or what differs."""
    kinds = (PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS, POD)
    assert [kind.metadata_checks for kind in kinds] == [
        ("whole", "whole"),
        ("change", "whole"),
        ("whole", "change"),
        ("change", "whole"),
        ("change", "whole"),
    ]
    parts = {one.name: one.metadata_checks for one in POD.subresources}
    assert (parts["ephemeralcontainers"], parts["resize"]) == (("change", "whole"), ("change", "whole"))
    assert (POD.generation_at_create, POD.generation_follows) == (1, ("spec",))


def test_the_fields_by_which_pods_are_selected() -> None:
    spec = {"nodeName": "n", "restartPolicy": "r", "schedulerName": "s", "serviceAccountName": "a", "hostNetwork": True}
    status = {"phase": "p", "podIP": "1", "podIPs": [{"ip": "1"}, {"ip": "2"}], "nominatedNodeName": "m"}
    pod = {"metadata": {"name": "x", "namespace": "y"}, "spec": spec, "status": status}
    nothing = {"metadata": {"name": "x", "namespace": "y"}}

    assert {name: read(pod) for name, read in POD.selectable_fields.items()} == {
        "metadata.name": "x",
        "metadata.namespace": "y",
        "spec.nodeName": "n",
        "spec.host": "n",
        "spec.restartPolicy": "r",
        "spec.schedulerName": "s",
        "spec.serviceAccountName": "a",
        "spec.hostNetwork": "true",
        "status.phase": "p",
        "status.podIP": "1",
        "status.podIPs": "1,2",
        "status.nominatedNodeName": "m",
    }
    assert {read(nothing) for name, read in POD.selectable_fields.items() if not name.startswith("metadata")} == {
        "",
        "false",
    }
