"""The owner of a finalizer, and the condition of its removal: for objects that are being deleted and stay."""

from __future__ import annotations

from typing import Final

from pvbinder.insight.snapshot import Snapshot
from pvbinder.insight.wording import listed
from pvbinder.model import names
from pvbinder.model.objects import Claim, Volume

_KNOWN: Final = {
    names.PVC_PROTECTION_FINALIZER: "goes when no pod uses the claim",
    names.PV_PROTECTION_FINALIZER: "goes when the volume isn't bound any more",
    names.PV_CONTROLLER_FINALIZER: "goes when the binder has deleted the storage",
    names.EXTERNAL_PROVISIONER_FINALIZER: "goes when the provisioner has deleted the storage",
    "snapshot.storage.kubernetes.io/pvc-as-source-protection": "goes when no VolumeSnapshot of it is being taken",
    "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection": "goes when no claim is restored from it",
    "provisioner.storage.kubernetes.io/cloning-protection": "goes when no claim is being cloned from it",
    "foregroundDeletion": "goes when the garbage collector has deleted what it owns",
    "orphan": "goes when the garbage collector has let go what it owns",
}
_ATTACHER: Final = "external-attacher/"


def what_removes(finalizer: str, view: Claim | Volume, snapshot: Snapshot) -> str:
    """Say when `finalizer` is taken away from `view`; ``""`` for an unknown finalizer."""
    if finalizer.startswith(_ATTACHER):
        nodes = [each.node for each in snapshot.attachments_of(view.name)]
        where = f" from {listed(sorted(nodes))}" if nodes else ""
        return f"goes when its attacher has detached the volume{where}"
    return _KNOWN.get(finalizer, "")


def shown_finalizers(view: Claim | Volume, snapshot: Snapshot) -> str:
    """Name the finalizers of `view`, each with its remover."""
    shown = []
    for finalizer in view.finalizers:
        when = what_removes(finalizer, view, snapshot)
        shown.append(f"{finalizer} ({when})" if when else finalizer)
    return listed(shown, most=5)
