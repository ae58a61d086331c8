"""The simple paths of selectable fields and of rules: ``.spec.a``, ``.spec['a.b'].c``, checked against the schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.objects.kind import Json

_TOKEN: Final = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


class FieldPathError(PvbinderError):
    """The text is no path, or leads to no field of this schema; the message is the reference's."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A parsed path: its names, its form in messages, and the schema at its end."""

    steps: tuple[str, ...]
    text: str
    schema: Json


def read_field_path(path: str, schema: Json, *, allow_brackets: bool = True) -> FieldPath:
    """Parse a path that begins at a place in a schema; raises FieldPathError when there is no such field."""
    steps: list[str] = []
    shown = ""
    pieces = _TOKEN.findall(path)
    at = 0

    def take() -> str:
        nonlocal at
        if at >= len(pieces):
            raise FieldPathError("unexpected end of JSON path")
        at += 1
        return str(pieces[at - 1])

    while at < len(pieces):
        piece = take()
        if piece == "[":
            if not allow_brackets:
                raise FieldPathError("array notation is not allowed")
            quoted = take()
            if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
                raise FieldPathError(f"expected single quoted string but got {quoted}")
            name = _unescaped(quoted[1:-1])
            schema, is_named = _child(schema, name)
            if (end := take()) != "]":
                raise FieldPathError(f"expected ] but got {end}")
        elif piece == ".":
            name = take()
            schema, is_named = _child(schema, name)
        else:
            raise FieldPathError(f"expected [ or . but got: {piece}")
        steps.append(name)
        shown += (f".{name}" if shown else name) if is_named else f"[{name}]"
    return FieldPath(tuple(steps), shown, schema)


def _child(schema: Json, name: str) -> tuple[Json, bool]:
    """The schema of a field or key, and whether it is a field."""
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties:
        inner = properties.get(name)
        if not isinstance(inner, dict):
            raise FieldPathError("does not refer to a valid field")
        return inner, True
    if additional is None or additional is False:
        raise FieldPathError("does not refer to a valid field")
    return (additional if isinstance(additional, dict) else {}), False


def _unescaped(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise FieldPathError(f"invalid string literal: invalid escape char {found[0]}")
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(letter, text)
