"""The next step of a claim that grows through its driver, in each state that it can be in."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.objects import claim_ref
from tests.rules.objects import volume as volume_with

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Volume, parse_claim
from pvbinder.model.quantity import parse_quantity
from pvbinder.rules.claim_conditions import changed_conditions, condition
from pvbinder.rules.csi.claim_progress import ClaimProgress, progress_of
from pvbinder.rules.csi.error_classes import is_expansion_infeasible, is_final, is_modification_infeasible
from pvbinder.rules.csi.existing_volumes import ExistingVolumeError, expand_request, modify_request
from pvbinder.rules.csi.resize_writes import begun, failed, finished, grown, left_to_node, without_note
from pvbinder.rules.csi.resizing import (
    NothingToResize,
    Resize,
    WhyNotResized,
    decide_resize,
    has_stale_note,
    is_ours,
    is_worth_a_look,
)
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.server.objects.strategic import merge

DRIVER = "fake.csi.example.com"
NOW = "2026-03-01T09:00:00Z"
RESIZER = "volume.kubernetes.io/storage-resizer"
NOTE = "volume.alpha.kubernetes.io/pre-resize-capacity"
PENDING = [{"type": "FileSystemResizePending", "status": "True"}]
CSI: Json = {"driver": DRIVER, "volumeHandle": "h"}


def claim(request: str = "2Gi", capacity: str | None = "1Gi", **status: Any) -> Claim:
    """A bound claim; what `status` names in words of its own: state, allocated; all else as the API has it."""
    state, allocated = status.pop("state", None), status.pop("allocated", None)
    annotations = status.pop("annotations", {})
    known: Json = {"phase": "Bound", **status}
    if capacity is not None:
        known["capacity"] = {"storage": capacity}
    if state is not None:
        known["allocatedResourceStatuses"] = {"storage": state}
    if allocated is not None:
        known["allocatedResources"] = {"storage": allocated}
    document = {
        "metadata": {
            "name": "orders", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "annotations": annotations,
        },
        "spec": {"volumeName": "disk", "resources": {"requests": {"storage": request}}},
        "status": known,
    }  # fmt: skip
    return parse_claim(encode(document))


def volume(size: str = "1Gi", source: Json | None = None, **fields: Any) -> Volume:
    found = source if source is not None else {"csi": CSI}
    return volume_with(capacity=size, source=found, claim_ref=claim_ref(claim()), **fields)


AT_WORK = "ControllerResizeInProgress"
SIZES = {  # (the claim, the volume's size, whether the last call failed for good) -> the size, None for nothing
    "first of all": (claim(), "1Gi", False, "2Gi"),
    "smaller, controller at work on more": (claim(state=AT_WORK, allocated="3Gi"), "1Gi", False, "3Gi"),
    "smaller, controller failed": (claim(state=AT_WORK, allocated="3Gi"), "1Gi", True, "2Gi"),
    "smaller, controller at work, nothing promised": (claim(state=AT_WORK), "1Gi", False, "2Gi"),
    "smaller, infeasible": (claim(state="ControllerResizeInfeasible", allocated="3Gi"), "1Gi", False, "2Gi"),
    "smaller, the node failed": (claim("3Gi", state="NodeResizeInfeasible", allocated="2Gi"), "2Gi", False, "2Gi"),
    "smaller, the node failed, nothing promised": (claim("3Gi", state="NodeResizeInfeasible"), "2Gi", False, "3Gi"),
    "smaller, the node has its size": (claim("3Gi", state="NodeResizePending", allocated="2Gi"), "2Gi", False, None),
    "smaller, the node works on it": (claim("3Gi", state="NodeResizeInProgress", allocated="2Gi"), "2Gi", False, None),
    "smaller, the node waits for more": (claim("4Gi", state="NodeResizePending", allocated="3Gi"), "2Gi", False, "3Gi"),
    "smaller, a state that nobody knows": (claim(state="New", allocated="3Gi"), "1Gi", False, "2Gi"),
    "grown, node pending": (claim(state="NodeResizePending", allocated="2Gi"), "2Gi", False, None),
    "grown, node at work": (claim(state="NodeResizeInProgress", allocated="2Gi"), "2Gi", False, None),
    "grown, the node failed": (claim(state="NodeResizeInfeasible", allocated="3Gi"), "3Gi", False, "3Gi"),
    "grown, not said in the claim": (claim(state=AT_WORK, allocated="3Gi"), "3Gi", False, "3Gi"),
    "grown, infeasible": (claim(state="ControllerResizeInfeasible", allocated="3Gi"), "2Gi", False, "3Gi"),
    "grown, at work, nothing promised": (claim(state=AT_WORK), "2Gi", False, "2Gi"),
    "grown, no state, but promised": (claim(allocated="3Gi"), "3Gi", False, "3Gi"),
    "grown, no state, the node has it": (claim(conditions=PENDING), "2Gi", False, None),
    "grown, no state at all": (claim(), "2Gi", False, "2Gi"),
    "no capacity yet": (claim(capacity=None), "1Gi", False, "2Gi"),
}  # fmt: skip


@pytest.mark.parametrize(("of", "size", "has_failed", "wanted"), SIZES.values(), ids=SIZES.keys())
def test_resizing_1_the_size_of_an_expansion(of: Claim, size: str, has_failed: bool, wanted: str | None) -> None:
    decision = decide_resize(of, volume(size), DRIVER, has_failed=has_failed, has_controller=True)
    if wanted is None:
        assert decision == NothingToResize(WhyNotResized.LEFT_TO_NODE)
    else:
        assert isinstance(decision, Resize)
        assert str(decision.size) == wanted
        assert decision.is_recorded == (progress_of(of).allocated == parse_quantity(wanted))


def test_a_node_that_grows_alone_is_given_what_the_claim_asks_for() -> None:  # RS-6
    of = claim(state="NodeResizeInfeasible", allocated="3Gi")
    decision = decide_resize(of, volume("3Gi"), DRIVER, has_failed=False, has_controller=False)
    assert decision == Resize(parse_quantity("2Gi"), is_recorded=False)


@pytest.mark.parametrize(
    "of", [claim("1Gi"), claim("512Mi"), claim(phase="Lost"), claim(phase="Pending")], ids=str
)  # fmt: skip
def test_a_claim_that_has_what_it_wants_or_is_not_bound(of: Claim) -> None:  # RS-4
    decision = decide_resize(of, volume(), DRIVER, has_failed=False, has_controller=True)
    assert decision == NothingToResize(WhyNotResized.FITS)


BOTH = "CSI does not support ReadOnlyMany and ReadWriteOnce on the same PersistentVolume"
EBS = {"awsElasticBlockStore": {"volumeID": "v"}}
NAMED = {RESIZER: "ebs.csi.aws.com"}


@pytest.mark.parametrize(
    ("of", "disk", "driver", "ours"),
    [
        (claim(), volume(), DRIVER, True),
        (claim(), volume(), "other.example.com", False),
        (claim(), volume_with(capacity="1Gi", source={"csi": CSI}), DRIVER, False),
        (claim(), volume_with(source={"csi": CSI}, claim_ref=claim_ref(claim(), uid="u2")), DRIVER, False),
        (claim(), volume_with(source={"csi": CSI}, claim_ref={"namespace": "x", "uid": "u1"}), DRIVER, False),
        (claim(annotations=NAMED), volume(source=EBS), "ebs.csi.aws.com", True),
        (claim(), volume(source=EBS), "ebs.csi.aws.com", False),
        (claim(annotations={RESIZER: DRIVER}), volume(source=EBS), DRIVER, False),  # nobody's heir
        (claim(annotations=NAMED), volume(), "ebs.csi.aws.com", False),
    ],
)
def test_whose_a_volume_is(of: Claim, disk: Volume, driver: str, ours: bool) -> None:  # RS-5
    assert is_ours(of, disk, driver) == ours
    decision = decide_resize(of, disk, driver, has_failed=False, has_controller=True)
    assert (decision == NothingToResize(WhyNotResized.NOT_OURS)) != ours


@pytest.mark.parametrize(
    ("before", "after", "worth"),
    [
        (None, claim(), True),
        (claim(), claim(), False),
        (claim("3Gi"), claim("2Gi"), True),
        (claim("1Gi"), claim("2Gi"), True),
        (claim(phase="Pending"), claim(), True),
        (claim(), claim(annotations=NAMED), True),
        (claim(capacity=None), claim(), True),
        (claim(), claim(capacity="512Mi"), False),
        (claim(state="NodeResizePending"), claim(state="NodeResizeInfeasible"), True),
        (claim(state="NodeResizePending"), claim(), True),
        (claim(), claim(state="ControllerResizeInProgress"), False),  # what a resizer writes itself
        (claim(), claim(state="ControllerResizeInfeasible"), False),
        (claim(), claim(state="NodeResizePending"), False),
    ],
)
def test_what_is_worth_a_look(before: Claim | None, after: Claim, worth: bool) -> None:  # RS-1
    assert is_worth_a_look(before, after) == worth


def test_a_claim_without_a_volume_is_worth_none() -> None:  # RS-2
    assert not is_worth_a_look(None, parse_claim(encode({"metadata": {"name": "a"}, "spec": {}})))


def test_when_the_note_of_the_old_capacity_is_over() -> None:  # RS-3
    noted = volume("2Gi", annotations={NOTE: "1Gi"})
    assert has_stale_note(claim(capacity="2Gi"), noted)
    assert not has_stale_note(claim(capacity="1Gi"), noted)
    assert not has_stale_note(claim(capacity="2Gi"), volume("2Gi"))


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ({}, ClaimProgress()),
        (None, ClaimProgress()),
        ({"allocatedResourceStatuses": {"storage": 3}}, ClaimProgress()),
        ({"allocatedResources": {"storage": "much"}, "allocatedResourceStatuses": {"cpu": "x"}}, ClaimProgress()),
        ({"allocatedResources": {"storage": 5}}, ClaimProgress(allocated=parse_quantity("5"))),
    ],
)
def test_claim_progress_1_any_claim_has_one(status: Json | None, progress: ClaimProgress) -> None:
    assert progress_of(parse_claim(encode({"metadata": {"name": "a"}, "status": status}))) == progress


CONDITIONS: list[dict[str, Any]] = [
    {"type": "Mine", "status": "True"},
    {"type": "Resizing", "status": "True"},
    {"type": "NodeResizeError", "status": "True", "message": "m", "reason": "r"},
]


def test_conditions_1_what_is_not_named_stays() -> None:
    of = claim(conditions=CONDITIONS)
    wanted = [condition("Resizing", NOW), condition("NodeResizeError", NOW, "other", reason="r")]
    assert changed_conditions(of, [condition("Resizing", NOW)]) == {}
    assert changed_conditions(of, wanted, {"Resizing"})["conditions"] == [
        {"message": "other", "reason": "r", "type": "NodeResizeError", "status": "True"}
    ]
    assert changed_conditions(of, [], {"Resizing", "ControllerResizeError"})["conditions"] == [
        {"$patch": "delete", "type": "Resizing"}
    ]


def test_conditions_2_new_ones_come_last() -> None:
    of = claim(conditions=CONDITIONS)
    wanted = [condition("ControllerResizeError", NOW, "new"), condition("NodeResizeError", NOW, "other", reason="r")]
    change = changed_conditions(of, wanted, {"Resizing"})
    merged = merge({"conditions": CONDITIONS}, change, "io.k8s.api.core.v1.PersistentVolumeClaimStatus")
    assert [(one["type"], one.get("message")) for one in merged["conditions"]] == [
        ("Mine", None),
        ("NodeResizeError", "other"),
        ("ControllerResizeError", "new"),
    ]


def test_resize_writes_1_each_patch_is_of_the_very_object() -> None:
    of, disk = claim(), volume(annotations={NOTE: "1Gi"}, uid="u2", revision="8")
    size = parse_quantity("2Gi")
    for change in (begun(of, size, NOW, is_recorded=False), left_to_node(of, NOW), finished(of, size)):
        assert change["metadata"]["uid"] == "u1"
        assert change["metadata"]["resourceVersion"] == "7"
    assert failed(of, "no", NOW, is_infeasible=True)["metadata"] == {"uid": "u1"}
    for change in (grown(disk, size, None), without_note(disk)):
        assert change["metadata"]["uid"] == "u2"
        assert change["metadata"]["resourceVersion"] == "8"


def test_the_note_of_the_old_capacity_is_kept_where_there_is_one() -> None:  # RS-11
    size, old = parse_quantity("3Gi"), parse_quantity("2Gi")
    assert "annotations" not in grown(volume(annotations={NOTE: "1Gi"}), size, old)["metadata"]
    assert grown(volume(), size, old)["metadata"]["annotations"] == {NOTE: "2Gi"}
    assert "annotations" not in grown(volume(), size, None)["metadata"]


def test_a_new_size_takes_the_conditions_of_the_old_one_away() -> None:  # RS-7
    error = {"type": "ControllerResizeError", "status": "True", "message": "no"}
    of = claim(conditions=[error], annotations={"volume.kubernetes.io/node-expansion-not-required": "true"})
    size = parse_quantity("2Gi")
    change = begun(of, size, NOW, is_recorded=False)
    assert {"$patch": "delete", "type": "ControllerResizeError"} in change["status"]["conditions"]
    assert change["metadata"]["annotations"] == {"volume.kubernetes.io/node-expansion-not-required": None}
    assert change["status"]["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
    again = begun(of, size, NOW, is_recorded=True)["status"]
    assert again["conditions"] == [{"type": "Resizing", "status": "True", "lastTransitionTime": NOW}]
    assert "allocatedResourceStatuses" not in again


def test_how_a_volume_is_said_to_the_driver() -> None:  # RS-10, VM-7
    secret = {"name": "keys", "namespace": "safe"}
    source = {"csi": {**CSI, "fsType": "xfs", "controllerExpandSecretRef": secret}}
    asked = expand_request(volume(source=source), parse_quantity("1.5"), several_writers=True)
    assert (asked.required_bytes, asked.capability.fs_type, asked.capability.block) == (2, "xfs", False)
    assert asked.capability.access_mode.name == "SINGLE_NODE_MULTI_WRITER"
    assert asked.secret == SecretReference("keys", "safe")
    assert expand_request(volume(volume_mode="Block"), parse_quantity("2"), several_writers=False).capability.block
    huge = expand_request(volume(), parse_quantity("99E"), several_writers=False)
    assert huge.required_bytes == 2**63 - 1

    key = "volume.kubernetes.io/controller-modify-secret"
    own = volume(source=source, annotations={f"{key}-name": "own", f"{key}-namespace": "safe"})
    half = volume(source=source, annotations={f"{key}-name": "own", f"{key}-namespace": ""})
    modified = modify_request(claim(), own, {"tier": "gold"}, extra_metadata=True)
    assert modified.secret == SecretReference("own", "safe")
    assert modified.parameters == {
        "tier": "gold",
        "csi.storage.k8s.io/pvc/name": "orders",
        "csi.storage.k8s.io/pvc/namespace": "shop",
        "csi.storage.k8s.io/pv/name": "disk",
    }
    assert modify_request(claim(), half, {}, extra_metadata=False).secret == SecretReference("keys", "safe")
    assert modify_request(claim(), volume(), {}, extra_metadata=False).secret is None


@pytest.mark.parametrize(
    ("disk", "message"),
    [
        (volume(source={"csi": {"driver": DRIVER, "volumeHandle": ""}}), "empty volume handle"),
        (
            volume(source=EBS),
            "failed to translate persistent volume: pvbinder translates no awsElasticBlockStore volumes to CSI",
        ),
        (
            volume(modes=["ReadOnlyMany", "ReadWriteOnce"]),
            f"failed to get capabilities of volume disk with {BOTH}",
        ),
    ],
)
def test_a_volume_that_no_driver_can_be_asked_about(disk: Volume, message: str) -> None:  # RS-10
    with pytest.raises(ExistingVolumeError) as caught:
        expand_request(disk, parse_quantity("1"), several_writers=False)
    assert caught.value.message == message


def test_the_classes_of_errors() -> None:  # RS-14, VM-9
    assert not any(map(is_final, ["Canceled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"]))
    for code in ("InvalidArgument", "OutOfRange", "NotFound", "Internal", "Unknown", "FailedPrecondition"):
        assert is_final(code)
    codes = ["InvalidArgument", "OutOfRange", "NotFound", "Internal"]
    assert list(filter(is_expansion_infeasible, codes)) == ["InvalidArgument", "OutOfRange", "NotFound"]
    assert list(filter(is_modification_infeasible, codes)) == ["InvalidArgument"]
