"""The lock of a directory, and the room that is held on its disk: what is asked of the system, and what it may say."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pvbinder.server.store import room as rooms
from pvbinder.server.store.directory import FILE_NAME, LAST_GOOD_NAME, LOCK_NAME, lock_directory
from pvbinder.server.store.errors import DataDirectoryError, UnusableError
from pvbinder.server.store.reserve import RESERVE_BYTES, Reserve
from pvbinder.server.store.room import LOG_BYTES, PAGES_AHEAD, PAGES_KEPT_FREE, Room

NO = "pvbinder is running on"


def handles() -> int:
    """Return how many files this process has open."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def refusing(number: int) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


def test_database_3_the_lock_names_its_holder_and_is_private(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / LOCK_NAME).write_bytes(b"12345678901234\n")
    (directory / LOCK_NAME).chmod(0o600)

    lock = lock_directory(directory)

    assert (directory / LOCK_NAME).read_bytes() == b"%d\n" % os.getpid()
    assert stat.S_IMODE((directory / LOCK_NAME).stat().st_mode) == 0o600
    assert not os.get_inheritable(lock)
    with pytest.raises(DataDirectoryError) as refused:
        lock_directory(directory)
    assert refused.value.message == f"another pvbinder is running on {directory} (process {os.getpid()})"
    assert refused.value.hint == "use that one, stop it, or choose another directory with --data-dir"
    os.truncate(directory / LOCK_NAME, 0)
    with pytest.raises(DataDirectoryError) as refused:
        lock_directory(directory)
    assert refused.value.message == f"another pvbinder is running on {directory}"
    os.close(lock)
    os.close(lock_directory(directory))


@pytest.mark.parametrize("name", [FILE_NAME, LOCK_NAME, LAST_GOOD_NAME, None])
def test_a_directory_is_ours_when_it_is_empty_or_has_one_of_our_files(tmp_path: Path, name: str | None) -> None:
    if name is not None:
        for each in (name, "somebody's"):
            (tmp_path / each).write_text("")
            (tmp_path / each).chmod(0o600)
    os.close(lock_directory(tmp_path))


def test_a_directory_that_is_not_ours_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(DataDirectoryError) as refused:
        lock_directory(tmp_path)
    assert refused.value.message == f"{tmp_path} has files in it that are not pvbinder's"
    assert refused.value.hint == "choose an empty directory with --data-dir"
    for path in (tmp_path / "thesis.tex", tmp_path / "thesis.tex" / "below"):
        with pytest.raises(DataDirectoryError) as refused:
            lock_directory(path)
        assert refused.value.message == f"{path} is not a directory"
        assert refused.value.hint == "choose one with --data-dir"


@pytest.mark.parametrize("call", ["mkdir", "open", "ftruncate", "pwrite"])
def test_what_the_disk_says_to_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    before = handles()
    where = Path if call == "mkdir" else os
    with monkeypatch.context() as patched:
        patched.setattr(where, call, refusing(errno.EIO))
        with pytest.raises(UnusableError) as refused:
            lock_directory(tmp_path)
    assert refused.value.message == f"can't use {tmp_path}: Input/output error"
    assert handles() == before
    with monkeypatch.context() as patched:
        patched.setattr(where, call, refusing(errno.ENOSPC))
        if call in ("mkdir", "open"):
            with pytest.raises(UnusableError, match="the disk is full"):
                lock_directory(tmp_path)
        else:
            os.close(lock_directory(tmp_path))  # the holder is only for the other's message


def test_a_lock_that_is_held_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.close(lock_directory(tmp_path))
    before = handles()
    asked: list[int] = []

    def held(_: int, how: int) -> None:
        asked.append(how)
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", held)
    with pytest.raises(DataDirectoryError, match=NO):
        lock_directory(tmp_path)
    assert asked == [fcntl.LOCK_EX | fcntl.LOCK_NB]
    assert handles() == before


# ------------------------------------------------------------------------------------------------ the reserve


def disk(monkeypatch: pytest.MonkeyPatch, *, free: int) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free // 4096, f_frsize=4096))


def size_of(directory: Path) -> int:
    return (directory / "reserve").stat().st_size


def test_reserve_2_it_is_held_only_if_it_is_whole(tmp_path: Path) -> None:
    assert (Reserve(tmp_path).is_held, Reserve(tmp_path).size) == (False, 0)
    (tmp_path / "reserve").write_bytes(bytes(RESERVE_BYTES - 1))
    assert (Reserve(tmp_path).is_held, Reserve(tmp_path).size) == (False, RESERVE_BYTES - 1)
    (tmp_path / "reserve").write_bytes(bytes(RESERVE_BYTES))
    assert Reserve(tmp_path).is_held


def test_reserve_2_what_is_held_counts_for_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path)
    disk(monkeypatch, free=2 * RESERVE_BYTES - 4096)
    assert not reserve.take()
    assert reserve.size == 0, "nothing is held where it may not be"
    (tmp_path / "reserve").write_bytes(bytes(4096))
    assert reserve.take()
    assert (reserve.size, reserve.is_held) == (RESERVE_BYTES, True)
    disk(monkeypatch, free=0)
    assert reserve.take(), "it is held already"
    reserve.doubt()
    assert (reserve.is_held, reserve.size, reserve.take()) == (False, RESERVE_BYTES, False)
    reserve.give_up()
    assert (reserve.is_held, reserve.size) == (False, 0)
    reserve.give_up()


def test_reserve_2_a_quota_is_noticed_and_what_it_leaves_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(tmp_path)
    real, asked = os.posix_fallocate, []

    def quota(handle: int, at: int, size: int) -> None:
        asked.append((at, size))
        if size > 100_000:
            os.ftruncate(handle, 50_000)  # a part of it was taken
            raise OSError(errno.EDQUOT, "quota")
        real(handle, at, size)

    monkeypatch.setattr(os, "posix_fallocate", quota)
    disk(monkeypatch, free=1 << 30)
    assert not reserve.take()
    assert not reserve.is_held
    assert asked == [(0, size << 10) for size in (512, 256, 128, 64)]
    assert size_of(tmp_path) == 64 << 10
    asked.clear()
    reserve.hold()
    assert asked == [(0, 256 << 10), (0, 128 << 10)], "it is no larger now"
    assert size_of(tmp_path) == 64 << 10
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    (tmp_path / "reserve").unlink()
    reserve.hold()
    assert size_of(tmp_path) == 0
    assert stat.S_IMODE((tmp_path / "reserve").stat().st_mode) == 0o600


def test_reserve_2_no_less_than_a_page_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def none(_: int, __: int, size: int) -> None:
        asked.append(size)
        raise OSError(errno.ENOSPC, "none")

    monkeypatch.setattr(os, "posix_fallocate", none)
    Reserve(tmp_path).hold()
    assert asked == [size << 10 for size in (256, 128, 64, 32, 16, 8, 4)]


def test_reserve_1_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "reserve").symlink_to(tmp_path / "victim")
    before = handles()
    Reserve(tmp_path).hold()
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert handles() == before


# ------------------------------------------------------------------------------------------------ the room


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What room was asked for: of which file, and how much."""
    found: list[tuple[str, int]] = []

    def hold(handle: int, size: int) -> bool:
        found.append((Path(f"/proc/self/fd/{handle}").readlink().name, size))
        return True

    monkeypatch.setattr(rooms, "_hold", hold)
    return found


def room(directory: Path, *, log_bytes: int = 0) -> Room:
    (directory / "db").write_bytes(b"")
    (directory / "db-wal").write_bytes(bytes(log_bytes))
    return Room(directory / "db")


def test_room_1_what_is_held_for_the_database_and_its_log(tmp_path: Path, held: list[tuple[str, int]]) -> None:
    one = room(tmp_path)
    assert one.hold_pages(3)
    one.hold_log(0, 1600)
    least = LOG_BYTES + 1600 + 100
    assert held == [("db", 3 * 4096), ("db-wal", least)]
    assert (one.least_log_bytes, one.log_is_large is False) == (least, True)
    held.clear()
    one.hold_log(0, 160)
    one.hold_log(126, 0)
    assert (held, one.least_log_bytes) == ([], least), "it has as much already"
    one.hold_log(200, 0)
    assert held == [("db-wal", 32 + 200 * 4120 + LOG_BYTES)]
    assert one.log_is_large
    held.clear()
    one.hold_log(300, 0)
    assert held == []
    one.log_was_cut()
    assert (held, one.log_is_large) == ([("db-wal", least)], False)
    held.clear()
    one.hold_log(0, 3200)
    assert held == [("db-wal", LOG_BYTES + 3200 + 200)]
    one.close()


def test_room_1_the_log_of_a_killed_process_counts(tmp_path: Path) -> None:
    one = room(tmp_path, log_bytes=32 + 4120 * 7)
    assert one.frames == 7
    assert one.log_is_large, "of which nothing is known to be needed"
    one.end_log()
    assert (tmp_path / "db-wal").read_bytes() == bytes(32 + 4120 * 7)
    one.close()


def test_room_2_an_empty_log_stays_empty_and_another_begins_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    one = room(tmp_path)
    one.end_log()
    assert ((tmp_path / "db-wal").read_bytes(), synced) == (b"", [])
    (tmp_path / "db-wal").write_bytes(b"x" * 100)
    one.end_log()
    assert ((tmp_path / "db-wal").read_bytes(), synced) == (bytes(32) + b"x" * 68, ["db-wal"])
    one.close()


def test_room_1_both_files_must_be_there_and_are_closed_again(tmp_path: Path) -> None:
    before = handles()
    with pytest.raises(FileNotFoundError):
        Room(tmp_path / "db")
    (tmp_path / "db").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        Room(tmp_path / "db")
    room(tmp_path).close()
    (tmp_path / "link").symlink_to(tmp_path / "db")
    with pytest.raises(OSError, match="symbolic links"):
        Room(tmp_path / "link")
    assert handles() == before


ANSWERS = {
    "taken": (0, 0, True),
    "not supported": (-1, errno.EOPNOTSUPP, False),
    "not there": (-1, errno.ENOSYS, False),
    "not of this form": (-1, errno.EINVAL, False),
    "not of this device": (-1, errno.ENODEV, False),
    "no room": (-1, errno.ENOSPC, None),
}


@pytest.mark.parametrize(("answer", "number", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_room_1_what_the_system_answers(
    monkeypatch: pytest.MonkeyPatch, answer: int, number: int, expected: bool | None
) -> None:
    asked: list[tuple[int, ...]] = []

    def call(*arguments: int) -> int:
        asked.append(arguments)
        return answer

    monkeypatch.setattr(rooms, "_fallocate", lambda: call)
    monkeypatch.setattr(ctypes, "get_errno", lambda: number)
    if expected is None:
        with pytest.raises(OSError, match=os.strerror(number)) as refused:
            rooms._hold(7, 4096)
        assert refused.value.errno == number
    else:
        assert rooms._hold(7, 4096) is expected
    assert asked == [(7, 1, 0, 4096)], "beyond the end of the file, whose length stays"


def test_room_1_the_length_of_a_file_stays(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        if not rooms._hold(file.fileno(), 1 << 20):
            pytest.skip("this file system can't hold room")
        found = os.fstat(file.fileno())
    assert (found.st_size, found.st_blocks * 512 >= 1 << 20) == (0, True)


def test_room_1_a_system_without_the_call_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", none)
    rooms._fallocate.cache_clear()
    try:
        assert rooms._fallocate() is None
        assert rooms._hold(7, 4096) is False
    finally:
        rooms._fallocate.cache_clear()


def test_how_much_is_held_is_a_decision() -> None:
    assert (LOG_BYTES, PAGES_KEPT_FREE, PAGES_AHEAD, RESERVE_BYTES) == (524_288, 64, 256, 262_144)
