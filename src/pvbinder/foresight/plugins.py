"""Volume plugins that only say that they did it: a rehearsal makes and deletes no directory and starts no pod.

HARMLESS-1  No method of a real plugin is called: neither making, deleting nor scrubbing touches this machine.
HARMLESS-2  Identity, abilities and refusals by rule are those of the real ones, so that every decision is the same.

Rules: docs/rules/binder.md#93-in-tree-plugin-abilities-inside-the-binder
"""

from __future__ import annotations

from pvbinder.model.names import HOST_PATH_PLUGIN
from pvbinder.model.objects import Volume
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.host_path import DELETABLE, HostPathPlugin, HostPathSettings
from pvbinder.volumes.nfs import NfsPlugin
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    Identity,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
    Recycled,
)


class _HostPath:
    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        """Say that the directory is there."""
        if request.claim.volume_mode == "Block":
            return Failed(f"{HOST_PATH_PLUGIN} does not support block volume provisioning")
        return Provisioned({"hostPath": {"path": f"/tmp/rehearsed/{request.volume_name}"}})  # noqa: S108

    def delete(self, volume: Volume) -> DeleteOutcome:
        """Say that the directory is gone, if it is one that may be deleted."""
        path = (volume.host_path.path or "") if volume.host_path is not None else ""
        if DELETABLE.search(path) is None:
            return Failed(f"host_path deleter only supports {DELETABLE.pattern} but received provided {path}")
        return Deleted()

    def recycle(self, _: Volume) -> Recycled:
        """Say that the directory is empty."""
        return Recycled()


class _Nfs:
    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def recycle(self, _: Volume) -> Recycled:
        """Say that the export is empty."""
        return Recycled()


def harmless_plugins(*, provisioning: bool) -> Catalogue:
    """Return stand-ins for the in-tree plugins; `provisioning` is the switch of host paths (HARMLESS-2)."""
    host_path = HostPathPlugin(HostPathSettings(provisioning=provisioning))
    return Catalogue((_HostPath(host_path.identity), _Nfs(NfsPlugin().identity)))
