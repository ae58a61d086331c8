"""What bind, unbind and the status writers change."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.objects import claim, claim_ref, volume

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume
from pvbinder.rules import binding
from pvbinder.rules.settings import Settings

BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
COMPLETED = "pv.kubernetes.io/bind-completed"
OURS = claim()


def changed_volume(document: Json | None) -> Volume:
    assert document is not None
    return parse_volume(encode(document))


def changed_claim(document: Json | None) -> Claim:
    assert document is not None
    return parse_claim(encode(document))


def test_a_free_volume_gets_the_full_reference_and_our_mark() -> None:  # BN-1
    document = binding.with_claim(volume(), OURS)
    assert document is not None
    assert document["spec"]["claimRef"] == claim_ref(OURS) | {"resourceVersion": "1"}
    assert document["metadata"]["annotations"] == {BY_CONTROLLER: "yes"}
    assert binding.with_claim(changed_volume(document), OURS) is None


def test_a_volume_reserved_by_name_gets_the_uid_but_not_our_mark() -> None:  # BN-1, T-2
    document = binding.with_claim(volume(claim_ref=claim_ref(OURS, uid="")), OURS)
    assert document is not None
    assert document["spec"]["claimRef"]["uid"] == OURS.uid
    assert "annotations" not in document["metadata"]


def test_a_mark_that_is_there_stays_as_it_is() -> None:
    document = binding.with_claim(volume(annotations={BY_CONTROLLER: "perhaps", "mine": "1"}), OURS)
    assert document is not None
    assert document["metadata"]["annotations"] == {BY_CONTROLLER: "perhaps", "mine": "1"}


def test_a_phase_replaces_the_message() -> None:  # ST-1, BN-2
    failed = volume(phase="Failed", message="broken")
    assert binding.with_phase(failed, "Failed", "again") is None
    document = binding.with_phase(failed, "Available")
    assert document is not None
    assert document["status"] == {"phase": "Available"}
    document = binding.with_phase(volume(), "Failed", "broken")
    assert document is not None
    assert document["status"] == {"phase": "Failed", "message": "broken"}


def test_a_claim_is_linked_and_marked() -> None:  # BN-3
    document = binding.with_volume(OURS, volume())
    assert document is not None
    assert document["spec"]["volumeName"] == "disk"
    assert document["metadata"]["annotations"] == {BY_CONTROLLER: "yes", COMPLETED: "yes"}
    assert binding.with_volume(changed_claim(document), volume()) is None


def test_a_claim_that_names_its_volume_is_only_marked_as_completed() -> None:  # BN-3
    document = binding.with_volume(claim(volume_name="disk"), volume())
    assert document is not None
    assert document["metadata"]["annotations"] == {COMPLETED: "yes"}


def test_a_claim_becomes_bound_with_what_its_volume_has() -> None:  # BN-4, ST-4 to ST-6
    document = binding.with_bound_status(OURS, volume(attributes_class="gold"))
    assert document is not None
    assert document["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "10Gi"},
        "currentVolumeAttributesClassName": "gold",
    }
    assert binding.with_bound_status(changed_claim(document), volume(attributes_class="gold")) is None


def test_of_a_bound_claim_only_the_access_modes_follow_the_volume() -> None:  # ST-4, ST-5
    status = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}}
    bound = claim(phase="Bound", status=status)
    assert binding.with_bound_status(bound, volume()) is None
    document = binding.with_bound_status(bound, volume(modes=["ReadWriteOnce", "ReadOnlyMany"]))
    assert document is not None
    assert document["status"] == status | {"phase": "Bound", "accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}


def test_the_capacity_before_a_resize_is_what_the_claim_gets() -> None:  # ST-5
    key = "volume.alpha.kubernetes.io/pre-resize-capacity"
    document = binding.with_bound_status(OURS, volume(annotations={key: "5Gi"}))
    assert document is not None
    assert document["status"]["capacity"] == {"storage": "5Gi"}
    document = binding.with_bound_status(OURS, volume(annotations={key: "much"}))
    assert document is not None
    assert document["status"]["capacity"] == {"storage": "10Gi"}
    more = {**OURS.document(), "status": {**OURS.document().get("status", {}), "capacity": {"inodes": "7"}}}
    document = binding.with_bound_status(parse_claim(encode(more)), volume(annotations={key: "5Gi"}))
    assert document is not None
    assert document["status"]["capacity"] == {"inodes": "7", "storage": "5Gi"}, "what else it has stays"


def test_a_volume_without_capacity_completes_no_claim() -> None:  # ST-5
    with pytest.raises(binding.NoCapacityError, match='PersistentVolume "disk" is without a storage capacity'):
        binding.with_bound_status(OURS, volume(capacity=None))


def test_the_attributes_class_is_copied_from_pending_only() -> None:  # ST-6
    gold = volume(attributes_class="gold")
    lost = binding.with_bound_status(claim(phase="Lost"), gold)
    off = binding.with_bound_status(OURS, gold, Settings(attributes_classes=False))
    for document in (lost, off):
        assert document is not None
        assert "currentVolumeAttributesClassName" not in document["status"]


def test_without_a_volume_the_status_keeps_only_what_is_not_of_a_volume() -> None:  # ST-3
    conditions = [{"type": "Resizing", "status": "True"}]
    status: Any = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "currentVolumeAttributesClassName": "gold",
        "conditions": conditions,
    }
    document = binding.with_unbound_status(claim(phase="Bound", status=status), "Lost")
    assert document is not None
    assert document["status"] == {"phase": "Lost", "conditions": conditions}
    assert binding.with_unbound_status(changed_claim(document), "Lost") is None
    assert binding.with_unbound_status(claim(), "Pending") is None
    assert binding.with_unbound_status(claim(phase=""), "Pending") is not None


def test_a_volume_that_we_bound_is_freed_completely() -> None:  # UB-1
    document = binding.without_claim(volume(claim_ref=claim_ref(OURS), annotations={BY_CONTROLLER: "yes"}))
    assert "claimRef" not in document["spec"]
    assert "annotations" not in document["metadata"]
    document = binding.without_claim(volume(claim_ref=claim_ref(OURS), annotations={BY_CONTROLLER: "yes", "a": "b"}))
    assert document["metadata"]["annotations"] == {"a": "b"}


def test_a_volume_that_a_user_reserved_stays_reserved_by_name() -> None:  # UB-2
    document = binding.without_claim(volume(claim_ref=claim_ref(OURS)))
    assert document["spec"]["claimRef"] == claim_ref(OURS, uid="")


def test_a_capacity_that_is_there_already_is_replaced_by_the_volumes() -> None:  # ST-5
    stale = claim(phase="Pending", status={"capacity": {"storage": "5Gi"}})
    document = binding.with_bound_status(stale, volume())
    assert document is not None
    assert document["status"]["capacity"] == {"storage": "10Gi"}
    same = claim(phase="Pending", status={"capacity": {"storage": "10240Mi"}})
    document = binding.with_bound_status(same, volume())
    assert document is not None
    assert document["status"]["capacity"] == {"storage": "10240Mi"}, "the same size, whatever it is written in"
