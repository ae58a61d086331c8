"""The kinds that we speak of, their paths and names."""

from __future__ import annotations

import pytest

from pvbinder.model import resources, workloads
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES, Resource, is_built_in

KNOWN = {
    f"{module.__name__.rpartition('.')[2]}.{name}": found
    for module in (resources, workloads)
    for name, found in vars(module).items()
    if isinstance(found, Resource)
}
SERVED = {  # the plural and its group: version, kind, whether it is in a namespace
    "clusterrolebindings.rbac.authorization.k8s.io": ("v1", "ClusterRoleBinding", False),
    "clusterroles.rbac.authorization.k8s.io": ("v1", "ClusterRole", False),
    "configmaps": ("v1", "ConfigMap", True),
    "controllerrevisions.apps": ("v1", "ControllerRevision", True),
    "cronjobs.batch": ("v1", "CronJob", True),
    "csidrivers.storage.k8s.io": ("v1", "CSIDriver", False),
    "csinodes.storage.k8s.io": ("v1", "CSINode", False),
    "csistoragecapacities.storage.k8s.io": ("v1", "CSIStorageCapacity", True),
    "daemonsets.apps": ("v1", "DaemonSet", True),
    "deployments.apps": ("v1", "Deployment", True),
    "events": ("v1", "Event", True),
    "events.events.k8s.io": ("v1", "Event", True),
    "jobs.batch": ("v1", "Job", True),
    "leases.coordination.k8s.io": ("v1", "Lease", True),
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim", True),
    "persistentvolumes": ("v1", "PersistentVolume", False),
    "poddisruptionbudgets.policy": ("v1", "PodDisruptionBudget", True),
    "pods": ("v1", "Pod", True),
    "replicasets.apps": ("v1", "ReplicaSet", True),
    "resourcequotas": ("v1", "ResourceQuota", True),
    "rolebindings.rbac.authorization.k8s.io": ("v1", "RoleBinding", True),
    "roles.rbac.authorization.k8s.io": ("v1", "Role", True),
    "secrets": ("v1", "Secret", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "services": ("v1", "Service", True),
    "statefulsets.apps": ("v1", "StatefulSet", True),
    "storageclasses.storage.k8s.io": ("v1", "StorageClass", False),
    "volumeattachments.storage.k8s.io": ("v1", "VolumeAttachment", False),
    "volumeattributesclasses.storage.k8s.io": ("v1", "VolumeAttributesClass", False),
    "volumesnapshotclasses.snapshot.storage.k8s.io": ("v1", "VolumeSnapshotClass", False),
    "volumesnapshotcontents.snapshot.storage.k8s.io": ("v1", "VolumeSnapshotContent", False),
    "volumesnapshots.snapshot.storage.k8s.io": ("v1", "VolumeSnapshot", True),
}


@pytest.mark.parametrize("resource", KNOWN.values(), ids=KNOWN.keys())
def test_a_resource_is_one_that_is_served(resource: Resource) -> None:
    """Written out: the server takes its resources from the same place."""
    assert SERVED[resource.qualified] == (resource.version, resource.kind, resource.namespaced)
    assert is_built_in(resource) is (resource.group != "snapshot.storage.k8s.io")


PATHS = {
    "all of a namespaced kind": (PERSISTENT_VOLUME_CLAIMS.path(), "/api/v1/persistentvolumeclaims"),
    "one": (PERSISTENT_VOLUME_CLAIMS.path("shop", "a"), "/api/v1/namespaces/shop/persistentvolumeclaims/a"),
    "a subresource": (
        PERSISTENT_VOLUME_CLAIMS.path("shop", "a", "status"),
        "/api/v1/namespaces/shop/persistentvolumeclaims/a/status",
    ),
    "a kind of the cluster has no namespace": (
        STORAGE_CLASSES.path("shop", "fast"),
        "/apis/storage.k8s.io/v1/storageclasses/fast",
    ),
}


@pytest.mark.parametrize(("path", "expected"), PATHS.values(), ids=PATHS.keys())
def test_a_path(path: str, expected: str) -> None:
    assert path == expected


def test_the_names_of_a_resource() -> None:  # GW-9
    assert (STORAGE_CLASSES.api_version, STORAGE_CLASSES.qualified) == (
        "storage.k8s.io/v1",
        "storageclasses.storage.k8s.io",
    )
    assert (PERSISTENT_VOLUME_CLAIMS.api_version, PERSISTENT_VOLUME_CLAIMS.qualified) == (
        "v1",
        "persistentvolumeclaims",
    )


GROUPS = {
    "": True,
    "autoscaling": True,
    "admissionregistration.k8s.io": True,
    "apiextensions.k8s.io": True,
    "apiregistration.k8s.io": True,
    "authentication.k8s.io": True,
    "authorization.k8s.io": True,
    "certificates.k8s.io": True,
    "discovery.k8s.io": True,
    "events.k8s.io": True,
    "flowcontrol.apiserver.k8s.io": True,
    "internal.apiserver.k8s.io": True,
    "networking.k8s.io": True,
    "node.k8s.io": True,
    "resource.k8s.io": True,
    "scheduling.k8s.io": True,
    "storagemigration.k8s.io": True,
    "snapshot.storage.k8s.io": False,
    "example.com": False,
}


@pytest.mark.parametrize(("group", "is_so"), GROUPS.items())
def test_the_groups_that_kubernetes_itself_serves(group: str, is_so: bool) -> None:
    assert is_built_in(Resource(group, "v1", "Any", "anys", True)) is is_so
