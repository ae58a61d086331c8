"""A snapshot is the world of the rules."""

from __future__ import annotations

from pvbinder.insight.snapshot import Snapshot
from pvbinder.model.objects import claim_key
from pvbinder.rules.claims import Bind, decide_claim


def test_snapshot_1_decisions_from_it_are_those_of_the_controllers() -> None:
    snapshot = Snapshot(
        [
            {
                "kind": "PersistentVolume",
                "metadata": {"name": "disk"},
                "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "nfs": {"path": "/x"}},
                "status": {"phase": "Available"},
            },
            {
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "orders"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            },
        ]
    )
    claim = snapshot.claim(claim_key("default", "orders"))
    assert claim is not None, "no namespace in a manifest means the default one"
    action = decide_claim(claim, snapshot)
    assert isinstance(action, Bind)
    assert action.volume.name == "disk"


def test_snapshot_2_what_cant_be_read_is_named_and_the_rest_is_there() -> None:
    broken = {"kind": "PersistentVolume", "metadata": {"name": "odd"}, "spec": {"capacity": {"storage": "a lot"}}}
    whole = {"kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {}}
    snapshot = Snapshot([broken, whole, {"kind": "Deployment", "metadata": {"name": "other"}}])
    assert snapshot.volume("disk") is not None
    assert [str(error) for error in snapshot.unreadable if "odd" in str(error)]
    assert len(snapshot.unreadable) == 1


def test_events_about_an_earlier_object_of_the_name_are_left_out() -> None:
    def event(uid: str, time: str) -> dict[str, object]:
        about = {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "orders", "uid": uid}
        return {"kind": "Event", "involvedObject": about, "reason": time, "lastTimestamp": time}

    snapshot = Snapshot(
        [
            event("new", "2026-02-02T00:00:00Z"),
            event("old", "2026-01-01T00:00:00Z"),
            event("new", "2026-02-01T00:00:00Z"),
        ]
    )
    found = snapshot.events_about("PersistentVolumeClaim", "shop", "orders", "new")
    assert [each.reason for each in found] == ["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"]
