"""Reading the files that users name: bounded, and never waiting for what is no file.

FILES-1  Only regular files are read: a pipe, a socket, a device or a directory is refused by name, without waiting for
         it. What was opened is looked at again, so that a swap in between changes nothing. The null device is an empty
         file.
FILES-2  What was handed over open is read to its end, pipes too: ``/dev/stdin``, ``/dev/fd/N`` (`<(…)` of a shell).
FILES-3  No more than a given number of bytes comes into memory, of a file that grows meanwhile either.
FILES-4  Of the files in a directory, a link that leads out of it, to nothing or in a circle is refused by name; one
         that stays inside (as in a mounted ConfigMap) is read without following a link when it is opened.
FILES-5  In a tree of directories (`files_below`) no link is followed: each is given by name, as what isn't read.

It lives beside the floors because all of them but `model` and `rules` read files. Blocking: local files, at start-up.
"""

from __future__ import annotations

import os
import re
import select
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from pvbinder.model.errors import PvbinderError

_MIB: Final = 1 << 20
_HANDED_OVER: Final = re.compile(r"/dev/stdin|(?:/dev|/proc/self)/fd/([0-9]{1,9})", re.ASCII)
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link"),
)


class UnreadableFileError(PvbinderError):
    """A file can't be read; `reason` is why, without its name."""

    def __init__(self, path: object, reason: str, *, is_missing: bool = False) -> None:
        super().__init__(f"{path} doesn't exist" if is_missing else f"{path} can't be read: {reason}")
        self.reason = reason
        self.is_missing = is_missing


def read_file(path: Path | str, *, bytes_max: int) -> bytes:
    """Return the content of the file at `path`, or raise `UnreadableFileError` (FILES-1 to FILES-3)."""
    handed_over = _HANDED_OVER.fullmatch(str(path))
    try:
        if handed_over is not None:
            return _read(os.dup(int(handed_over[1] or 0)), path, bytes_max)
        if _is_empty_or_regular(Path(path).stat(), path):
            return b""
        return _read_regular(os.open(path, _OPEN), path, bytes_max)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # of a name with a zero in it, or with half a character
        raise UnreadableFileError(ascii(str(path)), "no file can have this name") from error


@contextmanager
def opened_file(path: Path | str) -> Iterator[int | None]:
    """Open the file at `path` for reading at any place in it; None stands for what only `read_file` reads: a pipe.

    Raises `UnreadableFileError` (FILES-1).
    """
    try:
        if _HANDED_OVER.fullmatch(str(path)) or _is_empty_or_regular(Path(path).stat(), path):
            yield None
            return
        opened = os.open(path, _OPEN)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise UnreadableFileError(ascii(str(path)), "no file can have this name") from error
    try:
        yield None if _is_empty_or_regular(os.fstat(opened), path) else opened
    finally:
        os.close(opened)


@dataclass(frozen=True, slots=True)
class FileBelow:
    """A file in a tree: its path from there, and how to read it; None if it is no regular file, such as a link."""

    path: PurePosixPath
    read: Callable[[], bytes] | None


def files_below(directory: Path | str, *, bytes_max: int, levels_max: int, files_max: int) -> Iterator[FileBelow]:
    """Yield the files in `directory` and in all directories below it, by name (FILES-5)."""
    count = 0

    def fail(error: OSError) -> None:
        raise _unreadable(error.filename or directory, error) from error

    for place, below, names, opened in os.fwalk(directory, onerror=fail, follow_symlinks=False):
        inside = PurePosixPath(os.path.relpath(place, directory))
        below.sort()
        if len(inside.parts) > levels_max:
            raise UnreadableFileError(place, f"directories are more than {levels_max} levels deep")
        linked = [name for name in below if Path(place, name).is_symlink()]
        for name in sorted((*names, *linked)):
            count += 1
            if count > files_max:
                raise UnreadableFileError(directory, f"it has more than {files_max} files")
            path = Path(place, name)
            try:
                is_file = stat.S_ISREG(os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode)
            except OSError as error:
                raise _unreadable(path, error) from error
            yield FileBelow(inside / name, partial(_read_below, opened, name, path, bytes_max) if is_file else None)


def _read_below(directory: int, name: str, path: Path, bytes_max: int) -> bytes:
    try:
        return _read_regular(os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=directory), path, bytes_max)
    except OSError as error:
        raise _unreadable(path, error) from error


def files_in(directory: Path | str, endings: Iterable[str], *, bytes_max: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the files in `directory` with one of `endings`, by name (FILES-4)."""
    try:
        opened = os.open(directory, _OPEN | os.O_DIRECTORY)
    except OSError as error:
        raise _unreadable(directory, error) from error
    try:
        wanted = frozenset(endings)
        for name in sorted(os.listdir(opened)):  # noqa: PTH208  (of what is open, not of a path)
            if PurePosixPath(name).suffix in wanted:
                path = Path(directory, name)
                try:
                    yield str(path), _read_in(opened, name, path, bytes_max)
                except OSError as error:
                    raise _unreadable(path, error) from error
    finally:
        os.close(opened)


def _read_in(directory: int, name: str, path: Path, bytes_max: int) -> bytes:
    """The content of the file `name` in the open `directory`, or of what it leads to inside of that (FILES-4)."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        steps = [name]
    else:
        inside = os.path.realpath(path.parent)
        try:
            target = PurePosixPath(os.path.realpath(path, strict=True))
        except FileNotFoundError as error:
            raise UnreadableFileError(path, "it is a symbolic link to nothing") from error
        if not target.is_relative_to(inside):
            raise UnreadableFileError(path, f"it is a symbolic link out of its directory, to {target}")
        steps = list(target.relative_to(inside).parts)
    around = os.dup(directory)
    try:
        for step in steps[:-1]:
            below = os.open(step, _OPEN | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=around)
            os.close(around)
            around = below
        if _is_empty_or_regular(os.stat(steps[-1], dir_fd=around, follow_symlinks=False), path):
            return b""
        return _read_regular(os.open(steps[-1], _OPEN | os.O_NOFOLLOW, dir_fd=around), path, bytes_max)
    finally:
        os.close(around)


def _is_empty_or_regular(found: os.stat_result, path: Path | str) -> bool:
    """Whether it is the null device; UnreadableFileError if it is neither that nor a regular file (FILES-1)."""
    if stat.S_ISREG(found.st_mode):
        return False
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == Path(os.devnull).stat().st_rdev:
        return True
    kind = next((words for is_kind, words in _KINDS if is_kind(found.st_mode)), "no file")
    raise UnreadableFileError(path, f"it is {kind}, not a file")


def _read_regular(opened: int, path: Path | str, bytes_max: int) -> bytes:
    try:
        found = os.fstat(opened)
        if _is_empty_or_regular(found, path):
            os.close(opened)
            return b""
        if found.st_size > bytes_max:
            raise _too_large(path, bytes_max)
    except BaseException:
        os.close(opened)
        raise
    return _read(opened, path, bytes_max)


def _read(opened: int, path: Path | str, bytes_max: int) -> bytes:
    """All that comes from `opened`, which is closed (FILES-3)."""
    parts: list[bytes] = []
    count = 0
    try:
        at_once = max(_MIB, min(os.fstat(opened).st_size, bytes_max) + 1)
        while count <= bytes_max:
            try:
                part = os.read(opened, at_once)
            except BlockingIOError:
                if stat.S_ISREG(os.fstat(opened).st_mode):  # as in /proc/kmsg
                    raise
                select.select([opened], [], [])
                continue
            if not part:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            parts.append(part)
            count += len(part)
            at_once = _MIB
    finally:
        os.close(opened)
    raise _too_large(path, bytes_max)


def _too_large(path: Path | str, bytes_max: int) -> UnreadableFileError:
    size = f"{bytes_max // _MIB} MiB" if bytes_max >= _MIB else f"{bytes_max} bytes"
    return UnreadableFileError(path, f"it is larger than {size}")


def _unreadable(path: Path | str, error: OSError) -> UnreadableFileError:
    return UnreadableFileError(path, error.strerror or str(error), is_missing=isinstance(error, FileNotFoundError))
