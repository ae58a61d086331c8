"""Objects inside objects (``x-kubernetes-embedded-resource``), which must have kind, version and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.definitions.structure import Structure
from pvbinder.server.kinds.validation.metadata import validate_metadata_create
from pvbinder.server.kinds.validation.names import check_dns_label_1035
from pvbinder.server.objects.kind import Json, ServedKind

_ANY_NAME: Final = "fakename"  # an embedded object needs none
_IN_NAMESPACE: Final = ServedKind(Resource("", "v1", "", "", True), "", "", name_rule="path-segment")
_IN_NONE: Final = ServedKind(Resource("", "v1", "", "", False), "", "", name_rule="path-segment")


def check_embedded(value: Any, structure: Structure, path: str = "") -> Iterator[FieldError]:
    """Return the errors in kind, version and metadata of each embedded object in a value."""
    if isinstance(value, dict):
        if structure.embedded:
            yield from _check_header(value, path)
        for key, inner in value.items():
            known = structure.properties.get(key)
            if known is not None:
                yield from check_embedded(inner, known, _child(path, key))
            elif structure.additional is not None:
                yield from check_embedded(inner, structure.additional, f"{path}[{key}]")
    elif isinstance(value, list) and structure.items is not None:
        for index, inner in enumerate(value):
            yield from check_embedded(inner, structure.items, f"{path}[{index}]")


def has_embedded(structure: Structure) -> bool:
    """Whether a structure has an embedded object anywhere."""
    inner = [structure.additional, structure.items, *structure.properties.values()]
    return structure.embedded or any(has_embedded(each) for each in inner if each is not None)


def _check_header(value: Json, path: str) -> Iterator[FieldError]:
    for key in ("apiVersion", "kind"):
        if key not in value:
            yield required(_child(path, key))
    if "apiVersion" in value:
        yield from _check_version(value["apiVersion"], _child(path, "apiVersion"))
    if "kind" in value:
        yield from _check_kind(value["kind"], _child(path, "kind"))
    metadata = value.get("metadata")
    if isinstance(metadata, dict):
        named = {"metadata": {**metadata, "name": metadata.get("name") or _ANY_NAME}}
        for error in validate_metadata_create(_IN_NAMESPACE if metadata.get("namespace") else _IN_NONE, named):
            yield FieldError(error.reason, _child(path, error.field), error.body)


def _check_version(value: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield invalid(path, value, "must be a string")
    elif not value:
        yield invalid(path, value, "must not be empty")
    elif value.count("/") > 1:
        yield invalid(path, value, f"unexpected GroupVersion string: {value}")


def _check_kind(value: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield invalid(path, value, "must be a string")
    elif not value:
        yield invalid(path, value, "must not be empty")
    elif reasons := check_dns_label_1035(value.lower()):
        yield invalid(path, value, "may have mixed case, but should otherwise match: " + ",".join(reasons))


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
