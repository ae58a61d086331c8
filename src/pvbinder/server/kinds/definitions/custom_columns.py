"""The columns of custom kinds: values found by a definition's JSON paths, within bounds for all columns of a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from pvbinder.server.kinds.definitions.json_path import JsonPathError, TooManyStepsError, read_json_path
from pvbinder.server.kinds.parts.columns import AGE, NAME, UNKNOWN, age_of
from pvbinder.server.objects.kind import Column, Json

ROW_STEPS_MAX: Final = 5_000  # values, looked at by all columns of a row together
CELL_STEPS_MIN: Final = 20
ROW_LETTERS_MAX: Final = 16_384  # characters in all columns of a row
CELL_LETTERS_MIN: Final = 64
INVALID: Final = "<invalid>"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_MORE: Final = "..."


def columns_of(version: Json) -> list[Column]:
    declared = version.get("additionalPrinterColumns") or []
    if not declared:
        return [NAME, Column(AGE.name, AGE.cell, "date", description=AGE.description)]
    return [NAME, *(_column(column, len(declared)) for column in declared)]


def _column(declared: Json, count: int) -> Column:
    path = declared.get("jsonPath", "")
    return Column(
        declared["name"],
        _cell(path, declared.get("type", "string"), count),
        type=declared.get("type", "string"),
        format=declared.get("format", ""),
        description=declared.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
        priority=declared.get("priority", 0),
    )


def _cell(text: str, type_: str, count: int) -> Callable[[Json, datetime], object]:
    """Return the cell of one of `count` columns; empty where the path finds no value of the column's type.

    The columns of a row share its bounds; a text beyond them ends with dots.
    """
    try:
        path = read_json_path(text)
    except JsonPathError:
        return lambda _obj, _now: None
    steps_max = max(CELL_STEPS_MIN, ROW_STEPS_MAX // count)
    room = max(CELL_LETTERS_MIN, ROW_LETTERS_MAX // count)

    def cell(obj: Json, now: datetime) -> object:
        try:
            found = path.find(obj, steps_max)
        except TooManyStepsError:
            return _MORE if type_ == "string" else None
        if not found:
            return None
        value = found[0]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        match type_:
            case "string":
                return "<no value>" if value is None else _joined([value], room)
            case "date" if isinstance(value, str):
                return _age(value, now)
            case "integer" if is_number:
                return int(value)
            case "number" if is_number:
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case _:
                return None

    return cell


def _age(value: str, now: datetime) -> str:
    """The age of a time that a user wrote."""
    if value not in ("", "null") and not _TIME.fullmatch(value):
        return INVALID
    age = age_of(value if value != "null" else "", now)
    return INVALID if value and age == UNKNOWN and value != "null" else age


def _joined(values: list[Any], room: int) -> str:
    """Return the text of a cell with these values, cut after `room` characters."""
    cell = _Cell(room)
    for number, value in enumerate(values):
        if number:
            cell.add(",")
        if not (cell.add(value[: room + 1]) if isinstance(value, str) else cell.add_json(value)):
            break
    return cell.text()


class _Cell:
    """The text of a cell as it grows: no more text of a large value is made than is shown."""

    __slots__ = ("_left", "_parts", "_room")

    def __init__(self, room: int) -> None:
        self._room = self._left = room
        self._parts: list[str] = []

    def add(self, piece: str) -> bool:
        """Add a piece; False if the cell is full."""
        self._parts.append(piece)
        self._left -= len(piece)
        return self._left >= 0

    def add_json(self, value: Any, before: str = "") -> bool:
        """Add the JSON of a value, after `before`; False if the cell is full."""
        if len(before) > self._left:
            return self.add(before)
        if isinstance(value, dict):
            before += "{"
            for name, inner in value.items():
                if not self.add_json(inner, f"{before}{_encoded(name[: self._room + 1])}:"):
                    return False
                before = ","
            return self.add("}" if value else f"{before}}}")
        if isinstance(value, list):
            before += "["
            for inner in value:
                if not self.add_json(inner, before):
                    return False
                before = ","
            return self.add("]" if value else f"{before}]")
        return self.add(before + (_encoded(value[: self._room + 1]) if isinstance(value, str) else _number(value)))

    def text(self) -> str:
        whole = "".join(self._parts)
        return whole if self._left >= 0 else f"{whole[: self._room]}{_MORE}"


def shown_value(value: object) -> str:
    return value if isinstance(value, str) else _encoded(value)


def _number(value: float | bool | None) -> str:
    """The JSON of a value that isn't a text, made by hand: an encoder would take long for so many."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


_encoded: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
