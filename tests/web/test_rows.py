"""Objects as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.insight.builders import Document, bound, claim, in_zone, its, node, pod, storage_class, volume
from tests.web.visitor import view_of

from pvbinder.model.selectors import NodeSelector
from pvbinder.web.rows import NODES_LINKED_MAX, Judged, PastRow, is_shown, past_row, row_of

DELETED = {"deletionTimestamp": "2026-03-01T10:00:00Z"}


def nowhere(_: NodeSelector) -> Sequence[str]:
    return ()


def row(document: Document, nodes: Sequence[str] = (), judged: Judged | None = None) -> Any:
    return msgspec.to_builtins(row_of(view_of(document), lambda _: nodes, judged))


def ready(status: str, **spec: Any) -> Document:
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": status}]
    return {**in_zone("n1", "a"), "spec": spec, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("document", "state", "level"),
    [
        (claim(), "Pending", "wait"),
        (claim(status={"phase": ""}), "Pending", "wait"),
        (bound(), "Bound", "ok"),
        (claim(status={"phase": "Lost"}), "Lost", "bad"),
        (claim(meta=DELETED), "Terminating", "wait"),
        (volume("v"), "Available", "idle"),
        (its(), "Bound", "ok"),
        (volume("v", phase="Released"), "Released", "bad"),
        (volume("v", phase="Failed"), "Failed", "bad"),
        (volume("v", phase="Bound", meta=DELETED), "Terminating", "wait"),
        (storage_class(), "Immediate", "ok"),
        (storage_class(mode="WaitForFirstConsumer"), "WaitForFirstConsumer", "ok"),
        (pod(), "Pending", "wait"),
        (pod(phase="Running"), "Running", "ok"),
        (pod(phase="Failed"), "Failed", "bad"),
        (pod(phase="Succeeded"), "Succeeded", "idle"),
        (ready("True"), "Ready", "ok"),
        (ready("False"), "NotReady", "bad"),
        (ready("Unknown", unschedulable=True), "NotReady,SchedulingDisabled", "bad"),
        (ready("True", unschedulable=True), "Ready,SchedulingDisabled", "ok"),
        (node(), "Unknown", "bad"),
    ],
)
def test_rows_1_the_state_is_what_kubectl_shows(document: Document, state: str, level: str) -> None:
    found = row(document)
    assert (found["state"], found["level"]) == (state, level)


def test_rows_1_a_judgement_counts_before_the_phase() -> None:
    found = row(claim(), judged=Judged("bad", "no volume fits it"))
    assert (found["level"], found["note"]) == ("bad", "no volume fits it")


def test_rows_1_a_row_has_the_facts_of_its_kind() -> None:
    assert row(bound(size="20Gi"))["facts"] == {
        "size": "20Gi", "modes": "RWO", "class": "fast", "volume": "disk",
        **({"created": found} if (found := row(bound())["facts"].get("created")) else {}),
    }  # fmt: skip
    assert row(claim())["facts"]["created"] == "2026-03-01T09:00:00Z"
    assert row(volume("v", csi={"driver": "d.example", "volumeHandle": "h"}))["facts"]["driver"] == "d.example"
    assert row(volume("v"))["facts"]["driver"] == "hostPath"
    assert row(ready("True"))["facts"]["zone"] == "a"
    assert row(storage_class())["facts"]["driver"] == "csi.example.com"


def test_rows_2_links_lead_to_what_the_object_names() -> None:
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}
    assert row(claim())["links"] == ["class/fast"]
    assert row(bound())["links"] == ["class/fast", "volume/disk"]
    assert row(its(nodeAffinity=affinity), ["n1", "n2"])["links"] == [
        "class/fast", "claim/shop/orders", "node/n1", "node/n2",
    ]  # fmt: skip
    many = [f"n{number}" for number in range(NODES_LINKED_MAX + 1)]
    assert row(its(nodeAffinity=affinity), many)["links"] == ["class/fast", "claim/shop/orders"]
    assert row(pod(on="n1", claims=("a", "b")))["links"] == ["claim/shop/a", "claim/shop/b", "node/n1"]
    assert row(storage_class())["links"] == row(node())["links"] == []
    assert row(claim())["id"] == "claim/shop/orders"


def test_rows_2_a_pod_without_claims_has_no_row() -> None:
    assert is_shown(view_of(pod()))
    assert not is_shown(view_of(pod(claims=())))


def test_rows_3_secrets_and_parameters_stay_out() -> None:
    told = str(
        [
            row(storage_class(parameters={"password": "hunter2", "csi.storage.k8s.io/provisioner-secret-name": "s3"})),
            row(volume("v", csi={"driver": "d", "volumeHandle": "hunter2", "nodeStageSecretRef": {"name": "s3"}})),
            row(claim(meta={"annotations": {"note": "hunter2"}, "labels": {"s3": "x"}})),
        ]
    )
    assert "hunter2" not in told
    assert "s3" not in told


def test_rows_1_the_past_has_state_level_and_links() -> None:
    assert past_row(view_of(bound()), nowhere) == PastRow(
        "claim/shop/orders", "Bound", "ok", ["class/fast", "volume/disk"]
    )
