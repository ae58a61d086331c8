"""The one task that may write to a volume: one task at a time, so that we never conflict with ourselves.

PAIRS-1  A volume has at most one holder: the claim that binds it, or its own sync.
PAIRS-2  A volume held for a claim is reserved in the index: no other claim chooses it meanwhile (INDEX-3). The volume's
         own sync leaves a claim's reservation alone.
PAIRS-3  Nobody waits for a holder. A task that comes too late is remembered: its key is queued when the volume is let
         go, and it decides anew: its knowledge may be out of date. So there is no order of locks, and nothing to
         deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pvbinder.model.objects import ClaimKey, VolumeName
from pvbinder.rules.volume_index import VolumeIndex


class Pairs:
    """The holders of volumes, and the keys that came too late."""

    def __init__(
        self,
        index: VolumeIndex,
        wake_claim: Callable[[ClaimKey], None],
        wake_volume: Callable[[VolumeName], None],
    ) -> None:
        self._index = index
        self._wake_claim = wake_claim
        self._wake_volume = wake_volume
        self._held: set[VolumeName] = set()
        self._late_claims: dict[VolumeName, set[ClaimKey]] = {}
        self._late_volumes: set[VolumeName] = set()

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def for_claim(self, volume: VolumeName, claim: ClaimKey) -> Iterator[bool]:
        """Hold `volume` for `claim` inside the context; False if another has it, and then `claim` will be woken."""
        if volume in self._held:
            self._late_claims.setdefault(volume, set()).add(claim)
            yield False
            return
        self._held.add(volume)
        self._index.reserve(volume, claim)
        try:
            yield True
        finally:
            self._index.release(volume)
            self._let_go(volume)

    @contextmanager
    def for_volume(self, volume: VolumeName) -> Iterator[bool]:
        """Hold `volume` for its own sync; False if a claim has it, and then the volume will be woken."""
        if volume in self._held:
            self._late_volumes.add(volume)
            yield False
            return
        self._held.add(volume)
        try:
            yield True
        finally:
            self._let_go(volume)

    def _let_go(self, volume: VolumeName) -> None:
        self._held.discard(volume)
        for claim in sorted(self._late_claims.pop(volume, ())):
            self._wake_claim(claim)
        if volume in self._late_volumes:
            self._late_volumes.discard(volume)
            self._wake_volume(volume)
