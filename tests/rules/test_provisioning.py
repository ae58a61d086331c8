"""Who makes a volume for a claim, and what it looks like."""

from __future__ import annotations

import pytest
from tests.rules.objects import SmallWorld, claim, storage_class
from tests.rules.test_reclaim import HOST_PATH, NFS, Plugins

from pvbinder.rules import provisioning
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.rules.provisioning import (
    CannotProvision,
    NoProvisionerReason,
    OutsideReason,
    Provisioning,
    ProvisionInTree,
    ProvisionOutside,
)
from pvbinder.rules.settings import DEFAULTS, Migrations, Settings

WANTING = claim(storage_class="fast")
GA, BETA = "volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"


def decide(provisioner: str, settings: Settings = DEFAULTS) -> Provisioning:
    world = SmallWorld(classes=[storage_class(provisioner=provisioner)], plugins=Plugins())
    return provisioning.decide_provisioning(WANTING, world, settings)


def test_switched_off_nothing_is_said() -> None:  # PR-1
    found = decide("csi.example.com", Settings(dynamic_provisioning=False))
    assert found == CannotProvision(None, NoProvisionerReason.SWITCHED_OFF)


def test_a_missing_class_is_told() -> None:  # PR-2
    found = provisioning.decide_provisioning(WANTING, SmallWorld(), DEFAULTS)
    assert isinstance(found, CannotProvision)
    assert str(found.event) == 'Warning ProvisioningFailed storageclass.storage.k8s.io "fast" not found'


def test_a_migrated_plugin_is_asked_under_its_drivers_name() -> None:  # PR-3, PR-18
    assert decide("kubernetes.io/aws-ebs") == ProvisionOutside("ebs.csi.aws.com", OutsideReason.MIGRATED)


def test_a_plugin_or_a_foreign_name_provisions() -> None:  # PR-4
    found = decide(HOST_PATH.name)
    assert isinstance(found, ProvisionInTree)
    assert found.plugin == HOST_PATH
    assert decide("csi.example.com") == ProvisionOutside("csi.example.com", OutsideReason.NO_PLUGIN)


CANNOT = {  # PR-4, PR-5
    "kubernetes.io/no-provisioner": "no volume plugin matched name: kubernetes.io/no-provisioner",
    "kubernetes.io/nfs": "no provisionable volume plugin matched",
}


@pytest.mark.parametrize(("provisioner", "why"), CANNOT.items())
def test_an_in_tree_name_without_a_plugin_is_told(provisioner: str, why: str) -> None:
    found = decide(provisioner)
    assert isinstance(found, CannotProvision)
    assert str(found.event) == f"Warning ProvisioningFailed {why}"


def test_a_data_source_needs_csi() -> None:  # PR-7
    cloned = claim(data_source={"kind": "PersistentVolumeClaim", "name": "a"})
    refusal = provisioning.refuse_data_source(cloned, HOST_PATH)
    assert refusal is not None
    assert refusal.error == (
        'plugin "kubernetes.io/host-path" is not a CSI plugin. Only CSI plugin can provision a claim with a datasource'
    )
    assert provisioning.refuse_data_source(cloned, PluginAbilities("kubernetes.io/csi")) is None
    assert provisioning.refuse_data_source(claim(), HOST_PATH) is None


def test_mount_options_need_a_plugin_that_takes_them() -> None:  # PR-10
    found = storage_class(mountOptions=["ro", "soft"])
    refusal = provisioning.refuse_mount_options(found, HOST_PATH)
    assert refusal is not None
    assert refusal.event.message == (
        'Mount options are not supported by the provisioner but StorageClass "fast" has mount options [ro soft]'
    )
    assert refusal.error == 'provisioner "kubernetes.io/host-path" doesn\'t support mount options'
    assert provisioning.refuse_mount_options(found, NFS) is None
    assert provisioning.refuse_mount_options(storage_class(), HOST_PATH) is None


def test_the_provisioner_is_written_in_both_spellings_once() -> None:  # PR-8, PR-19
    document = provisioning.with_provisioner(claim(annotations={"a": "b"}), "csi.example.com", Migrations())
    assert document is not None
    assert document["metadata"]["annotations"] == {"a": "b", GA: "csi.example.com", BETA: "csi.example.com"}
    asked = claim(annotations={GA: "csi.example.com"})
    assert provisioning.with_provisioner(asked, "csi.example.com", Migrations()) is None


def test_a_new_provisioner_brings_its_migration_annotation() -> None:  # PR-8, MG-1
    document = provisioning.with_provisioner(claim(), "kubernetes.io/gce-pd", Migrations())
    assert document is not None
    assert document["metadata"]["annotations"]["pv.kubernetes.io/migrated-to"] == "pd.csi.storage.gke.io"


def test_the_selected_node_is_given_up() -> None:  # PR-13
    key = "volume.kubernetes.io/selected-node"
    document = provisioning.without_selected_node(claim(annotations={key: "n1", "a": "b"}))
    assert document is not None
    assert document["metadata"]["annotations"] == {"a": "b"}
    assert provisioning.without_selected_node(claim()) is None


def made() -> dict[str, object]:
    return {"metadata": {"annotations": {"by": "plugin"}}, "spec": {"hostPath": {"path": "/tmp/x"}}}


def test_a_provisioned_volume() -> None:  # PR-9, PR-14
    document = provisioning.provisioned_volume(WANTING, storage_class(), HOST_PATH.name, made())
    assert document["metadata"] == {
        "name": "pvc-uid-of-orders",
        "annotations": {
            "by": "plugin",
            "pv.kubernetes.io/bound-by-controller": "yes",
            "pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path",
        },
        "finalizers": ["kubernetes.io/pv-controller"],
    }
    assert document["spec"]["claimRef"]["uid"] == WANTING.uid
    assert document["spec"]["storageClassName"] == "fast"
    assert document["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
    assert document["status"]["phase"] == "Bound"


def test_a_provisioned_volume_to_be_kept_has_no_finalizer() -> None:  # PR-14
    kept = provisioning.provisioned_volume(WANTING, storage_class(reclaimPolicy="Retain"), HOST_PATH.name, made())
    assert "finalizers" not in kept["metadata"]
