"""The schema of a custom kind: its types for merging, its conforming of objects, and its published form."""

from __future__ import annotations

from typing import Any, Final, Protocol

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError, entity_too_large
from pvbinder.server.kinds.definitions.conform import HEADER, DefaultsTooLargeError, fill_in_defaults, pruned
from pvbinder.server.kinds.definitions.correlation import Correlation
from pvbinder.server.kinds.definitions.rules import SchemaRules, has_rules
from pvbinder.server.kinds.definitions.structure import Structure, branches, read_structure
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.decode import forget_schema
from pvbinder.server.objects.schema.types import CATALOGUE, Field, ListType, ObjectType, TypeCatalogue

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"


class Rules(Protocol):
    """The rules in CEL of a schema."""

    @property
    def is_costly(self) -> bool:
        """Whether a small object may take long to judge."""
        ...

    def judge(self, new: Json, old: Json | None, same: Correlation | None) -> tuple[list[FieldError], list[str]]:
        """Return errors for the rules that an object breaks, and warnings for those that its unchanged parts break."""
        ...


LIGHT_BRANCHES_MAX: Final = 16  # combined schemas against which values are tried one after the other
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
        self.rules: Rules | None = SchemaRules(self._schema) if has_rules(self._schema) else None
        self._types = self._make_types()
        self.is_costly = branches(self.structure, LIGHT_BRANCHES_MAX) > LIGHT_BRANCHES_MAX or (
            self.rules is not None and self.rules.is_costly
        )

    def conform(self, value: Any, note: Any) -> Json:
        """The object without fields that the schema doesn't know; kind, version and metadata stay as they are."""
        unknown: list[str] = []

        def note_sorted(what: str, path: str) -> None:
            if what.startswith("unknown"):
                unknown.append(path)
            else:
                note(what, path)

        obj: Json = pruned(value, self.structure, "", note_sorted)
        for path in sorted(unknown):
            note("unknown", path)
        return obj

    def default(self, obj: Json) -> None:
        """Fill in the defaults of the schema."""
        body = {key: value for key, value in obj.items() if key not in HEADER}
        try:
            fill_in_defaults(body, self.structure)
        except DefaultsTooLargeError as error:
            raise entity_too_large(f"etcdserver: request is too large: {error.message}") from error
        obj.update(body)

    def in_version(self, obj: Json) -> Json:
        """Return a view of an object as one of this version."""
        version = self._resource.api_version
        return obj if obj.get("apiVersion") == version else {**obj, "apiVersion": version}

    def converted(self, obj: Json) -> Json:
        """Return an object of another version as one of this version: fields unknown to this schema are dropped."""
        body = pruned({key: value for key, value in obj.items() if key not in HEADER}, self.structure, "", _no_note)
        return {"kind": obj["kind"], "apiVersion": self._resource.api_version, "metadata": obj["metadata"], **body}

    def reread(self, obj: Json) -> Json:
        """Return an object from the store as this schema has it: pruned, and with its defaults."""
        shown = self.converted(obj)
        self.default(shown)
        return shown

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

    def register(self, catalogue: TypeCatalogue = CATALOGUE) -> None:
        """Make the types known under the names that start with `name`.

        Several servers in one process may each have a kind of this name: the last one registered counts until it is
        forgotten, then the one before it.
        """
        _registered.setdefault(self.name, []).append(self)
        self._publish(catalogue)

    def forget(self, catalogue: TypeCatalogue = CATALOGUE) -> None:
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

    def _publish(self, catalogue: TypeCatalogue) -> None:
        for name, type_ in self._types.items():
            catalogue.add(name, type_)
        catalogue.customs[self.name] = self
        forget_schema(self.name)

    def _make_types(self) -> dict[str, ObjectType]:
        """The types of its objects and of their parts, by name; made once, as it takes long for a large schema."""
        types: dict[str, ObjectType] = {}
        fields = dict(_HEADER)
        for key, inner in self.structure.properties.items():
            if key not in fields:
                fields[key] = self._field(inner, f"{self.name}.{key}", types)
        resource = self._resource
        gvk = (resource.group, resource.version, resource.kind)
        types[self.name] = ObjectType(fields, gvk, open=self.structure.preserves_unknown)
        items = Field(f"[]#{self.name}", required=True, zero="write", list_type="unmarked")
        header = {**_HEADER, "metadata": Field(f"#{LIST_META}", zero="write")}
        listed = ObjectType({**header, "items": items}, (resource.group, resource.version, self._list_kind))
        types[f"{self.name}List"] = listed
        return types

    def _field(self, place: Structure, name: str, types: dict[str, ObjectType]) -> Field:
        default = place.default if isinstance(place.default, str | int | bool | float) else None
        if place.int_or_string:
            return Field("intorstring", zero="pointer", default=default)
        if place.type == "array" and place.items is not None:
            element = self._field(place.items, name, types)
            list_type: ListType = "set" if place.list_type == "set" else "map" if place.list_type == "map" else "atomic"
            return Field(f"[]{element.type}", zero="pointer", list_type=list_type, list_keys=place.list_keys)
        if place.type == "object" and place.additional is not None:
            element = self._field(place.additional, name, types)
            return Field("{}" + element.type, zero="pointer", map_type=place.map_type)
        if place.properties or place.embedded:
            fields = {key: self._field(inner, f"{name}.{key}", types) for key, inner in place.properties.items()}
            is_open = place.preserves_unknown or place.embedded
            types[name] = ObjectType(fields, map_type=place.map_type, open=is_open)
            return Field(f"#{name}", zero="pointer")
        if place.type in _SCALARS:
            return Field(_SCALARS[place.type], zero="pointer", default=default)
        return Field("any", zero="pointer", map_type="granular")


def _no_note(_what: str, _path: str) -> None:
    pass


_registered: dict[str, list[CustomSchema]] = {}


def schema_name(resource: Resource) -> str:
    """The name of the schema of a custom kind: the group backwards, version, kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
