"""Files that are for their owner alone: how they are written, and checked before they are believed.

PRIVATE_FILES-1  Nobody else reads what is written, and nobody leads it elsewhere: the new file has a name that can't be
                 guessed, must not exist yet, is no link, and is 0600 from the start, whatever the umask is.
PRIVATE_FILES-2  A file is there whole and on disk, or the one before it is: synced, renamed, the directory synced.
PRIVATE_FILES-3  A secret is read only from a regular file that is ours or root's, which others can't read or write;
                 never without end, and never from what would keep us waiting.
PRIVATE_FILES-4  A directory of ours belongs to us and is 0700; no link of others leads to it, and nobody else can
                 put another one in its place.

Not promised: anything against root, or against other processes of the same user.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.disk import in_words, trouble_of, way_out

FILE_BYTES_MAX = 1 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LINKS_MAX = 40  # as the system follows
_NOBODY = 65534  # whom files of users outside belong to in a user namespace: the root directory's owner, there


class PrivateFileError(PvbinderError):
    """A file or directory can't be trusted, or can't be written."""


# ---------------------------------------------------------------- writing


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all; raises PrivateFileError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise cannot_write(path, error) from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a new private file, which takes the place of `path` when the context is left without an error.

    Raises OSError where the disk says no, and PrivateFileError where something is in the way that is no file.
    """
    with suppress(FileNotFoundError):
        found = path.lstat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode)):
            raise PrivateFileError(f"{path} is no regular file, and is not replaced", hint="name another file")
    new = path.with_name(f".{path.name[:100]}.{secrets.token_hex(12)}.new")
    handle = create_private(new)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def create_private(path: Path) -> int:
    """Return a new file, open for writing, that is 0600 from the start; raises OSError, also if there is one."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(handle, 0o600)  # a umask may have taken rights from ourselves
    return handle


def sync_directory(directory: Path) -> None:
    """Make durable which names the directory holds."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> PrivateFileError:
    """Return the error that says why `path` can't be written."""
    trouble = trouble_of(error, path.parent) or "failing"
    hints = {"full": way_out("full"), "read-only": "mount it for writing, or name another place"}
    hint = hints.get(trouble, "let this user write there, or name another place")
    return PrivateFileError(f"can't write {path}: {in_words(trouble, error)}", hint=hint)


# ---------------------------------------------------------------- reading


def read_secret(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """Return what is in a secret file of ours (PRIVATE_FILES-3); FileNotFoundError if there is none."""
    return _read(path, bytes_max, forbidden=_OTHERS, follow=False)


def read_trusted(path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """Return what is in a file that somebody named: others may read it, as they may a mounted one, but not write it."""
    return _read(path, bytes_max, forbidden=_OTHERS_WRITE, follow=True)


def check_secret(path: Path) -> None:
    """Refuse a secret file that `read_secret` would refuse; FileNotFoundError if there is none."""
    read_secret(path)


def check_file(path: Path) -> None:
    """Refuse a file in our directory that is no file, a link, or somebody else's; one that isn't there is fine."""
    with suppress(FileNotFoundError):
        _check(path, path.lstat(), forbidden=_OTHERS_WRITE)


def _read(path: Path, bytes_max: int, *, forbidden: int, follow: bool) -> bytes:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if not follow and path.is_symlink():
            raise PrivateFileError(f"{path} is a link", hint="put the file itself in its place") from error
        raise PrivateFileError(f"can't read {path}: {error.strerror}", hint=f"chown {_us()} {path}") from error
    try:
        _check(path, os.fstat(handle), forbidden=forbidden)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise PrivateFileError(f"can't read {path}: {error.strerror}", hint="put back a copy") from error
    finally:
        os.close(handle)
    if len(data) > bytes_max:
        raise PrivateFileError(f"{path} is larger than {bytes_max} bytes", hint="put back the right file")
    return data


def _check(path: Path, found: os.stat_result, *, forbidden: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PrivateFileError(f"{path} is {_form(found.st_mode)}, not a regular file", hint="put back the right file")
    if found.st_uid not in (0, os.geteuid()):
        raise PrivateFileError(
            f"{path} belongs to {_user(found.st_uid)}, not to {_us()}",
            hint=f"see who put it there; chown {_us()} {path}",
        )
    if found.st_mode & forbidden:
        what = "write" if found.st_mode & _OTHERS_WRITE else "read"
        raise PrivateFileError(
            f"others may {what} {path} (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"see whether somebody did; then: chmod 600 {path}",
        )


# ---------------------------------------------------------------- directories


def private_directory(path: Path) -> None:
    """Make a directory of ours, or check that it is one, and make it 0700 (PRIVATE_FILES-4); raises OSError, too."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_way_to(path)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise PrivateFileError(
            f"{path} belongs to {_user(found.st_uid)}, not to {_us()}",
            hint="run pvbinder as that user, or choose another directory with --data-dir",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)


def check_way_to(path: Path) -> None:
    """Refuse a path that somebody else could lead elsewhere, by a link or in a directory that they may write.

    A directory that all may write is fine when it is sticky, as ``/tmp`` is: names in it belong to their maker.
    """
    at, steps, links = Path(path.anchor or "/"), list(path.absolute().parts[1:]), 0
    while steps:
        step = steps.pop(0)
        if step == "..":
            at = at.parent
            continue
        _check_parent(at, path)
        found = (at / step).lstat()
        if not stat.S_ISLNK(found.st_mode):
            at = at / step
            continue
        if found.st_uid not in (0, os.geteuid()):
            raise PrivateFileError(
                f"{at / step} is a link of {_user(found.st_uid)}", hint=f"name the directory itself, not {path}"
            )
        links += 1
        if links > _LINKS_MAX:
            raise PrivateFileError(f"{path} leads round in a circle of links", hint="name the directory itself")
        target = (at / step).readlink()
        if target.is_absolute():
            at = Path(target.anchor)
        steps[:0] = [part for part in target.parts if part != target.anchor]


def _check_parent(directory: Path, path: Path) -> None:
    found = directory.stat()
    if found.st_uid not in (0, _NOBODY, os.geteuid()):
        raise PrivateFileError(
            f"{directory} belongs to {_user(found.st_uid)}, who can put another directory in the place of {path}",
            hint="choose a place that is yours",
        )
    if found.st_mode & stat.S_ISVTX:
        return
    by_all = found.st_mode & stat.S_IWOTH
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid())
    if by_all or by_group:
        raise PrivateFileError(
            f"others may write {directory} (mode {stat.S_IMODE(found.st_mode):04o}), and put another directory in the"
            f" place of {path}",
            hint=f"chmod go-w {directory}, or choose another place",
        )


def _form(mode: int) -> str:
    forms = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
    return forms.get(stat.S_IFMT(mode), "a device")


def _us() -> str:
    return _user(os.geteuid())


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
