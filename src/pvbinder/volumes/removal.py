"""Removing a directory tree below a root without ever leaving that root.

REMOVAL-1  Nothing outside of the root is removed, whatever symbolic links there are and whoever changes them meanwhile:
           every step is made relative to an open directory (``dir_fd``) and follows no link.
REMOVAL-2  A path that leads out of the root, through a link or by being one, is refused and nothing is touched. A link
           that stays inside is followed on the way, but at the end of the path it's the link that goes.
REMOVAL-3  What is not there is removed already: no error. Whatever can't be removed is an error, after which the rest
           of the tree may be there or not; calling it again goes on.
REMOVAL-4  A tree may be deeper than paths may be long or files may be open: neither recursion nor descriptors grow
           with its depth.
REMOVAL-5  What other file systems hold that are mounted below the path is left alone; that is an error.

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from pvbinder.model.errors import PvbinderError

MOST_OPEN = 32  # directories open at a time; what lies deeper is first moved up


class RemovalRefusedError(PvbinderError):
    """Removing the path would not stay inside of the root (REMOVAL-2)."""


def remove_tree(path: str, *, root: str) -> None:
    """Remove whatever is at `path`, which must be below `root`; raise `RemovalRefusedError` or `OSError`."""
    below = _steps_below(path, root)
    try:
        real_root = os.path.realpath(root, strict=True)
        parent = os.path.realpath(os.path.join(real_root, *below[:-1]), strict=True)  # noqa: PTH118
    except FileNotFoundError:
        return
    _refuse_outside(parent, real_root, path, root)
    with _opened(real_root, PurePosixPath(parent).relative_to(real_root).parts) as directory:
        if directory is None:
            return
        name = below[-1]
        found = _stat(directory, name)
        if found is None:
            return
        if stat.S_ISLNK(found.st_mode):
            target = os.path.realpath(os.path.join(parent, name))  # noqa: PTH118
            _refuse_outside(target, real_root, path, root)
        _remove(directory, name, is_directory=stat.S_ISDIR(found.st_mode))


def _steps_below(path: str, root: str) -> list[str]:
    """The names that lead from `root` to `path`, which must have at least one and no way back up."""
    steps = [step for step in path.split("/") if step not in ("", ".")]
    start = [step for step in root.split("/") if step not in ("", ".")]
    below = steps[len(start) :]
    if "\0" in path or not path.startswith("/") or ".." in steps or steps[: len(start)] != start or not below:
        raise RemovalRefusedError(f"{path!r} is no path below {root}")
    return below


def _refuse_outside(target: str, real_root: str, path: str, root: str) -> None:
    if not PurePosixPath(target).is_relative_to(real_root):
        raise RemovalRefusedError(f"{path} is a symbolic link out of {root}, to {target}")


@contextlib.contextmanager
def _opened(root: str, steps: tuple[str, ...]) -> Iterator[int | None]:
    """The directory that `steps` lead to from `root`, opened without following a link; None if it has gone."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps:
            below = _open(directory, step)
            os.close(directory)
            directory = below
    except FileNotFoundError:
        os.close(directory)
        yield None
        return
    except BaseException:
        os.close(directory)
        raise
    try:
        yield directory
    finally:
        os.close(directory)


def _remove(parent: int, name: str, *, is_directory: bool) -> None:
    if not is_directory:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
    elif not _remove_empty(parent, name):
        device = os.fstat(parent).st_dev
        top = _enter(parent, name, device)
        try:
            while _empty(top, device):
                pass
        finally:
            os.close(top)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=parent)


def _empty(top: int, device: int) -> bool:
    """Remove all that is in the directory `top`, depth first; True if something was moved up into it (REMOVAL-4)."""
    moved = 0
    levels = [_Level(top, "", _remove_files(top))]
    try:
        while True:
            level = levels[-1]
            if level.directories:
                name = level.directories.pop()
                if _remove_empty(level.directory, name):
                    continue
                if len(levels) < MOST_OPEN:
                    below = _enter(level.directory, name, device)
                    levels.append(_Level(below, name, []))
                    levels[-1].directories = _remove_files(below)
                else:
                    moved = _move_up(level.directory, name, top, moved)
            elif len(levels) > 1:
                levels.pop()
                os.close(level.directory)
                with contextlib.suppress(FileNotFoundError):
                    os.rmdir(level.name, dir_fd=levels[-1].directory)
            else:
                return moved > 0
    finally:
        for level in levels[1:]:
            os.close(level.directory)


@dataclass(slots=True)
class _Level:
    """An open directory on the way down."""

    directory: int
    name: str  # in the one above
    directories: list[str]  # in it, still to be removed


def _remove_files(directory: int) -> list[str]:
    """Remove all that is no directory from `directory`, and return the names of the directories in it."""
    directories = []
    with os.scandir(directory) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in listed:
        if is_directory:
            directories.append(name)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
    return directories


def _remove_empty(directory: int, name: str) -> bool:
    """Remove the directory `name` if that takes one call; False if there is something in it."""
    try:
        os.rmdir(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            return False
        raise
    return True


def _move_up(directory: int, name: str, top: int, number: int) -> int:
    """Move `name` out of `directory` into `top` under a free name, and return the number in that name."""
    while True:
        number += 1
        free = f".removing-{number}"
        if _stat(top, free) is None:
            os.rename(name, free, src_dir_fd=directory, dst_dir_fd=top)
            return number


def _enter(directory: int, name: str, device: int) -> int:
    """Open the directory `name` to empty it: never another file system that is mounted there (REMOVAL-5)."""
    opened = _open(directory, name)
    if os.fstat(opened).st_dev != device:
        os.close(opened)
        raise RemovalRefusedError(f"another file system is mounted at {name!r} inside of it")
    return opened


def _open(directory: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _stat(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
