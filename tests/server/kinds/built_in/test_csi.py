"""The four kinds of CSI.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import change_refusals, changed, new, refusals, stored

from pvbinder.server.kinds.built_in.csi_drivers import CSI_DRIVER, CSI_NODE
from pvbinder.server.kinds.built_in.csi_volumes import CSI_STORAGE_CAPACITY, VOLUME_ATTACHMENT
from pvbinder.server.objects.kind import Json


def test_a_new_driver_gets_all_defaults() -> None:
    assert stored(CSI_DRIVER, new("d.example.com"))["spec"] == {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "volumeLifecycleModes": ["Persistent"],
        "requiresRepublish": False,
        "seLinuxMount": False,
    }


DRIVERS = {
    "unknown policy and mode": (
        {"fsGroupPolicy": "Odd", "volumeLifecycleModes": ["Forever"]},
        [
            'spec.fsGroupPolicy: Unsupported value: "Odd": supported values: "File", "None", "ReadWriteOnceWithFSType"',
            'spec.volumeLifecycleModes: Unsupported value: "Forever": supported values: "Persistent", "Ephemeral"',
        ],
    ),
    "tokens": (
        {"tokenRequests": [{"audience": "a"}, {"audience": "a"}, {"audience": "b", "expirationSeconds": 5}]},
        [
            'spec.tokenRequests[1].audience: Duplicate value: "a"',
            (
                "spec.tokenRequests[2].expirationSeconds: Invalid value: 5: "
                "may not specify a duration less than 10 minutes"
            ),
        ],
    ),
    "looking too often": (
        {"nodeAllocatableUpdatePeriodSeconds": 3},
        ["spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 3: must be greater than or equal to 10 seconds"],
    ),
}


@pytest.mark.parametrize(("spec", "errors"), DRIVERS.values(), ids=DRIVERS.keys())
def test_what_a_new_driver_can_not_be(spec: Json, errors: list[str]) -> None:
    assert refusals(CSI_DRIVER, new("d", spec=spec)) == errors


def test_how_a_driver_attaches_can_not_change() -> None:
    old = stored(CSI_DRIVER, new("d"))
    assert change_refusals(CSI_DRIVER, old, {"spec": {"attachRequired": False}}) == [
        "spec.attachedRequired: Invalid value: false: field is immutable"
    ]
    assert change_refusals(CSI_DRIVER, old, {"spec": {"volumeLifecycleModes": ["Ephemeral"]}}) == [
        'spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable'
    ]
    assert CSI_DRIVER.generation_after(changed(CSI_DRIVER, old, {"spec": {"podInfoOnMount": True}}), old) == 1


def test_tokens_in_the_open_are_warned_of_once() -> None:
    without = stored(CSI_DRIVER, new("d"))
    with_tokens = changed(CSI_DRIVER, without, {"spec": {"tokenRequests": [{"audience": "x"}]}})
    (text,) = CSI_DRIVER.warnings(with_tokens, without)
    assert text.startswith("spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true")
    assert CSI_DRIVER.warnings(with_tokens, with_tokens) == []


def test_a_nodes_drivers_stay_as_they_are_but_for_how_much_they_take() -> None:
    driver = {"name": "d", "nodeID": "n", "topologyKeys": ["zone"], "allocatable": {"count": 5}}
    old = stored(CSI_NODE, new("n1", spec={"drivers": [driver]}))
    assert change_refusals(CSI_NODE, old, {"spec": {"drivers": [{**driver, "allocatable": {"count": 7}}]}}) == []
    (error,) = change_refusals(CSI_NODE, old, {"spec": {"drivers": [{**driver, "nodeID": "m"}]}})
    assert error == (
        'spec.drivers: Invalid value: {"Name":"d","NodeID":"m","TopologyKeys":["zone"],"Allocatable":{"Count":5}}: '
        "field is immutable"
    )


def test_what_a_nodes_drivers_can_not_be() -> None:
    drivers = [{"name": "d", "nodeID": ""}, {"name": "d", "nodeID": "x" * 257, "allocatable": {"count": -1}}]
    assert refusals(CSI_NODE, new("n1", spec={"drivers": drivers})) == [
        "spec.drivers[0].nodeID: Required value",
        f'spec.drivers[1].nodeID: Invalid value: "{"x" * 257}": must be 256 characters or less',
        "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
        'spec.drivers[1].name: Duplicate value: "d"',
    ]


def test_a_capacity_can_change_but_not_what_it_is_of() -> None:
    old = stored(CSI_STORAGE_CAPACITY, new(storageClassName="fast", capacity="1024Mi"))
    assert old["capacity"] == "1Gi"
    assert change_refusals(CSI_STORAGE_CAPACITY, old, {"capacity": "5Gi", "maximumVolumeSize": "1Gi"}) == []
    assert change_refusals(CSI_STORAGE_CAPACITY, old, {"storageClassName": "slow", "nodeTopology": {}}) == [
        "nodeTopology: Invalid value: {}: field is immutable",
        'storageClassName: Invalid value: "slow": field is immutable',
    ]
    assert refusals(CSI_STORAGE_CAPACITY, new(storageClassName="fast", capacity="-1")) == [
        'capacity: Invalid value: "-1": must be greater than or equal to 0'
    ]


ATTACHMENT = {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}}


def test_an_attachment_has_one_source_and_never_changes() -> None:
    assert refusals(VOLUME_ATTACHMENT, new(spec={**ATTACHMENT, "source": {}})) == [
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    ]
    old = stored(VOLUME_ATTACHMENT, new(spec=ATTACHMENT, status={"attached": True}))
    assert old["status"] == {"attached": False}
    (error,) = change_refusals(VOLUME_ATTACHMENT, old, {"spec": {"nodeName": "m"}})
    assert error == (
        'spec: Invalid value: {"Attacher":"d","Source":{"PersistentVolumeName":"v","InlineVolumeSpec":null},'
        '"NodeName":"m"}: field is immutable'
    )


def test_a_status_update_of_an_attachment_resets_metadata_too() -> None:
    old = stored(VOLUME_ATTACHMENT, new(spec=ATTACHMENT))
    patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "m"}, "status": {"attached": True}}
    result = changed(VOLUME_ATTACHMENT, old, patch, subresource="status")
    assert result["status"] == {"attached": True}
    assert {**result, "status": None} == {**old, "status": None}


def test_messages_of_attachments_are_short() -> None:
    old = stored(VOLUME_ATTACHMENT, new(spec=ATTACHMENT))
    patch = {"status": {"attachError": {"message": "x" * 1025}}}
    assert change_refusals(VOLUME_ATTACHMENT, old, patch, "status") == [
        "status.attachError.message: Too long: may not be more than 1024 bytes"
    ]
