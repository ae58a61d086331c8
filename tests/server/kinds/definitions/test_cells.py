"""The cells of columns with large values, in tables of custom objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pvbinder.server.kinds.definitions.custom_columns import CELL_LETTERS_MIN, ROW_LETTERS_MAX, _cell, _joined

SMALL: dict[str, Any] = {"a": {"b": [1, "x", None, True, {}], "c": []}, "d": 'ü"', "e": {}, "f": [[], [{"g": 1.5}]]}


def test_a_small_value_is_shown_whole_as_json() -> None:
    assert msgspec.json.decode(_joined([SMALL], 1000)) == SMALL
    assert _joined(["a", 1, SMALL["a"]], 1000) == 'a,1,{"b":[1,"x",null,true,{}],"c":[]}'


@pytest.mark.parametrize(
    "value", ["x" * 10**6, ["x"] * 10**6, {"x" * 10**6: 1}, [[["x" * 10**6]]]], ids=["text", "list", "name", "nested"]
)
def test_a_large_value_is_cut_and_says_so(value: Any) -> None:
    assert len(_joined([value], 100)) == 103
    assert _joined([value], 100).endswith("...")


@pytest.mark.parametrize("count", [1, 10, 1_000])
def test_columns_share_the_room_of_a_row(count: int) -> None:
    shown = _cell(".a", "string", count)({"a": "x" * 10**6}, None)  # type: ignore[arg-type]
    assert len(str(shown)) == max(CELL_LETTERS_MIN, ROW_LETTERS_MAX // count) + 3
