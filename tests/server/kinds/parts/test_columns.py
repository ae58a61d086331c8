"""Ages and other shared cells.

Rules: docs/rules/apiserver.md#8-tables
"""

from __future__ import annotations

import pytest

from pvbinder.server.kinds.parts.columns import human_duration, labels_shown, selector_shown

MINUTE, HOUR, DAY = 60, 3600, 86400
AGES = {
    -2: "<invalid>",
    -0.5: "0s",
    0: "0s",
    119.9: "119s",
    2 * MINUTE: "2m",
    2 * MINUTE + 1: "2m1s",
    10 * MINUTE - 1: "9m59s",
    10 * MINUTE: "10m",
    3 * HOUR - 1: "179m",
    3 * HOUR: "3h",
    3 * HOUR + 5 * MINUTE: "3h5m",
    8 * HOUR - 1: "7h59m",
    8 * HOUR: "8h",
    2 * DAY - 1: "47h",
    2 * DAY: "2d",
    2 * DAY + HOUR: "2d1h",
    8 * DAY: "8d",
    730 * DAY - 1: "729d",
    730 * DAY: "2y",
    731 * DAY: "2y1d",
    8 * 365 * DAY: "8y",
    20 * 365 * DAY + DAY: "20y",
}


@pytest.mark.parametrize(("seconds", "text"), AGES.items(), ids=map(str, AGES))
def test_ages(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_selectors_are_shown_sorted() -> None:
    assert labels_shown({"b": "2", "a": "1"}) == "a=1,b=2"
    assert labels_shown(None) == "<none>"
    expressions = [{"key": "k", "operator": "In", "values": ["b", "a"]}, {"key": "z", "operator": "DoesNotExist"}]
    assert selector_shown({"matchLabels": {"a": "1"}, "matchExpressions": expressions}) == "a=1,k in (a,b),!z"
