"""The four kinds of CSI.

Rules: docs/rules/apiserver.md#5-storagek8sio
"""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import change_refusals, changed, new, refusals, stored

from pvbinder.server.kinds.built_in.csi_drivers import CSI_DRIVER, CSI_NODE
from pvbinder.server.kinds.built_in.csi_volumes import CSI_STORAGE_CAPACITY, VOLUME_ATTACHMENT
from pvbinder.server.objects.kind import Json

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


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
    "the order of what is wrong": (
        {
            "serviceAccountTokenInSecrets": True,
            "nodeAllocatableUpdatePeriodSeconds": 9,
            "volumeLifecycleModes": ["Odd"],
            "fsGroupPolicy": "Odd",
        },
        [
            'spec.fsGroupPolicy: Unsupported value: "Odd": supported values: "File", "None", "ReadWriteOnceWithFSType"',
            'spec.volumeLifecycleModes: Unsupported value: "Odd": supported values: "Persistent", "Ephemeral"',
            "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds",
            (
                "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no "
                "tokenRequests are specified"
            ),
        ],
    ),
    "a second token of an audience is not looked at": (
        {"tokenRequests": [{"audience": "a"}, {"audience": "a", "expirationSeconds": 5}]},
        ['spec.tokenRequests[1].audience: Duplicate value: "a"'],
    ),
    "a token for too long": (
        {"tokenRequests": [{"audience": "a", "expirationSeconds": 2**32 + 1}]},
        [
            (
                f"spec.tokenRequests[0].expirationSeconds: Invalid value: {2**32 + 1}: "
                "may not specify a duration larger than 2^32 seconds"
            )
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
        "status.attachError.message: Too long: may not be more than 262144 bytes"
    ]


INLINE: Json = {"csi": {"driver": "d", "volumeHandle": "h"}, "accessModes": ["ReadWriteOnce"]}
NOT_INLINE = "may not be specified in the context of inline volumes"
AT = "spec.source.inlineVolumeSpec"
SOURCES = {  # of an attachment: its source, and why it is refused
    "both sources": (
        {"persistentVolumeName": "v", "inlineVolumeSpec": INLINE},
        ["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
    ),
    "a name that is empty": (
        {"persistentVolumeName": ""},
        [
            "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
            f'spec.source.persistentVolumeName: Invalid value: "": {SUBDOMAIN}',
        ],
    ),
    "a name that is none": (
        {"persistentVolumeName": "V"},
        [f'spec.source.persistentVolumeName: Invalid value: "V": {SUBDOMAIN}'],
    ),
    "an inline volume": ({"inlineVolumeSpec": {**INLINE, "persistentVolumeReclaimPolicy": "Retain"}}, []),
    "an inline volume of another plugin": (
        {"inlineVolumeSpec": {"nfs": {"server": "s", "path": "/p"}, "accessModes": ["ReadWriteOnce"]}},
        [f"{AT}.csi: Required value: has to be specified in the context of inline volumes"],
    ),
    "an inline volume with all that binding needs": (
        {
            "inlineVolumeSpec": {
                "csi": {"driver": "d", "volumeHandle": ""},
                "claimRef": {"name": "c", "namespace": "ns"},
                "capacity": {"storage": "1Gi"},
                "persistentVolumeReclaimPolicy": "Delete",
                "nodeAffinity": {},
                "storageClassName": "fast",
                "volumeMode": "Block",
            }
        },
        [
            f"{AT}.claimRef: Forbidden: {NOT_INLINE}",
            f"{AT}.capacity: Forbidden: {NOT_INLINE}",
            f"{AT}.accessModes: Required value",
            f"{AT}.persistentVolumeReclaimPolicy: Forbidden: may only be Retain in the context of inline volumes",
            f"{AT}.nodeAffinity: Forbidden: {NOT_INLINE}",
            f"{AT}.csi.volumeHandle: Required value",
            f"{AT}.storageClassName: Forbidden: {NOT_INLINE}",
            (
                f"{AT}.volumeMode: Forbidden: may not specify volumeMode other than Filesystem "
                "in the context of inline volumes"
            ),
        ],
    ),
    "an inline volume of a disk of the node": (
        {"inlineVolumeSpec": {"local": {"path": "/p"}, "accessModes": ["ReadWriteOnce"]}},
        [
            f"{AT}.csi: Required value: has to be specified in the context of inline volumes",
            f"{AT}.nodeAffinity: Required value: Local volume requires node affinity",
        ],
    ),
}


@pytest.mark.parametrize(("source", "errors"), SOURCES.values(), ids=SOURCES.keys())
def test_what_an_attachment_can_be_of(source: Json, errors: list[str]) -> None:
    assert refusals(VOLUME_ATTACHMENT, new(spec={**ATTACHMENT, "source": source})) == errors


ATTACHMENT_STATUSES = {
    "metadata": (
        {"attachmentMetadata": {"a": "x" * 256 * 1024}},
        ["status.attachmentMetadata: Too long: may not be more than 262144 bytes"],
    ),
    "a message in bytes": (
        {"detachError": {"message": "\u00e9" * 600}},
        ["status.detachError.message: Too long: may not be more than 262144 bytes"],
    ),
    "a code": (
        {"attachError": {"errorCode": -1}},
        ["status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive"],
    ),
    "right": ({"attachmentMetadata": {"a": "b"}, "attachError": {"message": "x" * 1024, "errorCode": 8}}, []),
}


@pytest.mark.parametrize(("status", "errors"), ATTACHMENT_STATUSES.values(), ids=ATTACHMENT_STATUSES.keys())
def test_what_a_status_of_an_attachment_can_not_be(status: Json, errors: list[str]) -> None:
    old = stored(VOLUME_ATTACHMENT, new(spec=ATTACHMENT))
    assert change_refusals(VOLUME_ATTACHMENT, old, {"status": status}, "status") == errors


def test_the_keys_of_a_nodes_driver_are_named_by_the_driver() -> None:
    drivers = [{"name": "d", "nodeID": "n", "topologyKeys": ["zone", "zone", "b d"]}]
    duplicate, odd = refusals(CSI_NODE, new("n1", spec={"drivers": drivers}))
    assert duplicate == 'spec.drivers[0]: Duplicate value: "zone"'
    assert odd.startswith('spec.drivers[0]: Invalid value: "b d": name part must consist of')


def test_the_largest_volume_of_a_capacity_is_not_checked() -> None:
    assert refusals(CSI_STORAGE_CAPACITY, new(storageClassName="fast", maximumVolumeSize="-1")) == []
