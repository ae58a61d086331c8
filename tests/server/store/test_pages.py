"""Rows at the limits of a page: long ones that go on elsewhere, numbers of each size, and what is no row."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing

import pytest
from tests.server.store.test_sound import leaf, page, varint

from pvbinder.server.store import pages
from pvbinder.server.store.checksums import checksum_of
from pvbinder.server.store.log_file import Frame
from pvbinder.server.store.pages import PAGE_BYTES, Row, rows_in, with_frames
from pvbinder.server.store.state import Stored

LOCAL_MAX, LOCAL_MIN = 1002, 489  # of 4096 bytes, by SQLite's formulas for tables without row numbers


def integer(number: int) -> tuple[int, bytes]:
    """Return SQLite's kind of a number, and its bytes: the fewest that hold it."""
    if number in (0, 1):
        return 8 + number, b""
    for kind, size in ((1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (6, 8)):
        if -(1 << size * 8 - 1) <= number < 1 << size * 8 - 1:
            return kind, number.to_bytes(size, "big", signed=True)
    raise ValueError(number)


def record(kind: str, key: str, stored: Stored, checksum: int | None = None) -> bytes:
    revision, total = (
        integer(stored.revision),
        integer(checksum_of(kind, key, stored) if checksum is None else checksum),
    )
    types = (13 + 2 * len(kind), 13 + 2 * len(key), revision[0], 12 + 2 * len(stored.data), total[0])
    head = b"".join(map(varint, types))
    return varint(len(head) + 1) + head + kind.encode() + key.encode() + revision[1] + stored.data + total[1]


def on_disk(*rows: tuple[str, str, Stored]) -> bytes:
    """Return the file that SQLite makes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(
            "CREATE TABLE object (kind TEXT, key TEXT, revision INTEGER, data BLOB, checksum INTEGER,"
            " PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )
        for kind, key, stored in rows:
            values = (kind, key, stored.revision, stored.data, checksum_of(kind, key, stored))
            connection.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?)", values)
        connection.commit()
        return connection.serialize()


LENGTHS = [*range(950, 1010), 1500, 4050, *range(4555, 4595), 5000, 5110, 8192, 9999, 20_000]


def test_rows_of_each_length_are_read_as_sqlite_wrote_them() -> None:
    rows = [("pods", f"k{length}", Stored(300 + n, b"%d" % n * length)) for n, length in enumerate(LENGTHS)]
    rows = [
        (kind, key, Stored(stored.revision, stored.data[:length]))
        for (kind, key, stored), length in zip(rows, LENGTHS, strict=True)
    ]

    found = sorted(rows_in(on_disk(*rows), ""))

    assert found == sorted(Row(*row, True) for row in rows)


@pytest.mark.parametrize("revision", [0, 1, 2, 127, 128, 1 << 15, 1 << 23, 1 << 31, (1 << 47) - 1, 1 << 47, 1 << 62])
def test_revisions_of_each_size_are_read_as_sqlite_wrote_them(revision: int) -> None:
    row = ("pods", "a", Stored(revision, b"{}"))

    assert list(rows_in(on_disk(row), "")) == [Row(*row, True)]


def test_the_rows_of_pages_above_are_read() -> None:
    rows = [("pods", f"k{n:03}", Stored(300 + n, b"x" * 900)) for n in range(40)]

    assert {row.key for row in rows_in(on_disk(*rows), "")} == {key for _, key, _ in rows}


def long_row(following: int, *, data: bytes = b"y" * 1500, page_of_rest: bytes | None = None) -> bytes:
    """Return a first page with a row whose rest is on page `following`, and that page."""
    text = record("pods", "long", Stored(5, data))
    local = LOCAL_MIN + (len(text) - LOCAL_MIN) % (PAGE_BYTES - 4)
    local = LOCAL_MIN if local > LOCAL_MAX else local
    cell = varint(len(text)) + text[:local] + struct.pack(">I", following)
    head = bytes(100) + bytes([10, 0, 0]) + struct.pack(">H", 1) + bytes(3)
    head += struct.pack(">H", PAGE_BYTES - len(cell))
    rest = bytes(4) + text[local:]
    return head.ljust(PAGE_BYTES - len(cell), b"\0") + cell + (page_of_rest or rest.ljust(PAGE_BYTES, b"\0"))


RESTS: dict[str, tuple[int, bool | None]] = {  # the page of the rest: whether the row is sound
    "there": (2, True),
    "the page after the last": (3, False),
    "none": (0, False),
    "itself": (1, False),
    "far away": (1 << 30, False),
}


@pytest.mark.parametrize(("following", "is_sound"), RESTS.values(), ids=RESTS.keys())
def test_a_row_whose_rest_is_lost_is_known_by_its_name(following: int, is_sound: bool) -> None:
    (row,) = rows_in(long_row(following), "")

    assert (row.kind, row.key, row.stored.revision, row.is_sound) == ("pods", "long", 5, is_sound)
    assert len(row.stored.data) == 1500


def test_a_row_that_is_longer_than_the_file_is_passed_over() -> None:
    assert list(rows_in(long_row(2, data=b"y" * 9000)[: 2 * PAGE_BYTES], "")) == []


def test_a_page_that_leads_to_itself_ends() -> None:
    circle = struct.pack(">I", 2) + b"z" * (PAGE_BYTES - 4)

    (row,) = rows_in(long_row(2, data=b"y" * 8000, page_of_rest=circle + page(b"\0")), "")

    assert (row.key, row.is_sound, len(row.stored.data)) == ("long", False, 8000)


def text(*types: int, size: int = 40) -> bytes:
    head = b"".join(map(varint, types))
    return varint(len(head) + 1) + head + bytes(size)


NO_ROWS = {
    "six columns": text(13, 15, 6, 12, 6, 6),
    "four columns": text(13, 15, 6, 12),
    "a kind that is bytes": text(12, 15, 6, 12, 6),
    "a key that is bytes": text(13, 14, 6, 12, 6),
    "a kind that is a number": text(11, 15, 6, 12, 6),
    "a key that is a number": text(13, 11, 6, 12, 6),
    "data that are a number": text(13, 15, 6, 10, 6),
    "data that are text": text(13, 15, 6, 13, 6),
    "a revision that is a float": text(13, 15, 7, 12, 6),
    "a checksum that is a float": text(13, 15, 6, 12, 7),
    "a revision that is nothing": text(13, 15, 0, 12, 6),
    "a kind that is no text": bytes([6, 15, 15, 8, 12, 8]) + b"\xff" + b"a",
}


@pytest.mark.parametrize("other", NO_ROWS.values(), ids=NO_ROWS.keys())
def test_what_only_looks_like_a_row_is_none(other: bytes) -> None:
    good = ("pods", "a", Stored(5, b"{}"))

    rows = list(rows_in(leaf(other, record(*good), first=True), ""))

    assert rows == [Row(*good, True)]


@pytest.mark.parametrize(("data", "value", "end"), [
    (b"\x00", 0, 1), (b"\x7f", 127, 1), (b"\x81\x00", 128, 2), (b"\x83\xff\x7f", 65535, 3),
    (b"\xff" * 8 + b"\xff", (1 << 64) - 1, 9), (b"\x80" * 8 + b"\x05", 5, 9), (b"\x80" * 7 + b"\x05", 5, 8),
])  # fmt: skip
def test_numbers_of_one_to_nine_bytes(data: bytes, value: int, end: int) -> None:
    assert pages._varint(b"?" + data + b"\x01", 1) == (value, end + 1)


def test_a_file_of_pages_that_are_cut_and_frames_that_are_none() -> None:
    first = Frame(1, page(b"x"), True, True)
    row = ("pods", "a", Stored(5, b"{}"))

    assert with_frames(b"", [first])[100:] == page(b"x")[100:]
    assert len(with_frames(page(b"a"), [Frame(3, page(b"y"), True, True)])) == 3 * PAGE_BYTES
    last = Frame((1 << 24) - 1, b"short", True, True)
    assert len(with_frames(page(b"a"), [last])) == PAGE_BYTES
    assert list(rows_in(leaf(record(*row), first=True) + b"half a page", "")) == [Row(*row, True)]
    two = with_frames(page(b"a") * 2, [])
    assert (two[16:18], two[18:20], two[20:28], two[28:32]) == (b"aa", b"\1\1", b"a" * 8, b"\0\0\0\2")
    assert (two[:16], two[32:]) == (b"a" * 16, (page(b"a") * 2)[32:])
