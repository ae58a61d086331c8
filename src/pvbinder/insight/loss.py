"""The loss of a claim's volume: its cause, and whether the claim can get the volume back."""

from __future__ import annotations

from typing import assert_never

from pvbinder.insight.explanation import Finding, stuck
from pvbinder.insight.remedies import Do, Remedy, merge, volume_for
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import Claim, Volume
from pvbinder.rules.claims import Lose, LoseReason


def loss(claim: Claim, action: Lose, snapshot: Snapshot) -> Finding:
    """Say how `claim` lost its volume."""
    match action.reason:
        case LoseReason.REFERENCE_REMOVED:
            return stuck(
                "LostReference",
                (action.rule,),
                "it was bound, and its volumeName was removed",
                *_find_it_again(claim, snapshot),
                then="nothing: what it was bound to is unknown",
                with_volumes=False,
            )
        case LoseReason.VOLUME_GONE:
            return stuck(
                "LostVolume",
                (action.rule,),
                f"it was bound to volume {claim.volume_name}, which is gone",
                volume_for(claim, name=claim.volume_name, keeps_uid=True),
                Do("delete the claim and create it anew, if the data is not needed"),
                then=f"it is bound again if a volume called {claim.volume_name} comes back",
                volume=claim.volume_name,
                with_volumes=False,
            )
        case LoseReason.VOLUME_IS_ANOTHERS:
            return _misbound(claim, action, snapshot)
        case _:
            assert_never(action.reason)


def _find_it_again(claim: Claim, snapshot: Snapshot) -> list[Remedy]:
    mine = [volume for volume in snapshot.volumes if volume.claim_key == claim.key]
    where = f"volume {mine[0].name}" if mine else "its volume"
    return [Do(f"delete the claim; the data is still on {where}, whose claimRef names this claim")]


def _misbound(claim: Claim, action: Lose, snapshot: Snapshot) -> Finding:
    volume = snapshot.volume(claim.volume_name)
    assert volume is not None
    return stuck(
        "Misbound",
        (action.rule,),
        f"it says that it is bound to volume {claim.volume_name}, which belongs to {_whose(claim, volume)}",
        *_take_back(claim, volume, snapshot),
        then="nothing: the volume stays with the claim in its claimRef",
        volume=claim.volume_name,
        with_volumes=False,
    )


def _whose(claim: Claim, volume: Volume) -> str:
    if volume.claim_key != claim.key:
        return f"{volume.claim_key or 'nobody'} by its claimRef"
    if not volume.claim_uid:
        return f"{volume.claim_key} without saying which one by its uid"
    return f"an earlier claim of that name: its claimRef has uid {volume.claim_uid}, which is gone"


def _take_back(claim: Claim, volume: Volume, snapshot: Snapshot) -> list[Remedy]:
    if volume.claim_key == claim.key:
        return [merge("pv", volume, {"spec": {"claimRef": {"uid": claim.uid}}}, "set the uid in the volume's claimRef")]
    holder = snapshot.claim(volume.claim_key) if volume.claim_key is not None else None
    if holder is None:
        why = f"give the volume back to this claim, if claim {volume.claim_key} is gone"
        reference = {"namespace": claim.namespace, "name": claim.name, "uid": claim.uid}
        return [
            merge("pv", volume, {"spec": {"claimRef": reference}}, why),
            Do(f"delete this claim, if the volume belongs to {volume.claim_key}"),
        ]
    return [Do(f"delete this claim: the volume belongs to {volume.claim_key}")]
