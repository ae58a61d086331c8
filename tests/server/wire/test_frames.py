"""Frames of HTTP/2: whole ones come out, floods don't."""

from __future__ import annotations

import time

import pytest
from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st
from tests.server.attackers import frame

from pvbinder.server.wire.frames import (
    FRAME_BYTES_MAX,
    HEAD_BYTES_MAX,
    IDLE_FRAMES_MAX,
    IDLE_FRAMES_PER_SECOND,
    PREFACE,
    Flood,
    Frames,
)

PING = frame(6, 0, 0, bytes(8))


@given(
    st.lists(st.tuples(st.integers(2, 20), st.binary(max_size=300)), max_size=20),
    st.lists(st.integers(1, 100), min_size=1),
)
def test_whole_frames_come_out_as_they_went_in(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    raw = PREFACE + b"".join(frame(kind if kind != 9 else 10, 0, 0, payload) for kind, payload in sent)
    frames, out, at = Frames(), b"", 0
    for cut in cuts * (len(raw) // sum(cuts) + 1):
        out += frames.take(raw[at : at + cut])
        at += cut
        if out == raw:
            break
    assert out == raw


def test_frame_1_a_frame_that_is_too_large_is_refused_by_its_head() -> None:
    frames = Frames()
    frames.take(PREFACE)
    with pytest.raises(Flood) as flood:
        frames.take((FRAME_BYTES_MAX + 1).to_bytes(3) + bytes(6))
    assert flood.value.code == ErrorCodes.FRAME_SIZE_ERROR


def test_frame_1_a_head_in_many_frames_is_bounded() -> None:
    frames = Frames()
    frames.take(PREFACE + frame(1, 0, 1, bytes(16000)))
    for _ in range(HEAD_BYTES_MAX // 16010 - 1):
        frames.take(frame(9, 0, 1, bytes(16000)))
    with pytest.raises(Flood, match="the head of a request is too large"):
        frames.take(frame(9, 0, 1, bytes(16000)))


def test_frame_2_frames_without_work_are_too_many_at_some_time() -> None:
    frames = Frames()
    frames.take(PREFACE + PING * IDLE_FRAMES_MAX)
    with pytest.raises(Flood) as flood:
        frames.take(PING * 2)
    assert flood.value.code == ErrorCodes.ENHANCE_YOUR_CALM


def test_frame_2_they_are_forgiven_by_answers_bodies_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Frames()
    frames.take(PREFACE)
    for _ in range(3000):  # a request, its answer in two pieces, and four window updates
        frames.take(frame(1, 5, 1, bytes(30)) + frame(8, 0, 0, bytes(4)) * 4)
        frames.sent()
        frames.sent()
        frames.answered()
    for _ in range(3000):
        frames.take(frame(0, 0, 1, bytes(2000)) + PING)
    monkeypatch.setattr(time, "monotonic", lambda: frames._since + 3600.0)
    frames.take(PING * (IDLE_FRAMES_MAX + 60 * IDLE_FRAMES_PER_SECOND))


def test_frame_2_padding_is_no_work() -> None:
    frames = Frames()
    frames.take(PREFACE)
    padded = frame(0, 8, 1, b"\xff" + bytes(255))
    frames.take(padded * IDLE_FRAMES_MAX)
    with pytest.raises(Flood, match="without work"):
        frames.take(padded * 2)


@pytest.mark.parametrize(
    ("flags", "before"),
    [(4, b""), (4 | 8, b"\x00"), (4 | 0x20, bytes(5)), (4 | 8 | 0x20, bytes(6))],
    ids=["plain", "padded", "with a priority", "with both"],
)
def test_frame_3_a_head_of_many_table_sizes_is_refused(flags: int, before: bytes) -> None:
    two = b"\x20" + b"\x3f\xe1\x1f"  # 0, and 4096 in three bytes
    frames = Frames()
    frames.take(PREFACE + frame(1, flags, 1, before + two + b"\x82"))
    for third in (b"\x20", b"\x3f\xe1\x1f"):
        with pytest.raises(Flood, match="size of its table") as flood:
            Frames().take(PREFACE + frame(1, flags, 1, before + two + third + b"\x82"))
        assert flood.value.code == ErrorCodes.COMPRESSION_ERROR


def test_frame_3_a_head_that_ends_in_the_middle_of_a_size_is_left_to_its_reader() -> None:
    whole = PREFACE + frame(1, 4, 1, b"\x3f\xff")
    assert Frames().take(whole) == whole
