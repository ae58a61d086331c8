"""Long work on the loop, done in turns."""

from __future__ import annotations

from pvbinder.server.api.rest.turns import BYTES_PER_TURN, OBJECTS_PER_TURN, turns
from pvbinder.server.store import Stored


def items(count: int, size: int) -> list[tuple[str, Stored]]:
    return [(str(number), Stored(number, b"x" * size)) for number in range(count)]


def test_turns_1_many_small_objects_are_parted_by_their_number() -> None:
    parts = list(turns(items(2 * OBJECTS_PER_TURN + 1, 10)))
    assert [len(part) for part in parts] == [OBJECTS_PER_TURN, OBJECTS_PER_TURN, 1]


def test_turns_1_large_objects_are_parted_by_their_bytes() -> None:
    given = items(5, BYTES_PER_TURN * 2 // 3)
    parts = list(turns(given))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert [item for part in parts for item in part] == given


def test_turns_1_nothing_is_no_turn() -> None:
    assert list(turns([])) == []
