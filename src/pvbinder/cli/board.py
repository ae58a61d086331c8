"""The content of the live view: the volumes and claims as last seen, why a claim waits, and the changes so far.

BOARD-1  A change is what a person would call one: something appeared, its phase or its partner changed, it is going,
         it is gone, it says a new reason. Anything else that is written to an object is no change.
BOARD-2  It has settled when nothing changed for `SETTLED_SECONDS`; a later change unsettles it.

Nothing here knows of terminals or watches: `live` feeds it and draws it. Times are seconds on the caller's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pvbinder.model.objects import Claim, Volume

SETTLED_SECONDS = 1.5
CHANGES_KEPT_MAX = 200


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One line of the story: its time, its object, and the new state; `status` is a phase or the type of an event."""

    at_seconds: float
    subject: str
    status: str
    text: str


@dataclass(slots=True)
class Board:
    """The state of the view; `clock` counts seconds from the start of the story."""

    clock: Callable[[], float]
    volumes: dict[str, Volume] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # claim: the last thing its events said
    changes: deque[StoryLine] = field(default_factory=lambda: deque(maxlen=CHANGES_KEPT_MAX))
    changed_at_seconds: float = 0.0

    def has_settled(self) -> bool:
        """Say whether nothing has changed for a while (BOARD-2)."""
        return self.clock() - self.changed_at_seconds >= SETTLED_SECONDS

    def see_volume(self, volume: Volume) -> StoryLine | None:
        """Take in a volume as it is now; return the change if it is one (BOARD-1)."""
        before, self.volumes[volume.name] = self.volumes.get(volume.name), volume
        story = volume_story(volume)
        if before is not None and volume_story(before) == story:
            return None
        return self._add(f"volume {volume.name}", *story)

    def see_claim(self, claim: Claim) -> StoryLine | None:
        """Take in a claim as it is now; return the change if it is one (BOARD-1)."""
        before, self.claims[claim.key] = self.claims.get(claim.key), claim
        story = claim_story(claim)
        if before is not None and claim_story(before) == story:
            return None
        return self._add(f"claim {claim.key}", *story)

    def see_event(self, claim_key: str, event_type: str, reason: str, message: str) -> StoryLine | None:
        """Take in an event about a claim; return the change if it says something new."""
        said = f"{reason}: {message}"
        if self.reasons.get(claim_key) == said:
            return None
        self.reasons[claim_key] = said
        return self._add(f"claim {claim_key}", event_type, said)

    def lose_volume(self, name: str) -> StoryLine | None:
        """Take note that a volume is gone."""
        return self._add(f"volume {name}", "gone", "deleted") if self.volumes.pop(name, None) else None

    def lose_claim(self, key: str) -> StoryLine | None:
        """Take note that a claim is gone."""
        self.reasons.pop(key, None)
        return self._add(f"claim {key}", "gone", "deleted") if self.claims.pop(key, None) else None

    def _add(self, subject: str, status: str, text: str) -> StoryLine:
        change = StoryLine(self.clock(), subject, status, text)
        self.changes.append(change)
        self.changed_at_seconds = change.at_seconds
        return change


def volume_story(volume: Volume) -> tuple[str, str]:
    """Return the status of a volume as `kubectl get` shows it, and the same with its partner in words."""
    if volume.is_deleting:
        return "Terminating", f"Terminating, kept by {', '.join(volume.finalizers) or 'nobody'}"
    if volume.phase == "Bound" and volume.claim_key:
        return volume.phase, f"Bound to {volume.claim_key}"
    if volume.phase == "Released" and volume.claim_key:
        return volume.phase, f"Released by {volume.claim_key}"
    return volume.phase, volume.phase + (f": {volume.message}" if volume.message else "")


def claim_story(claim: Claim) -> tuple[str, str]:
    """Return the status of a claim as `kubectl get` shows it, and the same with its partner in words."""
    if claim.is_deleting:
        return "Terminating", f"Terminating, kept by {', '.join(claim.finalizers) or 'nobody'}"
    if claim.phase == "Bound":
        return claim.phase, f"Bound to {claim.volume_name}"
    if claim.phase == "Lost":
        return claim.phase, f"Lost: volume {claim.volume_name} is gone"
    return claim.phase, claim.phase
