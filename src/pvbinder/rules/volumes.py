"""The next step of a volume.

Rules: docs/rules/binder.md#3-syncvolume
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Volume
from pvbinder.rules import events, migration
from pvbinder.rules.binding import VolumePhase
from pvbinder.rules.events import Event
from pvbinder.rules.finalizers import deletion_finalizers, waits_for_its_end
from pvbinder.rules.matching import modes_differ
from pvbinder.rules.reasons import ByReason, Reason
from pvbinder.rules.reclaim import Leave, Reclaim, decide_reclaim
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.world import World


class LiveClaim(Struct, frozen=True):
    """The API server's answer about the claim of a volume; None: it is proven that there is no such claim."""

    claim: Claim | None


class NotProven(Struct, frozen=True):
    """The API server's answer about the claim of a volume proves nothing; `why` is for people."""

    why: str


class AnnealVolume(Struct, frozen=True):
    """Write `document`, whose annotations and finalizers are right, and decide again with the answer (MG-2, FZ)."""

    document: Json
    rule: ClassVar[str] = "MG-2"


class AskReason(Reason):
    """The reasons to ask the API server about a volume's claim: the cache can't be sure."""

    CLAIM_UNKNOWN = "SV-3"
    CLAIM_IS_ANOTHER = "SV-4"  # of the same name, with another uid


class AskServer(Struct, ByReason, frozen=True):
    """Read the claim live and decide again with the `LiveClaim` (SV-3, SV-4)."""

    claim: ClaimKey
    reason: AskReason


class PhaseReason(Reason):
    """Why a volume is in its phase."""

    UNCLAIMED = "SV-1"
    RESERVED = "SV-2"  # for a claim by name; nobody has bound it yet
    BOUND_TO_EACH_OTHER = "SV-8"


class SetPhase(Struct, ByReason, frozen=True):
    """See that the volume is in `phase`, without a message (ST-1)."""

    phase: VolumePhase
    reason: PhaseReason


class ReleaseReason(Reason):
    """Why a volume is let go."""

    CLAIM_GONE = "SV-5"
    CLAIM_BOUND_ELSEWHERE = "SV-9"  # and the volume was made for it, to be deleted with it


class Release(Struct, ByReason, frozen=True):
    """The claim is gone: see that the phase is `Released` or stays `Failed`, then do what `then` says."""

    then: Reclaim
    reason: ReleaseReason


class ReportModes(Struct, frozen=True):
    """The volume is reserved for a claim of another volume mode: tell it on both (SV-6)."""

    claim: Claim
    on_volume: Event
    on_claim: Event
    rule: ClassVar[str] = "SV-6"


class AwaitClaim(Struct, frozen=True):
    """The claim has to finish the bind: look at it (SV-7)."""

    claim: ClaimKey
    rule: ClassVar[str] = "SV-7"


class Unbind(Struct, frozen=True):
    """The claim is bound elsewhere: let the volume go (UB)."""

    rule: ClassVar[str] = "SV-10"


class KeepVolume(Struct, frozen=True):
    """Nobody knows whether the claim is gone: leave the volume as it is, say so, and ask again later."""

    claim: ClaimKey
    why: str
    rule: ClassVar[str] = "SV-3"


class AwaitEnd(Struct, frozen=True):
    """The volume is being deleted without the binder's finalizer: nothing is done for it any more (FZ-4)."""

    rule: ClassVar[str] = "FZ-4"


VolumeAction: TypeAlias = (
    AwaitEnd | KeepVolume | AnnealVolume | AskServer | SetPhase | Release | ReportModes | AwaitClaim | Unbind
)


def decide_volume(
    volume: Volume, world: World, settings: Settings = DEFAULTS, answer: LiveClaim | NotProven | None = None
) -> VolumeAction:
    """Say what `volume` needs next; `answer` is the server's, if it was asked already."""
    if waits_for_its_end(volume, settings.migrations):
        return AwaitEnd()
    document = _annealed(volume, settings)
    if document is not None:
        return AnnealVolume(document)
    ref = volume.claim_ref
    if ref is None:
        return SetPhase("Available", PhaseReason.UNCLAIMED)
    if not ref.uid:
        return SetPhase("Available", PhaseReason.RESERVED)
    if isinstance(answer, NotProven):
        return KeepVolume(ref.key, answer.why)
    claim = answer.claim if answer is not None else world.claim(ref.key)
    if claim is None and answer is None and not volume.is_released:
        return AskServer(ref.key, AskReason.CLAIM_UNKNOWN)
    if claim is not None and claim.uid != ref.uid:
        # The claim in the cache may be an old one. A volume that is let go and that nobody reclaims stays as it is
        # either way, so that thousands of them cost no request.
        if answer is None and not (volume.is_released and isinstance(decide_reclaim(volume), Leave)):
            return AskServer(ref.key, AskReason.CLAIM_IS_ANOTHER)
        claim = None
    if claim is None:
        return Release(decide_reclaim(volume), ReleaseReason.CLAIM_GONE)
    if not claim.volume_name:
        if modes_differ(volume, claim):
            on_volume, on_claim = events.mode_differs_on_volume(claim.name), events.mode_differs_on_claim(volume.name)
            return ReportModes(claim, on_volume, on_claim)
        return AwaitClaim(claim.key)
    if claim.volume_name == volume.name:
        return SetPhase("Bound", PhaseReason.BOUND_TO_EACH_OTHER)
    if volume.provisioned_by is not None and volume.reclaim_policy == "Delete":
        return Release(decide_reclaim(volume), ReleaseReason.CLAIM_BOUND_ELSEWHERE)
    return Unbind()


def will_be_available(volume: Volume) -> bool:
    """Tell whether `volume` needs nothing but its own sync to become `Available` (SV-1)."""
    return volume.claim_ref is None and volume.phase != "Available" and not volume.is_deleting


def is_bound_elsewhere(volume: Volume, world: World) -> bool:
    """Tell whether the claim that `volume` refers to is known to have another volume (SV-9, SV-10)."""
    ref = volume.claim_ref
    if ref is None or not ref.uid:
        return False
    claim = world.claim(ref.key)
    return claim is not None and claim.uid == ref.uid and claim.volume_name not in ("", volume.name)


def _annealed(volume: Volume, settings: Settings) -> Json | None:
    annotations = migration.volume_annotations(volume.annotations, settings.migrations)
    finalizers = deletion_finalizers(volume, settings.migrations)
    if annotations is None and finalizers is None:
        return None
    document = volume.document()
    if annotations is not None:
        document["metadata"]["annotations"] = annotations
    if finalizers is not None:
        document["metadata"]["finalizers"] = list(finalizers)
    return document
