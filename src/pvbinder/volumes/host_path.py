"""hostPath: directories of this machine, for clusters that have one node (9.3).

HOSTPATH-1  Provisioning makes one directory, mode 0750, below a root that belongs to us and is no symbolic link. An
            attempt that is made again for the same volume finds the directory of the first one.
HOSTPATH-2  Deleting stays below the allowed root and follows no symbolic link, as `volumes.removal` promises. A root
            that was only found in the path of a volume is not trusted: no link leads to it, and it is none.
HOSTPATH-3  Recycling is left to a pod, because the directory is on the node, which needn't be this machine.

By default the reference's places: made in ``/tmp/hostpath_pv``, deleted where ``/tmp/.+`` is found *anywhere* in the
path, so that ``/data/tmp/x`` passes too. With `root` set, both are that directory and nothing else.
"""

from __future__ import annotations

import os
import re
import stat
import uuid
from dataclasses import dataclass
from typing import Final

from pvbinder.model.json import Json
from pvbinder.model.names import CREATED_BY, HOST_PATH_PLUGIN
from pvbinder.model.objects import Volume
from pvbinder.volumes.directories import LinkRefusedError, open_root, open_step
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    Identity,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
    RecycleOutcome,
    RunPod,
)
from pvbinder.volumes.recycler import HOST_PATH_RECYCLER, RecyclerSettings, default_template
from pvbinder.volumes.removal import RemovalRefusedError, remove_tree

PROVISION_ROOT: Final = "/tmp/hostpath_pv"  # noqa: S108  (the reference's)
DELETABLE: Final = re.compile(r"/tmp/.+")  # noqa: S108  (the reference's; searched, not matched)
CREATED_BY_US: Final = "hostpath-dynamic-provisioner"
DIRECTORY_MODE: Final = 0o750
_DIRECTORIES: Final = uuid.UUID(
    "6f1f4f1e-0f0c-4b7c-9d0e-7c1b5f0d3a52"
)  # the names of our directories, made from volumes'


@dataclass(frozen=True, slots=True)
class HostPathSettings:
    """The flags about hostPath."""

    provisioning: bool = False  # --enable-hostpath-provisioner
    root: str | None = None  # --hostpath-root
    recycler: RecyclerSettings = HOST_PATH_RECYCLER


class HostPathPlugin:
    """``kubernetes.io/host-path``: provisions, deletes, recycles."""

    def __init__(self, settings: HostPathSettings | None = None) -> None:
        self._settings = settings or HostPathSettings()
        off = None if self._settings.provisioning else f'provisioning in volume plugin "{HOST_PATH_PLUGIN}" is disabled'
        self.identity = Identity(HOST_PATH_PLUGIN, frozenset({"hostPath"}), unavailable=off)
        self._provision_root = self._settings.root or PROVISION_ROOT

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        """Make a directory for a volume (PR-13)."""
        if request.claim.volume_mode == "Block":
            return Failed(f"{HOST_PATH_PLUGIN} does not support block volume provisioning")
        try:
            path = self._make_directory(request.volume_name)
        except LinkRefusedError as error:
            return Failed(f"mkdir {self._provision_root}: {error.message}")
        except OSError as error:
            return Failed(f"mkdir {error.filename or self._provision_root}: {_reason(error)}")
        return Provisioned({"hostPath": {"path": path}}, annotations={CREATED_BY: CREATED_BY_US})

    def delete(self, volume: Volume) -> DeleteOutcome:
        """Remove the directory of a volume with all its content (9.3); of one that has none, nothing (DL-5)."""
        if volume.host_path is None:  # it only says that this plugin made it
            nothing = "spec.PersistentVolumeSource.HostPath is nil"
            return Failed(f'failed to create deleter for volume "{volume.name}": {nothing}')
        path = volume.host_path.path or ""
        root = self._root_of(path)
        if root is None:
            allowed = f"{self._settings.root}/.+" if self._settings.root else DELETABLE.pattern
            return Failed(f"host_path deleter only supports {allowed} but received provided {path}")
        try:
            if self._settings.root is not None:
                remove_tree(path, root=root, chosen=True)
            else:
                remove_tree(path, root=root)
        except RemovalRefusedError as error:
            return Failed(f"host_path deleter refuses {path}: {error.message}")
        except OSError as error:
            return Failed(f"remove {path}: {_reason(error)}")
        return Deleted()

    def recycle(self, volume: Volume) -> RecycleOutcome:
        """Say which pod empties the directory (RY-12)."""
        path = (volume.host_path.path or "") if volume.host_path is not None else ""
        source: Json = {"hostPath": {"path": path}}
        recycler = self._settings.recycler
        return RunPod(recycler.template or default_template(), source, recycler.deadline_seconds(volume))

    def _root_of(self, path: str) -> str | None:
        """The allowed root that `path` is below, or None."""
        root = self._settings.root
        if root is not None:
            return root if path.startswith(f"{root.rstrip('/')}/") else None
        found = DELETABLE.search(path)
        return path[: found.start() + len("/tmp")] if found is not None else None  # noqa: S108

    def _make_directory(self, volume_name: str) -> str:
        """Make the directory of a volume: named after it, so that a repeated attempt finds it and none is left over.

        Files in it were not put there for this claim as it is now: then the directory gets a name by chance.
        """
        root = self._provision_root
        directory = open_root(root, chosen=True, make_mode=DIRECTORY_MODE)
        try:
            if os.fstat(directory).st_uid not in (os.geteuid(), 0):
                raise PermissionError(1, "the directory belongs to somebody else", root)
            name = str(uuid.uuid5(_DIRECTORIES, volume_name))
            if not _make_empty(directory, name):
                name = str(uuid.uuid4())
                os.mkdir(name, DIRECTORY_MODE, dir_fd=directory)
            _give_mode(directory, name)
        finally:
            os.close(directory)
        return f"{root.rstrip('/')}/{name}"


def _give_mode(parent: int, name: str) -> None:
    """Give the directory `name` its mode, whatever the umask took away; never to what a link leads to."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == DIRECTORY_MODE:
        return
    # Without the right to read it, it can be opened as a place only, and that is changed by its address.
    as_place = getattr(os, "O_PATH", 0)
    opened = os.open(name, os.O_RDONLY | as_place | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{opened}" if as_place else opened, DIRECTORY_MODE)  # noqa: PTH101
    finally:
        os.close(opened)


def _make_empty(parent: int, name: str) -> bool:
    """Make the directory `name`, or find it empty; False if something else is there."""
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
    except FileExistsError:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        opened = open_step(parent, name)
        try:
            return not os.listdir(opened)  # noqa: PTH208  (of what is open, not of a path)
        finally:
            os.close(opened)
    return True


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
