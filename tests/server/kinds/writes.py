"""Writes as the server makes them, in the order of GW-3, without a server: for tests of the kinds' own rules."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from pvbinder.model.quantity import ZERO, Quantity
from pvbinder.model.resources import Resource
from pvbinder.server.api import admission
from pvbinder.server.kinds.totals import Amounts, Measure
from pvbinder.server.kinds.validation.metadata import validate_metadata_create, validate_metadata_update
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

NOW = "2026-01-31T12:00:00Z"
LATER = "2026-01-31T13:00:00Z"
# What needs accounts, or an authoriser to ask: tests/server/api/admission has tests of both.
OFF = frozenset({admission.SERVICE_ACCOUNT_PLUGIN, "CertificateApproval"})
ANA = UserInfo("ana")


class Objects:
    """The objects that admission may read: a namespace `ns`, and those of the test."""

    def __init__(self, *objects: tuple[Resource, Json]) -> None:
        self._objects = list(objects)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Json | None:
        """Return the object called `name`."""
        for obj in self.list(resource, namespace):
            if obj["metadata"]["name"] == name:
                return obj
        if resource.plural == "namespaces" and name == "ns":
            return {"metadata": {"name": "ns"}, "status": {"phase": "Active"}}
        return None

    def latest(self, resource: Resource, namespace: str | None = None) -> Iterable[Json]:
        """Return the objects of a resource."""
        return self.list(resource, namespace)

    def count(self, resource: Resource, namespace: str | None = None) -> int:
        """Return how many objects of a resource there are."""
        return len(list(self.list(resource, namespace)))

    def total(self, resource: Resource, namespace: str, measure: Measure) -> Amounts:
        """Return the total of the objects of a resource."""
        total: dict[str, Quantity] = {}
        for obj in self.list(resource, namespace):
            for name, amount in measure(obj).items():
                total[name] = total.get(name, ZERO) + amount
        return total

    async def prepare_total(self, resource: Resource, namespace: str, measure: Measure) -> None:
        """Do nothing: there are few objects."""

    def list(self, resource: Resource, namespace: str | None = None) -> Iterable[Json]:
        """Return the objects of a resource."""
        return [
            obj
            for kind, obj in self._objects
            if kind == resource and namespace in (None, "", obj["metadata"].get("namespace"))
        ]


def new(name: str = "a", /, **fields: Any) -> Json:
    """Return an object as a client sends it."""
    metadata = {"name": name, **fields.pop("metadata", {})}
    return {"metadata": metadata, **copy.deepcopy(fields)}


def create(kind: ServedKind, obj: Json, objects: Objects | None = None) -> tuple[Json, list[str]]:
    """Create `obj`; return what is stored and why it is refused (nothing if it isn't)."""
    objects = objects or Objects()
    obj = copy.deepcopy(obj)
    if kind.resource.namespaced:
        obj["metadata"].setdefault("namespace", "ns")
    obj["metadata"] |= {"uid": "u-1", "creationTimestamp": NOW}
    on = admission.AdmissionAttributes(
        kind, obj["metadata"].get("namespace", ""), obj["metadata"].get("name", ""), ANA, disabled=OFF
    )
    kind.complete(obj)
    admission.admit(objects, on, obj)
    kind.prepare_create(obj, NOW)
    errors = validate_metadata_create(kind, obj) + kind.validate_create(obj)
    if not errors:
        admission.validate(objects, on, obj)
    obj["metadata"]["resourceVersion"] = "7"
    return obj, [str(error) for error in errors]


def stored(kind: ServedKind, obj: Json, objects: Objects | None = None) -> Json:
    """Create `obj`, which must be right, and return what is stored."""
    result, errors = create(kind, obj, objects)
    assert not errors
    return result


def refusals(kind: ServedKind, obj: Json) -> list[str]:
    """Return why `obj` can't be created."""
    return create(kind, obj)[1]


def update(
    kind: ServedKind, old: Json, patch: Json, objects: Objects | None = None, subresource: str = ""
) -> tuple[Json, list[str]]:
    """Change a stored object by a merge patch; return what is stored and why it is refused."""
    objects = objects or Objects()
    changed = merged(old, patch)
    before = copy.deepcopy(old)
    metadata = old["metadata"]
    on = admission.AdmissionAttributes(kind, metadata.get("namespace", ""), metadata["name"], ANA, subresource, OFF)
    kind.complete(changed)
    admission.admit(objects, on, changed, old)
    sub = kind.subresource(subresource) if subresource else None
    (kind.prepare_update if sub is None else sub.prepare_update)(changed, old, LATER)
    errors = validate_metadata_update(kind, changed, old)
    errors += (kind if sub is None else sub).validate_update(changed, old)
    if not errors:
        admission.validate(objects, on, changed, old)
    assert old == before, "hooks change only their first argument"
    return changed, [str(error) for error in errors]


def changed(kind: ServedKind, old: Json, patch: Json, objects: Objects | None = None, subresource: str = "") -> Json:
    """Change a stored object, which must be allowed, and return what is stored."""
    result, errors = update(kind, old, patch, objects, subresource)
    assert not errors
    return result


def change_refusals(kind: ServedKind, old: Json, patch: Json, subresource: str = "") -> list[str]:
    """Return why a stored object can't be changed."""
    return update(kind, old, patch, None, subresource)[1]


def merged(doc: Json, patch: Json) -> Json:
    """Return `doc` with a merge patch applied."""
    result = copy.deepcopy(doc)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result
