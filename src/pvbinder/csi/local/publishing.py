"""A volume's place in a pod: the path at which it is mounted, or to which a symbolic link leads.

PUBLISHING-1  A path is absolute, has no ``..``, and doesn't lead into the driver's root; links on the way to it are
              followed only where nobody but us and root can have made them (DIRECTORIES-2).
PUBLISHING-2  Only what is ours is taken away: a mount or link of this volume, or the empty place that was made for it.
              Anything else at the path is left alone, and the call fails.
PUBLISHING-3  Doing it again changes nothing, and goes on where a crash ended it.
PUBLISHING-4  Read-only is kept by the kernel: a link can't keep it, so it is refused there.

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

import msgspec

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import mounts
from pvbinder.csi.local.options import How
from pvbinder.csi.local.records import By, shown
from pvbinder.csi.local.root import Root
from pvbinder.csi.local.walking import is_empty
from pvbinder.volumes.directories import LinkRefusedError, open_root, steps_of

Found: TypeAlias = Literal["nothing", "mount", "link", "empty", "other"]

PATH_BYTES_MAX: Final = 4095  # as the kernel takes


class Data(msgspec.Struct, frozen=True):
    """The data of a volume: open, and where it is."""

    opened: int
    is_directory: bool
    path: str

    def is_same(self, found: os.stat_result) -> bool:
        """Tell whether `found` is this directory or file, as a bind mount shows it."""
        own = os.fstat(self.opened)
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


class Publisher:
    """What puts volumes into places; `by` is how it does."""

    def __init__(self, root: Root, how: How) -> None:
        """Find out how, for auto; raises OSError if it is to mount and may not."""
        self._root = root
        self.by: By = "link"
        if how != "link":
            try:
                _try(root)
                self.by = "mount"
            except OSError:
                if how == "mount":
                    raise

    def publish(self, target: str, data: Data, *, read_only: bool, flags: tuple[str, ...]) -> None:
        """Put the volume to `target`; raises CallFailed or OSError."""
        with self._opened(target) as (parent, name):
            found = _look(parent, name, data)
            if found == "other":
                raise CallFailed(Code.FAILED_PRECONDITION, f"something else is at {shown(target)}")
            if found == "mount":
                _remount(parent, name, read_only=read_only, flags=flags)
            elif self.by == "mount":
                if found == "link":
                    os.unlink(name, dir_fd=parent)
                _mount(parent, name, data, read_only=read_only, flags=flags)
            else:
                self.check_link(read_only=read_only, flags=flags)
                if found == "empty":
                    _remove_empty(parent, name)
                if found != "link":
                    os.symlink(data.path, name, dir_fd=parent)

    def check_link(self, *, read_only: bool, flags: tuple[str, ...]) -> None:
        """Refuse what a link can't keep (PUBLISHING-4)."""
        if self.by == "link" and (read_only or set(flags) - {"rw", "defaults"}):
            raise CallFailed(
                Code.FAILED_PRECONDITION,
                "the driver may not mount, and by a symbolic link a volume is neither read-only nor has mount flags",
            )

    def unpublish(self, target: str, data: Data, *, is_recorded: bool) -> None:
        """Take the volume away from `target`; raises CallFailed or OSError.

        A place that isn't recorded was never made by us: then nothing goes but the volume itself (PUBLISHING-2).
        """
        with contextlib.suppress(_NoParentError), self._opened(target) as (parent, name):
            while (found := _look(parent, name, data)) == "mount":
                try:
                    mounts.unmount(parent, name)
                except OSError as error:
                    if error.errno == errno.EBUSY:
                        raise CallFailed(Code.FAILED_PRECONDITION, f"{shown(target)} is in use") from error
                    raise
            if found == "link":
                os.unlink(name, dir_fd=parent)
            elif found == "empty" and is_recorded:
                _remove_empty(parent, name)
            elif found == "other" and is_recorded:
                raise CallFailed(Code.FAILED_PRECONDITION, f"something else is at {shown(target)}")

    def remount(self, target: str, data: Data, *, read_only: bool, flags: tuple[str, ...]) -> None:
        """Make the volume at `target` read-only or writable, where it is mounted; raises CallFailed or OSError."""
        with contextlib.suppress(_NoParentError), self._opened(target) as (parent, name):
            found = _look(parent, name, data)
            if found == "mount":
                try:
                    _remount(parent, name, read_only=read_only, flags=flags)
                except OSError as error:
                    if error.errno == errno.EBUSY:
                        raise CallFailed(Code.FAILED_PRECONDITION, f"{shown(target)} is being written") from error
                    raise
            elif found == "link" and read_only:
                raise CallFailed(
                    Code.FAILED_PRECONDITION, f"a symbolic link is at {shown(target)}, which can't be read-only"
                )

    def is_at(self, target: str, data: Data) -> bool:
        """Tell whether the volume is there, for pods to use."""
        try:
            with self._opened(target) as (parent, name):
                return _look(parent, name, data) in ("mount", "link")
        except (CallFailed, OSError):
            return False

    @contextmanager
    def _opened(self, target: str) -> Iterator[tuple[int, str]]:
        """Open the directory that `target` is in (PUBLISHING-1); raises CallFailed or _NoParentError."""
        check_path(target, "target_path")
        name = steps_of(target)[-1]
        try:
            parent = open_root(str(PurePosixPath(target).parent), chosen=True)
        except FileNotFoundError as error:
            raise _NoParentError(target) from error
        except (LinkRefusedError, OSError) as error:
            raise CallFailed(Code.INVALID_ARGUMENT, f"can't use the path {shown(target)}: {_why(error)}") from error
        try:
            if PurePosixPath(_real(parent)).is_relative_to(_real(self._root.directory)):
                raise CallFailed(Code.INVALID_ARGUMENT, f"the path {shown(target)} is inside of the driver's root")
            yield parent, name
        finally:
            os.close(parent)


class _NoParentError(CallFailed):
    def __init__(self, target: str) -> None:
        super().__init__(Code.FAILED_PRECONDITION, f"the directory that {shown(target)} is to be in doesn't exist")


def check_path(path: str, field: str) -> None:
    """Refuse what is no path for a volume (PUBLISHING-1)."""
    if not path:
        raise CallFailed(Code.INVALID_ARGUMENT, f"{field} is missing")
    steps = steps_of(path)
    if not path.startswith("/") or ".." in steps or "\0" in path or not steps or len(path.encode()) > PATH_BYTES_MAX:
        raise CallFailed(Code.INVALID_ARGUMENT, f"{field} {shown(path)} is no absolute path without '..'")


def _look(parent: int, name: str, data: Data) -> Found:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return "nothing"
    if data.is_same(found):
        return "mount"
    if stat.S_ISLNK(found.st_mode):
        return "link" if os.readlink(name, dir_fd=parent) == data.path else "other"
    if stat.S_ISREG(found.st_mode):
        return "empty" if found.st_size == 0 else "other"
    if not stat.S_ISDIR(found.st_mode):
        return "other"
    opened = _open(parent, name)
    try:
        return "empty" if is_empty(opened) else "other"
    finally:
        os.close(opened)


def _mount(parent: int, name: str, data: Data, *, read_only: bool, flags: tuple[str, ...]) -> None:
    with contextlib.suppress(FileExistsError):
        if data.is_directory:
            os.mkdir(name, 0o750, dir_fd=parent)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent))
    try:
        target = _open(parent, name)
        try:
            mounts.bind(data.opened, target)
        finally:
            os.close(target)
        try:
            _remount(parent, name, read_only=read_only, flags=flags)
        except BaseException:
            mounts.unmount(parent, name)
            raise
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_empty(parent, name)
        raise


def _remount(parent: int, name: str, *, read_only: bool, flags: tuple[str, ...]) -> None:
    mounted = _open(parent, name)
    try:
        mounts.remount(mounted, read_only=read_only, flags=flags)
    finally:
        os.close(mounted)


def _open(parent: int, name: str) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)


def _remove_empty(parent: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)


def _real(opened: int) -> str:
    """Return where the open directory is; on systems that don't tell, a path that is in nothing."""
    try:
        return str(Path(f"/proc/self/fd/{opened}").readlink())
    except OSError:
        return f"/?/{opened}"


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _try(root: Root) -> None:
    """Mount something and take it away again; raises OSError if that isn't allowed."""
    temporary = root.open_in("temporary")
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir("trial", 0o700, dir_fd=temporary)
        with contextlib.suppress(OSError):  # of a trial that was killed
            mounts.unmount(temporary, "trial")
        trial = _open(temporary, "trial")
        try:
            mounts.bind(trial, trial)
        finally:
            os.close(trial)
        mounts.unmount(temporary, "trial")
        os.rmdir("trial", dir_fd=temporary)
    finally:
        os.close(temporary)
