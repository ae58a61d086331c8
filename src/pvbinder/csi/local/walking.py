"""A tree of files, looked at entry by entry.

WALKING-1  No link is followed: each step is made relative to an open directory, and whoever swaps a directory for a
           link meanwhile ends the walk, or the entry is left out.
WALKING-2  A tree may be as deep as it likes: one directory is open at a time, and nothing is recursive.
WALKING-3  Another file system that is mounted inside ends the walk: what is in it is no part of the tree.

An entry that goes away meanwhile is left out. Blocking: call it in a thread.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.volumes.directories import open_step

Going: TypeAlias = Callable[[], None]  # raises what ends the work


class TreeChangedError(PvbinderError):
    """Somebody moved or replaced directories of the tree, so that the walk can't go on."""


class FileEntry(msgspec.Struct, frozen=True):
    """Something in the open `directory` that is no directory itself."""

    directory: int
    name: str
    found: os.stat_result


class EnteredDirectory(msgspec.Struct, frozen=True):
    """The walk goes on in `name`, a directory in the open `directory`."""

    directory: int
    name: str


class LeftDirectory(msgspec.Struct, frozen=True):
    """All of the open `directory` was seen; the walk goes back up."""

    directory: int
    found: os.stat_result


WalkStep: TypeAlias = FileEntry | EnteredDirectory | LeftDirectory


class DataUsage(msgspec.Struct, frozen=True):
    """What the files of a tree take."""

    used_bytes: int
    inodes: int


class _Level(msgspec.Struct):
    found: os.stat_result
    names: list[str]


def walk(top: int, going: Going = lambda: None) -> Iterator[WalkStep]:
    """Give what is below the open directory `top`, depth first; raises OSError or TreeChangedError."""
    directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
    try:
        levels = [_Level(os.fstat(directory), _names_in(directory))]
        while levels:
            going()
            level = levels[-1]
            if not level.names:
                yield LeftDirectory(directory, level.found)
                levels.pop()
                if levels:
                    directory = _up(directory, levels[-1].found)
                continue
            name = level.names.pop()
            try:
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(found.st_mode):
                yield FileEntry(directory, name, found)
                continue
            below = _down(directory, name, levels[0].found.st_dev)
            if below is None:
                continue
            try:
                yield EnteredDirectory(directory, name)
            except BaseException:
                os.close(below)
                raise
            os.close(directory)
            directory = below
            levels.append(_Level(os.fstat(directory), _names_in(directory)))
    finally:
        os.close(directory)


def usage_of(top: int, going: Going = lambda: None) -> DataUsage:
    """Count what is below the open directory `top`, and it itself; a file with several names counts once."""
    used, inodes = 0, 1
    seen: set[int] = set()
    for step in walk(top, going):
        match step:
            case FileEntry(found=found):
                if found.st_nlink > 1 and found.st_ino in seen:
                    continue
                if found.st_nlink > 1:
                    seen.add(found.st_ino)
                used += found.st_blocks * 512
                inodes += 1
            case EnteredDirectory():
                inodes += 1
            case LeftDirectory(found=found):
                used += found.st_blocks * 512
    return DataUsage(used, inodes)


def is_empty(directory: int) -> bool:
    """Tell whether the open directory has nothing in it."""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def _names_in(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries]


def _down(directory: int, name: str, device: int) -> int | None:
    try:
        below = open_step(directory, name)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    if os.fstat(below).st_dev != device:
        os.close(below)
        raise TreeChangedError(f"another file system is mounted at {name!r} inside of it")
    return below


def _up(directory: int, expected: os.stat_result) -> int:
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    found = os.fstat(above)
    if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino):
        os.close(above)
        raise TreeChangedError("a directory in it was moved meanwhile")
    os.close(directory)
    return above
