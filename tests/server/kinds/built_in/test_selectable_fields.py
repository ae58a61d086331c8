"""The fields that lists can be selected by, kind by kind, and what is said of others."""

from __future__ import annotations

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.parts.fields import parse_field_selector
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural and kind.storage_version_of is None)


SELECTED: dict[str, tuple[str, Json]] = {
    "replicationcontrollers": ("status.replicas=2", {"status": {"replicas": 2}}),
    "resourceslices": ("spec.nodeName=n,spec.driver=d", {"spec": {"nodeName": "n", "driver": "d"}}),
    "jobs": ("status.successful=1", {"status": {"succeeded": 1}}),
    "namespaces": ("status.phase=Active", {"status": {"phase": "Active"}}),
    "services": ("spec.type=NodePort", {"spec": {"type": "NodePort"}}),
    "nodes": ("spec.unschedulable=true", {"spec": {"unschedulable": True}}),
}


@pytest.mark.parametrize(("plural", "selector", "obj"), [(plural, *row) for plural, row in SELECTED.items()])
def test_what_is_selected(plural: str, selector: str, obj: Json) -> None:
    chosen = parse_field_selector(kind_of(plural), selector)
    assert chosen.matches({"metadata": {"name": "a"}, **obj})
    assert not chosen.matches({"metadata": {"name": "a"}})


ONLY_METADATA = '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
REFUSED = {
    "replicasets": ("status.replicas", ONLY_METADATA),
    "deployments": ("spec.replicas", ONLY_METADATA),
    "namespaces": ("name", "field label not supported: {}"),
    "nodes": ("metadata.namespace", "field label not supported: {}"),
    "replicationcontrollers": ("spec.replicas", "field label not supported: {}"),
    "jobs": ("status.active", 'field label "{}" not supported for Job'),
    "resourceslices": (
        "metadata.namespace",
        "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
    ),
}


@pytest.mark.parametrize(("plural", "label", "message"), [(plural, *row) for plural, row in REFUSED.items()])
def test_what_can_not_be_selected_by(plural: str, label: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_field_selector(kind_of(plural), f"{label}=1")
    assert (refused.value.code, refused.value.message) == (400, message.format(label))
