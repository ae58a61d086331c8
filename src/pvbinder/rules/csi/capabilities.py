"""How a claim's access modes are said to a driver.

Rules: docs/rules/provisioner.md#table-cv-access-modes
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum

from msgspec import Struct

from pvbinder.model.errors import PvbinderError


class AccessMode(IntEnum):
    """An access mode of the interface, by its number on the wire."""

    SINGLE_NODE_WRITER = 1
    SINGLE_NODE_READER_ONLY = 2
    MULTI_NODE_READER_ONLY = 3
    MULTI_NODE_SINGLE_WRITER = 4
    MULTI_NODE_MULTI_WRITER = 5
    SINGLE_NODE_SINGLE_WRITER = 6
    SINGLE_NODE_MULTI_WRITER = 7


class Capability(Struct, frozen=True):
    """How a volume will be used: as a device, or as a file system that is mounted."""

    access_mode: AccessMode
    block: bool = False
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()


class AccessModesError(PvbinderError):
    """Access modes that can't be one (table CV)."""


_MODES = {
    "ReadWriteOnce": AccessMode.SINGLE_NODE_WRITER,
    "ReadWriteOncePod": AccessMode.SINGLE_NODE_WRITER,
    "ReadOnlyMany": AccessMode.MULTI_NODE_READER_ONLY,
    "ReadWriteMany": AccessMode.MULTI_NODE_MULTI_WRITER,
}
_MODES_OF_SEVERAL_WRITERS = _MODES | {
    "ReadWriteOnce": AccessMode.SINGLE_NODE_MULTI_WRITER,
    "ReadWriteOncePod": AccessMode.SINGLE_NODE_SINGLE_WRITER,
}


def capabilities(
    modes: Iterable[str], *, volume_mode: str, fs_type: str, mount_flags: tuple[str, ...], several_writers: bool
) -> tuple[Capability, ...]:
    """Return one capability a mode (CP-13); `several_writers` is the driver's SINGLE_NODE_MULTI_WRITER."""
    table = _MODES_OF_SEVERAL_WRITERS if several_writers else _MODES
    if volume_mode == "Block":
        return tuple(Capability(table[mode], block=True) for mode in modes if mode in table)
    return tuple(Capability(table[mode], False, fs_type, mount_flags) for mode in modes if mode in table)


def single_mode(modes: Collection[str], *, several_writers: bool) -> AccessMode:
    """Return the one mode that stands for all of a volume's (table CV); raise AccessModesError."""
    table = _MODES_OF_SEVERAL_WRITERS if several_writers else _MODES
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        raise AccessModesError(
            "Kubernetes does not support use of ReadWriteOncePod with other access modes on the same PersistentVolume"
        )
    if "ReadWriteMany" in modes:
        return table["ReadWriteMany"]
    if "ReadOnlyMany" in modes and "ReadWriteOnce" in modes:
        raise AccessModesError("CSI does not support ReadOnlyMany and ReadWriteOnce on the same PersistentVolume")
    for mode in ("ReadOnlyMany", "ReadWriteOnce", "ReadWriteOncePod"):
        if mode in modes:
            return table[mode]
    raise AccessModesError(f"unsupported AccessMode combination: {sorted(modes)}")
