"""The kinds that the server serves: those built in, and those that definitions add at run time.

REGISTRY-1  Groups come in discovery order: the reference's priority for its own, then the others by name.
REGISTRY-2  Within a group version, kinds come by plural.
REGISTRY-3  `revision` grows with each change, so that answers made from a registry can be kept until then.
"""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.built_in.autoscalers import AUTOSCALER, AUTOSCALER_V1
from pvbinder.server.kinds.built_in.csi_drivers import CSI_DRIVER, CSI_NODE
from pvbinder.server.kinds.built_in.csi_volumes import CSI_STORAGE_CAPACITY, VOLUME_ATTACHMENT
from pvbinder.server.kinds.built_in.events import EVENT, EVENT_OF_EVENTS
from pvbinder.server.kinds.built_in.jobs import BATCH
from pvbinder.server.kinds.built_in.leases import LEASE
from pvbinder.server.kinds.built_in.namespaces import NAMESPACE
from pvbinder.server.kinds.built_in.nodes import NODE
from pvbinder.server.kinds.built_in.persistent_volume_claims import PERSISTENT_VOLUME_CLAIM
from pvbinder.server.kinds.built_in.persistent_volumes import PERSISTENT_VOLUME
from pvbinder.server.kinds.built_in.plain import PLAIN_KINDS
from pvbinder.server.kinds.built_in.pods import BINDING_KIND, POD
from pvbinder.server.kinds.built_in.quotas import QUOTA_KINDS
from pvbinder.server.kinds.built_in.rbac import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING
from pvbinder.server.kinds.built_in.reviews import (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    TOKEN_REVIEW,
)
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP, SECRET
from pvbinder.server.kinds.built_in.service_accounts import SERVICE_ACCOUNT
from pvbinder.server.kinds.built_in.services import SERVICE_KINDS
from pvbinder.server.kinds.built_in.snapshots import SNAPSHOT_KINDS
from pvbinder.server.kinds.built_in.storage_classes import STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS
from pvbinder.server.kinds.built_in.workloads import WORKLOADS
from pvbinder.server.kinds.definitions.definition import CUSTOM_RESOURCE_DEFINITION
from pvbinder.server.kinds.definitions.names import version_order
from pvbinder.server.objects.kind import ServedKind

BUILT_IN: tuple[ServedKind, ...] = (
    BINDING_KIND,
    CONFIG_MAP,
    EVENT,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    EVENT_OF_EVENTS,
    SELF_SUBJECT_REVIEW,
    TOKEN_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
    LEASE,
    *SERVICE_KINDS,
    *QUOTA_KINDS,
    *WORKLOADS,
    AUTOSCALER,
    AUTOSCALER_V1,
    *BATCH,
    *PLAIN_KINDS,
    CUSTOM_RESOURCE_DEFINITION,
    *SNAPSHOT_KINDS,
)

GROUP_ORDER = (
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)

OWN_KINDS = frozenset(kind.resource.qualified for kind in BUILT_IN if kind.resource.group in GROUP_ORDER)


class Registry:
    """The served kinds, found by group, version and plural; iterates in discovery order (REGISTRY-1, REGISTRY-2)."""

    def __init__(self, kinds: tuple[ServedKind, ...] = BUILT_IN) -> None:
        self._kinds: dict[tuple[str, str, str], ServedKind] = {}
        self._ordered: tuple[ServedKind, ...] = ()
        self.revision = 0
        for kind in kinds:
            self._put(kind)
        self._order()

    def find(self, group: str, version: str, plural: str) -> ServedKind | None:
        """Return the kind served under these names, if there is one."""
        return self._kinds.get((group, version, plural))

    def stored_as(self, kind: ServedKind) -> ServedKind:
        """Return the kind in whose form objects of `kind` are stored: nearly always `kind` itself."""
        stored = kind.storage_version_of
        if stored is None:
            return kind
        return self._kinds[stored.group, stored.version, stored.plural]

    def of_kind(self, group: str, version: str, kind: str) -> ServedKind | None:
        """Return the served kind whose objects call themselves `kind`, if there is one."""
        for served in self._ordered:
            resource = served.resource
            if resource.kind == kind and resource.group == group and resource.version == version:
                return served
        return None

    def __iter__(self) -> Iterator[ServedKind]:
        """Iterate over all kinds in discovery order."""
        return iter(self._ordered)

    def groups(self) -> tuple[str, ...]:
        """Return the groups in discovery order, ``""`` (the core group) first."""
        return tuple(dict.fromkeys(kind.resource.group for kind in self._ordered))

    def versions(self, group: str) -> tuple[str, ...]:
        """Return the versions of `group`, the preferred one first."""
        return tuple(dict.fromkeys(kind.resource.version for kind in self._ordered if kind.resource.group == group))

    def kinds(self, group: str, version: str) -> tuple[ServedKind, ...]:
        """Return the kinds of a group version by plural (REGISTRY-2)."""
        return tuple(k for k in self._ordered if (k.resource.group, k.resource.version) == (group, version))

    def add(self, kind: ServedKind) -> None:
        """Serve `kind` from now on, in place of one with the same names."""
        self._put(kind)
        self._order()

    def remove(self, resource: Resource) -> None:
        """Serve the kind of `resource` no longer."""
        self._kinds.pop((resource.group, resource.version, resource.plural), None)
        self._order()

    def _put(self, kind: ServedKind) -> None:
        resource = kind.resource
        self._kinds[resource.group, resource.version, resource.plural] = kind

    def _order(self) -> None:
        self._ordered = tuple(sorted(self._kinds.values(), key=_discovery_order))
        self.revision += 1


def _discovery_order(kind: ServedKind) -> tuple[int, str, tuple[int, int, int, str], str]:
    group = kind.resource.group
    place = GROUP_ORDER.index(group) if group in GROUP_ORDER else len(GROUP_ORDER)
    return place, group, version_order(kind.resource.version), kind.resource.plural
