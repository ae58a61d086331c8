"""Most objects of a cluster say the same things: one copy of each saves a third of a large cache's memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar

V = TypeVar("V", bound=Hashable)

NOTHING: Final[dict[str, str]] = {}
_COPIES_MAX: Final = 4096
_maps: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
_values: dict[Hashable, Hashable] = {}
_texts: dict[tuple[str, ...], tuple[str, ...]] = {}


def shared_map(found: dict[str, str] | None) -> dict[str, str]:
    """Return the one copy of a map that few objects have to themselves, or `found`."""
    if not found:
        return NOTHING
    if len(found) > 4:
        return found
    key = tuple(found.items())
    known = _maps.get(key)
    if known is None:
        if len(_maps) >= _COPIES_MAX:
            _maps.clear()
        known = _maps[key] = found
    return known


def shared_texts(found: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the one copy of a list of texts."""
    if not found:
        return ()
    known = _texts.get(found)
    if known is None:
        if len(_texts) >= _COPIES_MAX:
            _texts.clear()
        known = _texts[found] = found
    return known


def shared_value(found: V | None) -> V | None:
    """Return the one copy of a value that few objects have to themselves, such as where a volume can be reached."""
    if found is None:
        return None
    known = _values.get(found)
    if known is None:
        if len(_values) >= _COPIES_MAX:
            _values.clear()
        known = _values[found] = found
    return known  # type: ignore[return-value]
