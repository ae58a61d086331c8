"""A driver and a cluster compared."""

from __future__ import annotations

from pvbinder.rules.csi.audit import Audit, DriverEntry, Named, compare, confirmed

DRIVER = [DriverEntry("a", 1), DriverEntry("b", 2), DriverEntry("c", 3), DriverEntry("c", 3)]
CLUSTER = [Named("pv-a", "a"), Named("pv-x", "x"), Named("pv-y", "y", is_going=True)]


def test_what_is_on_one_side_only_is_named() -> None:
    assert compare(DRIVER, CLUSTER, 0) == Audit(
        stored=3, named=3, orphans=(DriverEntry("b", 2), DriverEntry("c", 3)), missing=(Named("pv-x", "x"),)
    )
    assert not compare(DRIVER, CLUSTER, 0).is_clean
    assert compare(DRIVER[:1], CLUSTER[:1], 7).is_clean


def test_while_a_request_is_open_nothing_is_an_orphan_for_certain() -> None:
    found = compare(DRIVER, CLUSTER, 1)
    assert found.orphans == ()
    assert [one.id for one in found.unsettled] == ["b", "c"]
    assert not found.is_clean


def test_an_orphan_that_the_driver_has_no_more_is_none() -> None:
    assert [one.id for one in confirmed(compare(DRIVER, CLUSTER, 0), {"c": DriverEntry("c")}).orphans] == ["c"]
