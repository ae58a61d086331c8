"""All checks of a custom object, in the order of the reference: schema, scale, embedded objects, lists, rules.

JUDGEMENT-1  The whole object is judged as it is stored, metadata included.
JUDGEMENT-2  An unchanged part of an updated object isn't refused, where it can be told that it is unchanged
             (VALIDATE-2); a rule that it breaks becomes a warning.
JUDGEMENT-3  Rules aren't tried on an object with errors of shape, for which they weren't compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pvbinder.server.errors import FieldError, bounded, invalid
from pvbinder.server.kinds.definitions.correlation import Correlation
from pvbinder.server.kinds.definitions.custom_schema import CustomSchema
from pvbinder.server.kinds.definitions.embedded import check_embedded, has_embedded
from pvbinder.server.kinds.definitions.list_types import check_lists
from pvbinder.server.kinds.definitions.validate import NOWHERE, Steps, TooCostlyError, check_value, under
from pvbinder.server.objects.kind import Json

_INT_32_MAX: Final = 2**31 - 1
_BLOCKING: Final = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_NOT_CHECKED: Final = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


@dataclass(slots=True)
class Verdict:
    """The errors of an object, and its warnings."""

    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Judge:
    """Judges the objects of one version of a kind."""

    def __init__(self, schema: CustomSchema, scale: Json | None) -> None:
        self._schema = schema
        self._structure = schema.structure
        self._scale = scale
        self._embeds = has_embedded(schema.structure)
        self._last: tuple[Json, Json | None, Verdict] | None = None

    def create(self, obj: Json) -> list[FieldError]:
        """Return the errors of a new object."""
        return self._kept(obj, None, self._judge_new(obj)).errors

    def update(self, new: Json, old: Json) -> list[FieldError]:
        """Return the errors of a changed object (JUDGEMENT-2)."""
        return self._kept(new, old, self._judge_change(new, old)).errors

    def status(self, new: Json, old: Json) -> list[FieldError]:
        """Return the errors of an object whose status was written."""
        return self._kept(new, old, self._judge_status(new, old)).errors

    def warnings(self, new: Json, old: Json | None) -> list[str]:
        """Return the warnings of the object that was judged last."""
        last, self._last = self._last, None
        return last[2].warnings if last is not None and last[0] is new and last[1] is old else []

    def _kept(self, new: Json, old: Json | None, verdict: Verdict) -> Verdict:
        verdict.errors = bounded(verdict.errors)
        self._last = (new, old, verdict)
        return verdict

    def _judge_new(self, obj: Json) -> Verdict:
        whole = self._schema.in_version(obj)
        verdict = Verdict()
        verdict.errors += _bounded_check(whole, self._structure, None)
        verdict.errors += self._check_scale(whole, of_spec=True)
        verdict.errors += check_embedded(whole, self._structure) if self._embeds else ()
        verdict.errors += check_lists(whole, self._structure)
        self._try_rules(whole, None, None, verdict)
        return verdict

    def _judge_change(self, new: Json, old: Json) -> Verdict:
        whole, before = self._schema.in_version(new), self._schema.in_version(old)
        same = Correlation(whole, before, self._structure)
        verdict = Verdict()
        verdict.errors += _bounded_check(whole, self._structure, same)
        verdict.errors += self._check_scale(whole, of_spec=True)
        verdict.errors += check_embedded(whole, self._structure) if self._embeds else ()
        if next(check_lists(before, self._structure), None) is None:
            verdict.errors += check_lists(whole, self._structure)
        self._try_rules(whole, before, same, verdict)
        return verdict

    def _judge_status(self, new: Json, old: Json) -> Verdict:
        whole, before = self._schema.in_version(new), self._schema.in_version(old)
        same = Correlation(whole, before, self._structure)
        verdict = Verdict()
        known = self._structure.properties.get("status")
        if "status" in whole and known is not None:
            verdict.errors += under("status", _bounded_check(whole["status"], known, same.key("status")))
        verdict.errors += self._check_scale(whole, of_spec=False)
        if next(check_lists(before, self._structure), None) is None:
            verdict.errors += check_lists(whole, self._structure)
        self._try_rules(whole, before, same, verdict)
        return verdict

    def _try_rules(self, new: Json, old: Json | None, same: Correlation | None, verdict: Verdict) -> None:
        rules = self._schema.rules
        if rules is None:
            return
        if any(error.reason in _BLOCKING for error in verdict.errors):
            verdict.errors.append(invalid(NOWHERE, None, _NOT_CHECKED))  # JUDGEMENT-3
            return
        errors, warnings = rules.judge(new, old, same)
        verdict.errors += errors
        verdict.warnings += warnings

    def _check_scale(self, obj: Json, *, of_spec: bool) -> Iterator[FieldError]:
        scale = self._scale
        if scale is None:
            return
        if of_spec:
            yield from _check_count(obj, scale.get("specReplicasPath") or "")
        yield from _check_count(obj, scale.get("statusReplicasPath") or "")
        path = scale.get("labelSelectorPath")
        if path is not None:
            value, why = _at(obj, path)
            if not why and value is not None and not isinstance(value, str):
                why = _wrong_type(path, value, "string")
            if why:
                yield invalid(path, "", why)


def _bounded_check(value: Any, structure: Any, same: Correlation | None) -> list[FieldError]:
    try:
        return list(check_value(value, structure, "", Steps(), same))
    except TooCostlyError as error:
        return [FieldError("FieldValueInvalid", NOWHERE, f'Invalid value: "": {error.message}')]


def _check_count(obj: Json, path: str) -> Iterator[FieldError]:
    value, why = _at(obj, path)
    if not why and value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        why = _wrong_type(path, value, "int64")
    if why:
        yield invalid(path, 0, why)
    elif value is not None and value < 0:
        yield invalid(path, value, "should be a non-negative integer")
    elif value is not None and value > _INT_32_MAX:
        yield invalid(path, value, f"should be less than or equal to {_INT_32_MAX}")


def _at(obj: Json, path: str) -> tuple[Any, str]:
    """The value at a simple path, or the reason why there can't be one."""
    value: Any = obj
    for name in path.removeprefix(".").split("."):
        if value is None:
            return None, ""
        if not isinstance(value, dict):
            return None, _wrong_type(path, value, "map[string]interface {}")
        if name not in value:
            return None, ""
        value = value[name]
    return value, ""


def _wrong_type(path: str, value: Any, wanted: str) -> str:
    found = {bool: "bool", str: "string", int: "int64", float: "float64", list: "[]interface {}"}.get(type(value))
    shown = found or "map[string]interface {}"
    return f".{path.removeprefix('.')} accessor error: {value} is of the type {shown}, expected {wanted}"
