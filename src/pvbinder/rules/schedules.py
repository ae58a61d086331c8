"""When a CronJob is due: schedules of five fields, ``@daily`` and the like, ``@every 90s``, in a time zone.

SCHEDULE-1  A schedule is read as robfig/cron does, which the reference uses: names, ranges, steps, ``?``; when both the
            day of the month and the day of the week are restricted, either is enough.
SCHEDULE-2  A schedule or a zone that means nothing is a `ScheduleError` that says so in the words of robfig/cron. The
            API server, which refuses it, and the controller, which tells of it, read schedules here, both of them.
SCHEDULE-3  `next_after` always ends: a date that never comes (the 31st of June) is None.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from pvbinder.rules.schedule_fields import FIELDS, ScheduleError, parse_field, parse_period

YEARS_AHEAD_MAX: Final = 5
_SPACE: Final = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")  # as Go has it
_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


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
    """Return the schedule that `text` means in the time zone `zone`, UTC without one (SCHEDULE-1, SCHEDULE-2).

    A zone that the text names itself is the one that counts.
    """
    if not text:
        raise ScheduleError("empty spec string")
    where: tzinfo = UTC
    if text.startswith(("TZ=", "CRON_TZ=")):
        setting, space, text = text.partition(" ")
        if not space:
            raise ScheduleError("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        name = setting.partition("=")[2]
        try:
            where = parse_zone(name)
        except ScheduleError as error:
            raise ScheduleError(f"provided bad location {name}: {error.message}") from error
        text = text.strip()
    elif zone:
        where, text = parse_zone(zone), text.strip()
    if text.startswith("@every "):
        return _every(parse_period(text), where)
    if text.startswith("@"):
        known = _DESCRIPTORS.get(text)
        if known is None:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        text = known
    fields = _SPACE.sub(" ", text).strip(" ").split(" ") if _SPACE.sub("", text) else []
    if len(fields) != len(FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (
        parse_field(field, kind) for field, kind in zip(fields, FIELDS, strict=True)
    )
    return Schedule(
        minutes.values, hours.values, days.values, months.values, weekdays.values, days.is_any, weekdays.is_any, where
    )


def parse_zone(name: str) -> tzinfo:
    """Return the time zone called `name` (SCHEDULE-2); the one of the server, `Local`, is UTC."""
    if name in ("", "UTC", "Local"):
        return UTC
    if ".." in name or name.startswith(("/", "\\")):
        raise ScheduleError("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def _every(seconds: int, where: tzinfo) -> Schedule:
    nothing: frozenset[int] = frozenset()
    return Schedule(nothing, nothing, nothing, nothing, nothing, True, True, where, timedelta(seconds=seconds))


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
