"""The finalizers that delay the deletion of claims, volumes and attributes classes as long as they are used.

A claim is kept while a pod that has a node needs it, a volume while its phase is Bound, an attributes class while a
claim or volume names it. "Not used" is only believed of the API server, not of a cache: `AskPods` asks for a live list
of the namespace's pods and the decision is made again with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias, TypeVar

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.names import PV_PROTECTION_FINALIZER, PVC_PROTECTION_FINALIZER, VAC_PROTECTION_FINALIZER
from pvbinder.model.objects import Claim, ClaimKey, Pod, View, Volume, VolumeAttributesClass
from pvbinder.rules.reasons import ByReason, Reason

UNUSED_CONDITION = "Unused"

T = TypeVar("T")


class AddReason(Reason):
    """An object that lacks its finalizer."""

    CLAIM = "PC-12"
    VOLUME = "PP-3"
    ATTRIBUTES_CLASS = "VP-5"


class AddFinalizer(Struct, ByReason, frozen=True):
    """The object lacks its finalizer: write `document`."""

    document: Json
    reason: AddReason


class RemoveReason(Reason):
    """An object that nothing needs any more."""

    CLAIM = "PC-11"
    VOLUME = "PP-2"
    ATTRIBUTES_CLASS = "VP-5"


class RemoveFinalizer(Struct, ByReason, frozen=True):
    """The object is being deleted and nothing needs it any more: write `document`."""

    document: Json
    reason: RemoveReason


class KeepReason(Reason):
    """The finding about an object that is being deleted."""

    POD_NEEDS_CLAIM = "PC-11"
    VOLUME_IS_BOUND = "PP-2"
    ATTRIBUTES_CLASS_IS_NAMED = "VP-4"


class KeepFinalizer(Struct, ByReason, frozen=True):
    """The object is being deleted, but `user` still needs it."""

    user: str
    reason: KeepReason


class AskPodsReason(Reason):
    """The step that would follow if no pod used the claim."""

    CLAIM_MAY_GO = "PC-15"
    CLAIM_IS_UNUSED = "PC-18"


class AskPods(Struct, ByReason, frozen=True):
    """No pod in the cache needs the claim; list the pods of its namespace live and decide again (PC-15)."""

    reason: AskPodsReason


class Settled(Struct, frozen=True):
    """Nothing to do."""


Protection: TypeAlias = AddFinalizer | RemoveFinalizer | KeepFinalizer | Settled
ClaimProtection: TypeAlias = Protection | AskPods


class MarkUsage(Struct, frozen=True):
    """Write the ``Unused`` condition to the status of the claim (PC-19, PC-20)."""

    is_used: bool

    @property
    def rule(self) -> str:
        """The rule that says so."""
        return "PC-19" if self.is_used else "PC-20"


Usage: TypeAlias = MarkUsage | AskPods | Settled


def is_deletion_candidate(obj: View, finalizer: str) -> bool:
    """Tell whether `obj` is being deleted and waits for `finalizer` (P-1)."""
    return obj.is_deleting and finalizer in obj.finalizers


def needs_finalizer(obj: View, finalizer: str) -> bool:
    """Tell whether `obj` is alive and lacks `finalizer` (P-2)."""
    return not obj.is_deleting and finalizer not in obj.finalizers


def needs_attention(obj: View, finalizer: str) -> bool:
    """Tell whether a change of `obj` itself is a reason to look at it (PC-1, PP-1, VP-1)."""
    return is_deletion_candidate(obj, finalizer) or needs_finalizer(obj, finalizer)


def has_unused_condition(claim: Claim) -> bool:
    """Tell whether the claim carries the ``Unused`` condition, with any status (PC-1)."""
    return any(condition.type == UNUSED_CONDITION for condition in claim.conditions)


def claims_of_changed_pod(pod: Pod, *, usage_tracked: bool) -> tuple[ClaimKey, ...]:
    """Return the claims to look at after `pod` was added or updated (PC-3).

    A pod that runs on its node is no news. With the ``Unused`` condition maintained every pod event is.
    """
    if usage_tracked or pod.is_terminated or not pod.is_scheduled:
        return pod.claim_keys
    return ()


def owns_claim(pod: Pod, claim: Claim) -> bool:
    """Tell whether `claim` was made for `pod` (P-5, ownership)."""
    return pod.namespace == claim.namespace and any(
        owner.controller is True and owner.uid == pod.uid for owner in claim.owner_references
    )


def blocks_deletion(pod: Pod, claim: Claim) -> bool:
    """Tell whether `claim` may not go because of `pod` (PC-16).

    A finished pod blocks too, as long as it is there and names the claim; one without a node never does (PC-17).
    """
    if not pod.is_scheduled or pod.namespace != claim.namespace:
        return False
    return any(
        volume.claim_name == claim.name
        and (not volume.is_ephemeral or (not pod.is_shut_down and owns_claim(pod, claim)))
        for volume in pod.volumes
    )


def uses_claim(pod: Pod, claim: Claim) -> bool:
    """Tell whether `pod` counts as a user of `claim` in the ``Unused`` condition (PC-18)."""
    if pod.is_terminated or pod.namespace != claim.namespace:
        return False
    return any(
        volume.claim_name == claim.name and (not volume.is_ephemeral or owns_claim(pod, claim))
        for volume in pod.volumes
    )


def decide_claim_finalizer(claim: Claim, cached: Iterable[Pod], live: Iterable[Pod] | None = None) -> ClaimProtection:
    """Say what the finalizer of `claim` needs (PC-11, PC-12).

    `cached` are the pods that a cache knows for this claim, `live` the pods of the namespace as the API server lists
    them, or None if nobody has asked yet.
    """
    if needs_finalizer(claim, PVC_PROTECTION_FINALIZER):
        return AddFinalizer(with_finalizer(claim, PVC_PROTECTION_FINALIZER), AddReason.CLAIM)
    if not is_deletion_candidate(claim, PVC_PROTECTION_FINALIZER):
        return Settled()
    user = _first(pod.key for pod in cached if blocks_deletion(pod, claim))
    if user is None:
        if live is None:
            return AskPods(AskPodsReason.CLAIM_MAY_GO)
        user = _first(pod.key for pod in live if blocks_deletion(pod, claim))
    if user is not None:
        return KeepFinalizer(user, KeepReason.POD_NEEDS_CLAIM)
    return RemoveFinalizer(without_finalizer(claim, PVC_PROTECTION_FINALIZER), RemoveReason.CLAIM)


def decide_usage(claim: Claim, cached: Iterable[Pod], live: Iterable[Pod] | None = None) -> Usage:
    """Say whether the ``Unused`` condition of `claim` must be written (PC-10, PC-18 to PC-22); pods as above."""
    if claim.is_deleting:
        return Settled()
    is_used = any(uses_claim(pod, claim) for pod in cached)
    if not is_used:
        if live is None:
            return AskPods(AskPodsReason.CLAIM_IS_UNUSED)
        is_used = any(uses_claim(pod, claim) for pod in live)
    status = _first(condition.status for condition in claim.conditions if condition.type == UNUSED_CONDITION)
    if is_used and status in (None, "True"):
        return MarkUsage(is_used=True)
    if not is_used and status != "True":
        return MarkUsage(is_used=False)
    return Settled()


def with_usage(claim: Claim, mark: MarkUsage, now: str) -> Json:
    """Return `claim` with its ``Unused`` condition as `mark` says (PC-19 to PC-21); `now` in RFC 3339."""
    condition: Json = {
        "type": UNUSED_CONDITION,
        "status": "False" if mark.is_used else "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "PodUsingPVC" if mark.is_used else "NoPodsUsingPVC",
        "message": (
            "A pod is currently referencing this PVC" if mark.is_used else "No pods are currently referencing this PVC"
        ),
    }
    document = claim.document()
    status = document["status"] = document.get("status") or {}
    conditions = [dict(known) for known in status.get("conditions") or []]
    place = _first(at for at, known in enumerate(conditions) if known.get("type") == UNUSED_CONDITION)
    if place is None:
        conditions.append(condition)
    else:
        conditions[place] = condition
    status["conditions"] = conditions
    return document


def decide_volume_finalizer(volume: Volume) -> Protection:
    """Say what the finalizer of `volume` needs (PP-2, PP-3): only the phase counts."""
    if needs_finalizer(volume, PV_PROTECTION_FINALIZER):
        return AddFinalizer(with_finalizer(volume, PV_PROTECTION_FINALIZER), AddReason.VOLUME)
    if not is_deletion_candidate(volume, PV_PROTECTION_FINALIZER):
        return Settled()
    if volume.phase == "Bound":
        return KeepFinalizer(volume.claim_key or "", KeepReason.VOLUME_IS_BOUND)
    return RemoveFinalizer(without_finalizer(volume, PV_PROTECTION_FINALIZER), RemoveReason.VOLUME)


def decide_attributes_class(attributes_class: VolumeAttributesClass, user: str | None) -> Protection:
    """Say what the finalizer of `attributes_class` needs (VP-4, VP-5); `user` is a claim or volume that names it."""
    if needs_finalizer(attributes_class, VAC_PROTECTION_FINALIZER):
        return AddFinalizer(with_finalizer(attributes_class, VAC_PROTECTION_FINALIZER), AddReason.ATTRIBUTES_CLASS)
    if not is_deletion_candidate(attributes_class, VAC_PROTECTION_FINALIZER):
        return Settled()
    if user is not None:
        return KeepFinalizer(user, KeepReason.ATTRIBUTES_CLASS_IS_NAMED)
    return RemoveFinalizer(without_finalizer(attributes_class, VAC_PROTECTION_FINALIZER), RemoveReason.ATTRIBUTES_CLASS)


def attributes_classes_of(obj: Claim | Volume) -> frozenset[str]:
    """Return the names of the attributes classes that `obj` refers to (VP-3)."""
    found = {obj.attributes_class}
    if isinstance(obj, Claim):
        found |= {obj.current_attributes_class or "", obj.target_attributes_class}
    return frozenset(found - {""})


def with_finalizer(obj: View, finalizer: str) -> Json:
    """Return the document of `obj` with `finalizer` after those it has (AD-5)."""
    document = obj.document()
    document["metadata"]["finalizers"] = [*obj.finalizers, finalizer]
    return document


def without_finalizer(obj: View, finalizer: str) -> Json:
    """Return the document of `obj` with all its finalizers but `finalizer`."""
    document = obj.document()
    kept = [known for known in obj.finalizers if known != finalizer]
    if kept:
        document["metadata"]["finalizers"] = kept
    else:
        document["metadata"].pop("finalizers", None)
    return document


def _first(values: Iterable[T]) -> T | None:
    return next(iter(values), None)
