"""Where a volume may be made."""

from __future__ import annotations

import pytest

from pvbinder.rules.csi.topology import (
    Requirement,
    Segments,
    SelectedNode,
    TopologyError,
    allowed_terms,
    fnv32,
    hash_and_index,
    node_affinity,
    require,
    select_node,
    sorted_terms,
    term_of,
)

ZONE, RACK = "topology.example.com/zone", "topology.example.com/rack"


def at(zone: str, rack: str = "") -> Segments:
    return ((RACK, rack), (ZONE, zone)) if rack else ((ZONE, zone),)


def test_a_place_is_the_labels_of_a_node() -> None:  # TP-2
    assert term_of({ZONE: "a", RACK: "1", "other": "x"}, [ZONE, RACK]) == at("a", "1")
    assert term_of({ZONE: "a"}, [ZONE, RACK]) is None
    assert select_node("n1", {ZONE: "a"}, [ZONE]) == SelectedNode("n1", at("a"))


@pytest.mark.parametrize(
    ("labels", "keys", "problem"),
    [
        ({}, [], "no topology key found for node n1"),
        (
            {"b": "2", "a": "1"},
            [ZONE],
            (
                "topology labels from selected node map[a:1 b:2] does not match topology keys from CSINode "
                "[topology.example.com/zone]"
            ),
        ),
    ],
)
def test_a_node_without_a_place(labels: dict[str, str], keys: list[str], problem: str) -> None:  # TP-2
    with pytest.raises(TopologyError) as caught:
        select_node("n1", labels, keys)
    assert caught.value.message == problem


def test_what_a_class_allows_is_every_combination() -> None:  # TP-4, TP-7
    allowed = [
        {"matchLabelExpressions": [{"key": ZONE, "values": ["b", "a"]}, {"key": RACK, "values": ["1", "2"]}]},
        {"matchLabelExpressions": [{"key": ZONE, "values": ["a", "c"]}]},
        {},
    ]
    assert allowed_terms(allowed) == (at("a"), at("c"), at("a", "1"), at("b", "1"), at("a", "2"), at("b", "2"))


def test_terms_are_sorted_and_each_once() -> None:  # TP-7
    assert sorted_terms([at("b"), (), at("a", "1"), at("a"), at("b")]) == (at("a"), at("b"), at("a", "1"))


def test_a_strict_node_is_the_only_place() -> None:  # TP-3
    node = SelectedNode("n1", at("a", "1"))
    assert require("c", selected=node, allowed=(), aggregated=(at("b"),), strict=True) == Requirement(
        (at("a", "1"),), (at("a", "1"),)
    )
    assert require("c", selected=node, allowed=(at("a"),), aggregated=(), strict=True) is not None
    with pytest.raises(TopologyError) as caught:
        require("c", selected=node, allowed=(at("b"),), aggregated=(), strict=True)
    assert caught.value.message == (
        "selected node '\"n1\"' topology '[{topology.example.com/rack 1} {topology.example.com/zone a}]' is not in "
        "allowed topologies: [[{topology.example.com/zone b}]]"
    )


def test_allowed_places_come_before_all_places() -> None:  # TP-4, TP-6
    found = require("c", selected=None, allowed=(at("b"),), aggregated=(at("a"), at("b")), strict=False)
    assert found is not None
    assert found.requisite == (at("b"),)
    found = require("c", selected=None, allowed=(), aggregated=(at("a"), at("b")), strict=False)
    assert found is not None
    assert found.requisite == (at("a"), at("b"))


def test_nothing_is_required_of_an_immediate_claim_when_that_is_off() -> None:  # TP-5
    assert require("c", selected=None, allowed=(), aggregated=(at("a"),), strict=False, immediate=False) is None


def test_the_selected_place_is_preferred() -> None:  # TP-9
    places = (at("a"), at("b"), at("c"))
    node = SelectedNode("n1", at("b"))
    found = require("c", selected=node, allowed=(), aggregated=places, strict=False)
    assert found == Requirement(places, (at("b"), at("c"), at("a")))
    with pytest.raises(TopologyError) as caught:
        require("c", selected=node, allowed=(at("a"),), aggregated=(), strict=False)
    assert caught.value.message == (
        'topology [{topology.example.com/zone b}] from selected node "n1" is not in requisite: '
        "[[{topology.example.com/zone a}]]"
    )


@pytest.mark.parametrize(
    ("claim", "hashed", "index"),
    [
        ("orders", "orders", 0),
        ("data-web-3", "web", 3),
        ("web-3", "web", 3),
        ("data-my-web-12", "web", 12),
        ("data-web-x", "data-web-x", 0),
        ("data-web-99999999999", "data-web-99999999999", 0),
    ],
)
def test_the_claims_of_a_set_are_spread(claim: str, hashed: str, index: int) -> None:  # TP-8
    assert hash_and_index(claim) == (fnv32(hashed), index)


def test_preferred_places_of_a_set_follow_each_other() -> None:  # TP-8
    places = tuple(at(zone) for zone in "abcd")
    firsts = []
    for number in range(4):
        found = require(f"data-web-{number}", selected=None, allowed=(), aggregated=places, strict=False)
        assert found is not None
        firsts.append(found.preferred[0])
    start = places.index(firsts[0])
    assert firsts == [places[(start + number) % 4] for number in range(4)]


def test_fnv_is_the_one_of_32_bits() -> None:  # TP-8
    assert fnv32("") == 2166136261
    assert fnv32("a") == 0x050C5D7E
    assert fnv32("foobar") == 0x31F0B262


def test_nodes_that_can_reach_a_volume() -> None:  # TP-11
    assert node_affinity([]) is None
    assert node_affinity([{}]) is None
    assert node_affinity([{ZONE: "a", RACK: "1"}, {ZONE: "b"}]) == {
        "required": {
            "nodeSelectorTerms": [
                {
                    "matchExpressions": [
                        {"key": RACK, "operator": "In", "values": ["1"]},
                        {"key": ZONE, "operator": "In", "values": ["a"]},
                    ]
                },
                {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["b"]}]},
            ]
        }
    }
