"""Access modes of volumes and claims (PV-1, VC-1)."""

from __future__ import annotations

from collections.abc import Sequence

from pvbinder.server.errors import FieldError, forbidden, unsupported

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")

_SHORT = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def validate_access_modes(modes: Sequence[str], path: str) -> list[FieldError]:
    """Refuse unknown modes, and others beside ReadWriteOncePod (PV-1)."""
    errors = [unsupported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and any(mode != "ReadWriteOncePod" for mode in modes if mode in ACCESS_MODES):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def shown_access_modes(modes: Sequence[str]) -> list[str]:
    """Shorten modes as kubectl shows them, each once, in a fixed order (section 8)."""
    return [short for mode, short in _SHORT.items() if mode in modes]
