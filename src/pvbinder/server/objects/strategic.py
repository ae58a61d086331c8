"""Strategic merge patch: a merge patch that knows the schema, so that lists merge by key.

STRATEGIC-1  A list merges where its field says so: objects by their merge key, plain values as a set. All other lists
             are replaced.
STRATEGIC-2  Directives do what they do in the reference: ``$patch: replace | delete | merge``, ``$retainKeys``,
             ``$deleteFromPrimitiveList/FIELD``, ``$setElementOrder/FIELD``. None is left in the result.
STRATEGIC-3  Elements keep the order of the patch (or of ``$setElementOrder``); those that only the server has stay in
             their order, before the first one that they preceded.
STRATEGIC-4  The cost is linear in both documents: elements are found by index, never by search.

`merge` owns both of its arguments: they are private copies, and the result may share parts with them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.go_text import go_plain, go_type
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema.types import CATALOGUE, Field, TypeCatalogue

_DIRECTIVE: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList"
_ORDER: Final = "$setElementOrder"
_NOTHING: Final = Field("any")


class StrategicFormatError(PvbinderError):
    """A directive of a form that the reference calls a bad request."""


class StrategicMergeError(PvbinderError):
    """A patch that can't be merged; the reference answers with 500 and this message."""


def merge(original: Json, patch: Json, schema: str, catalogue: TypeCatalogue = CATALOGUE) -> Json:
    """Merge `patch` into `original`, an object of the type named `schema` (GW-8, STRATEGIC-1 to 4).

    Raises StrategicFormatError or StrategicMergeError.
    """
    return _Merge(catalogue).maps(original, patch, Field(f"#{schema}"))


class _Merge:
    """One merge; `at` is always the field whose value is being merged."""

    def __init__(self, catalogue: TypeCatalogue) -> None:
        self._catalogue = catalogue

    def maps(self, original: Json, patch: Json, at: Field) -> Json:
        """Merge two objects."""
        if _DIRECTIVE in patch:
            return _directive_of_map(patch)
        _retain_keys(original, patch)
        self._ordered_lists(original, patch, at)
        for key, value in patch.items():
            if key.startswith(_DELETE_FROM):
                name = _field_of(key, _DELETE_FROM)
                self._delete_from_list(original, name, value)
            elif value is None:
                original.pop(key, None)
            elif (old := original.get(key)) is None or go_type(old) != go_type(value):
                original[key] = _clean(value)
            elif isinstance(old, dict):
                field = self._inside(at, key)
                original[key] = _clean(value) if "replace" in field.strategy else self.maps(old, value, field)
            elif isinstance(old, list):
                field = self._inside(at, key)
                original[key] = self._lists(old, value, field)
            else:
                original[key] = value
        return original

    def _inside(self, at: Field, key: str) -> Field:
        """The field `key` of the value of `at`."""
        if at.is_map:
            return at.element
        if at.type.startswith("#"):
            return self._catalogue[at.type[1:]].fields.get(key, _NOTHING)
        return _NOTHING

    @staticmethod
    def _delete_from_list(original: Json, name: str, values: Any) -> None:
        old = original.get(name)
        if not isinstance(old, list) or not isinstance(values, list):
            return
        gone = {_key(value) for value in values}
        original[name] = [value for value in old if _key(value) not in gone]

    def _lists(self, original: list[Any], patch: list[Any], field: Field) -> list[Any]:
        """Merge two lists, or replace the old one (STRATEGIC-1)."""
        if "merge" not in field.strategy:
            return [_clean(value) for value in patch]
        if not original and not patch:
            return original
        _check_elements(original, patch)
        if not any(isinstance(value, dict) for value in (*original, *patch)):
            merged = list({_key(value): value for value in (*original, *patch)}.values())
            return _in_order(merged, patch, original, "")
        if not field.merge_key:
            raise StrategicMergeError(f"cannot merge lists without merge key for {field.reference.rpartition('.')[2]}")
        server_order = list(original)
        original, patch = _directives_of_list(original, patch, field.merge_key)
        merged = self._by_key(original, patch, field)
        return _in_order(merged, patch, server_order, field.merge_key)

    def _by_key(self, original: list[Any], patch: list[Any], field: Field) -> list[Any]:
        """Merge the elements of `patch` into those of `original` with the same key; the others follow."""
        merged = list(original)
        place = {_key(value.get(field.merge_key)): index for index, value in reversed(list(enumerate(merged)))}
        for value in patch:
            if field.merge_key not in value:
                raise _no_merge_key(value, field.merge_key)
            key = _key(value[field.merge_key])
            if key in place:
                merged[place[key]] = self.maps(merged[place[key]], value, field.element)
            else:
                place[key] = len(merged)
                merged.append(_clean(value))
        return merged

    def _ordered_lists(self, original: Json, patch: Json, at: Field) -> None:
        """Merge the lists whose order the patch gives, and take them out of the patch (STRATEGIC-3)."""
        for directive in [key for key in patch if key.startswith(_ORDER)]:
            order = patch.pop(directive)
            if not isinstance(order, list):
                raise StrategicMergeError(f"expected a []interface {{}}, but received a {go_type(order)}")
            name = _field_of(directive, _ORDER)
            field = self._inside(at, name)
            old, new = original.get(name), patch.get(name)
            for value in (old, new):
                if value is not None and not isinstance(value, list):
                    raise StrategicMergeError(f"expected a []interface {{}}, but received a {go_type(value)}")
            _check_order(new or [], order, field.merge_key)
            if old is None and new is None:
                continue
            patch.pop(name, None)
            server_order = list(old or [])
            if new is None:
                merged = old or []
            elif old is None:
                merged = [_clean(value) for value in new if not (isinstance(value, dict) and _DIRECTIVE in value)]
            else:
                merged = self._lists(old, new, field)
            original[name] = _in_order(merged, order, server_order, field.merge_key)


def _directive_of_map(patch: Json) -> Json:
    """``$patch`` in an object: replace it, or empty it."""
    match patch[_DIRECTIVE]:
        case "replace":
            return {key: _clean(value) for key, value in patch.items() if key != _DIRECTIVE}
        case "delete":
            return {}
        case other:
            raise StrategicMergeError(f"unknown patch type: {go_plain(other)} in map: {go_plain(patch)}")


def _directives_of_list(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """``$patch`` in elements: delete one from the list, or replace the list. Both lists without what was done."""
    plain: list[Any] = []
    deleted: set[Hashable] = set()
    replace = False
    for value in patch:
        match value.get(_DIRECTIVE):
            case None:
                plain.append(value)
            case "delete":
                if merge_key not in value:
                    raise _no_merge_key(value, merge_key)
                deleted.add(_key(value[merge_key]))
            case "replace":
                replace = True
            case "merge":
                raise StrategicMergeError("merging lists cannot yet be specified in the patch")
            case other:
                raise StrategicMergeError(f"unknown patch type: {go_plain(other)} in map: {go_plain(value)}")
    if replace:
        return [_clean(value) for value in plain], []
    return [value for value in original if _key(value.get(merge_key)) not in deleted], plain


def _retain_keys(original: Json, patch: Json) -> None:
    """``$retainKeys``: drop all fields but these."""
    if _RETAIN_KEYS not in patch:
        return
    listed = patch.pop(_RETAIN_KEYS)
    if not isinstance(listed, list):
        raise StrategicFormatError("invalid patch format of retainKeys")
    retained = {_key(name) for name in listed}
    for key, value in patch.items():
        if value is not None and not key.startswith((_DELETE_FROM, _ORDER)) and key not in retained:
            raise StrategicFormatError("invalid patch format of retainKeys")
    for key in [key for key in original if key not in retained]:
        del original[key]


def _field_of(directive: str, prefix: str) -> str:
    """The field that a directive like ``$setElementOrder/FIELD`` speaks of."""
    head, slash, name = directive.partition("/")
    if head != prefix or not slash:
        what = "primitive list" if prefix == _DELETE_FROM else "setElementOrder list"
        raise StrategicFormatError(f"invalid patch format of {what}")
    return name


def _check_elements(original: list[Any], patch: list[Any]) -> None:
    """All elements must be objects, or all plain values of one type."""
    kinds = {go_type(value) for value in (*original, *patch)}
    if len(kinds) > 1:
        raise StrategicMergeError(f"list element types are not identical: {', '.join(sorted(kinds))}")
    if kinds == {"[]interface {}"}:
        raise StrategicMergeError("lists of lists are not supported")


def _check_order(patch: list[Any], order: list[Any], merge_key: str) -> None:
    """The elements of the patch must stand in the same order in ``$setElementOrder``."""
    wanted = [value for value in patch if not (isinstance(value, dict) and value.get(_DIRECTIVE) == "delete")]
    if not wanted or not order:
        return
    remaining = iter(order)
    for value in wanted:
        identity = _identity(value, merge_key)
        if not any(_identity(other, merge_key) == identity for other in remaining):
            raise StrategicMergeError(
                f"The order in patch list:\n{go_plain(patch)}\n doesn't match {_ORDER} list:\n{go_plain(order)}\n"
            )


def _in_order(merged: list[Any], patch: list[Any], server_order: list[Any], merge_key: str) -> list[Any]:
    """Bring `merged` into the order of the patch and, for what only the server has, of the server (STRATEGIC-3)."""
    in_patch = _places(patch, merge_key)
    on_server = _places(server_order, merge_key)
    from_patch = [value for value in merged if _identity(value, merge_key) in in_patch]
    server_only = [value for value in merged if _identity(value, merge_key) not in in_patch]
    from_patch.sort(key=lambda value: in_patch[_identity(value, merge_key)])
    server_only.sort(key=lambda value: on_server.get(_identity(value, merge_key), len(on_server)))
    ordered: list[Any] = []
    waiting = iter(from_patch)
    next_of_patch = next(waiting, None)
    for value in server_only:
        place = on_server.get(_identity(value, merge_key), -1)
        while next_of_patch is not None:
            other = on_server.get(_identity(next_of_patch, merge_key), -1)
            if 0 <= place < other:
                break
            ordered.append(next_of_patch)
            next_of_patch = next(waiting, None)
        ordered.append(value)
    if next_of_patch is not None:
        ordered.append(next_of_patch)
    ordered.extend(waiting)
    return ordered


def _places(values: list[Any], merge_key: str) -> Mapping[Hashable, int]:
    return {_identity(value, merge_key): index for index, value in reversed(list(enumerate(values)))}


def _identity(value: Any, merge_key: str) -> Hashable:
    """Return the key that tells one element from another."""
    if isinstance(value, dict):
        if merge_key and merge_key not in value:
            raise _no_merge_key(value, merge_key)
        return _key(value.get(merge_key))
    return _key(value)


def _key(value: Any) -> Hashable:
    """A value as a key, where true isn't 1."""
    if isinstance(value, dict | list):
        return go_plain(value), type(value).__name__
    return (value, "bool") if isinstance(value, bool) else value


def _no_merge_key(value: Json, merge_key: str) -> StrategicMergeError:
    return StrategicMergeError(f"map: {go_plain(value)} does not contain declared merge key: {merge_key}")


def _clean(value: Any) -> Any:
    """A new value without directives and without nulls in objects (STRATEGIC-2)."""
    if isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            return {}
        cleaned = {}
        for key, inner in value.items():
            if (
                inner is not None
                and key not in (_DIRECTIVE, _RETAIN_KEYS)
                and not key.startswith((_DELETE_FROM, _ORDER))
            ):
                cleaned[key] = _clean(inner)
        return cleaned
    if isinstance(value, list):
        return [
            _clean(inner)
            for inner in value
            if not (isinstance(inner, dict) and inner.get(_DIRECTIVE) in ("delete", "replace"))
        ]
    return value
