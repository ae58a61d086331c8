"""Binds that were begun and may never be finished: the volume has its claimRef, the claim doesn't name the volume.

BEGUN-1  A volume whose claim proves to be gone is given back, not released, while that claim has never named it: nobody
         has used it for the claim, and a reclaim policy is about used storage. This is so when a claim is deleted in
         the middle of its bind, or when a restored backup has undone it.
BEGUN-2  In doubt the claim may have named it: a lost answer to BN-3, or a claim that was seen with the name.

It is memory only: after a restart such a volume is released, as in the reference (SV-5).
"""

from __future__ import annotations

from pvbinder.model.objects import Claim, Volume, VolumeName


class BegunBinds:
    """The claims, by UID, that volumes were reserved for and that haven't named them."""

    def __init__(self) -> None:
        self._claims: dict[VolumeName, str] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def begin(self, volume: Volume, claim: Claim) -> None:
        """`volume` is free, and is about to be reserved for `claim` (BN-1)."""
        if volume.claim_ref is None or not volume.claim_ref.uid:
            self._claims[volume.key] = claim.uid

    def forget(self, name: VolumeName) -> None:
        """The claim names the volume, or may name it (BEGUN-2); or the volume is gone."""
        self._claims.pop(name, None)

    def is_unused(self, volume: Volume) -> bool:
        """Whether the claim that `volume` refers to has never named it (BEGUN-1)."""
        ref = volume.claim_ref
        return ref is not None and bool(ref.uid) and self._claims.get(volume.key) == ref.uid
