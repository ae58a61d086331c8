"""Answers of HTTP/1.1 from bytes (HTTP1-1 to HTTP1-4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.kube.http1 import CHUNK_LINE_BYTES_MAX, HEAD_BYTES_MAX, AnswerReader, MalformedAnswerError

BY_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: 1\r\nA: 2\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
ANSWERS = {BY_LENGTH: (200, b"hello"), CHUNKED: (201, b"hello"), TO_THE_END: (200, b"hello"), EMPTY: (204, b"")}


@given(answer=st.sampled_from(list(ANSWERS)), cuts=st.lists(st.integers(1, 90), max_size=8))
def test_http1_1_however_the_bytes_are_cut(answer: bytes, cuts: list[int]) -> None:
    reader, body, at = AnswerReader(), b"", 0
    for cut in (*sorted(set(cuts)), len(answer)):
        reader.feed(answer[at:cut])
        body, at = body + reader.take(), max(at, cut)
    assert reader.is_done or reader.end()
    assert (reader.status, body) == ANSWERS[answer]
    assert reader.headers.get("a", "1, 2") == "1, 2"


DOUBTS = {
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "a length beside chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nA: 1\r\n b\r\n\r\n",
    "a header without name": b"HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
    "a chunk without size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "a chunk longer than it says": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP of another kind": b"HTTP/2 200\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("answer", DOUBTS.values(), ids=DOUBTS.keys())
def test_http1_2_what_is_in_doubt_is_refused(answer: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        AnswerReader().feed(answer)


ENDLESS = {
    "a head": b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * (HEAD_BYTES_MAX // 6),
    "the line of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * CHUNK_LINE_BYTES_MAX,
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: 1\r\n" * (HEAD_BYTES_MAX // 4),
}


@pytest.mark.parametrize("beginning", ENDLESS.values(), ids=ENDLESS.keys())
def test_http1_3_nothing_is_read_without_end(beginning: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        AnswerReader().feed(beginning)


REUSABLE = {
    BY_LENGTH: True,
    CHUNKED: True,
    EMPTY: True,
    BY_LENGTH + b"x": False,
    BY_LENGTH[:-1]: False,
    BY_LENGTH.replace(b"A: 1", b"Connection: x, Close"): False,
    BY_LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0"): False,
    BY_LENGTH.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"A: 1", b"Connection: Keep-Alive"): True,
}


@pytest.mark.parametrize(("answer", "is_reusable"), REUSABLE.items())
def test_http1_4_a_connection_is_used_again_when_nothing_is_in_doubt(answer: bytes, is_reusable: bool) -> None:
    reader = AnswerReader()
    reader.feed(answer)
    assert reader.is_reusable is is_reusable


def test_http1_4_an_answer_that_broke_off_is_not_whole() -> None:
    reader = AnswerReader()
    reader.feed(BY_LENGTH[:-1])
    assert not reader.end()
