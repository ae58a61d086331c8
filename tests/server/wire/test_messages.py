"""Targets, header fields and compression, whatever the version of HTTP."""

from __future__ import annotations

import gzip
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.server.errors import ApiError
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire import messages
from pvbinder.server.wire.messages import QUERY_FIELDS_MAX, compress_if_large, header_fields, read_target


@given(st.text(max_size=200))
def test_message_1_any_target_is_read(target: str) -> None:
    path, fields = read_target(target)
    assert len(path) <= len(target)
    assert sum(map(len, fields)) <= len(target)


def test_message_1_a_query_has_so_many_parameters() -> None:
    assert len(read_target("/x?" + "a=1&" * (QUERY_FIELDS_MAX - 1))[1]["a"]) == QUERY_FIELDS_MAX - 1
    with pytest.raises(ApiError) as refused:
        read_target("/x?" + "a=1&" * (QUERY_FIELDS_MAX + 1))
    assert refused.value.code == 400


@pytest.mark.parametrize(
    ("accepted", "size", "is_packed"),
    [
        ("gzip", messages.GZIP_BYTES_MIN + 1, True),
        ("deflate, gzip", messages.GZIP_BYTES_MIN + 1, True),
        ("gzip;q=0.5", messages.GZIP_BYTES_MIN + 1, False),
        ("", messages.GZIP_BYTES_MIN + 1, False),
        ("gzip", messages.GZIP_BYTES_MIN, False),
    ],
)
async def test_message_2_large_answers_are_packed_for_who_takes_it(accepted: str, size: int, is_packed: bool) -> None:
    response = ApiResponse(200, b"x" * size)
    await compress_if_large(ApiRequest("GET", "/", headers={"accept-encoding": accepted}), response)
    assert (response.headers.get("Content-Encoding") == "gzip") == is_packed
    assert (gzip.decompress(response.body) if is_packed else response.body) == b"x" * size


async def test_message_2_large_answers_are_packed_outside_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    pack = messages._gzip

    def told(body: bytes) -> bytes:
        threads.append(threading.current_thread())
        return pack(body)

    monkeypatch.setattr(messages, "_gzip", told)
    response = ApiResponse(200, b"x" * (messages.GZIP_BYTES_MIN + 1))
    await compress_if_large(ApiRequest("GET", "/", headers={"accept-encoding": "gzip"}), response)
    assert threads != [threading.main_thread()]
    assert len(gzip.decompress(response.body)) == messages.GZIP_BYTES_MIN + 1


@given(st.text(min_size=1, max_size=50))
def test_a_warning_never_ends_its_header(text: str) -> None:
    fields = dict(header_fields(ApiResponse(200, warnings=(text,))))
    assert fields["Warning"].isprintable()


LONG = "y" * 300
WARNINGS = {  # what is warned of: how long each warning's text is that is told
    "few": (("a", "bb"), [1, 2]),
    "one of 4 096": (("x" * 4096,), [4096]),
    "one of 4 097": (("x" * 4097,), [256]),
    "the same twice": (("a", "b", "a"), [1, 1]),
    "none at all": (("", "a"), [1]),
    "many long ones": (tuple(f"{n:04}{LONG}" for n in range(40)), [256] * 16),
    "long ones before short ones": (("x" * 4096, *(f"{n:02}" for n in range(10))), [256] + [2] * 10),
    "many short ones": (tuple(f"{n:05}" for n in range(1000)), [5] * 820),
    "signs of several bytes count as one": (("ü" * 4096,), [4096]),
}


@pytest.mark.parametrize(("warnings", "lengths"), WARNINGS.values(), ids=WARNINGS.keys())
def test_message_3_warnings_are_cut_as_the_reference_cuts_them(warnings: tuple[str, ...], lengths: list[int]) -> None:
    fields = [text for name, text in header_fields(ApiResponse(200, warnings=warnings)) if name == "Warning"]
    assert [len(text) - len('299 - ""') for text in fields] == lengths
