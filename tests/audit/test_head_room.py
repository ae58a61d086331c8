"""Head-room: how many more claims a class takes, a driver attaches, and which node has how much of it."""

from __future__ import annotations

from tests.audit.world import NOW, attachment, audited, csi_node, pair, ready, snapshot_of
from tests.insight.builders import (
    HOST,
    Document,
    affinity,
    capacity,
    driver,
    in_zone,
    node,
    storage_class,
    volume,
)

from pvbinder.audit.finding import Finding
from pvbinder.audit.head_room import head_room_findings
from pvbinder.audit.survey import COMPARISONS_MAX, Options, Survey

FAST = (*pair("orders"), storage_class(), driver(storageCapacity=True))  # the usual claim is of 10Gi
DRIVER = "csi.example.com"


def told(about: str, *world: Document) -> Finding:
    return next(each for each in audited(world) if each.code == "PVB702" and each.about == about)


def by_node(found: Finding) -> dict[str, str]:
    return {one.what.removeprefix("room on "): one.found for one in found.evidence if one.what.startswith("room on")}


def test_head_room_1_a_node_that_takes_no_pods_has_no_room() -> None:
    nodes = (ready(in_zone("n1", "a")), ready(in_zone("n2", "a"), cordoned=True), ready(node("n3"), is_ready=False))
    found = told("storage", *FAST, capacity("35Gi", "a"), *nodes)
    assert by_node(found) == {"n1": "3 claims"}
    assert "3 more claims of 10Gi" in found.summary


def test_head_room_1_nodes_with_the_same_room_are_told_together_the_least_first() -> None:
    nodes = [in_zone(f"n{number}", "b" if number == 7 else "a") for number in range(8)]
    found = told("storage", *FAST, capacity("35Gi", "a"), capacity("15Gi", "b"), *nodes)
    assert list(by_node(found).items()) == [("n7", "1 claim"), ("n0, n1, n2, n3, n4 and 2 more", "3 claims each")]


def test_head_room_2_a_node_takes_no_more_claims_than_it_can_attach() -> None:
    limits = (csi_node("n1", DRIVER, limit=2), csi_node("n2", DRIVER, limit=40))
    world = (*FAST, capacity("95Gi", "a"), in_zone("n1", "a"), in_zone("n2", "a"), *limits)
    busy = attachment("a1", "disk-orders", "n1")
    assert by_node(told("storage", *world, busy)) == {"n1": "1 claim", "n2": "9 claims"}
    assert by_node(told("attachments", *world, busy)) == {"n1": "1 volume", "n2": "40 volumes"}


def test_head_room_2_a_free_volume_counts_where_it_can_be_used() -> None:
    world = (
        storage_class("kubernetes.io/no-provisioner"),
        node("n1"),
        node("n2"),
        volume("anywhere"),
        volume("disk", **affinity(HOST, "n2")),
    )
    assert by_node(told("volumes", *world)) == {"n1": "1 volume", "n2": "2 volumes"}


def test_head_room_3_beyond_the_budget_the_nodes_are_left_out() -> None:
    survey = Survey(snapshot_of((*FAST, capacity("35Gi", "a"), in_zone("n1", "a"))), NOW, Options())
    assert survey.may_compare(COMPARISONS_MAX)
    (found,) = head_room_findings(survey)
    assert "3 more claims" in found.summary
    assert not by_node(found)
