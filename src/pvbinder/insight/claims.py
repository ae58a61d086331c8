"""The reason for a claim's state: the decision that the binder makes about it, put into words.

EXPLAIN-1  The verdict comes from `rules.claims.decide_claim` (of a claim that is being deleted, from
           `rules.protection`), so that it can't differ from the controllers' decision about the same objects.
EXPLAIN-2  A claim is Stuck exactly if somebody must act: a claim that waits for a first consumer or a provisioner is
           on its way, unless the next controller is known to refuse (`provisioning`, `scheduling`, `bound`).
EXPLAIN-3  Every other volume is listed with the first rule that it fails, the nearest miss first.

The functions here read their arguments and nothing else, and write nothing.
"""

from __future__ import annotations

from typing import assert_never

from msgspec import UNSET

from pvbinder.insight.advice import advise
from pvbinder.insight.bound import bound
from pvbinder.insight.deletion import deletion
from pvbinder.insight.evidence import (
    class_note,
    event_notes,
    node_note,
    other_volumes,
    pod_note,
    reach_of,
    volume_note,
    wants_of,
)
from pvbinder.insight.explanation import ClaimExplanation, Finding, on_its_way
from pvbinder.insight.loss import loss
from pvbinder.insight.remedies import Remedy, sentence
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.unbound import failing, provisioning, waiting
from pvbinder.insight.volume_groups import groups_of
from pvbinder.model.json import encode
from pvbinder.model.objects import Claim, Volume, parse_claim
from pvbinder.rules.claims import (
    AnnealClaim,
    AssignClass,
    Bind,
    ClaimAction,
    Fail,
    Lose,
    Provision,
    Wait,
    decide_claim,
)
from pvbinder.rules.matching import Misfit, is_bound_to, modes_differ


def explain_claim(claim: Claim, snapshot: Snapshot) -> ClaimExplanation:
    """Explain the state of `claim` and its next step (EXPLAIN-1)."""
    explanation, _ = explain_with_remedies(claim, snapshot)
    return explanation


def explain_with_remedies(claim: Claim, snapshot: Snapshot) -> tuple[ClaimExplanation, tuple[Remedy, ...]]:
    """Return the explanation of `claim`, and its advice as remedies."""
    if claim.is_deleting:
        return _explained(claim, deletion(claim, snapshot), snapshot)
    action = decide_claim(claim, snapshot, snapshot.settings)
    if isinstance(action, AnnealClaim):  # a write of annotations only: the decision after it counts
        claim = parse_claim(encode(action.document))
        action = decide_claim(claim, snapshot, snapshot.settings)
    return _explained(claim, _finding(claim, action, snapshot), snapshot)


def state_of(claim: Claim, snapshot: Snapshot) -> Finding:
    """Return the state of `claim` and its reason, without evidence and general advice: what many claims are asked."""
    if claim.is_deleting:
        return deletion(claim, snapshot)
    action = decide_claim(claim, snapshot, snapshot.settings)
    if isinstance(action, AnnealClaim):
        claim = parse_claim(encode(action.document))
        action = decide_claim(claim, snapshot, snapshot.settings)
    return _finding(claim, action, snapshot)


def _finding(claim: Claim, action: ClaimAction, snapshot: Snapshot) -> Finding:
    match action:
        case Bind(volume=volume):
            return _bind(claim, volume, action.rule, snapshot)
        case AssignClass(storage_class=storage_class):
            return on_its_way(
                "DefaultClassComes",
                (action.rule, "DC-1"),
                f"it has no class and gets the default class {storage_class.name}",
                f"the binder sets the class to {storage_class.name}, then a volume is looked for in it",
            )
        case Provision():
            return provisioning(claim, action, snapshot)
        case Wait():
            return waiting(claim, action, snapshot)
        case Lose():
            return loss(claim, action, snapshot)
        case Fail():
            return failing(claim, action, snapshot)
        case AnnealClaim():
            raise AssertionError("a claim whose annotations were just made right is asked for right annotations")
        case _:
            assert_never(action)


def _bind(claim: Claim, volume: Volume, rule: str, snapshot: Snapshot) -> Finding:
    if claim.phase == "Bound" and claim.volume_name == volume.name:
        return bound(claim, volume, rule, snapshot)
    return on_its_way(
        "WillBind",
        (rule,),
        f"it gets volume {volume.name}",
        f"the binder binds it to {volume.name} ({volume.size}); if that doesn't happen, no binder is running",
        volume=volume.name,
        with_volumes=False,
    )


def _explained(claim: Claim, finding: Finding, snapshot: Snapshot) -> tuple[ClaimExplanation, tuple[Remedy, ...]]:
    """Add the evidence and the way out."""
    misses = other_volumes(claim, snapshot) if finding.with_volumes else []
    reason, rules, summary = finding.reason, finding.rules, finding.summary
    if finding.verdict == "Stuck" and finding.with_volumes and not claim.volume_name:
        mismatched = _mismatched(claim, misses)
        if mismatched is not None:
            reason, rules = "VolumeModeMismatch", (*rules, "SV-6")
            summary = f"volume {mismatched.name} is reserved for it but has another volume mode"
    remedies = advise(claim, reason, finding.remedies, misses, snapshot) if finding.verdict == "Stuck" else ()
    explanation = ClaimExplanation(
        claim=claim.key,
        phase="Terminating" if claim.is_deleting else claim.phase or "Pending",
        verdict=finding.verdict,
        reason=reason,
        rules=rules,
        summary=summary,
        next=finding.next,
        wants=wants_of(claim),
        volume=finding.volume,
        storage_class=class_note(claim, snapshot),
        volumes=tuple(volume_note(each, reasons, snapshot, claim) for each, reasons in misses),
        pods=tuple(pod_note(pod, snapshot) for pod in sorted(snapshot.pods_of(claim.key), key=lambda pod: pod.name)),
        node=node_note(claim, snapshot),
        events=event_notes(claim, snapshot),
        advice=tuple(sentence(remedy) for remedy in remedies),
        reach=reach_of(claim, snapshot),
        volume_groups=groups_of(misses) or UNSET,
    )
    return explanation, tuple(remedies)


def _mismatched(claim: Claim, misses: list[tuple[Volume, tuple[Misfit, ...]]]) -> Volume | None:
    return next((each for each, _ in misses if is_bound_to(each, claim) and modes_differ(each, claim)), None)
