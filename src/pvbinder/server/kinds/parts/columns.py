"""Cells that many kinds share: names, ages, counts.

`human_duration` is how the reference writes an age (HD): two units at most, the second left out when it is zero.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from pvbinder.server.objects.kind import Column, Json

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def human_duration(seconds: float) -> str:
    """Write a duration as ``kubectl get`` shows ages (HD)."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    whole = int(seconds)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 10 * _MINUTE:
        return _two_units(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two_units(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two_units(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two_units(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def age_of(time: str | None, now: datetime) -> str:
    """Write how long ago `time`, as metadata shows times, was; ``<unknown>`` if there is none."""
    if not time:
        return UNKNOWN
    try:
        then = datetime.fromisoformat(time)
    except ValueError:
        return UNKNOWN
    return human_duration((now - then).total_seconds())


def name_cell(obj: Json, _now: datetime) -> object:
    """The object's name."""
    return obj["metadata"].get("name", "")


def age_cell(obj: Json, now: datetime) -> object:
    """The time since the object's creation."""
    return age_of(obj["metadata"].get("creationTimestamp"), now)


def created_cell(obj: Json, _now: datetime) -> object:
    """The time of the object's creation."""
    return obj["metadata"].get("creationTimestamp", "")


def text_cell(*path: str, default: str = "") -> Callable[[Json, datetime], object]:
    """Make a cell of the field at `path`, as text whatever it is."""
    read = field_cell(*path, default=default)
    return lambda obj, now: str(read(obj, now))


def field_cell(*path: str, default: object = "") -> Callable[[Json, datetime], object]:
    """Make a cell of the field at `path`; absent and empty fields show `default`."""

    def cell(obj: Json, _now: datetime) -> object:
        value: object = obj
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return default if value is None or value == "" else value

    return cell


def count_cell(*path: str) -> Callable[[Json, datetime], object]:
    """Make a cell of the number of entries of the list or mapping at `path`."""

    def cell(obj: Json, _now: datetime) -> object:
        value: object = obj
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return len(value) if isinstance(value, list | dict) else 0

    return cell


def joined(values: Iterable[object], default: str = NONE) -> str:
    """Join values with commas, as cells show lists."""
    return ",".join(map(str, values)) or default


def labels_shown(labels: Json | None) -> str:
    """Show a label selector's equalities as ``a=b,c=d``, sorted; ``<none>`` if there are none."""
    return joined(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def selector_text(selector: Json | None) -> str:
    """Show a label selector as the reference writes one: its requirements by key."""
    selector = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for requirement in selector.get("matchExpressions") or ():
        key, values = requirement.get("key", ""), ",".join(sorted(requirement.get("values") or ()))
        match requirement.get("operator"):
            case "In":
                text = f"{key} in ({values})"
            case "NotIn":
                text = f"{key} notin ({values})"
            case "DoesNotExist":
                text = f"!{key}"
            case _:
                text = key
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


def selector_shown(selector: Json | None) -> str:
    """Show a label selector as kubectl does; ``<none>`` if it selects everything or nothing."""
    return selector_text(selector) or NONE


def _two_units(whole: int, first: int, first_unit: str, second: int, second_unit: str) -> str:
    rest = whole % first // second
    return f"{whole // first}{first_unit}" + (f"{rest}{second_unit}" if rest else "")


NAME = Column("Name", name_cell, format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", age_cell, description="CreationTimestamp is the time when this object was created, by the server.")
NAME_AND_TIME = (  # the reference's columns of kinds that have none of their own
    NAME,
    Column("Created At", created_cell, "date", description=AGE.description),
)
