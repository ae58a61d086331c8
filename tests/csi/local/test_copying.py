"""Copies of trees and files."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pvbinder.csi.local import copying
from pvbinder.csi.local.copying import copy_file, copy_tree, sync_tree


def copied(source: Path, target: Path, **options: Any) -> None:
    target.mkdir()
    opened = [os.open(path, os.O_RDONLY) for path in (source, target)]
    try:
        copy_tree(opened[0], opened[1], **options)
        sync_tree(opened[1])
    finally:
        for each in opened:
            os.close(each)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(params=["shared", "by the kernel", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Copy by each of the ways that a file system may allow; sharing is tried first wherever there is any."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "refused")

    if request.param != "shared":
        monkeypatch.setattr(fcntl, "ioctl", refuse)
    if request.param == "by hand":
        monkeypatch.setattr(os, "copy_file_range", refuse)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_copying_1_a_copy_has_what_the_original_has(tmp_path: Path) -> None:
    source, target, outside = (tmp_path / name for name in ("source", "target", "outside"))
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "sub" / "program").write_text("content")
    (source / "sub" / "program").chmod(0o751)
    (source / "sub").chmod(0o750 | stat.S_ISGID)
    (source / "first").write_text("twice")
    os.link(source / "first", source / "sub" / "second")
    (source / "to-directory").symlink_to(outside)
    (source / "to-nothing").symlink_to("nowhere")
    os.mkfifo(source / "pipe", 0o640)
    strange = os.fsdecode(b"\xff not text\n")
    (source / strange).write_text("x")
    with (source / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"middle")
    os.utime(source / "first", ns=(10**18, 2 * 10**18))
    os.utime(source / "sub", ns=(10**18, 3 * 10**18))
    has_attributes = True
    try:
        os.setxattr(source / "first", "user.note", b"kept")
    except OSError:
        has_attributes = False
    copied(source, target)
    for path in source.rglob("*"):
        other = target / path.relative_to(source)
        old, new = path.lstat(), other.lstat()
        assert (old.st_mode, old.st_uid, old.st_gid, old.st_size) == (new.st_mode, new.st_uid, new.st_gid, new.st_size)
        assert old.st_mtime_ns == new.st_mtime_ns, path
        if path.is_symlink():
            assert path.readlink() == other.readlink()
        elif path.is_file():
            assert path.read_bytes() == other.read_bytes()
    assert len(list(target.rglob("*"))) == len(list(source.rglob("*")))
    assert (target / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (target / "first").stat().st_ino == (target / "sub" / "second").stat().st_ino
    if has_attributes:
        assert os.getxattr(target / "first", "user.note") == b"kept"
    assert (outside / "secret").read_text() == "secret"


def test_copying_1_owners_are_kept_where_we_may(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("x")
    (tmp_path / "source" / "link").symlink_to("x")
    for name in ("file", "link"):
        os.chown(tmp_path / "source" / name, 1234, 2345, follow_symlinks=False)
    os.chown(tmp_path / "source", 1234, 2345)
    copied(tmp_path / "source", tmp_path / "target")
    for name in (".", "file", "link"):
        found = (tmp_path / "target" / name).lstat()
        assert (found.st_uid, found.st_gid) == (1234, 2345)


def test_copying_2_blocks_are_shared_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def share(target: int, request: int, source: int) -> int:
        asked.append((request, os.fstat(source).st_ino))
        os.ftruncate(target, os.fstat(source).st_size)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", share)
    monkeypatch.setattr(os, "copy_file_range", None)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    copied(tmp_path / "source", tmp_path / "target")
    assert asked == [(0x40049409, (tmp_path / "source" / "file").stat().st_ino)]


def test_copying_2_an_error_of_the_disk_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(fcntl, "ioctl", full)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    with pytest.raises(OSError, match="full"):
        copied(tmp_path / "source", tmp_path / "target")


@pytest.mark.usefixtures("way")
def test_copying_3_a_copy_can_be_ended(tmp_path: Path) -> None:
    calls = 0

    def going() -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise InterruptedError

    (tmp_path / "source").mkdir()
    for number in range(10):
        (tmp_path / "source" / str(number)).write_text("content")
    before = open_files()
    with pytest.raises(InterruptedError):
        copied(tmp_path / "source", tmp_path / "target", going=going)
    assert open_files() == before, "nothing stays open"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("hole", ["start", "end", "all", "none"])
def test_a_file_keeps_its_size_and_holes(tmp_path: Path, hole: str) -> None:
    with (tmp_path / "source").open("wb") as file:
        if hole in ("start", "all"):
            file.truncate(1 << 20)
            file.seek(0, os.SEEK_END)
        if hole != "all":
            file.write(b"content")
        if hole == "end":
            file.truncate(1 << 20)
    with (tmp_path / "source").open("rb") as source, (tmp_path / "target").open("wb") as target:
        copy_file(source.fileno(), target.fileno())
    assert (tmp_path / "target").read_bytes() == (tmp_path / "source").read_bytes()
    assert (tmp_path / "target").stat().st_blocks <= 16


def test_many_files_are_synced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(copying, "_sync_file_system", synced.append)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for number in range(copying.SYNCED_ONE_BY_ONE_MAX + 1):
        (tmp_path / str(number)).touch()
    opened = os.open(tmp_path, os.O_RDONLY)
    try:
        sync_tree(opened)
    finally:
        os.close(opened)
    assert synced == [opened]
