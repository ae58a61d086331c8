"""Files that are torn: an error or the right answer, never a traceback, never without end."""

from __future__ import annotations

import os
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.processor import at_most
from tests.sources.bolt_writer import BoltWriter
from tests.sources.etcd_writer import Change, etcd_file, key_bucket, revision

from pvbinder.sources.bolt import BoltFile
from pvbinder.sources.bolt_pages import BoltError, BoltPage
from pvbinder.sources.content import FileContent, MemoryContent
from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.etcd import read_etcd

HISTORY: list[Change] = [(f"/registry/k{number % 20}", b"%d-" % number * (number % 50)) for number in range(90)]
SMALL = 512
FILE = etcd_file(HISTORY, writer=BoltWriter(page_bytes=SMALL, per_page_max=5))


def read(data: bytes) -> dict[bytes, bytes]:
    return {one.key: one.value for one in read_etcd(MemoryContent("x.db", data))}


RIGHT = read(FILE)


def test_bolt_2_a_file_cut_off_anywhere_is_refused() -> None:
    for at in range(0, len(FILE), 100):
        with pytest.raises(DumpFileError):
            read(FILE[:at])


def changed_at(at: int, bits: int) -> bytes:
    return FILE[:at] + bytes([FILE[at] ^ bits]) + FILE[at + 1 :]


def test_bolt_2_a_changed_byte_in_any_page_ends_in_an_error_or_changes_a_value_at_most() -> None:
    """A live file has no checksums but in its meta pages: a changed value can't be told from one that was so."""
    for page in range(0, len(FILE), SMALL):
        for offset in (0, 8, 10, 12, 16, 20, 24, 28, 100, 400):
            for bits in (1, 0x80):
                try:
                    found = read(changed_at(page + offset, bits))
                except DumpFileError:
                    continue
                assert len(found) <= len(RIGHT) + 1


@given(st.lists(st.tuples(st.integers(0, len(FILE) - 1), st.integers(0, 255)), min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_bolt_2_bytes_changed_anywhere_never_end_in_a_traceback(changes: list[tuple[int, int]]) -> None:
    data = bytearray(FILE)
    for at, value in changes:
        data[at] = value
    with suppress(DumpFileError):
        read(bytes(data))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_bolt_2_pages_in_other_places_never_end_in_a_traceback(data: st.DataObject) -> None:
    pages = [FILE[at : at + SMALL] for at in range(0, len(FILE), SMALL)]
    number = data.draw(st.integers(2, len(pages) - 1))
    pages[number] = pages[data.draw(st.integers(0, len(pages) - 1))]
    try:
        found = read(b"".join(pages))
    except DumpFileError:
        return
    assert found == RIGHT


def pages_of(kind: int) -> Iterator[int]:
    """The places of all pages of a kind."""
    for at in range(2 * SMALL, len(FILE), SMALL):
        if struct.unpack_from("<QH", FILE, at) == (at // SMALL, kind):
            yield at


def test_bolt_2_a_branch_that_leads_to_itself_or_to_a_page_twice_is_refused() -> None:
    for at in pages_of(1):
        for child in (at // SMALL, struct.unpack_from("<Q", FILE, at + 16 + 8)[0]):
            for element in range(min(2, struct.unpack_from("<10xH", FILE, at)[0])):
                changed = bytearray(FILE)
                struct.pack_into("<Q", changed, at + 16 + 16 * element + 8, child)
                if changed != FILE:
                    with at_most(1.0), pytest.raises(BoltError):
                        read(bytes(changed))


def test_pages_1_a_page_says_what_is_wrong_with_it() -> None:
    leaf = next(at for at in pages_of(2) if b"_" in FILE[at : at + SMALL])
    for field, value, why in (
        ("<Q", 1, "no branch and no leaf of its number"),
        ("<8xH", 16, "no branch and no leaf of its number"),
        ("<10xH", 60_000, "is cut off|beyond its end"),
        ("<12xI", 60_000, "has no end in the file"),
        ("<20xI", 60_000, "beyond its end"),
    ):
        changed = bytearray(FILE)
        packed = struct.pack(field, value)
        skip = struct.calcsize(field) - struct.calcsize(field[-1])
        changed[leaf + skip : leaf + len(packed)] = packed[skip:]
        with pytest.raises(BoltError, match=why):
            read(bytes(changed))


def test_pages_2_items_that_lie_over_each_other_are_refused() -> None:
    """A page of half a KiB would stand for 30 times as much."""
    writer = BoltWriter(page_bytes=SMALL)
    page = writer._leaf(5, [(0, b"k%d" % number, b"v" * 200) for number in range(2)])
    changed = bytearray(page)
    struct.pack_into("<II", changed, 16 + 4 + 4, 300, 90)
    struct.pack_into("<IIII", changed, 32, 0, 16, 300, 90)
    with pytest.raises(BoltError, match="beyond its end"):
        list(BoltPage("x", "<", True, 2, bytes(changed)).items())


def test_bolt_1_the_older_meta_page_counts_where_the_newer_is_torn() -> None:
    for page in (0, 1):
        changed = bytearray(FILE)
        changed[page * SMALL + 16 + 40] ^= 1
        assert read(bytes(changed)) == RIGHT
    changed = bytearray(FILE)
    changed[16 + 40] ^= 1
    changed[SMALL + 16 + 40] ^= 1
    with pytest.raises(BoltError, match="neither of its meta pages is valid"):
        read(bytes(changed))


def test_bolt_1_the_greater_transaction_counts() -> None:
    for transaction in (6, 7):
        newest = BoltFile(MemoryContent("x", BoltWriter(transaction=transaction).file({}))).newest()
        assert newest.transaction == transaction


def test_bolt_1_small_buckets_are_inline_and_large_ones_have_pages() -> None:
    items = {b"%04d" % number: b"v" for number in range(500)}
    file = BoltFile(MemoryContent("x", BoltWriter().file({b"small": {b"a": b"b"}, b"large": items, b"empty": {}})))
    assert file.bucket(b"small") == {b"a": b"b"}
    assert file.bucket(b"large") == items
    assert file.bucket(b"empty") == file.bucket(b"missing") == {}


def test_bolt_3_leaves_of_another_tree_are_noticed_by_their_keys() -> None:
    """The pages of two leaves are swapped, numbers and all: as if both had been freed and used again."""
    first, second = list(pages_of(2))[3:5]
    changed = bytearray(FILE)
    changed[first : first + SMALL], changed[second : second + SMALL] = (
        FILE[second : second + SMALL],
        FILE[first : first + SMALL],
    )
    for at in (first, second):
        struct.pack_into("<Q", changed, at, at // SMALL)
    with pytest.raises(BoltError, match="keys that belong elsewhere"):
        read(bytes(changed))


def test_bolt_3_a_leaf_with_the_keys_of_the_next_one_is_noticed() -> None:
    first, second = list(pages_of(2))[3:5]
    changed = bytearray(FILE)
    changed[first : first + SMALL] = FILE[second : second + SMALL]
    struct.pack_into("<Q", changed, first, first // SMALL)
    with pytest.raises(BoltError, match="keys that belong elsewhere"):
        read(bytes(changed))


def test_pages_2_a_tree_that_says_to_be_larger_than_its_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch has one page for all of its children, under keys that rise, and that page claims all of the file."""
    keys = {revision(number): b"" for number in range(2, 1400)}
    file, rest = (
        bytearray(BoltWriter(page_bytes=SMALL, per_page_max=12).file(buckets))
        for buckets in ({b"key": keys, b"rest": keys}, {b"key": keys})
    )
    top = max(place for place in range(0, len(rest), SMALL) if struct.unpack_from("<8xH", rest, place)[0] == 1)
    child = struct.unpack_from("<Q", file, top + 16 + 8)[0]
    for element in range(struct.unpack_from("<10xH", file, top)[0]):
        struct.pack_into("<Q", file, top + 16 + 16 * element + 8, child)
    file[child * SMALL + 12 : child * SMALL + 16] = struct.pack("<I", len(file) // SMALL - child - 1)
    reads = []
    at = MemoryContent.at

    def counted(self: MemoryContent, place: int, length: int) -> bytes:
        reads.append(length)
        return at(self, place, length)

    monkeypatch.setattr(MemoryContent, "at", counted)
    with pytest.raises(BoltError):
        read(bytes(file))
    assert sum(reads) < 3 * len(file)


def test_bolt_4_memory_is_that_of_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of 1 MiB each come one after the other; what is held is a leaf."""
    history: list[Change] = [(f"/k{number}", bytes(1 << 20)) for number in range(30)]
    content = MemoryContent("x.db", etcd_file(history))
    tracemalloc.start()
    try:
        assert sum(len(one.value) for one in read_etcd(content)) == 30 << 20
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_content_1_a_file_that_is_cut_off_while_it_is_read_ends_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(FILE)
    opened = os.open(path, os.O_RDONLY)
    try:
        reading = read_etcd(FileContent("x.db", opened))
        assert next(reading).revision > 1
        os.truncate(path, 3 * SMALL)
        with pytest.raises(DumpFileError):
            list(reading)
    finally:
        os.close(opened)


def test_a_database_of_keys_that_are_no_revisions_is_refused() -> None:
    items = key_bucket(HISTORY) | {revision(5) + b"xx": b""}
    with pytest.raises(BoltError, match="revision 5 is none"):
        read(BoltWriter().file({b"key": items}))
