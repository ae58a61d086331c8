"""One way to look things up."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim

from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.scheduler.caches import SchedulerCaches
from pvbinder.insight.snapshot import Snapshot
from pvbinder.rules.world import Lookups, ObjectsByKey, World


@pytest.mark.parametrize(
    ("kept", "shape"), [(Caches, World), (Snapshot, World), (SchedulerCaches, Lookups)], ids=lambda each: each.__name__
)
def test_world_1_whoever_keeps_the_objects_they_are_looked_up_the_same_way(kept: type, shape: type) -> None:
    lookups = {name for each in (Lookups, shape) for name in vars(each) if not name.startswith("_")}

    assert {"volume", "claim", "storage_class", "pods_of"} <= lookups
    assert issubclass(kept, shape)
    assert not lookups & set(vars(kept)), "nothing is looked up in a way of its own"


def test_of_two_objects_with_the_same_key_the_later_one_counts() -> None:
    known = ObjectsByKey([claim(), claim(request="2Gi")])
    known.add(claim(request="3Gi"))
    assert [str(found.request) for found in known] == ["3Gi"]
    assert known.get("shop/none") is None
