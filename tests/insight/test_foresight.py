"""The foresight of explain agrees with the scheduler's rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.insight.builders import (
    BY_HAND,
    DAY,
    DELAYED,
    HOST,
    RESTORE,
    WAITED,
    Document,
    affinity,
    bound,
    claim,
    driver,
    event,
    its,
    node,
    pod,
    storage_class,
    volume,
    volume_snapshot,
)

from pvbinder.insight import scheduling
from pvbinder.insight.claims import explain_claim
from pvbinder.insight.explanation import ClaimExplanation
from pvbinder.insight.pods import explain_pod
from pvbinder.insight.scheduling import SnapshotCluster, foretold, no_storage_anywhere
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.volume_groups import groups_of
from pvbinder.model.objects import Node, claim_key
from pvbinder.rules.scheduling import Place, PodDecision, Unschedulable, decide_pod


def explained(*documents: Document, **more: object) -> ClaimExplanation:
    snapshot = Snapshot(documents, **more)  # type: ignore[arg-type]
    found = snapshot.claim(claim_key("shop", "orders"))
    assert found is not None
    return explain_claim(found, snapshot)


def test_foresight_1_a_pod_is_foretold_what_the_scheduler_decides() -> None:
    snapshot = Snapshot([claim(), BY_HAND, node(), node("n2"), pod(), volume("disk", **affinity(HOST, "n9"))])
    waiting = snapshot.pod("shop/web")
    assert waiting is not None
    decided = decide_pod(waiting, list(snapshot.nodes()), SnapshotCluster(snapshot))
    assert isinstance(decided, Unschedulable)
    assert foretold(waiting, snapshot) == decided
    assert decided.message in explain_pod(waiting, snapshot).claims[0].summary or decided.misfits


def test_foresight_2_nothing_is_foretold_of_nodes_that_nobody_knows() -> None:
    snapshot = Snapshot([claim(), BY_HAND, pod()])
    found, waiting = snapshot.claim(claim_key("shop", "orders")), snapshot.pod("shop/web")
    assert found is not None
    assert waiting is not None
    assert not no_storage_anywhere(found, snapshot)
    assert foretold(waiting, snapshot) is None
    assert explain_claim(found, snapshot).verdict == "OnItsWay"


def test_provisioning_1_a_refusal_is_foretold_before_anybody_said_it() -> None:
    wanted = claim(selector={"matchLabels": {"a": "b"}})
    assert explained(wanted, storage_class(), driver()).reason == "SelectorNotSupported"
    said = event("ProvisioningFailed", "claim Selector is not supported")
    told = explained(wanted, storage_class(), driver(), said)
    assert (told.reason, "without selector" in told.advice[0]) == ("ProvisioningFails", True)


MOMENTS: dict[str, tuple[dict[str, object], tuple[Document, ...], str]] = {
    "nobody knows when": ({}, (), "WaitsForExternalProvisioner"),
    "the time of the file": ({"written_at": datetime(2026, 3, 1, 12, tzinfo=UTC)}, (), "ProvisionerSilent"),
    "a server's time": ({"moment": datetime(2026, 3, 1, 9, 1, tzinfo=UTC)}, (), "WaitsForExternalProvisioner"),
    "told again and again": ({}, (WAITED,), "ProvisionerSilent"),
    "an event counts more than the file": (
        {"written_at": datetime(2027, 1, 1, tzinfo=UTC)},
        (event("ExternalProvisioning", "Waiting", lastTimestamp=f"{DAY}09:00:20Z"),),
        "WaitsForExternalProvisioner",
    ),
    "a node's heartbeat is as good": (
        {},
        ({**node(), "status": {"conditions": [{"type": "Ready", "lastHeartbeatTime": f"{DAY}11:00:00Z"}]}},),
        "ProvisionerSilent",
    ),
}


@pytest.mark.parametrize(("when", "more", "reason"), MOMENTS.values(), ids=MOMENTS.keys())
def test_provisioning_2_who_is_silent_for_too_long_is_not_believed_in(
    when: dict[str, object], more: tuple[Document, ...], reason: str
) -> None:
    assert explained(claim(), storage_class(), *more, **when).reason == reason


def test_snapshot_3_and_4_what_is_not_there_is_missing_only_if_its_kind_is_known() -> None:
    assert not Snapshot([claim()]).knows("Node")
    assert Snapshot([claim(), node()]).knows("Node")
    assert Snapshot([claim()], known=["Node"]).knows("Node")


def test_snapshot_4_the_moment_is_the_newest_that_is_reported() -> None:
    snapshot = Snapshot([WAITED], written_at=datetime(2030, 1, 1, tzinfo=UTC))
    assert snapshot.moment == datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)


UNFIT: dict[str, Callable[[], tuple[Document, ...]]] = {
    "the volume is going": lambda: (
        bound(),
        {
            **its(),
            "metadata": {"name": "disk", "deletionTimestamp": "x", "finalizers": ["kubernetes.io/pv-protection"]},
        },
    ),
    "no node reaches it": lambda: (bound(), its(**affinity(HOST, "n9")), node()),
    "its pod is elsewhere": lambda: (bound(), its(**affinity(HOST, "n2")), node(), node("n2"), pod(on="n1")),
}


@pytest.mark.parametrize("documents", UNFIT.values(), ids=UNFIT.keys())
def test_bound_1_a_bound_claim_that_no_pod_can_use_is_not_fine(documents: Callable[[], tuple[Document, ...]]) -> None:
    assert explained(*documents()).needs_action


def test_bound_2_growth_needs_somebody_exactly_if_nobody_does_it() -> None:
    wanted = bound(resources={"requests": {"storage": "20Gi"}})
    csi: Document = {"csi": {"driver": "csi.example.com", "volumeHandle": "h"}, "hostPath": None}
    assert explained(wanted, its()).needs_action
    assert not explained(wanted, its(**csi)).needs_action
    assert not explained(wanted, its(**csi), driver()).needs_action
    assert explained(wanted, its(**csi), driver("other.example.com")).needs_action


def test_pods_1_a_pod_with_bound_claims_that_cant_start_is_not_fine() -> None:
    snapshot = Snapshot([bound(), its(), node(), pod(nodeSelector={"gpu": "yes"})])
    waiting = snapshot.pod("shop/web")
    assert waiting is not None
    found = explain_pod(waiting, snapshot)
    assert found.needs_action
    assert "didn't match Pod's node affinity/selector" in found.summary
    snapshot = Snapshot([bound(), its(), node(), pod(on="n7")])
    placed = snapshot.pod("shop/web")
    assert placed is not None
    assert explain_pod(placed, snapshot).needs_action


def crowd() -> tuple[Document, ...]:
    others = {"namespace": "shop", "name": "invoices", "uid": "u"}
    return (
        claim(storageClassName=""),
        *(volume(f"taken-{n:02}", storageClassName="", phase="Bound", claimRef=others) for n in range(20)),
        *(volume(f"over-{n}", storageClassName="", phase="Released", claimRef=others) for n in range(3)),
        *(volume(f"odd-{n}", "1Gi", storageClassName="slow") for n in range(4)),
        volume("small", "8Gi", storageClassName=""),
    )


def test_groups_1_every_volume_is_in_a_row_or_in_one_group() -> None:
    found = explained(*crowd())
    assert isinstance(found.volume_groups, tuple)
    grouped = [name for group in found.volume_groups for name in group.names]
    assert len(grouped) == len(set(grouped)) == 27
    assert {note.name for note in found.volumes} - set(grouped) == {"small"}
    assert {group.what: len(group.names) for group in found.volume_groups} == {
        "Released and would fit once freed": 3,
        "free and don't fit for several reasons": 4,
        "taken by other claims": 20,
    }


def test_groups_2_rows_are_for_what_could_be_had() -> None:
    snapshot = Snapshot(crowd())
    assert groups_of([]) == ()
    found = explained(*crowd())
    rows = {note.name for note in found.volumes if note.name.startswith("taken")}
    assert isinstance(found.volume_groups, tuple)
    assert rows <= {name for group in found.volume_groups for name in group.names}
    assert len(list(snapshot.volumes)) == 28
    assert DELAYED["volumeBindingMode"] == "WaitForFirstConsumer"


def test_restores_1_a_snapshot_that_is_not_ready_is_told_before_what_a_provisioner_said() -> None:
    """DS-8: the error of the snapshot is the cause, and the provisioner's only says that it isn't ready."""
    told = event("ProvisioningFailed", "snapshot monday is not Ready")
    failed = volume_snapshot(error={"message": "no room left"})
    explanation = explained(claim(dataSource=RESTORE), storage_class(), failed, told)
    assert explanation.reason == "SnapshotFails"
    assert "shop/monday, which isn't ready: no room left" in explanation.summary


def test_restores_1_a_snapshot_must_be_as_small_as_the_claim() -> None:
    """DS-9"""
    large = volume_snapshot(readyToUse=True, restoreSize="20Gi")
    explanation = explained(claim(dataSource=RESTORE), storage_class(), large)
    assert explanation.reason == "DataSourceUnusable"
    assert "DS-9" in explanation.rules


class Counted(list[Node]):
    """Nodes that count how often one of them is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Node]:
        for node_ in super().__iter__():
            self.looks += 1
            yield node_


def test_foresight_3_a_pod_is_decided_once_and_no_further_than_to_the_first_node_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = Snapshot([claim(), DELAYED, driver(), pod(), *(node(f"n{number}") for number in range(50))])
    waiting = snapshot.pod("shop/web")
    assert waiting is not None
    nodes = Counted(snapshot.nodes())
    assert isinstance(decide_pod(waiting, nodes, SnapshotCluster(snapshot), any_will_do=True), Place)
    assert nodes.looks == 1
    decided: list[bool] = []

    def decide(*arguments: Any, any_will_do: bool) -> PodDecision:
        decided.append(any_will_do)
        return decide_pod(*arguments, any_will_do=any_will_do)

    monkeypatch.setattr(scheduling, "decide_pod", decide)
    assert foretold(waiting, snapshot) is None
    assert foretold(waiting, snapshot) is None
    assert decided == [True]


def test_what_another_scheduler_decides_is_said_to_be_unknown() -> None:
    snapshot = Snapshot([bound(), its(), DELAYED, driver(), node(), pod(schedulerName="volcano")])
    theirs = snapshot.pod("shop/web")
    assert theirs is not None
    explained_pod = explain_pod(theirs, snapshot)
    assert explained_pod.verdict == "OnItsWay"
    assert "it waits for scheduler volcano, which it names" in explained_pod.summary
