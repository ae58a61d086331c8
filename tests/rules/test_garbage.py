"""What goes with its owners, and what foreground and orphan deletion need (DE-5, DE-8)."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.model.json import Json, encode
from pvbinder.model.ownership import Owned, Owner, parse_owned
from pvbinder.rules.garbage import (
    Delete,
    DeleteDependents,
    DropOwners,
    Finish,
    Garbage,
    KeepIt,
    OwnerState,
    ReleaseDependents,
    decide_garbage,
    finalizer_removal,
    with_unblocked_owners,
    without_owners,
)


def owned(uid: str = "dependent", *, owners: dict[str, bool] | None = None, **meta: Any) -> Owned:
    references = [
        {"apiVersion": "v1", "kind": "Pod", "name": each, "uid": each, "blockOwnerDeletion": blocks}
        for each, blocks in (owners or {}).items()
    ]
    return parse_owned(encode({"metadata": {"name": uid, "uid": uid, "ownerReferences": references, **meta}}))


def deleting(uid: str, *finalizers: str) -> Owned:
    return owned(uid, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=list(finalizers))


OWNERS: dict[str, tuple[dict[str, OwnerState], Garbage]] = {  # states of the owners, what becomes of the dependent
    "no owner at all": ({}, KeepIt()),
    "its owner lives": ({"a": "present"}, KeepIt()),
    "its owner is gone": ({"a": "absent"}, Delete("Background")),
    "all owners are gone": ({"a": "absent", "b": "absent"}, Delete("Background")),
    "one of two is gone": ({"a": "absent", "b": "present"}, DropOwners(("a",))),
    "one waits, another lives": ({"a": "waiting", "b": "present"}, DropOwners(("a",))),
    "its owner waits for it": ({"a": "waiting"}, Delete("Background")),
    "nobody can say": ({"a": "unknown"}, KeepIt()),
    "one is gone, of another nobody can say": ({"a": "absent", "b": "unknown"}, KeepIt()),
}


@pytest.mark.parametrize(("states", "expected"), OWNERS.values(), ids=OWNERS.keys())
def test_dependents_go_when_all_owners_are_gone(states: dict[str, OwnerState], expected: Garbage) -> None:
    obj = owned(owners=dict.fromkeys(states, False))

    assert decide_garbage(obj, [(owner, states[owner.uid]) for owner in obj.owners], []) == expected


@pytest.mark.parametrize(
    ("finalizer", "propagation"),
    [("orphan", "Orphan"), ("foregroundDeletion", "Foreground"), ("example.com/keep", "Background")],
)
def test_a_dependent_s_own_finalizer_says_how_it_goes(finalizer: str, propagation: Any) -> None:
    obj = owned(owners={"a": False}, finalizers=[finalizer])

    assert decide_garbage(obj, [(obj.owners[0], "absent")], []) == Delete(propagation)


def test_in_a_chain_that_waits_the_link_goes_after_its_own_dependents() -> None:
    obj = owned("link", owners={"top": True})
    below = owned("below", owners={"link": True})

    assert decide_garbage(obj, [(obj.owners[0], "waiting")], [below]) == Delete("Foreground")


def test_in_a_circle_that_waits_somebody_stops_blocking() -> None:
    obj = owned("link", owners={"top": True})
    below = owned(
        "below", owners={"link": True}, deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["foregroundDeletion"]
    )

    assert decide_garbage(obj, [(obj.owners[0], "waiting")], [below]) == Delete("Foreground", unblock=True)


def test_foreground_waits_for_dependents_that_block_only() -> None:
    owner = deleting("owner", "foregroundDeletion")

    blocked = decide_garbage(owner, [], [owned("a", owners={"owner": True}), owned("b", owners={"owner": False})])
    free = decide_garbage(owner, [], [owned("b", owners={"owner": False})])

    assert (blocked, free) == (DeleteDependents(("a",)), Finish("foregroundDeletion"))


def test_orphans_are_released_before_their_owner_goes() -> None:
    assert decide_garbage(deleting("owner", "orphan"), [], [owned(owners={"owner": True})]) == ReleaseDependents()


def test_what_is_going_anyway_is_left_alone() -> None:
    assert decide_garbage(deleting("pod", "example.com/keep"), [], []) == KeepIt()


def test_patches_say_which_object_they_are_for() -> None:
    metadata: Json = {
        "name": "x",
        "uid": "u",
        "resourceVersion": "7",
        "finalizers": ["orphan", "example.com/keep"],
        "ownerReferences": [{"uid": "a", "blockOwnerDeletion": True}, {"uid": "b"}],
    }
    same = {"uid": "u", "resourceVersion": "7"}

    assert without_owners({"metadata": metadata}, ["a"]) == {"metadata": {**same, "ownerReferences": [{"uid": "b"}]}}
    assert without_owners({"metadata": metadata}, ["a", "b"]) == {"metadata": {**same, "ownerReferences": None}}
    assert finalizer_removal({"metadata": metadata}, "orphan") == {
        "metadata": {**same, "finalizers": ["example.com/keep"]}
    }
    assert with_unblocked_owners({"metadata": metadata})["metadata"]["ownerReferences"] == [
        {"uid": "a", "blockOwnerDeletion": False},
        {"uid": "b", "blockOwnerDeletion": False},
    ]


def test_the_group_of_an_owner_is_read_off_its_version() -> None:
    assert [Owner("apps/v1").group, Owner("v1").group] == ["apps", ""]
