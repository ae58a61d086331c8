"""The request for a volume, and the PersistentVolume that is made of the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, StorageClass, parse_claim, parse_storage_class
from pvbinder.rules.csi.parameters import PREFIX
from pvbinder.rules.csi.refusals import ProvisioningFailed, State
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.csi.volumes import (
    Abilities,
    CreatedVolume,
    VolumeNaming,
    check_abilities,
    created_volume,
    request_for,
    volume_name,
)

ALL = Abilities(controller_service=True, create_delete_volume=True)
UID = "12345678-aaaa-bbbb-cccc-123456789abc"


def claim(**spec: Any) -> Claim:
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1500Mi"}},
        "storageClassName": "fast",
    }
    document = {"metadata": {"name": "orders", "namespace": "shop", "uid": UID}, "spec": wanted | spec}
    return parse_claim(msgspec.json.encode(document))


def storage_class(**parameters: str) -> StorageClass:
    document = {"metadata": {"name": "fast"}, "provisioner": "fake", "parameters": parameters, "mountOptions": ["ro"]}
    return parse_storage_class(msgspec.json.encode(document))


@pytest.mark.parametrize(
    ("naming", "name"),
    [
        (VolumeNaming(), f"pvc-{UID}"),
        (VolumeNaming("vol", 12), "vol-12345678aaaa"),
        (VolumeNaming("vol", 0), "vol-"),
        (VolumeNaming("vol", 99), "vol-12345678aaaabbbbcccc123456789abc"),
    ],
)
def test_the_name_of_a_volume(naming: VolumeNaming, name: str) -> None:  # CP-10
    assert volume_name(naming, UID) == name


@pytest.mark.parametrize(
    ("naming", "uid", "message"),
    [
        (VolumeNaming(""), UID, "volume name prefix cannot be of length 0"),
        (VolumeNaming(), "", "corrupted PVC object, it is missing UID"),
    ],
)
def test_a_name_that_cant_be(naming: VolumeNaming, uid: str, message: str) -> None:  # CP-10
    with pytest.raises(ProvisioningFailed) as caught:
        volume_name(naming, uid)
    assert (caught.value.message, caught.value.state) == (message, State.FINISHED)


@pytest.mark.parametrize(
    ("abilities", "wanted", "missing"),
    [
        (Abilities(), {}, "dynamic provisioning: plugin CONTROLLER_SERVICE capability"),
        (Abilities(controller_service=True), {}, "dynamic provisioning: controller CREATE_DELETE_VOLUME capability"),
        (ALL, {"restores": True}, "snapshot restore: controller CREATE_DELETE_SNAPSHOT capability"),
        (ALL, {"clones": True}, "clone operations: controller CLONE_VOLUME capability"),
        (ALL, {"has_class": True}, "VolumeAttributesClass: controller MODIFY_VOLUME capability"),
    ],
)
def test_an_ability_that_a_driver_lacks(abilities: Abilities, wanted: dict[str, bool], missing: str) -> None:  # CP-8
    with pytest.raises(ProvisioningFailed) as caught:
        check_abilities(abilities, **wanted)
    assert caught.value.message == f"CSI driver does not support {missing} is not reported"
    assert caught.value.state is State.FINISHED


def test_the_request() -> None:  # CP-12, CP-13, CP-16, CP-18
    parameters = {"tier": "gold", f"{PREFIX}secret-name": "s-${pvc.name}", f"{PREFIX}secret-namespace": "safe"}
    request = request_for(claim(), storage_class(**parameters), "pvc-1", ALL, extra_metadata=True)
    assert request.required_bytes == 1500 << 20
    assert [one.mount_flags for one in request.capabilities] == [("ro",)]
    assert request.secret == SecretReference("s-orders", "safe")
    assert request.parameters == {
        "tier": "gold",
        f"{PREFIX}pvc/name": "orders",
        f"{PREFIX}pvc/namespace": "shop",
        f"{PREFIX}pv/name": "pvc-1",
    }


@pytest.mark.parametrize("kind", ["provisioner", "node-stage", "controller-expand", "controller-modify"])
def test_no_volume_is_asked_for_whose_secrets_cant_be_named(kind: str) -> None:  # CP-16
    parameters = {f"{PREFIX}{kind}-secret-name": "a", f"{PREFIX}{kind}-secret-namespace": "${nonsense}"}
    with pytest.raises(ProvisioningFailed) as caught:
        request_for(claim(), storage_class(**parameters), "pvc-1", ALL)
    assert caught.value.message == 'error resolving value "${nonsense}": invalid tokens: ["nonsense"]'
    assert caught.value.state is State.NO_CHANGE


@pytest.mark.parametrize(
    ("modes", "publishes", "readonly"),
    [
        (["ReadOnlyMany"], True, True),
        (["ReadOnlyMany"], False, None),
        (["ReadWriteOnce"], True, None),
        (["ReadOnlyMany", "ReadWriteOnce"], True, None),
    ],
)
def test_a_volume_that_is_only_read(modes: list[str], publishes: bool, readonly: bool | None) -> None:  # CR-5
    spec = volume(claim(accessModes=modes), storage_class(), publishes_readonly=publishes)["spec"]
    assert spec["csi"].get("readOnly") is readonly


def volume(wanted: Claim, of_class: StorageClass, *, publishes_readonly: bool = False, **made: Any) -> Json:
    request = request_for(wanted, of_class, "pvc-1", ALL)
    answer = CreatedVolume(**{"volume_id": "h1", "capacity_bytes": 1500 << 20, "context": {}, **made})
    return created_volume(
        wanted, of_class, request, answer, driver="fake", identity="us", publishes_readonly=publishes_readonly
    )


def test_the_volume_of_an_answer() -> None:  # CR-4
    parameters = {f"{PREFIX}node-stage-secret-name": "n", f"{PREFIX}node-stage-secret-namespace": "safe"}
    made = volume(claim(), storage_class(**parameters), context={"a": "b"}, accessible=({"zone": "z1"},))
    assert made["spec"]["capacity"] == {"storage": "1500Mi"}
    assert made["spec"]["mountOptions"] == ["ro"]
    assert made["spec"]["csi"]["volumeAttributes"] == {"storage.kubernetes.io/csiProvisionerIdentity": "us", "a": "b"}
    assert made["spec"]["csi"]["nodeStageSecretRef"] == {"name": "n", "namespace": "safe"}
    terms = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z1"]}]}]
    assert made["metadata"]["annotations"]["volume.kubernetes.io/provisioner-deletion-secret-name"] == ""


def test_the_file_system_of_a_device_is_nobodys_business() -> None:  # CR-4, CP-13
    made = volume(claim(volumeMode="Block"), storage_class(fstype="xfs"))
    assert "fsType" not in made["spec"]["csi"]


def test_the_whole_volume_of_an_answer() -> None:  # CR-4, LB-17
    keys = ["provisioner", "controller-publish", "node-stage", "node-publish", "controller-expand", "node-expand"]
    parameters = {
        f"{PREFIX}{key}-secret-{part}": key for key in [*keys, "controller-modify"] for part in ("name", "namespace")
    }
    wanted = claim(volumeAttributesClassName="gold", accessModes=["ReadWriteOnce", "ReadOnlyMany"])

    def secret(name: str) -> dict[str, str]:
        return {"name": name, "namespace": name}

    assert volume(wanted, storage_class(fstype="xfs", **parameters), context={"a": "b"}) == {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": "pvc-1",
            "annotations": {
                "pv.kubernetes.io/provisioned-by": "fake",
                "volume.kubernetes.io/provisioner-deletion-secret-name": "provisioner",
                "volume.kubernetes.io/provisioner-deletion-secret-namespace": "provisioner",
                "volume.kubernetes.io/controller-modify-secret-name": "controller-modify",
                "volume.kubernetes.io/controller-modify-secret-namespace": "controller-modify",
            },
            "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"],
        },
        "spec": {
            "capacity": {"storage": "1500Mi"},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": "fast",
            "volumeMode": "Filesystem",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": "orders",
                "namespace": "shop",
                "uid": UID,
            },
            "csi": {
                "driver": "fake",
                "volumeHandle": "h1",
                "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": "us", "a": "b"},
                "fsType": "xfs",
                "controllerPublishSecretRef": secret("controller-publish"),
                "nodeStageSecretRef": secret("node-stage"),
                "nodePublishSecretRef": secret("node-publish"),
                "controllerExpandSecretRef": secret("controller-expand"),
                "nodeExpandSecretRef": secret("node-expand"),
            },
            "mountOptions": ["ro"],
            "volumeAttributesClassName": "gold",
        },
    }
