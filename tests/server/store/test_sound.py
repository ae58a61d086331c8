"""A file that is sound in itself: is it the last one, and of this directory?"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pvbinder.server.store.acknowledged import Acknowledged
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.errors import DamagedDataError
from pvbinder.server.store.log_file import Frame
from pvbinder.server.store.pages import PAGE_BYTES, Row, rows_in, with_frames
from pvbinder.server.store.sound import Sound, check_acknowledged
from pvbinder.server.store.state import Stored

PATH = Path("/data/state.db")


def sound(identity: str = "me", revision: int = 7) -> Sound:
    return Sound([], revision, Totals(), identity)


def known(identity: str = "me", revision: int = 7, lines: int = 1) -> Acknowledged:
    return Acknowledged(identity, 0, revision, lines=lines)


LISTS: dict[str, tuple[Sound, Acknowledged | None, str | None]] = {  # the file, the list beside it: why it is refused
    "the same": (sound(), known(), None),
    "the list says less": (sound(), known(revision=6), None),
    "the list says more": (
        sound(),
        known(revision=8),
        "it ends at revision 7, and writes up to 8 were acknowledged",
    ),
    "of another directory": (sound(), known("you"), "it, or its log, is of another data directory"),
    "there is no list": (
        sound(),
        None,
        "the list of acknowledged writes beside it is missing or can't be read, so what is missing isn't known",
    ),
    "an old file": (sound(""), None, None),
    "an old file, and a list that has begun": (sound(""), known(lines=0), None),
    "an old file, and a list of writes": (
        sound(""),
        known(),
        "it is older than the list of the writes that were acknowledged",
    ),
}


@pytest.mark.parametrize(("file", "beside", "why"), LISTS.values(), ids=LISTS.keys())
def test_acknowledged_1_a_file_is_compared_with_the_list(
    file: Sound, beside: Acknowledged | None, why: str | None
) -> None:
    if why is None:
        check_acknowledged(PATH, file, beside)
        return
    with pytest.raises(DamagedDataError) as refused:
        check_acknowledged(PATH, file, beside)
    assert refused.value.message == f"/data/state.db is damaged: {why}"


# ------------------------------------------------------------------------------------------------ pages


def page(letter: bytes) -> bytes:
    return letter * PAGE_BYTES


def test_the_frames_of_a_log_are_put_over_the_pages() -> None:
    frames = [Frame(2, page(b"x"), True, True), Frame(4, page(b"y"), True, True), Frame(2, page(b"z"), True, True)]
    image = with_frames(
        page(b"a") + page(b"b"), [*frames, Frame(1, b"short", True, True), Frame(1 << 24, page(b"f"), True, True)]
    )

    assert len(image) == 4 * PAGE_BYTES
    assert [image[at * PAGE_BYTES + 99 : at * PAGE_BYTES + 100] for at in range(4)] == [b"a", b"z", b"\0", b"y"]
    assert image[18:20] == b"\1\1", "it needs no log any more"
    assert image[28:32] == b"\0\0\0\4"
    assert with_frames(b"", []) == b""
    assert len(with_frames(b"short", [])) == PAGE_BYTES


def varint(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    return bytes([number >> 7 | 0x80, number & 0x7F])


def record(kind: bytes, key: bytes, revision: int, data: bytes, checksum: int) -> bytes:
    types = (13 + 2 * len(kind), 13 + 2 * len(key), 6, 12 + 2 * len(data), 6)
    head = b"".join(map(varint, types))
    return varint(len(head) + 1) + head + kind + key + struct.pack(">q", revision) + data + struct.pack(">q", checksum)


def leaf(*records: bytes, interior: bool = False, first: bool = False) -> bytes:
    header = 100 if first else 0
    cells, offsets, at = b"", [], PAGE_BYTES
    for one in records:
        cell = (bytes(4) if interior else b"") + varint(len(one)) + one
        at -= len(cell)
        cells = cell + cells
        offsets.append(at)
    head = bytes([2 if interior else 10, 0, 0]) + struct.pack(">H", len(records)) + bytes(7 if interior else 3)
    head += b"".join(struct.pack(">H", offset) for offset in offsets)
    return (bytes(header) + head).ljust(PAGE_BYTES - len(cells), b"\0") + cells


ROW = Stored(5, b'{"a":1}')
SUM = checksum_of("pods", "shop/a", ROW)
GOOD = record(b"pods", b"shop/a", 5, ROW.data, SUM)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("interior", [True, False])
def test_the_rows_of_a_page_are_read(first: bool, interior: bool) -> None:
    totals = Stored(9, b"1 2")
    meta = record(b"", b"", 9, totals.data, checksum_of_totals(totals, "me"))
    torn = record(b"pods", b"shop/b", 5, ROW.data, SUM)
    image = leaf(GOOD, meta, torn, interior=interior, first=first)
    image = image if first else page(b"\0") + image

    assert list(rows_in(image, "me")) == [
        Row("pods", "shop/a", ROW, True),
        Row("", "", totals, True),
        Row("pods", "shop/b", ROW, False),
    ]
    assert [row.is_sound for row in rows_in(image, "you")] == [True, False, False]


def test_what_is_no_row_is_passed_over() -> None:
    short = record(b"pods", b"x", 5, b"", 0)[:3]
    number = bytes([6, 6, 13, 6, 12, 6]) + bytes(24)
    few = bytes([3, 13, 13])
    empty = page(b"\0")  # the first page has the header of the file
    assert list(rows_in(empty + leaf(short, number, few, GOOD), "me")) == [Row("pods", "shop/a", ROW, True)]
    table = bytearray(empty + leaf(GOOD))
    table[PAGE_BYTES] = 13
    assert list(rows_in(bytes(table), "me")) == []
    many = bytearray(empty + leaf(GOOD))
    many[PAGE_BYTES + 3 : PAGE_BYTES + 5] = b"\x7f\xff"
    assert list(rows_in(bytes(many), "me")) == []
    assert list(rows_in(empty + leaf(GOOD)[:-1], "me")) == []


def test_small_numbers_take_no_bytes() -> None:
    for kind, revision in ((8, 0), (9, 1)):
        data = b"{}"
        stored = Stored(revision, data)
        total = checksum_of("pods", "a", stored)
        head = b"".join(map(varint, (13 + 8, 15, kind, 12 + 4, 6)))
        text = varint(len(head) + 1) + head + b"pods" + b"a" + data + struct.pack(">q", total)
        assert list(rows_in(leaf(text, first=True), "me")) == [Row("pods", "a", stored, True)]
