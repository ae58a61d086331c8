"""What delayed claims need of a node: a free volume, or room to make one (FM-16, DB-4)."""

from __future__ import annotations

import pytest
from tests.rules.objects import NAMESPACE, claim, storage_class, volume
from tests.rules.small_cluster import (
    SmallCluster,
    capacity,
    driver,
    node,
    on_node,
    placed,
    pod,
    why_not,
)

from pvbinder.model.names import SELECTED_NODE
from pvbinder.model.objects import (
    ClaimKey,
    NodeName,
    VolumeName,
)
from pvbinder.model.scheduling import (
    CsiStorageCapacity,
)
from pvbinder.rules.scheduling import (
    NodeFit,
    Pairing,
    Plan,
    Unschedulable,
    decide_pod,
)

# ------------------------------------------------------------------------------------------------ delayed claims


def test_a_free_volume_on_the_node_is_reserved_for_a_delayed_claim() -> None:
    """FM-16"""
    waiting = claim("data", storage_class="local")
    disks = [
        volume("far", storage_class="local", capacity="1Gi", node_affinity=on_node("z")),
        volume("large", storage_class="local", capacity="9Gi", node_affinity=on_node("a")),
        volume("right", storage_class="local", capacity="2Gi", node_affinity=on_node("a")),
    ]

    decision = decide_pod(pod(claims=["data"]), [node("a")], SmallCluster([waiting], disks))

    assert placed(decision) == NodeFit(NodeName("a"), (Pairing(waiting.key, VolumeName("right")),))


def test_smaller_claims_choose_first_and_no_volume_is_chosen_twice() -> None:
    claims = [claim("big", storage_class="local", request="2Gi"), claim("small", storage_class="local")]
    disks = [volume(f"disk-{size}", storage_class="local", capacity=f"{size}Gi") for size in (2, 3)]

    fit = placed(decide_pod(pod(claims=["big", "small"]), [node()], SmallCluster(claims, disks)))

    assert [(each.claim, each.volume) for each in fit.pairings] == [
        (f"{NAMESPACE}/small", "disk-2"),
        (f"{NAMESPACE}/big", "disk-3"),
    ]


def test_a_volume_promised_to_another_claim_is_not_chosen() -> None:
    cluster = SmallCluster(
        [claim("data", storage_class="local")],
        [volume("disk", storage_class="local")],
        reserved={VolumeName("disk"): ClaimKey("shop/other")},
    )

    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), [node()], cluster)
    )


def test_a_delayed_claim_without_a_volume_is_provisioned_on_the_node() -> None:
    waiting = claim("data", storage_class="slow")

    assert placed(decide_pod(pod(claims=["data"]), [node()], SmallCluster([waiting]))) == NodeFit(
        NodeName("node-1"), (), (waiting.key,)
    )


def test_a_node_with_a_volume_is_better_than_one_to_provision_on() -> None:
    waiting = claim("data", storage_class="slow")
    disk = volume("disk", storage_class="slow", node_affinity=on_node("b"))
    cluster = SmallCluster([waiting], [disk], crowd={NodeName("b"): 9})

    assert placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster)).pairings


def test_a_selected_node_is_kept() -> None:
    """DB-4: what carries the annotation is provisioned there, whatever volumes there are."""
    waiting = claim("data", storage_class="slow", annotations={SELECTED_NODE: "b"})
    cluster = SmallCluster([waiting], [volume("disk", storage_class="slow")], crowd={NodeName("b"): 9})

    fit = placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster))

    assert fit == NodeFit(NodeName("b"), (), (waiting.key,))
    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), [node("a")], cluster)
    )


def test_what_was_chosen_for_another_pod_holds_for_a_shared_claim() -> None:
    waiting = claim("data", storage_class="local")
    cluster = SmallCluster(
        [waiting],
        [volume("disk", storage_class="local"), volume("small", storage_class="local", capacity="1Gi")],
        plans={waiting.key: Plan(NodeName("b"), VolumeName("disk"))},
        reserved={VolumeName("disk"): waiting.key},
    )

    assert placed(decide_pod(pod(claims=["data"]), [node("a"), node("b")], cluster)) == NodeFit(
        NodeName("b"), (Pairing(waiting.key, VolumeName("disk")),)
    )


def test_classes_that_nothing_provisions_for_need_a_volume() -> None:
    decision = decide_pod(pod(claims=["data"]), [node()], SmallCluster([claim("data", storage_class="local")]))

    assert isinstance(decision, Unschedulable)
    assert decision.waits_for == {"local"}
    assert "1 node(s) didn't find available persistent volumes to bind." in decision.message


def test_allowed_topologies_choose_the_node() -> None:
    zoned = storage_class(
        "slow",
        mode="WaitForFirstConsumer",
        allowedTopologies=[{"matchLabelExpressions": [{"key": "zone", "values": ["b", "c"]}]}],
    )
    cluster = SmallCluster([claim("data", storage_class="slow")], classes=[zoned])
    nodes = [node("one", {"zone": "a"}), node("two", {"zone": "b"})]

    assert placed(decide_pod(pod(claims=["data"]), nodes, cluster)).node == "two"
    assert "1 node(s) didn't find available persistent volumes to bind." in why_not(
        decide_pod(pod(claims=["data"]), nodes[:1], cluster)
    )


ROOM: dict[str, tuple[list[CsiStorageCapacity], bool]] = {  # what is published, whether 1Gi fits in zone a
    "enough in the zone": ([capacity("5Gi")], True),
    "exactly enough": ([capacity("1Gi")], True),
    "too little": ([capacity("1023Mi")], False),
    "enough elsewhere": ([capacity("5Gi", zone="b")], False),
    "enough, nowhere": ([capacity("5Gi", zone=None)], False),
    "nothing published": ([], False),
    "enough, but volumes are smaller": ([capacity("5Gi", largest="512Mi")], False),
    "amount unknown": ([capacity(None)], False),
}


@pytest.mark.parametrize(("published", "fits"), ROOM.values(), ids=ROOM.keys())
def test_a_driver_that_publishes_its_room_is_believed(published: list[CsiStorageCapacity], fits: bool) -> None:
    cluster = SmallCluster(
        [claim("data", storage_class="slow")], drivers=[driver(reports_capacity=True)], capacities=published
    )

    decision = decide_pod(pod(claims=["data"]), [node("one", {"zone": "a"})], cluster)

    if fits:
        assert placed(decision).provisions
    else:
        assert "1 node(s) did not have enough free storage." in why_not(decision)


def test_a_driver_that_does_not_publish_its_room_always_has_some() -> None:
    cluster = SmallCluster([claim("data", storage_class="slow")], drivers=[driver(reports_capacity=False)])

    assert placed(decide_pod(pod(claims=["data"]), [node()], cluster)).provisions
