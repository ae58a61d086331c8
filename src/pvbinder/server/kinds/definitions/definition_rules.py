"""The rules of a definition, one by one in the reference's order and words.

DEFINITION-1  An update isn't refused for a flaw that the stored definition has already, where the reference says so
              (`Leniency`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.definitions.default_rules import check_defaults
from pvbinder.server.kinds.definitions.internal_definition import (
    SCHEMA_FIELDS,
    internal_spec,
    quoted_schema,
    quoted_versions,
)
from pvbinder.server.kinds.definitions.rule_compiler import RuleCompiler
from pvbinder.server.kinds.definitions.schema_rules import check_schema, check_selectable
from pvbinder.server.kinds.definitions.structural_rules import check_structural, is_set, why_unreadable
from pvbinder.server.kinds.definitions.webhook_rules import check_conversion
from pvbinder.server.kinds.validation.names import check_dns_label_1035, check_dns_subdomain
from pvbinder.server.objects.kind import Json

APPROVED: Final = "api-approved.kubernetes.io"
SELECTABLE_FIELDS_MAX: Final = 8
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_WARNING_LETTERS_MAX: Final = 256
_IN_ROOT: Final = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum",
    "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items",
    "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
_SEE: Final = "see https://github.com/kubernetes/enhancements/pull/1111"


@dataclass(frozen=True, slots=True)
class Leniency:
    """The rules that an update may break, because the stored definition breaks them, too (DEFINITION-1)."""

    same_schemas: frozenset[str] = frozenset()  # versions whose rules may cost any amount
    too_many_fields: frozenset[str] = frozenset()  # versions; "" stands for all together
    any_bundle: bool = True


def check_definition(obj: Json) -> Iterator[FieldError]:
    """Yield the errors of a new definition."""
    yield from _check_name(obj)
    yield from _check_spec(obj.get("spec") or {}, Leniency())
    yield from _check_status(obj)
    yield from _check_approval(obj, None)
    yield from _check_preserved(obj, None)


def check_definition_update(new: Json, old: Json) -> Iterator[FieldError]:
    """Yield the errors of a changed definition."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    yield from _check_spec(spec, _leniency(spec, old))
    fixed = ["group", "names.plural"]
    if is_condition_true(old, "Established"):
        fixed = ["scope", "names.kind", *fixed]
    for path in fixed:
        value = _at(spec, path)
        if value != _at(before, path):
            yield invalid(f"spec.{path}", value, "field is immutable")
    yield from _check_status(new)
    yield from _check_approval(new, old)
    yield from _check_preserved(new, old)


def check_definition_status(new: Json, _old: Json) -> list[FieldError]:
    """Yield the errors of a definition whose status was written."""
    return list(_check_names((new.get("status") or {}).get("acceptedNames") or {}, "status.acceptedNames"))


def is_condition_true(definition: Json, type_: str) -> bool:
    """Whether a condition of a definition says True."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(condition.get("type") == type_ and condition.get("status") == "True" for condition in conditions)


def is_protected(group: str) -> bool:
    """Whether a group belongs to the Kubernetes project, which then must approve the kinds in it."""
    return any(group == name or group.endswith(f".{name}") for name in ("k8s.io", "kubernetes.io"))


def approval(definition: Json) -> tuple[str, str]:
    """Return the state of a definition's approval: the reason and the message of its condition."""
    text = (definition["metadata"].get("annotations") or {}).get(APPROVED) or ""
    if not text:
        return "MissingAnnotation", f'protected groups must have approval annotation "{APPROVED}", {_SEE}'
    if text.startswith("unapproved"):
        return "UnapprovedAnnotation", f'not approved: "{text}"'
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme and parts.netloc:
        return "ApprovedAnnotation", f"approved in {text}"
    why = f'protected groups must have approval annotation "{APPROVED}" with either a URL or a reason starting with'
    return "InvalidAnnotation", f'{why} "unapproved", {_SEE}'


def _leniency(spec: Json, old: Json) -> Leniency:
    before = {version["name"]: version for version in (old.get("spec") or {}).get("versions") or ()}
    same, many = set(), set()
    for version in spec.get("versions") or ():
        was = before.get(version.get("name"))
        if was is None:
            continue
        if was.get("schema") == version.get("schema"):
            same.add(version["name"])
        fields = was.get("selectableFields") or []
        if len(fields) > SELECTABLE_FIELDS_MAX and fields == version.get("selectableFields"):
            many |= {version["name"], ""}
    return Leniency(frozenset(same), frozenset(many), any_bundle=not is_condition_true(old, "Established"))


def _check_name(obj: Json) -> Iterator[FieldError]:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    if name != f"{(spec.get('names') or {}).get('plural') or ''}.{spec.get('group') or ''}":
        yield invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')


def _check_spec(spec: Json, lenient: Leniency) -> Iterator[FieldError]:
    group = spec.get("group") or ""
    if not group:
        yield required("spec.group")
    elif reasons := check_dns_subdomain(group):
        yield invalid("spec.group", group, ",".join(reasons))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    yield from check_choice(spec.get("scope") or "", ("Cluster", "Namespaced"), "spec.scope")
    internal = internal_spec(spec)
    yield from _check_versions(spec, internal.common, internal.versions, lenient)
    names = spec.get("names") or {}
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    yield from _check_names(names, "spec.names")
    common = internal.common
    if "schema" in common:
        first = str((spec.get("versions") or [{}])[0].get("name") or "")
        has_status = any((version.get("subresources") or {}).get("status") is not None for version in spec["versions"])
        yield from _check_validation(common["schema"], "spec.validation", has_status, first in lenient.same_schemas)
    yield from _check_subresources(common.get("subresources"), "spec.subresources")
    for index, column in enumerate(common.get("additionalPrinterColumns") or ()):
        yield from _check_column(column, f"spec.additionalPrinterColumns[{index}]")
    if fields := common.get("selectableFields"):
        if "schema" not in common:
            yield invalid("spec.selectableFields", "", "may only be set when validations.schema is included")
        else:
            schema = common["schema"].get("openAPIV3Schema") or {}
            most = len(fields) if "" in lenient.too_many_fields else SELECTABLE_FIELDS_MAX
            yield from check_selectable(fields, schema, "spec.selectableFields", most)
    conversion = spec.get("conversion")
    if conversion is not None:
        preserved = bool(spec.get("preserveUnknownFields"))
        yield from check_conversion(conversion, preserved=preserved, any_bundle=lenient.any_bundle)


def check_choice(value: str, allowed: tuple[str, ...], path: str) -> Iterator[FieldError]:
    """Check that a text is there, and is one of a few."""
    if not value:
        yield required(path)
    elif value not in allowed:
        yield unsupported(path, value, allowed)


def _check_versions(spec: Json, common: Json, versions: list[Json], lenient: Leniency) -> Iterator[FieldError]:
    if ((common.get("schema") or {}).get("openAPIV3Schema")) is None:
        for index, version in enumerate(versions):
            if (version.get("schema") or {}).get("openAPIV3Schema") is None:
                yield required(f"spec.versions[{index}].schema.openAPIV3Schema")
    if spec.get("preserveUnknownFields") and _has_defaults(spec):
        why = "must be false in order to use defaults in the schema"
        yield invalid("spec.preserveUnknownFields", True, why)
    for index, version in enumerate(versions):
        yield from _check_version(version, common, f"spec.versions[{index}]", lenient)
    names = [version.get("name") or "" for version in versions]
    if len(set(names)) < len(names):
        yield invalid("spec.versions", quoted_versions(versions), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", None if spec.get("versions") is None else quoted_versions(versions), why)
    if names and (reasons := check_dns_label_1035(names[0])):
        yield invalid("spec.version", names[0], ",".join(reasons))


def _has_defaults(spec: Json) -> bool:
    def has(schema: Any) -> bool:
        if isinstance(schema, list):
            return any(map(has, schema))
        if not isinstance(schema, dict):
            return False
        inner = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
        return schema.get("default") is not None or any(map(has, inner))

    return any(has((version.get("schema") or {}).get("openAPIV3Schema")) for version in spec.get("versions") or ())


def _check_version(version: Json, common: Json, path: str, lenient: Leniency) -> Iterator[FieldError]:
    name = version.get("name") or ""
    if reasons := check_dns_label_1035(name):
        yield invalid(f"{path}.name", name, ",".join(reasons))
    warning = version.get("deprecationWarning")
    for why in _wrong_warning(warning, bool(version.get("deprecated"))):
        yield invalid(f"{path}.deprecationWarning", warning, why)
    subresources = version.get("subresources") or common.get("subresources") or {}
    if version.get("schema") is not None:
        has_status = subresources.get("status") is not None
        same = name in lenient.same_schemas
        yield from _check_validation(version["schema"], f"{path}.schema", has_status, same)
    yield from _check_subresources(version.get("subresources"), f"{path}.subresources")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _check_column(column, f"{path}.additionalPrinterColumns[{index}]")
    if fields := version.get("selectableFields"):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            why = "may only be set when `version.schema.openAPIV3Schema` is not included"
            yield invalid(f"{path}.selectableFields", "", why)
        else:
            most = len(fields) if name in lenient.too_many_fields else SELECTABLE_FIELDS_MAX
            yield from check_selectable(fields, schema, f"{path}.selectableFields", most)


def _wrong_warning(warning: Any, deprecated: bool) -> Iterator[str]:
    if not deprecated and warning is not None:
        yield "can only be set for deprecated versions"
        return
    if warning is None:
        return
    if len(warning.encode()) > _WARNING_LETTERS_MAX:
        yield "must be <= 256 characters long"
    if not warning:
        yield "must not be an empty string"
    place = 0
    for letter in warning:
        if not letter.isprintable() or (letter.isspace() and letter != " "):
            yield f"must only contain printable UTF-8 characters; non-printable character found at index {place}"
            break
        place += len(letter.encode())


def _check_validation(validation: Json, path: str, has_status: bool, same: bool) -> Iterator[FieldError]:
    schema = validation.get("openAPIV3Schema")
    if not isinstance(schema, dict):
        return
    place = f"{path}.openAPIV3Schema"
    errors: list[FieldError] = []
    if has_status:
        errors += _check_root(schema, place)
    if schema.get("nullable"):
        errors.append(forbidden(f"{place}.nullable", "nullable cannot be true at the root"))
    unreadable = why_unreadable(schema)
    compiler: RuleCompiler | None = None
    if not unreadable:
        wrong = check_structural(schema, place)
        if not wrong:
            compiler = RuleCompiler(schema, any_cost=same)
            wrong = check_defaults(schema, place, compiler.try_on_default)
            compiler = compiler if not wrong else None
        errors += wrong
    errors += check_schema(schema, place, None if compiler is None else compiler.compile_at)
    if compiler is not None:
        errors += compiler.total(place)
    if not errors and unreadable:
        errors.append(invalid(place, "", unreadable))
    yield from errors


def _check_root(schema: Json, place: str) -> Iterator[FieldError]:
    """Check that the root of the schema allows a part for the status."""
    for name, word, empty in SCHEMA_FIELDS:
        value = schema.get(word)
        if value is None or value == empty or (not is_set(schema, word)):
            continue
        if name == "Type":
            if value != "object":
                why = 'only "object" is allowed as the type at the root of the schema if the status subresource is'
                why += " enabled"
                yield invalid(f"{place}.type", value, why)
                return
        elif name not in _IN_ROOT:
            allowed = " ".join(_IN_ROOT)
            why = f"only [{allowed}] fields are allowed at the root of the schema if the status subresource is enabled"
            yield invalid(place, quoted_schema(schema), why)
            return


def _check_subresources(subresources: Any, path: str) -> Iterator[FieldError]:
    scale = (subresources or {}).get("scale")
    if scale is None:
        return
    for field, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        text, place = scale.get(field) or "", f"{path}.scale.{field}"
        if not text:
            yield required(place)
        elif text[0] != ".":
            yield invalid(place, text, "must be a simple json path starting with .")
        elif not text.startswith(root):
            yield invalid(place, text, f"should be a json path under {root[:-1]}")
    text, place = scale.get("labelSelectorPath") or "", f"{path}.scale.labelSelectorPath"
    if text and text[0] != ".":
        yield invalid(place, text, "must be a simple json path starting with .")
    elif text and not text.startswith((".spec.", ".status.")):
        yield invalid(place, text, "should be a json path under either .spec or .status")


def _check_column(column: Json, path: str) -> Iterator[FieldError]:
    if not column.get("name"):
        yield required(f"{path}.name")
    type_, format_, text = column.get("type") or "", column.get("format") or "", column.get("jsonPath") or ""
    why = f"must be one of {','.join(_COLUMN_TYPES)}"
    if not type_:
        yield required(f"{path}.type", why)
    elif type_ not in _COLUMN_TYPES:
        yield invalid(f"{path}.type", type_, why)
    if format_ and format_ not in _COLUMN_FORMATS:
        yield invalid(f"{path}.format", format_, f"must be one of {','.join(_COLUMN_FORMATS)}")
    if not text:
        yield required(f"{path}.JSONPath")
    elif text[0] != ".":
        yield invalid(f"{path}.JSONPath", text, "must be a simple json path starting with .")


def _check_names(names: Json, path: str) -> Iterator[FieldError]:
    def wrong(value: str, lower: Callable[[str], str] = str) -> str:
        return ",".join(check_dns_label_1035(lower(value))) if value else ""

    for field in ("plural", "singular"):
        if why := wrong(names.get(field) or ""):
            yield invalid(f"{path}.{field}", names[field], why)
    for field in ("kind", "listKind"):
        if why := wrong(names.get(field) or "", str.lower):
            yield invalid(f"{path}.{field}", names[field], f"may have mixed case, but should otherwise match: {why}")
    yield from _check_labels(names.get("shortNames"), f"{path}.shortNames")
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid(f"{path}.listKind", names["listKind"], "kind and listKind may not be the same")
    yield from _check_labels(names.get("categories"), f"{path}.categories")


def _check_labels(values: Any, path: str) -> Iterator[FieldError]:
    for index, value in enumerate(values or ()):
        if reasons := check_dns_label_1035(value):
            yield invalid(f"{path}[{index}]", value, ",".join(reasons))


def _check_status(obj: Json) -> Iterator[FieldError]:
    status, path = obj.get("status") or {}, "status.storedVersions"
    yield from _check_names(status.get("acceptedNames") or {}, "status.acceptedNames")
    stored = status.get("storedVersions") or []
    if not stored:
        yield invalid(path, None, "must have at least one stored version")
        return
    left = {name: index for index, name in enumerate(stored)}
    for version in (obj.get("spec") or {}).get("versions") or ():
        name = version.get("name") or ""
        if version.get("storage") and name not in left:
            yield invalid(path, stored, f"must have the storage version {name}")
        left.pop(name, None)
    for name, index in left.items():
        why = (
            f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions "
            f"until a storage migration ensures no data remains persisted in {name} and removes {name} from "
            "status.storedVersions"
        )
        yield invalid(f"{path}[{index}]", name, why)


def _check_approval(new: Json, old: Json | None) -> Iterator[FieldError]:
    if not is_protected((new.get("spec") or {}).get("group") or ""):
        return
    state, why = approval(new)
    if old is not None and approval(old)[0] == state:
        return
    path = f"metadata.annotations[{APPROVED}]"
    if state == "MissingAnnotation":
        yield required(path, why)
    elif state == "InvalidAnnotation":
        yield invalid(path, new["metadata"]["annotations"][APPROVED], why)


def _check_preserved(new: Json, old: Json | None) -> Iterator[FieldError]:
    if old is not None and (old.get("spec") or {}).get("preserveUnknownFields"):
        return
    if (new.get("spec") or {}).get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, why)


def _at(spec: Json, path: str) -> Any:
    value: Any = spec
    for name in path.split("."):
        value = (value or {}).get(name)
    return value
