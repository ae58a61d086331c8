"""Why a claim is where it is: the decision that the binder makes about it, put into words.

EXPLAIN-1  The verdict comes from `rules.claims.decide_claim` (of a claim that is being deleted, from
           `rules.protection`), so that it can't differ from what the controllers do with the same objects.
EXPLAIN-2  A claim is Stuck exactly if somebody must act: waiting for a first consumer or a provisioner is on its way.
EXPLAIN-3  Every volume that isn't the claim's is there with the first rule it fails, the nearest miss first.

Nothing here reads or writes anything but its arguments.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from pvbinder.insight import advice
from pvbinder.insight.evidence import (
    class_note,
    event_notes,
    latest_event,
    node_note,
    other_volumes,
    pod_note,
    scheduling_problem,
    volume_note,
    wants_of,
)
from pvbinder.insight.explanation import ClaimExplanation, ReasonCode, Verdict
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model.json import encode
from pvbinder.model.names import PVC_PROTECTION_FINALIZER
from pvbinder.model.objects import Claim, Volume, parse_claim
from pvbinder.rules import protection
from pvbinder.rules.claims import (
    AnnealClaim,
    AssignClass,
    Bind,
    ClaimAction,
    Fail,
    FailReason,
    Lose,
    LoseReason,
    Provision,
    Wait,
    WaitReason,
    decide_claim,
)
from pvbinder.rules.expansion import (
    ForgetOldCapacity,
    Grow,
    HandToDriver,
    MarkForNode,
    NotBoundToEachOther,
    NoteOldCapacity,
    NothingToExpand,
    WaitForExternal,
    decide_expansion,
)
from pvbinder.rules.matching import is_bound_to, modes_differ
from pvbinder.rules.provisioning import (
    CannotProvision,
    NoProvisionerReason,
    ProvisionInTree,
    ProvisionOutside,
    volume_name_for,
)


def explain_claim(claim: Claim, snapshot: Snapshot) -> ClaimExplanation:
    """Say why `claim` is where it is and what happens next (EXPLAIN-1)."""
    if claim.is_deleting:
        return _explain_deletion(claim, snapshot)
    action = decide_claim(claim, snapshot, snapshot.settings)
    if isinstance(action, AnnealClaim):  # a write that changes annotations only: what counts is what comes after it
        claim = parse_claim(encode(action.document))
        action = decide_claim(claim, snapshot, snapshot.settings)
    return _explain_action(claim, action, snapshot)


def _explain_action(claim: Claim, action: ClaimAction, snapshot: Snapshot) -> ClaimExplanation:
    match action:
        case Bind(volume=volume):
            return _explain_bind(claim, volume, action.rule, snapshot)
        case AssignClass(storage_class=storage_class):
            return _explained(
                claim,
                snapshot,
                "OnItsWay",
                "DefaultClassComes",
                (action.rule, "DC-1"),
                f"it has no class and gets the default class {storage_class.name}",
                f"the binder sets the class to {storage_class.name}, then a volume is looked for in it",
            )
        case Provision():
            return _explain_provisioning(claim, action, snapshot)
        case Wait():
            return _explain_wait(claim, action, snapshot)
        case Lose():
            return _explain_loss(claim, action, snapshot)
        case Fail():
            return _explain_failure(claim, action, snapshot)
        case AnnealClaim():
            raise AssertionError("a claim whose annotations were just made right is asked for right annotations")
        case _:
            assert_never(action)


# ------------------------------------------------------------------------------------------------ the happy ways


def _explain_bind(claim: Claim, volume: Volume, rule: str, snapshot: Snapshot) -> ClaimExplanation:
    if claim.phase == "Bound" and claim.volume_name == volume.name:
        size = claim.status_capacity if claim.status_capacity is not None else volume.size
        summary, then = f"it has volume {volume.name} with {size}", "nothing is left to do"
        rules: tuple[str, ...] = (rule,)
        if claim.status_capacity is not None and claim.request > claim.status_capacity:
            summary += f" and waits to grow to {claim.request}"
            then, growth_rule = _growth(claim, volume, snapshot)
            rules = (rule, growth_rule)
        return _explained(
            claim, snapshot, "Bound", "Bound", rules, summary, then, volume=volume.name, with_volumes=False
        )
    return _explained(
        claim,
        snapshot,
        "OnItsWay",
        "WillBind",
        (rule,),
        f"it gets volume {volume.name}",
        f"the binder binds it to {volume.name} ({volume.size}); if that doesn't happen, no binder is running",
        volume=volume.name,
        with_volumes=False,
    )


def _growth(claim: Claim, volume: Volume, snapshot: Snapshot) -> tuple[str, str]:
    """Say who has to grow the volume of `claim`, and by which rule."""
    decision = decide_expansion(claim, volume, snapshot.settings.migrations)
    match decision:
        case HandToDriver(driver=driver):
            return f"the resizer of {driver} grows it, if it is running", "EX-5"
        case WaitForExternal() if volume.csi is not None:
            return f"the resizer of {volume.csi.driver} grows it, if it is running", "EX-6"
        case WaitForExternal():
            return f"nothing: nobody grows {volume.source or 'such'} volumes", "EX-6"
        case (
            NotBoundToEachOther() | NothingToExpand() | ForgetOldCapacity() | Grow() | MarkForNode() | NoteOldCapacity()
        ):
            return "it grows when the controllers and its node have done their part", "EX-9"
        case _:
            assert_never(decision)


def _explain_provisioning(claim: Claim, action: Provision, snapshot: Snapshot) -> ClaimExplanation:
    match action.by:
        case ProvisionOutside(provisioner=provisioner, rule=rule):
            reason: ReasonCode = "WaitsForExternalProvisioner"
            summary = f"no volume fits it; the external provisioner {provisioner} has to make one"
            then = f"{provisioner} makes a volume, if it is running and sees the claim"
        case ProvisionInTree(plugin=plugin, rule=rule):
            reason = "VolumeIsBeingProvisioned"
            summary = f"no volume fits it; {plugin.name} makes one"
            then = f"a volume is provisioned by {plugin.name} and bound"
        case CannotProvision():
            return _explain_no_provisioner(claim, action, action.by, snapshot)
        case _:
            assert_never(action.by)
    made = snapshot.volume(volume_name_for(claim))
    if made is not None and made.claim_uid == claim.uid:
        # A volume of this name is never made twice (PR-9), so nobody goes on by himself.
        return _explained(
            claim,
            snapshot,
            "Stuck",
            "ProvisionedVolumeUnsuitable",
            (action.rule, rule),
            f"volume {made.name} was provisioned for it and doesn't fit it",
            "nothing, until one of the things below is done",
        )
    failure = latest_event(claim, snapshot, {"ProvisioningFailed", "ProvisioningSucceeded"})
    if failure is not None and failure.reason == "ProvisioningFailed":
        return _explained(
            claim,
            snapshot,
            "Stuck",
            "ProvisioningFails",
            (action.rule, rule),
            f"no volume fits it and provisioning one failed: {failure.message}",
            "it is tried again and again, with growing pauses",
        )
    return _explained(claim, snapshot, "OnItsWay", reason, (action.rule, rule), summary, then)


def _explain_no_provisioner(
    claim: Claim, action: Provision, by: CannotProvision, snapshot: Snapshot
) -> ClaimExplanation:
    rules = (action.rule, by.rule)
    match by.reason:
        case NoProvisionerReason.SWITCHED_OFF:
            return _explained(
                claim,
                snapshot,
                "Stuck",
                "ProvisioningDisabled",
                rules,
                "no volume fits it and dynamic provisioning is switched off",
                "nothing, until a volume that fits appears",
            )
        case NoProvisionerReason.CLASS_MISSING:
            reason: ReasonCode = "ClassMissing"
            summary = f'no volume fits it and there is no StorageClass "{claim.storage_class}"'
        case NoProvisionerReason.NO_PLUGIN:
            reason = "NothingProvisions"
            summary = "no volume fits it and nothing will provision one"
            if by.event is not None:
                summary += f": {by.event.message}"
        case _:
            assert_never(by.reason)
    return _explained(
        claim, snapshot, "Stuck", reason, rules, summary, "nothing, until one of the things below is done"
    )


# ------------------------------------------------------------------------------------------------ waiting


def _explain_wait(claim: Claim, action: Wait, snapshot: Snapshot) -> ClaimExplanation:
    match action.reason:
        case WaitReason.NO_CONSUMER:
            return _explain_first_consumer(claim, snapshot)
        case WaitReason.NAMED_VOLUME_MISSING:
            return _explained(
                claim,
                snapshot,
                "Stuck",
                "NamedVolumeMissing",
                (action.rule,),
                f"it names volume {claim.volume_name}, which doesn't exist",
                f"it binds as soon as a fitting volume called {claim.volume_name} appears",
                volume=claim.volume_name,
                with_volumes=False,
            )
        case WaitReason.NAMED_VOLUME_UNSUITABLE:
            return _explain_unsuitable(claim, action, snapshot)
        case WaitReason.NAMED_VOLUME_TAKEN:
            return _explain_taken(claim, action, snapshot)
        case WaitReason.NOTHING_FITS:
            return _explained(
                claim,
                snapshot,
                "Stuck",
                "NoVolumeFits",
                (action.rule,),
                "no volume fits it and nothing will provision one, as it has no class",
                "it binds as soon as a volume without a class that fits appears",
            )
        case _:
            assert_never(action.reason)


def _explain_first_consumer(claim: Claim, snapshot: Snapshot) -> ClaimExplanation:
    waiting = [pod for pod in snapshot.pods_of(claim.key) if not pod.is_scheduled and not pod.is_terminated]
    if not waiting:
        return _explained(
            claim,
            snapshot,
            "OnItsWay",
            "WaitsForFirstConsumer",
            ("SC-U5", "DB-2"),
            f"class {claim.storage_class} waits for a pod that uses the claim",
            "when a pod uses it, the scheduler picks a node and a volume is chosen or made for that node",
        )
    names = listed(sorted(pod.name for pod in waiting))
    problem = next((found for pod in waiting if (found := scheduling_problem(pod))), "")
    if problem:
        return _explained(
            claim,
            snapshot,
            "Stuck",
            "PodCannotBeScheduled",
            ("SC-U5", "DB-2"),
            f"it waits for pod {names}, which can't be scheduled: {problem}",
            "the scheduler tries again when nodes, volumes or pods change",
        )
    return _explained(
        claim,
        snapshot,
        "OnItsWay",
        "WaitsForPodToBeScheduled",
        ("SC-U5", "DB-2"),
        f"it waits for the scheduler to pick a node for pod {names}",
        "a volume is chosen or made for that node; if no node is picked, no scheduler is running",
    )


def _explain_unsuitable(claim: Claim, action: Wait, snapshot: Snapshot) -> ClaimExplanation:
    volume = snapshot.volume(claim.volume_name)
    assert volume is not None
    unsuitable = advice.unsuitability(volume, claim, snapshot.settings)
    rules = (action.rule, unsuitable.rule)
    return _explain_named(claim, "NamedVolumeUnsuitable", rules, f"won't do: {unsuitable.message}", snapshot)


def _explain_taken(claim: Claim, action: Wait | Fail, snapshot: Snapshot) -> ClaimExplanation:
    volume = snapshot.volume(claim.volume_name)
    assert volume is not None
    why = f"is bound to or reserved for {volume.claim_key}"
    return _explain_named(claim, "NamedVolumeTaken", (action.rule,), why, snapshot)


def _explain_named(
    claim: Claim, reason: ReasonCode, rules: tuple[str, ...], why: str, snapshot: Snapshot
) -> ClaimExplanation:
    name = claim.volume_name
    return _explained(
        claim,
        snapshot,
        "Stuck",
        reason,
        rules,
        f"it names volume {name}, which {why}",
        f"it binds as soon as volume {name} is free and fits",
        volume=name,
    )


# ------------------------------------------------------------------------------------------------ what went wrong


def _explain_loss(claim: Claim, action: Lose, snapshot: Snapshot) -> ClaimExplanation:
    match action.reason:
        case LoseReason.REFERENCE_REMOVED:
            reason: ReasonCode = "LostReference"
            summary, then = "it was bound, and its volumeName was removed", "nothing: what it was bound to is unknown"
        case LoseReason.VOLUME_GONE:
            reason = "LostVolume"
            summary = f"it was bound to volume {claim.volume_name}, which is gone"
            then = f"it is bound again if a volume called {claim.volume_name} comes back"
        case LoseReason.VOLUME_IS_ANOTHERS:
            reason = "Misbound"
            volume = snapshot.volume(claim.volume_name)
            holder = volume.claim_ref if volume is not None else None
            whose = "without saying which one by its uid" if holder and not holder.uid else "by its claimRef"
            summary = (
                f"it says that it is bound to volume {claim.volume_name}, which belongs to "
                f"{holder.key if holder else 'nobody'} {whose}"
            )
            then = "nothing: the volume stays with the claim in its claimRef"
        case _:
            assert_never(action.reason)
    return _explained(
        claim,
        snapshot,
        "Stuck",
        reason,
        (action.rule,),
        summary,
        then,
        volume=claim.volume_name,
        with_volumes=False,
    )


def _explain_failure(claim: Claim, action: Fail, snapshot: Snapshot) -> ClaimExplanation:
    match action.reason:
        case FailReason.CLASS_IS_BROKEN:
            reason: ReasonCode = "ClassIsBroken"
        case FailReason.SELECTOR_IS_BROKEN:
            reason = "SelectorIsBroken"
        case FailReason.BOUND_VOLUME_TAKEN:
            return _explain_taken(claim, action, snapshot)
        case _:
            assert_never(action.reason)
    return _explained(
        claim, snapshot, "Stuck", reason, (action.rule,), action.message, "the same again", with_volumes=False
    )


def _explain_deletion(claim: Claim, snapshot: Snapshot) -> ClaimExplanation:
    pods = list(snapshot.pods_of(claim.key))
    decision = protection.decide_claim_finalizer(claim, pods, pods)
    match decision:
        case protection.KeepFinalizer(user=user, rule=rule):
            names = listed(sorted(pod.name for pod in pods if protection.blocks_deletion(pod, claim))) or user
            return _explained(
                claim,
                snapshot,
                "Stuck",
                "ProtectedByPod",
                (rule, "PC-16"),
                f"it is being deleted and kept as long as pod {names} uses it",
                "it goes away when no pod that has a node refers to it any more, finished pods included",
                with_volumes=False,
            )
        case protection.AddFinalizer() | protection.RemoveFinalizer() | protection.AskPods() | protection.Settled():
            others = [finalizer for finalizer in claim.finalizers if finalizer != PVC_PROTECTION_FINALIZER]
            if others:
                return _explained(
                    claim,
                    snapshot,
                    "Stuck",
                    "HeldByFinalizers",
                    ("DE-3",),
                    f"it is being deleted and held by {listed(others)}",
                    "whoever put that finalizer there has to remove it",
                    with_volumes=False,
                )
            return _explained(
                claim,
                snapshot,
                "OnItsWay",
                "IsGoingAway",
                ("PC-11",),
                "it is being deleted and nothing uses it",
                "its protection finalizer is removed and it goes away",
                with_volumes=False,
            )
        case _:
            assert_never(decision)


# ------------------------------------------------------------------------------------------------ the evidence


def _explained(
    claim: Claim,
    snapshot: Snapshot,
    verdict: Verdict,
    reason: ReasonCode,
    rules: tuple[str, ...],
    summary: str,
    then: str,
    *,
    volume: str = "",
    with_volumes: bool = True,
) -> ClaimExplanation:
    misses = other_volumes(claim, snapshot) if with_volumes else []
    if verdict == "Stuck" and with_volumes and not claim.volume_name:
        mismatched = [each for each, _ in misses if is_bound_to(each, claim) and modes_differ(each, claim)]
        if mismatched:
            reason, rules = "VolumeModeMismatch", (*rules, "SV-6")
            summary = f"volume {mismatched[0].name} is reserved for it but has another volume mode"
    explanation = ClaimExplanation(
        claim=claim.key,
        phase="Terminating" if claim.is_deleting else claim.phase or "Pending",
        verdict=verdict,
        reason=reason,
        rules=rules,
        summary=summary,
        next=then,
        wants=wants_of(claim),
        volume=volume,
        storage_class=class_note(claim, snapshot),
        volumes=tuple(volume_note(each, reasons, snapshot, claim) for each, reasons in misses),
        pods=tuple(pod_note(pod) for pod in sorted(snapshot.pods_of(claim.key), key=lambda pod: pod.name)),
        node=node_note(claim, snapshot),
        events=event_notes(claim, snapshot),
    )
    if verdict != "Stuck":
        return explanation
    return msgspec.structs.replace(explanation, advice=tuple(advice.advise(explanation, claim, misses, snapshot)))
