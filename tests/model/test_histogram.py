"""Counted durations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.model.histogram import REQUEST_BOUNDS, Durations, Histogram


def test_a_duration_is_counted_where_it_is_not_longer_than_the_bound() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(seconds)

    assert histogram.value() == Durations((0.1, 1.0), (2, 1), 4, 2.65)


def test_durations_of_two_parts_are_added() -> None:
    first, second = Histogram((1.0,)), Histogram((1.0,))
    first.observe(0.5)
    second.observe(3.0)

    assert first.value() + second.value() == Durations((1.0,), (1,), 2, 3.5)
    with pytest.raises(ValueError, match="other bounds"):
        _ = first.value() + Histogram((2.0,)).value()


@given(st.lists(st.floats(0, 100)))
def test_every_duration_is_counted_once(durations: list[float]) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.observe(seconds)
    value = histogram.value()

    assert value.count == len(durations)
    assert sum(value.buckets) == sum(seconds <= REQUEST_BOUNDS[-1] for seconds in durations)
    assert value.seconds == pytest.approx(sum(durations))
