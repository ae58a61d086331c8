"""PersistentVolume: defaults, status, and the refusals of creations and changes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import LATER, NOW, change_refusals, changed, create, merged, new, refusals, stored

from pvbinder.server.kinds.built_in.persistent_volumes import PERSISTENT_VOLUME
from pvbinder.server.objects.kind import Json

GOOD: Json = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
CSI: Json = {**GOOD, "hostPath": None, "csi": {"driver": "d", "volumeHandle": "h"}}
NODES: Json = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}}
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def volume(**spec: Any) -> Json:
    return new("vol", spec={key: value for key, value in spec.items() if value is not None})


def test_a_new_volume_gets_policy_mode_and_finalizer() -> None:  # PD-1, PD-2, AD-1
    assert stored(PERSISTENT_VOLUME, volume(**GOOD)) == {
        "metadata": {
            "name": "vol",
            "uid": "u-1",
            "creationTimestamp": NOW,
            "resourceVersion": "7",
            "finalizers": ["kubernetes.io/pv-protection"],
        },
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x", "type": ""},
            "persistentVolumeReclaimPolicy": "Retain",
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending", "lastPhaseTransitionTime": NOW},
    }


SOURCE_DEFAULTS = {  # PD-1
    "iscsi": (
        {"targetPortal": "p", "iqn": "iqn.2001-04.com.example:disk"},
        {"targetPortal": "p", "iqn": "iqn.2001-04.com.example:disk", "iscsiInterface": "default"},
    ),
    "azureDisk": (
        {"diskName": "n", "diskURI": "https://u"},
        {
            "diskName": "n",
            "diskURI": "https://u",
            "cachingMode": "ReadWrite",
            "fsType": "ext4",
            "readOnly": False,
            "kind": "Shared",
        },
    ),
    "rbd": (
        {"monitors": ["m"], "image": "i"},
        {"monitors": ["m"], "image": "i", "pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    ),
    "scaleIO": (
        {"gateway": "g", "system": "s", "volumeName": "v"},
        {"gateway": "g", "system": "s", "volumeName": "v", "storageMode": "ThinProvisioned", "fsType": "xfs"},
    ),
    "nfs": ({"server": "s", "path": "/p", "readOnly": False}, {"server": "s", "path": "/p"}),
}


@pytest.mark.parametrize(("name", "sent", "shown"), [(k, *v) for k, v in SOURCE_DEFAULTS.items()], ids=SOURCE_DEFAULTS)
def test_sources_get_their_defaults(name: str, sent: Json, shown: Json) -> None:
    assert stored(PERSISTENT_VOLUME, volume(**{**GOOD, "hostPath": None, name: sent}))["spec"][name] == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [("1000M", "1G"), ("1.5Gi", "1536Mi"), ("1024Ki", "1Mi"), (1073741824, "1073741824"), ("0.0001", "1m")],
)
def test_capacity_is_shown_in_canonical_form(written: object, shown: str) -> None:  # PD-1
    spec = {**GOOD, "capacity": {"storage": written}}
    assert stored(PERSISTENT_VOLUME, volume(**spec))["spec"]["capacity"] == {"storage": shown}


def test_a_status_that_comes_with_a_new_volume_is_dropped() -> None:  # PD-2
    obj = volume(**GOOD) | {"status": {"phase": "Bound", "message": "m"}}
    assert stored(PERSISTENT_VOLUME, obj)["status"] == {"phase": "Pending", "lastPhaseTransitionTime": NOW}


def test_an_update_keeps_the_status() -> None:  # PD-3
    old = stored(PERSISTENT_VOLUME, volume(**GOOD))
    assert changed(PERSISTENT_VOLUME, old, {"status": {"phase": "Failed"}})["status"] == old["status"]


def test_a_status_update_resets_the_spec_only() -> None:  # PD-4
    old = stored(PERSISTENT_VOLUME, volume(**GOOD))
    patch = {
        "metadata": {"labels": {"via": "status"}, "finalizers": None},
        "spec": {"persistentVolumeReclaimPolicy": "Delete"},
        "status": {"phase": "Nonsense"},  # phases are not validated: PU-6
    }
    result = changed(PERSISTENT_VOLUME, old, patch, subresource="status")
    assert result["spec"] == old["spec"]
    assert result["metadata"]["labels"] == {"via": "status"}
    assert "finalizers" not in result["metadata"]
    assert result["status"]["phase"] == "Nonsense"


def test_a_status_update_needs_a_revision() -> None:  # PU-6
    old = stored(PERSISTENT_VOLUME, volume(**GOOD))
    patch = {"metadata": {"resourceVersion": None}, "status": {"phase": "Bound"}}
    assert change_refusals(PERSISTENT_VOLUME, old, patch, "status") == ["resourceVersion: Required value"]


EARLIER = "2020-01-01T00:00:00Z"
TRANSITIONS = {  # PD-5: what is sent, and the time that is kept
    "phase unchanged, time left out": ({"phase": "Pending", "lastPhaseTransitionTime": None}, NOW),
    "phase unchanged, time sent": ({"lastPhaseTransitionTime": EARLIER}, EARLIER),
    "phase changed, time left out": ({"phase": "Bound", "lastPhaseTransitionTime": None}, LATER),
    "phase changed, time as it was": ({"phase": "Bound"}, LATER),
    "phase changed, time of the client's own": ({"phase": "Bound", "lastPhaseTransitionTime": EARLIER}, EARLIER),
}


@pytest.mark.parametrize(("status", "time"), TRANSITIONS.values(), ids=TRANSITIONS.keys())
def test_the_time_of_the_last_phase_change(status: Json, time: str) -> None:
    old = stored(PERSISTENT_VOLUME, volume(**GOOD))
    result = changed(PERSISTENT_VOLUME, old, {"status": status}, subresource="status")
    assert result["status"]["lastPhaseTransitionTime"] == time


MODES = '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'
REFUSED = {
    "nothing at all": (
        dict.fromkeys(GOOD),
        [
            "spec.accessModes: Required value",
            "spec.capacity: Required value",
            'spec.capacity: Unsupported value: null: supported values: "storage"',
            "spec: Required value: must specify a volume type",
        ],
    ),
    "unknown access mode (PV-1)": (
        {"accessModes": ["Odd"]},
        [f'spec.accessModes: Unsupported value: "Odd": supported values: {MODES}'],
    ),
    "ReadWriteOncePod is not alone (PV-1)": (
        {"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]},
        ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"],
    ),
    "capacity of something else (PV-2)": (
        {"capacity": {"storage": "1Gi", "cpu": 1}},
        ['spec.capacity: Unsupported value: {"cpu":"1","storage":"1Gi"}: supported values: "storage"'],
    ),
    "negative capacity (PV-3)": (
        {"capacity": {"storage": "-1Ki"}},
        [
            "spec.capacity[storage]: Invalid value: -1024: must be a valid resource quantity",
            'spec.capacity[storage]: Invalid value: "-1Ki": must be greater than zero',
        ],
    ),
    "no capacity (PV-3)": (
        {"capacity": {"storage": 0}},
        ['spec.capacity[storage]: Invalid value: "0": must be greater than zero'],
    ),
    "unknown policy (PV-4)": (
        {"persistentVolumeReclaimPolicy": "Burn"},
        [
            (
                'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": '
                'supported values: "Delete", "Recycle", "Retain"'
            )
        ],
    ),
    "node affinity without constraints (PV-5)": (
        {"nodeAffinity": {}},
        ["spec.nodeAffinity.required: Required value: must specify required node constraints"],
    ),
    "node affinity without terms (PV-5)": (
        {"nodeAffinity": {"required": {"nodeSelectorTerms": []}}},
        ["spec.nodeAffinity.required.nodeSelectorTerms: Required value: must have at least one node selector term"],
    ),
    "two sources (PV-6)": (
        {"nfs": {"server": "s", "path": "/p"}},
        ["spec.nfs: Forbidden: may not specify more than 1 volume type"],
    ),
    "recycling the whole file system (PV-7)": (
        {"hostPath": {"path": "//"}, "persistentVolumeReclaimPolicy": "Recycle"},
        ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"],
    ),
    "a local volume that is nowhere (PV-9)": (
        {"hostPath": None, "local": {"path": "/a"}},
        ["spec.nodeAffinity: Required value: Local volume requires node affinity"],
    ),
    "bad class, unknown mode (PV-14)": (
        {"storageClassName": "Bad_Class", "volumeMode": "Tape"},
        [
            f'spec.storageClassName: Invalid value: "Bad_Class": {SUBDOMAIN}',
            'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"',
        ],
    ),
    "attributes class of a volume that has none (PV-14)": (
        {"volumeAttributesClassName": ""},
        [
            "spec.volumeAttributesClassName: Required value: an empty string is disallowed",
            "spec.csi: Required value: has to be specified when using volumeAttributesClassName",
        ],
    ),
}


@pytest.mark.parametrize(("fields", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_new_volume_can_not_be(fields: Json, errors: list[str]) -> None:
    assert refusals(PERSISTENT_VOLUME, volume(**{**GOOD, **fields})) == errors


MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"


def test_the_mount_options_annotation_is_for_some_sources_only() -> None:  # PV-15
    metadata = {"name": "vol", "annotations": {MOUNT_OPTIONS: "ro"}}
    nfs = volume(**{**GOOD, "hostPath": None, "nfs": {"server": "s", "path": "/p"}}) | {"metadata": metadata}
    assert refusals(PERSISTENT_VOLUME, nfs) == []
    assert refusals(PERSISTENT_VOLUME, volume(**CSI) | {"metadata": metadata}) == [
        f"metadata.annotations.{MOUNT_OPTIONS}: Forbidden: may not specify mount options for this volume type"
    ]


CHANGES = {
    "another mode (PU-2)": ({"volumeMode": "Block"}, ['volumeMode: Invalid value: "Block": field is immutable']),
    "what may change (PU-5)": (
        {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "z",
            "mountOptions": ["ro"],
            "claimRef": {"namespace": "n", "name": "c"},
            "volumeAttributesClassName": "gold",
        },
        [],
    ),
    "what may change must still be right": (
        {"capacity": {"storage": "0"}},
        2 * ['spec.capacity[storage]: Invalid value: "0": must be greater than zero'],  # twice, as the reference
    ),
    "node affinity set once (PU-3)": ({"nodeAffinity": NODES}, []),
    "secret for growing, set once (PU-1)": (
        {"csi": {"controllerExpandSecretRef": {"name": "s", "namespace": "n"}}},
        [],
    ),
}


@pytest.mark.parametrize(("patch", "errors"), CHANGES.values(), ids=CHANGES.keys())
def test_what_can_change_in_a_volume(patch: Json, errors: list[str]) -> None:
    old = stored(PERSISTENT_VOLUME, volume(**CSI))
    assert change_refusals(PERSISTENT_VOLUME, old, {"spec": patch}) == errors


def test_another_source_is_refused_with_what_differs() -> None:  # PU-1
    old = stored(PERSISTENT_VOLUME, volume(**GOOD))
    assert change_refusals(PERSISTENT_VOLUME, old, {"spec": {"hostPath": {"path": "/y"}}}) == [
        (
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
            "@@ -2,7 +2,7 @@\n"
            '  "GCEPersistentDisk": null,\n'
            '  "AWSElasticBlockStore": null,\n'
            '  "HostPath": {\n'
            '-  "Path": "/x",\n'
            '+  "Path": "/y",\n'
            '   "Type": ""\n'
            "  },\n"
            '  "Glusterfs": null,\n'
        )
    ]


def test_the_secret_for_growing_can_not_be_replaced() -> None:  # PU-1
    csi = {**CSI["csi"], "controllerExpandSecretRef": {"name": "s", "namespace": "n"}}
    old = stored(PERSISTENT_VOLUME, volume(**{**CSI, "csi": csi}))
    (error,) = change_refusals(PERSISTENT_VOLUME, old, {"spec": {"csi": {"controllerExpandSecretRef": {"name": "t"}}}})
    assert error.startswith("spec.persistentvolumesource: Forbidden: ")


def test_node_affinity_can_only_follow_renamed_labels() -> None:  # PU-3
    def zones(key: str) -> Json:
        requirement = {"key": key, "operator": "In", "values": ["a"]}
        return {"required": {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]}}

    beta, stable = "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"
    old = stored(PERSISTENT_VOLUME, volume(**CSI, nodeAffinity=zones(beta)))
    assert change_refusals(PERSISTENT_VOLUME, old, {"spec": {"nodeAffinity": zones(stable)}}) == []
    assert change_refusals(PERSISTENT_VOLUME, old, {"spec": {"nodeAffinity": None}}) == [
        "nodeAffinity: Invalid value: null: field is immutable, except for updating from beta label to GA"
    ]
    (error,) = change_refusals(PERSISTENT_VOLUME, old, {"spec": {"nodeAffinity": zones("other")}})
    assert error.startswith(
        'nodeAffinity: Invalid value: {"Required":{"NodeSelectorTerms":[{"MatchExpressions":[{"Key":"other",'
        '"Operator":"In","Values":["a"]}],"MatchFields":null}]}}: field is immutable, except'
    )


def test_an_attributes_class_can_not_be_taken_away() -> None:  # PU-4
    old = stored(PERSISTENT_VOLUME, volume(**CSI, volumeAttributesClassName="gold"))
    assert change_refusals(PERSISTENT_VOLUME, old, {"spec": {"volumeAttributesClassName": None}}) == [
        "spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden"
    ]


def test_what_is_deprecated_is_warned_of() -> None:
    spec = {**GOOD, "hostPath": None, "cephfs": {"monitors": ["m"]}, "persistentVolumeReclaimPolicy": "Recycle"}
    zone = "failure-domain.beta.kubernetes.io/zone"
    spec["nodeAffinity"] = merged(NODES, {})
    spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["key"] = zone
    obj, errors = create(PERSISTENT_VOLUME, volume(**spec))
    assert not errors
    obj["metadata"]["annotations"] = {"volume.beta.kubernetes.io/storage-class": "c", MOUNT_OPTIONS: "ro"}
    assert PERSISTENT_VOLUME.warnings(obj, None) == [
        (
            "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; "
            'use "storageClassName" attribute instead'
        ),
        (
            "metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; "
            'use "mountOptions" attribute instead'
        ),
        (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
            "Instead, the recommended approach is to use dynamic provisioning."
        ),
        (
            "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: "
            f'{zone} is deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
        ),
        "spec.cephfs: deprecated in v1.28, non-functional in v1.31+",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "gcePersistentDisk",
        "awsElasticBlockStore",
        "glusterfs",
        "nfs",
        "rbd",
        "quobyte",
        "iscsi",
        "cinder",
        "cephfs",
        "azureFile",
        "vsphereVolume",
        "azureDisk",
        "photonPersistentDisk",
    ],
)
def test_sources_that_take_mount_options(source: str) -> None:  # PV-15
    obj = {"metadata": {"name": "vol", "annotations": {MOUNT_OPTIONS: "ro"}}, **volume(**{**GOOD, source: {}})}
    obj["metadata"] = {"name": "vol", "annotations": {MOUNT_OPTIONS: "ro"}}
    refused = f"metadata.annotations.{MOUNT_OPTIONS}: Forbidden: may not specify mount options for this volume type"

    assert refused not in refusals(PERSISTENT_VOLUME, obj)


@pytest.mark.parametrize(
    ("beta", "stable"),
    [
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ],
)
def test_a_label_may_get_its_stable_name(beta: str, stable: str) -> None:  # PU-3
    def affinity(*keys: str, values: tuple[str, ...] = ("a",), fields: tuple[str, ...] = ()) -> Json:
        requirements = [{"key": key, "operator": "In", "values": list(values)} for key in keys]
        term: Json = {"matchExpressions": requirements}
        if fields:
            term["matchFields"] = [{"key": "metadata.name", "operator": "In", "values": list(fields)}]
        return {"required": {"nodeSelectorTerms": [term]}}

    old = stored(PERSISTENT_VOLUME, volume(**CSI, nodeAffinity=affinity(beta, "k", fields=("n",))))

    def is_refused(after: Json) -> bool:
        return bool(change_refusals(PERSISTENT_VOLUME, old, {"spec": {"nodeAffinity": after}}))

    assert not is_refused(affinity(stable, "k", fields=("n",)))
    assert not is_refused(affinity(beta, "k", fields=("n",)))
    assert is_refused(affinity(stable, "k", fields=("m",)))
    assert is_refused(affinity(stable, fields=("n",)))
    assert is_refused(affinity(stable, "k", values=("b",), fields=("n",)))
    assert is_refused(affinity(stable, "l", fields=("n",)))
    one = affinity(stable, "k", fields=("n",))["required"]["nodeSelectorTerms"]
    assert is_refused({"required": {"nodeSelectorTerms": one * 2}})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("cephfs", "spec.cephfs: deprecated in v1.28, non-functional in v1.31+"),
        ("photonPersistentDisk", "spec.photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+"),
        ("scaleIO", "spec.scaleIO: deprecated in v1.16, non-functional in v1.22+"),
        ("storageos", "spec.storageOS: deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", "spec.glusterfs: deprecated in v1.25, non-functional in v1.26+"),
        ("rbd", "spec.rbd: deprecated in v1.28, non-functional in v1.31+"),
    ],
)
def test_plugins_that_are_gone_are_warned_of(source: str, text: str) -> None:
    assert PERSISTENT_VOLUME.warnings({"metadata": {}, "spec": {source: {}}}, None) == [text]


def test_what_is_not_deprecated_is_not_warned_of() -> None:
    obj = {"metadata": {"annotations": {"a": "b"}}, "spec": {**GOOD, "persistentVolumeReclaimPolicy": "Retain"}}

    assert PERSISTENT_VOLUME.warnings(obj, None) == []
