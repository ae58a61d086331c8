"""All rules in CEL of a schema, compiled when its definition is written, so that wrong rules are refused at once.

RULES-1  A rule that doesn't compile is refused with its place and the reference's words.
RULES-2  A rule that might cost too much is refused: one alone, and all of a schema together.
"""

from __future__ import annotations

from typing import Any, Final

from pvbinder.server.errors import FieldError, forbidden, invalid
from pvbinder.server.kinds.cel.ranges import UNBOUNDED
from pvbinder.server.kinds.definitions.compiled_rule import CompiledRule, compile_rule
from pvbinder.server.kinds.definitions.internal_definition import quoted_rule
from pvbinder.server.kinds.definitions.rule_types import REQUEST_BYTES_MAX, SchemaType, schema_type
from pvbinder.server.kinds.definitions.rules import SchemaRules, has_rules
from pvbinder.server.kinds.definitions.schema_rules import Context
from pvbinder.server.objects.kind import Json

RULE_COST_MAX: Final = 10_000_000
SCHEMA_COST_MAX: Final = 100_000_000
_MOST_EXPENSIVE: Final = 4
_HINT: Final = (
    "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared"
)
_NO_TYPES: Final = (
    "internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert "
    "structural schema to CEL declarations"
)


class RuleCompiler:
    """The rules of one schema; `any_cost`: each rule may cost any amount, as the schema is stored already."""

    def __init__(self, schema: Json, *, any_cost: bool) -> None:
        self._schema = schema
        self._any_cost = any_cost
        self._total = 0
        self._expensive: list[tuple[int, str]] = []

    def compile_at(self, schema: Json, path: str, at: Context) -> list[FieldError]:
        """Compile the rules of one place (RULES-1, RULES-2)."""
        place, count = self._place(at.way or ())
        if place is None:
            return [FieldError("InternalError", f"{path}.x-kubernetes-validations", f"Internal error: {_NO_TYPES}")]
        if count is None:
            count = REQUEST_BYTES_MAX // (place.octets_min + 1)
        errors: list[FieldError] = []
        for index, rule in enumerate(schema["x-kubernetes-validations"]):
            where = f"{path}.x-kubernetes-validations[{index}]"
            compiled = compile_rule(rule, schema, place)
            errors += self._judge(compiled, where, count, at.unrelated)
        return errors

    def try_on_default(self, schema: Json, default: Any, path: str, embedded: bool) -> list[FieldError]:
        """Return the errors of a default by the rules, as a new value and as an old one."""
        if not has_rules(schema):
            return []
        rules = SchemaRules(schema, is_root=embedded)
        return rules.judge_at(path, default, default) or rules.judge_at(path, default, None)

    def total(self, path: str) -> list[FieldError]:
        """Return the error if all rules together might cost too much (RULES-2)."""
        if self._total <= SCHEMA_COST_MAX:
            return []
        why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        errors = [forbidden(where, why) for _, where in self._expensive]
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        return [*errors, forbidden(path, _too_much(what, self._total, SCHEMA_COST_MAX))]

    def _place(self, way: tuple[str, ...]) -> tuple[SchemaType | None, int | None]:
        """The type that rules see at a place, and the most values that may be there; None without a bound."""
        schema, count = self._schema, 1
        bounded = True
        found = schema_type(schema, is_root=True) if not way else None
        for number, step in enumerate(way):
            most = _elements_max(schema)
            bounded = bounded and most is not None
            count = min(count * (most or 0), UNBOUNDED)
            schema = _step(schema, step)
            if number == len(way) - 1:
                found = schema_type(schema, is_root=bool(schema.get("x-kubernetes-embedded-resource")))
        return found, count if bounded else None

    def _judge(self, compiled: CompiledRule, where: str, count: int, unrelated: str) -> list[FieldError]:
        errors: list[FieldError] = []
        rule, program = compiled.rule, compiled.program
        cost = min((program.cost_max if program is not None else 0) * count, UNBOUNDED)
        if cost > RULE_COST_MAX and not self._any_cost:
            errors.append(forbidden(f"{where}.rule", _too_much("estimated rule cost", cost, RULE_COST_MAX)))
        self._observe(cost, f"{where}.rule")
        if compiled.wrong:
            errors.append(invalid(f"{where}.rule", quoted_rule(rule), compiled.wrong))
        if compiled.wrong_message:
            errors.append(invalid(f"{where}.messageExpression", quoted_rule(rule), compiled.wrong_message))
        elif compiled.message is not None:
            cost = compiled.message.cost_max
            if cost > RULE_COST_MAX and not self._any_cost:
                why = _too_much("estimated messageExpression cost", cost, RULE_COST_MAX)
                errors.append(forbidden(f"{where}.messageExpression", why))
            self._observe(cost, f"{where}.messageExpression")
        if compiled.uses_old:
            if unrelated:
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {unrelated}"
                errors.append(invalid(f"{where}.rule", rule["rule"], why))
        elif rule.get("optionalOldSelf") is not None:
            why = "may not be set if oldSelf is not used in rule"
            errors.append(invalid(f"{where}.optionalOldSelf", rule["optionalOldSelf"], why))
        return errors

    def _observe(self, cost: int, where: str) -> None:
        self._total = min(self._total + cost, UNBOUNDED)
        if cost >= SCHEMA_COST_MAX // 100:
            self._expensive = sorted([*self._expensive, (cost, where)], key=lambda each: -each[0])[:_MOST_EXPENSIVE]


def _elements_max(schema: Json) -> int | None:
    """The most values that may be inside one value of a schema; None without a bound."""
    word = "maxItems" if schema.get("type") == "array" else "maxProperties"
    if schema.get("type") != "array" and (schema.get("type") != "object" or schema.get("additionalProperties") is None):
        return 1
    most = schema.get(word)
    return max(most, 0) if isinstance(most, int) else None


def _step(schema: Json, step: str) -> Json:
    if step == "[]":
        inner = schema.get("items")
    elif step == "{}":
        inner = schema.get("additionalProperties")
    else:
        inner = (schema.get("properties") or {}).get(step)
    return inner if isinstance(inner, dict) else {}


def _too_much(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} ({_HINT})"
