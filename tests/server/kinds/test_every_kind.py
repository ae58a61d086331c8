"""What each served kind does at a PUT and a DELETE, and what its names are: one table over all of them.

The rows are those of Kubernetes 1.36's own storage of each kind; a kind that is new here must be given its place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pvbinder.server.kinds.registry import BUILT_IN
from pvbinder.server.objects.kind import Json, no_errors

# A PUT of an object that isn't there creates it.
PUT_CREATES: Final = {
    "clusterrolebindings", "clusterroles", "endpoints", "events", "leases", "limitranges", "rolebindings", "roles",
    "runtimeclasses", "services",
}  # fmt: skip
# A PUT without a resourceVersion is refused.
NEEDS_REVISION: Final = {
    "apiservices", "csidrivers", "csinodes", "csistoragecapacities", "customresourcedefinitions", "leases",
    "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
    "poddisruptionbudgets", "runtimeclasses", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations", "volumeattachments",
}  # fmt: skip
# A DELETE is answered with the object, not with a Status.
DELETE_RETURNS_OBJECT: Final = {
    "csidrivers", "csinodes", "customresourcedefinitions", "deviceclasses", "namespaces", "persistentvolumeclaims",
    "persistentvolumes", "pods", "podtemplates", "resourceclaims", "resourceclaimtemplates", "resourcequotas",
    "resourceslices", "serviceaccounts", "services", "storageclasses", "volumeattachments", "volumeattributesclasses",
}  # fmt: skip
NAMES: Final = {  # by anything but a subdomain
    "apiservices": "path-segment", "certificatesigningrequests": "path-segment", "clusterrolebindings": "path-segment",
    "clusterroles": "path-segment", "events": "path-segment", "ipaddresses": "ip", "namespaces": "label",
    "rolebindings": "path-segment", "roles": "path-segment", "services": "label", "statefulsets": "label",
}  # fmt: skip
SELECTED: Final = {  # by more than metadata
    "certificatesigningrequests": {"spec.signerName"},
    "jobs": {"status.successful"},
    "namespaces": {"status.phase"},
    "nodes": {"spec.unschedulable"},
    "pods": {
        "spec.nodeName", "spec.host", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    },
    "replicationcontrollers": {"status.replicas"},
    "resourceslices": {"spec.nodeName", "spec.driver"},
    "secrets": {"type"},
    "services": {"spec.clusterIP", "spec.type"},
}  # fmt: skip
# The fields whose change counts as a new generation; of the other kinds none does.
COUNTED: Final = {
    "csidrivers": ("spec",), "customresourcedefinitions": ("spec",), "cronjobs": ("spec",), "daemonsets": ("spec",),
    "deployments": ("spec", "metadata.annotations"), "deviceclasses": ("spec",),
    "endpointslices": ("endpoints", "ports", "metadata.labels"), "flowschemas": ("spec",), "ingressclasses": ("spec",),
    "ingresses": ("spec",), "jobs": ("spec",), "mutatingadmissionpolicies": ("spec",),
    "mutatingadmissionpolicybindings": ("spec",), "mutatingwebhookconfigurations": ("webhooks",),
    "networkpolicies": ("spec",), "poddisruptionbudgets": ("spec",), "pods": ("spec",), "podtemplates": ("template",),
    "prioritylevelconfigurations": ("spec",), "replicasets": ("spec",), "replicationcontrollers": ("spec",),
    "resourceslices": ("spec",), "statefulsets": ("spec",), "validatingadmissionpolicies": ("spec",),
    "validatingadmissionpolicybindings": ("spec",), "validatingwebhookconfigurations": ("webhooks",),
}  # fmt: skip
# Nothing of these is looked at but metadata: reviews are asked, accounts have nothing to check, drivers write slices.
UNCHECKED: Final = {
    "bindings", "localsubjectaccessreviews", "resourceslices", "selfsubjectaccessreviews", "selfsubjectreviews",
    "selfsubjectrulesreviews", "serviceaccounts",
    "subjectaccessreviews", "tokenreviews",
}  # fmt: skip
ASKED: Final = {kind.resource.plural for kind in BUILT_IN if "list" not in kind.verbs}
KINDS: Final = [
    kind for kind in BUILT_IN if kind.resource.plural not in ASKED and kind.resource.group != "snapshot.storage.k8s.io"
]


def test_what_a_put_creates() -> None:
    assert {kind.resource.plural for kind in KINDS if kind.put_creates} == PUT_CREATES


def test_what_a_put_needs_a_revision_for() -> None:
    assert {kind.resource.plural for kind in KINDS if kind.put_needs_revision} == NEEDS_REVISION


def test_what_a_delete_returns() -> None:
    assert {kind.resource.plural for kind in KINDS if kind.delete_returns_object} == DELETE_RETURNS_OBJECT


def test_names() -> None:
    named = {kind.resource.plural: kind.name_rule for kind in KINDS if kind.name_rule != "subdomain"}
    assert named == NAMES


def test_fields_that_are_selected_by() -> None:
    metadata = {"metadata.name", "metadata.namespace"}
    found = {kind.resource.plural: set(kind.selectable_fields) - metadata for kind in KINDS}
    assert {plural: fields for plural, fields in found.items() if fields and plural != "events"} == SELECTED


def test_what_counts_as_a_generation() -> None:
    counted = {kind.resource.plural: kind.generation_follows for kind in KINDS if kind.generation_follows}
    assert counted == COUNTED


def test_what_is_looked_at() -> None:
    unchecked = {kind.resource.plural for kind in BUILT_IN if kind.validate_create is no_errors}
    assert unchecked == UNCHECKED


def test_every_kind_has_columns() -> None:
    assert not [kind.resource.plural for kind in KINDS if not kind.columns]


def test_cells_of_an_object_that_says_nothing() -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    for kind in KINDS:
        obj: Json = {"metadata": {"name": "a", "creationTimestamp": "2026-01-31T11:00:00Z"}}
        kind.complete(obj)
        cells = [column.cell(obj, now) for column in kind.columns]
        assert not [cell for cell in cells if not isinstance(cell, str | int | float | bool)], kind.resource.plural
