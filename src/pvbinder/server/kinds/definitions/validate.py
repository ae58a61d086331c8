"""The rules about values in a structural schema, and the reference's words for what breaks them.

Patterns are those of `patterns`; no other rule takes more than time in proportion to the value. CEL rules aren't
evaluated.

VALIDATE-1  Bounded: a value and a schema that are small can have much to do with each other, where schemas are
            combined. After `STEPS_MAX` places of a schema were looked at, the object is refused as too costly.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import FieldError, duplicate, invalid, required, shown, too_long, unsupported
from pvbinder.server.kinds.definitions.patterns import TooLongToMatch, matches
from pvbinder.server.kinds.definitions.structure import Structure
from pvbinder.server.objects.kind import Json

_LABEL: Final = "[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)


STEPS_MAX: Final = 1_000_000  # about two microseconds each


class TooCostlyError(PvbinderError):
    """An object that would take too long to be validated (VALIDATE-1)."""


class Steps:
    """How much of the work that one object may make is left."""

    def __init__(self, most: int = STEPS_MAX) -> None:
        self._left = most

    def take(self, count: int) -> None:
        """Take some; TooCostlyError when there are no more (VALIDATE-1)."""
        self._left -= count
        if self._left < 0:
            raise TooCostlyError("the object is too costly to be validated against its schema")


def check_value(value: Any, structure: Structure, path: str, steps: Steps | None = None) -> Iterator[FieldError]:
    """Say what is wrong with a value, in the order of the schema; TooCostlyError beyond its `steps`."""
    steps = steps or Steps()
    steps.take(1 + len(structure.required) + len(structure.raw.get("enum") or ()))
    name = path or "<nil>"
    if value is None and structure.nullable:
        return
    kind = json_type(value)
    if not _is_of_type(value, kind, structure):
        wanted = structure.type or "integer,string"
        yield _wrong_type(name, f"{path} in body must be of type {wanted}: {json.dumps(kind)}", kind)
        return
    yield from _check_rules(value, structure, path, name, steps)
    if isinstance(value, dict):
        yield from _check_object(value, structure, path, steps)
    elif isinstance(value, list):
        yield from _check_list(value, structure, path, steps)


def json_type(value: Any) -> str:
    """The JSON schema's name for the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return "array" if isinstance(value, list) else "object"


def _is_of_type(value: Any, kind: str, structure: Structure) -> bool:
    if structure.int_or_string:
        return kind in ("integer", "string")
    if not structure.type:
        return True
    return kind == structure.type or (kind == "integer" and structure.type == "number")


def _wrong_type(name: str, text: str, value: object) -> FieldError:
    return FieldError("FieldValueTypeInvalid", name, f"Invalid value: {shown(value)}: {text}")


def _check_object(value: Json, structure: Structure, path: str, steps: Steps) -> Iterator[FieldError]:
    for key in structure.required:
        if key not in value:
            yield required(f"{path}.{key}" if path else key)
    for key, inner in value.items():
        known = structure.properties.get(key) or structure.additional
        if known is not None:
            yield from check_value(inner, known, f"{path}.{key}" if path else key, steps)


def _check_list(value: list[Any], structure: Structure, path: str, steps: Steps) -> Iterator[FieldError]:
    if structure.items is not None:
        for index, inner in enumerate(value):
            yield from check_value(inner, structure.items, f"{path}[{index}]", steps)
    if structure.list_type in ("set", "map"):
        seen: set[str] = set()
        for index, inner in enumerate(value):
            identity: Any = inner
            if structure.list_type == "map":
                if not isinstance(inner, dict):
                    continue
                identity = {key: inner.get(key) for key in structure.list_keys}
            text = json.dumps(identity, sort_keys=True)
            if text in seen:
                yield duplicate(f"{path}[{index}]", identity)
            seen.add(text)


def _check_rules(value: Any, structure: Structure, path: str, name: str, steps: Steps) -> Iterator[FieldError]:
    """The rules that stand at this place of the schema."""
    raw = structure.raw
    if isinstance(value, str):
        yield from _check_text(value, raw, path, name)
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int | float):
        yield from _check_number(value, raw, path, name)
    elif isinstance(value, list):
        yield from _check_count(value, raw, path, name, "minItems", "maxItems", "items")
        if raw.get("uniqueItems") and len({json.dumps(inner, sort_keys=True) for inner in value}) < len(value):
            yield invalid(name, value, f"{path} in body shouldn't contain duplicates")
    elif isinstance(value, dict):
        yield from _check_count(value, raw, path, name, "minProperties", "maxProperties", "properties")
    enum = raw.get("enum")
    if enum and not any(type(value) is type(allowed) and value == allowed for allowed in enum):
        names = [allowed if isinstance(allowed, str) else json.dumps(allowed) for allowed in enum]
        yield unsupported(name, value, names)
    yield from _check_combinations(value, structure, path, steps)


def _check_text(value: str, raw: Json, path: str, name: str) -> Iterator[FieldError]:
    longest, shortest = raw.get("maxLength"), raw.get("minLength")
    if isinstance(longest, int) and len(value) > longest:
        yield too_long(name, longest)
    if isinstance(shortest, int) and len(value) < shortest:
        yield invalid(name, value, f"{path} in body should be at least {shortest} chars long")
    pattern = raw.get("pattern")
    try:
        if pattern and not matches(pattern, value):
            yield invalid(name, value, f"{path} in body should match '{pattern}'")
    except TooLongToMatch:
        yield invalid(name, value, f"{path} in body is too long to be matched with '{pattern}'")
    format_ = raw.get("format")
    if format_ in _FORMATS and not _follows(format_, value):
        yield _wrong_type(name, f"{path} in body must be of type {format_}: {json.dumps(value)}", value)


def _check_number(value: float, raw: Json, path: str, name: str) -> Iterator[FieldError]:
    low, high, factor = raw.get("minimum"), raw.get("maximum"), raw.get("multipleOf")
    if low is not None and (value < low or (raw.get("exclusiveMinimum") and value == low)):
        how = "greater than" if raw.get("exclusiveMinimum") else "greater than or equal to"
        yield invalid(name, value, f"{path} in body should be {how} {_number(low)}")
    if high is not None and (value > high or (raw.get("exclusiveMaximum") and value == high)):
        how = "less than" if raw.get("exclusiveMaximum") else "less than or equal to"
        yield invalid(name, value, f"{path} in body should be {how} {_number(high)}")
    if factor and not math.isclose(math.remainder(value, factor), 0, abs_tol=1e-9):
        yield invalid(name, value, f"{path} in body should be a multiple of {_number(factor)}")
    bits = {"int32": 31, "int64": 63}.get(raw.get("format", ""))
    if bits and isinstance(value, int) and not -(2**bits) <= value < 2**bits:
        yield invalid(name, value, f"Checked value must be of type {raw['format']} in {path}")


def _check_count(value: Any, raw: Json, path: str, name: str, least: str, most: str, what: str) -> Iterator[FieldError]:
    low, high = raw.get(least), raw.get(most)
    if isinstance(low, int) and len(value) < low:
        yield invalid(name, value, f"{path} in body should have at least {low} {what}")
    if isinstance(high, int) and len(value) > high:
        yield FieldError("FieldValueTooMany", name, f"Too many: {len(value)}: must have at most {high} items")


def _check_combinations(value: Any, structure: Structure, path: str, steps: Steps) -> Iterator[FieldError]:
    def fits(schema: Structure) -> bool:
        return next(check_value(value, schema, path, steps), None) is None

    quoted = json.dumps(path)
    if structure.any_of and not any(map(fits, structure.any_of)):
        yield invalid("<nil>", "", f"{quoted} must validate at least one schema (anyOf)")
    if structure.one_of:
        fitting = sum(map(fits, structure.one_of))
        if fitting != 1:
            found = "Found none valid" if not fitting else f"Found {fitting} valid alternatives"
            yield invalid("<nil>", "", f"{quoted} must validate one and only one schema (oneOf). {found}")
    for schema in structure.all_of:
        yield from check_value(value, schema, path, steps)
    if structure.forbidden is not None and fits(structure.forbidden):
        yield invalid("<nil>", "", f"{quoted} must not validate the schema (not)")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _follows(format_: str, value: str) -> bool:
    try:
        return bool(_FORMATS[format_](value))
    except (ValueError, binascii.Error, OverflowError):
        return False


def _is_date(value: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", value)) and bool(datetime.fromisoformat(value))


def _is_moment(value: str) -> bool:
    shape = re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", value)
    return shape is not None and bool(datetime.fromisoformat(re.sub(r"\.\d+", "", value.upper())))


def _is_uri(value: str) -> bool:
    return bool(urlsplit(value).scheme)


_FORMATS: Final[dict[str, Callable[[str], object]]] = {
    "byte": lambda value: base64.b64decode(value, validate=True) is not None,
    "date": _is_date,
    "date-time": _is_moment,
    "datetime": _is_moment,
    "email": lambda value: re.fullmatch(r"[^@\s]+@[^@\s]+", value),
    "hostname": lambda value: len(value) < 254 and _HOSTNAME.fullmatch(value),
    "ipv4": lambda value: str(ipaddress.IPv4Address(value)),
    "ipv6": lambda value: str(ipaddress.IPv6Address(value)),
    "cidr": lambda value: str(ipaddress.ip_network(value, strict=False)),
    "mac": lambda value: re.fullmatch(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}", value),
    "uri": _is_uri,
    "uuid": lambda value: str(UUID(value)),
}
