"""A line in which groups take turns, so that who brings ten thousand things doesn't hold up who brings one.

FAIR_LINE-1  Within a group things leave in the order in which they came; groups that wait take turns, one thing each.
FAIR_LINE-2  Urgent things leave before others, and take turns by group among themselves; but every eighth turn is for
             the others, so that nothing waits for ever.
FAIR_LINE-3  Each step costs the same however many wait.

A thing is in the line once. It is pure: who waits, and for what, is the caller's matter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

URGENT_TURNS: Final = 7  # in a row, while others wait


class FairLine(Generic[T]):
    """Things that wait, each for its group."""

    def __init__(self) -> None:
        self._urgent: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._others: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._urgent_in_a_row = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, thing: T, group: str = "", *, is_urgent: bool = False) -> None:
        """Have `thing`, which is not in the line, wait for `group`."""
        lane = self._urgent if is_urgent else self._others
        lane.setdefault(group, OrderedDict())[thing] = None
        self._length += 1

    def make_urgent(self, thing: T, group: str = "") -> None:
        """Have `thing` wait among the urgent ones, if it waits among the others."""
        waiting = self._others.get(group)
        if waiting is None or thing not in waiting:
            return
        del waiting[thing]
        if not waiting:
            del self._others[group]
        self._urgent.setdefault(group, OrderedDict())[thing] = None

    def pop(self) -> T:
        """Take out the thing whose turn it is (FAIR_LINE-1, FAIR_LINE-2); raise `IndexError` if none waits."""
        if not self._length:
            raise IndexError("nobody waits")
        if self._urgent and not (self._others and self._urgent_in_a_row >= URGENT_TURNS):
            self._urgent_in_a_row += 1
            return self._pop(self._urgent)
        self._urgent_in_a_row = 0
        return self._pop(self._others)

    def _pop(self, lane: OrderedDict[str, OrderedDict[T, None]]) -> T:
        group, waiting = next(iter(lane.items()))
        thing, _ = waiting.popitem(last=False)
        if waiting:
            lane.move_to_end(group)
        else:
            del lane[group]
        self._length -= 1
        return thing
