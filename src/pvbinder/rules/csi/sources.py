"""Whether a claim may be made from another claim, or from a snapshot; the texts are the inner errors of CP-14.

Rules: docs/rules/provisioner.md#7-data-sources
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import parse_bool
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.quantity import quantity_of

SNAPSHOT_GROUP: Final = "snapshot.storage.k8s.io"
CLONING_FINALIZER: Final = "provisioner.storage.kubernetes.io/cloning-protection"
SNAPSHOT_FINALIZER: Final = "provisioner.storage.kubernetes.io/volumesnapshot-as-source-protection"
ALLOW_MODE_CHANGE: Final = "snapshot.storage.kubernetes.io/allow-volume-mode-change"


class SourceError(PvbinderError):
    """The source can't be used, now or ever."""


class DataSource(Struct, frozen=True):
    """What a claim is made from, by name; `namespace` is the claim's own unless it was given."""

    kind: str
    name: str
    group: str
    namespace: str


def data_source_of(claim: Json) -> DataSource | None:
    """Return what the claim is to be made from: `dataSource`, else `dataSourceRef` (CP-3)."""
    spec: Json = claim.get("spec") or {}
    source: Json = spec.get("dataSource") or spec.get("dataSourceRef") or {}
    if not source:
        return None
    namespace = source.get("namespace") or (claim.get("metadata") or {}).get("namespace") or ""
    return DataSource(source.get("kind") or "", source.get("name") or "", source.get("apiGroup") or "", namespace)


def volume_to_clone(
    claim: Claim, source: Claim | None, volume: Volume | None, *, name: str, driver: str, why_missing: str = ""
) -> str:
    """Return the handle of the volume that `claim` is cloned from (DS-1 to DS-6); raise SourceError.

    `volume` is the source's volume as far as it could be read.
    """
    if source is None:
        raise SourceError(f'error getting PVC {name} (namespace "{claim.namespace}") from api server: {why_missing}')
    if source.phase != "Bound":
        raise SourceError(f"the PVC DataSource {name} must have a status of Bound.  Got {_status(source)}")
    if source.deletion_timestamp is not None:
        raise SourceError(f"the PVC DataSource {name} is currently being deleted")
    if not source.has_class:
        raise SourceError(f"the source PVC ({source.name}) storageclass cannot be empty")
    if not claim.has_class:
        raise SourceError(f"the requested PVC ({claim.name}) storageclass cannot be empty")
    if claim.request < source.request:
        raise SourceError(
            "error, new PVC request must be greater than or equal in size to the specified PVC data source, "
            f"requested {claim.request.whole_units()} but source is {source.request.whole_units()}"
        )
    if not source.volume_name:
        raise SourceError(f"volume name is empty in source PVC {source.name}")
    handle = _handle_of(source, volume, driver)
    if claim.volume_mode != source.volume_mode:
        raise SourceError(
            "the source PVC and destination PVCs must have the same volume mode for cloning.  "
            f"Source is {source.volume_mode}, but new PVC requested {claim.volume_mode}"
        )
    return handle


def _handle_of(source: Claim, volume: Volume | None, driver: str) -> str:
    is_its_own = (
        volume is not None
        and volume.csi is not None
        and volume.csi.driver == driver
        and volume.claim_ref is not None
        and volume.claim_ref.key == source.key
        and volume.claim_uid == source.uid
        and volume.phase == "Bound"
    )
    if not is_its_own or volume is None or volume.csi is None:
        raise SourceError("claim in dataSource not bound or invalid")
    return volume.csi.volume_handle or ""


def snapshot_to_restore(
    claim: Claim,
    snapshot: Json,
    content: Json,
    *,
    driver: str,
    storage_class: str,
    prevents_mode_conversion: bool = True,
) -> str:
    """Return the handle of the snapshot that `claim` is made from (DS-8 to DS-10); raise SourceError."""
    name = snapshot["metadata"]["name"]
    content_name = (snapshot.get("status") or {}).get("boundVolumeSnapshotContentName") or ""
    if not content_name:
        raise SourceError(f"snapshot {name} not bound")
    spec: Json = content.get("spec") or {}
    ref: Json = spec.get("volumeSnapshotRef") or {}
    meta: Json = snapshot["metadata"]
    if (ref.get("uid"), ref.get("namespace"), ref.get("name")) != (meta.get("uid"), meta.get("namespace"), name):
        raise SourceError(f"snapshotcontent {content_name} for snapshot {name} is bound to a different snapshot")
    if spec.get("driver") != driver:
        raise SourceError(
            f"snapshotcontent {content_name} for snapshot {name} is not handled by CSI driver of StorageClass "
            f"{storage_class}"
        )
    if not (snapshot.get("status") or {}).get("readyToUse"):
        raise SourceError(f"snapshot {name} is not Ready")
    size = (snapshot.get("status") or {}).get("restoreSize")
    if size is not None and claim.request < quantity_of(size):
        sizes = f"{claim.request.whole_units()} is less than the size {quantity_of(size).whole_units()}"
        raise SourceError(f"requested volume size {sizes} for the source snapshot {name}")
    handle = (content.get("status") or {}).get("snapshotHandle")
    if not handle:
        raise SourceError(f"snapshot handle {name} is not available")
    mode = spec.get("sourceVolumeMode")
    if prevents_mode_conversion and mode and mode != claim.volume_mode:
        _check_mode_change(claim, content_name, content["metadata"].get("annotations") or {})
    return str(handle)


def _check_mode_change(claim: Claim, content: str, annotations: Mapping[str, str]) -> None:
    what = (
        f"requested volume {claim.key} modifies the mode of the source volume but does not have permission to do so. "
    )
    value = annotations.get(ALLOW_MODE_CHANGE)
    if value is None:
        raise SourceError(f"{what}{ALLOW_MODE_CHANGE} annotation is not present on snapshotcontent {content}")
    allowed = parse_bool(value)
    if allowed is False:
        raise SourceError(f"{what}{ALLOW_MODE_CHANGE} is set to false on snapshotcontent {content}")
    if allowed is None:
        why = f'strconv.ParseBool: parsing "{value}": invalid syntax'
        raise SourceError(f"{what}failed to convert {ALLOW_MODE_CHANGE} annotation value to boolean with error: {why}")


def _status(claim: Claim) -> str:
    """Return the status as Go shows the struct; but for the phase it is empty before a claim is Bound, or once Lost."""
    return f"{{{claim.phase or 'Pending'} [] map[] [] map[] map[] <nil> nil}}"
