"""Sorted keys against a sorted list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.rules.sorted_keys import CHUNK_KEYS_MAX, SortedKeys

NUMBERS = st.integers(0, 20)
KEYS = st.tuples(NUMBERS, st.sampled_from("abc"))


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=200), NUMBERS)
def test_it_holds_what_a_sorted_list_holds(steps: list[tuple[bool, tuple[int, str]]], start: int) -> None:
    keys, model = SortedKeys(), set[tuple[int, str]]()
    for adds, key in steps:
        if adds and key not in model:
            keys.add(key)
            model.add(key)
        elif not adds and key in model:
            keys.remove(key)
            model.discard(key)
    assert list(keys) == sorted(model)
    assert len(keys) == len(model)
    assert list(keys.at_least(start)) == sorted(key for key in model if key[0] >= start)


@pytest.mark.parametrize("order", [1, -1, 7919], ids=["ascending", "descending", "scattered"])
def test_it_stays_sorted_over_many_chunks(order: int) -> None:
    count = CHUNK_KEYS_MAX * 8
    keys = SortedKeys()
    for number in range(count):
        keys.add(((number * order) % count, ""))
    assert list(keys) == [(number, "") for number in range(count)]
    assert next(keys.at_least(count // 2))[0] == count // 2
    for number in range(0, count, 2):
        keys.remove((number, ""))
    assert list(keys) == [(number, "") for number in range(1, count, 2)]


def test_filled_at_once_is_filled_one_by_one() -> None:
    numbers = [(number % 997, str(number)) for number in range(5000)]
    one_by_one = SortedKeys()
    for key in numbers:
        one_by_one.add(key)
    assert list(SortedKeys(numbers)) == list(one_by_one)


def test_removing_what_is_not_there_is_an_error() -> None:
    for keys in (SortedKeys(), SortedKeys([(1, "a")])):
        for missing in ((0, "a"), (1, "b")):
            with pytest.raises(KeyError):
                keys.remove(missing)
