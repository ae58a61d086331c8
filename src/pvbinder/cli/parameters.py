"""Types of command-line values that click doesn't know: durations as Go writes them."""

from __future__ import annotations

import re

import click

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return the seconds that a Go duration means: ``15s``, ``1m30s``, ``500ms``; ``0`` needs no unit.

    Raises ValueError for anything else.
    """
    sign, body = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if body == "0":
        return 0.0
    seconds, at = 0.0, 0
    while part := _PART.match(body, at):
        seconds += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if at == 0 or at != len(body):
        raise ValueError(f"invalid duration {text!r}")
    return sign * seconds


class Duration(click.ParamType[float]):
    """A Go duration that must be longer than nothing; the value is in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn what was typed into seconds, or say how it is written."""
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(str(value))
        except ValueError:
            self.fail(f"{str(value)!r} is no duration: write it like 15s, 1m30s or 500ms", param, ctx)
        if seconds <= 0:
            self.fail(f"{str(value)!r} must be longer than nothing", param, ctx)
        return seconds


DURATION = Duration()
