"""Sets of field paths in the form in which ``managedFields`` stores them, and their algebra.

A set is a tree of JSON objects: ``f:NAME`` is a field, ``k:{…}`` an element of a list by its keys, ``v:…`` one by its
value, ``i:N`` one by its index. An empty node is a path that is in the set; a node with children is in the set if
it also has ``.``. So ``{"f:data": {".": {}, "f:k": {}}}`` has two paths, ``.data`` and ``.data.k``.

FIELDSET-1  Nothing here changes its arguments; results share parts with the arguments, and an unchanged result is the
            argument itself.
FIELDSET-2  Costs follow the second argument: taking a few paths from a large set touches those paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

FieldSet: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

SELF: Final = "."
EMPTY: Final[FieldSet] = {}


def is_member(node: FieldSet) -> bool:
    """Whether the path of this node is in the set, not only paths below it."""
    return not node or SELF in node


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths in either; at the root only (see `_joined` for nodes)."""
    result = left
    for element, node in right.items():
        old = left.get(element)
        new = node if old is None else _joined(old, node)
        if new is not old:
            if result is left:
                result = dict(left)
            result[element] = new
    return result


def _joined(left: FieldSet, right: FieldSet) -> FieldSet:
    """The union of two nodes of one path."""
    if not right:
        return left if is_member(left) else {SELF: {}, **left}
    if not left:
        return right if is_member(right) else {SELF: {}, **right}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths in `left` that aren't in `right`; at the root only."""
    result = left
    for element, minus in right.items():
        node = left.get(element)
        if node is None or element == SELF:
            continue
        rest = _without(node, minus)
        if rest is not node:
            if result is left:
                result = dict(left)
            if rest is None:
                del result[element]
            else:
                result[element] = rest
    return result


def _without(node: FieldSet, minus: FieldSet) -> FieldSet | None:
    """One node less another; None if nothing is left."""
    if not node:
        return None if is_member(minus) else node
    rest = difference(node, minus) if minus else node
    if is_member(minus) and SELF in rest:
        rest = {element: inner for element, inner in rest.items() if element != SELF}
    if not rest:
        return None
    if rest is not node and len(rest) == 1 and SELF in rest:
        return EMPTY
    return rest


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """The paths in both; at the root only."""
    both: FieldSet = {}
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    for element, node in small.items():
        other = large.get(element)
        if other is None or element == SELF:
            continue
        inner = intersection(node, other) if node and other else {}
        if is_member(node) and is_member(other):
            both[element] = {SELF: {}, **inner} if inner else {}
        elif inner:
            both[element] = inner
    return both


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """All paths in the set: those of a level before those below it, each sorted."""
    elements = sorted((element for element in fields if element != SELF), key=_order)
    for element in elements:
        if is_member(fields[element]):
            yield (*prefix, element)
    for element in elements:
        if fields[element]:
            yield from paths(fields[element], (*prefix, element))


def of_paths(found: Iterable[Path]) -> FieldSet:
    """The set that has just these paths."""
    result: FieldSet = {}
    for path in found:
        node: FieldSet = {}
        for element in reversed(path):
            node = {element: node}
        result = union(result, node)
    return result


def shown_path(path: Path) -> str:
    """A path as the messages show it: ``.spec.containers[name="c"].image``."""
    return "".join(map(_shown_element, path))


def _shown_element(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = json.loads(rest)
            return "[" + ",".join(f"{name}={_shown_value(keys[name])}" for name in sorted(keys)) + "]"
        case "v":
            return f"[={_shown_value(json.loads(rest))}]"
        case _:
            return f"[{rest}]"


def _shown_value(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _order(element: str) -> tuple[int, str]:
    """Fields before keys before values before indexes."""
    return "fkvi".find(element[0]), element


def sorted_set(fields: FieldSet, stored: FieldSet = EMPTY) -> FieldSet:
    """The same set with its elements in order, as it is stored.

    `stored` is a set that is in order: what `fields` shares with it (FIELDSET-1) isn't looked into again.
    """
    if fields is stored:
        return fields
    in_order: FieldSet = {}
    for element in sorted(fields):
        node = fields[element]
        in_order[element] = sorted_set(node, stored.get(element, EMPTY)) if node else node
    return in_order


def is_valid(fields: Any) -> bool:
    """Whether this is a set at all; bounded by the depth of the object that it came in."""
    if not isinstance(fields, dict):
        return False
    for element, node in fields.items():
        if element == SELF:
            if node != {}:
                return False
        elif not _is_element(element) or not is_valid(node):
            return False
    return True


def _is_element(element: str) -> bool:
    kind, colon, rest = element.partition(":")
    if not colon:
        return False
    match kind:
        case "f":
            return True
        case "i":
            return rest.lstrip("-").isdigit()
        case "k" | "v":
            try:
                value = json.loads(rest)
            except (ValueError, RecursionError):
                return False
            return kind == "v" or isinstance(value, dict)
        case _:
            return False
