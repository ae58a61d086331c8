"""The rules about values in a structural schema, and the reference's words for their violations.

Patterns are in `patterns`, formats in `formats`; every other rule takes time in proportion to the value. Rules in CEL
are judged in `rules`, lists that are sets or maps in `list_types`.

VALIDATE-1  Bounded: combined schemas can make much work of a small value. After `STEPS_MAX` places of a schema, the
            object is refused as too costly.
VALIDATE-2  Ratcheting: an unchanged part of an updated object isn't refused, where old and new parts can be matched
            (`correlation`).

If none of the schemas of anyOf or oneOf fits, the reference shows the errors of the one that fitted best;
`Outcome.matches` counts like the reference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.errors import FieldError, invalid, required, shown, too_long, unsupported
from pvbinder.server.kinds.definitions.correlation import Correlation
from pvbinder.server.kinds.definitions.numbers import check_number
from pvbinder.server.kinds.definitions.structure import Structure
from pvbinder.server.kinds.validation.patterns import TooLongToMatch, matches
from pvbinder.server.kinds.validation.text_formats import follows, known_format
from pvbinder.server.objects.kind import Json

STEPS_MAX: Final = 1_000_000  # about two microseconds each
NOWHERE: Final = "<nil>"
_GO_FORMATS: Final = {"integer": "int64", "number": "float64"}


class TooCostlyError(PvbinderError):
    """The object would take too long to validate (VALIDATE-1)."""


class Steps:
    """The steps that are left for validating one object."""

    def __init__(self, most: int = STEPS_MAX) -> None:
        self._left = most

    def take(self, count: int) -> None:
        """Take some steps; raises TooCostlyError when there are not enough left (VALIDATE-1)."""
        self._left -= count
        if self._left < 0:
            raise TooCostlyError("the object is too costly to be validated against its schema")


@dataclass(slots=True)
class Outcome:
    """The errors of a value, and the number of rules that were checked."""

    errors: list[FieldError] = field(default_factory=list)
    matches: int = 0

    def merge(self, other: Outcome) -> None:
        """Add the outcome of another place."""
        self.errors += other.errors
        self.matches += other.matches


def check_value(
    value: Any, structure: Structure, path: str, steps: Steps | None = None, old: Correlation | None = None
) -> Iterable[FieldError]:
    """Return the errors of a value, in the order of the reference; raises TooCostlyError beyond its `steps`."""
    return _ratcheted(value, structure, path, steps or Steps(), old).errors


def under(prefix: str, errors: Iterable[FieldError]) -> Iterator[FieldError]:
    """The errors of a value at a path of its own; the texts name the paths inside it."""
    for error in errors:
        yield FieldError(error.reason, prefix if error.field == NOWHERE else f"{prefix}.{error.field}", error.body)


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
        return "number"
    return "array" if isinstance(value, list) else "object"


def _ratcheted(value: Any, structure: Structure, path: str, steps: Steps, old: Correlation | None) -> Outcome:
    """Judge a value, and forgive its unchanged parts (VALIDATE-2)."""
    outcome = _judge(value, structure, path, steps, old)
    if outcome.errors and old is not None and old.is_same():
        return Outcome([], outcome.matches)
    return outcome


def _judge(value: Any, structure: Structure, path: str, steps: Steps, old: Correlation | None) -> Outcome:
    raw = structure.raw
    steps.take(1 + len(structure.required) + len(raw.get("enum") or ()))
    outcome = Outcome()
    _check_type(value, structure, path, outcome)
    if value is not None:
        if structure.has_combinations:
            _check_combinations(value, structure, path, steps, old, outcome)
        outcome.matches += 1
        if isinstance(value, str):
            outcome.errors += _check_text(value, raw, structure.format, path)
            outcome.matches += 1
        elif isinstance(value, int | float) and not isinstance(value, bool):
            outcome.errors += check_number(value, structure.types, raw, path, field_of(path))
            outcome.matches += 2
        elif isinstance(value, list):
            _check_list(value, structure, path, steps, old, outcome)
            outcome.matches += 2
    outcome.errors += _check_enum(value, raw, path)
    if isinstance(value, dict):
        _check_object(value, structure, path, steps, old, outcome)
    outcome.matches += 2
    return outcome


def field_of(path: str) -> str:
    """The field of an error whose text names `path`."""
    return path.removeprefix(".") or NOWHERE


def _check_type(value: Any, structure: Structure, path: str, outcome: Outcome) -> None:
    types, format_, kind = structure.types, structure.format, json_type(value)
    if value is None:
        if not types or structure.nullable:
            outcome.matches += 1
        else:
            outcome.errors.append(_wrong_type(path, ",".join(types), kind))
        return
    if not types and not format_:
        return
    fits = (
        kind in types
        or (kind == "integer" and "number" in types)
        or (kind == "number" and "integer" in types and float(value).is_integer())
    )
    if format_ and not fits and not isinstance(value, str | list):  # the error names the format instead of the type
        found = _GO_FORMATS.get(kind, "")
        fits = found == format_
        if not fits:
            outcome.errors.append(_wrong_type(path, format_, found))
            return
    if format_ and not fits and "integer" not in types and "number" not in types:
        fits = True  # of texts and lists, the format is checked instead of the type
    if fits:
        outcome.matches += 1
    else:
        outcome.errors.append(_wrong_type(path, ",".join(types), kind))


def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
    text = f"{path} in body must be of type {wanted}: {_quoted(found)}"
    return FieldError("FieldValueTypeInvalid", field_of(path), f"Invalid value: {shown(found)}: {text}")


def _check_text(value: str, raw: Json, format_: str, path: str) -> Iterator[FieldError]:
    name = field_of(path)
    error = _broken_length(value, raw, path, name) or _broken_pattern(value, raw.get("pattern"), path, name)
    if error is not None:
        yield error
    if known_format(format_) and not follows(format_, value):
        text = f"{path} in body must be of type {format_}: {_quoted(value)}"
        yield FieldError("FieldValueTypeInvalid", name, f"Invalid value: {shown(value)}: {text}")


def _broken_length(value: str, raw: Json, path: str, name: str) -> FieldError | None:
    longest, shortest = raw.get("maxLength"), raw.get("minLength")
    if isinstance(longest, int) and len(value) > longest:
        return too_long(name, longest)
    if isinstance(shortest, int) and len(value) < shortest:
        return invalid(name, value, f"{path} in body should be at least {shortest} chars long")
    return None


def _broken_pattern(value: str, pattern: Any, path: str, name: str) -> FieldError | None:
    try:
        if pattern and not matches(pattern, value):
            return invalid(name, value, f"{path} in body should match '{pattern}'")
    except TooLongToMatch:
        return invalid(name, value, f"{path} in body is too long to be matched with '{pattern}'")
    return None


def _check_enum(value: Any, raw: Json, path: str) -> Iterator[FieldError]:
    enum = raw.get("enum")
    if enum and (value is None or not any(json_equal(value, allowed) for allowed in enum)):
        names = [allowed if isinstance(allowed, str) else _as_json(allowed) for allowed in enum]
        yield unsupported(field_of(path), value, names)


def json_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; 1 is 1.0, but true isn't 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _check_list(
    value: list[Any], structure: Structure, path: str, steps: Steps, old: Correlation | None, outcome: Outcome
) -> None:
    items, raw, name = structure.items, structure.raw, field_of(path)
    if items is not None:
        for index, inner in enumerate(value):
            before = None if old is None else old.index(index)
            outcome.merge(_ratcheted(inner, items, f"{path}[{index}]", steps, before))
    least, most = raw.get("minItems"), raw.get("maxItems")
    if isinstance(least, int) and len(value) < least:
        outcome.errors.append(invalid(name, len(value), f"{path} in body should have at least {least} items"))
    if isinstance(most, int) and len(value) > most:
        outcome.errors.append(_too_many(name, len(value), most))


def _check_object(
    value: Json, structure: Structure, path: str, steps: Steps, old: Correlation | None, outcome: Outcome
) -> None:
    raw, name = structure.raw, field_of(path)
    least, most = raw.get("minProperties"), raw.get("maxProperties")
    if isinstance(least, int) and len(value) < least:
        outcome.errors.append(invalid(name, len(value), f"{path} in body should have at least {least} properties"))
    if isinstance(most, int) and len(value) > most:
        outcome.errors.append(_too_many(name, len(value), most))
    properties = structure.properties
    for key, inner in value.items():
        if key in properties:
            continue
        if structure.allows_no_more:
            outcome.errors.append(invalid(name, key, f"{path}.{key} in body is a forbidden property"))
        elif structure.additional is not None:
            before = None if old is None else old.key(key)
            outcome.merge(_ratcheted(inner, structure.additional, f"{path}.{key}", steps, before))
    for key, known in properties.items():
        if key in value:
            before = None if old is None or (not path and key in ("kind", "apiVersion")) else old.key(key)
            outcome.merge(_ratcheted(value[key], known, f"{path}.{key}" if path else key, steps, before))
    outcome.errors += (required(field_of(f"{path}.{key}")) for key in structure.required if key not in value)


def _too_many(name: str, found: int, most: int) -> FieldError:
    return FieldError("FieldValueTooMany", name, f"Too many: {found}: must have at most {most} items")


def _check_combinations(
    value: Any, structure: Structure, path: str, steps: Steps, old: Correlation | None, outcome: Outcome
) -> None:
    quoted = _quoted(path)
    if structure.any_of:
        _check_any([_judge(value, each, path, steps, old) for each in structure.any_of], quoted, outcome)
    if structure.one_of:
        _check_one([_judge(value, each, path, steps, old) for each in structure.one_of], quoted, outcome)
    if structure.all_of:
        found = [_judge(value, each, path, steps, old) for each in structure.all_of]
        for each in found:
            outcome.merge(each)
        fitting = sum(not each.errors for each in found)
        if fitting != len(found):
            none = "" if fitting else ". None validated"
            outcome.errors.append(_broken(f"{quoted} must validate all the schemas (allOf){none}"))
    if structure.forbidden is not None and not _judge(value, structure.forbidden, path, steps, old).errors:
        outcome.errors.append(_broken(f"{quoted} must not validate the schema (not)"))


def _check_any(found: list[Outcome], quoted: str, outcome: Outcome) -> None:
    first = next((each for each in found if not each.errors), None)
    if first is not None:
        outcome.merge(first)
        return
    outcome.errors.append(_broken(f"{quoted} must validate at least one schema (anyOf)"))
    outcome.merge(max(found, key=lambda each: each.matches))


def _check_one(found: list[Outcome], quoted: str, outcome: Outcome) -> None:
    fitting = [each for each in found if not each.errors]
    if len(fitting) == 1:
        outcome.merge(fitting[0])
        return
    how = f"Found {len(fitting)} valid alternatives" if fitting else "Found none valid"
    outcome.errors.append(_broken(f"{quoted} must validate one and only one schema (oneOf). {how}"))
    if not fitting:
        outcome.merge(max(found, key=lambda each: each.matches))


def _broken(text: str) -> FieldError:
    return invalid(NOWHERE, "", text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _as_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
