"""The sources of volumes (PV-6 to PV-13) and node selectors (PV-5)."""

from __future__ import annotations

import pytest

from pvbinder.server.kinds.validation.selectors import validate_node_selector
from pvbinder.server.kinds.validation.volume_sources import validate_source
from pvbinder.server.objects.kind import Json

ISCSI = {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:disk"}
SECRET = {"name": "s", "namespace": "n"}
ROWS: list[tuple[str, Json, list[str]]] = [
    ("hostPath", {"path": ""}, ["path: Required value"]),  # PV-7
    ("hostPath", {"path": "/a/../b"}, ["path: Invalid value: \"/a/../b\": must not contain '..'"]),
    (
        "hostPath",
        {"path": "/a", "type": "Odd"},
        [
            (
                'type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", "Directory", '
                '"DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
            )
        ],
    ),
    (
        "nfs",  # PV-8
        {"path": "x"},
        ["server: Required value", 'path: Invalid value: "x": must be an absolute path'],
    ),
    ("local", {"path": ""}, ["path: Required value"]),  # PV-9
    ("local", {"path": "/a/.."}, ["path: Invalid value: \"/a/..\": must not contain '..'"]),
    ("csi", {}, ["driver: Required value", "volumeHandle: Required value"]),  # PV-10
    ("csi", {"driver": "Driver.Example.COM", "volumeHandle": "h"}, []),
    ("csi", {"driver": "d" * 64, "volumeHandle": "h"}, ["driver: Too long: may not be more than 63 bytes"]),
    (
        "csi",
        {"driver": "d", "volumeHandle": "h", "nodePublishSecretRef": {}, "nodeStageSecretRef": {}},
        ["nodePublishSecretRef.name: Required value", "nodePublishSecretRef.namespace: Required value"],
    ),
    ("iscsi", {}, ["targetPortal: Required value", "iqn: Required value"]),  # PV-11
    ("iscsi", {**ISCSI, "iqn": "iqn.odd"}, ['iqn: Invalid value: "iqn.odd": must be valid format']),
    ("iscsi", {**ISCSI, "lun": 256}, ["lun: Invalid value: 256: must be between 0 and 255, inclusive"]),
    ("iscsi", {**ISCSI, "chapAuthSession": True}, ["secretRef: Required value"]),
    (
        "iscsi",
        {**ISCSI, "targetPortal": "p" * 61, "initiatorName": "iqn.2001-04.com.example:me"},
        [
            (
                f'targetportal: Invalid value: "{"p" * 61}": Total length of <volume name>:<iscsi.targetPortal> '
                "must "
                "be under 64 characters if iscsi.initiatorName is specified."
            )
        ],
    ),
    (
        "fc",  # PV-12
        {},
        ["targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
    ),
    (
        "fc",
        {"targetWWNs": ["w"], "wwids": ["i"]},
        ['targetWWNs: Invalid value: ["w"]: targetWWNs and wwids can not be specified simultaneously'],
    ),
    ("fc", {"targetWWNs": ["w"]}, ["lun: Required value: lun is required if targetWWNs is specified"]),
    ("fc", {"wwids": ["i"]}, []),
    (
        "awsElasticBlockStore",  # PV-13
        {"partition": 256},
        ["volumeID: Required value", "partition: Invalid value: 256: must be between 1 and 255, inclusive"],
    ),
    ("cinder", {}, ["volumeID: Required value"]),
    ("azureFile", {}, ["secretName: Required value", "shareName: Required value"]),
    ("vsphereVolume", {}, ["volumePath: Required value"]),
    ("portworxVolume", {}, ["volumeID: Required value"]),
    ("rbd", {}, ["monitors: Required value", "image: Required value"]),
    ("cephfs", {}, ["monitors: Required value"]),
    ("glusterfs", {}, ["endpoints: Required value", "path: Required value"]),
    (
        "flexVolume",
        {"options": {"kubernetes.io/fsType": "x", "own": "y"}},
        [
            "driver: Required value",
            (
                'options[kubernetes.io/fsType]: Invalid value: "kubernetes.io/fsType": '
                "kubernetes.io and k8s.io namespaces are reserved"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("name", "source", "errors"), ROWS)
def test_what_a_source_can_not_be(name: str, source: Json, errors: list[str]) -> None:
    found = [str(error) for error in validate_source({name: source}, "spec", "vol")]
    assert found == [f"spec.{name}.{error}" for error in errors]


def test_a_disk_of_google_has_another_path() -> None:  # PV-13
    (error,) = validate_source({"gcePersistentDisk": {}}, "spec", "vol")
    assert str(error) == "spec.persistentDisk.pdName: Required value"


def test_there_is_one_source() -> None:  # PV-6
    (error,) = validate_source({}, "spec", "vol")
    assert str(error) == "spec: Required value: must specify a volume type"
    nfs = {"server": "s", "path": "/p"}
    (error,) = validate_source({"nfs": nfs, "hostPath": {"path": "/a"}}, "spec", "vol")
    assert str(error) == "spec.nfs: Forbidden: may not specify more than 1 volume type"
    assert validate_source({"nfs": nfs, "flexVolume": {"driver": "d"}}, "spec", "vol") == []


REQUIREMENTS = {
    "In without values": (
        {"operator": "In"},
        "values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ),
    "Exists with values": (
        {"operator": "Exists", "values": ["a"]},
        "values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ),
    "Gt with two": (
        {"operator": "Gt", "values": ["1", "2"]},
        "values: Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
    ),
    "unknown": ({"operator": "Like"}, 'operator: Invalid value: "Like": not a valid selector operator'),
}


@pytest.mark.parametrize(("requirement", "text"), REQUIREMENTS.values(), ids=REQUIREMENTS.keys())
def test_requirements_on_nodes(requirement: Json, text: str) -> None:  # PV-5
    terms = [{"matchExpressions": [{"key": "k", **requirement}]}]
    (error,) = validate_node_selector({"nodeSelectorTerms": terms}, "at")
    assert str(error) == f"at.nodeSelectorTerms[0].matchExpressions[0].{text}"
