"""Access modes of volumes and claims (PV-1, VC-1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pvbinder.model.access_modes import ACCESS_MODES, short_modes
from pvbinder.server.errors import FieldError, forbidden, unsupported

_SUPPORTED: Final = tuple(sorted(ACCESS_MODES))  # as messages list them


def validate_access_modes(modes: Sequence[str], path: str) -> list[FieldError]:
    """Refuse unknown modes, and others beside ReadWriteOncePod (PV-1)."""
    errors = [unsupported(path, mode, _SUPPORTED) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and any(mode != "ReadWriteOncePod" for mode in modes if mode in ACCESS_MODES):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def shown_access_modes(modes: Sequence[str]) -> str:
    """Shorten modes as kubectl shows them, without those that it doesn't know."""
    return short_modes(mode for mode in modes if mode in ACCESS_MODES)
