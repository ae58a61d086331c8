"""From a definition to the kinds that the registry serves: one for each served version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from pvbinder.model.resources import Resource
from pvbinder.server.errors import invalid, is_invalid
from pvbinder.server.kinds.definitions.custom_columns import columns_of, shown_value
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema, schema_name
from pvbinder.server.kinds.definitions.json_path import JsonPathError, TooManyStepsError, read_json_path
from pvbinder.server.kinds.definitions.judgement import Judge
from pvbinder.server.kinds.definitions.names import version_order
from pvbinder.server.kinds.definitions.webhook_conversion import calls_webhook, without_loss
from pvbinder.server.kinds.parts.scale import COLUMNS, SCALE
from pvbinder.server.kinds.parts.status import drop_status, keep_status
from pvbinder.server.objects.kind import (
    METADATA_FIELDS,
    FieldReader,
    Json,
    ServedKind,
    Subresource,
    nothing_at,
    nothing_of_two,
    same,
)

TERMINATING: Final = "create not allowed while custom resource definition is terminating"
_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_STANDARD_FINALIZERS: Final = frozenset({"orphan", "foregroundDeletion", "kubernetes"})


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
    if not storage.get("served"):  # objects are stored in a served version: the first one
        storage = served[0] if served else storage
    refuses_new = TERMINATING if "deletionTimestamp" in definition["metadata"] else ""
    kinds = []
    for version, schema in zip(served, schemas, strict=True):
        stored_as = None if version is storage else _resource(spec, storage)
        kind = _kind(spec, version, by_name[schema.name], stored_as, refuses_new)
        if stored_as is not None and calls_webhook(definition) and not refuses_new:
            stores = by_name[schema_name(stored_as)].converted
            kind = replace(
                kind,
                to_storage=without_loss(kind.to_storage, definition, stores=stores),
                from_storage=without_loss(kind.from_storage, definition),
            )
        kinds.append(kind)
    return kinds


def _resource(spec: Json, version: Json) -> Resource:
    names = spec["names"]
    return Resource(spec["group"], version["name"], names["kind"], names["plural"], spec["scope"] == "Namespaced")


def _list_kind(spec: Json) -> str:
    return str(spec["names"].get("listKind") or f"{spec['names']['kind']}List")


def _kind(spec: Json, version: Json, schema: CustomSchema, stored_as: Resource | None, refuses_new: str) -> ServedKind:
    resource = _resource(spec, version)
    names = spec["names"]
    subresources = version.get("subresources") or {}
    has_status = subresources.get("status") is not None
    judge = Judge(schema, subresources.get("scale"))
    is_stored = stored_as is None
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
        validate_create=judge.create,
        validate_update=judge.update,
        warnings=lambda new, old: [*judge.warnings(new, old), *warn_of_finalizers(new, old)],
        subresources=tuple(_subresources(subresources, judge)),
        columns=tuple(columns_of(version)),
        selectable_fields=_selectable(version, namespaced=resource.namespaced),
        generation_at_create=1,
        generation_follows_rest=True,
        storage_version_of=stored_as,
        to_storage=same if stored_as is None else _to_version(schema, stored_as.api_version),
        from_storage=same if is_stored else schema.converted,
        stored_form=schema.converted if is_stored else same,
        is_custom=True,
        verbs=_VERBS,
        list_kind=_list_kind(spec),
        refuses_new=refuses_new,
        deprecation=_deprecation(spec, version),
    )


def _deprecation(spec: Json, version: Json) -> str:
    """Return the warning of requests for a deprecated version."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    newest = next(
        iter(sorted((each["name"] for each in spec["versions"] if _is_better(each)), key=version_order)), None
    )
    if newest is not None and version_order(newest) < version_order(version["name"]):
        text += f"; use {group}/{newest} {kind}"
    return text


def _is_better(version: Json) -> bool:
    return bool(version.get("served")) and not version.get("deprecated")


def _to_version(schema: CustomSchema, api_version: str) -> Callable[[Json], Json]:
    """The conversion "None" of an incoming object: its own version fills in defaults, then only apiVersion changes."""

    def convert(obj: Json) -> Json:
        schema.default(obj)
        return {**obj, "apiVersion": api_version}

    return convert


def warn_of_finalizers(new: Json, old: Json | None) -> list[str]:
    """Warn of new finalizers without a domain in their names, as others might choose the same."""
    known = set((old or {}).get("metadata", {}).get("finalizers") or ())
    warnings = []
    for name in sorted(set(new["metadata"].get("finalizers") or ()) - known):
        if "/" in name or name in _STANDARD_FINALIZERS:
            continue
        how = " including a path (/)" if "." in name else ""
        warnings.append(
            f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name{how} to avoid accidental '
            "conflicts with other finalizer writers"
        )
    return warnings


def _subresources(declared: Json, judge: Judge) -> list[Subresource]:
    found = []
    if declared.get("status") is not None:
        found.append(Subresource("status", prepare_update=_keep_all_but_status, validate_update=judge.status))
    if declared.get("scale") is not None:
        found.append(_scale(declared["scale"], judge))
    return found


def _keep_all_but_status(new: Json, old: Json, _now: str) -> None:
    """The custom object after a write to its status: everything else, labels included, stays."""
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


def _scale(declared: Json, judge: Judge) -> Subresource:
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
        validate_update=judge.update,
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


def _selectable(version: Json, *, namespaced: bool) -> Mapping[str, FieldReader]:
    """The field selectors that the definition adds to the usual ones."""
    declared = version.get("selectableFields") or []
    usual = METADATA_FIELDS if namespaced else {"metadata.name": METADATA_FIELDS["metadata.name"]}
    if not declared:
        return METADATA_FIELDS
    return {**usual, **{each["jsonPath"].removeprefix("."): _reader(each["jsonPath"]) for each in declared}}


def _reader(text: str) -> FieldReader:
    path = read_json_path(text)

    def read(obj: Json) -> str:
        try:
            found = path.find(obj)
        except TooManyStepsError:
            return ""
        return shown_value(found[0]) if found and found[0] is not None else ""

    return read
