"""The rules in CEL of a schema, tried on objects.

RULES-3  Bounded: one rule may cost `RULE_COST_MAX`, and all rules of an object together `OBJECT_COST_MAX`; beyond that
         no more rules are tried, and the object is refused.
RULES-4  A rule that reads the old value is tried only where there is an old value, unless it sets `optionalOldSelf`.
RULES-5  A rule that an unchanged part of an object breaks is a warning, no error (JUDGEMENT-2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pvbinder.server.errors import FieldError, forbidden, invalid, required, shown
from pvbinder.server.kinds.cel.environment import Compiled
from pvbinder.server.kinds.cel.errors import CelError, CostExceededError
from pvbinder.server.kinds.cel.program import EvaluationError
from pvbinder.server.kinds.cel.values import NONE, Optional
from pvbinder.server.kinds.definitions.compiled_rule import OLD_SELF, SELF, CompiledRule, compile_rule
from pvbinder.server.kinds.definitions.correlation import Correlation, OldItems
from pvbinder.server.kinds.definitions.rule_types import schema_type
from pvbinder.server.kinds.definitions.rule_values import rule_value
from pvbinder.server.kinds.definitions.structure import Structure, read_structure
from pvbinder.server.objects.kind import Json

RULE_COST_MAX: Final = 1_000_000
OBJECT_COST_MAX: Final = 10_000_000
LIGHT_COST_MAX: Final = 20_000  # some ten milliseconds of trials
_MESSAGE_BYTES_MAX: Final = 5 * 1024
_OUT_OF_BUDGET: Final = "validation failed due to running out of cost budget, no further validation rules will be run"


class _SpentError(Exception):
    """The rules have spent the cost that they may spend."""


@dataclass(slots=True)
class _Trial:
    """One object under trial: the cost that is left to spend, the errors and the warnings."""

    left: int = field(default_factory=lambda: OBJECT_COST_MAX)
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ratchet:
    """The part of the old object that a place corresponds to, and that of the nearest place above it."""

    here: Correlation | None = None
    above: Correlation | None = None

    def key(self, name: str) -> _Ratchet:
        if self.here is None:
            return self
        if self.above is None and name in ("apiVersion", "kind"):
            return _Ratchet()
        return _Ratchet(self.here.key(name), self.here)

    def index(self, at: int) -> _Ratchet:
        return self if self.here is None else _Ratchet(self.here.index(at), self.here)

    @property
    def forgives(self) -> bool:
        """Whether the value at this place is unchanged."""
        same = self.here if self.here is not None else self.above
        return same is not None and same.is_same()


def has_rules(schema: Any) -> bool:
    """Whether a place of a schema has a rule, or a place inside it."""
    if not isinstance(schema, dict):
        return False
    inner = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.get("x-kubernetes-validations")) or any(map(has_rules, inner))


@dataclass(slots=True)
class _Place:
    """The rules at a place of a schema, and the places inside it that have some."""

    schema: Json
    is_root: bool
    structure: Structure
    rules: list[CompiledRule]
    broken: str
    items: _Place | None = None
    additional: _Place | None = None
    properties: dict[str, _Place] = field(default_factory=dict)


class SchemaRules:
    """All rules of a schema."""

    def __init__(self, schema: Json, *, is_root: bool = True) -> None:
        self._root = _place(schema, is_root=is_root)

    @property
    def is_costly(self) -> bool:
        """Whether a small object may take long to try."""
        return _cost_max(self._root) > LIGHT_COST_MAX

    def judge(self, new: Json, old: Json | None, same: Correlation | None) -> tuple[list[FieldError], list[str]]:
        """Return errors for the rules that an object breaks, and warnings for those that its unchanged parts break."""
        trial = _Trial()
        self._try(trial, "", new, old, _Ratchet(same))
        return trial.errors, trial.warnings

    def judge_at(self, path: str, new: Any, old: Any) -> list[FieldError]:
        """Return the errors of the value at a path."""
        trial = _Trial()
        self._try(trial, path, new, old, _Ratchet())
        return trial.errors

    def _try(self, trial: _Trial, path: str, new: Any, old: Any, ratchet: _Ratchet) -> None:
        try:
            if self._root is not None:
                _try_place(self._root, path, new, old, ratchet, trial)
        except _SpentError:
            pass


def _place(schema: Any, *, is_root: bool) -> _Place | None:
    """Compile the rules at a place and inside it; None where there are none."""
    if not has_rules(schema):
        return None
    type_ = schema_type(schema, is_root=is_root)
    declared = schema.get("x-kubernetes-validations") or []
    rules = [compile_rule(rule, schema, type_) for rule in declared] if type_ is not None else []
    broken = "" if type_ is not None or not declared else "failed to convert to declType for CEL validation rules"
    place = _Place(schema, is_root, read_structure({**schema, "properties": None, "items": None}), rules, broken)
    place.items = _inner(schema.get("items"))
    place.additional = _inner(schema.get("additionalProperties"))
    for name, inner in (schema.get("properties") or {}).items():
        found = _inner(inner)
        if found is not None:
            place.properties[name] = found
    return place


def _cost_max(place: _Place | None) -> int:
    """The most that the rules at a place and inside it cost, each tried once."""
    if place is None:
        return 0
    own = sum(rule.program.cost_max for rule in place.rules if rule.program is not None)
    return own + sum(map(_cost_max, [place.items, place.additional, *place.properties.values()]))


def _inner(schema: Any) -> _Place | None:
    embedded = isinstance(schema, dict) and bool(schema.get("x-kubernetes-embedded-resource"))
    return _place(schema, is_root=embedded)


def _try_place(place: _Place, path: str, new: Any, old: Any, ratchet: _Ratchet, trial: _Trial) -> None:
    if new is None:
        return
    if place.rules or place.broken:
        _try_rules(place, path, new, old, ratchet, trial)
    if isinstance(new, list) and place.items is not None:
        before = OldItems(place.structure, old)
        for at, item in enumerate(new):
            _try_place(place.items, f"{path}[{at}]", item, before.get(item), ratchet.index(at), trial)
    elif isinstance(new, dict):
        known = old if isinstance(old, dict) else {}
        if place.additional is not None:
            for key, inner in new.items():
                _try_place(place.additional, f"{path}[{key}]", inner, known.get(key), ratchet.key(key), trial)
        for name, inner_place in place.properties.items():
            if name in new:
                where = f"{path}.{name}" if path else name
                _try_place(inner_place, where, new[name], known.get(name), ratchet.key(name), trial)


def _try_rules(place: _Place, path: str, new: Any, old: Any, ratchet: _Ratchet, trial: _Trial) -> None:
    here, type_ = path or "<nil>", str(place.schema.get("type") or "")
    if place.broken:
        trial.errors.append(invalid(here, type_, f"rule compiler initialization error: {place.broken}"))
        return
    if trial.left <= 0:
        trial.errors.append(invalid(here, type_, _OUT_OF_BUDGET))
        raise _SpentError
    mine = rule_value(new, place.schema, is_root=place.is_root)
    uses_old = any(rule.uses_old for rule in place.rules)
    before = rule_value(old, place.schema, is_root=place.is_root) if uses_old and old is not None else None
    for rule in place.rules:
        if rule.wrong:
            trial.errors.append(invalid(here, type_, f"rule compile error: {rule.wrong}"))
            continue
        if rule.program is None or (rule.uses_old and old is None and not rule.takes_no_old):
            continue  # RULES-4
        scope: Json = {SELF: mine}
        if rule.takes_no_old:
            scope[OLD_SELF] = NONE if old is None else Optional(True, before)
        elif old is not None:
            scope[OLD_SELF] = before
        holds = _evaluate(rule, rule.program, scope, here, type_, trial)
        if holds is False:
            _tell(rule, scope, path, new, type_, not rule.uses_old and ratchet.forgives, trial)


def _evaluate(rule: CompiledRule, program: Compiled, scope: Json, here: str, type_: str, trial: _Trial) -> bool | None:
    """Whether a rule holds; None after an error of its evaluation, which is noted."""
    try:
        value, cost = program.program.run(scope, RULE_COST_MAX)
    except CostExceededError as error:
        if trial.left < RULE_COST_MAX:
            trial.errors.append(invalid(here, type_, _OUT_OF_BUDGET))
        else:
            why = f"'{error.message}': no further validation rules will be run due to call cost exceeds limit for rule"
            trial.errors.append(invalid(here, type_, f"{why}: {rule.text}"))
        raise _SpentError from None
    except EvaluationError as error:
        _spend(trial, error.cost, here, type_)
        if error.message.startswith("no such overload"):
            why = f"'{error.message}': call arguments did not match a supported operator, function or macro signature"
            trial.errors.append(invalid(here, type_, f"{why} for rule: {rule.text}"))
        else:
            trial.errors.append(invalid(here, type_, f"{error.message} evaluating rule: {rule.text}"))
        return None
    _spend(trial, cost, here, type_)
    return value is True


def _spend(trial: _Trial, cost: int, here: str, type_: str) -> None:
    """Take a cost from the trial's budget (RULES-3)."""
    if cost > trial.left:
        trial.errors.append(invalid(here, type_, _OUT_OF_BUDGET))
        raise _SpentError
    trial.left -= cost


def _tell(rule: CompiledRule, scope: Json, path: str, value: Any, type_: str, is_forgiven: bool, trial: _Trial) -> None:
    """Note an error for a broken rule, or a warning (RULES-5)."""
    where = (f"{path}.{rule.field}" if path else rule.field) if rule.field else path
    message, stop = _message(rule, scope, trial)
    if stop:
        error = invalid(where or "<nil>", type_, stop)
    else:
        error = _error(where or "<nil>", value, message, rule.rule.get("reason"), hides=type_ in ("object", "array"))
    if is_forgiven:
        trial.warnings.append(str(error))
    else:
        trial.errors.append(error)
    if stop:
        raise _SpentError


def _error(where: str, value: Any, message: str, reason: Any, *, hides: bool) -> FieldError:
    match reason:
        case "FieldValueForbidden":
            return forbidden(where, message)
        case "FieldValueRequired":
            return required(where, message)
        case "FieldValueDuplicate":
            return FieldError("FieldValueDuplicate", where, "Duplicate value" + ("" if hides else f": {shown(value)}"))
        case _ if hides:
            return FieldError("FieldValueInvalid", where, f"Invalid value: {message}")
        case _:
            return invalid(where, value, message)


def _message(rule: CompiledRule, scope: Json, trial: _Trial) -> tuple[str, str]:
    """The message of a broken rule, or the reason to try no more rules."""
    given = str(rule.rule.get("message") or "")
    fallback = given.strip() if given else f"failed rule: {rule.text}"
    if rule.message is None:
        return fallback, ""
    source = shown(rule.rule.get("messageExpression"))
    try:
        value, cost = rule.message.program.run(scope, RULE_COST_MAX)
    except CostExceededError:
        return (
            "",
            f"no further validation rules will be run due to call cost exceeds limit for messageExpression: {source}",
        )
    except EvaluationError as error:
        trial.left -= min(error.cost, trial.left)
        return fallback, ""
    except CelError:
        return fallback, ""
    if cost > trial.left:
        why = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will"
        return "", f"{why} be run"
    trial.left -= cost
    text = value.strip() if isinstance(value, str) else ""
    fits = text and len(text.encode()) <= _MESSAGE_BYTES_MAX and "\n" not in text
    return (text if fits else fallback), ""
