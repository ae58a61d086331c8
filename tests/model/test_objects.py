"""Views of objects."""

from __future__ import annotations

import msgspec
import pytest
from tests.rules.objects import claim, pod, storage_class, volume

from pvbinder.model.json import Json, JsonError, decode, encode
from pvbinder.model.objects import (
    ClaimRef,
    Condition,
    CsiSource,
    HostPathSource,
    MalformedObjectError,
    NfsSource,
    OwnerReference,
    View,
    claim_key,
    parse_claim,
    parse_node,
    parse_pod,
    parse_storage_class,
    parse_volume,
    parse_volume_attributes_class,
)
from pvbinder.model.quantity import ZERO, parse_quantity
from pvbinder.model.selectors import LabelSelector, NodeSelector

BETA = "volume.beta.kubernetes.io/storage-class"


def test_objects_1_a_write_starts_from_the_objects_own_bytes() -> None:
    data = encode({"metadata": {"name": "a", "future": {"x": [1]}}, "spec": {"csi": {"new": 1}}, "unknown": 2})
    assert parse_volume(data).raw is data
    assert parse_volume(data).document() == decode(data)
    assert parse_volume(data).document() is not parse_volume(data).document()


@pytest.mark.parametrize(
    "parse",
    [parse_volume, parse_claim, parse_storage_class, parse_pod, parse_node, parse_volume_attributes_class],
    ids=lambda parse: parse.__name__,
)
def test_objects_2_absent_and_null_are_the_same(parse) -> None:  # type: ignore[no-untyped-def]
    full = {"metadata": {"labels": None, "annotations": None, "finalizers": None}, "spec": None, "status": None}
    absent, null = parse(b"{}"), parse(encode(full))
    assert [getattr(absent, name) for name in absent.__struct_fields__[1:]] == [
        getattr(null, name) for name in null.__struct_fields__[1:]
    ]
    assert absent.labels == {}
    assert absent.deletion_timestamp is None


VOLUME: Json = {
    "metadata": {
        "name": "disk",
        "uid": "u-1",
        "resourceVersion": "7",
        "labels": {"label": "l"},
        "annotations": {BETA: "from the annotation"},
        "finalizers": ["finalizer"],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
    },
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["mode"],
        "claimRef": {"namespace": "shop", "name": "orders", "uid": "u-2"},
        "persistentVolumeReclaimPolicy": "policy",
        "storageClassName": "from the field",
        "volumeMode": "volume mode",
        "nodeAffinity": {"required": {"nodeSelectorTerms": []}},
        "volumeAttributesClassName": "attributes class",
        "csi": {"driver": "driver", "volumeHandle": "handle"},
        "hostPath": {"path": "/host"},
        "nfs": {"server": "nfs", "path": "/nfs"},
    },
    "status": {"phase": "phase", "message": "message"},
}
CLAIM: Json = {
    "metadata": {
        "name": "orders",
        "namespace": "shop",
        "uid": "u-2",
        "resourceVersion": "8",
        "labels": {"label": "l"},
        "annotations": {BETA: "class"},
        "finalizers": ["finalizer"],
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u-3", "controller": True}],
    },
    "spec": {
        "accessModes": ["mode"],
        "selector": {"matchLabels": {"a": "b"}},
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "disk",
        "volumeMode": "volume mode",
        "volumeAttributesClassName": "wanted",
    },
    "status": {
        "phase": "phase",
        "accessModes": ["status mode"],
        "capacity": {"storage": "2Gi"},
        "conditions": [{"type": "Unused", "status": "True"}],
        "currentVolumeAttributesClassName": "current",
        "modifyVolumeStatus": {"targetVolumeAttributesClassName": "target"},
    },
}
FIELDS = {
    "volume": (
        parse_volume(encode(VOLUME)),
        {
            "kept": encode(VOLUME),
            "name": "disk",
            "namespace": "",
            "uid": "u-1",
            "resource_version": "7",
            "labels": {"label": "l"},
            "annotations": {BETA: "from the annotation"},
            "finalizers": ("finalizer",),
            "created": "2026-01-01T00:00:00Z",
            "deletion_timestamp": "2026-01-02T00:00:00Z",
            "capacity": parse_quantity("1Gi"),
            "access_modes": ("mode",),
            "claim_ref": ClaimRef("shop", "orders", "u-2"),
            "reclaim_policy": "policy",
            "storage_class": "from the annotation",
            "class_field": "from the field",
            "volume_mode": "volume mode",
            "attributes_class": "attributes class",
            "node_affinity": NodeSelector(()),
            "csi": CsiSource("driver", "handle"),
            "host_path": HostPathSource("/host"),
            "nfs": NfsSource("nfs", "/nfs"),
            "phase": "phase",
            "message": "message",
        },
    ),
    "claim": (
        parse_claim(encode(CLAIM)),
        {
            "kept": encode(CLAIM),
            "name": "orders",
            "namespace": "shop",
            "uid": "u-2",
            "resource_version": "8",
            "labels": {"label": "l"},
            "annotations": {BETA: "class"},
            "finalizers": ("finalizer",),
            "created": "2026-01-01T00:00:00Z",
            "deletion_timestamp": "2026-01-02T00:00:00Z",
            "owner_references": (OwnerReference("Pod", "web", "u-3", True, "v1"),),
            "access_modes": ("mode",),
            "selector": LabelSelector({"a": "b"}),
            "request": parse_quantity("1Gi"),
            "volume_name": "disk",
            "storage_class": "class",
            "has_class": True,
            "volume_mode": "volume mode",
            "attributes_class": "wanted",
            "has_data_source": False,
            "phase": "phase",
            "status_access_modes": ("status mode",),
            "status_capacity": parse_quantity("2Gi"),
            "conditions": (Condition("Unused", "True"),),
            "current_attributes_class": "current",
            "target_attributes_class": "target",
        },
    ),
}


@pytest.mark.parametrize(("view", "fields"), FIELDS.values(), ids=FIELDS.keys())
def test_each_field_has_what_belongs_there(view: View, fields: dict[str, object]) -> None:
    """The two views of which there are the most are made by position."""
    assert msgspec.structs.asdict(view) == fields


MALFORMED: dict[str, tuple[Json, str]] = {
    "a number for a name": ({"metadata": {"name": 1}}, "can't be read"),
    "a text for a list": ({"metadata": {"name": "a"}, "spec": {"accessModes": "RWO"}}, 'PersistentVolume "a" can'),
    "no quantity": ({"metadata": {"name": "a"}, "spec": {"capacity": {"storage": "many"}}}, "spec.capacity"),
    "too large a quantity": ({"metadata": {"name": "a"}, "spec": {"capacity": {"storage": "1e9999"}}}, "spec.capacity"),
}


@pytest.mark.parametrize(("document", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_objects_3_a_malformed_object_is_named_with_its_field(document: Json, message: str) -> None:
    with pytest.raises(MalformedObjectError, match=message):
        parse_volume(encode(document))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100000])
def test_bytes_that_are_no_object_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedObjectError):
        parse_volume(data)
    with pytest.raises(JsonError):
        decode(data)


CLASSES = {
    "neither": (None, None, "", False),
    "field": ("fast", None, "fast", True),
    "empty field": ("", None, "", True),
    "annotation": (None, "slow", "slow", True),
    "annotation before field": ("fast", "slow", "slow", True),
    "empty annotation before field": ("fast", "", "", True),
}


@pytest.mark.parametrize(("field", "annotation", "effective", "has_class"), CLASSES.values(), ids=CLASSES.keys())
def test_the_beta_annotation_comes_before_the_field(
    field: str | None, annotation: str | None, effective: str, has_class: bool
) -> None:
    annotations = {BETA: annotation} if annotation is not None else None
    found = claim(storage_class=field, annotations=annotations)
    assert (found.storage_class, found.has_class) == (effective, has_class)
    assert volume(storage_class=field or "", annotations=annotations).storage_class == effective


def test_a_volume_without_capacity_has_size_zero() -> None:
    assert volume(capacity=None).capacity is None
    assert volume(capacity=None).size == ZERO
    assert volume(capacity="1Gi").size == parse_quantity("1024Mi")
    assert parse_volume(encode({"spec": {"capacity": {"storage": 1000}}})).size == parse_quantity("1k")


def test_the_source_of_a_volume_is_the_field_that_says_where_it_is() -> None:
    assert volume(source={"csi": {"driver": "d"}}).source == "csi"
    assert volume(source={"nfs": {"server": "s", "path": "/"}}).source == "nfs"
    assert volume(source={"gcePersistentDisk": {"pdName": ""}}, claim_ref={"name": "a"}).source == "gcePersistentDisk"
    assert volume(source={}).source == ""


def test_keys_have_the_namespace_where_there_is_one() -> None:
    assert claim("a", namespace="b").key == claim_key("b", "a") == "b/a"
    assert volume("a").key == "a"
    assert volume(claim_ref={"namespace": "b", "name": "a"}).claim_key == "b/a"
    assert volume().claim_key is None


def test_the_claims_of_a_pod_are_those_it_names_and_those_made_for_it() -> None:  # PC-6, P-5
    found = pod("web", claims=["orders"], ephemeral=["scratch"])
    assert found.claim_keys == ("shop/orders", "shop/web-scratch")
    assert [volume.is_ephemeral for volume in found.volumes] == [False, True]


RUNNING: Json = {"containerStatuses": [{"state": {"running": {}}}]}
OVER = {
    "pending": ({}, False),
    "succeeded": ({"phase": "Succeeded"}, True),
    "failed": ({"phase": "Failed"}, True),
    "deleting, nothing runs": ({"phase": "Running", "is_deleting": True}, True),
    "deleting, one runs": ({"phase": "Running", "is_deleting": True, "status": RUNNING}, False),
    "deleting, state unknown": ({"is_deleting": True, "status": {"initContainerStatuses": [{}]}}, False),
    "deleting, all have ended": (
        {"is_deleting": True, "status": {"ephemeralContainerStatuses": [{"state": {"terminated": {}}}]}},
        True,
    ),
}


@pytest.mark.parametrize(("fields", "is_over"), OVER.values(), ids=OVER.keys())
def test_a_pod_is_terminated(fields: Json, is_over: bool) -> None:  # DB-3, P-3
    assert pod(**fields).is_terminated == is_over


def test_a_pod_is_shut_down_when_its_grace_is_over() -> None:  # P-4
    assert pod(is_deleting=True, grace_seconds=0).is_shut_down
    assert not pod(is_deleting=True, grace_seconds=30).is_shut_down
    assert not pod(grace_seconds=0).is_shut_down


def test_a_class_is_default_by_either_annotation() -> None:  # DC-2
    assert storage_class(is_default=True).is_default
    beta = {"metadata": {"annotations": {"storageclass.beta.kubernetes.io/is-default-class": "true"}}}
    assert parse_storage_class(encode(beta)).is_default
    yes = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "True"}}}
    assert not parse_storage_class(encode(yes)).is_default


BARE: Json = {
    "kept": b"{}",
    "name": "",
    "namespace": "",
    "uid": "",
    "resource_version": "",
    "labels": {},
    "annotations": {},
    "finalizers": (),
    "created": "",
    "deletion_timestamp": None,
}
EMPTY: dict[str, tuple[View, Json]] = {
    "volume": (
        parse_volume(b"{}"),
        {
            "capacity": None,
            "access_modes": (),
            "claim_ref": None,
            "reclaim_policy": "",
            "storage_class": "",
            "class_field": "",
            "volume_mode": "Filesystem",
            "attributes_class": "",
            "node_affinity": None,
            "csi": None,
            "host_path": None,
            "nfs": None,
            "phase": "",
            "message": "",
        },
    ),
    "claim": (
        parse_claim(b"{}"),
        {
            "owner_references": (),
            "access_modes": (),
            "selector": None,
            "request": ZERO,
            "volume_name": "",
            "storage_class": "",
            "has_class": False,
            "volume_mode": "Filesystem",
            "attributes_class": "",
            "has_data_source": False,
            "phase": "",
            "status_access_modes": (),
            "status_capacity": None,
            "conditions": (),
            "current_attributes_class": None,
            "target_attributes_class": "",
        },
    ),
    "pod": (
        parse_pod(b"{}"),
        {
            "owner_references": (),
            "deletion_grace_period_seconds": None,
            "node_name": "",
            "volumes": (),
            "phase": "",
            "message": "",
            "has_running_container": False,
        },
    ),
    "node": (parse_node(b"{}"), {}),
    "class": (
        parse_storage_class(b"{}"),
        {
            "provisioner": "",
            "parameters": {},
            "reclaim_policy": None,
            "mount_options": (),
            "allow_volume_expansion": None,
            "volume_binding_mode": None,
        },
    ),
    "attributes class": (parse_volume_attributes_class(b"{}"), {"driver_name": "", "parameters": {}}),
}


@pytest.mark.parametrize(("view", "fields"), EMPTY.values(), ids=EMPTY.keys())
def test_objects_2_what_is_not_there_is_empty(view: View, fields: Json) -> None:
    assert msgspec.structs.asdict(view) == BARE | fields


def test_parts_that_say_nothing_are_empty() -> None:
    status: Json = {"conditions": [{}], "modifyVolumeStatus": {}}
    found = parse_claim(encode({"status": status, "spec": {"resources": {}, "dataSource": {}}}))
    assert found.conditions == (Condition("", "", None, None),)
    assert (found.target_attributes_class, found.has_data_source, found.request) == ("", True, ZERO)
    assert parse_volume(encode({"spec": {"claimRef": {}, "nodeAffinity": {}}})).claim_key == "/"
    assert parse_volume(encode({"spec": {"claimRef": {}}})).claim_uid == ""
    assert parse_volume(b"{}").claim_uid == ""
    owned = parse_pod(encode({"metadata": {"ownerReferences": [{}]}, "spec": {"volumes": [{"ephemeral": {}}]}}))
    assert owned.owner_references == (OwnerReference("", "", "", None, None),)
    assert [(one.name, one.claim_name, one.is_ephemeral) for one in owned.volumes] == [("", "-", True)]
    nameless = parse_pod(encode({"spec": {"volumes": [{"persistentVolumeClaim": {}}, {"name": "x"}]}}))
    assert [(one.name, one.claim_name, one.is_ephemeral) for one in nameless.volumes] == [("", "", False)]


def test_objects_3_a_malformed_object_is_called_by_its_whole_name() -> None:
    with pytest.raises(MalformedObjectError, match=r'^PersistentVolumeClaim "shop/a" can\'t be read: '):
        parse_claim(encode({"metadata": {"name": "a", "namespace": "shop"}, "spec": 1}))
    with pytest.raises(MalformedObjectError) as wrong:
        parse_claim(
            encode(
                {"metadata": {"name": "a", "namespace": "shop"}, "spec": {"resources": {"requests": {"storage": "x"}}}}
            )
        )
    assert wrong.value.message.startswith(
        "PersistentVolumeClaim \"shop/a\": spec.resources.requests[storage]: 'x': quantities must match"
    )
    with pytest.raises(MalformedObjectError, match=r"^PersistentVolume can't be read: "):
        parse_volume(b"[")
    with pytest.raises(MalformedObjectError, match=r'^PersistentVolume "v": spec\.capacity\[storage\]: '):
        parse_volume(encode({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "x"}}}))
