"""Objects seen through their schema: what differs, which paths there are, how two merge. The heart of managed fields.

Lists and maps are granular (each element is a path of its own) or atomic (one path for the whole), as the schema says:
lists with keys and sets by element, other lists as a whole; objects and maps by field, unless they are atomic. A part
that the schema doesn't know is granular by field, with atomic lists.

Nothing here changes its arguments. Objects are as the server stores them (DECODE-1).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.field_sets import SELF, FieldSet, is_member, shown_path, union
from pvbinder.server.objects.go_text import go_plain, go_syntax, go_type
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.types import CATALOGUE, Field, TypeCatalogue

_UNKNOWN = Field("any", map_type="granular")
_ATOMIC = Field("any", map_type="atomic")
_MISSING: Any = object()


class TypedError(PvbinderError):
    """An object that doesn't follow its schema; the message is the one of structured merge."""


@dataclass(slots=True)
class Comparison:
    """The fields that are new, different and gone from one object to another."""

    added: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)

    @property
    def changed(self) -> FieldSet:
        """All three together."""
        return union(union(self.added, self.modified), self.removed)


def compare(old: Json, new: Json, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> Comparison:
    """Compare two objects of the type named `schema`; walks only into what differs."""
    walk = _Compare(catalogue)
    comparison = Comparison()
    walk.granular(old, new, Field(f"#{schema}"), comparison.added, comparison.modified, comparison.removed)
    return comparison


def field_set(obj: Json, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> FieldSet:
    """The paths that an applied object owns: its leaves, the elements of its lists and the keys of its maps."""
    return _Owned(catalogue).node(obj, Field(f"#{schema}")) or {}


def merge(live: Json, applied: Json, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> Json:
    """Lay `applied` over `live`."""
    merged: Json = _Merge(catalogue).value(live, applied, Field(f"#{schema}"))
    return merged


def remove(obj: Json, fields: FieldSet, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> Json:
    """`obj` without what stands at the paths of `fields`, and all below."""
    rest: Json = _Remove(catalogue).value(obj, fields, Field(f"#{schema}"))
    return rest


def with_named_fields(fields: FieldSet, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> FieldSet:
    """The set with every field on the way to its paths: who owns a field of a struct holds on to the struct."""
    return _Named(catalogue).node(fields, Field(f"#{schema}"))


def check(obj: Json, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> None:
    """Refuse an applied object that doesn't follow the schema; TypedError."""
    walk = _Check(catalogue)
    walk.value(obj, Field(f"#{schema}"), "")
    if walk.errors:
        raise TypedError(walk.errors[0] if len(walk.errors) == 1 else "\n  ".join(["errors:", *walk.errors]))


class _Walk:
    """The questions that all walks ask of the schema."""

    def __init__(self, catalogue: TypeCatalogue) -> None:
        self._catalogue = catalogue

    def is_atomic(self, value: Any, at: Field) -> bool:
        """Whether the value, an object or a list, is one path."""
        if isinstance(value, list):
            return not at.is_list or at.list_type in ("atomic", "unmarked")
        if at.map_type:
            return at.map_type == "atomic"
        if at.type.startswith("#"):
            return self._catalogue[at.type[1:]].map_type == "atomic"
        return not at.is_map

    def inside(self, at: Field, key: str) -> Field:
        """The field `key` of an object."""
        if at.is_map:
            return at.element
        if at.type.startswith("#"):
            type_ = self._catalogue[at.type[1:]]
            return type_.fields.get(key) or (_UNKNOWN if type_.open else _ATOMIC)
        return _UNKNOWN

    def is_field(self, at: Field, key: str) -> bool:
        """Whether `key` is a declared field, not the key of a map."""
        return at.type.startswith("#") and key in self._catalogue[at.type[1:]].fields

    def elements(self, values: list[Any], at: Field) -> dict[str, list[Any]]:
        """The elements of a granular list by path element; more than one where they are duplicates."""
        found: dict[str, list[Any]] = {}
        for value in values:
            found.setdefault(self.element_of(value, at), []).append(value)
        return found

    def element_of(self, value: Any, at: Field) -> str:
        """The path element of an element of a granular list."""
        if at.list_type == "set":
            return "v:" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if not isinstance(value, dict):
            raise TypedError("associative list without keys has an element that's a map type")
        keys = {}
        for name in sorted(at.list_keys):
            inner = value.get(name)
            if inner is None:
                inner = self.inside(at.element, name).default
                if inner is None:
                    raise TypedError(
                        f'associative list with keys has an element that omits key field "{name}" (and doesn\'t have '
                        "default value)"
                    )
            keys[name] = inner
        return "k:" + json.dumps(keys, separators=(",", ":"), ensure_ascii=False)


class _Compare(_Walk):
    """Compares; a side that isn't there is `_MISSING`, which is not null."""

    def granular(self, old: Json, new: Json, at: Field, added: FieldSet, modified: FieldSet, removed: FieldSet) -> None:
        """Compare two objects field by field."""
        for key, value in new.items():
            before = old.get(key, _MISSING)
            if (before is not value and before != value) or type(before) is not type(value):
                self._element(f"f:{key}", before, value, self.inside(at, key), added, modified, removed)
        for key in old:
            if key not in new:
                self._element(f"f:{key}", old[key], _MISSING, self.inside(at, key), added, modified, removed)

    def _element(
        self, element: str, old: Any, new: Any, at: Field, added: FieldSet, modified: FieldSet, removed: FieldSet
    ) -> None:
        """Compare what stands at one path element, and hang what is found into the sets."""
        if old is _MISSING:
            added[element] = self._everything(new, at)
        elif new is _MISSING:
            removed[element] = self._everything(old, at)
        elif self._is_leaf(old, new, at):
            if old != new or type(old) is not type(new):
                modified[element] = {}
        else:
            found: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
            if isinstance(new, dict) or isinstance(old, dict):
                self.granular(old or {}, new or {}, at, *found)
            else:
                self._list(old or [], new or [], at, *found)
            for inner, outer in zip(found, (added, modified, removed), strict=True):
                if inner:
                    outer[element] = inner

    def _is_leaf(self, old: Any, new: Any, at: Field) -> bool:
        """Whether the two are compared as a whole."""
        shape = new if isinstance(new, dict | list) else old
        if not isinstance(shape, dict | list) or (not old and not new) or self.is_atomic(shape, at):
            return True
        other = old if shape is new else new
        return other is not None and type(other) is not type(shape)

    def _list(
        self, old: list[Any], new: list[Any], at: Field, added: FieldSet, modified: FieldSet, removed: FieldSet
    ) -> None:
        before, after = self.elements(old, at), self.elements(new, at)
        for element, values in after.items():
            others = before.get(element, [])
            if others == values:
                continue
            if others and len(values) + len(others) > 2:  # duplicates: only whether they differ is known
                modified[element] = {}
            else:
                self._element(
                    element, others[0] if others else _MISSING, values[0], at.element, added, modified, removed
                )
        for element, values in before.items():
            if element not in after:
                self._element(element, values[0], _MISSING, at.element, added, modified, removed)

    def _everything(self, value: Any, at: Field) -> FieldSet:
        """All paths from here on, this one too."""
        if not value or not isinstance(value, dict | list) or self.is_atomic(value, at):
            return {}
        node: FieldSet = {SELF: {}}
        if isinstance(value, dict):
            for key, inner in value.items():
                node[f"f:{key}"] = self._everything(inner, self.inside(at, key))
        else:
            for element, values in self.elements(value, at).items():
                node[element] = self._everything(values[0], at.element)
        return node


class _Owned(_Walk):
    """Finds what an applied object owns: containers only where the list or map they are in is keyed by them."""

    def node(self, value: Any, at: Field) -> FieldSet | None:
        """The paths below a value: empty when the value itself is the path, None when there is none."""
        if not value or not isinstance(value, dict | list) or self.is_atomic(value, at):
            return None if value == [] and not self.is_atomic(value, at) else {}
        node: FieldSet = {}
        if isinstance(value, list):
            for element, values in self.elements(value, at).items():
                inner = self.node(values[0], at.element)
                node[element] = {SELF: {}, **inner} if inner else {}
            return node
        for key, inside in value.items():
            inner = self.node(inside, self.inside(at, key))
            if not self.is_field(at, key):
                node[f"f:{key}"] = {SELF: {}, **inner} if inner else {}
            elif inner is not None:
                node[f"f:{key}"] = inner
        return node or None


class _Merge(_Walk):
    """Merges; the applied side wins."""

    def value(self, live: Any, applied: Any, at: Field) -> Any:
        """Merge two values of one field; a `live` of None is one that isn't there."""
        if applied is None or not isinstance(applied, dict | list) or self.is_atomic(applied, at):
            return applied
        if isinstance(applied, dict):
            merged = dict(live) if isinstance(live, dict) else {}
            for key, inner in applied.items():
                merged[key] = self.value(merged.get(key), inner, self.inside(at, key))
            return merged
        return self._list(live if isinstance(live, list) else [], applied, at)

    def _list(self, live: list[Any], applied: list[Any], at: Field) -> list[Any]:
        """Merge by element: shared ones in the order of `applied`, those of `live` alone where they stood."""
        mine, theirs = self.elements(applied, at), self.elements(live, at)
        order, live_order = list(mine), [self.element_of(value, at) for value in live]
        shared = iter([element for element in order if element in theirs])
        next_shared = next(shared, None)
        merged: list[Any] = []
        done: set[str] = set()
        left = right = 0

        def take(element: str) -> None:
            done.add(element)
            other = theirs.get(element)
            merged.append(self.value(other[0] if other else None, mine[element][0], at.element))

        while left < len(live_order) or right < len(order):
            if left < len(live_order):
                element = live_order[left]
                if right < len(order) and element == order[right]:
                    take(element)
                    left, right, next_shared = left + 1, right + 1, next(shared, None)
                    continue
                if right < len(order) and element in mine and next_shared not in (None, element):
                    left += 1
                    continue
                if element not in mine:
                    merged.append(live[left])
                    left += 1
                    continue
                if element in done:
                    left += 1
            if right < len(order):
                element = order[right]
                take(element)
                right += 1
                if next_shared == element:
                    next_shared = next(shared, None)
        return merged


class _Remove(_Walk):
    """Removes what stands at paths."""

    def value(self, value: Any, fields: FieldSet, at: Field) -> Any:
        """The value without what is below it at `fields`."""
        if not fields or not isinstance(value, dict | list) or self.is_atomic(value, at):
            return value
        if isinstance(value, dict):
            rest = {}
            for key, inner in value.items():
                node = fields.get(f"f:{key}")
                if node is None:
                    rest[key] = inner
                elif not is_member(node):
                    rest[key] = self.value(inner, node, self.inside(at, key))
            return rest
        kept = []
        for inner in value:
            node = fields.get(self.element_of(inner, at))
            if node is None:
                kept.append(inner)
            elif not is_member(node):
                kept.append(self.value(inner, node, at.element))
        return kept


class _Named(_Walk):
    """Makes the fields on the way to the paths members themselves."""

    def node(self, fields: FieldSet, at: Field) -> FieldSet:
        """The node, with the fields of objects in it made members."""
        named: FieldSet = {}
        for element, node in fields.items():
            if element == SELF or not node:
                named[element] = node
                continue
            key = element[2:]
            if not element.startswith("f:"):
                named[element] = self.node(node, at.element if at.is_list else _UNKNOWN)
                continue
            inner = self.node(node, self.inside(at, key))
            named[element] = {SELF: {}, **inner} if self.is_field(at, key) else inner
        return named


class _Check(_Walk):
    """Collects what doesn't follow the schema, with the words of structured merge."""

    def __init__(self, catalogue: TypeCatalogue) -> None:
        super().__init__(catalogue)
        self.errors: list[str] = []

    def value(self, value: Any, at: Field, path: str) -> None:
        """Check one value."""
        if value is None:
            return
        if at.type.startswith("#") or at.is_map:
            self._object(value, at, path)
        elif at.is_list:
            self._list(value, at, path)
        else:
            self._scalar(value, at, path)

    def _say(self, path: str, why: str) -> None:
        if len(self.errors) < 100:
            self.errors.append(f"{path}: {why}" if path else why)

    def _object(self, value: Any, at: Field, path: str) -> None:
        if not isinstance(value, dict):
            self._say(path, f"expected map, got &{{{go_plain(value)}}}")
            return
        type_ = self._catalogue[at.type[1:]] if at.type.startswith("#") else None
        for key, inner in value.items():
            field_ = at.element if type_ is None else type_.fields.get(key)
            if field_ is not None:
                self.value(inner, field_, f"{path}.{key}")
            elif type_ is None or not type_.open:
                self._say(f"{path}.{key}", "field not declared in schema")

    def _list(self, value: Any, at: Field, path: str) -> None:
        if not isinstance(value, list):
            self._say(path, f"expected list, got &{{{go_plain(value)}}}")
            return
        seen: set[str] = set()
        for index, inner in enumerate(value):
            place = f"{path}[{index}]"
            if at.list_type not in ("atomic", "unmarked"):
                try:
                    element = self.element_of(inner, at)
                except TypedError as error:
                    self._say(path, f"element {index}: {error.message}")
                    continue
                place = path + shown_path((element,))
                if element in seen:
                    self._say(path, f"duplicate entries for key {shown_path((element,))}")
                seen.add(element)
            self.value(inner, at.element, place)

    def _scalar(self, value: Any, at: Field, path: str) -> None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        got = f"&value.valueUnstructured{{Value:{go_syntax(value)}}}"
        match at.type:
            case "int32" | "int64" | "double":
                if not is_number:
                    self._say(path, f"expected numeric (int or float), got {go_type(value)}")
            case "bool":
                if not isinstance(value, bool):
                    self._say(path, f"expected boolean, got {got}")
            case "string" | "bytes":
                if not isinstance(value, str):
                    self._say(path, f"expected string, got {got}")
            case "time" | "microtime" | "quantity" | "intorstring":
                if isinstance(value, dict | list):
                    self._say(path, f"expected any scalar, got &{{{go_plain(value)}}}")
            case _:
                pass
