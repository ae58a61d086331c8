"""The index of volumes against a plain scan by the spec."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.rules.objects import claim, claim_ref, volume

from pvbinder.model.access_modes import ACCESS_MODES
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.selectors import SelectorError
from pvbinder.rules.matching import check_fit, is_bound_to
from pvbinder.rules.settings import DEFAULTS, Settings
from pvbinder.rules.volume_index import VolumeIndex

OFF = Settings(attributes_classes=False)


def scan_as_the_spec_says(
    claim: Claim, volumes: list[Volume], *, is_delayed: bool, settings: Settings
) -> set[str] | None:
    """The names that FM-2 to FM-5 allow as the choice, None for no volume: ties and equal groups leave it open."""
    fitting = [found for found in volumes if check_fit(found, claim, is_delayed=is_delayed, settings=settings) is None]
    if not fitting:
        return None
    fewest = min(len(set(found.access_modes)) for found in fitting)
    allowed = set()
    groups = {frozenset(found.access_modes) for found in fitting if len(set(found.access_modes)) == fewest}
    for group in groups:  # whichever group of this size comes first
        members = [found for found in fitting if frozenset(found.access_modes) == group]
        own = [found for found in members if is_bound_to(found, claim)]
        smallest = min(found.size for found in members)
        allowed |= {found.name for found in own or members if own or found.size == smallest}
    return allowed


CLAIM_NAMES = st.sampled_from(["orders", "invoices"])
MODES = st.sets(st.sampled_from(ACCESS_MODES), min_size=1, max_size=3)
ATTRIBUTES = st.sampled_from([None, None, None, "", "gold"])
CLASSES = st.sampled_from(["", "fast"])
LABELS = st.sampled_from([None, {"disk": "ssd"}, {"disk": "hdd"}])
SELECTORS = st.sampled_from([None, None, {}, {"matchLabels": {"disk": "ssd"}}])
SIZES = st.sampled_from(["1Gi", "2Gi", "1073741824", "1.5Gi", "3Gi"])


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    return claim(
        draw(CLAIM_NAMES),
        request=draw(SIZES),
        modes=sorted(draw(MODES)),
        storage_class=draw(CLASSES),
        volume_mode=draw(st.sampled_from(["Filesystem", "Filesystem", "Block"])),
        attributes_class=draw(ATTRIBUTES),
        selector=draw(SELECTORS),
    )


@st.composite
def one_volume(draw: st.DrawFn, names: st.SearchStrategy[str]) -> Volume:
    holder = draw(st.sampled_from([None, None, None, "orders", "invoices"]))
    uid = draw(st.sampled_from([None, "", "other"]))
    return volume(
        draw(names),
        capacity=draw(SIZES | st.none()),
        modes=draw(st.lists(st.sampled_from(ACCESS_MODES), min_size=1, max_size=3)),
        storage_class=draw(CLASSES),
        claim_ref=claim_ref(claim(holder), uid=uid) if holder is not None else None,
        phase=draw(st.sampled_from(["Available", "Available", "Available", "Bound", "Pending"])),
        volume_mode=draw(st.sampled_from(["Filesystem", "Filesystem", "Filesystem", "Block"])),
        attributes_class=draw(ATTRIBUTES),
        labels=draw(LABELS),
        is_deleting=draw(st.integers(0, 9)) == 0,
    )


NAMES = st.sampled_from([f"disk-{number}" for number in range(8)])
HISTORIES = st.lists(one_volume(NAMES) | NAMES, max_size=25)  # a volume is added, a name removed


@pytest.mark.slow
@settings(max_examples=400)
@given(claims(), HISTORIES, st.booleans(), st.sampled_from([DEFAULTS, OFF]))
def test_index_1_chooses_what_a_plain_scan_chooses(
    wanting: Claim, history: list[Volume | str], is_delayed: bool, gates: Settings
) -> None:
    index, model = VolumeIndex(settings=gates), dict[str, Volume]()
    for step in history:
        if isinstance(step, Volume):
            index.add(step)
            model[step.name] = step
        else:
            index.remove(step)
            model.pop(step, None)

    chosen = index.choose(wanting, is_delayed=is_delayed)

    allowed = scan_as_the_spec_says(wanting, list(model.values()), is_delayed=is_delayed, settings=gates)
    assert (chosen is None) == (allowed is None)
    assert chosen is None or allowed is None or chosen.name in allowed
    assert {found.name for found in index} == model.keys()


@given(HISTORIES, claims())
def test_index_1_chooses_the_same_whatever_came_first(history: list[Volume | str], wanting: Claim) -> None:
    last = {step.name: step for step in history if isinstance(step, Volume)}
    forwards, backwards = VolumeIndex(last.values()), VolumeIndex(reversed(last.values()))
    assert forwards.choose(wanting) == backwards.choose(wanting)


def test_index_1_prefers_the_claims_own_by_uid() -> None:
    wanting = claim()
    by_name = volume("a", capacity="1Gi", claim_ref=claim_ref(wanting, uid=""))
    by_uid = volume("b", capacity="5Gi", claim_ref=claim_ref(wanting))
    assert VolumeIndex([by_name, by_uid]).choose(wanting) == by_uid


def test_index_2_a_selector_looks_at_fitting_kinds_only_smallest_first() -> None:
    ssd = {"matchLabels": {"disk": "ssd"}}
    index = VolumeIndex(
        [
            volume("hdd", capacity="1Gi", labels={"disk": "hdd"}),
            volume("large", capacity="9Gi", labels={"disk": "ssd"}),
            volume("right", capacity="5Gi", labels={"disk": "ssd"}),
            volume("other-class", capacity="1Gi", storage_class="slow", labels={"disk": "ssd"}),
        ]
    )
    chosen = index.choose(claim(selector=ssd))
    assert chosen is not None
    assert chosen.name == "right"


def test_index_3_reserved_is_nobody_elses_choice() -> None:
    orders, invoices = claim("orders"), claim("invoices")
    index = VolumeIndex([volume("a", capacity="1Gi"), volume("b", capacity="2Gi")])
    assert index.reserve("a", orders.key)
    assert index.reserve("a", orders.key)
    assert not index.reserve("a", invoices.key)
    assert index.reserved_for("a") == orders.key

    for _ in range(2):
        chosen = index.choose(invoices)
        assert chosen is not None
        assert chosen.name == "b"
        index.add(volume("a", capacity="1Gi", revision="2"))  # a new state changes nothing about it

    index.release("a")
    chosen = index.choose(invoices)
    assert chosen is not None
    assert chosen.name == "a"


def test_index_3_a_reservation_survives_what_happens_to_the_volume() -> None:
    index = VolumeIndex()
    index.reserve("a", claim("orders").key)
    index.add(volume("a"))
    assert index.choose(claim("invoices")) is None
    index.remove("a")
    index.release("a")
    index.release("a")
    assert index.choose(claim("invoices")) is None
    assert len(index) == 0


def test_index_4_holds_the_newest_state_that_was_added() -> None:
    index = VolumeIndex([volume("a")])
    index.add(volume("a", capacity="20Gi", modes=["ReadWriteMany"], claim_ref=claim_ref(claim())))
    assert index.choose(claim("invoices")) is None
    assert [found.name for found in index.claimed_by(claim().key)] == ["a"]
    found = index.get("a")
    assert found is not None
    assert str(found.size) == "20Gi"
    assert index.remove("a") == found
    assert index.remove("a") is None
    assert index.claimed_by(claim().key) == []


def test_a_reserved_volume_in_a_larger_group_loses_to_a_free_one() -> None:  # FM-2 to FM-4, T-2
    wanting = claim()
    reserved = volume("reserved", modes=["ReadWriteOnce", "ReadOnlyMany"], claim_ref=claim_ref(wanting, uid=""))
    free = volume("free", capacity="100Gi")
    assert VolumeIndex([reserved, free]).choose(wanting) == free


def test_groups_are_visited_fewest_modes_first() -> None:  # FM-3
    index = VolumeIndex([volume("a", modes=ACCESS_MODES), volume("b", modes=["ReadWriteMany", "ReadWriteOnce"])])
    assert index.mode_sets(["ReadWriteOnce"]) == [("ReadWriteOnce", "ReadWriteMany"), ACCESS_MODES]
    assert index.mode_sets(["ReadWriteOncePod"]) == [ACCESS_MODES]
    assert [found.name for found in index.with_modes(["ReadWriteMany", "ReadWriteOnce"])] == ["b"]
    assert index.with_modes(["ReadOnlyMany"]) == []


def test_a_malformed_selector_is_an_error() -> None:  # SC-U2
    broken = claim(selector={"matchExpressions": [{"key": "a", "operator": "Near"}]})
    with pytest.raises(SelectorError):
        VolumeIndex([volume()]).choose(broken)


@given(HISTORIES, claims(), st.booleans())
def test_index_5_an_expected_volume_is_chosen_as_if_it_were_available(
    history: list[Volume | str], wanted: Claim, is_delayed: bool
) -> None:
    expecting, settled = VolumeIndex(), VolumeIndex()
    for step in history:
        if isinstance(step, str):
            expecting.remove(step)
            settled.remove(step)
            continue
        expecting.add(step)
        expecting.expect(step.key)
        will_be = step.claim_ref is None and step.deletion_timestamp is None
        settled.add(structs.replace(step, phase="Available") if will_be else step)
    one, other = (each.choose(wanted, is_delayed=is_delayed) for each in (expecting, settled))
    assert (one and one.name) == (other and other.name)


def test_index_5_an_expectation_ends_with_the_phase_a_claim_or_by_itself() -> None:
    orders, invoices = claim("orders"), claim("invoices")
    pending = volume("disk", phase="Pending")
    claimed = volume("disk", phase="Pending", claim_ref=claim_ref(invoices))

    def expecting() -> VolumeIndex:
        index = VolumeIndex([pending])
        assert index.choose(orders) is None
        index.expect(pending.key)
        assert index.choose(orders) == pending
        return index

    for ended_by in (claimed, volume("disk", phase="Available")):
        index = expecting()
        index.add(ended_by)
        assert not index.is_expected(pending.key)
        index.add(pending)
        assert index.choose(orders) is None
    index = expecting()
    index.expect_no_longer(pending.key)
    assert index.choose(orders) is None
    index = expecting()
    index.remove("disk")
    index.add(pending)
    assert index.choose(orders) is None
