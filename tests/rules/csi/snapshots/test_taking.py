"""What a snapshot is taken from, and each refusal; the texts are the reference's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume
from pvbinder.model.snapshots import (
    SnapshotClass,
    SnapshotContent,
    VolumeSnapshot,
    parse_snapshot,
    parse_snapshot_class,
    parse_snapshot_content,
)
from pvbinder.rules.csi.snapshots.names import SnapshotNaming, stored_name
from pvbinder.rules.csi.snapshots.taking import (
    SnapshotRefused,
    bound_to,
    check_bound,
    check_claim,
    check_sources,
    class_missing,
    content_for,
    default_class,
    given_content,
    made_content,
)

DRIVER = "csi.example.com"
DEFAULT = {"snapshot.storage.kubernetes.io/is-default-class": "true"}
SECRET = "csi.storage.k8s.io/snapshotter-secret"


def snapshot(uid: str = "u", class_name: str | None = None, **source: str) -> VolumeSnapshot:
    spec: Json = {"source": source or {"persistentVolumeClaimName": "orders"}}
    if class_name is not None:
        spec["volumeSnapshotClassName"] = class_name
    return parse_snapshot(encode({"metadata": {"name": "s", "namespace": "shop", "uid": uid}, "spec": spec}))


def claim(phase: str = "Bound", **meta: Any) -> Claim:
    metadata = {"name": "orders", "namespace": "shop", "uid": "c", **meta}
    return parse_claim(encode({"metadata": metadata, "spec": {"volumeName": "v"}, "status": {"phase": phase}}))


def volume(uid: str = "c", **source: Any) -> Volume:
    spec = source or {"csi": {"driver": DRIVER, "volumeHandle": "vol-1"}}
    ref = {"claimRef": {"name": "orders", "namespace": "shop", "uid": uid}, "volumeMode": "Block"}
    return parse_volume(encode({"metadata": {"name": "v"}, "spec": {**spec, **ref}}))


def snapshot_class(name: str = "fast", driver: str = DRIVER, **fields: Any) -> SnapshotClass:
    document = {"metadata": {"name": name, "annotations": fields.pop("annotations", {})}, "driver": driver}
    return parse_snapshot_class(encode({**document, "deletionPolicy": "Delete", **fields}))


def content(uid: str = "u", name: str = "s", **fields: Any) -> SnapshotContent:
    spec = {
        "driver": DRIVER,
        "deletionPolicy": "Delete",
        "volumeSnapshotRef": {"name": name, "namespace": "shop", "uid": uid},
        "source": {"volumeHandle": "vol-1"},
        **fields,
    }
    return parse_snapshot_content(encode({"metadata": {"name": "c"}, "spec": spec}))


def default(claim: Claim | None, volume: Volume | None, *classes: SnapshotClass) -> Callable[[], SnapshotClass]:
    return lambda: default_class(snapshot(), claim, volume, classes)


def made(claim: Claim, volume: Volume | None, snapshot_class: SnapshotClass | None = None) -> Callable[[], Json]:
    return lambda: content_for(snapshot(), snapshot_class or _class(), claim, volume)


def _class() -> SnapshotClass:
    return snapshot_class()


NOT_SET = "Failed to set default snapshot class with error "
NOT_MADE = "Failed to create snapshot content with error "
INPUT = NOT_MADE + "failed to get input parameters to create snapshot s: "
REFUSED: dict[str, tuple[Callable[[], object], str, str]] = {
    "no source (SN-4)": (
        lambda: check_sources(snapshot(x="y")),
        "SnapshotValidationError",
        "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified",
    ),
    "class is missing (SN-2)": (
        lambda: _raise(class_missing("fast")),
        "GetSnapshotClassFailed",
        'Failed to get snapshot class with error volumesnapshotclass.snapshot.storage.k8s.io "fast" not found',
    ),
    "default: no claim (SN-3)": (
        default(None, None),
        "SetDefaultSnapshotClassFailed",
        NOT_SET + 'failed to retrieve PVC orders from the lister: "persistentvolumeclaim \\"orders\\" not found"',
    ),
    "default: not bound (SN-3)": (
        default(claim("Pending"), None),
        "SetDefaultSnapshotClassFailed",
        NOT_SET + "the PVC orders is not yet bound to a PV, will not attempt to take a snapshot",
    ),
    "default: no CSI (SN-3)": (
        default(claim(), volume(hostPath={"path": "/x"})),
        "SetDefaultSnapshotClassFailed",
        NOT_SET + "snapshotting non-CSI volumes is not supported, snapshot:shop/s",
    ),
    "default: none of the driver (SN-3)": (
        default(claim(), volume(), snapshot_class("a"), snapshot_class("b", "other", annotations=DEFAULT)),
        "SetDefaultSnapshotClassFailed",
        NOT_SET + "cannot find default snapshot class",
    ),
    "default: several (SN-3)": (
        default(claim(), volume(), snapshot_class("a", annotations=DEFAULT), snapshot_class("b", annotations=DEFAULT)),
        "SetDefaultSnapshotClassFailed",
        NOT_SET + "2 default snapshot classes were found",
    ),
    "claim is gone (SN-10)": (
        lambda: check_claim(snapshot(), None, is_protected=False),
        "SnapshotContentCreationFailed",
        NOT_MADE + "snapshot controller failed to update s on API server: cannot get claim from snapshot",
    ),
    "claim is being deleted (SN-10)": (
        lambda: check_claim(snapshot(), claim(deletionTimestamp="2020-01-01T00:00:00Z"), is_protected=False),
        "SnapshotContentCreationFailed",
        NOT_MADE + "snapshot controller failed to update orders on API server: "
        "cannot add finalizer on claim because it is being deleted",
    ),
    "not bound (SN-11)": (
        made(claim("Pending"), None),
        "SnapshotContentCreationFailed",
        INPUT + '"the PVC orders is not yet bound to a PV, will not attempt to take a snapshot"',
    ),
    "volume is gone (SN-11)": (
        made(claim(), None),
        "SnapshotContentCreationFailed",
        INPUT + '"failed to retrieve PV v from the API server: \\"persistentvolumes \\\\\\"v\\\\\\" not found\\""',
    ),
    "volume is another claim's (SN-11)": (
        made(claim(), volume("other")),
        "SnapshotContentCreationFailed",
        INPUT + '"claim in dataSource not bound or invalid"',
    ),
    "half a secret (SN-11)": (
        made(claim(), volume(), snapshot_class(parameters={f"{SECRET}-name": "x"})),
        "SnapshotContentCreationFailed",
        INPUT + '"failed to get name and namespace template from params: either name and namespace for Snapshotter '
        'secrets specified, Both must be specified"',
    ),
    "no CSI (SN-11)": (
        made(claim(), volume(hostPath={"path": "/x"})),
        "SnapshotContentCreationFailed",
        NOT_MADE + "cannot find CSI PersistentVolumeSource for volume v",
    ),
    "volume of another driver than the class": (
        made(claim(), volume(csi={"driver": "other", "volumeHandle": "vol-1"})),
        "SnapshotContentCreationFailed",
        NOT_MADE + "volume v is of driver other, and VolumeSnapshotClass fast is for driver csi.example.com",
    ),
    "given: none (SN-7)": (
        lambda: given_content(snapshot(), None),
        "SnapshotContentMissing",
        "VolumeSnapshotContent is missing",
    ),
    "given: made (SN-7)": (
        lambda: given_content(snapshot(), content()),
        "SnapshotContentMismatch",
        "VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one",
    ),
    "given: another's (SN-7)": (
        lambda: given_content(snapshot(), content("other", source={"snapshotHandle": "h"})),
        "SnapshotContentMisbound",
        "VolumeSnapshotContent [c] is bound to a different snapshot",
    ),
    "given: of another name (SN-7)": (
        lambda: given_content(snapshot(), content("", "t", source={"snapshotHandle": "h"})),
        "SnapshotContentMisbound",
        "VolumeSnapshotContent [c] is bound to a different snapshot",
    ),
    "made: given (SN-8)": (
        lambda: made_content(snapshot(), content(source={"snapshotHandle": "h"})),
        "SnapshotContentMismatch",
        "VolumeSnapshotContent c is pre-provisioned while expecting a dynamically provisioned one",
    ),
    "made: another's (SN-8)": (
        lambda: made_content(snapshot(), content("other")),
        "SnapshotContentMisbound",
        "VolumeSnapshotContent [c] is bound to a different snapshot",
    ),
    "made: nobody's by uid (SN-8)": (
        lambda: made_content(snapshot(), content("")),
        "SnapshotContentMisbound",
        "VolumeSnapshotContent [c] is bound to a different snapshot",
    ),
    "bound: gone (SN-6)": (
        lambda: check_bound(snapshot(), None),
        "SnapshotContentMissing",
        "VolumeSnapshotContent is missing",
    ),
    "bound: another's (SN-6)": (
        lambda: check_bound(snapshot(), content("other")),
        "SnapshotMisbound",
        "VolumeSnapshotContent is not bound to the VolumeSnapshot correctly",
    ),
}


def _raise(error: PvbinderError) -> None:
    raise error


@pytest.mark.parametrize(("ask", "reason", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(ask: Callable[[], object], reason: str, message: str) -> None:
    with pytest.raises(SnapshotRefused) as caught:
        ask()
    assert (caught.value.reason, caught.value.message) == (reason, message)


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (
            "given: made (SN-7)",
            "snapshot shop/s expects a pre-provisioned VolumeSnapshotContent c but gets a dynamically provisioned one",
        ),
        (
            "made: given (SN-8)",
            "snapshot shop/s expects a dynamically provisioned VolumeSnapshotContent c but gets a pre-provisioned one",
        ),
        ("given: another's (SN-7)", "VolumeSnapshotContent [c] is bound to a different snapshot"),
        ("given: none (SN-7)", ""),
        ("bound: another's (SN-6)", ""),
    ],
)
def test_why_the_finalizers_are_not_seen_to(case: str, why: str) -> None:  # SN-20
    with pytest.raises(SnapshotRefused) as caught:
        REFUSED[case][0]()
    assert caught.value.finalizer_error == why


def test_the_default_class_is_the_drivers_own() -> None:  # SN-3
    classes = [snapshot_class("a", "other", annotations=DEFAULT), snapshot_class("b", annotations=DEFAULT)]
    assert default_class(snapshot(), claim(), volume(), [*classes, snapshot_class("c")]).name == "b"


def test_a_claim_that_is_being_deleted_and_protected_is_snapshotted() -> None:  # SN-10
    leaving = claim(deletionTimestamp="2020-01-01T00:00:00Z")
    assert check_claim(snapshot(), leaving, is_protected=True) is leaving


def test_a_content_given_by_hand_gets_uid_and_class() -> None:  # SN-9
    given = content("", source={"snapshotHandle": "h"})
    document = bound_to(given, snapshot(class_name="fast"))
    assert document is not None
    assert document["spec"]["volumeSnapshotRef"] == {"name": "s", "namespace": "shop", "uid": "u"}
    assert document["spec"]["volumeSnapshotClassName"] == "fast"


@pytest.mark.parametrize("class_name", ["fast", "other", None])
def test_a_content_that_is_bound_is_left_as_it_is(class_name: str | None) -> None:  # SN-9
    given = content(source={"snapshotHandle": "h"}, volumeSnapshotClassName="fast")
    assert bound_to(given, snapshot(class_name=class_name)) is None


def test_the_volume_mode_is_left_out_where_it_may_be_changed() -> None:  # SN-12
    kept = content_for(snapshot(), snapshot_class(), claim(), volume())
    assert kept["spec"]["sourceVolumeMode"] == "Block"
    assert (
        "sourceVolumeMode"
        not in content_for(snapshot(), snapshot_class(), claim(), volume(), prevents_mode_conversion=False)["spec"]
    )


def test_names_are_cut_as_flags_say() -> None:  # SK-6
    uid = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
    assert stored_name(SnapshotNaming(), uid) == f"snapshot-{uid}"
    assert stored_name(SnapshotNaming("snap", 8), uid) == "snap-0a1b2c3d"
