"""The directories of pods on this machine, laid out as a kubelet's, and what is noted of the volumes in them.

    pods/UID/volumes/kubernetes.io~csi/NAME/mount           a volume, for a pod
    pods/UID/volumes/kubernetes.io~csi/NAME/vol_data.json   what it is, noted before a driver is asked for it
    pods/UID/volumeDevices/kubernetes.io~csi/NAME           a volume that a pod has as a device
    plugins/kubernetes.io/csi/DRIVER/HASH/globalmount       where a driver stages a volume, for all pods

PODDIRECTORIES-1  A note is there, whole, before anything can be mounted for it, and goes when all of that is gone: a
                  restart finds what is left of pods that are gone.
PODDIRECTORIES-2  No name leads out of the directory: pods and volumes whose names could are refused.
PODDIRECTORIES-3  Nothing is removed but notes, empty directories and empty files: no data is ever deleted here.

Blocking: call it in a thread.
"""

from __future__ import annotations

import hashlib
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import read_secret, write_private

PLUGIN: Final = "kubernetes.io~csi"
NOTE: Final = "vol_data.json"
MOUNT: Final = "mount"
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)

log = logs.get(__name__)


class UnsafeNameError(PvbinderError):
    """A pod or volume whose name can't be a directory's (PODDIRECTORIES-2)."""


class PodVolumeNote(Struct, frozen=True, rename="camel"):
    """What is noted of a volume of a pod; the fields that a kubelet has bear its names."""

    pod_uid: str
    name: str = msgspec.field(name="specVolID")
    handle: str = msgspec.field(name="volumeHandle")
    driver: str = msgspec.field(name="driverName")
    node: str = msgspec.field(name="nodeName")
    lifecycle: Literal["Persistent", "Ephemeral"] = msgspec.field(name="volumeLifecycleMode", default="Persistent")
    is_block: bool = False
    is_staged: bool = False


class PodDirectories:
    """The directories of all pods below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def target(self, note: PodVolumeNote) -> Path:
        """Return where the volume is for its pod; raise UnsafeNameError."""
        if note.is_block:
            return self._pod(note) / "volumeDevices" / PLUGIN / _safe(note.name)
        return self._volume(note) / MOUNT

    def staging(self, note: PodVolumeNote) -> Path:
        """Return where the driver stages the volume; raise UnsafeNameError."""
        name = hashlib.sha256(note.handle.encode()).hexdigest()
        return self.root / "plugins" / "kubernetes.io" / "csi" / _safe(note.driver) / name / "globalmount"

    def note(self, note: PodVolumeNote) -> None:
        """Note a volume and make the directories around it (PODDIRECTORIES-1); raises PvbinderError or OSError."""
        parents = [self._volume(note), self.target(note).parent]
        if note.is_staged:
            parents.append(self.staging(note))
        for parent in parents:
            parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_private(self._volume(note) / NOTE, msgspec.json.encode(note))

    def forget(self, note: PodVolumeNote, *, unstaged: bool) -> None:
        """Remove the note and what is empty around it (PODDIRECTORIES-3); raises OSError.

        A target that is still there and not empty keeps the note.
        """
        target = self.target(note)
        _remove_empty(target)
        if unstaged:
            _remove_empty(self.staging(note))
            with suppress(OSError):
                self.staging(note).parent.rmdir()
        (self._volume(note) / NOTE).unlink(missing_ok=True)
        for directory in (self._volume(note), target.parent, *self._around(note)):
            with suppress(OSError):  # others are in it
                directory.rmdir()

    def load(self) -> list[PodVolumeNote]:
        """Return all notes that earlier runs left; those that can't be read are said, and left."""
        notes = []
        for path in sorted(self.root.glob(f"pods/*/volumes/{PLUGIN}/*/{NOTE}")):
            try:
                note = msgspec.json.decode(read_secret(path), type=PodVolumeNote)
                if self._volume(note) / NOTE != path:
                    raise UnsafeNameError("it is of another pod or volume")
            except (PvbinderError, OSError, msgspec.DecodeError) as error:
                log.warning("note of a pod's volume can't be read", path=str(path), err=str(error))
                continue
            notes.append(note)
        return notes

    def _pod(self, note: PodVolumeNote) -> Path:
        return self.root / "pods" / _safe(note.pod_uid)

    def _volume(self, note: PodVolumeNote) -> Path:
        return self._pod(note) / "volumes" / PLUGIN / _safe(note.name)

    def _around(self, note: PodVolumeNote) -> list[Path]:
        pod = self._pod(note)
        folders = [pod / folder for folder in ("volumes", "volumeDevices")]
        return [*(folder / PLUGIN for folder in folders), *folders, pod]


def _remove_empty(path: Path) -> None:
    """Remove an empty directory or file, if it is there; raise OSError for anything else."""
    with suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_size == 0:
            path.unlink()
        else:
            path.rmdir()


def _safe(name: str) -> str:
    if _SAFE.fullmatch(name) is None:
        raise UnsafeNameError(f"{name!r} can't be the name of a directory")
    return name
