"""A type of the catalogue as an OpenAPI schema, in the dialect of v3 or of v2.

The dialects differ in where references point, and in that v3 wraps a reference in `allOf` when it says more about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any, Final, Literal, TypeAlias

import msgspec

from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.types import CATALOGUE, Field, ObjectType, TypeCatalogue

Dialect: TypeAlias = Literal["v3", "v2"]
Texts: TypeAlias = dict[str, dict[str, str]]

_PREFIX: Final = {"v3": "#/components/schemas/", "v2": "#/definitions/"}
_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_OBJECT_META: Final = f"{_META}ObjectMeta"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_NAMED_SCALARS: Final = {
    "time": f"{_META}Time",
    "microtime": f"{_META}MicroTime",
    "quantity": _QUANTITY,
    "intorstring": _INT_OR_STRING,
}
_SCALARS: Final[dict[str, Json]] = {
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
_ZEROS: Final[dict[str, Any]] = {"string": "", "int32": 0, "int64": 0, "bool": False, "double": 0}
_DESCRIPTION_FILES: Final = (  # prefix of the types' names, file
    ("io.k8s.apimachinery.pkg.apis.meta.", "meta_{}"),
    ("io.k8s.apimachinery.pkg.api.resource.", "resource"),
    ("io.k8s.apimachinery.pkg.util.intstr.", "util_intstr"),
    ("io.k8s.apimachinery.pkg.version.", "version"),
    ("io.k8s.apimachinery.pkg.runtime.", "runtime"),
    ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.", "apiextensions_{}"),
    ("io.k8s.kube-aggregator.pkg.apis.apiregistration.", "apiregistration_{}"),
)


class SchemaWriter:
    """Writes schemas of types, with all types that they refer to."""

    def __init__(self, dialect: Dialect, catalogue: TypeCatalogue = CATALOGUE) -> None:
        self.dialect: Dialect = dialect
        self.schemas: dict[str, Json] = {}
        self._catalogue = catalogue
        self._texts: dict[str, Texts] = {}

    def add(self, names: Iterable[str]) -> None:
        """Write the schemas of these types, and of the types inside them."""
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in self.schemas:
                continue
            scalar = next((scalar for scalar, named in _NAMED_SCALARS.items() if named == name), None)
            if scalar is not None:
                self.schemas[name] = self._named_scalar(name, scalar)
            elif name in self._catalogue.customs:
                self.schemas[name] = self._catalogue.customs[name].published(_PREFIX[self.dialect] + _OBJECT_META)
                waiting.append(_OBJECT_META)
            elif name not in self._catalogue:
                self.schemas[name] = _described({"type": "object"}, self.text(name))
            else:
                type_ = self._catalogue[name]
                self.schemas[name] = self._object(name, type_)
                waiting += _references(type_)

    def reference(self, name: str) -> Json:
        """A reference to a schema."""
        return {"$ref": _PREFIX[self.dialect] + name}

    def text(self, name: str, field: str = "") -> str:
        """The description of a type, or of a field of it."""
        file = _description_file(name)
        if file not in self._texts:
            self._texts[file] = _read_texts(file)
        return self._texts[file].get(name, {}).get(field, "")

    def _object(self, name: str, type_: ObjectType) -> Json:
        schema: Json = {}
        if description := type_.description or self.text(name):
            schema["description"] = description
        schema["type"] = "object"
        if type_.fields:
            schema["properties"] = {
                key: self._field(field, field.description or self.text(name, key))
                for key, field in type_.fields.items()
            }
        required = type_.required or sorted(key for key, field in type_.fields.items() if field.required)
        if required:
            schema["required"] = list(required)
        if type_.gvk:
            group, version, kind = type_.gvk
            schema["x-kubernetes-group-version-kind"] = [{"group": group, "version": version, "kind": kind}]
        if type_.map_type:
            schema["x-kubernetes-map-type"] = type_.map_type
        if type_.open:
            schema["x-kubernetes-preserve-unknown-fields"] = True
        return schema

    def _field(self, field: Field, description: str) -> Json:
        schema = self._value(field)
        default = self._default(field)
        if "$ref" in schema and self.dialect == "v3" and (description or default is not None):
            schema = {"allOf": [schema]}
        if default is not None and self.dialect == "v3":
            schema["default"] = default
        if description:
            schema["description"] = description
        if field.is_list and field.list_type != "unmarked":
            schema["x-kubernetes-list-type"] = field.list_type
            if field.list_keys:
                schema["x-kubernetes-list-map-keys"] = list(field.list_keys)
        if field.merge_key:
            schema["x-kubernetes-patch-merge-key"] = field.merge_key
        if field.strategy:
            schema["x-kubernetes-patch-strategy"] = field.strategy
        if field.map_type:
            schema["x-kubernetes-map-type"] = field.map_type
        return schema

    def _value(self, field: Field) -> Json:
        if field.is_list:
            return {"type": "array", "items": self._value(field.element)}
        if field.is_map:
            return {"type": "object", "additionalProperties": self._value(field.element)}
        if name := _named(field):
            return self.reference(name)
        schema = dict(_SCALARS[field.type])
        if field.enum and self.dialect == "v3":
            schema["enum"] = list(field.enum)
        return schema

    def _default(self, field: Field) -> Any:
        if field.default is not None:
            return field.default
        if field.type.startswith("#"):
            return {} if field.zero == "write" else None
        return _ZEROS.get(field.type) if field.zero == "write" else None

    def _named_scalar(self, name: str, scalar: str) -> Json:
        schema: Json = {}
        if scalar in ("time", "microtime"):
            schema = {"type": "string", "format": "date-time"}
        elif scalar == "quantity":
            schema = {"oneOf": [{"type": "string"}, {"type": "number"}]}
        else:
            schema = {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}
        if self.dialect == "v2":
            schema.pop("oneOf", None)
            schema["type"] = "string"
        return _described(schema, self.text(name))


def _described(schema: Json, description: str) -> Json:
    return {"description": description, **schema} if description else schema


def _references(type_: ObjectType) -> Iterable[str]:
    for field in type_.fields.values():
        inner = field
        while inner.is_list or inner.is_map:
            inner = inner.element
        if name := _named(inner):
            yield name


def _named(field: Field) -> str:
    """The name of the schema that a value refers to; "" for plain values."""
    if field.type.startswith("#"):
        return field.type[1:]
    return field.go_type if field.type == "any" else _NAMED_SCALARS.get(field.type, "")


def _description_file(name: str) -> str:
    for prefix, file in _DESCRIPTION_FILES:
        if name.startswith(prefix):
            return file.format(name.removeprefix(prefix).partition(".")[0])
    group, _, rest = name.removeprefix("io.k8s.api.").partition(".")
    return f"{group}_{rest.partition('.')[0]}"


def _read_texts(file: str) -> Texts:
    path = resources.files("pvbinder.server.objects.schema").joinpath(f"data/descriptions/{file}.json")
    if not path.is_file():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=Texts)
