"""Lengths of time as Go writes them, which flags and configuration files take."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
DURATION_SECONDS_MAX: Final = (2**63 - 1) / 1e9  # as much as the reference can count: 292 years


def parse_duration(text: str) -> float:
    """Return the seconds that a Go duration means: ``15s``, ``1m30s``, ``500ms``; ``0`` needs no unit.

    Raises ValueError for anything else, and for a duration that is too long.
    """
    sign, body = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if body == "0":
        return 0.0
    seconds, at = 0.0, 0
    while part := _PART.match(body, at):
        seconds += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if at == 0 or at != len(body) or seconds > DURATION_SECONDS_MAX:
        raise ValueError(f"invalid duration {text!r}")
    return sign * seconds


def format_duration(seconds: float) -> str:
    """Write `seconds` as Go does: ``15s``, ``1m30s``, ``500ms``, ``1h0m0s``."""
    if 0 < abs(seconds) < 1:
        return f"{seconds * 1e3:g}ms" if abs(seconds) >= 1e-3 else f"{seconds * 1e6:g}µs"
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    minutes, rest = divmod(rest, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{round(rest, 9):g}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{shown}"
    return f"{sign}{minutes}m{shown}" if minutes else f"{sign}{shown}"
