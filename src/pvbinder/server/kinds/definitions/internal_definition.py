"""A definition in the reference's internal form, which it validates: parts common to all versions are in the spec.

Messages name these places (``spec.validation.openAPIV3Schema``), and quote these values by the names of their fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pvbinder.server.objects.kind import Json

SCHEMA_FIELDS: Final = (
    ("ID", "id", ""), ("Schema", "$schema", ""), ("Ref", "$ref", None), ("Description", "description", ""),
    ("Type", "type", ""), ("Nullable", "nullable", False), ("Format", "format", ""), ("Title", "title", ""),
    ("Default", "default", None), ("Maximum", "maximum", None), ("ExclusiveMaximum", "exclusiveMaximum", False),
    ("Minimum", "minimum", None), ("ExclusiveMinimum", "exclusiveMinimum", False), ("MaxLength", "maxLength", None),
    ("MinLength", "minLength", None), ("Pattern", "pattern", ""), ("MaxItems", "maxItems", None),
    ("MinItems", "minItems", None), ("UniqueItems", "uniqueItems", False), ("MultipleOf", "multipleOf", None),
    ("Enum", "enum", None), ("MaxProperties", "maxProperties", None), ("MinProperties", "minProperties", None),
    ("Required", "required", None), ("Items", "items", None), ("AllOf", "allOf", None), ("OneOf", "oneOf", None),
    ("AnyOf", "anyOf", None), ("Not", "not", None), ("Properties", "properties", None),
    ("AdditionalProperties", "additionalProperties", None), ("PatternProperties", "patternProperties", None),
    ("Dependencies", "dependencies", None), ("AdditionalItems", "additionalItems", None),
    ("Definitions", "definitions", None), ("ExternalDocs", "externalDocs", None), ("Example", "example", None),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", None),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", False),
    ("XIntOrString", "x-kubernetes-int-or-string", False), ("XListMapKeys", "x-kubernetes-list-map-keys", None),
    ("XListType", "x-kubernetes-list-type", None), ("XMapType", "x-kubernetes-map-type", None),
    ("XValidations", "x-kubernetes-validations", None),
)  # fmt: skip
_IN_SPEC: Final = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


@dataclass(frozen=True, slots=True)
class InternalSpec:
    """The spec of a definition: `common` has the parts that all versions share, `versions` has the rest of each."""

    common: Json
    versions: list[Json]


def internal_spec(spec: Json) -> InternalSpec:
    """Move the parts that are equal in all versions to the place where the reference has them."""
    versions = [dict(version) for version in spec.get("versions") or ()]
    common: Json = {}
    for word in _IN_SPEC if versions else ():
        first = _shown(versions[0].get(word))
        if all(_shown(version.get(word)) == first for version in versions):
            if first is not None:
                common[word] = first
            for version in versions:
                version.pop(word, None)
    return InternalSpec(common, versions)


def _shown(value: Any) -> Any:
    return None if value in (None, [], ()) else value


def quoted_versions(versions: list[Json]) -> list[Json]:
    """Versions as the reference quotes them."""
    return [
        {
            "Name": version.get("name") or "",
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            "Schema": _quoted_validation(version.get("schema")),
            "Subresources": _quoted_subresources(version.get("subresources")),
            "AdditionalPrinterColumns": _quoted_columns(version.get("additionalPrinterColumns")),
            "SelectableFields": _quoted_fields(version.get("selectableFields")),
        }
        for version in versions
    ]


def quoted_schema(schema: Any) -> Any:
    """A schema as the reference quotes it."""
    if not isinstance(schema, dict):
        return None
    quoted: Json = {}
    for name, word, empty in SCHEMA_FIELDS:
        value = schema.get(word)
        quoted[name] = empty if value is None else _quoted_word(word, value)
    return quoted


def quoted_rule(rule: Json) -> Json:
    """A rule as the reference quotes it."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def _quoted_word(word: str, value: Any) -> Any:
    match word:
        case "allOf" | "oneOf" | "anyOf":
            return [quoted_schema(inner) for inner in value]
        case "not":
            return quoted_schema(value)
        case "properties" | "patternProperties" | "definitions":
            return {name: quoted_schema(inner) for name, inner in value.items()}
        case "items":
            if isinstance(value, list):
                return {"Schema": None, "JSONSchemas": [quoted_schema(inner) for inner in value]}
            return {"Schema": quoted_schema(value), "JSONSchemas": None}
        case "additionalProperties" | "additionalItems":
            return {"Allows": value is not False, "Schema": quoted_schema(value)}
        case "dependencies":
            return {
                name: {"Schema": quoted_schema(inner), "Property": inner if isinstance(inner, list) else None}
                for name, inner in value.items()
            }
        case "externalDocs":
            return {"Description": value.get("description") or "", "URL": value.get("url") or ""}
        case "x-kubernetes-validations":
            return [quoted_rule(rule) for rule in value]
        case _:
            return value


def _quoted_validation(validation: Any) -> Any:
    return None if validation is None else {"OpenAPIV3Schema": quoted_schema(validation.get("openAPIV3Schema"))}


def _quoted_subresources(subresources: Any) -> Any:
    if subresources is None:
        return None
    scale = subresources.get("scale")
    return {
        "Status": None if subresources.get("status") is None else {},
        "Scale": None
        if scale is None
        else {
            "SpecReplicasPath": scale.get("specReplicasPath") or "",
            "StatusReplicasPath": scale.get("statusReplicasPath") or "",
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _quoted_columns(columns: Any) -> Any:
    if not columns:
        return None
    return [
        {
            "Name": column.get("name") or "",
            "Type": column.get("type") or "",
            "Format": column.get("format") or "",
            "Description": column.get("description") or "",
            "Priority": column.get("priority") or 0,
            "JSONPath": column.get("jsonPath") or "",
        }
        for column in columns
    ]


def _quoted_fields(fields: Any) -> Any:
    return [{"JSONPath": each.get("jsonPath") or ""} for each in fields] if fields else None
