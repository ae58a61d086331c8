"""Any object as owner and as owned."""

from __future__ import annotations

import msgspec
import pytest

from pvbinder.model.json import encode
from pvbinder.model.ownership import Owned, Owner, parse_owned


def test_each_field_has_what_belongs_there() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u-2", "controller": True}
    meta = {
        "name": "web",
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "7",
        "ownerReferences": [{**owner, "blockOwnerDeletion": True}, {}],
        "finalizers": ["finalizer"],
        "deletionTimestamp": "2026-01-02T00:00:00Z",
    }

    assert msgspec.structs.asdict(parse_owned(encode({"metadata": meta}))) == {
        "name": "web",
        "namespace": "shop",
        "uid": "u-1",
        "resource_version": "7",
        "owners": (Owner("apps/v1", "Deployment", "d", "u-2", True, True), Owner("", "", "", "", None, None)),
        "finalizers": ("finalizer",),
        "is_deleting": True,
        "raw": b"",
    }
    assert parse_owned(b"{}") == Owned("", "", "", "", (), (), False)


@pytest.mark.parametrize(("version", "group"), [("apps/v1", "apps"), ("v1", ""), ("", "")])
def test_the_group_of_an_owner(version: str, group: str) -> None:
    assert Owner(api_version=version).group == group


STAYS = {  # finalizers, deleting: orphans its dependents, waits for them
    "orphans": (["orphan"], True, (True, False)),
    "waits": (["foregroundDeletion"], True, (False, True)),
    "another finalizer": (["other"], True, (False, False)),
    "isn't being deleted": (["orphan", "foregroundDeletion"], False, (False, False)),
}


@pytest.mark.parametrize(("finalizers", "is_deleting", "expected"), STAYS.values(), ids=STAYS.keys())
def test_what_becomes_of_dependents(finalizers: list[str], is_deleting: bool, expected: tuple[bool, bool]) -> None:
    """The finalizers say it, once the object is being deleted (DE-5)."""
    found = Owned("a", "shop", "u", "1", (), tuple(finalizers), is_deleting)

    assert (found.orphans_dependents, found.waits_for_dependents) == expected
    assert found.key == "shop/a"
    assert Owned("a", "", "u", "1", (), (), False).key == "a"
