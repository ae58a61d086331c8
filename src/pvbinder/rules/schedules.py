"""When a CronJob is due: schedules of five fields, ``@daily`` and the like, ``@every 90s``, in a time zone.

SCHEDULE-1  A schedule is read as robfig/cron does, which the reference uses: names, ranges, steps, ``?``; when both the
            day of the month and the day of the week are restricted, either is enough.
SCHEDULE-2  A schedule or a zone that means nothing is a `ScheduleError` that says so.
SCHEDULE-3  `next_after` always ends: a date that never comes (the 31st of June) is None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from pvbinder.model.errors import PvbinderError

YEARS_AHEAD_MAX: Final = 5
_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS: Final = dict(zip(_MONTH_NAMES, range(1, 13), strict=True))
_DAYS: Final = dict(zip(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), range(7), strict=True))
_BOUNDS: Final[tuple[tuple[int, int, dict[str, int]], ...]] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_EVERY: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|s|m|h)", re.ASCII)
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class ScheduleError(PvbinderError):
    """A schedule, or a time zone, that means nothing."""


class Schedule(Struct, frozen=True):
    """A schedule: the minutes, hours, days, months and weekdays that fit, or a period (`every`)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: tzinfo
    every: timedelta | None = None

    def next_after(self, time: datetime) -> datetime | None:
        """Return the first time after `time` that fits (SCHEDULE-3)."""
        if self.every is not None:
            return time.replace(microsecond=0) + self.every
        local = time.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None) + timedelta(minutes=1)
        last_year = local.year + YEARS_AHEAD_MAX
        while local.year <= last_year:
            if local.month not in self.months:
                local = _next_month(local)
            elif not self._fits_day(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=self.zone).astimezone(UTC)
                exists = found.astimezone(self.zone).replace(tzinfo=None) == local
                if exists and found > time:
                    return found
                local += timedelta(minutes=1)  # the clock leaps over this one, or comes by a second time
        return None

    def _fits_day(self, local: datetime) -> bool:
        in_month, in_week = local.day in self.days, (local.weekday() + 1) % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_month and in_week
        return in_month or in_week


def parse_schedule(text: str, zone: str | None = None) -> Schedule:
    """Return the schedule that `text` means in the time zone `zone`, UTC without one (SCHEDULE-1)."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        setting, _, text = text.partition(" ")
        zone = setting.partition("=")[2]
    where = parse_zone(zone) if zone else UTC
    text = text.strip()
    if text.startswith("@every "):
        return _every(text, where)
    if text.startswith("@"):
        known = _DESCRIPTORS.get(text)
        if known is None:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = known
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    sets = [_field(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)]
    stars = [any(part.split("/")[0] in ("*", "?") for part in field.split(",")) for field in fields]
    return Schedule(sets[0], sets[1], sets[2], sets[3], sets[4], stars[2], stars[4], where)


def parse_zone(name: str) -> tzinfo:
    """Return the time zone called `name` (SCHEDULE-2)."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def latest_due(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """Return the last time after `since` that was due by `now`; of many missed ones only the last counts."""
    first = schedule.next_after(since)
    if first is None or first > now:
        return None
    second = schedule.next_after(first)
    if second is None or second > now:
        return first
    missed = int((now - first) / (second - first))
    time: datetime | None = first + (second - first) * max(missed - 1, 0)
    latest = first
    while time is not None and time <= now:
        latest = max(latest, time)
        time = schedule.next_after(time)
    return latest


def _next_month(local: datetime) -> datetime:
    year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
    return local.replace(year=year, month=month, day=1, hour=0, minute=0)


def _every(text: str, where: tzinfo) -> Schedule:
    duration = text.removeprefix("@every ").strip()
    parts = _EVERY.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration or len(duration) > 40:
        raise ScheduleError(f"failed to parse duration {text}")
    seconds = max(int(min(sum(float(number) * _SECONDS[unit] for number, unit in parts), 1e9)), 1)
    nothing: frozenset[int] = frozenset()
    every = timedelta(seconds=seconds)
    return Schedule(nothing, nothing, nothing, nothing, nothing, True, True, where, every)


def _field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, names, text)
            last = _number(end, names, text) if dash else (high if slash else first)
        step = _number(step_text, {}, text) if slash else 1
        if not (low <= first <= last <= high) or step < 1:
            raise ScheduleError(f"{part!r} in the schedule is not between {low} and {high}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int], whole: str) -> int:
    named = names.get(text.capitalize())
    if named is not None:
        return named
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ScheduleError(f"failed to parse int from {text}: {whole!r} is no field of a schedule")
    return int(text)
