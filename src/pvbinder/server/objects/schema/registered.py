"""Which kinds the reference knows at all, also those that it no longer serves.

A body of a kind that exists but isn't the one of the URL is refused with other words than one of no kind at all.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.objects.kind import ServedKind
from pvbinder.server.objects.schema.types import CATALOGUE

# Versions that are no longer served by anyone, but whose types the reference still has.
_RETIRED: Final[dict[tuple[str, str], str]] = {
    ("storage.k8s.io", "v1beta1"): "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment",
    ("storage.k8s.io", "v1alpha1"): "CSIStorageCapacity VolumeAttachment VolumeAttributesClass",
    ("apps", "v1beta1"): "ControllerRevision Deployment StatefulSet",
    ("apps", "v1beta2"): "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    ("batch", "v1beta1"): "CronJob",
    ("coordination.k8s.io", "v1beta1"): "Lease",
    ("discovery.k8s.io", "v1beta1"): "EndpointSlice",
    ("events.k8s.io", "v1beta1"): "Event",
    ("extensions", "v1beta1"): "DaemonSet Deployment Ingress NetworkPolicy ReplicaSet",
    ("networking.k8s.io", "v1beta1"): "Ingress IngressClass",
    ("node.k8s.io", "v1beta1"): "RuntimeClass",
    ("policy", "v1beta1"): "Eviction PodDisruptionBudget",
    ("rbac.authorization.k8s.io", "v1beta1"): "ClusterRole ClusterRoleBinding Role RoleBinding",
    ("rbac.authorization.k8s.io", "v1alpha1"): "ClusterRole ClusterRoleBinding Role RoleBinding",
    ("scheduling.k8s.io", "v1beta1"): "PriorityClass",
    ("authentication.k8s.io", "v1beta1"): "SelfSubjectReview TokenReview",
    ("authorization.k8s.io", "v1beta1"): "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview "
    "SubjectAccessReview",
}


def is_registered(group: str, version: str, kind: str) -> bool:
    """Whether the reference has a type for this kind."""
    if (group, version, kind) in CATALOGUE.kinds:
        return True
    return kind.removesuffix("List") in _RETIRED.get((group, version), "").split()


def internal_type_name(kind: ServedKind) -> str:
    """Return what the reference calls its own type for objects of a kind, as some messages show it."""
    if kind.schema in CATALOGUE.customs:
        return "*unstructured.Unstructured"
    return f"*{internal_package(kind.resource.group)}.{kind.resource.kind}"


def internal_package(group: str) -> str:
    """Return the name of the reference's package of its own types of a group."""
    first = group.partition(".")[0]
    return "core" if first in ("", "events") else first
