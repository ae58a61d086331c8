"""What each claim of new manifests gets, the runner-up and why it lost, and what others lose by it.

OUTCOMES-1  The outcome is read off the copy after its controllers have settled: it isn't computed a second time.
OUTCOMES-2  The runner-up is what the binder's own index chooses when the winner isn't there; if nothing else fits, it
            is the nearest miss with the first rule that it fails.
OUTCOMES-3  A volume is taken from a claim that waits if it would fit that claim, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import why_not
from pvbinder.model.json import encode
from pvbinder.model.names import BIND_COMPLETED, BOUND_BY_CONTROLLER, PROVISIONED_BY
from pvbinder.model.objects import Claim, Volume, parse_claim
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import misfits, nearest_misses
from pvbinder.rules.volume_index import VolumeIndex

Result = Literal["Binds", "Provisioned", "Waits", "Nothing"]


class RunnerUp(Struct, frozen=True, rename="camel"):
    """The next best volume, and why it isn't the claim's; it may not fit at all."""

    volume: str
    fits: bool
    why: str
    rule: str = ""


class ClaimOutcome(Struct, frozen=True, rename="camel", kw_only=True):
    """What one claim gets."""

    claim: str
    is_new: bool
    result: Result
    phase: str
    volume: str = ""
    size: str = ""
    provisioner: str = ""
    storage_class: str = ""
    made_by: str = ""  # the object that the claim is made for: "StatefulSet shop/db"
    reason: str = ""  # of a claim that has nothing yet
    summary: str = ""
    rules: tuple[str, ...] = ()
    runner_up: RunnerUp | None = None
    taken_from: tuple[str, ...] = ()  # claims that wait and that the volume would fit, too
    advice: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Tell whether the claim has its storage, or gets it by itself."""
        return self.result != "Nothing"

    @property
    def signature(self) -> tuple[str, str, str]:
        """What is compared between two runs: names of volumes that are made anew are chance."""
        return self.result, "" if self.result == "Provisioned" else self.volume, self.provisioner


def outcomes(before: Snapshot, after: Snapshot, claims: Iterable[str]) -> tuple[ClaimOutcome, ...]:
    """Return what each of `claims` gets, by name; one that isn't there after all is left out."""
    found = (after.claim(key) for key in sorted(claims))  # type: ignore[arg-type]
    return tuple(_outcome(before, after, claim) for claim in found if claim is not None)


def _outcome(before: Snapshot, after: Snapshot, claim: Claim) -> ClaimOutcome:
    known = before.claim(claim.key)
    explained = explain_claim(claim, after)
    volume = after.volume(claim.volume_name) if claim.volume_name else None
    is_bound = claim.phase == "Bound" and volume is not None
    is_made = is_bound and volume is not None and before.volume(volume.name) is None and _is_provisioned(volume)
    result: Result = "Nothing"
    if is_bound:
        result = "Provisioned" if is_made else "Binds"
    elif explained.verdict != "Stuck":
        result = "Waits"
    won = volume if is_bound and not is_made else None
    is_settled = known is not None and known.volume_name == claim.volume_name and bool(claim.volume_name)
    return ClaimOutcome(
        claim=str(claim.key),
        is_new=known is None or known.uid != claim.uid,
        result=result,
        phase=claim.phase or "Pending",
        volume=claim.volume_name,
        size=str(volume.size) if is_bound and volume is not None else str(claim.request),
        provisioner=volume.annotations.get(PROVISIONED_BY, "") if is_made and volume is not None else "",
        storage_class=claim.storage_class,
        made_by=_made_by(claim, after),
        reason="" if is_bound and explained.verdict == "Bound" else explained.reason,
        summary="" if is_bound and explained.verdict == "Bound" else explained.summary,
        rules=explained.rules,
        runner_up=None if is_settled else _runner_up(before, after, claim, won),
        taken_from=() if is_settled or won is None else tuple(_losers(before, after, claim, won)),
        advice=explained.advice,
    )


def _is_provisioned(volume: Volume) -> bool:
    return PROVISIONED_BY in volume.annotations


def _made_by(claim: Claim, after: Snapshot) -> str:
    for one in after.stateful_sets():
        for template in one.claim_templates:
            base = f"{(template.get('metadata') or {}).get('name')}-{one.name}-"
            if claim.namespace == one.namespace and claim.name.startswith(base) and claim.name[len(base) :].isdecimal():
                return f"StatefulSet {one.namespace}/{one.name}"
    owner = next(iter(claim.owner_references), None)
    return f"{owner.kind} {claim.namespace}/{owner.name}" if owner is not None else ""


def _as_it_came(claim: Claim) -> Claim:
    """Return `claim` as it was before it got a volume."""
    document = claim.document()
    document.pop("status", None)
    annotations = document["metadata"].get("annotations") or {}
    if BOUND_BY_CONTROLLER in annotations:
        document["spec"].pop("volumeName", None)
    kept = {key: value for key, value in annotations.items() if key not in (BIND_COMPLETED, BOUND_BY_CONTROLLER)}
    document["metadata"]["annotations"] = kept
    return parse_claim(encode(document))


def _runner_up(before: Snapshot, after: Snapshot, claim: Claim, won: Volume | None) -> RunnerUp | None:
    """Return the next best volume for `claim`, or the nearest miss (OUTCOMES-2)."""
    asked = _as_it_came(claim)
    if asked.volume_name:
        return None  # it names its volume: nothing else counts
    others = [one for one in before.volumes if won is None or one.name != won.name]
    try:
        second = VolumeIndex(others).choose(asked)
        if second is not None:
            return RunnerUp(second.name, True, _why_it_lost(second, won, after, claim), "FM-3")
        misses = nearest_misses(others, asked)
    except SelectorError:
        return None
    if not misses:
        return None
    volume, reasons = misses[0]
    return RunnerUp(volume.name, False, why_not(reasons[0]), reasons[0].rule)


def _why_it_lost(second: Volume, won: Volume | None, after: Snapshot, claim: Claim) -> str:
    taken = after.volume(second.name)
    holder = taken.claim_key if taken is not None and taken.claim_key != claim.key else None
    if holder:
        return f"fits, too, and goes to {holder}"
    if won is None:
        return "fits, but the class waits for a pod" if not claim.volume_name else "fits, but not where the pod runs"
    if len(second.access_modes) > len(won.access_modes):
        return "fits, too, and has more access modes than asked for"
    if second.size > won.size:
        return f"fits, too, and is larger: {second.size}, not {won.size}"
    if second.size == won.size:
        return f"fits as well: of equal volumes the first name wins ({won.name})"
    return "fits, too, but not where the pod runs"


def _losers(before: Snapshot, after: Snapshot, claim: Claim, won: Volume) -> Iterator[str]:
    """Give the claims that wait and that the volume would fit, too (OUTCOMES-3)."""
    free = before.volume(won.name)
    if free is None:
        return
    for other in sorted(before.claims(), key=lambda one: one.key):
        now = after.claim(other.key)
        waits = not other.volume_name and not other.is_deleting and now is not None and not now.volume_name
        if waits and other.key != claim.key and _fits(free, other):
            yield str(other.key)


def _fits(volume: Volume, claim: Claim) -> bool:
    try:
        return not misfits(volume, claim)
    except SelectorError:
        return False
