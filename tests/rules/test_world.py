"""One way to look things up."""

from __future__ import annotations

from tests.rules.objects import claim

from pvbinder.controllers.binder.caches import Caches
from pvbinder.insight.snapshot import Snapshot
from pvbinder.rules.world import ObjectsByKey, World


def test_world_1_a_snapshot_and_the_binders_caches_look_things_up_the_same_way() -> None:
    lookups = [name for name in vars(World) if not name.startswith("_")]

    assert {"volume", "claim", "storage_class", "storage_classes", "node", "pods_of", "choose_volume"} <= set(lookups)
    for kept in (Caches, Snapshot):
        assert issubclass(kept, World)
        assert not set(lookups) & set(vars(kept)), "nothing is looked up in a way of its own"


def test_of_two_objects_with_the_same_key_the_later_one_counts() -> None:
    known = ObjectsByKey([claim(), claim(request="2Gi")])
    known.add(claim(request="3Gi"))
    assert [str(found.request) for found in known] == ["3Gi"]
    assert known.get("shop/none") is None
