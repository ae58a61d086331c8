"""The objects that go with their owners (DE-8), and the steps of foreground and orphan deletion (DE-5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from pvbinder.model.json import Json
from pvbinder.model.ownership import FOREGROUND, ORPHAN, Owned, Owner

# present: it lives; waiting: it is being deleted and waits for its dependents; absent: surely gone, by a live read;
# unknown: its kind isn't served, so nobody can say
OwnerState: TypeAlias = Literal["present", "waiting", "absent", "unknown"]
Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]


class KeepIt(Struct, frozen=True):
    """Nothing to do."""


class Delete(Struct, frozen=True):
    """All owners are gone, or wait for it: delete it. `unblock`: first let its owners go without it (a circle)."""

    propagation: Propagation
    unblock: bool = False


class DropOwners(Struct, frozen=True):
    """It has an owner that lives: only forget those that don't."""

    uids: tuple[str, ...]


class ReleaseDependents(Struct, frozen=True):
    """It goes, its dependents stay: they forget it, then its finalizer goes."""


class DeleteDependents(Struct, frozen=True):
    """It waits for these of its dependents."""

    uids: tuple[str, ...]


class Finish(Struct, frozen=True):
    """Nothing blocks its deletion any more: the finalizer goes."""

    finalizer: str


Garbage: TypeAlias = KeepIt | Delete | DropOwners | ReleaseDependents | DeleteDependents | Finish


def decide_garbage(obj: Owned, owners: Sequence[tuple[Owner, OwnerState]], dependents: Sequence[Owned]) -> Garbage:
    """Decide about `obj`, read live, from the states of its owners and its dependents."""
    if obj.orphans_dependents:
        return ReleaseDependents()
    if obj.waits_for_dependents:
        blocking = tuple(dependent.uid for dependent in dependents if _blocks(dependent, obj))
        return DeleteDependents(blocking) if blocking else Finish(FOREGROUND)
    if obj.is_deleting or not owners:
        return KeepIt()
    states = {state for _, state in owners}
    gone = tuple(owner.uid for owner, state in owners if state in ("absent", "waiting"))
    if states & {"present", "unknown"}:
        # one that waits is let go, too: it must not wait for an object that somebody else keeps
        return DropOwners(gone) if gone and "present" in states else KeepIt()
    if "waiting" in states and dependents:
        return Delete("Foreground", unblock=any(dependent.waits_for_dependents for dependent in dependents))
    return Delete(_own_propagation(obj))


def _blocks(dependent: Owned, owner: Owned) -> bool:
    return any(one.uid == owner.uid and one.block_owner_deletion is True for one in dependent.owners)


def _own_propagation(obj: Owned) -> Propagation:
    """The propagation that the object's own finalizers ask for."""
    if ORPHAN in obj.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in obj.finalizers else "Background"


def without_owners(document: Json, uids: Sequence[str]) -> Json:
    """Return the merge patch that makes the object `document` forget the owners with these uids."""
    kept = [owner for owner in document["metadata"].get("ownerReferences") or [] if owner.get("uid") not in uids]
    return _patch(document, {"ownerReferences": kept or None})


def with_unblocked_owners(document: Json) -> Json:
    """Return the merge patch that lets all owners of the object `document` go without it."""
    owners = [{**owner, "blockOwnerDeletion": False} for owner in document["metadata"].get("ownerReferences") or []]
    return _patch(document, {"ownerReferences": owners})


def finalizer_removal(document: Json, finalizer: str) -> Json:
    """Return the merge patch that takes `finalizer` away from the object `document`."""
    kept = [one for one in document["metadata"].get("finalizers") or [] if one != finalizer]
    return _patch(document, {"finalizers": kept or None})


def _patch(document: Json, change: Json) -> Json:
    """A change that is refused if the object isn't the one that was looked at any more."""
    metadata = document["metadata"]
    return {"metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], **change}}
