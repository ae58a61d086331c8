"""A snapshot and what it is taken from: the class, the claim's volume, the content, and each refusal.

Rules: docs/rules/snapshotter.md#2-volumesnapshots-snapshot-controller-events-from-snapshot-controller
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import quoted
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.resources import VOLUME_SNAPSHOTS
from pvbinder.model.snapshots import SnapshotClass, SnapshotContent, VolumeSnapshot
from pvbinder.rules.csi.secrets import SecretReference
from pvbinder.rules.csi.snapshots.names import (
    CONTENT_FINALIZER,
    DEFAULT_CLASS,
    DELETION_SECRET,
    content_name,
)
from pvbinder.rules.csi.snapshots.secrets import SnapshotSecret, snapshot_secret

_UPDATE_FAILED: Final = "snapshot controller failed to update"
MISSING: Final = "VolumeSnapshotContent is missing"


class SnapshotRefused(PvbinderError):  # noqa: N818  (an outcome, not a defect)
    """What a snapshot's user is told (SN-14): the reason of the event, its text, and what becomes of readyToUse.

    `finalizer_error` is the text of a second event, where the snapshot's finalizers could not be seen to for that.
    """

    def __init__(self, reason: str, message: str, *, keeps_ready: bool = False, finalizer_error: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.keeps_ready = keeps_ready
        self.finalizer_error = finalizer_error


def check_sources(snapshot: VolumeSnapshot) -> None:
    """Raise SnapshotRefused unless the snapshot has exactly one source (SN-4)."""
    if (snapshot.source_claim is None) == (snapshot.source_content is None):
        message = "Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified"
        raise SnapshotRefused("SnapshotValidationError", message)


def class_missing(name: str) -> SnapshotRefused:
    """Return the refusal of a class that isn't there (SN-2)."""
    why = f'volumesnapshotclass.snapshot.storage.k8s.io "{name}" not found'
    return SnapshotRefused("GetSnapshotClassFailed", f"Failed to get snapshot class with error {why}", keeps_ready=True)


def default_class(
    snapshot: VolumeSnapshot, claim: Claim | None, volume: Volume | None, classes: Iterable[SnapshotClass]
) -> SnapshotClass:
    """Return the default class of the driver of the claim's volume (SN-3); raise SnapshotRefused."""
    try:
        source = source_volume(snapshot, claim, volume)
        if source.csi is None:
            raise PvbinderError(
                f"snapshotting non-CSI volumes is not supported, snapshot:{snapshot.namespace}/{snapshot.name}"
            )
        found = [
            one for one in classes if one.annotations.get(DEFAULT_CLASS) == "true" and one.driver == source.csi.driver
        ]
        if not found:
            raise PvbinderError("cannot find default snapshot class")
        if len(found) > 1:
            raise PvbinderError(f"{len(found)} default snapshot classes were found")
    except PvbinderError as error:
        message = f"Failed to set default snapshot class with error {error.message}"
        raise SnapshotRefused("SetDefaultSnapshotClassFailed", message, keeps_ready=True) from error
    return found[0]


def source_volume(snapshot: VolumeSnapshot, claim: Claim | None, volume: Volume | None) -> Volume:
    """Return the volume of the claim (SN-11); raise PvbinderError. `volume` is the one that the claim names."""
    if claim is None:
        why = quoted(f'persistentvolumeclaim "{snapshot.source_claim}" not found')
        raise PvbinderError(f"failed to retrieve PVC {snapshot.source_claim} from the lister: {why}")
    if claim.phase != "Bound":
        raise PvbinderError(f"the PVC {claim.name} is not yet bound to a PV, will not attempt to take a snapshot")
    if volume is None:
        why = quoted(f'persistentvolumes "{claim.volume_name}" not found')
        raise PvbinderError(f"failed to retrieve PV {claim.volume_name} from the API server: {why}")
    ref = volume.claim_ref
    if ref is None or ref.key != claim.key or ref.uid not in (None, "", claim.uid):
        raise PvbinderError("claim in dataSource not bound or invalid")
    return volume


def not_created(why: str) -> SnapshotRefused:
    """Return the refusal of a snapshot whose content can't be made (SN-11)."""
    return SnapshotRefused("SnapshotContentCreationFailed", f"Failed to create snapshot content with error {why}")


def check_claim(snapshot: VolumeSnapshot, claim: Claim | None, *, is_protected: bool) -> Claim:
    """Return the claim that is to be protected while the snapshot is made (SN-10); raise SnapshotRefused."""
    if claim is None:
        raise not_created(f"{_UPDATE_FAILED} {snapshot.name} on API server: cannot get claim from snapshot")
    if claim.is_deleting and not is_protected:
        why = "cannot add finalizer on claim because it is being deleted"
        raise not_created(f"{_UPDATE_FAILED} {claim.name} on API server: {why}")
    return claim


def content_for(
    snapshot: VolumeSnapshot,
    snapshot_class: SnapshotClass,
    claim: Claim,
    volume: Volume | None,
    *,
    prevents_mode_conversion: bool = True,
) -> Json:
    """Return the content to be made for a snapshot (SN-11, SN-12); raise SnapshotRefused.

    It has its finalizer from the start, where the reference adds it a moment later.
    """
    what = f"failed to get input parameters to create snapshot {snapshot.name}: "
    name = content_name(snapshot.uid)
    try:
        source = source_volume(snapshot, claim, volume)
        secret = snapshot_secret(
            SnapshotSecret.SNAPSHOTTER,
            snapshot_class.parameters,
            name,
            snapshot=snapshot.name,
            namespace=snapshot.namespace,
        )
    except PvbinderError as error:
        raise not_created(what + quoted(error.message)) from error
    if source.csi is None:
        raise not_created(f"cannot find CSI PersistentVolumeSource for volume {source.name}")
    if source.csi.driver != snapshot_class.driver:
        raise not_created(
            f"volume {source.name} is of driver {source.csi.driver}, "
            f"and VolumeSnapshotClass {snapshot_class.name} is for driver {snapshot_class.driver}"
        )
    metadata: Json = {"name": name, "finalizers": [CONTENT_FINALIZER]}
    if secret is not None:
        metadata["annotations"] = _shown(secret)
    spec: Json = {
        "deletionPolicy": snapshot_class.deletion_policy,
        "driver": snapshot_class.driver,
        "source": {"volumeHandle": source.csi.volume_handle},
        "volumeSnapshotClassName": snapshot_class.name,
        "volumeSnapshotRef": {
            "apiVersion": VOLUME_SNAPSHOTS.api_version,
            "kind": VOLUME_SNAPSHOTS.kind,
            "name": snapshot.name,
            "namespace": snapshot.namespace,
            "resourceVersion": snapshot.resource_version,
            "uid": snapshot.uid,
        },
    }
    if prevents_mode_conversion:
        spec["sourceVolumeMode"] = source.volume_mode
    return {
        "apiVersion": VOLUME_SNAPSHOTS.api_version,
        "kind": "VolumeSnapshotContent",
        "metadata": metadata,
        "spec": spec,
    }


def _shown(secret: SecretReference) -> dict[str, str]:
    return {f"{DELETION_SECRET}-name": secret.name, f"{DELETION_SECRET}-namespace": secret.namespace}


def refers_to(content: SnapshotContent, snapshot: VolumeSnapshot) -> bool:
    """Whether the content is this very snapshot's."""
    ref = content.ref
    return (ref.name, ref.namespace, ref.uid) == (snapshot.name, snapshot.namespace, snapshot.uid)


def given_content(snapshot: VolumeSnapshot, content: SnapshotContent | None) -> SnapshotContent:
    """Return the content that the snapshot names as its source (SN-7); raise SnapshotRefused."""
    if content is None:
        raise SnapshotRefused("SnapshotContentMissing", MISSING)
    if content.given_handle is None:
        message = "VolumeSnapshotContent is dynamically provisioned while expecting a pre-provisioned one"
        expected = f"a pre-provisioned VolumeSnapshotContent {content.name} but gets a dynamically provisioned one"
        raise _mismatched(snapshot, message, expected)
    ref = content.ref
    if (ref.name, ref.namespace) != (snapshot.name, snapshot.namespace) or ref.uid not in ("", snapshot.uid):
        raise _misbound(content)
    return content


def made_content(snapshot: VolumeSnapshot, content: SnapshotContent | None) -> SnapshotContent | None:
    """Return the content that was made for the snapshot, if there is one (SN-8); raise SnapshotRefused."""
    if content is None:
        return None
    if content.volume_handle is None:
        what = "is pre-provisioned while expecting a dynamically provisioned one"
        expected = f"a dynamically provisioned VolumeSnapshotContent {content.name} but gets a pre-provisioned one"
        raise _mismatched(snapshot, f"VolumeSnapshotContent {content.name} {what}", expected)
    if not refers_to(content, snapshot):
        raise _misbound(content)
    return content


def _mismatched(snapshot: VolumeSnapshot, message: str, expected: str) -> SnapshotRefused:
    why = f"snapshot {snapshot.key} expects {expected}"
    return SnapshotRefused("SnapshotContentMismatch", message, finalizer_error=why)


def _misbound(content: SnapshotContent) -> SnapshotRefused:
    message = f"VolumeSnapshotContent [{content.name}] is bound to a different snapshot"
    return SnapshotRefused("SnapshotContentMisbound", message, finalizer_error=message)


def check_bound(snapshot: VolumeSnapshot, content: SnapshotContent | None) -> SnapshotContent:
    """Return the content of a snapshot that is ready (SN-6); raise SnapshotRefused."""
    if content is None:
        raise SnapshotRefused("SnapshotContentMissing", MISSING)
    if not refers_to(content, snapshot):
        what = "is not bound to the VolumeSnapshot correctly"
        raise SnapshotRefused("SnapshotMisbound", f"VolumeSnapshotContent {what}")
    return content


def bound_to(content: SnapshotContent, snapshot: VolumeSnapshot) -> Json | None:
    """Return the content given by hand with the snapshot's uid and class in it (SN-9); None if it has them."""
    if content.ref.uid and content.class_name is not None:
        return None
    document = content.document()
    spec = document["spec"]
    changed = not content.ref.uid or (snapshot.class_name is not None and content.class_name != snapshot.class_name)
    if not changed:
        return None
    spec["volumeSnapshotRef"] = {**spec["volumeSnapshotRef"], "uid": snapshot.uid}
    if snapshot.class_name is not None:
        spec["volumeSnapshotClassName"] = snapshot.class_name
    return document
