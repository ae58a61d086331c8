"""A whole policy: its variables in their order, and all expressions, compiled once.

POLICY-1  A variable sees those before it, and nothing sees one that is declared later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pvbinder.server.kinds.cel.types import Type
from pvbinder.server.kinds.policies.expressions import (
    ANYTHING,
    CONDITION,
    TEXT,
    TEXT_OR_NOTHING,
    Expression,
    compile_policy_expression,
)
from pvbinder.server.kinds.policies.variables import as_field, seen
from pvbinder.server.objects.kind import Json

_VARIABLES: Final = "kubernetes.variables"


class Composer:
    """Compiles the expressions of one policy, in their order; each variable is seen from then on (POLICY-1)."""

    def __init__(self, *, has_params: bool, has_variables: bool) -> None:
        self._has_params = has_params
        self._known: dict[str, Type] | None = {} if has_variables else None

    def variable(self, name: str, source: str) -> Expression:
        """Compile a variable, and let what follows see it."""
        made = self._compile(source, ANYTHING)
        if self._known is not None:
            self._known[name] = as_field(made.compiled.type if made.compiled is not None else None)
        return made

    def validation(self, source: str) -> Expression:
        """Compile a condition that every object must meet."""
        return self._compile(source, CONDITION)

    def message(self, source: str) -> Expression:
        """Compile what says the message: it can't ask what the user may do."""
        return self._compile(source, TEXT, has_authorizer=False)

    def annotation(self, source: str) -> Expression:
        """Compile the value of an annotation for audits."""
        return self._compile(source, TEXT_OR_NOTHING)

    def match_condition(self, source: str) -> Expression:
        """Compile a condition on which the policy is asked at all: it sees no variables."""
        return compile_policy_expression(source, seen(has_params=self._has_params, has_authorizer=True), CONDITION)

    def _compile(self, source: str, wanted: tuple[Type, ...], *, has_authorizer: bool = True) -> Expression:
        variables = None if self._known is None else Type("object", _VARIABLES, fields=dict(self._known))
        types = seen(has_params=self._has_params, has_authorizer=has_authorizer, variables=variables)
        return compile_policy_expression(source, types, wanted)


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation of a policy."""

    condition: Expression
    message_expression: Expression | None
    message: str
    reason: str


class CompiledPolicy:
    """A policy that can be asked about writes."""

    def __init__(self, policy: Json) -> None:
        spec: Json = policy.get("spec") or {}
        self.name: str = policy["metadata"]["name"]
        self.fails: bool = spec.get("failurePolicy") != "Ignore"
        self.param_kind: Json | None = spec.get("paramKind")
        self.constraints: Json | None = spec.get("matchConstraints")
        declared = spec.get("variables") or ()
        composer = Composer(has_params=self.param_kind is not None, has_variables=True)
        self.match_conditions = tuple(
            composer.match_condition(_source(one)) for one in spec.get("matchConditions") or ()
        )
        self.variables = {one.get("name", ""): composer.variable(one.get("name", ""), _source(one)) for one in declared}
        self.validations = tuple(_validation(composer, one) for one in spec.get("validations") or ())
        self.annotations = tuple(
            composer.annotation(one.get("valueExpression", "")) for one in spec.get("auditAnnotations") or ()
        )

    @cached_property
    def asks_authorizer(self) -> bool:
        """Whether it may ask what somebody may do, which takes its time."""
        return any(expression.asks_authorizer for expression in self._expressions())

    def _expressions(self) -> Iterable[Expression]:
        yield from self.match_conditions
        yield from self.variables.values()
        yield from (validation.condition for validation in self.validations)
        yield from self.annotations


def _validation(composer: Composer, validation: Json) -> Validation:
    text = validation.get("messageExpression", "")
    return Validation(
        composer.validation(_source(validation)),
        composer.message(text) if text else None,
        validation.get("message", ""),
        validation.get("reason", ""),
    )


def _source(item: Json) -> str:
    return str(item.get("expression", ""))
