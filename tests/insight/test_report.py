"""Explanations as text."""

from __future__ import annotations

from tests.insight.builders import DELAYED, UNSCHEDULABLE, WAITED, Document, claim, event, node, pod
from tests.insight.test_foresight import crowd, explained

from pvbinder.insight.pods import explain_pod
from pvbinder.insight.report import claim_report, pod_report
from pvbinder.insight.snapshot import Snapshot


def lines_of(*documents: Document) -> list[str]:
    return claim_report(explained(*documents)).splitlines()


def test_report_1_a_sentence_is_said_once() -> None:
    text = "\n".join(lines_of(claim(), WAITED))
    assert text.count('there is no StorageClass "fast"') == 1
    why = "0/1 nodes are available: no room."
    told = event("FailedScheduling", why)
    text = "\n".join(lines_of(claim(), DELAYED, node(), pod(conditions=[{**UNSCHEDULABLE, "message": why}]), told))
    assert text.count(why) == 1


def test_report_1_a_pods_problem_is_told_once() -> None:
    why = "0/1 nodes are available: no room."
    documents = (claim(storageClassName="gone"), pod(conditions=[{**UNSCHEDULABLE, "message": why}]))
    snapshot = Snapshot(documents)
    waiting = snapshot.pod("shop/web")
    assert waiting is not None
    assert pod_report(explain_pod(waiting, snapshot)).count(why) == 1


def test_report_1_the_same_event_is_told_once() -> None:
    again = [
        event("ExternalProvisioning", "Waiting", count=count, lastTimestamp=f"2026-03-01T0{count}:00:00Z")
        for count in (2, 3)
    ]
    shown = [line for line in lines_of(claim(), *again) if "Waiting" in line]
    assert shown == ["  event Warning ExternalProvisioning: Waiting (x5)"]


def test_report_2_no_name_begins_a_line() -> None:
    odd = claim(storageClassName="fast\nshop/orders is Bound")
    assert all("is Bound" not in line or "\\n" in line for line in lines_of(odd))


def test_in_a_full_cluster_only_what_could_be_had_has_a_row() -> None:
    shown = lines_of(*crowd())
    rows = [line for line in shown if line.startswith("  small ") or "taken-" in line]
    assert len(rows) == 2, shown
    (others,) = (line for line in shown if "taken by other claims" in line)
    assert "20 are taken by other claims: taken-00, taken-01, taken-02 and 17 more" in others
    assert "3 are Released and would fit once freed: over-0, over-1 and over-2" in others
