"""Times as objects have them, and durations as people say them."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def instant(text: object) -> datetime | None:
    """Return the moment of the RFC 3339 time `text`; None if it is no such time."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def instants_in(entries: object, name: str) -> list[datetime]:
    """Return the moments called `name` in a list of maps."""
    found = (instant(each.get(name)) for each in entries if isinstance(each, dict)) if isinstance(entries, list) else ()
    return [each for each in found if each is not None]


def how_long(seconds: float) -> str:
    """Return a duration as a person says it: ``3 h``, ``12 min``, ``40 s``."""
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
