"""Access modes: the order in which they are shown, and their short names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

ACCESS_MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")  # in the order of FM-1
_SHORT: Final = dict(zip(ACCESS_MODES, ("RWO", "ROX", "RWX", "RWOP"), strict=True))
_ORDER: Final = {mode: place for place, mode in enumerate(ACCESS_MODES)}


def sorted_modes(modes: Iterable[str]) -> tuple[str, ...]:
    """Return access modes without duplicates in the fixed order of FM-1, unknown ones last."""
    return tuple(sorted(set(modes), key=lambda mode: (_ORDER.get(mode, len(_ORDER)), mode)))


def short_modes(modes: Iterable[str]) -> str:
    """Return access modes as text: ``RWO,ROX`` (FM-1)."""
    return ",".join(_SHORT.get(mode, mode) for mode in sorted_modes(modes))
