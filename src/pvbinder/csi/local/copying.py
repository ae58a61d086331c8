"""Copies of volumes: of a directory with all that is in it, or of one file.

COPYING-1  A copy has what the original has: names, content, holes, modes, owners where we may give them, times,
           extended attributes, and files with several names. A link is copied as a link, and never followed.
COPYING-2  Where the file system can share blocks between files (FICLONE) it does, and nothing is read.
COPYING-3  A copy can be ended in the middle, by what `going` raises.

Not promised: one moment in time. What is written into the original meanwhile is in the copy or isn't.

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from typing import Final, assert_never

from pvbinder.csi.local.walking import EnteredDirectory, FileEntry, Going, LeftDirectory, TreeChangedError, walk
from pvbinder.volumes.directories import open_step

FICLONE: Final = 0x40049409
CHUNK_BYTES: Final = 8 << 20
SYNCED_ONE_BY_ONE_MAX: Final = 32  # files and directories
_NO_SHARING: Final = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)
_NO_ATTRIBUTES: Final = (errno.EOPNOTSUPP, errno.EPERM, errno.ENODATA)
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_tree(source: int, target: int, going: Going = lambda: None) -> None:
    """Copy what is in the open directory `source` into the open, empty directory `target`, and its attributes."""
    into = os.dup(target)
    above: list[tuple[int, int]] = []
    steps: list[str] = []
    first_names: dict[int, str] = {}  # of files that have several: the way to the copy
    try:
        for step in walk(source, going):
            match step:
                case FileEntry(directory=directory, name=name, found=found):
                    first = first_names.get(found.st_ino) if found.st_nlink > 1 else None
                    if first is not None and _linked(target, first, into, name):
                        continue
                    _copy_entry(directory, name, found, into, going)
                    if found.st_nlink > 1:
                        first_names.setdefault(found.st_ino, "/".join([*steps, name]))
                case EnteredDirectory(name=name):
                    os.mkdir(name, 0o700, dir_fd=into)
                    identity = os.fstat(into)
                    above.append((identity.st_dev, identity.st_ino))
                    steps.append(name)
                    into = _replaced(into, open_step(into, name))
                case LeftDirectory(directory=directory):
                    _copy_attributes(directory, into)
                    if above:
                        steps.pop()
                        into = _up(into, above.pop())
                case _:
                    assert_never(step)
    finally:
        os.close(into)


def copy_file(source: int, target: int, going: Going = lambda: None) -> None:
    """Copy the content of the open file `source` into the open, empty file `target` (COPYING-2)."""
    try:
        fcntl.ioctl(target, FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _NO_SHARING:
            raise
    size = os.fstat(source).st_size
    at = 0
    while at < size:
        try:
            start = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            raise
        at = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, min(at, size), going)
    os.ftruncate(target, size)


def sync_tree(top: int, going: Going = lambda: None) -> None:
    """Make durable what was written below the open directory `top`: file by file, or all at once if they are many.

    All at once means the whole file system, what others wrote too; so it is for large trees only.
    """
    for seen, step in enumerate(walk(top, going)):
        if seen >= SYNCED_ONE_BY_ONE_MAX:
            _sync_file_system(top)
            return
        match step:
            case FileEntry(directory=directory, name=name, found=found) if stat.S_ISREG(found.st_mode):
                opened = os.open(name, _READ, dir_fd=directory)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)
            case LeftDirectory(directory=directory):
                os.fsync(directory)


def _sync_file_system(opened: int) -> None:
    try:
        failed = ctypes.CDLL(None, use_errno=True).syncfs(opened) != 0
    except AttributeError:  # not on this system
        os.sync()
        return
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _copy_entry(directory: int, name: str, found: os.stat_result, into: int, going: Going) -> None:
    if stat.S_ISREG(found.st_mode):
        _copy_regular(directory, name, into, going)
    elif stat.S_ISLNK(found.st_mode):
        with contextlib.suppress(FileNotFoundError):
            os.symlink(os.readlink(name, dir_fd=directory), name, dir_fd=into)
            _give(lambda: os.chown(name, found.st_uid, found.st_gid, dir_fd=into, follow_symlinks=False))
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=into, follow_symlinks=False)
    else:  # a pipe, a socket or a device: it has no content
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=into)
        _give(lambda: os.chown(name, found.st_uid, found.st_gid, dir_fd=into, follow_symlinks=False))
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=into)  # a umask may have taken rights
        os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=into, follow_symlinks=False)


def _copy_regular(directory: int, name: str, into: int, going: Going) -> None:
    try:
        source = os.open(name, _READ, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):  # gone or replaced meanwhile
            return
        raise
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            return
        target = os.open(name, _MAKE, 0o600, dir_fd=into)
        try:
            copy_file(source, target, going)
            _copy_attributes(source, target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_range(source: int, target: int, start: int, end: int, going: Going) -> None:
    by_kernel = True
    while start < end:
        going()
        count = min(CHUNK_BYTES, end - start)
        if by_kernel:
            try:
                done = os.copy_file_range(source, target, count, start, start)
            except OSError as error:
                if error.errno not in _NO_SHARING:
                    raise
                by_kernel = False
                continue
        else:
            done = os.pwrite(target, os.pread(source, count, start), start)
        if done == 0:  # it became shorter meanwhile
            return
        start += done


def _copy_attributes(source: int, target: int) -> None:
    found = os.fstat(source)
    _give(lambda: os.fchown(target, found.st_uid, found.st_gid))
    try:
        names = os.listxattr(source)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise
        names = []
    for name in names:
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES or name.startswith("user."):
                raise
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _give(change: Callable[[], None]) -> None:
    """Change the owner, where we may: only root may give files to others."""
    try:
        change()
    except PermissionError:
        if os.geteuid() == 0:
            raise


def _linked(top: int, first: str, into: int, name: str) -> bool:
    """Give the copy at `first` another name; False where that can't be, so that it is copied once more."""
    try:
        os.link(first, name, src_dir_fd=top, dst_dir_fd=into, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EMLINK, errno.ENOENT, errno.EPERM):
            return False
        raise
    return True


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def _up(directory: int, expected: tuple[int, int]) -> int:
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    found = os.fstat(above)
    if (found.st_dev, found.st_ino) != expected:
        os.close(above)
        raise TreeChangedError("a directory of the copy was moved meanwhile")
    return _replaced(directory, above)
