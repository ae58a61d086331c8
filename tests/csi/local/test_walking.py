"""Trees of files, walked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pvbinder.csi.local import walking
from pvbinder.csi.local.walking import EnteredDirectory, FileEntry, TreeChangedError, usage_of, walk
from pvbinder.volumes import directories


@contextmanager
def opened(path: Path) -> Iterator[int]:
    directory = os.open(path, os.O_RDONLY)
    try:
        yield directory
    finally:
        os.close(directory)


def test_walking_1_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "top" / "link").symlink_to(tmp_path / "outside")
    with opened(tmp_path / "top") as top:
        names = {step.name for step in walk(top) if isinstance(step, FileEntry | EnteredDirectory)}
    assert names == {"sub", "link"}


def test_walking_1_a_directory_that_became_a_link_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (tmp_path / "top" / "sub").mkdir(parents=True)
    real = directories.open_step

    def swapped(directory: int, name: str) -> int:
        (tmp_path / "top" / "sub").rmdir()
        (tmp_path / "top" / "sub").symlink_to(tmp_path / "outside")
        return real(directory, name)

    monkeypatch.setattr(walking, "open_step", swapped)
    with opened(tmp_path / "top") as top:
        assert not [step for step in walk(top) if isinstance(step, FileEntry | EnteredDirectory)]


def test_walking_1_a_directory_that_is_moved_away_ends_the_walk(tmp_path: Path) -> None:
    (tmp_path / "top" / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    with opened(tmp_path / "top") as top:
        steps = walk(top)
        for step in steps:
            if isinstance(step, EnteredDirectory) and step.name == "deep":
                break
        (tmp_path / "top" / "sub" / "deep").rename(tmp_path / "elsewhere" / "deep")
        with pytest.raises(TreeChangedError):
            list(steps)


@pytest.mark.slow
def test_walking_2_a_tree_may_be_deep(tmp_path: Path) -> None:
    depth = 1100
    with opened(tmp_path) as top:
        directory = os.dup(top)
        for _ in range(depth):
            os.mkdir("d", dir_fd=directory)
            below = os.open("d", os.O_RDONLY, dir_fd=directory)
            os.close(directory)
            directory = below
        os.close(directory)
        most = 0

        def going() -> None:
            nonlocal most
            free = os.open(tmp_path, os.O_RDONLY)
            os.close(free)
            most = max(most, free)

        assert usage_of(top, going).inodes == depth + 1
        assert most < top + 10, "directories don't stay open"
        (tmp_path / "d").rename(tmp_path / "e")
    from pvbinder.volumes.removal import remove_tree

    remove_tree(str(tmp_path / "e"), root=str(tmp_path))


def test_walking_3_another_file_system_ends_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    inode = (tmp_path / "sub").stat().st_ino
    real = os.fstat

    def fstat(directory: int) -> os.stat_result:
        found = real(directory)
        if found.st_ino != inode:
            return found
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:10]])

    monkeypatch.setattr(os, "fstat", fstat)
    with opened(tmp_path) as top, pytest.raises(TreeChangedError, match="mounted at 'sub'"):
        list(walk(top))
