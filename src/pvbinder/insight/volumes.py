"""The reason for a volume's state: the decision that the binder makes about it, and its owner.

VOLUMES-1  The verdict comes from `rules.volumes.decide_volume`; that of a released volume from `rules.reclaim`.
VOLUMES-2  For a free volume, every claim that waits is listed with the first reason why the volume isn't its own.
"""

from __future__ import annotations

from typing import assert_never

from pvbinder.insight.evidence import notes_about, reach_of_volume
from pvbinder.insight.explanation import Verdict, VolumeExplanation, VolumeReasonCode, WaitingClaim
from pvbinder.insight.finalizers import shown_finalizers
from pvbinder.insight.remedies import Do, Kubectl, Remedy, merge, remove, sentence
from pvbinder.insight.scheduling import nodes_for, shown_affinity
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed, named, why_not
from pvbinder.model.access_modes import short_modes
from pvbinder.model.json import encode
from pvbinder.model.objects import Claim, ClaimKey, Volume, parse_volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.claims import Bind, Wait, decide_claim
from pvbinder.rules.finalizers import waits_for_its_end
from pvbinder.rules.matching import misfits
from pvbinder.rules.migration import is_migrated
from pvbinder.rules.reclaim import Leave, RefusePolicy, StartDeleting, StartRecycling, decide_reclaim
from pvbinder.rules.volumes import (
    AnnealVolume,
    AskServer,
    AwaitClaim,
    AwaitEnd,
    KeepVolume,
    LiveClaim,
    Release,
    ReportModes,
    SetPhase,
    Unbind,
    decide_volume,
)

WAITING_SHOWN_MAX = 20
_NEVER = 99  # more reasons than any volume has
_GETS_IT = "it gets it"


def explain_volume(volume: Volume, snapshot: Snapshot) -> VolumeExplanation:
    """Describe `volume`, its owner, and the next step (VOLUMES-1)."""
    if volume.is_deleting:
        return _going(volume, snapshot)
    if volume.phase == "Bound" and volume.claim_key is not None and not _could_see(volume.claim_key, snapshot):
        return _bound(volume, ("SV-8",), snapshot)  # claims of that namespace weren't read
    action = decide_volume(volume, snapshot, snapshot.settings, _answer(volume, snapshot))
    if isinstance(action, AnnealVolume):
        volume = parse_volume(encode(action.document))
        action = decide_volume(volume, snapshot, snapshot.settings, _answer(volume, snapshot))
    key = volume.claim_key or ""
    match action:
        case SetPhase(phase="Bound", rule=rule):
            return _bound(volume, (rule,), snapshot)
        case SetPhase(rule=rule) if volume.claim_ref is None:
            return _free(volume, (rule,), snapshot)
        case SetPhase(rule=rule):
            summary = f"it is reserved for claim {key}"
            then = f"it is bound as soon as claim {key} exists and is looked at"
            return _explained(volume, snapshot, "OnItsWay", "Reserved", (rule,), summary, then)
        case AwaitClaim(rule=rule):
            summary, then = f"it waits for claim {key} to finish the bind", "the binder binds them"
            return _explained(volume, snapshot, "OnItsWay", "WillBind", (rule,), summary, then)
        case ReportModes(rule=rule):
            summary = f"it is reserved for claim {key}, which wants another volume mode"
            remedy = remove("pv", volume, "/spec/claimRef", "let that claim go")
            return _explained(
                volume, snapshot, "Stuck", "Failed", (rule,), summary, "nothing: they don't fit each other", remedy
            )
        case Unbind(rule=rule):
            summary, then = f"claim {key} has another volume", "the binder lets it go, and it is available again"
            return _explained(volume, snapshot, "OnItsWay", "WillBeReleased", (rule,), summary, then)
        case Release(rule=rule):
            return _released(volume, (rule,), snapshot)
        case KeepVolume() | AskServer():
            raise AssertionError("the snapshot is the answer of the server")
        case AwaitEnd():
            raise AssertionError("what is being deleted was explained above")
        case AnnealVolume():
            raise AssertionError("a volume whose annotations were just made right is asked for right annotations")
        case _:
            assert_never(action)


def _could_see(key: ClaimKey, snapshot: Snapshot) -> bool:
    """Whether the snapshot would have the claim with `key`: it has claims of that namespace."""
    return snapshot.sees_claims_of(key.partition("/")[0])


def _answer(volume: Volume, snapshot: Snapshot) -> LiveClaim | None:
    """Return the server's answer about the volume's claim, as the snapshot has it."""
    if volume.claim_ref is None or not volume.claim_ref.uid:
        return None
    return LiveClaim(snapshot.claim(volume.claim_ref.key))


def _explained(
    volume: Volume,
    snapshot: Snapshot,
    verdict: Verdict,
    reason: VolumeReasonCode,
    rules: tuple[str, ...],
    summary: str,
    then: str,
    *remedies: Remedy,
    waiting: tuple[WaitingClaim, ...] = (),
) -> VolumeExplanation:
    size = str(volume.capacity) if volume.capacity is not None else "no capacity"
    parts = [size, short_modes(volume.access_modes), volume.volume_mode, f"class {named(volume.storage_class)}"]
    if volume.attributes_class:
        parts.append(f"attributes class {volume.attributes_class}")
    return VolumeExplanation(
        volume=volume.name,
        phase="Terminating" if volume.is_deleting else volume.phase or "Pending",
        verdict=verdict,
        reason=reason,
        rules=rules,
        summary=summary,
        next=then,
        claim=volume.claim_key or "",
        offers=", ".join(filter(None, parts)),
        reclaim_policy=volume.reclaim_policy,
        reach=reach_of_volume(volume, snapshot),
        attached_to=tuple(sorted(each.node for each in snapshot.attachments_of(volume.name))),
        events=notes_about("PersistentVolume", "", volume.name, volume.uid, snapshot),
        waiting=waiting,
        advice=tuple(map(sentence, remedies)),
    )


def _bound(volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> VolumeExplanation:
    summary = f"claim {volume.claim_key} has it"
    if volume.node_affinity is not None and list(snapshot.nodes()) and not nodes_for(volume, snapshot):
        summary += f", and no node satisfies its node affinity ({shown_affinity(volume)})"
        then = "no pod that uses it can start"
        remedy = Do(f"bring back the node with {shown_affinity(volume)}, or restore the data to a new claim")
        return _explained(volume, snapshot, "Stuck", "Unreachable", (*rules, "FM-15"), summary, then, remedy)
    return _explained(volume, snapshot, "Bound", "Bound", rules, summary, "nothing is left to do")


def _free(volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> VolumeExplanation:
    waiting = _waiting(volume, snapshot)
    getting = next((each.claim for each in waiting if each.why == _GETS_IT), "")
    if getting:
        summary, then = f"claim {getting} gets it", "the binder binds them"
        return _explained(volume, snapshot, "OnItsWay", "WillBind", rules, summary, then, waiting=waiting)
    if volume.phase != "Available":
        then = "the binder makes it available"
        return _explained(volume, snapshot, "OnItsWay", "WillBeAvailable", rules, "nobody has it", then)
    then = "the next claim that it fits best gets it"
    return _explained(volume, snapshot, "OnItsWay", "Available", rules, "nobody has it", then, waiting=waiting)


def _waiting(volume: Volume, snapshot: Snapshot) -> tuple[WaitingClaim, ...]:
    """The claims that wait, the nearest miss first (VOLUMES-2)."""
    found: list[tuple[int, str, WaitingClaim]] = []
    for claim in snapshot.claims():
        if claim.volume_name or claim.bind_completed or claim.is_deleting:
            continue
        try:
            reasons = misfits(volume, claim, settings=snapshot.settings)
        except SelectorError as error:
            found.append((_NEVER, claim.key, WaitingClaim(claim.key, "FM-13", error.message)))
            continue
        rule, why = (reasons[0].rule, why_not(reasons[0])) if reasons else _instead(volume, claim, snapshot)
        found.append((len(reasons), claim.key, WaitingClaim(claim.key, rule, why)))
    return tuple(each for _, _, each in sorted(found, key=lambda one: one[:2]))[:WAITING_SHOWN_MAX]


def _instead(volume: Volume, claim: Claim, snapshot: Snapshot) -> tuple[str, str]:
    """The rule and the reason why `claim` doesn't get `volume`, which fits."""
    action = decide_claim(claim, snapshot, snapshot.settings)
    match action:
        case Bind(volume=chosen) if chosen.name == volume.name:
            return action.rule, _GETS_IT
        case Bind(volume=chosen):
            return "FM-5", f"it fits, and {chosen.name} fits better"
        case Wait():
            return action.rule, "it fits; a pod must use the claim first"
        case _:
            return "FM-11", "it fits"


def _released(volume: Volume, rules: tuple[str, ...], snapshot: Snapshot) -> VolumeExplanation:
    key = volume.claim_key
    summary = f"claim {key}, which had it, is gone"
    there = snapshot.claim(key) if key is not None else None
    if there is not None and there.uid != volume.claim_uid:
        summary = f"an earlier claim {key} (uid {volume.claim_uid}) had it, which is gone"
    reclaim = decide_reclaim(volume)
    rules = (*rules, reclaim.rule)
    message = f": {volume.message}" if volume.message else ""
    match reclaim:
        case StartDeleting():
            return _to_delete(volume, rules, summary, message, snapshot)
        case Leave() if is_migrated(volume) and volume.reclaim_policy == "Delete":
            return _to_delete(volume, rules, summary, message, snapshot)
        case Leave():
            return _explained(
                volume,
                snapshot,
                "Stuck",
                "Released",
                rules,
                f"{summary}; its data is kept (Retain)",
                "nothing: it stays as it is, until somebody decides what becomes of its data",
                *_give(volume, there),
            )
        case StartRecycling():
            if volume.phase == "Failed":
                return _failed(volume, rules, f"{summary}, and scrubbing it failed{message}", snapshot)
            then = "it is scrubbed, and then available again"
            return _explained(volume, snapshot, "OnItsWay", "IsBeingScrubbed", rules, summary, then)
        case RefusePolicy():
            return _failed(volume, rules, f"{summary}, and nobody knows its reclaim policy", snapshot)
        case _:
            assert_never(reclaim)


def _give(volume: Volume, there: Claim | None) -> list[Remedy]:
    remedies: list[Remedy] = []
    if there is not None and not there.volume_name:
        remedies.append(
            remove("pv", volume, "/spec/claimRef/uid", f"give it to the claim {there.key} that there is now")
        )
    remedies.append(remove("pv", volume, "/spec/claimRef", "free it for any claim, with the data that is on it"))
    remedies.append(Kubectl("delete the object; the storage itself stays", ("delete", "pv", volume.name)))
    return remedies


def _to_delete(
    volume: Volume, rules: tuple[str, ...], summary: str, message: str, snapshot: Snapshot
) -> VolumeExplanation:
    told = notes_about("PersistentVolume", "", volume.name, volume.uid, snapshot)
    failed = next((each.message for each in reversed(told) if each.reason == "VolumeFailedDelete"), "")
    if volume.phase == "Failed" or failed:
        return _failed(
            volume, rules, f"{summary}, and deleting its storage failed: {failed or volume.message}", snapshot
        )
    attached = [each.node for each in snapshot.attachments_of(volume.name)]
    if attached:
        where = listed(sorted(attached))
        return _explained(
            volume,
            snapshot,
            "Stuck",
            "DeletionFails",
            (*rules, "DV-4"),
            f"{summary}, and it is still attached to {where}",
            "its storage is deleted once it is detached",
            Do(
                f"see why it isn't detached from {where}: is a pod left there, is the node gone, does the attacher run?"
            ),
        )
    who = volume.csi.driver if volume.csi is not None else volume.provisioned_by or "the binder"
    then = f"{who} deletes its storage, then it goes"
    return _explained(volume, snapshot, "OnItsWay", "IsBeingDeleted", rules, summary, then)


def _failed(volume: Volume, rules: tuple[str, ...], summary: str, snapshot: Snapshot) -> VolumeExplanation:
    retries = volume.csi is not None and volume.phase == "Released"  # DV-5: until the driver has confirmed it
    keep: list[Remedy] = []
    if volume.reclaim_policy != "Retain":
        change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
        keep.append(merge("pv", volume, change, "keep its data, whatever becomes of the object"))
    return _explained(
        volume,
        snapshot,
        "Stuck",
        "DeletionFails" if volume.reclaim_policy == "Delete" else "Failed",
        rules,
        summary,
        "it is tried again and again, with growing pauses"
        if retries
        else "nothing, until one of the things below is done",
        Do("put right what the message above says"),
        *keep,
        Kubectl("delete the object, and its storage by hand", ("delete", "pv", volume.name)),
    )


def _going(volume: Volume, snapshot: Snapshot) -> VolumeExplanation:
    held = shown_finalizers(volume, snapshot)
    summary = f"it is being deleted since {volume.deletion_timestamp}"
    if not held:
        then = "it goes at once"
        return _explained(volume, snapshot, "OnItsWay", "IsBeingDeleted", ("PP-2",), summary, then)
    claim = snapshot.claim(volume.claim_key) if volume.claim_key is not None else None
    if volume.phase == "Bound" and waits_for_its_end(volume, snapshot.settings.migrations):
        change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
        return _explained(
            volume,
            snapshot,
            "Stuck",
            "HeldByFinalizers",
            ("FZ-4", "PP-2"),
            f"{summary} and held by {held}: somebody took the binder's finalizer away",
            "nothing: the binder does nothing for it, not even once its claim is gone",
            merge("pv", volume, change, "let it go with its claim, and keep the storage"),
        )
    if volume.phase == "Bound" and claim is not None:
        remedies: list[Remedy] = []
        if volume.reclaim_policy == "Delete":
            change = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
            remedies.append(merge("pv", volume, change, "keep the storage when the volume object goes"))
        remedies.append(Do(f"delete claim {claim.key}, if its data isn't needed; a deletion can't be taken back"))
        summary = f"{summary} and held by {held}: claim {claim.key} has it"
        then = f"it goes when claim {claim.key} does"
        return _explained(volume, snapshot, "Stuck", "HeldByClaim", ("PP-2",), summary, then, *remedies)
    return _explained(
        volume,
        snapshot,
        "Stuck",
        "HeldByFinalizers",
        ("DE-3",),
        f"{summary} and held by {held}",
        "it goes when those finalizers are removed by whoever put them there",
        Do("see why whoever put the finalizer there hasn't removed it; removing it by hand skips its clean-up"),
    )
