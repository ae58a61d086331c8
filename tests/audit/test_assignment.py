"""The choice among volumes: the binder's greedy order against the best there is, by brute force on small worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.world import NOW, audited
from tests.insight.builders import Document, claim, volume

from pvbinder.audit.assignment import assign, larger
from pvbinder.audit.matching import largest_matching
from pvbinder.audit.survey import Options, Survey
from pvbinder.insight.remedies import Kubectl
from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.json import decode, encode
from pvbinder.model.objects import parse_claim, parse_volume
from pvbinder.rules.matching import check_fit

LABELS = ("hdd", "ssd")
SIZES = ("5Gi", "10Gi", "20Gi")
MODES = (["ReadWriteOnce"], ["ReadWriteMany"], ["ReadWriteOnce", "ReadWriteMany"])


@st.composite
def small_worlds(draw: st.DrawFn) -> tuple[list[Document], list[Document]]:
    """Up to five claims and five volumes without classes."""
    volumes = [
        volume(
            f"disk-{number}",
            draw(st.sampled_from(SIZES)),
            meta={"labels": {"disk": draw(st.sampled_from(LABELS))}},
            accessModes=draw(st.sampled_from(MODES)),
            storageClassName=None,
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    claims = []
    for number in range(draw(st.integers(1, 5))):
        label = draw(st.sampled_from(("", *LABELS)))
        claims.append(
            claim(
                f"claim-{number}",
                meta={"creationTimestamp": f"2026-03-01T09:00:0{draw(st.integers(0, 5))}Z"},
                resources={"requests": {"storage": draw(st.sampled_from(SIZES))}},
                accessModes=draw(st.sampled_from(MODES)),
                storageClassName="",
                **({"selector": {"matchLabels": {"disk": label}}} if label else {}),
            )
        )
    return claims, volumes


def most(claims: Sequence[Document], volumes: Sequence[Document]) -> int:
    """The most claims that any assignment serves: all of them are tried."""
    wanted = [parse_claim(encode(each)) for each in claims]
    there = [parse_volume(encode(each)) for each in volumes]
    places = [*there, *([None] * len(wanted))]
    best = 0
    for order in permutations(range(len(places)), len(wanted)):
        pairs = zip(wanted, (places[each] for each in order), strict=True)
        best = max(best, sum(disk is not None and check_fit(disk, each) is None for each, disk in pairs))
        if best == min(len(wanted), len(there)):
            break
    return best


@settings(max_examples=40, deadline=None)
@given(small_worlds())
def test_assignment_2_nothing_serves_more_claims(world: tuple[list[Document], list[Document]]) -> None:
    claims, volumes = world
    assignment = assign(Survey(Snapshot((*claims, *volumes)), NOW, Options()))
    assert assignment is not None
    better = larger(assignment)
    assert len(better) == most(claims, volumes)
    assert len(set(better.values())) == len(better)
    assert all(disk in assignment.fits[key] for key, disk in better.items())
    assert set(assignment.greedy) <= set(better), "a claim loses by it"


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from("12345"), unique=True), max_size=5))
def test_a_largest_matching_is_as_large_as_brute_force_finds(edges: Mapping[str, list[str]]) -> None:
    found = largest_matching(edges)
    assert all(value in edges[key] for key, value in found.items())
    assert len(set(found.values())) == len(found) == _most(dict(edges))


def _most(edges: dict[str, list[str]]) -> int:
    if not edges:
        return 0
    key, values = next(iter(edges.items()))
    rest = {each: found for each, found in edges.items() if each != key}
    best = _most(rest)
    for value in values:
        best = max(best, 1 + _most({each: [one for one in found if one != value] for each, found in rest.items()}))
    return best


def test_assignment_1_the_first_to_come_gets_the_smallest_that_fits() -> None:
    world = (
        claim("late", meta={"creationTimestamp": "2026-03-02T09:00:00Z"}, storageClassName=""),
        claim("early", storageClassName=""),
        volume("large", "20Gi", storageClassName=None),
        volume("small", "10Gi", storageClassName=None),
    )
    assignment = assign(Survey(Snapshot(world), NOW, Options()))
    assert assignment is not None
    assert assignment.greedy == {"shop/early": "small", "shop/late": "large"}


def test_the_patches_of_a_better_assignment_make_it_so() -> None:
    wants_ssd = claim(
        "late",
        meta={"creationTimestamp": "2026-03-02T09:00:00Z"},
        storageClassName="",
        selector={"matchLabels": {"disk": "ssd"}},
    )
    ssd = volume("disk-1", meta={"labels": {"disk": "ssd"}}, storageClassName=None)
    large = volume("disk-2", "20Gi", storageClassName=None)
    world = (claim("early", storageClassName=""), wants_ssd, ssd, large)
    (told,) = (each for each in audited(world) if each.code == "PVB305")
    patched = {each["metadata"]["name"]: each for each in (ssd, large)}
    for remedy in told.way_out:
        assert isinstance(remedy, Kubectl)
        name, patch = remedy.arguments[2], decode(remedy.arguments[-1].encode())
        patched[name]["spec"] |= patch["spec"]
    after = audited((claim("early", storageClassName=""), wants_ssd, *patched.values()))
    assert {each.subject.name: each.summary for each in after if each.code == "PVB119"} == {
        "early": "it gets volume disk-2",
        "late": "it gets volume disk-1",
    }
