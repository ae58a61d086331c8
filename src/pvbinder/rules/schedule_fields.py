"""Fields of a schedule and its periods, read as robfig/cron reads them, with its words for what means nothing."""

from __future__ import annotations

import json
import re
from typing import Final

from msgspec import Struct

from pvbinder.model.durations import go_nanoseconds
from pvbinder.model.errors import PvbinderError

_MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAMES: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBER: Final = re.compile(r"[+-]?0*([0-9]*)(?<=[0-9])")
_INT64_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = len(str(_INT64_MAX))


class ScheduleError(PvbinderError):
    """A schedule, or a time zone, that means nothing."""


class FieldKind(Struct, frozen=True):
    """One of the five fields: the numbers that it may have, and their names."""

    low: int
    high: int
    names: dict[str, int] = {}


FIELDS: Final = (
    FieldKind(0, 59),
    FieldKind(0, 23),
    FieldKind(1, 31),
    FieldKind(1, 12, {name: number for number, name in enumerate(_MONTH_NAMES, 1)}),
    FieldKind(0, 6, {name: number for number, name in enumerate(_DAY_NAMES)}),
)


class FieldValues(Struct, frozen=True):
    """The numbers that fit a field; `is_any` where a star says that the field restricts nothing."""

    values: frozenset[int]
    is_any: bool


def parse_field(text: str, kind: FieldKind) -> FieldValues:
    """Return what fits one field; of a list the empty items count for nothing."""
    values: set[int] = set()
    is_any = False
    for item in filter(None, text.split(",")):
        found, star = _parse_range(item, kind)
        values.update(found)
        is_any = is_any or star
    return FieldValues(frozenset(values), is_any)


def _parse_range(item: str, kind: FieldKind) -> tuple[range, bool]:
    """Return the numbers of ``2``, ``2-8``, ``*``, each with or without ``/3``, and whether it is a star."""
    span, *steps = item.split("/")
    low, *highs = span.split("-")
    star = low in ("*", "?")
    if star:
        first, last = kind.low, kind.high
    else:
        first = _number_or_name(low, kind)
        if len(highs) > 1:
            raise ScheduleError(f"too many hyphens: {item}")
        last = _number_or_name(highs[0], kind) if highs else first
    step = 1
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {item}")
    if steps:
        step = _number(steps[0])
        last = last if highs else kind.high
        star = star and step <= 1
    if first < kind.low:
        raise ScheduleError(f"beginning of range ({first}) below minimum ({kind.low}): {item}")
    if last > kind.high:
        raise ScheduleError(f"end of range ({last}) above maximum ({kind.high}): {item}")
    if first > last:
        raise ScheduleError(f"beginning of range ({first}) beyond end of range ({last}): {item}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {item}")
    return range(first, last + 1, step), star


def _number_or_name(text: str, kind: FieldKind) -> int:
    named = kind.names.get(text.lower())
    return _number(text) if named is None else named


def _number(text: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        why = f"strconv.Atoi: parsing {json.dumps(text, ensure_ascii=False)}: invalid syntax"
        raise ScheduleError(f"failed to parse int from {text}: {why}")
    number = int(found[1] or "0") if len(found[1]) <= _DIGITS_MAX else _INT64_MAX + 2
    number = -number if text.startswith("-") else number
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number


def parse_period(descriptor: str) -> int:
    """Return the seconds of ``@every 1h30m``, at least one and whole ones."""
    text = descriptor.removeprefix("@every ")
    try:
        total = go_nanoseconds(text)
    except ValueError as error:
        raise ScheduleError(f"failed to parse duration {descriptor}: {error}") from None
    return max(total // 10**9, 1)
