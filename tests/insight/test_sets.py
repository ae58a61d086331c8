"""Which pods of a StatefulSet wait for their storage."""

from __future__ import annotations

from typing import Any

from tests.insight.builders import Document, claim, pod, storage_class, volume

from pvbinder.insight.explanation import SetExplanation
from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.stateful_sets import explain_set


def stateful_set(replicas: int, *, size: str = "10Gi", class_name: str | None = "fast", **spec: object) -> Document:
    template = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({"storageClassName": class_name} if class_name is not None else {}),
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop", "uid": "s"},
        "spec": {"replicas": replicas, "volumeClaimTemplates": [template], "selector": {}, "template": {}, **spec},
    }


def bound_claim(name: str, disk: str, **spec: Any) -> Document:
    found = claim(name, meta={"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, volumeName=disk, **spec)
    found["status"] = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    return found


def its_volume(disk: str, name: str) -> Document:
    uid = claim(name)["metadata"]["uid"]
    return volume(disk, phase="Bound", claimRef={"namespace": "shop", "name": name, "uid": uid})


def explained(*documents: Document) -> SetExplanation:
    snapshot = Snapshot(documents)
    found = snapshot.stateful_set("shop/db")
    assert found is not None
    return explain_set(found, snapshot)


FIRST = (
    bound_claim("data-db-0", "disk-0"),
    its_volume("disk-0", "data-db-0"),
    pod("db-0", on="n1", phase="Running", claims=("data-db-0",)),
)


def test_a_set_whose_pods_have_their_storage_is_fine() -> None:
    found = explained(stateful_set(1), *FIRST)
    assert (found.verdict, found.summary, found.pods) == ("Bound", "all its 1 pods have their storage", ())


def test_sets_1_what_isnt_there_yet_is_named_and_the_first_in_order_stops_the_others() -> None:
    second = (claim("data-db-1"), pod("db-1", claims=("data-db-1",)))
    found = explained(stateful_set(4), *FIRST, *second)
    assert found.needs_action
    assert found.summary == "somebody must act for pod db-1; 1 have their storage"
    assert found.remarks == ("2 more pods come only after db-1 (OrderedReady)",)
    (waiting,) = found.pods
    assert waiting.claims[0].reason == "ClassMissing"

    found = explained(stateful_set(4, podManagementPolicy="Parallel"), *FIRST, *second, storage_class())
    assert [(each.pod, each.phase) for each in found.pods] == [
        ("shop/db-1", "Pending"),
        ("shop/db-2", "Missing"),
        ("shop/db-3", "Missing"),
    ]
    assert found.pods[1].claims[0].claim == "shop/data-db-2"


def test_sets_2_a_template_that_was_changed_doesnt_change_claims() -> None:
    found = explained(stateful_set(1, size="20Gi", class_name="faster"), *FIRST)
    assert found.remarks == (
        "template data asks for 20Gi, claim data-db-0 for 10Gi",
        "template data names class faster, claim data-db-0 fast",
    )
    assert any(each.startswith("grow claim data-db-0 itself") for each in found.advice)
