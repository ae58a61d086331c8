"""A full disk, a real one in memory: what is deleted is stored, at any time and however much of it."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.test_full_disk import fill, mounted

from pvbinder.server.store import Store, WriteFailed
from pvbinder.server.store import room as rooms
from pvbinder.server.store.database import Database
from pvbinder.server.store.state import Stored

KIND = "things"
DISK_BYTES = 128 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    if not mounted(directory, DISK_BYTES):
        pytest.skip("may not mount a disk of its own here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def refuses_what_grows(database: Database, revision: int) -> bool:
    try:
        for n in range(200):
            database.commit({(KIND, f"grows{revision}.{n}"): Stored(revision, b"x" * 100_000)}, revision)
    except WriteFailed as failure:
        return failure.trouble == "full"
    return False


def test_room_1_a_disk_that_was_filled_at_once_while_the_log_is_large_takes_every_deletion(disk: Path) -> None:
    database = Database(disk / "data")
    there = {(KIND, f"k{n:03}"): Stored(200 + n, os.urandom(20_000)) for n in range(500)}
    for where, stored in there.items():
        database.commit({where: stored}, stored.revision)
    log = (disk / "data" / "store.db-wal").stat().st_size
    assert log > 8 << 20, "the log is large"
    fill(disk)
    for n, (where, stored) in enumerate(there.items()):
        database.commit({where: None}, 1000 + n, {where: stored})
    database.close()
    database = Database(disk / "data")
    assert list(database.load()) == []
    database.close()


def test_room_1_what_was_taken_before_the_disk_was_full_can_be_brought_into_the_database(disk: Path) -> None:
    database = Database(disk / "data")
    database.commit({(KIND, "a"): Stored(200, b"x" * 5000)}, 200)
    fill(disk)
    assert refuses_what_grows(database, 300)
    assert database._connection is not None
    busy, frames, emptied = database._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, frames) == (0, emptied)
    database.close()


def test_room_2_neither_a_stop_nor_a_kill_gives_the_room_of_the_log_back(disk: Path) -> None:
    log = disk / "data" / "store.db-wal"
    database = Database(disk / "data")
    database.commit({(KIND, f"k{n}"): Stored(200 + n, b"x" * 5000) for n in range(100)}, 300)
    database.close()
    assert log.stat().st_blocks * 512 >= rooms.LOG_BYTES
    for _ in range(3):
        database = Database(disk / "data")
        assert len(list(database.load())) == 100
        database.close()
        assert log.stat().st_blocks * 512 >= rooms.LOG_BYTES
        assert log.read_bytes()[:32].strip(b"\0") == b"", "and there is nothing in it that could be read again"


@pytest.mark.slow
async def test_store_6_many_deletions_at_once_are_stored_on_a_full_disk_and_what_grows_after_them_is_refused(
    disk: Path,
) -> None:
    async with Store(disk / "data") as store:
        for future in [store.put(KIND, f"k{n:04}", lambda _: os.urandom(2000))[1] for n in range(3000)]:
            await future
        fill(disk)
        futures = [store.delete(KIND, f"k{n:04}")[1] for n in range(2000)]
        grows = store.put(KIND, "grows", lambda _: b"x" * 30_000_000)[1]
        for future in futures:
            await future
        with pytest.raises(WriteFailed) as failure:
            await grows
        assert failure.value.trouble == "full"
        await store.put(KIND, "in-their-room", lambda _: b"x" * 100_000)[1]
        assert len(list(store.objects(KIND))) == 1001
    async with Store(disk / "data") as store:
        assert len(list(store.objects(KIND))) == 1001


async def test_store_6_a_large_object_can_be_marked_and_deleted_on_a_full_disk(disk: Path) -> None:
    marked = b'{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"data":"%s"}' % (b"x" * 1_500_000)
    async with Store(disk / "data") as store:
        for n in range(3):
            await store.put(KIND, f"large{n}", lambda _: b"x" * 1_500_000)[1]
        fill(disk)
        with pytest.raises(WriteFailed):
            await store.put(KIND, "grows", lambda _: b"x" * 3_000_000)[1]
        for n in range(3):
            await store.put(KIND, f"large{n}", lambda _: marked)[1]
        for n in range(3):
            await store.delete(KIND, f"large{n}")[1]
        assert list(store.objects(KIND)) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_room_1_what_can_not_be_held_is_refused_before_anything_of_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    database = Database(tmp_path)
    there = {(KIND, f"k{n}"): Stored(200 + n, b"x" * 5000) for n in range(50)}
    database.commit(there, 300)
    log = (tmp_path / "store.db-wal").read_bytes()

    def refuse(*_: int) -> int:
        ctypes.set_errno(number)
        return -1

    def found() -> Callable[..., int]:
        return refuse

    with monkeypatch.context() as patched:
        patched.setattr(rooms, "_fallocate", found)
        patched.setattr(os, "posix_fallocate", refuse_as(number))
        with pytest.raises(WriteFailed) as failure:
            database.commit({(KIND, "grows"): Stored(301, b"x" * 2_000_000)}, 301)
        assert (failure.value.trouble == "full") == (number != errno.EIO)
        assert (tmp_path / "store.db-wal").read_bytes() == log or number != errno.EIO
        for n, (where, stored) in enumerate(there.items()):
            database.commit({where: None}, 400 + n, {where: stored})
    database.commit({(KIND, "after"): Stored(500, b"x" * 2_000_000)}, 500)
    database.close()
    database = Database(tmp_path)
    assert [key for _, key, _ in database.load()] == ["after"]
    database.close()


def refuse_as(number: int) -> Callable[..., None]:
    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_file_system_that_can_not_hold_room_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "_fallocate", lambda: None)
    database = Database(tmp_path)
    database.commit({(KIND, "a"): Stored(200, b"x" * 3_000_000)}, 200)
    database.close()
    database = Database(tmp_path)
    assert [key for _, key, _ in database.load()] == ["a"]
    database.close()
