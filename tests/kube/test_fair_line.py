"""Turns of groups, and of what is urgent (FAIR_LINE-1 to FAIR_LINE-3)."""

from __future__ import annotations

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.kube.fair_line import URGENT_TURNS, FairLine


def emptied(line: FairLine[str]) -> list[str]:
    return [line.pop() for _ in range(len(line))]


def test_fair_line_1_groups_take_turns() -> None:
    line: FairLine[str] = FairLine()
    for number in range(3):
        line.add(f"many-{number}", "many")
    line.add("one", "other")

    assert emptied(line) == ["many-0", "one", "many-1", "many-2"]


def test_fair_line_2_what_is_urgent_goes_first_and_nothing_waits_for_ever() -> None:
    line: FairLine[str] = FairLine()
    line.add("other", "a")
    for number in range(10):
        line.add(f"urgent-{number}", "b", is_urgent=True)

    assert emptied(line).index("other") == URGENT_TURNS


def test_fair_line_2_a_thing_can_become_urgent() -> None:
    line: FairLine[str] = FairLine()
    for thing in ("a", "b", "c"):
        line.add(thing, "group")
    line.make_urgent("c", "group")
    line.make_urgent("c", "group")
    line.make_urgent("nobody", "group")
    line.make_urgent("a", "elsewhere")

    assert emptied(line) == ["c", "a", "b"]


def test_fair_line_3_each_step_costs_the_same() -> None:
    def cost(things: int) -> float:
        line: FairLine[int] = FairLine()
        started = thread_time()
        for thing in range(things):
            line.add(thing, "group")
        for thing in range(0, things, 2):
            line.make_urgent(thing, "group")
        for _ in range(things):
            line.pop()
        return (thread_time() - started) / things

    assert min(cost(20_000) for _ in range(3)) < 5 * min(cost(500) for _ in range(5))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_what_goes_in_comes_out_once_and_in_the_order_of_its_kind(things: list[tuple[str, bool]]) -> None:
    line: FairLine[tuple[int, str, bool]] = FairLine()
    for number, (group, is_urgent) in enumerate(things):
        line.add((number, group, is_urgent), group, is_urgent=is_urgent)
    left = [line.pop() for _ in range(len(line))]

    assert sorted(left) == [(number, *thing) for number, thing in enumerate(things)]
    for kind in set(things):
        numbers = [number for number, *found in left if tuple(found) == kind]
        assert numbers == sorted(numbers)
    with pytest.raises(IndexError):
        line.pop()
