"""The store's small parts by themselves: ordered keys, checksums, the ceiling, findings, and the list of writes."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from pvbinder.model.json import encode
from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.store.acknowledged import (
    Acknowledged,
    AcknowledgedWriter,
    Noted,
    begin,
    read_acknowledged,
)
from pvbinder.server.store.ceiling import read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.errors import DamagedDataError, UnusableError, WriteFailed, trouble_in
from pvbinder.server.store.findings import Current, Lost, MaybeDeleted, Older, Recovery, Unproven, document
from pvbinder.server.store.room import frames_for, pages_for
from pvbinder.server.store.state import Collection, Stored, end_of
from pvbinder.server.store.store import Store

ONE, TWO = Stored(1, b"one"), Stored(2, b"two")

# ------------------------------------------------------------------------------------------------ ordered keys


def collection(*keys: str) -> Collection:
    return Collection((key, Stored(number, key.encode())) for number, key in enumerate(keys))


def test_keys_are_in_order_whatever_the_order_of_writing() -> None:
    kept = collection("b/x", "a/y", "a/x")
    kept.put("a/z", ONE)
    kept.put("a/y", TWO)

    assert kept.keys() == ["a/x", "a/y", "a/z", "b/x"]
    assert (len(kept), kept.get("a/y"), kept.get("a/q")) == (4, TWO, None)
    assert kept.items(["a/y", "a/z"], {}) == [("a/y", TWO), ("a/z", ONE)]
    assert kept.items(["a/y", "a/z"], {"a/y": ONE, "a/z": None}) == [("a/y", ONE), ("a/z", ONE)]
    kept.remove("a/y")
    kept.remove("a/q")
    assert kept.keys() == ["a/x", "a/z", "b/x"]


SPANS = {  # prefix, after: the keys
    "all": ("", "", ["a/x", "a/y", "ab/x", "b/x"]),
    "a prefix": ("a/", "", ["a/x", "a/y"]),
    "from a key on": ("", "a/y", ["a/y", "ab/x", "b/x"]),
    "from a key of the prefix on": ("a/", "a/y", ["a/y"]),
    "from a key before the prefix on": ("b/", "a/y", ["b/x"]),
    "from a key beyond the prefix on": ("a/", "b/x", []),
    "a prefix of nothing": ("c/", "", []),
}


@pytest.mark.parametrize(("prefix", "after", "keys"), SPANS.values(), ids=SPANS.keys())
def test_a_span_of_keys(prefix: str, after: str, keys: list[str]) -> None:
    kept = collection("b/x", "a/y", "a/x", "ab/x")

    assert kept.keys(prefix, after) == keys
    if not after:
        assert kept.count(prefix) == len(keys)


def test_the_first_of_a_span_and_what_comes_after_them() -> None:
    kept = collection("a/x", "a/y", "a/z", "b/x")

    assert kept.first_keys("a/", "", 2) == (["a/x", "a/y"], 1, "a/z")
    assert kept.first_keys("a/", "", 3) == (["a/x", "a/y", "a/z"], 0, "")
    assert kept.first_keys("a/", "a/y", 0) == (["a/y", "a/z"], 0, "")
    assert kept.first_keys("", "", 9) == (["a/x", "a/y", "a/z", "b/x"], 0, "")
    assert kept.first_keys("a/", "b", 2) == ([], 0, "")
    assert end_of("a/") == "a0"


# ------------------------------------------------------------------------------------------------ checksums


def test_a_checksum_is_over_all_of_a_row() -> None:
    """It is on the disk, so it stays what it is."""
    assert checksum_of("pods", "a/b", ONE) == 3204945272
    others = [("pod", "a/b", ONE), ("pods", "a/c", ONE), ("pods", "a/b", Stored(2, b"one")), ("pods", "a/b", TWO)]
    assert len({checksum_of(*each) for each in others} | {checksum_of("pods", "a/b", ONE)}) == 5
    assert checksum_of_totals(ONE, "me") == checksum_of("", "me", ONE) != checksum_of_totals(ONE, "you")
    assert checksum_of("pods", "\ud800", ONE)


def test_totals_after_a_batch() -> None:
    before = Totals(3, 1000)
    written = {("pods", "a"): ONE, ("pods", "b"): None, ("pods", "c"): TWO}
    replaced = {("pods", "b"): TWO, ("pods", "c"): ONE}
    grown = checksum_of("pods", "a", ONE) + checksum_of("pods", "c", TWO)
    shrunk = checksum_of("pods", "b", TWO) + checksum_of("pods", "c", ONE)

    assert before.after(written, replaced) == Totals(3, 1000 + grown - shrunk)
    assert before.changed(added=2, removed=1, checksums=-7) == Totals(4, 993)
    assert Totals() == Totals(0, 0)
    assert Totals.decode(Totals(4, -993).encode()) == Totals(4, -993)
    assert Totals(4, 5).encode() == b"4 5"
    with pytest.raises(ValueError, match="unpack"):
        Totals.decode(b"4")


# ------------------------------------------------------------------------------------------------ room


def test_how_much_room_a_write_takes() -> None:
    page = bytes(4096)

    assert pages_for(ONE, None) == 3
    assert pages_for(Stored(1, page * 2), None) == 5
    assert pages_for(Stored(1, page * 3), Stored(1, page)) == 3
    assert pages_for(Stored(1, page), Stored(1, page * 3)) == 1
    assert frames_for({}) == 3
    assert frames_for({("k", "a"): None, ("k", "b"): Stored(1, page * 2)}) == 3 + 2 + 4


# ------------------------------------------------------------------------------------------------ the ceiling


def test_the_ceiling_is_a_number_in_a_file(tmp_path: Path) -> None:
    assert read_ceiling(tmp_path) is None
    write_ceiling(tmp_path, 123)
    assert (tmp_path / "ceiling").read_bytes() == b"123\n"
    assert read_ceiling(tmp_path) == 123
    (tmp_path / "ceiling").write_text("many")
    assert read_ceiling(tmp_path) is None
    (tmp_path / "ceiling").write_text("1" * 33)
    assert read_ceiling(tmp_path) == int("1" * 32)


# ------------------------------------------------------------------------------------------------ errors


def test_damage_is_told_with_the_way_out(tmp_path: Path) -> None:
    error = DamagedDataError(tmp_path / "a b" / "state.db", "it is torn")

    assert error.message == f"{tmp_path}/a b/state.db is damaged: it is torn"
    assert error.hint == (
        "nothing was changed. Recover what can be read, keeping the damaged files:\n"
        f"pvbinder recover --data-dir '{tmp_path}/a b'"
    )


def test_the_trouble_of_a_disk(tmp_path: Path) -> None:
    full, locked = OSError(errno.ENOSPC, "no space"), OSError(errno.EROFS, "read-only")
    private = PrivateFileError("odd")
    private.__cause__ = full

    assert UnusableError(tmp_path, full).trouble == "full"
    assert UnusableError(tmp_path / "file", locked).trouble == "read-only"
    assert UnusableError(tmp_path, ValueError("odd")).trouble == "failing"
    assert UnusableError(tmp_path, full).message.startswith(f"can't use {tmp_path}: ")
    assert UnusableError(tmp_path, full).hint
    assert trouble_in(UnusableError(tmp_path, full), tmp_path) == "full"
    assert trouble_in(private, tmp_path) == "full"
    assert trouble_in(PrivateFileError("odd"), tmp_path) == "failing"
    assert trouble_in(locked, tmp_path) == "read-only"
    assert (WriteFailed("why").trouble, WriteFailed("why").hint) == ("failing", None)
    failed = WriteFailed("why", hint="do", trouble="full")
    assert (failed.message, failed.hint, failed.trouble) == ("why", "do", "full")


# ------------------------------------------------------------------------------------------------ findings

OUTCOMES = (
    Current("pods", "a", 5, "database"),
    Older("pods", "b", 3, "copy", 6),
    Unproven("pods", "c", 4, "log"),
    MaybeDeleted("pods", "d", 2, "copy"),
    Lost("pods", "e", 7),
    Lost("pods", "f", None),
)


def recovery(copy: int | None = 2) -> Recovery:
    return Recovery(
        OUTCOMES,
        deleted=(("pods", "x"),),
        unnamed=2,
        newest_revision=5,
        acknowledged_revision=7,
        is_complete=False,
        why_unproven="torn",
        copy_revision=copy,
        copy_time="then",
        next_revision=9,
        kept=Path("/kept"),
    )


def test_what_a_recovery_found() -> None:
    found = recovery()

    assert (found.objects, found.missing) == (4, 4)
    assert found.from_copy == (("pods", "b"), ("pods", "d"))
    assert found.lost == found.named(Lost) == (("pods", "e"), ("pods", "f"))
    assert found.named(Unproven) == (("pods", "c"),)


def test_what_a_recovery_prints() -> None:
    assert json.loads(encode(document(recovery(), Path("/data")))) == {
        "schema": "pvbinder.recovery/v1",
        "directory": "/data",
        "sound": False,
        "complete": False,
        "whyUnproven": "torn",
        "objects": [
            {"outcome": "Current", "kind": "pods", "key": "a", "revision": 5, "source": "database"},
            {"outcome": "Older", "kind": "pods", "key": "b", "revision": 3, "source": "copy", "acknowledged": 6},
            {"outcome": "Unproven", "kind": "pods", "key": "c", "revision": 4, "source": "log"},
            {"outcome": "MaybeDeleted", "kind": "pods", "key": "d", "revision": 2, "source": "copy"},
            {"outcome": "Lost", "kind": "pods", "key": "e", "acknowledged": 7},
            {"outcome": "Lost", "kind": "pods", "key": "f", "acknowledged": None},
        ],
        "lostWithoutName": 2,
        "deleted": [{"kind": "pods", "key": "x"}],
        "newestRevision": 5,
        "acknowledgedRevision": 7,
        "copy": {"revision": 2, "time": "then"},
        "nextRevision": 9,
        "kept": "/kept",
    }
    assert document(recovery(None), Path("/data"))["copy"] is None
    assert document(None, Path("/data")) == {"schema": "pvbinder.recovery/v1", "directory": "/data", "sound": True}


# ------------------------------------------------------------------------------------------------ the list of writes

NAMES = {("pods", "a"): 5, ("pods", "b"): None}


def writer(directory: Path) -> AcknowledgedWriter:
    known = read_acknowledged(directory)
    assert known is not None
    return AcknowledgedWriter(directory, known)


def lines(directory: Path) -> list[object]:
    return [json.loads(line.split(b" ", 1)[1]) for line in (directory / "acknowledged").read_bytes().splitlines()]


def test_acknowledged_1_each_batch_is_a_line(tmp_path: Path) -> None:
    begin(tmp_path, "me", 4)
    assert read_acknowledged(tmp_path) == Acknowledged(
        "me", 4, 4, {}, True, 0, (tmp_path / "acknowledged").stat().st_size
    )
    notes = writer(tmp_path)
    notes.note(NAMES, 6)
    notes.note({("pods", "b"): 7}, 7)
    assert not notes.is_behind
    notes.close()

    assert lines(tmp_path) == [
        ["pvbinder acknowledged writes 1", "me", 4],
        [1, [[5, "pods", "a"], [6, "pods", "b", 0]]],
        [2, [[7, "pods", "b"]]],
    ]
    found = read_acknowledged(tmp_path)
    assert found is not None
    assert (found.revision, found.lines, found.is_whole) == (7, 2, True)
    assert found.newest == {("pods", "a"): Noted(5, False), ("pods", "b"): Noted(7, False)}
    assert found.size == notes.size == (tmp_path / "acknowledged").stat().st_size


def test_acknowledged_2_damage_costs_what_it_holds(tmp_path: Path) -> None:
    begin(tmp_path, "me", 4)
    notes = writer(tmp_path)
    for revision in (5, 6, 7):
        notes.note({("pods", "a"): revision}, revision)
    notes.close()
    raw = (tmp_path / "acknowledged").read_bytes()
    head, first, second, third, _ = raw.split(b"\n")

    def found(*parts: bytes) -> tuple[int, bool, int] | None:
        (tmp_path / "acknowledged").write_bytes(b"\n".join(parts))
        known = read_acknowledged(tmp_path)
        return None if known is None else (known.revision, known.is_whole, known.lines)

    assert found(head, first, second, third, b"") == (7, True, 3)
    assert found(head, first, second, third[:-3]) == (6, True, 2), "a torn end"
    assert found(head, first, b"x" + second[1:], third, b"") == (7, False, 3), "a damaged line"
    assert found(head, first, third, b"") == (7, False, 3), "a line that is missing"
    assert found(head, third, first, b"") == (7, False, 1), "an older line at the end is no newer"
    assert found(head[:-1] + b"x", first, b"") is None
    assert found(head) is None, "the head has no end"
    assert found(b"") is None


def test_acknowledged_2_a_torn_end_is_written_over(tmp_path: Path) -> None:
    begin(tmp_path, "me", 4)
    notes = writer(tmp_path)
    notes.note({("pods", "a"): 5}, 5)
    notes.close()
    with (tmp_path / "acknowledged").open("ab") as file:
        file.write(b"torn" * 20)
    notes = writer(tmp_path)
    notes.note({("pods", "a"): 6}, 6)
    notes.close()

    assert lines(tmp_path)[1:] == [[1, [[5, "pods", "a"]]], [2, [[6, "pods", "a"]]]]


def test_acknowledged_begins_anew_after_a_copy(tmp_path: Path) -> None:
    begin(tmp_path, "me", 4)
    notes = writer(tmp_path)
    notes.note(NAMES, 6)
    notes.note({("pods", "c"): 8, ("pods", "b"): None}, 9)
    notes.forget(4)
    assert len(lines(tmp_path)) == 3, "it begins there already"
    notes.forget(8)
    notes.note({("pods", "a"): 10}, 10)
    notes.close()

    assert lines(tmp_path) == [
        ["pvbinder acknowledged writes 1", "me", 8],
        [1, [[9, "pods", "b", 0]]],
        [2, [[10, "pods", "a"]]],
    ]
    notes = writer(tmp_path)
    notes.forget(10)
    notes.note({("pods", "a"): 11}, 11)
    notes.close()
    assert lines(tmp_path) == [["pvbinder acknowledged writes 1", "me", 10], [1, [[11, "pods", "a"]]]]


def test_acknowledged_3_what_has_no_room_is_noted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, "me", 4)
    notes = writer(tmp_path)
    real = os.pwrite

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "pwrite", full)
    notes.note({("pods", "a"): 5}, 5)
    behind = [notes.is_behind]
    notes.forget(5)
    assert lines(tmp_path)[0] == ["pvbinder acknowledged writes 1", "me", 4], "what waits isn't in the file yet"
    monkeypatch.setattr(os, "pwrite", lambda handle, data, at: real(handle, data[:7], at))
    notes.note({("pods", "a"): 6}, 6)
    behind.append(notes.is_behind)
    notes.close()

    assert behind == [True, False]
    assert lines(tmp_path)[1:] == [[1, [[5, "pods", "a"]]], [2, [[6, "pods", "a"]]]]


def test_acknowledged_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    assert read_acknowledged(tmp_path) is None
    from zlib import crc32

    for head in (["other title", "me", 4], ["pvbinder acknowledged writes 1", 5, 4], [1, 2]):
        text = encode(head)
        (tmp_path / "acknowledged").write_bytes(b"%08x %s\n" % (crc32(text), text))
        assert read_acknowledged(tmp_path) is None, head


async def test_acknowledged_begins_anew_with_the_copy_of_a_stop(tmp_path: Path) -> None:
    async with Store(tmp_path, keep_copy=True) as store:
        _, durable = store.put("pods", "shop/a", lambda revision: encode({"revision": revision}))
        await durable
        last = store.revision

    known = read_acknowledged(tmp_path)
    assert known is not None
    assert (known.since, known.newest, known.lines) == (last, {}, 0)
