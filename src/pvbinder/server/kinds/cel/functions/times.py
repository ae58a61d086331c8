"""Durations and moments: how they are read and written, and what can be asked of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from pvbinder.server.kinds.cel.declarations import Library
from pvbinder.server.kinds.cel.errors import CelError
from pvbinder.server.kinds.cel.types import DURATION, INT, STRING, TIMESTAMP
from pvbinder.server.kinds.cel.values import INT_MAX, INT_MIN, TimeSpan, Timestamp

_SECOND: Final = 10**9
_UNITS: Final = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND,
}  # fmt: skip
_PART: Final = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_MOMENT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_SECONDS_MIN: Final = -62_135_596_800
ZERO_TIME: Final = _SECONDS_MIN * _SECOND
_SECONDS_MAX: Final = 253_402_300_799
_PARTS: Final[tuple[tuple[str, str, Callable[[datetime], int]], ...]] = (
    ("getFullYear", "year", lambda moment: moment.year),
    ("getMonth", "month", lambda moment: moment.month - 1),
    ("getDayOfYear", "day_of_year", lambda moment: moment.timetuple().tm_yday - 1),
    ("getDayOfMonth", "day_of_month", lambda moment: moment.day - 1),
    ("getDate", "day_of_month_1_based", lambda moment: moment.day),
    ("getDayOfWeek", "day_of_week", lambda moment: moment.isoweekday() % 7),
    ("getHours", "hours", lambda moment: moment.hour),
    ("getMinutes", "minutes", lambda moment: moment.minute),
    ("getSeconds", "seconds", lambda moment: moment.second),
    ("getMilliseconds", "milliseconds", lambda moment: moment.microsecond // 1000),
)


def declare(library: Library) -> None:
    """Declare what can be asked of moments and durations."""
    for name, title, part in _PARTS:
        read = _reader(part)
        library.add_member(name, f"timestamp_to_{title}", (TIMESTAMP,), INT, read)
        library.add_member(name, f"timestamp_to_{title}_with_tz", (TIMESTAMP, STRING), INT, read)
    for name, title, unit in (
        ("getHours", "hours", 3600 * _SECOND),
        ("getMinutes", "minutes", 60 * _SECOND),
        ("getSeconds", "seconds", _SECOND),
    ):
        library.add_member(name, f"duration_to_{title}", (DURATION,), INT, _whole_units(unit))
    library.add_member(
        "getMilliseconds",
        "duration_to_milliseconds",
        (DURATION,),
        INT,
        lambda value: _towards_zero(value.nanoseconds, 10**6),
    )


def _reader(part: Callable[[datetime], int]) -> Callable[..., int]:
    def read(value: Timestamp, zone: str | None = None) -> int:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value.nanoseconds // 1000)
        if zone is None:
            return part(moment + timedelta(minutes=value.offset))
        return part(moment.astimezone(_zone(zone)))

    return read


def _whole_units(unit: int) -> Callable[[TimeSpan], int]:
    return lambda value: _towards_zero(value.nanoseconds, unit)


def _towards_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)


def _zone(name: str) -> tzinfo:
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-shift if offset[1] == "-" else shift)
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise CelError(f"unknown time zone {name}") from None


def checked_duration(nanoseconds: int) -> TimeSpan:
    """Return a length of time if 64 bits hold its nanoseconds."""
    if not INT_MIN <= nanoseconds <= INT_MAX:
        raise CelError("integer overflow")
    return TimeSpan(nanoseconds)


def checked_timestamp(nanoseconds: int, offset: int = 0) -> Timestamp:
    """Return a moment if it lies in the years 1 to 9999."""
    if not _SECONDS_MIN <= nanoseconds // _SECOND <= _SECONDS_MAX:
        raise CelError("timestamp overflow")
    return Timestamp(nanoseconds, offset)


def timestamp_of_seconds(seconds: int) -> Timestamp:
    """Return the moment so many seconds after the beginning of 1970."""
    return checked_timestamp(seconds * _SECOND)


def read_duration(text: str) -> TimeSpan:
    """Read a length of time as Go writes it: ``1h30m``, ``-1.5s``, ``0``."""
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return TimeSpan(0)
    total, at = 0, 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None or not (part[1] or part[2]):
            break
        unit = _UNITS[part[3]]
        total += int(part[1] or "0") * unit + int((part[2] or "0")[:18]) * unit // 10 ** len((part[2] or "0")[:18])
        at = part.end()
    if not body or at < len(body) or total > INT_MAX:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return TimeSpan(-total if text[0] == "-" else total)


def read_timestamp(text: str) -> Timestamp:
    """Read a moment as RFC 3339 writes it."""
    found = _MOMENT.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        zone = UTC if found[8] == "Z" else _zone(found[8])
        moment = datetime(*(int(part) for part in found.groups()[:6]), tzinfo=zone)  # type: ignore[misc, arg-type]
    except ValueError:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'") from None
    seconds = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    offset = 0 if zone is UTC else round((moment.utcoffset() or timedelta()).total_seconds()) // 60
    return checked_timestamp(seconds * _SECOND + int((found[7] or "0")[:9].ljust(9, "0")), offset)


def duration_text(value: TimeSpan) -> str:
    """A length of time as its conversion to a text shows it: in seconds."""
    sign = "-" if value.nanoseconds < 0 else ""
    seconds, rest = divmod(abs(value.nanoseconds), _SECOND)
    return f"{sign}{seconds}{_fraction(rest)}s"


def timestamp_text(value: Timestamp) -> str:
    """A moment as RFC 3339 writes it, at the offset that it was written with."""
    seconds, rest = divmod(value.nanoseconds, _SECOND)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds + value.offset * 60)
    hours, minutes = divmod(abs(value.offset), 60)
    zone = f"{'-' if value.offset < 0 else '+'}{hours:02}:{minutes:02}" if value.offset else "Z"
    return f"{moment.year:04}{moment.strftime('-%m-%dT%H:%M:%S')}{_fraction(rest)}{zone}"


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
