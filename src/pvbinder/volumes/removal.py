"""Removing a directory tree below a root without ever leaving that root.

REMOVAL-1  Nothing outside of the root is removed, whatever symbolic links there are and whoever changes them meanwhile:
           every step is made relative to an open directory (``dir_fd``) and follows no link.
REMOVAL-2  A path with a symbolic link anywhere in it, the root and the end included, is refused and nothing is touched:
           what it leads to may be anybody's, and would not be what the path says (`volumes.directories`).
REMOVAL-3  What is not there is removed already: no error. A file that can't be removed is an error, after which the
           rest of the tree may be there or not; calling it again goes on.
REMOVAL-4  A tree may be deeper than paths may be long or files may be open: neither recursion nor descriptors grow
           with its depth.
REMOVAL-5  What is mounted at or below the path is left alone; that is an error. On Linux, where the kernel tells which
           mount a directory is on, that holds for a part of the same file system too (a bind mount).

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from pvbinder.model.errors import PvbinderError
from pvbinder.volumes.directories import LinkRefusedError, open_below, open_root, open_step, steps_of

Mount: TypeAlias = tuple[int, int | None]

OPEN_DIRECTORIES_MAX = 32  # directories open at a time; what lies deeper is first moved up


class RemovalRefusedError(PvbinderError):
    """Removing the path would not stay inside of the root (REMOVAL-2)."""


def remove_tree(path: str, *, root: str, chosen: bool = False) -> None:
    """Remove whatever is at `path`, which must be below `root`; raise `RemovalRefusedError` or `OSError`.

    `chosen` is a root that the operator named: then links on the way to it are followed where only we can have made
    them (DIRECTORIES-2). Otherwise it is no more than a part of `path`, and nobody vouches for it.
    """
    *way, name = _steps_below(path, root)
    try:
        with contextlib.ExitStack() as opened:
            top = _closing(opened, open_root(root, chosen=chosen))
            parent = _closing(opened, open_below(top, way, root.rstrip("/")))
            found = _stat(parent, name)
            if found is None:
                return
            if stat.S_ISLNK(found.st_mode):
                raise RemovalRefusedError(_about_link(path, root))
            _remove(parent, name, is_directory=stat.S_ISDIR(found.st_mode))
    except FileNotFoundError:
        return
    except LinkRefusedError as refused:
        raise RemovalRefusedError(refused.message) from refused


def _about_link(path: str, root: str) -> str:
    """Words about a link, no more: nothing is decided by where it leads to now."""
    target = os.path.realpath(path)
    out = "" if PurePosixPath(target).is_relative_to(os.path.realpath(root)) else f" out of {root}"
    return f"{path} is a symbolic link{out}, to {target}"


def _closing(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _steps_below(path: str, root: str) -> list[str]:
    """The names that lead from `root` to `path`, which must have at least one and no way back up."""
    steps, start = steps_of(path), steps_of(root)
    below = steps[len(start) :]
    is_absolute = path.startswith("/") and root.startswith("/")
    if not _is_a_path(path) or not is_absolute or ".." in steps or steps[: len(start)] != start or not below:
        raise RemovalRefusedError(f"{path!r} is no path below {root}")
    return below


def _is_a_path(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _remove(parent: int, name: str, *, is_directory: bool) -> None:
    if not is_directory:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=parent)
    elif not _remove_empty(parent, name):
        mount = _mount_of(parent)
        top = _enter(parent, name, mount)
        try:
            while _empty(top, mount):
                pass
        finally:
            os.close(top)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=parent)


def _empty(top: int, mount: Mount) -> bool:
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
                if len(levels) < OPEN_DIRECTORIES_MAX:
                    below = _enter(level.directory, name, mount)
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


def _enter(directory: int, name: str, mount: Mount) -> int:
    """Open the directory `name` to empty it: never what is mounted there (REMOVAL-5)."""
    opened = open_step(directory, name)
    try:
        if _mount_of(opened) != mount:
            raise RemovalRefusedError(f"another file system is mounted at {name!r} inside of it")
    except BaseException:
        os.close(opened)
        raise
    return opened


def _mount_of(opened: int) -> Mount:
    """Return the device that `opened` is on and the number of its mount; None where the kernel doesn't tell it."""
    device = os.fstat(opened).st_dev
    try:
        with open(f"/proc/self/fdinfo/{opened}", "rb") as lines:  # noqa: PTH123  (an address of the kernel's)
            number = next((int(line[7:]) for line in lines if line.startswith(b"mnt_id:")), None)
    except OSError:
        number = None
    return device, number


def _stat(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
