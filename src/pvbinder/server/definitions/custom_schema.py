"""What the schema room must know of a custom kind: types to merge by, a way to conform objects, what to publish."""

from __future__ import annotations

from typing import Any, Final

from pvbinder.model.resources import Resource
from pvbinder.server.definitions.conform import fill_in_defaults, pruned
from pvbinder.server.definitions.structure import Structure, read_structure
from pvbinder.server.definitions.validate import check_value
from pvbinder.server.errors import FieldError
from pvbinder.server.kinds.kind import Json
from pvbinder.server.schema.decode import forget_schema
from pvbinder.server.schema.types import CATALOGUE, Catalogue, Field, ListType, ObjectType

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"

_SCALARS: Final = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}
_HEADER: Final = {
    "kind": Field("string"),
    "apiVersion": Field("string"),
    "metadata": Field(f"#{OBJECT_META}", zero="write"),
}


class CustomSchema:
    """The schema of one version of a custom kind; conforms and checks its objects."""

    def __init__(self, resource: Resource, list_kind: str, schema: Any) -> None:
        self.name = schema_name(resource)
        self._resource = resource
        self._list_kind = list_kind
        self._schema: Json = schema if isinstance(schema, dict) else {"x-kubernetes-preserve-unknown-fields": True}
        self.structure: Structure = read_structure(self._schema)

    def conform(self, value: Any, note: Any) -> Json:
        """The object without what the schema doesn't know; kind, version and metadata are not its business."""
        obj: Json = pruned(value, self.structure, "", note)
        return obj

    def default(self, obj: Json) -> None:
        """Fill in the defaults of the schema."""
        body = {key: value for key, value in obj.items() if key not in _HEADER}
        fill_in_defaults(body, self.structure)
        for key, value in body.items():
            if key not in _HEADER:
                obj[key] = value

    def check(self, obj: Json) -> list[FieldError]:
        """Say what is wrong with an object."""
        body = {key: value for key, value in obj.items() if key != "metadata"}
        return list(check_value(body, self.structure, ""))

    def published(self, reference: str) -> Json:
        """The schema for OpenAPI; `reference` is where the one of metadata stands."""
        schema = {key: value for key, value in self._schema.items() if key != "properties"}
        properties: Json = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            **(self._schema.get("properties") or {}),
            "metadata": {"$ref": reference},
        }
        resource = self._resource
        gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        return {"type": "object", **schema, "properties": properties, "x-kubernetes-group-version-kind": [gvk]}

    def register(self, catalogue: Catalogue = CATALOGUE) -> None:
        """Make the types known under the names that start with `name`.

        Several servers in one process may each have a kind of this name: the last one registered counts until it is
        forgotten, then the one before it.
        """
        _registered.setdefault(self.name, []).append(self)
        self._publish(catalogue)

    def forget(self, catalogue: Catalogue = CATALOGUE) -> None:
        """Take the types away again."""
        others = _registered.get(self.name, [])
        if self in others:
            others.remove(self)
        catalogue.customs.pop(self.name, None)
        for name in [
            name for name in catalogue if name == f"{self.name}List" or f"{name}.".startswith(f"{self.name}.")
        ]:
            catalogue.remove(name)
        forget_schema(self.name)
        if others:
            others[-1]._publish(catalogue)
        else:
            _registered.pop(self.name, None)

    def _publish(self, catalogue: Catalogue) -> None:
        fields = dict(_HEADER)
        for key, inner in self.structure.properties.items():
            if key not in fields:
                fields[key] = self._field(inner, f"{self.name}.{key}", catalogue)
        resource = self._resource
        gvk = (resource.group, resource.version, resource.kind)
        catalogue.add(self.name, ObjectType(fields, gvk, open=self.structure.preserves_unknown))
        items = Field(f"[]#{self.name}", required=True, zero="write", list_type="unmarked")
        header = {**_HEADER, "metadata": Field(f"#{LIST_META}", zero="write")}
        listed = ObjectType({**header, "items": items}, (resource.group, resource.version, self._list_kind))
        catalogue.add(f"{self.name}List", listed)
        catalogue.customs[self.name] = self
        forget_schema(self.name)

    def _field(self, place: Structure, name: str, catalogue: Catalogue) -> Field:
        default = place.default if isinstance(place.default, str | int | bool | float) else None
        if place.int_or_string:
            return Field("intorstring", zero="pointer", default=default)
        if place.type == "array" and place.items is not None:
            element = self._field(place.items, name, catalogue)
            list_type: ListType = "set" if place.list_type == "set" else "map" if place.list_type == "map" else "atomic"
            return Field(f"[]{element.type}", zero="pointer", list_type=list_type, list_keys=place.list_keys)
        if place.type == "object" and place.additional is not None:
            element = self._field(place.additional, name, catalogue)
            return Field("{}" + element.type, zero="pointer", map_type=place.map_type)
        if place.properties or place.embedded:
            fields = {key: self._field(inner, f"{name}.{key}", catalogue) for key, inner in place.properties.items()}
            catalogue.add(
                name, ObjectType(fields, map_type=place.map_type, open=place.preserves_unknown or place.embedded)
            )
            return Field(f"#{name}", zero="pointer")
        if place.type in _SCALARS:
            return Field(_SCALARS[place.type], zero="pointer", default=default)
        return Field("any", zero="pointer", map_type="granular")


_registered: dict[str, list[CustomSchema]] = {}


def schema_name(resource: Resource) -> str:
    """The name of the schema of a custom kind: the group backwards, version, kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
