"""The state of a copy before and after, object by object, as far as storage is concerned.

DIFFERENCES-1  A claim, a volume or a pod is named if its phase, its partner or its node is another one, or if it is new
               or gone; a claim also if the reason why it isn't bound is another one.
DIFFERENCES-2  The findings are those of `explain`: a claim, or a pod that doesn't run, for which somebody must act. New
               ones and mended ones are told apart from those that were there before.
DIFFERENCES-3  The findings of the audit, warnings and errors, are compared by their keys: what came, and what went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from pvbinder.audit.find import find_all
from pvbinder.audit.finding import FindingLevel, is_at_least
from pvbinder.controllers.kubelet.nodes import is_played
from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import ClaimExplanation
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import Claim, Pod, Volume

TOLD_AT_ANY_LEVEL: Final = frozenset({"PVB701"})  # full is how a plan leaves it, and no mistake yet

ObjectKind = Literal["PersistentVolumeClaim", "PersistentVolume", "Pod"]


class ObjectState(Struct, frozen=True, rename="camel"):
    """An object at one moment: its phase, and its volume, its claim or its node."""

    phase: str
    partner: str = ""
    reason: str = ""  # a claim's, unless it is bound and well
    summary: str = ""


class Difference(Struct, frozen=True, rename="camel"):
    """An object that is not as it was; None for one that isn't there."""

    kind: ObjectKind
    name: str
    before: ObjectState | None
    after: ObjectState | None


class Concern(Struct, frozen=True, rename="camel"):
    """Something for which somebody must act; `rules` say why."""

    object: str
    reason: str
    summary: str
    rules: tuple[str, ...]
    advice: tuple[str, ...] = ()


class AuditNote(Struct, frozen=True, rename="camel"):
    """A finding of the audit (`pvbinder.audit`) that came or went: its code, its level, and what it is about."""

    code: str
    level: FindingLevel
    object: str
    summary: str


class Picture(Struct, frozen=True):
    """The states of all objects that are compared, and the findings, by name."""

    claims: dict[str, ObjectState]
    volumes: dict[str, ObjectState]
    pods: dict[str, ObjectState]
    findings: dict[str, Concern]
    audit: dict[str, AuditNote]


def picture_of(snapshot: Snapshot) -> Picture:
    """Return what is compared of `snapshot`."""
    explained = {claim.key: explain_claim(claim, snapshot) for claim in snapshot.claims()}
    return Picture(
        {str(claim.key): _claim_state(claim, explained[claim.key]) for claim in snapshot.claims()},
        {volume.name: _volume_state(volume) for volume in snapshot.volumes},
        {str(pod.key): _pod_state(pod) for pod in snapshot.pods()},
        {
            **{f"PersistentVolumeClaim {key}": _finding(one) for key, one in explained.items() if one.needs_action},
            **{f"Pod {pod.key}": found for pod in snapshot.pods() if (found := _pod_finding(pod, snapshot))},
        },
        {
            one.key: AuditNote(one.code, one.level, str(one.subject), one.summary)
            for one in find_all(snapshot)
            if is_at_least(one.level, "warning") or one.code in TOLD_AT_ANY_LEVEL
        },
    )


def differences(before: Picture, after: Picture) -> tuple[Difference, ...]:
    """Return the objects that changed, claims first, each kind by name (DIFFERENCES-1)."""
    return (
        *_changed("PersistentVolumeClaim", before.claims, after.claims),
        *_changed("PersistentVolume", before.volumes, after.volumes),
        *_changed("Pod", before.pods, after.pods),
    )


def new_findings(before: Picture, after: Picture) -> tuple[Concern, ...]:
    """Return the findings that weren't there before (DIFFERENCES-2)."""
    return tuple(_missing_in(before.findings, after.findings))


def mended_findings(before: Picture, after: Picture) -> tuple[Concern, ...]:
    """Return the findings that are there no longer."""
    return tuple(_missing_in(after.findings, before.findings))


def audit_changes(before: Picture, after: Picture) -> tuple[tuple[AuditNote, ...], tuple[AuditNote, ...]]:
    """Return the findings of the audit that came, and that went (FINDING-2): warnings and worse, and what is full."""
    came = tuple(one for key, one in after.audit.items() if key not in before.audit)
    return came, tuple(one for key, one in before.audit.items() if key not in after.audit)


def _missing_in(there: Mapping[str, Concern], found: Mapping[str, Concern]) -> Iterable[Concern]:
    return (one for key, one in sorted(found.items()) if key not in there or there[key].reason != one.reason)


def _changed(
    kind: ObjectKind, before: Mapping[str, ObjectState], after: Mapping[str, ObjectState]
) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None or _compared(was) != _compared(now):
            yield Difference(kind, name, was, now)


def _compared(state: ObjectState) -> tuple[str, str, str]:
    return state.phase, state.partner, state.reason


def _claim_state(claim: Claim, explained: ClaimExplanation) -> ObjectState:
    is_well = explained.verdict == "Bound"
    reason, summary = ("", "") if is_well else (explained.reason, explained.summary)
    return ObjectState(explained.phase, claim.volume_name, reason, summary)


def _volume_state(volume: Volume) -> ObjectState:
    return ObjectState("Terminating" if volume.is_deleting else volume.phase or "Pending", volume.claim_key or "")


def _pod_state(pod: Pod) -> ObjectState:
    return ObjectState("Terminating" if pod.is_deleting else pod.phase or "Pending", pod.node_name)


def _pod_finding(pod: Pod, snapshot: Snapshot) -> Concern | None:
    """Return why `pod` doesn't run, unless it is its claims' fault: those have findings of their own."""
    if pod.is_terminated or (pod.phase == "Running" and not pod.is_deleting):
        return None
    if pod.is_deleting:
        node = snapshot.node(pod.node_name)
        if node is None or is_played(node):
            return None
        return Concern(f"Pod {pod.key}", "NodeIsSilent", f"it stays Terminating while node {node.name} is there", ())
    one = explain_pod(pod, snapshot)
    if not one.needs_action or any(claim.needs_action for claim in one.claims):
        return None
    return Concern(f"Pod {pod.key}", "PodCannotStart", one.summary, ())


def _finding(one: ClaimExplanation) -> Concern:
    return Concern(f"PersistentVolumeClaim {one.claim}", one.reason, one.summary, one.rules, one.advice)
