"""Why a decision is as it is: closed sets of reasons, so that mypy names every place that forgot a new one.

Code that acts by reason matches on the members and ends with `assert_never`. The rule ID is for people - logs, metrics,
explanations - and follows from the reason, or from the type of an action that has one reason only; nothing compares it
(tests/test_policies.py).

A new reason is tried out like this: add a member with its rule, return it from a decision, and run mypy; it fails at
each place that has to know.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason of a decision, named for the fact that holds; its value is the rule that says what follows."""

    @property
    def rule(self) -> str:
        """The ID of the rule, as `docs/rules` has it."""
        return self.value


class ByReason:
    """An action that has several reasons; its rule follows from the one that it has."""

    __slots__ = ()

    reason: Reason

    @property
    def rule(self) -> str:
        """The rule that the reason stands for."""
        return self.reason.rule
