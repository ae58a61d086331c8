"""A policy asked about one write: what it sees, what that may cost, and what it says.

TRIAL-1  Bounded: an expression may cost `EXPRESSION_COST_MAX`, all of a policy `POLICY_COST_MAX`, its match conditions
         `MATCH_COST_MAX`. What would cost more is an error, and goes by the failure policy.
TRIAL-2  Where time is short (`Budget.light`) nothing costs more than that budget: `TakesLongError` ends the trial, and
         nothing has happened yet. The same trial without a light budget says what the policy says.
TRIAL-3  A variable is found out when it is looked at, once for each group of expressions, and costs what it costs then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pvbinder.model.errors import PvbinderError
from pvbinder.server.kinds.cel.environment import Compiled
from pvbinder.server.kinds.cel.errors import CelError, CostExceededError
from pvbinder.server.kinds.cel.functions.authorizers import AccessQuestion, AuthorizerValue, ResourceCheck
from pvbinder.server.kinds.cel.program import EvaluationError
from pvbinder.server.kinds.policies import variables as names
from pvbinder.server.kinds.policies.expressions import Expression
from pvbinder.server.kinds.policies.policy import CompiledPolicy, Validation
from pvbinder.server.objects.kind import Json

EXPRESSION_COST_MAX: Final = 1_000_000
POLICY_COST_MAX: Final = 10_000_000
MATCH_COST_MAX: Final = 2_500_000
MESSAGE_BYTES_MAX: Final = 5 * 1024
_SPENT: Final = "validation failed due to running out of cost budget, no further validation rules will be run"


class TakesLongError(PvbinderError):
    """The trial costs more than there is time for here (TRIAL-2)."""


@dataclass(slots=True)
class Budget:
    """What may be spent in the loop's turn; None: as much as TRIAL-1 says, as nobody waits."""

    light: int | None = None

    def spend(self, cost: int) -> None:
        """Count what was spent."""
        if self.light is not None:
            self.light -= cost


@dataclass(frozen=True, slots=True)
class Sight:
    """What the expressions of a policy see of a write."""

    new: Json | None
    old: Json | None
    request: Json
    match_request: Json  # as match conditions see it: by the resource that was asked for
    namespace: Json | None
    params: Json | None
    authorizer: AuthorizerValue
    about: AccessQuestion  # the resource that is written

    def scope(self, *, for_matching: bool = False, has_authorizer: bool = True) -> Json:
        """Return the values by their names."""
        scope: Json = {
            names.OBJECT: self.new,
            names.OLD_OBJECT: self.old,
            names.REQUEST: self.match_request if for_matching else self.request,
            names.NAMESPACE: None if for_matching else self.namespace,
            names.PARAMS: self.params,
        }
        if has_authorizer:
            scope[names.AUTHORIZER_NAME] = self.authorizer
            scope[names.REQUEST_RESOURCE] = ResourceCheck(self.authorizer.ask, self.about)
        return scope


@dataclass(frozen=True, slots=True)
class Denial:
    """What a policy has against a write; `index` is that of the validation."""

    message: str
    reason: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What a policy says of a write: denials go by the binding's actions, errors of annotations always deny."""

    denials: tuple[Denial, ...] = ()
    annotation_errors: tuple[str, ...] = ()


class _SpentError(Exception):
    """All that may be spent has been."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The value of an expression, or its error; neither for one that isn't there."""

    value: Any = None
    error: str = ""


def ask(policy: CompiledPolicy, sight: Sight, budget: Budget) -> Findings:
    """Ask a policy about a write (TRIAL-1 to TRIAL-3)."""
    if policy.asks_authorizer and budget.light is not None:
        raise TakesLongError("somebody else is to be asked")
    try:
        if not _matches(policy, sight, budget):
            return Findings()
        denials = _validate(policy, sight, budget)
        return Findings(denials, _annotate(policy, sight, budget))
    except _PolicyError as error:
        return Findings((Denial(error.message),) if policy.fails else ())


class _PolicyError(PvbinderError):
    """What makes a policy say nothing but this."""


def _matches(policy: CompiledPolicy, sight: Sight, budget: Budget) -> bool:
    """Tell whether all match conditions hold; one that doesn't decides, whatever is wrong with others."""
    if not policy.match_conditions:
        return True
    group = _Group(policy, sight.scope(for_matching=True), budget, MATCH_COST_MAX)
    try:
        outcomes = group.evaluate(policy.match_conditions)
    except _SpentError:
        if policy.fails:
            raise _PolicyError(_SPENT) from None
        return False
    if any(outcome.value is False and not outcome.error for outcome in outcomes):
        return False
    errors = list(dict.fromkeys(outcome.error for outcome in outcomes if outcome.error))
    if errors and policy.fails:
        raise _PolicyError(errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]")
    return not errors


def _validate(policy: CompiledPolicy, sight: Sight, budget: Budget) -> tuple[Denial, ...]:
    group = _Group(policy, sight.scope(), budget, POLICY_COST_MAX)
    try:
        outcomes = group.evaluate([validation.condition for validation in policy.validations])
    except _SpentError:
        raise _PolicyError(_SPENT) from None
    talk = _Group(policy, sight.scope(has_authorizer=False), budget, group.left)
    messages: list[_Outcome] = []
    stopped = ""
    try:
        messages = talk.evaluate([validation.message_expression for validation in policy.validations])
    except _SpentError:
        stopped = f"failed messageExpression: {_SPENT}"
    denials: list[Denial] = []
    for index, (validation, outcome) in enumerate(zip(policy.validations, outcomes, strict=True)):
        if outcome.error or stopped:
            if policy.fails:
                denials.append(Denial(outcome.error or stopped, index=index))
        elif outcome.value is not True:
            said = messages[index]
            denials.append(Denial(_message(validation, said), validation.reason or "Invalid", index))
    return tuple(denials)


def _message(validation: Validation, said: _Outcome) -> str:
    text = said.value.strip() if isinstance(said.value, str) else ""
    if len(text.encode()) > MESSAGE_BYTES_MAX or "\n" in text:
        text = ""
    return text or validation.message.strip() or f"failed expression: {validation.condition.source.strip()}"


def _annotate(policy: CompiledPolicy, sight: Sight, budget: Budget) -> tuple[str, ...]:
    """Try the annotations: their values are for audits, which nobody keeps here, but their errors count."""
    if not policy.annotations:
        return ()
    group = _Group(policy, sight.scope(has_authorizer=False), budget, POLICY_COST_MAX)
    try:
        outcomes = group.evaluate(policy.annotations)
    except _SpentError:
        raise _PolicyError(_SPENT) from None
    return tuple(outcome.error for outcome in outcomes if outcome.error) if policy.fails else ()


class _Group:
    """Expressions that are evaluated together: they share variables and a budget."""

    def __init__(self, policy: CompiledPolicy, scope: Json, budget: Budget, limit: int) -> None:
        self.left = limit
        self._budget = budget
        self._scope = scope
        scope[names.VARIABLES] = _Variables(policy, self)
        self._on_variables = 0

    def evaluate(self, expressions: Sequence[Expression | None]) -> list[_Outcome]:
        """Return the outcomes; `_SpentError` when they cost too much."""
        return [self._evaluate(expression) for expression in expressions]

    def run(self, compiled: Compiled) -> tuple[Any, int]:
        """Return a value and its cost; CelError where there is none."""
        light = self._budget.light
        limit = EXPRESSION_COST_MAX if light is None else min(EXPRESSION_COST_MAX, light)
        try:
            value, cost = compiled.program.run(self._scope, limit)
        except CostExceededError as error:
            if light is not None:
                raise TakesLongError(error.message) from None
            raise EvaluationError(error.message, EXPRESSION_COST_MAX + 1) from None
        except EvaluationError as error:
            self._budget.spend(error.cost)
            raise
        self._budget.spend(cost)
        return value, cost

    def spend_on_variable(self, cost: int) -> None:
        """Count what a variable costs (TRIAL-3)."""
        self._on_variables += cost

    def _evaluate(self, expression: Expression | None) -> _Outcome:
        if expression is None:
            return _Outcome()
        if expression.compiled is None:
            return _Outcome(error=f"compilation error: {expression.wrong}")
        outcome = _Outcome()
        try:
            value, cost = self.run(expression.compiled)
            outcome = _Outcome(value)
        except EvaluationError as error:
            outcome = _Outcome(error=f"expression '{expression.source}' resulted in error: {error.message}")
            cost = error.cost
        self._spend(self._on_variables)
        self._on_variables = 0
        self._spend(cost)
        return outcome

    def _spend(self, cost: int) -> None:
        if cost > self.left:
            raise _SpentError
        self.left -= cost


class _Variables(dict[str, Any]):
    """The policy's own variables, found out when they are looked at (TRIAL-3)."""

    def __init__(self, policy: CompiledPolicy, group: _Group) -> None:
        super().__init__(dict.fromkeys(policy.variables))
        self._policy = policy
        self._group = group
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a variable, or the error that stands for it."""
        return self[name] if name in self else default  # noqa: SIM401  (that is what this is)

    def items(self) -> Any:
        """Give all of them."""
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        """Give the values of all of them."""
        return [self[name] for name in self]

    def _find(self, name: str) -> Any:
        expression = self._policy.variables[name]
        if expression.compiled is None:
            return CelError(f'composited variable "{name}" fails to compile: {expression.wrong}')
        try:
            value, cost = self._group.run(expression.compiled)
        except EvaluationError as error:
            self._group.spend_on_variable(error.cost)
            return CelError(f'composited variable "{name}" fails to evaluate: {error.message}')
        self._group.spend_on_variable(cost)
        return value
