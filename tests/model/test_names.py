"""Well-known names: other programs use them, so each is written out here once more."""

from __future__ import annotations

from pvbinder.model import names

NAMES = {
    "YES": "yes",
    "NODE_EXPANSION_NOT_REQUIRED": "volume.kubernetes.io/node-expansion-not-required",
    "BIND_COMPLETED": "pv.kubernetes.io/bind-completed",
    "BOUND_BY_CONTROLLER": "pv.kubernetes.io/bound-by-controller",
    "PROVISIONED_BY": "pv.kubernetes.io/provisioned-by",
    "MIGRATED_TO": "pv.kubernetes.io/migrated-to",
    "STORAGE_PROVISIONER": "volume.kubernetes.io/storage-provisioner",
    "BETA_STORAGE_PROVISIONER": "volume.beta.kubernetes.io/storage-provisioner",
    "SELECTED_NODE": "volume.kubernetes.io/selected-node",
    "BETA_STORAGE_CLASS": "volume.beta.kubernetes.io/storage-class",
    "PRE_RESIZE_CAPACITY": "volume.alpha.kubernetes.io/pre-resize-capacity",
    "STORAGE_RESIZER": "volume.kubernetes.io/storage-resizer",
    "CREATED_BY": "kubernetes.io/createdby",
    "DEFAULT_CLASS": "storageclass.kubernetes.io/is-default-class",
    "BETA_DEFAULT_CLASS": "storageclass.beta.kubernetes.io/is-default-class",
    "PV_CONTROLLER_FINALIZER": "kubernetes.io/pv-controller",
    "EXTERNAL_PROVISIONER_FINALIZER": "external-provisioner.volume.kubernetes.io/finalizer",
    "PV_PROTECTION_FINALIZER": "kubernetes.io/pv-protection",
    "PVC_PROTECTION_FINALIZER": "kubernetes.io/pvc-protection",
    "VAC_PROTECTION_FINALIZER": "kubernetes.io/vac-protection",
    "IN_TREE_PREFIX": "kubernetes.io/",
    "NO_PROVISIONER": "kubernetes.io/no-provisioner",
    "HOST_PATH_PLUGIN": "kubernetes.io/host-path",
    "NFS_PLUGIN": "kubernetes.io/nfs",
    "CSI_PLUGIN": "kubernetes.io/csi",
    "BINDER_CONTROLLER": "persistentvolume-binder-controller",
    "BINDER_ALIAS": "persistentvolume-binder",
    "BINDER_USER_AGENT": "persistent-volume-binder",
    "BINDER_EVENT_SOURCE": "persistentvolume-controller",
}


def test_names_are_those_of_kubernetes() -> None:
    """They are listed in docs/rules/binder.md#2-keys-it-reads-or-writes."""
    assert {name: value for name, value in vars(names).items() if name.isupper()} == NAMES
