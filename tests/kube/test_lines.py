"""Chunks become lines, whole and bounded (LINES-1, LINES-2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual_time import on_virtual_time

from pvbinder.kube import lines
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.lines import CutEvent, CutLine, event_of, split_lines


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
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 100)

    with pytest.raises(ConnectionFailed, match="longer than 100 bytes"):
        async for _ in split_lines(stream([b"x" * 60, b"x" * 60])):
            pass


@on_virtual_time
async def test_lines_2_what_comes_after_a_line_that_is_too_long_comes_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", 100)
    monkeypatch.setattr(lines, "CUT_LINE_BYTES_MAX", 30)

    chunks = [b"a\n" + b"x" * 60, *[b"y" * 60] * 5, b"z\nb\n" + b"w" * 101 + b"\nc\n"]
    found = [line async for line in split_lines(stream(chunks))]

    assert found == [b"a", b"x" * 30, b"b", b"w" * 30, b"c"]
    assert [isinstance(line, CutLine) for line in found] == [False, True, False, True, False]


@given(st.lists(st.binary(max_size=20).filter(lambda text: b"\n" not in text)), st.data())
def test_lines_2_whatever_the_chunks(texts: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(text + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    chunks = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    @on_virtual_time
    async def scenario() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lines, "LINE_BYTES_MAX", 10)
            patch.setattr(lines, "CUT_LINE_BYTES_MAX", 4)
            found = [line async for line in split_lines(stream(chunks))]
        assert found == [text if len(text) <= 10 else text[:4] for text in texts if text]

    scenario()


EVENTS = {
    "a namespaced object": (
        b'{"type":"MODIFIED","object":{"kind":"Secret","metadata":{"name":"a","namespace":"n","resourceVersion":"7"},"d',
        CutEvent("MODIFIED", "n/a", "7"),
    ),
    "one without a namespace": (
        b'{"type":"DELETED","object":{"apiVersion":"v1","kind":"Node","metadata":{"name":"a","resourceVersion":"7"},"s',
        CutEvent("DELETED", "a", "7"),
    ),
    "cut in the metadata": (b'{"type":"ADDED","object":{"metadata":{"name":"a","na', CutEvent("ADDED", "", "")),
    "no event": (b"xxxxx", None),
    "an error": (b'{"type":"ERROR","object":{"kind":"Status"', None),
}


@pytest.mark.parametrize(("line", "event"), EVENTS.values(), ids=EVENTS.keys())
def test_the_beginning_of_a_line_tells_which_object_it_is_about(line: bytes, event: CutEvent | None) -> None:
    assert event_of(CutLine(line)) == event
