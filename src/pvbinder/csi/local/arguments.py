"""What requests say, checked: each wrong argument is InvalidArgument, with words that name the field.

ARGUMENTS-1  A name has 1 to 128 bytes and none of the characters that the specification forbids; an id is any text.
ARGUMENTS-2  A parameter that we don't know, or with a value that we can't honour, is refused. What the caller of the
             driver adds about the claim (``csi.storage.k8s.io/…``) is passed over.
ARGUMENTS-3  No secret is used, kept or shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import mounts
from pvbinder.csi.local.records import DataForm, shown
from pvbinder.csi.local.volumes import SettingsChange, Size
from pvbinder.csi.wire import csi_pb2 as csi

NAME_BYTES_MAX: Final = 128
BYTES_MAX: Final = (1 << 63) - 1
FORMS: Final[Mapping[str, DataForm]] = {"mount": "directory", "block": "file"}
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_OF_THE_CALLER: Final = "csi.storage.k8s.io/"
_MODES: Final = frozenset(csi.VolumeCapability.AccessMode.Mode.values()) - {0}


def invalid(why: str) -> CallFailed:
    """Return the error of a wrong argument."""
    return CallFailed(Code.INVALID_ARGUMENT, why)


def required(text: str, field: str) -> str:
    """Return a text that must be there."""
    if not text:
        raise invalid(f"{field} is missing")
    return text


def name_of(text: str) -> str:
    """Return the name of a volume or snapshot (ARGUMENTS-1)."""
    required(text, "name")
    if len(text.encode()) > NAME_BYTES_MAX:
        raise invalid(f"name is longer than {NAME_BYTES_MAX} bytes")
    if _FORBIDDEN.search(text):
        raise invalid(f"name {shown(text)} has control characters in it")
    return text


def size_of(wanted: csi.CapacityRange) -> Size:
    """Return the wished size; one that isn't there wishes nothing."""
    size = Size(wanted.required_bytes, wanted.limit_bytes)
    if size.required_bytes < 0 or size.limit_bytes < 0:
        raise invalid("capacity_range has a negative number of bytes")
    if 0 < size.limit_bytes < size.required_bytes:
        raise invalid("capacity_range has a limit_bytes below its required_bytes")
    return size


def form_of(capability: csi.VolumeCapability, field: str = "volume_capability") -> DataForm:
    """Return what the capability asks for, having checked all of it."""
    kind = capability.WhichOneof("access_type")
    if kind is None:
        raise invalid(f"{field} says neither block nor mount")
    if capability.access_mode.mode not in _MODES:
        raise invalid(f"{field} has no access mode that is known")
    if kind == "mount":
        unknown = sorted(set(capability.mount.mount_flags) - mounts.FLAGS.keys())
        if unknown:
            raise invalid(f"{field} has a mount flag that the driver doesn't know: {shown(unknown[0])}")
        if capability.mount.volume_mount_group:
            raise invalid(f"{field} has a volume_mount_group, which the driver doesn't support")
    return FORMS[kind]


def form_of_all(capabilities: Sequence[csi.VolumeCapability]) -> DataForm:
    """Return what all of the capabilities ask for, which must be the same."""
    if not capabilities:
        raise invalid("volume_capabilities is missing")
    forms = {form_of(capability, "volume_capabilities") for capability in capabilities}
    if len(forms) > 1:
        raise invalid("volume_capabilities ask for a block volume and for a mounted one: a volume is one of them")
    return forms.pop()


def change_of(parameters: Mapping[str, str], field: str) -> SettingsChange:
    """Return the settings that parameters name (ARGUMENTS-2)."""
    read_only: bool | None = None
    quota_bytes: int | None = None
    for key, value in parameters.items():
        if key == "readOnly":
            if value not in ("true", "false"):
                raise invalid(f'{field}: readOnly is {shown(value)}, and may be "true" or "false"')
            read_only = value == "true"
        elif key == "quotaBytes":
            if not re.fullmatch("[0-9]{1,19}", value) or int(value) > BYTES_MAX:
                raise invalid(f"{field}: quotaBytes is {shown(value)}, and may be a number of bytes, or 0 for none")
            quota_bytes = int(value)
        elif not key.startswith(_OF_THE_CALLER):
            raise invalid(f"{field}: the driver doesn't know {shown(key)}; it knows readOnly and quotaBytes")
    return SettingsChange(read_only, quota_bytes)


def check_unknown(parameters: Iterable[str], field: str) -> None:
    """Refuse parameters where none are known (ARGUMENTS-2)."""
    for key in parameters:
        if not key.startswith(_OF_THE_CALLER):
            raise invalid(f"{field}: the driver doesn't know {shown(key)}")


def max_entries_of(number: int) -> int:
    """Return the wished length of a page; 0 is no wish."""
    if number < 0:
        raise invalid("max_entries is negative")
    return number
