"""Bind mounts, by the kernel's own calls: of what is open, onto what is open, so that no path can be led elsewhere.

MOUNTS-1  What is mounted and where is named by open directories, never by a path that somebody may change meanwhile.
MOUNTS-2  A mount keeps what the file system below forbids (set-user-id, devices, programs).

Linux only; elsewhere, and without the right to, a call ends with an OSError. Blocking: call it in a thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection
from typing import Final

MS_RDONLY: Final = 1
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
UMOUNT_NOFOLLOW: Final = 8

FLAGS: Final = {  # of VolumeCapability.MountVolume.mount_flags, which are the options of mount(8)
    "ro": MS_RDONLY,
    "rw": 0,
    "defaults": 0,
    "nosuid": 2,
    "nodev": 4,
    "noexec": 8,
    "noatime": 1024,
    "nodiratime": 2048,
    "relatime": 1 << 21,
}
_KEPT: Final = 2 | 4 | 8 | 1024 | 2048  # they have the same numbers in statvfs
_ST_RELATIME: Final = 4096


def bind(source: int, target: int) -> None:
    """Mount the open `source` onto the open `target`; raises OSError."""
    _mount(_open_path(source), _open_path(target), MS_BIND)


def remount(mounted: int, *, read_only: bool, flags: Collection[str]) -> None:
    """Give the bind mount that `mounted` was opened on these flags; raises OSError, EBUSY if it is being written."""
    around = os.fstatvfs(mounted).f_flag
    wanted = MS_BIND | MS_REMOUNT | (around & _KEPT) | (FLAGS["relatime"] if around & _ST_RELATIME else 0)
    for flag in flags:
        wanted |= FLAGS[flag]
    _mount(None, _open_path(mounted), wanted | (MS_RDONLY if read_only else 0))


def unmount(parent: int, name: str) -> None:
    """Take away what is mounted at `name` in the open directory `parent`; raises OSError, EBUSY if it is in use."""
    path = f"/proc/self/fd/{parent}/{name}"
    if _call("umount2", os.fsencode(path), UMOUNT_NOFOLLOW) != 0:
        raise _error(name)


def _open_path(opened: int) -> bytes:
    return f"/proc/self/fd/{opened}".encode()


def _mount(source: bytes | None, target: bytes, flags: int) -> None:
    if _call("mount", source, target, None, ctypes.c_ulong(flags), None) != 0:
        raise _error(os.fsdecode(target))


def _call(name: str, *arguments: object) -> int:
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except AttributeError as error:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
    result: int = function(*arguments)
    return result


def _error(name: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name)
