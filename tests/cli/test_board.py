"""The changes that the board counts, and the moment when things have settled."""

from __future__ import annotations

import json
from typing import Any

from pvbinder.cli.board import SETTLED_SECONDS, Board
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume


def volume(name: str, phase: str, *, claim: str = "", **metadata: Any) -> Volume:
    spec: dict[str, Any] = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    if claim:
        spec["claimRef"] = {"namespace": "shop", "name": claim}
    document = {
        "metadata": {"name": name, "resourceVersion": "1", **metadata},
        "spec": spec,
        "status": {"phase": phase},
    }
    return parse_volume(json.dumps(document).encode())


def claim(name: str, phase: str, *, bound_to: str = "", **metadata: Any) -> Claim:
    spec: dict[str, Any] = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    if bound_to:
        spec["volumeName"] = bound_to
    metadata = {"name": name, "namespace": "shop", "resourceVersion": "1", **metadata}
    return parse_claim(json.dumps({"metadata": metadata, "spec": spec, "status": {"phase": phase}}).encode())


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_board_1_a_change_is_what_a_person_would_call_one() -> None:
    board = Board(Clock())

    board.see_volume(volume("disk-1", "Pending"))
    board.see_volume(volume("disk-1", "Available"))
    board.see_claim(claim("orders", "Pending"))
    board.see_event("shop/orders", "Normal", "FailedBinding", "no volumes")
    board.see_volume(volume("disk-1", "Bound", claim="orders"))
    board.see_claim(claim("orders", "Bound", bound_to="disk-1"))
    board.see_claim(
        claim("orders", "Bound", bound_to="disk-1", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x/y"])
    )
    board.lose_claim("shop/orders")
    board.see_volume(volume("disk-1", "Released", claim="orders"))
    board.lose_volume("disk-1")

    assert [(change.subject, change.text) for change in board.changes] == [
        ("volume disk-1", "Pending"),
        ("volume disk-1", "Available"),
        ("claim shop/orders", "Pending"),
        ("claim shop/orders", "FailedBinding: no volumes"),
        ("volume disk-1", "Bound to shop/orders"),
        ("claim shop/orders", "Bound to disk-1"),
        ("claim shop/orders", "Terminating, kept by x/y"),
        ("claim shop/orders", "deleted"),
        ("volume disk-1", "Released by shop/orders"),
        ("volume disk-1", "deleted"),
    ]


def test_board_1_anything_else_is_no_change() -> None:
    board = Board(Clock())
    board.see_volume(volume("disk-1", "Available"))
    board.see_event("shop/orders", "Normal", "FailedBinding", "no volumes")

    assert board.see_volume(volume("disk-1", "Available", labels={"looked": "at"})) is None
    assert board.see_event("shop/orders", "Normal", "FailedBinding", "no volumes") is None
    assert board.lose_volume("disk-2") is None


def test_board_2_it_settles_and_is_unsettled_by_a_change() -> None:
    clock = Clock()
    board = Board(clock)
    board.see_volume(volume("disk-1", "Pending"))

    clock.seconds = SETTLED_SECONDS / 2
    assert not board.has_settled()
    clock.seconds = SETTLED_SECONDS
    assert board.has_settled()
    board.see_volume(volume("disk-1", "Available"))
    assert not board.has_settled()
