"""Durations as Go writes them."""

from __future__ import annotations

import pytest

from pvbinder.cli.parameters import parse_duration

DURATIONS = {
    "15s": 15.0,
    "1m30s": 90.0,
    "1h": 3600.0,
    "1h2m3.5s": 3723.5,
    "500ms": 0.5,
    "1.5h": 5400.0,
    ".5s": 0.5,
    "250us": 0.00025,
    "250µs": 0.00025,
    "0": 0.0,
    "+2s": 2.0,
    "-2s": -2.0,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_go_duration_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "15", "s", "1d", "1 s", "1s ", "--1s", "1s1", "1e3s", "١s"])
def test_what_is_no_go_duration(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)
