"""A duration as an option's value, as Go writes it."""

from __future__ import annotations

from typing import Any

import click

from pvbinder.model.durations import parse_duration


class GoDuration(click.ParamType[float]):
    """A duration as Go writes it, in seconds; nothing is one too where `may_be_zero`."""

    name = "duration"

    def __init__(self, *, may_be_zero: bool = False) -> None:
        self._may_be_zero = may_be_zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read ``1m30s``."""
        if isinstance(value, float):
            return value
        try:
            seconds = float(parse_duration(value))
        except ValueError:
            self.fail(f"{value!r} is no duration such as 15s, 1m30s or 500ms", param, ctx)
        if seconds < 0 or (seconds == 0 and not self._may_be_zero):
            self.fail(f"{value!r} is not more than nothing", param, ctx)
        return seconds
