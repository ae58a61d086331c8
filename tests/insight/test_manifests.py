"""Explain reads files as a server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pvbinder.cli.main import run
from pvbinder.insight.manifests import as_served

TOP = Path(__file__).parents[2]


def served(*documents: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    return as_served([("a.yaml", document) for document in documents])


def test_manifests_1_defaults_are_filled_in() -> None:
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "a"},
        "provisioner": "b",
    }
    claim: dict[str, Any] = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": {}}
    (first, second), notes = served(storage_class, claim)
    assert (first["volumeBindingMode"], first["reclaimPolicy"]) == ("Immediate", "Delete")
    assert (second["metadata"]["namespace"], second["spec"]["volumeMode"]) == ("default", "Filesystem")
    assert not notes


def test_manifests_2_unknown_fields_and_kinds_are_said() -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "a"},
        "spec": {"storageClas": "b"},
    }
    cluster = {"apiVersion": "ceph.rook.io/v1", "kind": "CephCluster", "metadata": {"name": "c"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}}
    old = {"apiVersion": "storage.k8s.io/v1alpha9", "kind": "StorageClass", "metadata": {"name": "e"}}
    documents, notes = served(claim, cluster, cluster, config, old)
    assert len(documents) == 1
    assert notes == [
        'a.yaml: PersistentVolumeClaim a: unknown field "spec.storageClas"',
        "a.yaml: 2 objects of ceph.rook.io/v1 CephCluster passed over: it isn't known here",
        "a.yaml: an object of storage.k8s.io/v1alpha9 StorageClass passed over: it isn't known here",
    ]


def test_manifests_2_many_notes_are_counted() -> None:
    _, notes = served(*({"apiVersion": "a/v1", "kind": f"K{n}", "metadata": {}} for n in range(40)))
    assert (len(notes), notes[-1]) == (11, "and 30 more notes like these")


def test_manifests_2_what_isnt_right_is_said_and_everything_else_used(capsys: pytest.CaptureFixture[str]) -> None:
    spec = {"capacity": {"storage": "a lot"}}
    documents, notes = served({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "x"}, "spec": spec})
    assert len(documents) == 1
    assert "PersistentVolume x: " in notes[0]


def test_manifests_3_a_volume_that_nobody_created_yet_is_available() -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "a"}, "spec": spec}
    (new, old), _ = served(volume, {**volume, "status": {"phase": "Released"}})
    assert (new["status"]["phase"], old["status"]["phase"]) == ("Available", "Released")


EXAMPLES = {
    "quickstart, reports": ("quickstart", ["pvc", "reports"], 0, "it gets volume disk-5"),
    "quickstart, archive": ("quickstart", ["pvc", "archive"], 1, "20Gi is less than 50Gi"),
    "rook-ceph-block": ("rook-ceph-block", ["pvc", "mysql-pv-claim"], 0, "it gets volume pvc-mysql"),
    "local-wait-for-consumer": ("local-wait-for-consumer", ["pvc", "scratch"], 0, "it waits for scheduler by-hand"),
}


@pytest.mark.parametrize(("example", "words", "code", "says"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_examples_are_answered_as_they_turn_out(
    example: str, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *words, "-f", str(TOP / "examples" / example)]) == code
    shown = capsys.readouterr()
    assert says in shown.out
    assert not shown.err


def test_manifests_4_what_a_server_has_stored_is_used_as_it_is() -> None:
    stored = {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    document = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", **stored},
        "spec": {"fieldOfTomorrow": 1},
    }
    assert as_served([("dump", document)]) == ([document], [])
    manifest = {**document, "metadata": {"name": "n1"}}
    (_,), (note,) = as_served([("manifest", manifest)])
    assert "fieldOfTomorrow" in note
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v", **stored}, "spec": {}}
    ((found,), _) = as_served([("dump", volume)])
    assert found["status"] == {"phase": "Available"}
    stranger = {"apiVersion": "v2", "kind": "Node", "metadata": {"name": "n1", **stored}}
    assert as_served([("dump", stranger)])[0] == []
