"""Chunks become lines, whole and bounded (LINES-1, LINES-2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual_time import on_virtual_time

from pvbinder.kube import lines
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.lines import split_lines


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(st.lists(st.binary(max_size=5)), st.data())
def test_lines_1_whatever_the_chunks(texts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(text + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    @on_virtual_time
    async def scenario() -> None:
        assert [line async for line in split_lines(stream(chunks))] == [line for line in whole.split(b"\n") if line]

    scenario()


@on_virtual_time
async def test_lines_1_an_end_in_the_middle_is_a_broken_stream() -> None:
    found = split_lines(stream([b"one\ntw", b"o"]))

    assert await anext(found) == b"one"
    with pytest.raises(ConnectionFailed, match="in the middle of a line"):
        await anext(found)


@on_virtual_time
async def test_lines_2_a_line_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_OF_A_LINE", 100)

    with pytest.raises(ConnectionFailed, match="longer than 100 bytes"):
        async for _ in split_lines(stream([b"x" * 60, b"x" * 60])):
            pass
