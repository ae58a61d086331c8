"""PersistentVolumeClaim: defaults, data sources, and the refusals of creations and changes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.server.kinds.writes import NOW, Objects, change_refusals, changed, merged, new, refusals, stored, update

from pvbinder.model.resources import STORAGE_CLASSES
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.objects.kind import Json

GOOD: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
ONLY = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"


def claim(**spec: Any) -> Json:
    return new("data", spec={**GOOD, **spec})


def bound(status: Json | None = None, **spec: Any) -> Json:
    old = stored(PERSISTENT_VOLUME_CLAIM, claim(volumeName="v", **spec))
    return merged(old, {"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}, **(status or {})}})


def test_a_new_claim_gets_mode_phase_and_finalizer() -> None:  # CD-1, CD-2, AD-2
    obj = claim() | {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    assert stored(PERSISTENT_VOLUME_CLAIM, obj) == {
        "metadata": {
            "name": "data",
            "namespace": "ns",
            "uid": "u-1",
            "creationTimestamp": NOW,
            "resourceVersion": "7",
            "finalizers": ["kubernetes.io/pvc-protection"],
        },
        "spec": {**GOOD, "volumeMode": "Filesystem"},
        "status": {"phase": "Pending"},
    }


def test_a_status_update_applies_metadata_but_not_the_spec() -> None:  # CD-2
    old = stored(PERSISTENT_VOLUME_CLAIM, claim())
    condition = {"type": "Resizing", "status": "True"}
    patch = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"volumeName": "v"},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "conditions": [condition]},
    }
    result = changed(PERSISTENT_VOLUME_CLAIM, old, patch, subresource="status")
    assert result["spec"] == old["spec"]
    assert result["metadata"]["annotations"] == {"a": "b"}
    assert result["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "conditions": [{**condition, "lastProbeTime": None, "lastTransitionTime": None}],
    }


CLAIM_SOURCE = {"kind": "PersistentVolumeClaim", "name": "other"}
SNAPSHOT_SOURCE = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
FOREIGN_SOURCE = {"apiGroup": "example.com", "kind": "Book", "name": "b"}
SOURCES = {  # CD-3, CD-4: dataSource and dataSourceRef as sent and as stored
    "a claim": (CLAIM_SOURCE, None, {**CLAIM_SOURCE, "apiGroup": None}, {**CLAIM_SOURCE, "apiGroup": None}),
    "a snapshot": (SNAPSHOT_SOURCE, None, SNAPSHOT_SOURCE, SNAPSHOT_SOURCE),
    "something else is dropped": (FOREIGN_SOURCE, None, None, None),
    "something else by reference": (None, FOREIGN_SOURCE, FOREIGN_SOURCE, FOREIGN_SOURCE),
    "another namespace is dropped": (None, {**SNAPSHOT_SOURCE, "namespace": "n"}, None, None),
}


@pytest.mark.parametrize(("source", "reference", "kept", "kept_reference"), SOURCES.values(), ids=SOURCES.keys())
def test_data_sources_are_settled(
    source: Json | None, reference: Json | None, kept: Json | None, kept_reference: Json | None
) -> None:
    sent = {"dataSource": source, "dataSourceRef": reference}
    spec = stored(PERSISTENT_VOLUME_CLAIM, claim(**{key: value for key, value in sent.items() if value}))["spec"]
    assert (spec.get("dataSource"), spec.get("dataSourceRef")) == (kept, kept_reference)


def test_an_older_client_need_not_know_the_copied_source() -> None:  # CD-3
    old = stored(PERSISTENT_VOLUME_CLAIM, claim(dataSource=CLAIM_SOURCE))
    assert changed(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"dataSourceRef": None}})["spec"] == old["spec"]


COMPLETED: dict[str, tuple[Json, Json]] = {  # the spec of an update of a claim that has sources: what comes of it
    "the reference alone": (
        {"dataSourceRef": {"kind": "X", "namespace": ""}},
        {
            "dataSource": {"kind": "X", "apiGroup": None},
            "dataSourceRef": {"kind": "X", "namespace": "", "apiGroup": None},
        },
    ),
    "a reference to another namespace": (
        {"dataSourceRef": {"kind": "X", "namespace": "n"}},
        {"dataSourceRef": {"kind": "X", "namespace": "n", "apiGroup": None}},
    ),
    "the source alone": (
        {"dataSource": {"kind": "X", "apiGroup": "g"}},
        {"dataSource": {"kind": "X", "apiGroup": "g"}, "dataSourceRef": {"kind": "X", "apiGroup": "g"}},
    ),
    "both": (
        {"dataSource": {"kind": "X"}, "dataSourceRef": {"kind": "Y"}},
        {"dataSource": {"kind": "X", "apiGroup": None}, "dataSourceRef": {"kind": "Y", "apiGroup": None}},
    ),
    "neither": ({}, {}),
}


@pytest.mark.parametrize(("spec", "expected"), COMPLETED.values(), ids=COMPLETED.keys())
def test_an_update_completes_the_sources(spec: Json, expected: Json) -> None:  # CD-3
    for has in ({"dataSource": CLAIM_SOURCE}, {"dataSourceRef": CLAIM_SOURCE}):
        new = {"metadata": {}, "spec": copy.deepcopy(spec)}
        PERSISTENT_VOLUME_CLAIM.prepare_update(new, {"metadata": {}, "spec": has, "status": {}}, NOW)
        assert new["spec"] == expected


REFUSED = {
    "nothing at all (VC-1, VC-2)": (
        {"accessModes": [], "resources": {}},
        [
            "spec.accessModes: Required value: at least 1 access mode is required",
            "spec.resources[storage]: Required value",
        ],
    ),
    "unknown mode, no size": (
        {"accessModes": ["Sometimes"], "resources": {"requests": {"storage": 0}}},
        [
            (
                'spec.accessModes: Unsupported value: "Sometimes": supported values: '
                '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
            ),
            'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        ],
    ),
    "negative size (VC-2)": (
        {"resources": {"requests": {"storage": "-1Gi"}}},
        ['spec.resources[storage]: Invalid value: "-1Gi": must be greater than zero'],
    ),
    "odd selectors (VC-3)": (
        {
            "selector": {
                "matchExpressions": [
                    {"key": "k", "operator": "In"},
                    {"key": "k", "operator": "Like", "values": ["a"]},
                    {"key": "k", "operator": "Exists", "values": ["a"]},
                ]
            }
        },
        [
            (
                "spec.selector.matchExpressions[0].values: Required value: "
                "must be specified when `operator` is 'In' or 'NotIn'"
            ),
            'spec.selector.matchExpressions[1].operator: Invalid value: "Like": not a valid selector operator',
            (
                "spec.selector.matchExpressions[2].values: Forbidden: "
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            ),
        ],
    ),
    "unknown mode of volume (VC-4)": (
        {"volumeMode": "Tape"},
        ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'],
    ),
    "a source without a name (VC-5)": (
        {"dataSource": {"kind": "PersistentVolumeClaim"}},
        ["spec.dataSource.name: Required value", "spec.dataSourceRef.name: Required value"],
    ),
    "a source of no group (VC-5)": (
        {"dataSourceRef": {"kind": "Book", "name": "b"}},
        [
            (
                "spec.dataSource: Invalid value: \"Book\": must be 'PersistentVolumeClaim' "
                "when referencing the default "
                "apiGroup"
            ),
            (
                "spec.dataSourceRef: Invalid value: \"Book\": must be 'PersistentVolumeClaim' when referencing the "
                "default apiGroup"
            ),
        ],
    ),
    "two sources that differ (VC-6)": (
        {"dataSource": CLAIM_SOURCE, "dataSourceRef": SNAPSHOT_SOURCE},
        ["spec: Invalid value: {}: must match dataSourceRef"],
    ),
}


@pytest.mark.parametrize(("fields", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_new_claim_can_not_be(fields: Json, errors: list[str]) -> None:
    assert refusals(PERSISTENT_VOLUME_CLAIM, claim(**fields)) == errors


def test_a_change_of_the_spec_is_refused_with_what_differs() -> None:  # VU-1
    old = stored(PERSISTENT_VOLUME_CLAIM, claim(storageClassName="c"))
    assert change_refusals(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"selector": {"matchLabels": {"a": "b"}}}}) == [
        (
            f"spec: Forbidden: {ONLY}\n"
            "@@ -2,7 +2,11 @@\n"
            '  "AccessModes": [\n'
            '   "ReadWriteOnce"\n'
            "  ],\n"
            '- "Selector": null,\n'
            '+ "Selector": {\n'
            '+  "matchLabels": {\n'
            '+   "a": "b"\n'
            "+  }\n"
            "+ },\n"
            '  "Resources": {\n'
            '   "Limits": null,\n'
            '   "Requests": {\n'
        )
    ]


PENDING_CHANGES = {  # the patch of an unbound claim's spec, and how many errors it gives
    "the volume's name, once (VU-2)": ({"volumeName": "v"}, 0),
    "a class for a claim without one (VU-3)": ({"storageClassName": "c"}, 0),
    "more (VU-8)": ({"resources": {"requests": {"storage": "3Gi"}}}, 1),
    "other attributes (VU-8)": ({"volumeAttributesClassName": "gold"}, 1),
    "another mode, said twice (VU-6)": ({"volumeMode": "Block"}, 2),
    "other access": ({"accessModes": ["ReadWriteMany"]}, 1),
}


@pytest.mark.parametrize(("patch", "count"), PENDING_CHANGES.values(), ids=PENDING_CHANGES.keys())
def test_what_can_change_before_a_claim_is_bound(patch: Json, count: int) -> None:
    old = stored(PERSISTENT_VOLUME_CLAIM, claim())
    assert len(change_refusals(PERSISTENT_VOLUME_CLAIM, old, {"spec": patch})) == count


def test_the_volumes_name_stays_once_it_is_set() -> None:  # VU-2
    old = stored(PERSISTENT_VOLUME_CLAIM, claim(volumeName="v"))
    for name in ("w", ""):
        (error,) = change_refusals(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"volumeName": name}})
        assert f'- "VolumeName": "v",\n+ "VolumeName": "{name}",\n' in error


def test_metadata_is_free() -> None:  # VU-7
    old = stored(PERSISTENT_VOLUME_CLAIM, claim())
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    patch = {"labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": None, "ownerReferences": [owner]}
    assert change_refusals(PERSISTENT_VOLUME_CLAIM, old, {"metadata": patch}) == []


def annotated(storage_class: str | None, **spec: Any) -> Json:
    obj = claim(**spec)
    if storage_class is not None:
        obj["metadata"]["annotations"] = {BETA_CLASS: storage_class}
    return stored(PERSISTENT_VOLUME_CLAIM, obj)


FIELD, ANNOTATION = ["spec"], [f"metadata.annotations.{BETA_CLASS}"]
CLASS_CHANGES = {  # VU-3: annotation and field before, the patch of both, which fields are refused
    "from the annotation to the field": (("c", None), (None, "c"), []),
    "into the field beside the annotation": (("c", None), ("c", "c"), []),
    "another class beside the annotation": (("c", None), ("c", "d"), FIELD),
    "another annotation": (("c", None), ("d", None), ANNOTATION),
    "an annotation that was not there": ((None, None), ("c", None), ANNOTATION),
    "a class where there was none": ((None, None), (None, "c"), []),
    "no class where there was none": ((None, None), (None, ""), []),
    "another class": ((None, "c"), (None, "d"), FIELD),
    "the class taken away": ((None, "c"), (None, None), FIELD),
}


@pytest.mark.parametrize(("before", "after", "refused"), CLASS_CHANGES.values(), ids=CLASS_CHANGES.keys())
def test_when_the_class_can_change(
    before: tuple[str | None, str | None], after: tuple[str | None, str | None], refused: list[str]
) -> None:
    spec = {} if before[1] is None else {"storageClassName": before[1]}
    patch = {"metadata": {"annotations": {BETA_CLASS: after[0]}}, "spec": {"storageClassName": after[1]}}
    errors = change_refusals(PERSISTENT_VOLUME_CLAIM, annotated(before[0], **spec), patch)
    assert [error.split(": ")[0] for error in errors] == refused


EXPANDABLE = Objects((STORAGE_CLASSES, {"metadata": {"name": "fast"}, "allowVolumeExpansion": True}))
FIXED = Objects((STORAGE_CLASSES, {"metadata": {"name": "fast"}}))
RESIZE = "resources", "requests", "storage"


def resize(size: str) -> Json:
    return {"spec": {"resources": {"requests": {"storage": size}}}}


def test_a_bound_claim_of_an_expandable_class_can_grow() -> None:  # VU-4, RA-1
    result, errors = update(PERSISTENT_VOLUME_CLAIM, bound(storageClassName="fast"), resize("3Gi"), EXPANDABLE)
    assert not errors
    assert result["spec"]["resources"]["requests"]["storage"] == "3Gi"


@pytest.mark.parametrize("objects", [FIXED, Objects()], ids=["class does not allow it", "class is not there"])
def test_other_claims_can_not_grow(objects: Objects) -> None:  # RA-3
    with pytest.raises(ApiError, match="only dynamically provisioned pvc can be resized") as refused:
        update(PERSISTENT_VOLUME_CLAIM, bound(storageClassName="fast"), resize("3Gi"), objects)
    assert refused.value.code == 403


def test_a_claim_without_class_can_not_grow() -> None:  # RA-3
    with pytest.raises(ApiError, match='persistentvolumeclaims "data" is forbidden: only dynamically'):
        update(PERSISTENT_VOLUME_CLAIM, bound(storageClassName=""), resize("3Gi"), EXPANDABLE)


SHRINKS = {  # VU-4: the request, and the lower one after it, while the volume holds 2Gi
    "to more than the volume holds": ("5Gi", "3Gi", []),
    "to what the volume holds": (
        "5Gi",
        "2Gi",
        ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
    ),
    "to less than the volume holds": (
        "5Gi",
        "1Gi",
        ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
    ),
}


@pytest.mark.parametrize(("before", "after", "errors"), SHRINKS.values(), ids=SHRINKS.keys())
def test_a_request_can_be_lowered_but_not_below_the_volume(before: str, after: str, errors: list[str]) -> None:
    old = bound(resources={"requests": {"storage": before}})
    assert change_refusals(PERSISTENT_VOLUME_CLAIM, old, resize(after)) == errors


def test_of_a_request_that_is_taken_away_nothing_more_is_told() -> None:  # VU-4
    assert change_refusals(
        PERSISTENT_VOLUME_CLAIM, bound(), {"spec": {"resources": {"requests": {"storage": None}}}}
    ) == [
        "spec.resources[storage]: Required value",
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ]


LOSSES = {
    "nil": (None, ["update to nil is forbidden when status.currentVolumeAttributesClassName is not nil"]),
    "empty": ("", ["update to empty string is forbidden when status.currentVolumeAttributesClassName is not nil"]),
    "another": ("silver", []),
}


@pytest.mark.parametrize(("name", "reasons"), LOSSES.values(), ids=LOSSES.keys())
def test_a_bound_claim_keeps_an_attributes_class_once_it_has_one(name: str | None, reasons: list[str]) -> None:  # VU-5
    old = bound({"currentVolumeAttributesClassName": "gold"}, volumeAttributesClassName="gold")
    assert change_refusals(PERSISTENT_VOLUME_CLAIM, old, {"spec": {"volumeAttributesClassName": name}}) == [
        f"spec.volumeAttributesClassName: Forbidden: {reason}" for reason in reasons
    ]


STATUSES = {
    "negative capacity": (
        {"capacity": {"storage": "-1"}},
        ["status.capacity[storage]: Invalid value: -1: must be a valid resource quantity"],
    ),
    "unknown state": (
        {"allocatedResourceStatuses": {"storage": "Odd"}},
        [
            (
                'status.allocatedResourceStatuses: Unsupported value: "storage": supported values: '
                '"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", '
                '"NodeResizeInfeasible", "NodeResizePending"'
            )
        ],
    ),
    "a fraction of a byte": (
        {"allocatedResources": {"storage": "1500m"}},
        ['status.allocatedResources[storage]: Invalid value: "1500m": must be an integer'],
    ),
    "somebody's own resource": ({"allocatedResources": {"example.com/speed": "1"}}, []),
    "Kubernetes' own, but not storage": (
        {"allocatedResources": {"cpu": "1"}},
        ['status.allocatedResources: Unsupported value: "cpu": supported values: "storage"'],
    ),
}


@pytest.mark.parametrize(("status", "errors"), STATUSES.values(), ids=STATUSES.keys())
def test_what_a_status_can_not_be(status: Json, errors: list[str]) -> None:
    assert change_refusals(PERSISTENT_VOLUME_CLAIM, bound(), {"status": status}, "status") == errors


def test_what_is_odd_is_warned_of() -> None:
    obj = claim(resources={"requests": {"storage": "1500m"}, "limits": {"storage": "2500m"}})
    obj["metadata"]["annotations"] = {BETA_CLASS: "c"}
    assert PERSISTENT_VOLUME_CLAIM.warnings(stored(PERSISTENT_VOLUME_CLAIM, obj), None) == [
        f'metadata.annotations[{BETA_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead',
        'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
        'spec.resources.limits[storage]: fractional byte value "2500m" is invalid, must be an integer',
    ]


def test_a_status_comes_with_a_revision_and_access_modes() -> None:
    old = stored(PERSISTENT_VOLUME_CLAIM, claim())
    bare = {**old, "metadata": {"name": "c"}, "spec": {}}
    [status] = [one for one in PERSISTENT_VOLUME_CLAIM.subresources if one.name == "status"]

    assert [str(error.field) for error in status.validate_update(bare, old)] == ["resourceVersion", "Spec.accessModes"]
    wrong = {"capacity": {"storage": "-1"}, "allocatedResources": {"storage": "-1", "x": "1"}}
    wrong["allocatedResourceStatuses"] = {"storage": "Odd"}
    assert [str(error.field) for error in status.validate_update({**bare, "status": wrong}, old)] == [
        "resourceVersion",
        "Spec.accessModes",
        "status.capacity[storage]",
        "status.allocatedResourceStatuses",
        "status.allocatedResources[storage]",
        "status.allocatedResources",
    ]


def test_the_defaults_of_a_condition() -> None:
    obj: Json = {"metadata": {}, "spec": {}, "status": {"conditions": [{"type": "a", "reason": "", "message": ""}]}}
    PERSISTENT_VOLUME_CLAIM.default(obj)

    assert obj["status"]["conditions"] == [{"type": "a", "lastProbeTime": None, "lastTransitionTime": None}]
