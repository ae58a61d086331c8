"""A volume's place in a pod, and the kernel's part in it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.csi.local.calls import NODE, how

from pvbinder.csi.errors import CallFailed
from pvbinder.csi.local import mounts
from pvbinder.csi.local.options import How
from pvbinder.csi.local.publishing import Data, Publisher
from pvbinder.csi.local.root import opened_root

__all__ = ["how"]


@contextmanager
def publishing(tmp_path: Path, how: How) -> Iterator[tuple[Publisher, Data]]:
    with opened_root(tmp_path / "root", node=NODE) as root:
        path = tmp_path / "root" / "data"
        path.mkdir(exist_ok=True)
        opened = os.open(path, os.O_RDONLY)
        try:
            yield Publisher(root, how), Data(opened, is_directory=True, path=str(path))
        finally:
            os.close(opened)


def test_publishing_3_it_goes_on_where_it_was_ended(tmp_path: Path, how: How, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only mount is first made and then made read-only: a crash in between leaves it writable."""
    target = tmp_path / "target"
    read_only = how == "mount"
    with publishing(tmp_path, how) as (publisher, data):
        if read_only:
            with monkeypatch.context() as patch:
                patch.setattr(mounts, "remount", lambda *_, **__: None)
                publisher.publish(str(target), data, read_only=True, flags=())
            (target / "too-early").touch()
        for _ in range(2):
            publisher.publish(str(target), data, read_only=read_only, flags=())
        assert publisher.is_at(str(target), data)
        if read_only:
            with pytest.raises(OSError, match="Read-only"):
                (target / "file").touch()
            mounts_of_it = Path("/proc/self/mountinfo").read_text().count(f" {target} ")
            assert mounts_of_it == 1
        for _ in range(2):
            publisher.unpublish(str(target), data, is_recorded=True)
        assert not os.path.lexists(target)


def test_publishing_3_a_mount_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "refused")

    with publishing(tmp_path, "link") as (publisher, data):
        publisher.by = "mount"
        monkeypatch.setattr(mounts, "bind", refuse)
        with pytest.raises(OSError, match="refused"):
            publisher.publish(str(tmp_path / "target"), data, read_only=False, flags=())
        assert not os.path.lexists(tmp_path / "target")


def test_who_may_not_mount_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "refused")

    monkeypatch.setattr(mounts, "bind", refuse)
    with publishing(tmp_path, "auto") as (publisher, _):
        assert publisher.by == "link"
    with pytest.raises(OSError, match="refused"), publishing(tmp_path, "mount"):
        pass


def test_publishing_1_a_link_of_somebody_else_is_not_followed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a link away")
    (tmp_path / "theirs" / "pod").mkdir(parents=True)
    (tmp_path / "way").symlink_to(tmp_path / "theirs")
    with publishing(tmp_path, "link") as (publisher, data):
        publisher.publish(f"{tmp_path}/way/pod/target", data, read_only=False, flags=())
        assert (tmp_path / "theirs" / "pod" / "target").is_symlink(), "a link of our own is"
        publisher.unpublish(f"{tmp_path}/way/pod/target", data, is_recorded=True)
        os.chown(tmp_path / "way", 1234, 1234, follow_symlinks=False)
        with pytest.raises(CallFailed, match="symbolic link"):
            publisher.publish(f"{tmp_path}/way/pod/target", data, read_only=False, flags=())
        assert not list((tmp_path / "theirs" / "pod").iterdir())


@pytest.mark.parametrize("how", ["mount"], indirect=True)
@pytest.mark.usefixtures("how")
def test_mounts_1_what_is_mounted_is_what_is_open(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "place").mkdir()
    (tmp_path / "link").mkdir()
    parent = os.open(tmp_path, os.O_RDONLY)
    source, place = (os.open(tmp_path / name, os.O_RDONLY) for name in ("theirs", "place"))
    try:
        (tmp_path / "place").rename(tmp_path / "moved")
        (tmp_path / "place").symlink_to("link")
        mounts.bind(source, place)
        (tmp_path / "theirs" / "file").touch()
        assert (tmp_path / "moved" / "file").exists()
        assert not list((tmp_path / "link").iterdir())
        os.close(place)
        place = os.dup(source)
        mounts.unmount(parent, "moved")
        with pytest.raises(OSError, match="place"):
            mounts.unmount(parent, "place")
    finally:
        for opened in (parent, source, place):
            os.close(opened)


def test_mounts_2_what_the_file_system_forbids_stays_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(mounts, "_mount", lambda _, __, flags: asked.append(flags))
    nosuid, nodev, noexec = 2, 4, 8
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_flag=nosuid | nodev))
    mounts.remount(0, read_only=True, flags=("noexec", "rw"))
    assert asked == [mounts.MS_BIND | mounts.MS_REMOUNT | mounts.MS_RDONLY | nosuid | nodev | noexec]
