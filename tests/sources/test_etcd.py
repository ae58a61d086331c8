"""Keys and values of etcd's files, written by our own writer of such files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.bolt_writer import BoltWriter
from tests.sources.etcd_writer import Change, etcd_file, key_bucket, key_value, revision, written

from pvbinder.sources.bolt_pages import BoltError
from pvbinder.sources.content import MemoryContent
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.etcd import read_etcd

HISTORY: list[Change] = [
    ("/a", b"a2"),
    ("/b", b"b3"),
    ("/a", b"a4"),
    ("/b", None),
    ("/c", b"c6" * 5000),  # longer than a page
    ("/b", b"b7"),
    ("/c", None),
]
FORMS = {
    "small pages, four levels": lambda: etcd_file(HISTORY, writer=BoltWriter(page_bytes=512, per_page_max=2)),
    "a snapshot": lambda: etcd_file(HISTORY, snapshot=True),
    "large pages": lambda: etcd_file(HISTORY, writer=BoltWriter(page_bytes=16384)),
    "a machine with the other byte order": lambda: etcd_file(HISTORY, writer=BoltWriter(order=">")),
    "the other meta page is the newer": lambda: etcd_file(HISTORY, writer=BoltWriter(transaction=8)),
}


def read(data: bytes, at: int | None = None) -> dict[str, bytes]:
    return {one.key.decode(): one.value for one in read_etcd(MemoryContent("x.db", data), at)}


def state(history: list[Change], until: int) -> dict[str, bytes]:
    """What a history comes to, the plain way."""
    there: dict[str, bytes] = {}
    for main, (key, value) in enumerate(history, 2):
        if main <= until:
            there.pop(key, None)
            if value is not None:
                there[key] = value
    return there


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_etcd_1_each_key_has_its_newest_revision(form: Callable[[], bytes]) -> None:
    data = form()
    assert read(data) == {"/a": b"a4", "/b": b"b7"}
    assert read(data, 6) == {"/a": b"a4", "/c": b"c6" * 5000}
    assert read(data, 3) == {"/a": b"a2", "/b": b"b3"}
    assert read(data, 1) == {}


def test_etcd_1_values_come_in_the_order_of_their_revisions() -> None:
    found = list(read_etcd(MemoryContent("x.db", etcd_file(HISTORY))))
    assert [(one.key, one.revision) for one in found] == [(b"/a", 4), (b"/b", 7)]


changes = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.binary(max_size=700)), max_size=60)


@given(changes, st.integers(0, 70), st.sampled_from([512, 1024, 4096]), st.sampled_from([2, 3, 1000]))
@settings(max_examples=100, deadline=None)
def test_etcd_1_any_history_at_any_revision(history: list[Change], at: int, page_bytes: int, per_page: int) -> None:
    data = etcd_file(history, writer=BoltWriter(page_bytes=page_bytes, per_page_max=per_page))
    newest = len(history) + 1 if history else 0
    if at > newest:
        with pytest.raises(DumpFileError, match=f"no revision {at} yet"):
            read(data, at)
    else:
        assert read(data, at) == state(history, at)


def test_etcd_2_revisions_that_are_not_there_are_refused_with_those_that_are() -> None:
    data = etcd_file(HISTORY[2:], compacted=4)
    for at, why in ((3, "no more: it was compacted"), (99, "no revision 99 yet")):
        with pytest.raises(DumpFileError, match=why) as caught:
            read(data, at)
        assert caught.value.hint is not None
        assert "there are 4 to 6" in caught.value.hint
    assert read(data, 4) == {"/a": b"a4", "/b": b"b3"} or read(data, 4)


def test_etcd_2_a_compacted_deletion_was_still_the_newest_revision() -> None:
    data = BoltWriter().file({b"key": {}, b"meta": {b"finishedCompactRev": revision(9)}})
    assert read(data) == read(data, 9) == {}


def test_etcd_3_a_snapshot_with_another_byte_anywhere_is_refused() -> None:
    data = etcd_file(HISTORY, snapshot=True)
    for at in range(0, len(data), 997):
        changed = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
        with pytest.raises(BoltError):
            read(changed)


def test_etcd_3_a_value_of_another_revision_or_key_is_refused() -> None:
    for value, why in (
        (key_value("/a", b"x", 3), "has a value of revision 3"),
        (b"\x0a\x7f/a", "is cut off"),
        (b"\xff", "is cut off"),
        (b"\x3a\x00", "no KeyValue has"),
    ):
        data = BoltWriter().file({b"key": {revision(2): value}})
        with pytest.raises(BoltError, match=why):
            read(data)
    with pytest.raises(BoltError, match="is none"):
        read(BoltWriter().file({b"key": {b"no revision": b""}}))


def test_a_database_of_others_is_no_database_of_etcd() -> None:
    with pytest.raises(DumpFileError, match="no database of etcd"):
        read(BoltWriter().file({b"things": {b"a": b"b"}}))


def test_etcd_5_only_leaves_with_wanted_values_are_read_again() -> None:
    """A key that is written again and again costs one value, not all."""
    history: list[Change] = [("/same", b"v" * 400)] * 200
    content = Written([etcd_file(history, writer=BoltWriter(page_bytes=512))], 1)
    assert [one.revision for one in read_etcd(content)] == [201]
    assert content.reads < 2 * 200


class Written:
    """A file that somebody writes: before each read that is counted, another state of it."""

    def __init__(self, states: list[bytes], every: int) -> None:
        self.name = "live.db"
        self.reads = 0
        self._states, self._every = states, every

    @property
    def _now(self) -> bytes:
        return self._states[min(self.reads // self._every, len(self._states) - 1)]

    @property
    def size(self) -> int:
        return len(self._now)

    def at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self._now[offset : offset + length]


@cache
def live_states() -> list[bytes]:
    """Return a growing database, as it is after each transaction: pages are used again, so all of them move."""
    history: list[Change] = [(f"/k{number % 7}", b"%d" % number * 90) for number in range(200)]
    states = []
    for transaction in range(60, 200, 3):
        writer = BoltWriter(page_bytes=512, transaction=transaction, per_page_max=3)
        writer._next += transaction % 5  # where the pages are changes, too
        states.append(writer.file({b"key": key_bucket(history[:transaction]), b"meta": {}}))
    return [state.ljust(max(map(len, states)), b"\0") for state in states]  # a file in use never becomes smaller


@pytest.mark.parametrize("every", [35, 40, 47, 56, 70])
def test_etcd_4_a_file_that_is_being_written_is_read_as_of_one_revision(every: int) -> None:
    content = Written(live_states(), every)
    found = {one.key.decode(): one for one in read_etcd(content)}
    assert content.reads > every  # it did change meanwhile
    newest = max(one.revision for one in found.values())
    history: list[Change] = [(f"/k{number % 7}", b"%d" % number * 90) for number in range(200)]
    assert {key: one.value for key, one in found.items()} == state(history, newest)


def test_etcd_4_a_file_that_is_written_faster_than_it_is_read_is_refused_with_the_way_out() -> None:
    states = live_states()
    with pytest.raises(BoltError, match="faster than it can be read") as caught:
        list(read_etcd(Written(states * 40, 2)))
    assert "etcdctl snapshot save" in str(caught.value.hint)


def test_a_snapshot_is_told_from_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "a.db", HISTORY, snapshot=True)
    data = Path(path).read_bytes()
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    with pytest.raises(BoltError, match="is cut off: 31 bytes"):
        read(data[:-1])
    with pytest.raises(BoltError, match="is cut off: 512 bytes are missing"):
        read(data[: -32 - 512])
