"""Every well-known name in one place: annotations, finalizers, conditions, controllers.

Rules: docs/rules/binder.md#2-keys-it-reads-or-writes
"""

from __future__ import annotations

from typing import Final

YES: Final = "yes"  # the value of our own annotations; readers look at presence only

# Annotations of claims and volumes
BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY: Final = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO: Final = "pv.kubernetes.io/migrated-to"
STORAGE_PROVISIONER: Final = "volume.kubernetes.io/storage-provisioner"
BETA_STORAGE_PROVISIONER: Final = "volume.beta.kubernetes.io/storage-provisioner"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
BETA_STORAGE_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
PRE_RESIZE_CAPACITY: Final = "volume.alpha.kubernetes.io/pre-resize-capacity"
STORAGE_RESIZER: Final = "volume.kubernetes.io/storage-resizer"
NODE_EXPANSION_NOT_REQUIRED: Final = "volume.kubernetes.io/node-expansion-not-required"
CREATED_BY: Final = "kubernetes.io/createdby"

# Annotations of storage classes
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
BETA_DEFAULT_CLASS: Final = "storageclass.beta.kubernetes.io/is-default-class"

# Finalizers
PV_CONTROLLER_FINALIZER: Final = "kubernetes.io/pv-controller"
EXTERNAL_PROVISIONER_FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"
PV_PROTECTION_FINALIZER: Final = "kubernetes.io/pv-protection"
PVC_PROTECTION_FINALIZER: Final = "kubernetes.io/pvc-protection"
VAC_PROTECTION_FINALIZER: Final = "kubernetes.io/vac-protection"

# Provisioners and plugins
IN_TREE_PREFIX: Final = "kubernetes.io/"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
HOST_PATH_PLUGIN: Final = "kubernetes.io/host-path"
NFS_PLUGIN: Final = "kubernetes.io/nfs"
CSI_PLUGIN: Final = "kubernetes.io/csi"

# Controllers: names, aliases and user agents (B-1, B-2)
BINDER_CONTROLLER: Final = "persistentvolume-binder-controller"
BINDER_ALIAS: Final = "persistentvolume-binder"
BINDER_USER_AGENT: Final = "persistent-volume-binder"
BINDER_EVENT_SOURCE: Final = "persistentvolume-controller"
