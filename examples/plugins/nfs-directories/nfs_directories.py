"""A volume plugin: for each claim a directory of an NFS export that is mounted here.

Where, it reads from the environment: ``NFS_SERVER`` and ``NFS_EXPORT`` as the pods' nodes mount it, ``NFS_MOUNT`` as it
is mounted here. A class with the parameter ``onDelete: archive`` keeps the files of deleted volumes.
"""

from __future__ import annotations

import os
from pathlib import Path

from pvbinder.model.objects import Volume
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    Identity,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
)
from pvbinder.volumes.removal import RemovalRefusedError, remove_tree

ON_DELETE = "nfs-directories.example.com/on-delete"


class NfsDirectories:
    """``example.com/nfs-directories``."""

    # No sources: our volumes are found by our name, and other NFS volumes are none of our business.
    identity = Identity("example.com/nfs-directories", sources=frozenset(), mount_options=True)

    def __init__(self) -> None:
        self._server, self._export = os.environ["NFS_SERVER"], os.environ["NFS_EXPORT"]
        self._mount = Path(os.environ["NFS_MOUNT"]).resolve()

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        """Make a directory named after the volume; it may be there from an attempt that wasn't finished."""
        if request.claim.volume_mode == "Block":
            return Failed("a directory can't be a block device")
        directory = self._mount / request.volume_name
        directory.mkdir(mode=0o770, exist_ok=True)
        if directory.is_symlink():
            return Failed(f"{directory} is a symbolic link, so it may be anybody's directory")
        return Provisioned(
            {"nfs": {"server": self._server, "path": f"{self._export}/{request.volume_name}"}},
            annotations={ON_DELETE: request.storage_class.parameters.get("onDelete", "delete")},
            access_modes=("ReadWriteMany",),
        )

    def delete(self, volume: Volume) -> DeleteOutcome:
        """Remove or put aside the directory; it may be gone since an attempt that wasn't finished."""
        directory = self._mount / volume.name
        if volume.annotations.get(ON_DELETE) == "archive":
            if directory.exists():
                directory.rename(self._mount / f"archived-{volume.name}")
            return Deleted()
        try:  # pods write into these directories: no link that they left there is followed
            remove_tree(str(directory), root=str(self._mount), chosen=True)
        except RemovalRefusedError as refused:
            return Failed(refused.message)
        return Deleted()
