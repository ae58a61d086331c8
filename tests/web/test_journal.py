"""Decisions, made of what was noted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.insight.builders import bound, claim, its, pod, volume
from tests.web.visitor import view_of

from pvbinder.logs import Line
from pvbinder.plane.recorder import Made
from pvbinder.web.journal import (
    KEPT_MAX,
    LINGER_SECONDS,
    NOTED_MAX,
    PIECE,
    Journal,
    NotedChange,
    NotedEvent,
    NotedWrite,
    PageDecision,
    row_of_path,
)
from pvbinder.web.rows import RowKind, RowView

CLAIMS = "/api/v1/namespaces/shop/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"


def change(kind: RowKind, before: Any = None, after: Any = None, at: float = 1.0) -> NotedChange:
    views: list[RowView | None] = [view_of(each) if each is not None else None for each in (before, after)]
    return NotedChange(at, kind, *views)


def line(message: str, at: float = 1.0, level: str = "INFO", **fields: str) -> Line:
    return Line(datetime.fromtimestamp(at, UTC), level, message, fields)


def write(method: str, path: str, status: int = 200) -> NotedWrite:
    return NotedWrite(1.0, Made(method, path, "binder", status))


def decisions(*noted: Any, now: float = 10.0) -> list[Any]:
    journal = Journal()
    for each in noted:
        journal.note(each)
    list(journal.fold(now))
    return [msgspec.to_builtins(each) for each in journal.after(0, 1000)]


def test_journal_2_a_decision_has_its_changes_and_writes() -> None:
    found = decisions(
        write("PUT", f"{VOLUMES}/disk"),
        change("volume", volume("disk"), its()),
        line("Volume entered phase", pv="disk", phase="Bound", rule="BN-2"),
        write("PUT", f"{CLAIMS}/orders"),
        change("claim", claim(), claim(volumeName="disk")),
        write("PUT", f"{CLAIMS}/orders/status"),
        change("claim", claim(volumeName="disk"), bound()),
        line("volume bound", pvc="shop/orders", pv="disk", rule="SC-U3"),
    )
    first, second = found
    assert (first["seq"], first["rule"], first["message"]) == (1, "BN-2", "Volume entered phase (phase Bound)")
    assert first["before"] == {"volume.phase": "Available"}
    assert first["after"]["volume.phase"] == "Bound"
    assert first["after"]["volume.claimRef"].startswith("shop/orders")
    assert first["rows"] == [{"id": "volume/disk", "state": "Available", "level": "idle", "links": ["class/fast"]}]
    assert (second["seq"], second["rule"], second["about"]) == (2, "SC-U3", ["claim/shop/orders", "volume/disk"])
    assert [(each["method"], each["path"]) for each in second["writes"]] == [
        ("PUT", f"{CLAIMS}/orders"),
        ("PUT", f"{CLAIMS}/orders/status"),
    ]
    assert second["rows"] == [
        {"id": "claim/shop/orders", "state": "Pending", "level": "wait", "links": ["class/fast"]}
    ], "as it was before both writes"
    assert second["time"] == "1970-01-01T00:00:01.000Z"


def test_journal_3_a_change_without_a_decision_is_told_by_itself() -> None:
    created = change("claim", None, claim())
    assert decisions(created, now=1.0 + LINGER_SECONDS / 2) == [], "its decision may still come"
    found = decisions(
        created, change("volume", volume("v"), volume("v", phase="Released")), change("pod", pod(), None), now=9.0
    )
    assert [each["message"] for each in found] == [
        "claim shop/orders created",
        "volume v: Available → Released",
        "pod shop/web is gone",
    ]
    assert [each["rule"] for each in found] == ["", "", ""]
    assert found[0]["rows"] == [{"id": "claim/shop/orders", "state": "", "level": "idle", "links": []}]
    assert found[2]["rows"][0]["state"] == "Pending"
    assert "before" not in found[0]
    assert "after" not in found[2]


def test_journal_3_undoing_gives_the_past() -> None:
    """What the front end does: from today's rows, each decision's rows put back."""
    history = [
        (None, claim()),
        (claim(), claim(volumeName="disk")),
        (claim(volumeName="disk"), bound()),
        (bound(), None),
    ]
    found = decisions(*(change("claim", before, after, at=float(at)) for at, (before, after) in enumerate(history)))
    assert found == [], "what came and went within a moment"
    journal = Journal()
    for at, (before, after) in enumerate(history):
        journal.note(change("claim", before, after, at=float(at)))
        list(journal.fold(at + LINGER_SECONDS))
    past = [each.rows[0] for each in journal.after(0, 10)]
    assert [(row.state, len(row.links)) for row in past] == [("", 0), ("Pending", 1), ("Pending", 2), ("Bound", 2)]


def test_journal_4_what_nobody_would_see_is_no_change() -> None:
    labelled = claim(meta={"labels": {"a": "b"}, "annotations": {"mine": "x"}})
    assert decisions(change("claim", claim(), labelled), write("PATCH", f"{CLAIMS}/orders")) == []
    assert decisions(change("pod", pod(claims=()), None)) == [], "it has no row"
    assert decisions(line("watch interrupted", level="WARNING", resource="pods")) == []
    assert decisions(line("volume decided", level="DEBUG", pv="v")) == []
    marked = claim(meta={"annotations": {"volume.kubernetes.io/selected-node": "n1"}})
    assert decisions(change("claim", claim(), marked))[0]["message"].endswith("volume.kubernetes.io/selected-node")


@pytest.mark.parametrize("order", [1, -1])
def test_journal_2_the_write_that_made_an_object_is_found(order: int) -> None:
    noted = [write("POST", VOLUMES, 201), change("volume", None, volume("new"))][::order]
    other = [write("POST", CLAIMS, 201), write("POST", VOLUMES, 409)]
    found = decisions(*other, *noted, line("volume provisioned", pv="new", rule="LB-24"))
    assert [(each["path"], each["status"]) for each in found[0]["writes"]] == [(VOLUMES, 201)]


def test_journal_5_what_ana_did_isnt_the_binders_decision() -> None:
    def by(user: str, method: str, path: str, status: int = 200) -> NotedWrite:
        return NotedWrite(1.0, Made(method, path, user, status))

    found = decisions(
        by("ana", "POST", CLAIMS, 201),
        change("claim", None, claim()),
        by("binder", "PUT", f"{CLAIMS}/orders"),
        change("claim", claim(), claim(volumeName="disk")),
        by("binder", "PUT", f"{CLAIMS}/orders/status"),
        change("claim", claim(volumeName="disk"), bound()),
        line("volume bound", pvc="shop/orders", rule="SC-U3"),
    )
    assert [(each["message"], len(each["writes"])) for each in found] == [
        ("claim shop/orders created by ana", 1),
        ("volume bound", 2),
    ]
    assert [each["rows"][0]["state"] for each in found] == ["", "Pending"]


def test_journal_1_memory_is_bounded() -> None:
    journal = Journal()
    for number in range(NOTED_MAX + 10):
        journal.note(NotedEvent(1.0, "claim/shop/orders", str(number)))
    steps = len(list(journal.fold(2.0)))
    assert steps == NOTED_MAX // PIECE, "with pauses"
    assert journal.last == NOTED_MAX
    assert journal.after(0, 1)[0].message == "10"
    for _ in range(2):
        for number in range(NOTED_MAX):
            journal.note(NotedEvent(1.0, "claim/shop/orders", str(number)))
        list(journal.fold(2.0))
    assert journal.last - journal.oldest + 1 == KEPT_MAX


def test_decisions_are_read_forward_and_back() -> None:
    journal = Journal()
    for number in range(10):
        journal.note(NotedEvent(1.0, "claim/shop/orders", str(number)))
    list(journal.fold(2.0))

    def seqs(found: list[PageDecision]) -> list[int]:
        return [each.seq for each in found]

    assert seqs(journal.after(0, 3)) == [1, 2, 3]
    assert seqs(journal.after(8, 500)) == [9, 10]
    assert seqs(journal.after(10, 500)) == seqs(journal.after(99, 500)) == []
    assert seqs(journal.before(4, 2)) == [2, 3]
    assert seqs(journal.before(99, 2)) == [9, 10]
    assert seqs(journal.before(1, 2)) == seqs(journal.before(0, 2)) == []


@pytest.mark.parametrize(
    ("path", "row"),
    [
        (f"{CLAIMS}/orders", "claim/shop/orders"),
        (f"{CLAIMS}/orders/status", "claim/shop/orders"),
        (f"{VOLUMES}/v", "volume/v"),
        ("/apis/storage.k8s.io/v1/storageclasses/fast", "class/fast"),
        ("/api/v1/namespaces/shop/pods/web/binding", "pod/shop/web"),
        (VOLUMES, None),
        ("/api/v1/namespaces/shop/secrets/s", None),
        ("/", None),
    ],
)
def test_a_path_is_about_a_row(path: str, row: str | None) -> None:
    assert row_of_path(path) == row


def test_fields_1_only_what_tells_of_binding() -> None:
    before = claim(meta={"annotations": {"mine": "secret", "pv.kubernetes.io/bind-completed": "yes"}})
    found = decisions(change("claim", before, None))[0]["before"]
    assert found["claim.pv.kubernetes.io/bind-completed"] == "yes"
    assert "secret" not in str(found)
