"""The kind CustomResourceDefinition itself: defaults, validation, what can't change."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, duplicate, invalid, required, unsupported
from pvbinder.server.kinds.definitions.json_path import JsonPathError, read_json_path
from pvbinder.server.kinds.definitions.structure import check_structural
from pvbinder.server.kinds.parts.columns import NAME, field_cell
from pvbinder.server.kinds.parts.status import STATUS_ALONE, keep_status
from pvbinder.server.objects.kind import Column, Json, ServedKind

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"

_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def default_definition(obj: Json) -> None:
    """Fill in what a definition always says."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = f"{kind}List"
    spec.setdefault("conversion", {"strategy": "None"})
    status = obj.setdefault("status", {})
    status.setdefault("conditions", None)
    status.setdefault("acceptedNames", {"plural": "", "kind": ""})
    status.setdefault("storedVersions", None)


def prepare_definition(obj: Json, _now: str) -> None:
    """Start unaccepted, with the version in which objects will be stored, and held until they are gone."""
    stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")]
    obj["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if CLEANUP not in finalizers:
        finalizers.append(CLEANUP)


def prepare_definition_update(new: Json, old: Json, now: str) -> None:
    """Keep the status, and remember a new storage version."""
    keep_status(new, old, now)
    status = dict(new.get("status") or {})
    stored = list(status.get("storedVersions") or [])
    for version in new["spec"].get("versions") or ():
        if version.get("storage") and version["name"] not in stored:
            stored.append(version["name"])
    new["status"] = {**status, "storedVersions": stored}


def validate_definition(obj: Json) -> list[FieldError]:
    """Check names, scope, versions and that the schemas are structural."""
    return list(_check(obj))


def validate_definition_update(new: Json, old: Json) -> list[FieldError]:
    """The same, and what can't change."""
    errors = validate_definition(new)
    for field in ("group", "scope"):
        if new["spec"].get(field) != old["spec"].get(field):
            errors.append(invalid(f"spec.{field}", new["spec"].get(field), "field is immutable"))
    for field in ("plural", "kind"):
        if new["spec"]["names"].get(field) != old["spec"]["names"].get(field):
            errors.append(invalid(f"spec.names.{field}", new["spec"]["names"].get(field), "field is immutable"))
    return errors


def warn_of_definition(new: Json, _old: Json | None) -> list[str]:
    """Say openly what isn't done here: rules in CEL, conversion by webhooks."""
    warnings = []
    for index, version in enumerate(new["spec"].get("versions") or ()):
        if _has_rules((version.get("schema") or {}).get("openAPIV3Schema")):
            where = f"spec.versions[{index}].schema.openAPIV3Schema"
            warnings.append(f"{where}: x-kubernetes-validations are stored but not evaluated by this server")
    if (new["spec"].get("conversion") or {}).get("strategy") == "Webhook":
        warnings.append(
            "spec.conversion.strategy: webhooks are not called by this server; only apiVersion is converted"
        )
    return warnings


def _has_rules(schema: object) -> bool:
    if isinstance(schema, dict):
        return "x-kubernetes-validations" in schema or any(map(_has_rules, schema.values()))
    return isinstance(schema, list) and any(map(_has_rules, schema))


def _check(obj: Json) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    group, plural = spec.get("group") or "", names.get("plural") or ""
    if obj["metadata"].get("name") != f"{plural}.{group}":
        yield invalid("metadata.name", obj["metadata"].get("name", ""), 'must be spec.names.plural+"."+spec.group')
    if not group:
        yield required("spec.group")
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", spec.get("scope") or "", ("Cluster", "Namespaced"))
    for field in ("plural", "singular", "kind", "listKind"):
        name = names.get(field) or ""
        if not name:
            yield required(f"spec.names.{field}")
        elif not _LABEL.fullmatch(name.lower() if field in ("kind", "listKind") else name):
            yield invalid(f"spec.names.{field}", name, _LABEL_RULE)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid("spec.names.listKind", names["listKind"], "kind and listKind may not be the same")
    yield from _check_versions(spec)


def _check_versions(spec: Json) -> Iterator[FieldError]:
    versions = spec.get("versions") or []
    if not versions:
        yield required("spec.versions", "must have at least one version")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name") or ""
        if not _LABEL.fullmatch(name):
            yield invalid(f"{path}.name", name, _LABEL_RULE)
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        yield from check_structural(schema, f"{path}.schema.openAPIV3Schema")
        for number, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _check_column(column, f"{path}.additionalPrinterColumns[{number}]")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid("spec.versions", versions, "must have exactly one version marked as storage version")


def _check_column(column: Json, path: str) -> Iterator[FieldError]:
    if not column.get("name"):
        yield required(f"{path}.name")
    if column.get("type") not in _COLUMN_TYPES:
        yield unsupported(f"{path}.type", column.get("type") or "", _COLUMN_TYPES)
    try:
        read_json_path(column.get("jsonPath") or "")
    except JsonPathError as error:
        yield invalid(f"{path}.jsonPath", column.get("jsonPath") or "", error.message)


CUSTOM_RESOURCE_DEFINITION = ServedKind(
    resource=DEFINITIONS,
    singular="customresourcedefinition",
    schema="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    default=default_definition,
    prepare_create=prepare_definition,
    prepare_update=prepare_definition_update,
    validate_create=validate_definition,
    validate_update=validate_definition_update,
    warnings=warn_of_definition,
    subresources=(STATUS_ALONE,),
    columns=(
        NAME,
        Column("Created At", field_cell("metadata", "creationTimestamp"), type="date", description="When it was made."),
    ),
    generation_at_create=1,
    generation_follows=("spec",),
)
