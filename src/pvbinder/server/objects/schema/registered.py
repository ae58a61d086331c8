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

# What every version of every group has, and the one kind that only the oldest has.
_OF_EVERY_VERSION: Final = frozenset(
    f"{verb}Options" for verb in ("List", "Get", "Delete", "Create", "Update", "Patch")
) | {"WatchEvent"}
_LIST: Final = ("", "v1", "List")
# Groups that are served by a part of the reference that knows its own kinds only.
_APART: Final[dict[str, tuple[str, str]]] = {
    "apiextensions.k8s.io": (
        "CustomResourceDefinition",
        "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55",
    ),
    "apiregistration.k8s.io": ("APIService", "k8s.io/kube-aggregator/pkg/apiserver/scheme/scheme.go:28"),
}
# Groups that had a kind before another got it: to the reference these are one kind in several versions.
_MOVED: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet"), frozenset({"apps", "extensions"})),
    **dict.fromkeys(("Ingress", "NetworkPolicy"), frozenset({"networking.k8s.io", "extensions"})),
    "Event": frozenset({"", "events.k8s.io"}),
}


def scheme_of(group: str) -> str:
    """Return where the reference registers the kinds of a group, as its messages say it."""
    return _APART[group][1] if group in _APART else "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


def is_same_kind(kind: str, group: str, other_group: str) -> bool:
    """Whether a kind of one group is to the reference another version of that of the other group."""
    return group == other_group or {group, other_group} <= _MOVED.get(kind, frozenset())


def is_registered(group: str, version: str, kind: str, beside: str = "") -> bool:
    """Whether the reference has a type for this kind where it has those of the group `beside`."""
    if beside in _APART:
        known = group == beside and version in ("v1", "v1beta1")
        return known and (kind.removesuffix("List") == _APART[beside][0] or kind in _OF_EVERY_VERSION)
    if (group, version, kind) in CATALOGUE.kinds or (group, version, kind) == _LIST:
        return True
    if kind in _OF_EVERY_VERSION:
        return (group, version) in _RETIRED or any(each[:2] == (group, version) for each in CATALOGUE.kinds)
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
