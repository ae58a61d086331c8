"""The words and the form that all findings about a claim with a volume share."""

from __future__ import annotations

from pvbinder.insight.explanation import Finding, ReasonCode, stuck
from pvbinder.insight.remedies import Remedy
from pvbinder.model.objects import Claim, Volume


def what_it_has(claim: Claim, volume: Volume) -> str:
    """Say which volume `claim` has, and how large it is."""
    size = claim.status_capacity if claim.status_capacity is not None else volume.size
    return f"it has volume {volume.name} with {size}"


def stuck_with(
    reason: ReasonCode,
    rules: tuple[str, ...],
    summary: str,
    volume: Volume,
    *remedies: Remedy,
    then: str,
) -> Finding:
    """Return what keeps the claim from being fine, with remedies; `then` says what happens by itself."""
    return stuck(reason, rules, summary, *remedies, then=then, volume=volume.name, with_volumes=False)
