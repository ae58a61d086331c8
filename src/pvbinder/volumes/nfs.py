"""NFS: exports that somebody else made; we can only have them scrubbed (9.3)."""

from __future__ import annotations

from pvbinder.model.json import Json
from pvbinder.model.names import NFS_PLUGIN
from pvbinder.model.objects import Volume
from pvbinder.volumes.plugin import Identity, RecycleOutcome, RunPod
from pvbinder.volumes.recycler import NFS_RECYCLER, RecyclerSettings, default_template


class NfsPlugin:
    """``kubernetes.io/nfs``: recycles."""

    def __init__(self, recycler: RecyclerSettings | None = None) -> None:
        self._recycler = recycler or NFS_RECYCLER
        self.identity = Identity(NFS_PLUGIN, frozenset({"nfs"}), mount_options=True)

    def recycle(self, volume: Volume) -> RecycleOutcome:
        """Say which pod empties the export (RY-12)."""
        nfs = volume.nfs
        source: Json = {"nfs": {"server": nfs.server or "", "path": nfs.path or ""} if nfs is not None else {}}
        template = self._recycler.template or default_template()
        return RunPod(template, source, self._recycler.deadline_seconds(volume))
