"""StorageClass and VolumeAttributesClass.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, new, refusals, stored

from pvbinder.server.kinds.built_in.storage_classes import STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS
from pvbinder.server.objects.kind import Json

QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def storage_class(**fields: Any) -> Json:
    return new("fast", **{"provisioner": "p", **fields})


def topology(*requirements: tuple[str, list[str]]) -> Json:
    return {"matchLabelExpressions": [{"key": key, "values": values} for key, values in requirements]}


def test_a_new_class_deletes_and_binds_at_once() -> None:
    obj = stored(STORAGE_CLASS, storage_class(parameters={}))
    assert {key: value for key, value in obj.items() if key != "metadata"} == {
        "provisioner": "p",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


REFUSED = {
    "no provisioner (SCV-1)": ({"provisioner": ""}, ["provisioner: Required value"]),
    "odd provisioner, shown in lower case (SCV-1)": (
        {"provisioner": "Bad Provisioner"},
        [f'provisioner: Invalid value: "bad provisioner": {QUALIFIED}'],
    ),
    "too many parameters (SCV-2)": (
        {"parameters": {str(number): "" for number in range(513)}},
        ["parameters: Too long: may not be more than 512 bytes"],
    ),
    "a parameter without a name (SCV-2)": (
        {"parameters": {"": "x"}},
        ['parameters: Invalid value: "": field can not be empty.'],
    ),
    "parameters too large (SCV-2)": (
        {"parameters": {"a": "x" * 256 * 1024}},
        ["parameters: Too long: may not be more than 262144 bytes"],
    ),
    "no recycling (SCV-3)": (
        {"reclaimPolicy": "Recycle"},
        ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
    ),
    "unknown binding mode (SCV-4)": (
        {"volumeBindingMode": "Later"},
        ['volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"'],
    ),
    "odd topologies (SCV-5)": (
        {"allowedTopologies": [topology(("zone", [])), topology(("b d", ["a", "a"]))]},
        [
            "allowedTopologies[0].matchLabelExpressions[0].values: Required value",
            'allowedTopologies[1].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
            f'allowedTopologies[1].matchLabelExpressions[0].key: Invalid value: "b d": {QUALIFIED}',
        ],
    ),
    "the same key twice (SCV-5)": (
        {"allowedTopologies": [topology(("zone", ["a"]), ("zone", ["b"]))]},
        ['allowedTopologies[0].matchLabelExpressions[1].key: Duplicate value: "zone"'],
    ),
    "three terms alike, in any order (SCV-5)": (
        {"allowedTopologies": [topology(("a", ["1", "2"])), topology(("a", ["2", "1"])), topology(("a", ["1", "2"]))]},
        [
            'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""',
            *['allowedTopologies[2].matchLabelExpressions: Duplicate value: ""'] * 2,
        ],
    ),
    "a term that says nothing is one too many (SCV-5)": (
        {"allowedTopologies": [topology()]},
        ['allowedTopologies[0].matchLabelExpressions: Duplicate value: ""'],
    ),
    "no policy is left out (SCV-3)": ({"reclaimPolicy": ""}, []),
}


@pytest.mark.parametrize(("fields", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_new_class_can_not_be(fields: Json, errors: list[str]) -> None:
    assert refusals(STORAGE_CLASS, storage_class(**fields)) == errors


CHANGES = {  # SCV-6
    "parameters": ({"parameters": {"a": "c"}}, ['parameters: Invalid value: {"a":"c"}: field is immutable']),
    "provisioner": ({"provisioner": "q"}, ['provisioner: Invalid value: "q": field is immutable']),
    "policy": ({"reclaimPolicy": "Retain"}, ['reclaimPolicy: Invalid value: "Retain": field is immutable']),
    "mode": (
        {"volumeBindingMode": "WaitForFirstConsumer"},
        ['volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable'],
    ),
    "the rest is free": (
        {"allowVolumeExpansion": True, "mountOptions": ["a"], "allowedTopologies": [topology(("zone", ["a"]))]},
        [],
    ),
}


@pytest.mark.parametrize(("patch", "errors"), CHANGES.values(), ids=CHANGES.keys())
def test_what_can_change_in_a_class(patch: Json, errors: list[str]) -> None:
    old = stored(STORAGE_CLASS, storage_class(parameters={"a": "b"}))
    assert change_refusals(STORAGE_CLASS, old, patch) == errors


def test_an_attributes_class_needs_parameters_and_never_changes() -> None:  # AD-3
    assert refusals(VOLUME_ATTRIBUTES_CLASS, new(driverName="d")) == [
        "parameters: Required value: must contain at least one key/value pair"
    ]
    old = stored(VOLUME_ATTRIBUTES_CLASS, new(driverName="d", parameters={"a": "b"}))
    assert old["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
    assert change_refusals(VOLUME_ATTRIBUTES_CLASS, old, {"driverName": "e", "parameters": {"a": "c"}}) == [
        "driverName: Forbidden: updates to driverName are forbidden.",
        "parameters: Forbidden: updates to parameters are forbidden.",
    ]
    assert change_refusals(VOLUME_ATTRIBUTES_CLASS, old, {"driverName": "", "parameters": None}) == [
        "driverName: Forbidden: updates to driverName are forbidden.",
        "parameters: Forbidden: updates to parameters are forbidden.",
        "driverName: Required value",
        "parameters: Required value: must contain at least one key/value pair",
    ]


FITS = {
    "as many parameters as there may be": {"parameters": {str(number): "" for number in range(512)}},
    "as large as they may be": {"parameters": {"a": "x" * (256 * 1024 - 1)}},
    "no reclaim policy": {"reclaimPolicy": ""},
    "kept, and bound later": {"reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer"},
}


@pytest.mark.parametrize("fields", FITS.values(), ids=FITS.keys())
def test_what_a_new_class_can_just_be(fields: Json) -> None:  # SCV-2, SCV-3
    assert refusals(STORAGE_CLASS, storage_class(**fields)) == []


def test_the_size_of_parameters_is_counted_in_bytes_of_names_and_values() -> None:  # SCV-2
    large = {"parameters": {"\u00e4" * 2: "\u00e4" * (128 * 1024 - 2), "b": ""}}

    assert refusals(STORAGE_CLASS, storage_class(**large)) == [
        "parameters: Too long: may not be more than 262144 bytes"
    ]


def test_node_labels_that_are_deprecated_are_warned_of() -> None:
    beta, stable = "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"
    obj = {"allowedTopologies": [topology((stable, ["a"])), topology(("x", []), (beta, ["a"])), {}]}

    assert STORAGE_CLASS.warnings(obj, None) == [
        f'allowedTopologies[1].matchLabelExpressions[1].key: {beta} is deprecated since v1.17; use "{stable}" instead'
    ]
    assert STORAGE_CLASS.warnings({}, None) == []


def test_an_empty_class_has_its_defaults() -> None:
    obj: Json = {"parameters": {}, "mountOptions": [], "allowedTopologies": []}
    STORAGE_CLASS.default(obj)
    assert obj == {"provisioner": "", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}
    other: Json = {"parameters": {}}
    VOLUME_ATTRIBUTES_CLASS.default(other)
    assert other == {"driverName": ""}
