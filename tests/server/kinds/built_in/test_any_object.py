"""Any object that fits its kind's schema can be completed, checked, changed and shown: hooks raise nothing (KIND-2)."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.kinds.writes import ANA, LATER, NOW, OFF, Objects
from tests.server.strategies import objects_of

from pvbinder.server.api import admission
from pvbinder.server.api.tables import render_table
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.registry import BUILT_IN
from pvbinder.server.kinds.validation.metadata import validate_metadata_create, validate_metadata_update
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema import decode_body

CLOCK = datetime(2026, 1, 31, 12, 0, 7, tzinfo=UTC)
STORED = [kind for kind in BUILT_IN if "list" in kind.verbs]
FEW = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)


def decoded(kind: ServedKind, obj: Json) -> Json:
    """Return an object as the server decodes it, with the server's own metadata."""
    sent, _ = decode_body(msgspec.json.encode(obj), "application/json", kind, "Ignore")
    result = kind.to_storage(sent)
    metadata = {"name": "a", "uid": "u", "creationTimestamp": NOW, "resourceVersion": "7"}
    result["metadata"] = {**(result.get("metadata") or {}), **metadata}
    if kind.resource.namespaced:
        result["metadata"]["namespace"] = "ns"
    return result


def created(kind: ServedKind, obj: Json) -> tuple[Json, list[Any]]:
    """Create an object as far as it goes; admission may refuse it."""
    kind.complete(obj)
    on = admission.AdmissionAttributes(kind, obj["metadata"].get("namespace", ""), "a", ANA, disabled=OFF)
    try:
        admission.admit(Objects(), on, obj)
        kind.prepare_create(obj, NOW)
        errors: list[Any] = validate_metadata_create(kind, obj) + kind.validate_create(obj)
        admission.validate(Objects(), on, obj)
    except ApiError as refused:
        return obj, [refused]
    kind.warnings(obj, None)
    return obj, errors


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.resource.qualified)
@given(data=st.data())
@FEW
def test_any_object_of_the_schema_can_be_handled(kind: ServedKind, data: st.DataObject) -> None:
    old, _ = created(kind, decoded(kind, data.draw(objects_of(kind.schema))))
    new = decoded(kind, data.draw(objects_of(kind.schema)))
    kind.complete(new)
    for sub in (None, *kind.subresources):
        changed, before = copy.deepcopy(new), copy.deepcopy(old)
        if sub is not None and sub.body is not None:
            continue
        (kind if sub is None else sub).prepare_update(changed, old, LATER)
        validate_metadata_update(kind, changed, old)
        (kind if sub is None else sub).validate_update(changed, old)
        kind.warnings(changed, old)
        kind.generation_after(changed, old)
        assert old == before
    render_table(kind, [old], {}, "Object", CLOCK)
    before = copy.deepcopy(old)
    kind.to_storage(kind.from_storage(old))
    assert old == before
    for reader in kind.selectable_fields.values():
        assert isinstance(reader(old), str)


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.resource.qualified)
@given(data=st.data())
@FEW
def test_what_is_stored_is_complete_and_may_stay_as_it_is(kind: ServedKind, data: st.DataObject) -> None:
    obj, errors = created(kind, decoded(kind, data.draw(objects_of(kind.schema))))
    same = copy.deepcopy(obj)
    kind.complete(same)
    assert same == obj
    if errors:
        return
    kind.prepare_update(same, obj, LATER)
    assert [str(error) for error in kind.validate_update(same, obj)] == []
    assert same == obj
