"""The finding of a recovery about each object, and the objects that it can't name.

Each object has one outcome. Nothing is guessed: where neither the list of acknowledged writes nor the totals of the
file prove what was last acknowledged, the outcome is `Unproven`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

SCHEMA = "pvbinder.recovery/v1"

FoundIn = Literal["database", "log", "copy"]


class Current(Struct, frozen=True, tag="Current", tag_field="outcome"):
    """It is there as it was last acknowledged."""

    kind: str
    key: str
    revision: int
    source: FoundIn


class Older(Struct, frozen=True, tag="Older", tag_field="outcome"):
    """It is there in an older state: `acknowledged` was the revision of its last one, which can't be read."""

    kind: str
    key: str
    revision: int
    source: FoundIn
    acknowledged: int


class Unproven(Struct, frozen=True, tag="Unproven", tag_field="outcome"):
    """It is there in the newest state that can be read; whether it changed or was deleted since, can't be known."""

    kind: str
    key: str
    revision: int
    source: FoundIn


class MaybeDeleted(Struct, frozen=True, tag="MaybeDeleted", tag_field="outcome"):
    """It is back from the copy: the damaged file doesn't have it; whether it was deleted or lost can't be known."""

    kind: str
    key: str
    revision: int
    source: FoundIn


class Lost(Struct, frozen=True, tag="Lost", tag_field="outcome"):
    """It was there, and no state of it can be read; `acknowledged` is the revision of its last one, if it is known."""

    kind: str
    key: str
    acknowledged: int | None


Outcome: TypeAlias = Current | Older | Unproven | MaybeDeleted | Lost


class Recovery(Struct, frozen=True):
    """The result of a recovery.

    `is_complete` if it is proven that all is as it was last acknowledged. `acknowledged_revision` is the last one that
    is known to have been acknowledged. `deleted` objects were found in older states, and are known to be deleted.
    """

    outcomes: tuple[Outcome, ...]
    deleted: tuple[tuple[str, str], ...]
    unnamed: int  # further lost objects, by the totals of the file; their names can't be read
    newest_revision: int
    acknowledged_revision: int | None
    is_complete: bool
    why_unproven: str
    copy_revision: int | None
    copy_time: str
    next_revision: int
    kept: Path

    @property
    def objects(self) -> int:
        """How many objects there are now."""
        return sum(not isinstance(each, Lost) for each in self.outcomes)

    @property
    def from_copy(self) -> tuple[tuple[str, str], ...]:
        """The objects that could be read from the copy only."""
        return tuple(
            (each.kind, each.key) for each in self.outcomes if not isinstance(each, Lost) and each.source == "copy"
        )

    @property
    def lost(self) -> tuple[tuple[str, str], ...]:
        """The objects that are lost, by name."""
        return self.named(Lost)

    @property
    def missing(self) -> int:
        """The number of lost objects, with and without names."""
        return len(self.lost) + self.unnamed

    def named(self, outcome: type[Outcome]) -> tuple[tuple[str, str], ...]:
        """Return the objects with this outcome."""
        return tuple((each.kind, each.key) for each in self.outcomes if isinstance(each, outcome))


def document(done: Recovery | None, directory: Path) -> dict[str, object]:
    """Return what ``-o json`` prints, a schema of its own version; None is a directory that is sound."""
    head: dict[str, object] = {"schema": SCHEMA, "directory": str(directory), "sound": done is None}
    if done is None:
        return head
    objects: Sequence[Outcome] = done.outcomes
    return {
        **head,
        "complete": done.is_complete,
        "whyUnproven": done.why_unproven,
        "objects": objects,
        "lostWithoutName": done.unnamed,
        "deleted": [{"kind": kind, "key": key} for kind, key in done.deleted],
        "newestRevision": done.newest_revision,
        "acknowledgedRevision": done.acknowledged_revision,
        "copy": None if done.copy_revision is None else {"revision": done.copy_revision, "time": done.copy_time},
        "nextRevision": done.next_revision,
        "kept": str(done.kept),
    }
