"""Default classes and delayed binding."""

from __future__ import annotations

import pytest
from tests.rules.objects import claim, pod, storage_class

from pvbinder.rules.classes import (
    BindingModeError,
    consumer_event,
    default_class,
    is_delayed,
    may_get_default_class,
    with_class,
)

OLD, NEW = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def test_the_newest_default_class_wins_then_the_first_name() -> None:  # DC-2
    classes = [
        storage_class("z", is_default=True, created=OLD),
        storage_class("b", is_default=True, created=NEW),
        storage_class("a", is_default=True, created=NEW),
        storage_class("newest", created="2026-03-01T00:00:00Z"),
    ]
    for order in (classes, classes[::-1]):
        found = default_class(order)
        assert found is not None
        assert found.name == "a"
    assert default_class([storage_class()]) is None


def test_only_a_claim_without_any_class_gets_the_default() -> None:  # DC-1, DC-4
    assert may_get_default_class(claim())
    assert not may_get_default_class(claim(storage_class=""))
    assert not may_get_default_class(claim(storage_class="fast"))
    document = with_class(claim(), storage_class("fast"))  # DC-3
    assert document["spec"]["storageClassName"] == "fast"
    assert document["metadata"]["resourceVersion"] == "1"


def test_a_class_delays_binding_or_not() -> None:  # SC-U1
    assert not is_delayed(None)
    assert not is_delayed(storage_class(mode="Immediate"))
    assert is_delayed(storage_class(mode="WaitForFirstConsumer"))
    with pytest.raises(BindingModeError, match='VolumeBindingMode not set for StorageClass "fast"'):
        is_delayed(storage_class(mode=None))


def test_a_delayed_claim_says_what_it_waits_for() -> None:  # DB-2, DB-3
    assert consumer_event([]).reason == "WaitForFirstConsumer"
    others = [pod("scheduled", node="n"), pod("over", phase="Succeeded")]
    assert consumer_event(others).reason == "WaitForFirstConsumer"
    assert consumer_event([*others, pod("b")]).message == "waiting for pod b to be scheduled"
    assert consumer_event([pod("b"), pod("a")]).message == "waiting for pods a,b to be scheduled"
