"""What connections hold together, in bytes."""

from __future__ import annotations

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.wire.ledgers import BODIES_BYTES_MAX, UNSENT_BYTES_MAX, Bodies, Unsent


def test_ledger_1_a_body_too_many_is_refused_until_others_have_come_whole() -> None:
    bodies = Bodies()
    bodies.add(BODIES_BYTES_MAX)
    with pytest.raises(ApiError) as refused:
        bodies.add(1)
    assert (refused.value.code, refused.value.headers) == (429, {"Retry-After": "1"})
    bodies.take_back(BODIES_BYTES_MAX + 1)
    bodies.add(BODIES_BYTES_MAX)


def test_ledger_2_who_took_nothing_for_longest_is_cut_off() -> None:
    unsent, cut = Unsent(), list[str]()
    with (
        unsent.reader(lambda: cut.append("slow")) as slow,
        unsent.reader(lambda: cut.append("reads")) as reads,
        unsent.reader(lambda: cut.append("late")) as late,
    ):
        unsent.set(reads, UNSENT_BYTES_MAX // 2)
        unsent.set(slow, UNSENT_BYTES_MAX // 2)
        unsent.set(reads, UNSENT_BYTES_MAX // 2 - 1)
        unsent.set(late, 2)
        assert cut == ["slow"]
        assert unsent.held == UNSENT_BYTES_MAX // 2 + 1
    assert unsent.held == 0
