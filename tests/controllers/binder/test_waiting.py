"""Claims that wait, and the events that wake them."""

from __future__ import annotations

from tests.rules.objects import claim, volume

from pvbinder.controllers.binder.waiting import Waiting
from pvbinder.model.objects import Claim
from pvbinder.rules.settings import DEFAULTS


def waiting_for(*claims: Claim, takes_free_volume: bool = True) -> Waiting:
    waiting = Waiting(DEFAULTS)
    for found in claims:
        waiting.add(found, takes_free_volume=takes_free_volume)
    return waiting


def test_waiting_1_a_volume_is_offered_to_the_smallest_claim_that_fits() -> None:
    waiting = waiting_for(
        claim("large", request="20Gi"),
        claim("medium", request="5Gi"),
        claim("small", request="1Gi"),
        claim("other-modes", request="1Mi", modes=["ReadWriteMany"]),
        claim("other-class", request="1Mi", storage_class="fast"),
        claim("picky", request="1Mi", selector={"matchLabels": {"disk": "ssd"}}),
        claim("broken", request="1Mi", selector={"matchLabels": {"-": "x"}}),
    )
    assert waiting.taker_of(volume()) == "shop/small"
    waiting.remove(claim("small").key)
    assert waiting.taker_of(volume()) == "shop/medium"
    assert waiting.taker_of(volume(), besides=claim("medium").key) is None
    assert waiting.taker_of(volume(labels={"disk": "ssd"})) == "shop/picky"
    assert waiting.taker_of(volume(modes=["ReadWriteMany", "ReadWriteOnce"])) in ("shop/medium", "shop/other-modes")
    assert waiting.taker_of(volume(capacity="1Ki")) is None


def test_waiting_1_a_delayed_claim_is_offered_nothing() -> None:
    assert waiting_for(claim(), takes_free_volume=False).taker_of(volume()) is None


def test_waiting_2_classes_and_nodes_wake_those_who_wait_for_them() -> None:
    node = {"volume.kubernetes.io/selected-node": "n1"}
    waiting = waiting_for(claim("a"), claim("b", storage_class="fast", annotations=node), claim("c", storage_class=""))
    assert list(waiting.for_class("fast", is_default=False)) == ["shop/b"]
    assert set(waiting.for_class("fast", is_default=True)) >= {"shop/a", "shop/b"}
    assert list(waiting.for_class("slow", is_default=False)) == []
    assert list(waiting.for_node("n1")) == ["shop/b"]
    assert list(waiting.for_node("n2")) == []


def test_waiting_3_nothing_is_left_of_who_no_longer_waits() -> None:
    node = {"volume.kubernetes.io/selected-node": "n1"}
    found = claim("a", storage_class="fast", annotations=node)
    waiting = waiting_for(found, found)
    assert len(waiting) == 1
    assert found.key in waiting
    waiting.remove(found.key)
    waiting.remove(found.key)
    assert len(waiting) == 0
    assert waiting.taker_of(volume(storage_class="fast")) is None
    assert not list(waiting.for_class("fast", is_default=False)) + list(waiting.for_node("n1"))
