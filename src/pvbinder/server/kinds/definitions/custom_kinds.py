"""From a definition to the kinds that the registry serves: one for each served version."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, invalid, is_invalid
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.json_path import JsonPathError, TooManyStepsError, read_json_path
from pvbinder.server.kinds.parts.columns import AGE, NAME, age_of
from pvbinder.server.kinds.parts.scale import COLUMNS, SCALE
from pvbinder.server.kinds.parts.status import drop_status, keep_status
from pvbinder.server.objects.kind import (
    METADATA_FIELDS,
    Column,
    FieldReader,
    Json,
    ServedKind,
    Subresource,
    nothing_at,
    nothing_of_two,
    same,
)

ROW_STEPS_MAX: Final = 5_000  # values that all columns of a row look at
CELL_STEPS_MIN: Final = 20
ROW_LETTERS_MAX: Final = 16_384  # of the texts in all columns of a row
CELL_LETTERS_MIN: Final = 64
_MORE: Final = "..."


def custom_schemas(definition: Json) -> list[CustomSchema]:
    """The schemas of the versions that a definition serves."""
    spec = definition["spec"]
    return [
        CustomSchema(_resource(spec, version), _list_kind(spec), (version.get("schema") or {}).get("openAPIV3Schema"))
        for version in spec["versions"]
        if version.get("served")
    ]


def custom_kinds(definition: Json, schemas: list[CustomSchema]) -> list[ServedKind]:
    """The kinds of a definition; `schemas` are those of `custom_schemas`."""
    spec = definition["spec"]
    by_name = {schema.name: schema for schema in schemas}
    served = [version for version in spec["versions"] if version.get("served")]
    storage = next(version for version in spec["versions"] if version.get("storage"))
    if not storage.get("served"):  # nothing can be stored in a form that nobody serves: the first one served stands in
        storage = served[0] if served else storage
    kinds = []
    for version, schema in zip(served, schemas, strict=True):
        kinds.append(
            _kind(spec, version, by_name[schema.name], None if version is storage else _resource(spec, storage))
        )
    return kinds


def _resource(spec: Json, version: Json) -> Resource:
    names = spec["names"]
    return Resource(spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced")


def _list_kind(spec: Json) -> str:
    return str(spec["names"].get("listKind") or f"{spec['names']['kind']}List")


def _kind(spec: Json, version: Json, schema: CustomSchema, stored_as: Resource | None) -> ServedKind:
    resource = _resource(spec, version)
    names = spec["names"]
    subresources = version.get("subresources") or {}
    has_status = "status" in subresources
    counted = tuple(
        name
        for name in schema.structure.properties
        if name not in ("apiVersion", "kind", "metadata") and not (has_status and name == "status")
    )
    check = _status_check(schema) if has_status else schema.check
    return ServedKind(
        resource=resource,
        singular=names.get("singular") or names["kind"].lower(),
        schema=schema.name,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        put_needs_revision=True,
        delete_returns_object=False,
        default=schema.default,
        prepare_create=drop_status if has_status else nothing_at,
        prepare_update=keep_status if has_status else nothing_of_two,
        validate_create=schema.check,
        validate_update=lambda new, _old: schema.check(new),
        subresources=tuple(_subresources(subresources, check)),
        columns=tuple(_columns(version)),
        selectable_fields=_selectable(version),
        generation_at_create=1,
        generation_follows=counted,
        storage_version_of=stored_as,
        to_storage=same if stored_as is None else _in_version(stored_as.api_version),
        from_storage=same if stored_as is None else _in_version(resource.api_version),
    )


def _in_version(api_version: str) -> Callable[[Json], Json]:
    """The conversion "None": the version's name changes, nothing else."""
    return lambda obj: {**obj, "apiVersion": api_version}


def _status_check(schema: CustomSchema) -> Callable[[Json], list[FieldError]]:
    """A write to the status is judged by its status alone."""
    status = schema.structure.properties.get("status")

    def check(obj: Json) -> list[FieldError]:
        return [] if status is None else [error for error in schema.check(obj) if error.field.startswith("status")]

    return check


def _subresources(declared: Json, check: Callable[[Json], list[FieldError]]) -> list[Subresource]:
    found = []
    if scale := declared.get("scale"):
        found.append(_scale(scale))
    if "status" in declared:
        found.append(
            Subresource("status", prepare_update=_keep_all_but_status, validate_update=lambda new, _old: check(new))
        )
    return found


def _keep_all_but_status(new: Json, old: Json, _now: str) -> None:
    """A write to the status of a custom object changes the status only, not even its labels."""
    status, managed = new.get("status"), new["metadata"].get("managedFields")
    revision = new["metadata"].get("resourceVersion")
    new.clear()
    new.update({key: value for key, value in old.items() if key != "status"})
    new["metadata"] = {key: value for key, value in old["metadata"].items() if key != "managedFields"}
    if revision is not None:
        new["metadata"]["resourceVersion"] = revision
    if managed is not None:
        new["metadata"]["managedFields"] = managed
    if status is not None:
        new["status"] = status


def _scale(declared: Json) -> Subresource:
    """The ``scale`` subresource by the paths that a definition names."""
    replicas = _fields(declared.get("specReplicasPath", ""))
    current = _fields(declared.get("statusReplicasPath", ""))
    selector = _fields(declared["labelSelectorPath"]) if declared.get("labelSelectorPath") else []

    def read(obj: Json) -> Json:
        metadata = obj["metadata"]
        shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        status: Json = {"replicas": _get(obj, current) or 0}
        if selector and (text := _get(obj, selector)):
            status["selector"] = text
        count = _get(obj, replicas)
        return {
            "kind": SCALE.kind,
            "apiVersion": SCALE.api_version,
            "metadata": {name: metadata[name] for name in shown if name in metadata},
            "spec": {"replicas": count} if count else {},
            "status": status,
        }

    def take_in(obj: Json, scale: Json, _now: str) -> None:
        count = (scale.get("spec") or {}).get("replicas", 0)
        if count < 0:
            error = invalid("spec.replicas", count, "must be greater than or equal to 0")
            raise is_invalid(SCALE, obj["metadata"]["name"], [error])
        place = obj
        for name in replicas[:-1]:
            place = place.setdefault(name, {})
        place[replicas[-1]] = count
        if revision := (scale.get("metadata") or {}).get("resourceVersion"):
            obj["metadata"]["resourceVersion"] = revision

    return Subresource(
        "scale",
        prepare_update=keep_status,
        body=SCALE,
        body_schema="io.k8s.api.autoscaling.v1.Scale",
        read=read,
        take_in=take_in,
        columns=COLUMNS,
        replicas_path=tuple(replicas),
    )


def _fields(path: str) -> list[str]:
    try:
        return read_json_path(path).field_names() or ["spec", "replicas"]
    except JsonPathError:
        return ["spec", "replicas"]


def _get(obj: Json, path: list[str]) -> Any:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _selectable(version: Json) -> Mapping[str, FieldReader]:
    """Field selectors that the definition allows beside the usual ones."""
    declared = version.get("selectableFields") or []
    if not declared:
        return METADATA_FIELDS
    return {**METADATA_FIELDS, **{each["jsonPath"].removeprefix("."): _reader(each["jsonPath"]) for each in declared}}


def _reader(text: str) -> FieldReader:
    path = read_json_path(text)

    def read(obj: Json) -> str:
        try:
            found = path.find(obj)
        except TooManyStepsError:
            return ""
        return _shown(found[0]) if found else ""

    return read


def _columns(version: Json) -> list[Column]:
    declared = version.get("additionalPrinterColumns") or []
    if not declared:
        return [NAME, Column(AGE.name, AGE.cell, "date", description=AGE.description)]
    return [NAME, *(_column(column, len(declared)) for column in declared)]


def _column(declared: Json, count: int) -> Column:
    path = declared.get("jsonPath", "")
    return Column(
        declared["name"],
        _cell(path, declared.get("type", "string"), count),
        type=declared.get("type", "string"),
        format=declared.get("format", ""),
        description=declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        priority=declared.get("priority", 0),
    )


def _cell(text: str, type_: str, count: int) -> Callable[[Json, datetime], object]:
    """What one of `count` columns shows; nothing where the path finds nothing, or something of another type.

    A row has its bounds, which columns share; a text that goes beyond ends with dots.
    """
    try:
        path = read_json_path(text)
    except JsonPathError:
        return lambda _obj, _now: None
    steps_max = max(CELL_STEPS_MIN, ROW_STEPS_MAX // count)
    room = max(CELL_LETTERS_MIN, ROW_LETTERS_MAX // count)

    def cell(obj: Json, now: datetime) -> object:
        try:
            found = path.find(obj, steps_max)
        except TooManyStepsError:
            return _MORE if type_ == "string" else None
        if not found or found[0] is None:
            return None
        value = found[0]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match type_:
            case "string":
                return _joined(found, room)
            case "date" if isinstance(value, str):
                return age_of(value[:room], now)
            case "integer" if is_number:
                return int(value)
            case "number" if is_number:
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case _:
                return None

    return cell


def _joined(values: list[Any], room: int) -> str:
    """Return values as a cell of a column shows them, of more than `room` letters the first ones."""
    parts: list[str] = []
    length = 0
    for value in values:
        for piece in (value[: room + 1],) if isinstance(value, str) else _pieces(value, room):
            parts.append(piece)
            length += len(piece)
            if length > room:
                return f"{''.join(parts)[:room]}{_MORE}"
        parts.append(",")
        length += 1
    return "".join(parts[:-1])


def _pieces(value: Any, room: int) -> Iterator[str]:
    """Give the JSON of a value piece by piece, so that nobody makes more of it than is shown."""
    if isinstance(value, dict):
        before = "{"
        for name, inner in value.items():
            yield f"{before}{_encoded(name[: room + 1])}:"
            yield from _pieces(inner, room)
            before = ","
        yield "}" if value else "{}"
    elif isinstance(value, list):
        before = "["
        for inner in value:
            yield before
            yield from _pieces(inner, room)
            before = ","
        yield "]" if value else "[]"
    else:
        yield _encoded(value[: room + 1] if isinstance(value, str) else value)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else _encoded(value)


def _encoded(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
