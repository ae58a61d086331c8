"""The binder's caches of the cluster."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim, claim_ref, node, pod, storage_class, volume
from tests.vectors.store import Store

from pvbinder.controllers.binder.caches import Caches, RevisionError
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Change
from pvbinder.kube.informers import Informers
from pvbinder.model.objects import Volume
from pvbinder.rules.plugins import NoPlugins
from pvbinder.rules.settings import Settings
from pvbinder.rules.world import World


def make() -> Caches:
    return Caches(Informers(Client(Store())), NoPlugins(), Settings())


def test_caches_1_is_the_world_of_the_decisions() -> None:
    caches = make()
    world: World = caches
    caches.volumes.put(volume("disk"))
    caches.claims.put(claim("orders"))
    caches.classes.put(storage_class("fast"))
    caches.pods.put(pod("web"))
    caches.nodes.put(node("n1"))
    assert world.volume("disk") == volume("disk")
    assert world.claim(claim().key) == claim()
    assert world.storage_class("fast") == next(iter(world.storage_classes()))
    assert [found.name for found in world.pods_of(claim().key)] == ["web"]
    assert world.node("n1") is not None
    assert world.choose_volume(claim(), is_delayed=False) == volume("disk")
    assert world.plugins.named("x") is None


def test_caches_2_an_own_write_counts_at_once() -> None:  # B-9
    caches = make()
    caches.volumes.put(volume("disk"))
    assert caches.take_volume(volume("disk", revision="2", claim_ref=claim_ref(claim("invoices"))))
    assert caches.choose_volume(claim(), is_delayed=False) is None
    assert caches.take_claim(claim(revision="3"))
    found = caches.claim(claim().key)
    assert found is not None
    assert found.resource_version == "3"


def test_caches_3_older_is_refused_and_no_number_is_an_error() -> None:  # B-10
    caches = make()
    assert caches.take_volume(volume("disk", revision="10"))
    assert not caches.take_volume(volume("disk", revision="9"))
    assert caches.take_volume(volume("disk", revision="10"))
    with pytest.raises(RevisionError, match='error parsing ResourceVersion "new"'):
        caches.take_volume(volume("disk", revision="new"))


def test_caches_4_the_index_holds_the_volumes_of_the_cache() -> None:
    caches = make()
    caches.volumes.put(volume("disk"))
    caches.volumes.put(volume("disk", revision="2", capacity="2Gi"))
    assert [str(found.size) for found in caches.index] == ["2Gi"]
    caches.volumes._cache.remove("disk")
    assert list(caches.index) == []


def test_caches_5_own_writes_are_told_apart() -> None:
    caches = make()
    own: list[bool] = []

    def note(_change: Change[Volume]) -> None:
        own.append(caches.is_own_write)

    caches.volumes.add_handler(note)
    caches.volumes.put(volume("disk"))
    caches.take_volume(volume("disk", revision="2"))
    assert own == [False, True]
    assert not caches.is_own_write


def test_claims_that_name_a_volume_are_found_until_they_are_bound() -> None:
    caches = make()
    caches.claims.put(claim(volume_name="disk"))
    assert [found.name for found in caches.claims_naming("disk")] == ["orders"]
    caches.claims.put(claim(volume_name="disk", phase="Bound", revision="2"))
    assert caches.claims_naming("disk") == []
