"""Many claims at once, grouped by their common cause: one cause, one explanation, one way out.

CAUSES-1  Every claim is in exactly one group; claims are in one group exactly if reason, class and rules are the same.
CAUSES-2  Groups that need somebody to act come first, the largest first; then groups on their way; claims that are
          fine are only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from pvbinder.insight.explanation import ClaimExplanation, Verdict
from pvbinder.insight.pods import SEVERITY


class Cause(Struct, frozen=True, rename="camel"):
    """Claims in the same state for the same reason."""

    verdict: Verdict
    reason: str
    rules: tuple[str, ...]
    storage_class: str
    claims: tuple[ClaimExplanation, ...]

    @property
    def shared_advice(self) -> tuple[str, ...]:
        """The remedies that help every claim of the group."""
        first, *others = self.claims
        return tuple(advice for advice in first.advice if all(advice in other.advice for other in others))


class Causes(Struct, frozen=True, rename="camel", tag_field="kind", tag="Explanations"):
    """All groups, and the number of claims by verdict."""

    causes: tuple[Cause, ...]
    counts: dict[str, int]  # by verdict
    version: int = 1

    @property
    def needs_action(self) -> bool:
        """Tell whether any claim needs somebody to act."""
        return bool(self.counts.get("Stuck"))


def grouped(explanations: Iterable[ClaimExplanation]) -> Causes:
    """Return the groups of `explanations` (CAUSES-1, CAUSES-2)."""
    found: dict[tuple[Verdict, str, tuple[str, ...], str], list[ClaimExplanation]] = {}
    for each in explanations:
        class_name = each.storage_class.name if each.storage_class is not None else ""
        found.setdefault((each.verdict, each.reason, each.rules, class_name), []).append(each)
    causes = [Cause(*key, tuple(sorted(claims, key=lambda each: each.claim))) for key, claims in found.items()]
    causes.sort(key=lambda cause: (SEVERITY[cause.verdict], -len(cause.claims), cause.claims[0].claim))
    counts = Counter(cause.verdict for cause in causes for _ in cause.claims)
    return Causes(tuple(causes), {str(verdict): count for verdict, count in counts.items()})


def summary(claims: Sequence[ClaimExplanation]) -> str:
    """Return the summary that all `claims` share; ``""`` if they differ, as a summary may name its claim."""
    said = {each.summary for each in claims}
    return claims[0].summary if len(said) == 1 else ""
