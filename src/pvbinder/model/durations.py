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


_INT64_MAX: Final = 2**63 - 1
_DIGITS_MAX: Final = len(str(_INT64_MAX))
_NANOSECONDS: Final = {
    "ns": 1,
    "us": 10**3,
    "\N{MICRO SIGN}s": 10**3,
    "\N{GREEK SMALL LETTER MU}s": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_GO_PART: Final = re.compile(r"([0-9]*)(\.?)([0-9]*)([^0-9.]*)")


def go_nanoseconds(text: str) -> int:
    """Return the nanoseconds that a duration means; ValueError in the words of Go's ``time.ParseDuration``."""
    body, at, total = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+"), 0, 0
    if body == "0":
        return 0
    while at < len(body) or not body:
        part = _GO_PART.match(body, at)
        if part is None or not (part[1] or part[3]):
            raise ValueError(f"time: invalid duration {_quoted(text)}")
        if not part[4]:
            raise ValueError(f"time: missing unit in duration {_quoted(text)}")
        unit = _NANOSECONDS.get(part[4])
        if unit is None:
            raise ValueError(f"time: unknown unit {_quoted(part[4])} in duration {_quoted(text)}")
        whole, fraction = part[1].lstrip("0"), part[3][:18]
        total += int(whole or "0") * unit if len(whole) <= _DIGITS_MAX else _INT64_MAX + 2
        total += int(fraction or "0") * unit // 10 ** len(fraction)
        if total > _INT64_MAX + text.startswith("-"):
            raise ValueError(f"time: invalid duration {_quoted(text)}")
        at = part.end()
    return -total if text.startswith("-") else total


def _quoted(text: str) -> str:
    """Return `text` in the quotes of Go's package time, which writes bytes for all but plain ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if " " <= c <= "\x7f" else _bytes_of(c) for c in escaped) + '"'


def _bytes_of(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogatepass"))
