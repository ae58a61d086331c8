"""Durations as Go writes them."""

from __future__ import annotations

import re

import pytest

from pvbinder.model.durations import format_duration, go_nanoseconds, parse_duration

DURATIONS = {
    "15s": 15.0,
    "1m30s": 90.0,
    "1h": 3600.0,
    "1h2m3.5s": 3723.5,
    "500ms": 0.5,
    "1.5h": 5400.0,
    ".5s": 0.5,
    "250us": 0.00025,
    "250µs": 0.00025,  # the sign for micro
    "250\u03bcs": 0.00025,  # the Greek letter
    "250ns": 0.00000025,
    "2.s": 2.0,
    "-0": 0.0,
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


def test_a_duration_longer_than_the_reference_can_count() -> None:
    assert parse_duration("2562047h") == 2562047 * 3600
    with pytest.raises(ValueError, match="invalid duration '2562048h'"):
        parse_duration("2562048h")
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration("9" * 30 + "h")


SHOWN = {
    0.0: "0s",
    0.00025: "250µs",
    0.0009: "900µs",
    0.001: "1ms",
    -0.5: "-500ms",
    -1.5: "-1.5s",
    1.25: "1.25s",
    0.5: "500ms",
    59.5: "59.5s",
    60.0: "1m0s",
    1.0: "1s",
    15.0: "15s",
    64.0: "1m4s",
    120.0: "2m0s",
    122.0: "2m2s",
    3600.0: "1h0m0s",
    3661.5: "1h1m1.5s",
    -90.0: "-1m30s",
}


@pytest.mark.parametrize(("seconds", "shown"), SHOWN.items())
def test_durations_look_like_the_references(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown
    assert parse_duration(shown) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("0", 0), ("1s", 10**9), ("-1.5h", -5400 * 10**9), ("1m2s3ms", 62_003_000_000)]
)
def test_nanoseconds(text: str, nanoseconds: int) -> None:
    assert go_nanoseconds(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'invalid duration ""'),
        ("x", 'invalid duration "x"'),
        ("10", 'missing unit in duration "10"'),
        ("1x", 'unknown unit "x" in duration "1x"'),
        ("99999999999h", 'invalid duration "99999999999h"'),
    ],
)
def test_what_go_says_of_no_duration(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="time: " + re.escape(why)):
        go_nanoseconds(text)
