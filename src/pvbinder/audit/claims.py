"""Findings about claims (1xx): the state that the binder and the other controllers leave each of them in.

CLAIM_FINDINGS-1  The state is that of `explain`: an audit and an explanation of the same objects agree.
CLAIM_FINDINGS-2  What follows from an object that is missing is an error only if its kind is known (SNAPSHOT-3).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pvbinder.audit.finding import AuditSubject, Evidence, Finding, FindingLevel, of_claim, of_pod
from pvbinder.audit.survey import Survey
from pvbinder.insight.advice import Misses, advise
from pvbinder.insight.claims import state_of
from pvbinder.insight.evidence import wants_of
from pvbinder.insight.explanation import Finding as State
from pvbinder.insight.explanation import ReasonCode
from pvbinder.insight.wording import why_not
from pvbinder.model.access_modes import short_modes
from pvbinder.model.objects import Claim

_NO_CLASS = "no class set"


def claim_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with each claim, and what it waits for."""
    for claim in survey.snapshot.claims():
        if _is_unknowable(claim, survey):
            continue
        state = state_of(claim, survey.snapshot)
        coded = _coded(claim, state, survey)
        if coded is not None:
            yield _finding(claim, state, *coded, survey)


def _is_unknowable(claim: Claim, survey: Survey) -> bool:
    """Whether it is bound, and the volumes aren't known: nothing can be said (CLAIM_FINDINGS-2)."""
    return claim.bind_completed and claim.phase != "Lost" and not survey.snapshot.knows("PersistentVolume")


def _coded(claim: Claim, state: State, survey: Survey) -> tuple[str, FindingLevel] | None:
    """Return the code and the level of a claim's state; None if there is nothing to tell."""
    code = _code_of(state.reason, claim)
    if code is None:
        return None
    if code == "PVB119" and _chosen_node_is_gone(claim, survey):
        return "PVB106", "warning"
    return code, _level_of(code, claim, state, survey)


def _chosen_node_is_gone(claim: Claim, survey: Survey) -> bool:
    node = claim.selected_node
    return bool(node) and survey.snapshot.knows("Node") and survey.snapshot.node(node or "") is None


def _code_of(reason: ReasonCode, claim: Claim) -> str | None:
    match reason:
        case "Bound":
            return None
        case "WillBind" | "VolumeIsBeingProvisioned" | "WaitsForExternalProvisioner" | "WaitsForSnapshot":
            return "PVB119"
        case "DefaultClassComes":
            return "PVB103"
        case "NoVolumeFits":
            return "PVB101" if claim.has_class else "PVB103"
        case "NothingProvisions" | "ProvisioningDisabled" | "ProvisionedVolumeUnsuitable" | "VolumeModeMismatch":
            return "PVB101"
        case "ClassMissing":
            return "PVB102"
        case "NamedVolumeMissing" | "NamedVolumeUnsuitable" | "NamedVolumeTaken":
            return "PVB104"
        case "LostReference" | "LostVolume" | "Misbound":
            return "PVB105"
        case "WaitsForFirstConsumer" | "WaitsForPodToBeScheduled" | "PodBypassesScheduler" | "PodIsGated":
            return "PVB106"
        case "PodCannotBeScheduled":
            return "PVB116" if claim.bind_completed else "PVB106"
        case "IsGoingAway" | "ProtectedByPod" | "HeldByFinalizers":
            return "PVB108"
        case "NobodyGrows" | "GrowthFails" | "GrowthWaitsForPod" | "NobodyModifies" | "ModificationFails":
            return "PVB109"
        case "SelectorNotSupported":
            return "PVB110"
        case "ProvisioningFails" | "PluginRefuses":
            return "PVB111"
        case "DataSourceUnusable" | "SnapshotFails":
            return "PVB112"
        case "ProvisionerSilent" | "DriverNotOnNode":
            return "PVB113"
        case "NotEnoughStorage" | "NoNodeInTopology" | "NoVolumeOnAnyNode":
            return "PVB114"
        case "AttributesClassMissing" | "AttributesClassUnsupported":
            return "PVB115"
        case "VolumeUnreachable" | "PodOnWrongNode" | "PodNodeMissing" | "UsedOnAnotherNode" | "PodCannotStart":
            return "PVB116"
        case "ClassIsBroken" | "SelectorIsBroken":
            return "PVB117"
        case "VolumeIsGoing":
            return None  # told of the volume: PVB205
        case "ClaimMissing" | "ClaimIsAnothers":
            return "PVB118"
        case _:
            assert_never(reason)


def _level_of(code: str, claim: Claim, state: State, survey: Survey) -> FindingLevel:
    knows = survey.snapshot.knows
    if state.verdict != "Stuck":
        return "information"
    match code:
        case "PVB106":
            return "information" if state.reason == "PodIsGated" else "warning"
        case "PVB108":
            return "information" if survey.is_settling(claim.deletion_timestamp) else "warning"
        case "PVB109" if state.reason == "GrowthWaitsForPod":
            return "information"
        case "PVB102" | "PVB103" if not knows("StorageClass"):
            return "information"
        case "PVB101" | "PVB104" | "PVB114" if not knows("PersistentVolume"):
            return "information" if not _has_own_reason(state) else "error"
        case "PVB113" if state.reason == "ProvisionerSilent" and survey.snapshot.is_dated_by_file:
            return "warning"
        case _:
            return "error"


def _has_own_reason(state: State) -> bool:
    """Whether the reason follows from what there is, not from volumes that aren't there."""
    return state.reason in ("NamedVolumeUnsuitable", "NamedVolumeTaken", "NotEnoughStorage", "NoNodeInTopology")


def _finding(claim: Claim, state: State, code: str, level: FindingLevel, survey: Survey) -> Finding:
    is_stuck = state.verdict == "Stuck"
    misses = survey.nearest_misses(claim) if is_stuck and state.with_volumes and not claim.volume_name else []
    return Finding(
        code=code,
        level=level,
        subject=of_claim(claim),
        summary=state.summary,
        evidence=(*_evidence(claim, survey), *_near(misses)),
        rules=state.rules,
        way_out=advise(claim, state.reason, state.remedies, misses, survey.snapshot) if is_stuck else (),
        others=_others(claim, state, survey),
    )


def _evidence(claim: Claim, survey: Survey) -> Iterator[Evidence]:
    wants = wants_of(claim)
    named = _NO_CLASS if wants.storage_class is None else f'class "{wants.storage_class}"'
    yield Evidence("wants", f"{wants.storage}, {short_modes(wants.access_modes)}, {wants.volume_mode}, {named}")
    if claim.volume_name:
        yield Evidence("spec.volumeName", claim.volume_name)
    if claim.selected_node is not None and not claim.bind_completed:
        there = "" if not _chosen_node_is_gone(claim, survey) else "a node that there is"
        yield Evidence("selected node", claim.selected_node, there)
    age = survey.age_seconds(claim.created)
    if age is not None:
        yield Evidence("created", claim.created)


def _near(misses: Misses) -> Iterator[Evidence]:
    if misses:
        volume, reasons = misses[0]
        yield Evidence(
            f"nearest miss: volume {volume.name}",
            "; ".join(why_not(each) for each in reasons),
            reasons[0].wanted,
        )


def _others(claim: Claim, state: State, survey: Survey) -> tuple[AuditSubject, ...]:
    pods = (of_pod(pod) for pod in survey.snapshot.pods_of(claim.key) if not pod.is_terminated)
    volume = (AuditSubject("PersistentVolume", "", state.volume),) if state.volume else ()
    return (*volume, *sorted(pods)[:10])


def missing_claim_findings(survey: Survey) -> Iterator[Finding]:
    """Yield the claims that pods need and that don't exist, or were made for somebody else (PVB118)."""
    snapshot = survey.snapshot
    for pod in snapshot.pods():
        if pod.is_terminated or pod.is_deleting:
            continue
        for volume, key in zip(pod.volumes, pod.claim_keys, strict=True):
            if volume.is_ephemeral or snapshot.claim(key) is not None:
                continue
            near = survey.nearest_claim(pod.namespace, volume.claim_name)
            is_live = bool(pod.uid) and survey.knows_claims_of(pod.namespace)  # else it is a manifest
            yield Finding(
                code="PVB118",
                level="error" if is_live else "warning" if near else "information",
                subject=of_pod(pod),
                summary=f"its volume {volume.name} needs claim {volume.claim_name}, which doesn't exist"
                + (f" (did you mean {near}?)" if near else ""),
                evidence=(Evidence("claimName", volume.claim_name, near),),
                rules=("PC-6",),
                about=volume.claim_name,
            )
