"""What a claim may be made from, and what is said when it may not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume, parse_claim, parse_volume
from pvbinder.rules.csi.sources import (
    ALLOW_MODE_CHANGE,
    DataSource,
    SourceError,
    data_source_of,
    snapshot_to_restore,
    volume_to_clone,
)

DRIVER = "fake.csi.example.com"


def claim(name: str = "copy", *, phase: str = "Pending", metadata: Json | None = None, **spec: Any) -> Claim:
    wanted: Json = {"resources": {"requests": {"storage": "2Gi"}}, "storageClassName": "fast", **spec}
    head = {"name": name, "namespace": "shop", "uid": f"uid-of-{name}", **(metadata or {})}
    document = {"metadata": head, "spec": wanted, "status": {"phase": phase}}
    return parse_claim(msgspec.json.encode(document))


def source(**spec: Any) -> Claim:
    phase, metadata = spec.pop("phase", "Bound"), spec.pop("metadata", None)
    wanted = {"resources": {"requests": {"storage": "1Gi"}}, "volumeName": "disk", **spec}
    return claim("orders", phase=phase, metadata=metadata, **wanted)


def disk(*, phase: str = "Bound", **spec: Any) -> Volume:
    ref = {"name": "orders", "namespace": "shop", "uid": "uid-of-orders"}
    wanted = {"csi": {"driver": DRIVER, "volumeHandle": "h1"}, "claimRef": ref, **spec}
    return parse_volume(msgspec.json.encode({"metadata": {"name": "disk"}, "spec": wanted, "status": {"phase": phase}}))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"dataSource": None}, None),
        (
            {"dataSource": {"kind": "PersistentVolumeClaim", "name": "orders"}},
            DataSource("PersistentVolumeClaim", "orders", "", "shop"),
        ),
        (
            {"dataSourceRef": {"kind": "VolumeSnapshot", "name": "s", "apiGroup": "g", "namespace": "other"}},
            DataSource("VolumeSnapshot", "s", "g", "other"),
        ),
    ],
)
def test_the_source_of_a_claim(spec: Json, expected: DataSource | None) -> None:  # CP-3
    assert data_source_of({"metadata": {"namespace": "shop"}, "spec": spec}) == expected


def test_a_clone_of_a_volume_that_fits() -> None:  # DS-6
    assert volume_to_clone(claim(), source(), disk(), name="orders", driver=DRIVER) == "h1"


NOT_VALID = "claim in dataSource not bound or invalid"
CLONES = {
    "missing (DS-1)": (
        (claim(), None, None),
        'error getting PVC orders (namespace "shop") from api server: not there',
    ),
    "pending (DS-1)": (
        (claim(), source(phase="Pending"), disk()),
        "the PVC DataSource orders must have a status of Bound.  Got {Pending [] map[] [] map[] map[] <nil> nil}",
    ),
    "deleted (DS-1)": (
        (claim(), source(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), disk()),
        "the PVC DataSource orders is currently being deleted",
    ),
    "source without a class (DS-2)": (
        (claim(), source(storageClassName=None), disk()),
        "the source PVC (orders) storageclass cannot be empty",
    ),
    "claim without a class (DS-2)": (
        (claim(storageClassName=None), source(), disk()),
        "the requested PVC (copy) storageclass cannot be empty",
    ),
    "too small (DS-3)": (
        (claim(resources={"requests": {"storage": "1Mi"}}), source(), disk()),
        (
            "error, new PVC request must be greater than or equal in size to the specified PVC data source, "
            "requested 1048576 but source is 1073741824"
        ),
    ),
    "no volume (DS-4)": ((claim(), source(volumeName=""), disk()), "volume name is empty in source PVC orders"),
    "volume unreadable (DS-4)": ((claim(), source(), None), NOT_VALID),
    "another driver (DS-4)": ((claim(), source(), disk(csi={"driver": "x", "volumeHandle": "h1"})), NOT_VALID),
    "no CSI (DS-4)": ((claim(), source(), disk(csi=None)), NOT_VALID),
    "another claim (DS-4)": (
        (claim(), source(), disk(claimRef={"name": "orders", "namespace": "shop", "uid": "x"})),
        NOT_VALID,
    ),
    "not bound (DS-4)": ((claim(), source(), disk(phase="Released")), NOT_VALID),
    "another mode (DS-5)": (
        (claim(volumeMode="Filesystem"), source(volumeMode="Block"), disk()),
        (
            "the source PVC and destination PVCs must have the same volume mode for cloning.  "
            "Source is Block, but new PVC requested Filesystem"
        ),
    ),
}


@pytest.mark.parametrize(("given", "message"), CLONES.values(), ids=CLONES.keys())
def test_a_clone_that_cant_be(given: tuple[Claim, Claim | None, Volume | None], message: str) -> None:
    with pytest.raises(SourceError) as caught:
        volume_to_clone(*given, name="orders", driver=DRIVER, why_missing="not there")
    assert caught.value.message == message


def snapshot(**status: Any) -> Json:
    known = {"boundVolumeSnapshotContentName": "c", "readyToUse": True, "restoreSize": "1Gi", **status}
    return {"metadata": {"name": "s", "namespace": "shop", "uid": "u"}, "status": known}


def content(annotations: Json | None = None, *, handle: str | None = "snap-1", **spec: Any) -> Json:
    ref = {"name": "s", "namespace": "shop", "uid": "u"}
    return {
        "metadata": {"name": "c", "annotations": annotations},
        "spec": {"driver": DRIVER, "volumeSnapshotRef": ref, **spec},
        "status": {"snapshotHandle": handle},
    }


@pytest.mark.parametrize("allowed", ["1", "t", "T", "true", "TRUE", "True"])
def test_a_snapshot_whose_mode_may_change(allowed: str) -> None:  # DS-10
    given = content({ALLOW_MODE_CHANGE: allowed}, sourceVolumeMode="Block")
    assert snapshot_to_restore(claim(), snapshot(), given, driver=DRIVER, storage_class="fast") == "snap-1"


def test_the_check_of_modes_can_be_off() -> None:  # DS-10
    given = content(sourceVolumeMode="Block")
    assert (
        snapshot_to_restore(
            claim(), snapshot(), given, driver=DRIVER, storage_class="fast", prevents_mode_conversion=False
        )
        == "snap-1"
    )


MODE = "requested volume shop/copy modifies the mode of the source volume but does not have permission to do so. "
RESTORES = {
    "not bound (DS-8)": ((snapshot(boundVolumeSnapshotContentName=""), content()), "snapshot s not bound"),
    "another's content (DS-8)": (
        (snapshot(), content(volumeSnapshotRef={"name": "s", "namespace": "shop", "uid": "x"})),
        "snapshotcontent c for snapshot s is bound to a different snapshot",
    ),
    "another driver (DS-8)": (
        (snapshot(), content(driver="x")),
        "snapshotcontent c for snapshot s is not handled by CSI driver of StorageClass fast",
    ),
    "not ready (DS-8)": ((snapshot(readyToUse=False), content()), "snapshot s is not Ready"),
    "without a handle (DS-8)": ((snapshot(), content(handle=None)), "snapshot handle s is not available"),
    "too small (DS-9)": (
        (snapshot(restoreSize="4Gi"), content()),
        "requested volume size 2147483648 is less than the size 4294967296 for the source snapshot s",
    ),
    "another mode (DS-10)": (
        (snapshot(), content(sourceVolumeMode="Block")),
        f"{MODE}{ALLOW_MODE_CHANGE} annotation is not present on snapshotcontent c",
    ),
    "another mode, refused (DS-10)": (
        (snapshot(), content({ALLOW_MODE_CHANGE: "false"}, sourceVolumeMode="Block")),
        f"{MODE}{ALLOW_MODE_CHANGE} is set to false on snapshotcontent c",
    ),
    "another mode, nonsense (DS-10)": (
        (snapshot(), content({ALLOW_MODE_CHANGE: "yes"}, sourceVolumeMode="Block")),
        (
            f"{MODE}failed to convert {ALLOW_MODE_CHANGE} annotation value to boolean with error: "
            'strconv.ParseBool: parsing "yes": invalid syntax'
        ),
    ),
}


@pytest.mark.parametrize(("given", "message"), RESTORES.values(), ids=RESTORES.keys())
def test_a_restore_that_cant_be(given: tuple[Json, Json], message: str) -> None:
    with pytest.raises(SourceError) as caught:
        snapshot_to_restore(claim(), *given, driver=DRIVER, storage_class="fast")
    assert caught.value.message == message
