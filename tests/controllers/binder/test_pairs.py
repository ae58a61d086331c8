"""The one writer of a volume."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim, volume

from pvbinder.controllers.binder.pairs import Pairs
from pvbinder.model.objects import ClaimKey, VolumeName
from pvbinder.rules.volume_index import VolumeIndex

DISK = VolumeName("disk")
ORDERS, INVOICES = claim("orders"), claim("invoices")


class Woken:
    def __init__(self) -> None:
        self.index = VolumeIndex([volume("disk")])
        self.claims: list[ClaimKey] = []
        self.volumes: list[VolumeName] = []
        self.pairs = Pairs(self.index, self.claims.append, self.volumes.append)


def test_pairs_1_a_volume_has_one_holder() -> None:
    woken = Woken()
    with woken.pairs.for_claim(DISK, ORDERS.key) as first:
        with woken.pairs.for_claim(DISK, INVOICES.key) as second, woken.pairs.for_volume(DISK) as third:
            assert (first, second, third) == (True, False, False)
        assert len(woken.pairs) == 1
    with woken.pairs.for_volume(DISK) as held, woken.pairs.for_claim(DISK, ORDERS.key) as late:
        assert (held, late) == (True, False)
    assert len(woken.pairs) == 0


def test_pairs_2_a_held_volume_is_nobody_elses_choice() -> None:
    woken = Woken()
    with woken.pairs.for_claim(DISK, ORDERS.key):
        assert woken.index.choose(INVOICES) is None
    assert woken.index.choose(INVOICES) is not None


def test_pairs_2_a_volumes_own_sync_leaves_the_reservation_of_a_claim_alone() -> None:
    woken = Woken()
    woken.index.reserve(DISK, ORDERS.key)
    with woken.pairs.for_volume(DISK) as held:
        assert held
    assert woken.index.choose(INVOICES) is None


def test_pairs_3_who_came_too_late_is_woken_afterwards() -> None:
    woken = Woken()
    with woken.pairs.for_claim(DISK, ORDERS.key):
        for _ in range(2):
            with woken.pairs.for_claim(DISK, INVOICES.key), woken.pairs.for_volume(DISK):
                pass
        assert (woken.claims, woken.volumes) == ([], [])
    assert (woken.claims, woken.volumes) == ([INVOICES.key], [DISK])
    with woken.pairs.for_claim(DISK, ORDERS.key):
        pass
    assert (woken.claims, woken.volumes) == ([INVOICES.key], [DISK]), "once"


def test_a_holder_that_fails_lets_go() -> None:
    woken = Woken()
    with pytest.raises(RuntimeError), woken.pairs.for_claim(DISK, ORDERS.key):
        raise RuntimeError
    with woken.pairs.for_volume(DISK) as held:
        assert held
