"""Which volume can serve which claim, and why not."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from tests.rules.objects import claim, claim_ref, node, volume

from pvbinder.model.access_modes import short_modes, sorted_modes
from pvbinder.model.json import Json
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import (
    Misfit,
    MisfitReason,
    check_fit,
    choose_for_node,
    is_bound_to,
    is_usable_on,
    misfits,
    modes_differ,
    nearest_misses,
)
from pvbinder.rules.settings import Settings

CLAIM = claim()
OTHER = claim("invoices")

FITS: dict[str, tuple[Json, MisfitReason | None]] = {  # what is special about the volume: (its fields, why not)
    "nothing": ({}, None),
    "same size in other units": ({"capacity": "1024Mi"}, None),
    "one byte short (FM-6a)": ({"capacity": "1073741823"}, "TooSmall"),
    "no capacity at all (FM-6a)": ({"capacity": None}, "TooSmall"),
    "lacks the access mode (FM-2)": ({"modes": ["ReadOnlyMany"]}, "AccessModesMissing"),
    "claimed by another (FM-6)": ({"claim_ref": claim_ref(OTHER)}, "ClaimedByAnother"),
    "claimed by one of our name (FM-6)": ({"claim_ref": claim_ref(CLAIM, uid="older")}, "ClaimedByAnother"),
    "block (FM-7a)": ({"volume_mode": "Block"}, "VolumeModeDiffers"),
    "no volume mode is Filesystem (FM-7)": ({"volume_mode": None}, None),
    "attributes class (FM-8)": ({"attributes_class": "gold"}, "AttributesClassDiffers"),
    "empty attributes class is none (FM-8)": ({"attributes_class": ""}, None),
    "being deleted (FM-9)": ({"is_deleting": True}, "BeingDeleted"),
    "pending (FM-12)": ({"phase": "Pending"}, "NotAvailable"),
    "other class (FM-14)": ({"storage_class": "slow"}, "ClassDiffers"),
    "reserved for us by name (FM-10)": ({"claim_ref": claim_ref(CLAIM, uid="")}, None),
    "reserved for us, other class and phase (FM-10)": (
        {"claim_ref": claim_ref(CLAIM), "storage_class": "slow", "phase": "Bound"},
        None,
    ),
    "reserved for us, but too small (FM-6a)": ({"claim_ref": claim_ref(CLAIM), "capacity": "1Mi"}, "TooSmall"),
    "reserved for us, but being deleted (FM-9)": ({"claim_ref": claim_ref(CLAIM), "is_deleting": True}, "BeingDeleted"),
}


@pytest.mark.parametrize(("fields", "reason"), FITS.values(), ids=FITS.keys())
def test_check_fit(fields: Json, reason: MisfitReason | None) -> None:
    misfit = check_fit(volume(**fields), CLAIM)
    assert (misfit.reason if misfit is not None else None) == reason


def test_a_misfit_has_its_rule_and_both_values() -> None:
    misfit = check_fit(volume(capacity="8Gi"), claim(request="10Gi"))
    assert misfit is not None
    assert (misfit.rule, misfit.wanted, misfit.found) == ("FM-6a", "10Gi", "8Gi")


def test_claims_of_one_name_are_told_apart_by_uid() -> None:
    misfit = check_fit(volume(claim_ref=claim_ref(CLAIM, uid="older")), CLAIM)
    assert misfit is not None
    assert (misfit.wanted, misfit.found) == ("shop/orders (uid uid-of-orders)", "shop/orders (uid older)")


def test_all_misfits_are_listed_in_the_order_of_the_rules() -> None:
    bad = volume(modes=["ReadOnlyMany"], capacity="1Mi", volume_mode="Block", phase="Released", storage_class="slow")
    assert [misfit.rule for misfit in misfits(bad, CLAIM)] == ["FM-2", "FM-6a", "FM-7a", "FM-12", "FM-14"]


def test_a_delayed_claim_takes_only_what_is_reserved_for_it() -> None:  # FM-11, DB-1
    delayed = check_fit(volume(), CLAIM, is_delayed=True)
    assert delayed is not None
    assert delayed.rule == "FM-11"
    assert check_fit(volume(claim_ref=claim_ref(CLAIM)), CLAIM, is_delayed=True) is None


def test_with_the_gate_off_any_attributes_class_is_a_misfit() -> None:  # FM-8
    off = Settings(attributes_classes=False)
    gold = volume(attributes_class="gold")
    assert check_fit(gold, claim(attributes_class="gold")) is None
    assert check_fit(gold, claim(attributes_class="gold"), settings=off) is not None
    assert check_fit(volume(), CLAIM, settings=off) is None


IN_ZONE_A: Json = {"key": "zone", "operator": "In", "values": ["a"]}
SELECTOR: Json = {"matchLabels": {"disk": "ssd"}, "matchExpressions": [IN_ZONE_A]}


def test_a_selector_must_match_unless_the_volume_is_reserved() -> None:  # FM-13, FM-10
    wants_ssd = claim(selector=SELECTOR)
    assert check_fit(volume(labels={"disk": "ssd", "zone": "a"}), wants_ssd) is None
    misfit = check_fit(volume(labels={"disk": "hdd"}), wants_ssd)
    assert misfit is not None
    assert (misfit.rule, misfit.wanted, misfit.found) == ("FM-13", "disk=ssd, zone In (a)", "disk=hdd")
    assert check_fit(volume(claim_ref=claim_ref(wants_ssd)), wants_ssd) is None
    assert check_fit(volume(), claim(selector={})) is None


def test_a_malformed_selector_is_an_error_in_the_words_of_the_reference() -> None:  # FM-13
    broken = claim(selector={"matchExpressions": [{"key": "a", "operator": "Near"}]})
    with pytest.raises(SelectorError, match="error creating internal label selector for claim: shop/orders: "):
        check_fit(volume(), broken)


def test_the_nearest_miss_comes_first() -> None:
    volumes = [
        volume("two-reasons", storage_class="slow", capacity="9Gi"),
        volume("far-too-small", capacity="1Gi"),
        volume("nearly", capacity="9Gi"),
        volume("fits"),
    ]
    wants = claim(request="10Gi")
    assert [found.name for found, _ in nearest_misses(volumes, wants)] == ["nearly", "far-too-small", "two-reasons"]


BOUND = {
    "no reference": (None, False),
    "full reference": (claim_ref(CLAIM), True),
    "without uid": (claim_ref(CLAIM, uid=""), True),
    "another uid": (claim_ref(CLAIM, uid="x"), False),
    "another name": (claim_ref(OTHER), False),
    "another namespace": (claim_ref(claim(namespace="lab")), False),
    "empty reference": ({}, False),
}


@pytest.mark.parametrize(("ref", "is_bound"), BOUND.values(), ids=BOUND.keys())
def test_is_bound_to(ref: Json | None, is_bound: bool) -> None:  # IB-1
    assert is_bound_to(volume(claim_ref=ref), CLAIM) == is_bound


def test_modes_in_order_and_short() -> None:  # FM-1
    assert sorted_modes(["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"]) == ("ReadWriteOnce", "ReadWriteMany")
    assert short_modes(["ReadWriteOncePod", "ReadOnlyMany"]) == "ROX,RWOP"
    assert not modes_differ(volume(volume_mode=None), claim(volume_mode=None))


AFFINITY: Any = {"required": {"nodeSelectorTerms": [{"matchExpressions": [IN_ZONE_A]}]}}


def test_node_affinity() -> None:  # FM-15
    assert is_usable_on(volume(), {})
    assert is_usable_on(volume(node_affinity=AFFINITY), {"zone": "a"})
    assert not is_usable_on(volume(node_affinity=AFFINITY), {"zone": "b"})
    assert not is_usable_on(volume(node_affinity={"required": {}}), {"zone": "a"})
    assert check_fit(volume(node_affinity=AFFINITY), CLAIM) is None  # the binder never looks at it


def test_for_a_node_the_smallest_usable_volume_is_chosen() -> None:  # FM-16
    near, far = node(labels={"zone": "a"}), node(labels={"zone": "b"})
    volumes = [volume("large", node_affinity=AFFINITY), volume("small", capacity="2Gi", node_affinity=AFFINITY)]
    found = choose_for_node(volumes, CLAIM, near)
    assert found is not None
    assert found.name == "small"
    assert choose_for_node(volumes, CLAIM, far) is None
    others = choose_for_node(volumes, CLAIM, near, excluded=frozenset({"small"}))
    assert others is not None
    assert others.name == "large"


def test_for_a_node_a_reserved_volume_that_cant_be_used_ends_the_search() -> None:  # FM-16
    far = node(labels={"zone": "b"})
    reserved = volume("reserved", node_affinity=AFFINITY, claim_ref=claim_ref(CLAIM))
    assert choose_for_node([reserved, volume("free")], CLAIM, far) is None
    assert choose_for_node([volume("free"), reserved], CLAIM, node(labels={"zone": "a"})) == reserved


def test_for_a_node_access_modes_are_checked_again() -> None:  # FM-16
    assert choose_for_node([volume(modes=["ReadOnlyMany"])], CLAIM, node()) is None


def test_without_a_node_a_delayed_claim_gets_only_what_is_reserved() -> None:  # FM-11
    assert choose_for_node([volume()], CLAIM, None, is_delayed=True) is None
    assert choose_for_node([volume()], CLAIM, node(), is_delayed=True) is not None


@pytest.mark.parametrize("reason", get_args(MisfitReason))
def test_every_misfit_has_its_rule(reason: MisfitReason) -> None:
    assert Misfit(reason, "", "").rule.startswith("FM-")
