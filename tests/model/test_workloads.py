"""Workloads and StatefulSets as views."""

from __future__ import annotations

import msgspec
import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import MalformedObjectError, OwnerReference, View
from pvbinder.model.selectors import LabelSelector
from pvbinder.model.stateful_sets import parse_stateful_set
from pvbinder.model.workloads import parse_workload

META: Json = {
    "name": "web",
    "namespace": "shop",
    "uid": "u-1",
    "resourceVersion": "7",
    "labels": {"label": "l"},
    "annotations": {"note": "n"},
    "finalizers": ["finalizer"],
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "deletionTimestamp": "2026-01-02T00:00:00Z",
    "generation": 3,
    "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u-3", "controller": True}],
}
COMMON = {
    "name": "web",
    "namespace": "shop",
    "uid": "u-1",
    "resource_version": "7",
    "labels": {"label": "l"},
    "annotations": {"note": "n"},
    "finalizers": ("finalizer",),
    "created": "2026-01-01T00:00:00Z",
    "deletion_timestamp": "2026-01-02T00:00:00Z",
    "generation": 3,
    "owner_references": (OwnerReference("Pod", "p", "u-3", True, "v1"),),
}
SELECTOR = {"matchLabels": {"app": "web"}}
NOTHING: Json = {
    **dict.fromkeys(COMMON, ""),
    "labels": {},
    "annotations": {},
    "finalizers": (),
    "deletion_timestamp": None,
}
NOTHING |= {"generation": 0, "owner_references": ()}
STATEFUL: Json = {
    "replicas": 2,
    "ordinals": {"start": 5},
    "podManagementPolicy": "Parallel",
    "updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}},
    "minReadySeconds": 4,
    "revisionHistoryLimit": 0,
    "selector": SELECTOR,
    "serviceName": "service",
    "template": {"a": 1},
    "volumeClaimTemplates": [{"b": 2}],
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
}
FIELDS: dict[str, tuple[View, dict[str, object]]] = {
    "a workload": (
        parse_workload(encode({"metadata": META, "spec": {"selector": SELECTOR}, "status": {"replicas": 1}})),
        {
            **COMMON,
            "selector": LabelSelector({"app": "web"}),
            "spec": {"selector": SELECTOR},
            "status": {"replicas": 1},
        },
    ),
    "a workload without anything": (
        parse_workload(b"{}"),
        {**NOTHING, "selector": None, "spec": {}, "status": {}},
    ),
    "a revision": (
        parse_workload(encode({"metadata": META, "data": {"spec": 1}, "revision": 4})),
        {**COMMON, "selector": None, "spec": {"revision": 4, "data": {"spec": 1}}, "status": {}},
    ),
    "a revision without data": (
        parse_workload(encode({"metadata": META, "revision": 4})),
        {**COMMON, "selector": None, "spec": {"revision": 4, "data": None}, "status": {}},
    ),
    "a revision without a number": (
        parse_workload(encode({"metadata": META, "data": {"spec": 1}})),
        {**COMMON, "selector": None, "spec": {"revision": 0, "data": {"spec": 1}}, "status": {}},
    ),
    "a StatefulSet": (
        parse_stateful_set(encode({"metadata": META, "spec": STATEFUL})),
        {
            **COMMON,
            "replicas": 2,
            "first_ordinal": 5,
            "is_parallel": True,
            "updates_on_delete": True,
            "partition": 1,
            "ready_seconds_min": 4,
            "history_limit": 0,
            "selector": LabelSelector({"app": "web"}),
            "service_name": "service",
            "template": {"a": 1},
            "claim_templates": ({"b": 2},),
            "retain_when_deleted": False,
            "retain_when_scaled": False,
        },
    ),
    "a StatefulSet without anything": (
        parse_stateful_set(encode({"spec": {"ordinals": {}, "updateStrategy": {"rollingUpdate": {}}}})),
        {
            **NOTHING,
            "replicas": 1,
            "first_ordinal": 0,
            "is_parallel": False,
            "updates_on_delete": False,
            "partition": 0,
            "ready_seconds_min": 0,
            "history_limit": 10,
            "selector": LabelSelector(),
            "service_name": "",
            "template": {},
            "claim_templates": (),
            "retain_when_deleted": True,
            "retain_when_scaled": True,
        },
    ),
}


@pytest.mark.parametrize(("view", "fields"), FIELDS.values(), ids=FIELDS.keys())
def test_each_field_has_what_belongs_there(view: View, fields: dict[str, object]) -> None:
    assert msgspec.structs.asdict(view) == {**fields, "kept": view.raw}


@pytest.mark.parametrize(
    ("spec", "first", "partition"),
    [({}, 0, 0), ({"ordinals": None, "updateStrategy": {"type": "RollingUpdate"}}, 0, 0)],
    ids=["nothing", "no strategy"],
)
def test_a_stateful_set_begins_at_0(spec: Json, first: int, partition: int) -> None:
    found = parse_stateful_set(encode({"spec": spec}))

    assert (found.first_ordinal, found.partition, list(found.ordinals)) == (first, partition, [0])


ORDINALS = {
    "web-0": 0,
    "web-12": 12,
    "web-": None,
    "web": None,
    "other-1": None,
    "web-1-2": None,
    "web-1234567890": 1234567890,
    "web-12345678901": None,
    "web-١": None,
}


@pytest.mark.parametrize(("name", "ordinal"), ORDINALS.items())
def test_the_ordinal_of_a_pod(name: str, ordinal: int | None) -> None:
    found = parse_stateful_set(encode({"metadata": META, "spec": {"replicas": 2, "ordinals": {"start": 5}}}))

    assert found.ordinal_of(name) == ordinal
    assert list(found.ordinals) == [5, 6]


def test_the_same_template_has_the_same_revision() -> None:
    """The name is stored in the pods, so it stays from one version of ours to the next."""
    one, same, other = (
        parse_stateful_set(encode({"metadata": META, "spec": {"template": template}}))
        for template in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1})
    )

    assert one.revision == same.revision != other.revision
    assert one.revision == "web-rnhqqmtfcf"


def test_the_questions_to_a_workload() -> None:
    owner = {"kind": "Deployment", "name": "d", "uid": "u-2"}
    found = parse_workload(
        encode(
            {
                "metadata": {**META, "ownerReferences": [owner, {**owner, "name": "c", "controller": True}]},
                "spec": {"replicas": 3},
                "status": {"readyReplicas": 2, "odd": "text"},
            }
        )
    )

    assert found.key == "shop/web"
    assert found.controller is not None
    assert found.controller.name == "c"
    assert (found.replicas, found.counted("readyReplicas"), found.counted("odd"), found.counted("none")) == (3, 2, 0, 0)
    assert parse_workload(b"{}").replicas == 1
    assert parse_workload(b"{}").controller is None


def test_a_selector_that_is_none_makes_a_workload_malformed() -> None:
    with pytest.raises(MalformedObjectError, match="workload can't be read: "):
        parse_workload(encode({"spec": {"selector": "app"}}))
    with pytest.raises(MalformedObjectError, match='StatefulSet "a" can\'t be read'):
        parse_stateful_set(encode({"metadata": {"name": "a"}, "spec": {"replicas": "2"}}))
    with pytest.raises(MalformedObjectError, match='workload "a" can\'t be read'):
        parse_workload(encode({"metadata": {"name": "a"}, "spec": "text"}))
