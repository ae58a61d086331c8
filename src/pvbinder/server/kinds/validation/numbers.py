"""Numbers inside objects: ports, counts that can't be negative, and numbers that may also be percentages."""

from __future__ import annotations

import re

from pvbinder.server.errors import FieldError, invalid
from pvbinder.server.objects.kind import Json

PORT_RANGE = "must be between 1 and 65535, inclusive"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
_PERCENT = re.compile(r"[0-9]+%", re.ASCII).fullmatch
_NO_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)


def validate_port(number: int, path: str) -> list[FieldError]:
    """Check the number of a port."""
    return [] if 1 <= number <= 65535 else [invalid(path, number, PORT_RANGE)]


def validate_not_negative(obj: Json, path: str, *fields: str) -> list[FieldError]:
    """Check that the numbers in these fields, where they are set, aren't negative."""
    return [
        invalid(f"{path}.{field}", obj[field], NEGATIVE)
        for field in fields
        if obj.get(field) is not None and obj[field] < 0
    ]


def validate_positive(obj: Json, path: str, *fields: str) -> list[FieldError]:
    """Check that the numbers in these fields, where they are set, are more than zero."""
    return [
        invalid(f"{path}.{field}", obj[field], NOT_POSITIVE)
        for field in fields
        if obj.get(field) is not None and obj[field] <= 0
    ]


def validate_count_or_percent(value: int | str, path: str) -> list[FieldError]:
    """Check a number that isn't negative, or a percentage."""
    if isinstance(value, int):
        return [invalid(path, value, NEGATIVE)] if value < 0 else []
    return [] if _PERCENT(value) else [invalid(path, value, _NO_PERCENT)]


def validate_at_most_100_percent(value: int | str, path: str) -> list[FieldError]:
    """Check that a percentage isn't more than the whole."""
    if isinstance(value, str) and _PERCENT(value) and int(value[:-1]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def is_zero(value: int | str | None) -> bool:
    """Say whether a number or percentage is nothing, as what is neither is."""
    if isinstance(value, str):
        digits = value[:-1] if _PERCENT(value) else value
        return not digits.isdecimal() or int(digits) == 0
    return not value
