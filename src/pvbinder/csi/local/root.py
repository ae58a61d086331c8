"""The directory that a driver keeps everything in.

    driver.json       the node whose volumes these are
    lock              held while a driver runs
    volumes/ID/       a volume: volume.json, and data (a directory, or a file for a block volume)
    snapshots/ID/     a snapshot: snapshot.json and data
    temporary/        what is being made or removed

LOCALROOT-1  The directory is ours and for us alone (PRIVATE_FILES-4); one that has other things in it is refused and
             left as it is, and so is one of another node.
LOCALROOT-2  One driver uses it at a time.
LOCALROOT-3  What a driver left half-made when it died is removed at the start of the next one.

Blocking: call it in a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pvbinder import logs
from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import (
    PrivateFileError,
    check_file,
    create_private,
    private_directory,
    read_secret,
    write_private,
)
from pvbinder.volumes.directories import LinkRefusedError, open_below, open_root
from pvbinder.volumes.removal import RemovalRefusedError, remove_tree

MARKER: Final = "driver.json"
LOCK: Final = "lock"
FOLDERS: Final = ("volumes", "snapshots", "temporary")
DATA: Final = "data"

log = logs.get(__name__)


class RootError(PvbinderError):
    """A directory can't be the root of a driver."""


class _Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    node: str


class Root(msgspec.Struct, frozen=True):
    """The root of a driver: its whole path, and the directory itself, open."""

    path: Path
    directory: int

    def open_in(self, *steps: str) -> int:
        """Open a directory below the root; raises LinkRefusedError or OSError."""
        return open_below(self.directory, list(steps), str(self.path))

    def size_and_free_bytes(self) -> tuple[int, int]:
        """Return what the file system would have room for if it were empty, and what it has room for."""
        found = os.fstatvfs(self.directory)
        return (found.f_blocks - (found.f_bfree - found.f_bavail)) * found.f_frsize, found.f_bavail * found.f_frsize

    def trouble(self) -> str | None:
        """Say what is wrong with the root, if anything is."""
        try:
            there, held = self.path.stat(), os.fstat(self.directory)
            for folder in FOLDERS:
                os.close(self.open_in(folder))
        except (OSError, PvbinderError) as error:
            return f"the root of the driver can't be used: {getattr(error, 'strerror', None) or error}"
        if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino):
            return "another directory was put in the place of the driver's root"
        return None

    def remove_temporary(self, name: str) -> None:
        """Remove what is in the temporary directory under `name`; what can't be removed is tried at the next start."""
        temporary = self.path / "temporary"
        try:
            if (temporary / name).is_symlink():
                (temporary / name).unlink()
                return
            remove_tree(str(temporary / name), root=str(temporary), chosen=True)
        except (OSError, RemovalRefusedError) as error:
            log.warning("can't remove what is left of a volume", path=str(temporary / name), err=str(error))


@contextmanager
def opened_root(path: Path, *, node: str) -> Iterator[Root]:
    """Make or check the root and hold it (LOCALROOT-1, LOCALROOT-2); raises RootError, PrivateFileError or OSError."""
    path = path.absolute()
    try:
        _check_content(path)
        _make(path)
        with _locked(path):
            _check_marker(path, node)
            for folder in FOLDERS:
                private_directory(path / folder)
            directory = open_root(str(path), chosen=True)
            try:
                root = Root(path, directory)
                for folder in FOLDERS:
                    os.close(root.open_in(folder))
                for left in (path / "temporary").iterdir():
                    root.remove_temporary(left.name)
                yield root
            finally:
                os.close(directory)
    except LinkRefusedError as error:
        raise RootError(error.message, hint="put the directory itself in its place") from error
    except PrivateFileError as error:
        hint = error.hint and error.hint.replace("--data-dir", "--root")
        raise RootError(error.message, hint=hint) from error


def _make(path: Path) -> None:
    try:
        private_directory(path)
    except OSError as error:
        hint = "name a directory that this user may make or write"
        raise RootError(f"can't make {path}: {error.strerror}", hint=hint) from error


def _check_content(path: Path) -> None:
    try:
        names = {found.name for found in path.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise RootError(f"{path} can't be a driver's root: {error.strerror}", hint="name another directory") from error
    if MARKER not in names and names - {LOCK, *FOLDERS}:
        raise RootError(
            f"{path} has other things in it than a driver's volumes", hint="name an empty directory, or a new one"
        )


def _check_marker(path: Path, node: str) -> None:
    marker = path / MARKER
    try:
        found = msgspec.json.decode(read_secret(marker), type=_Marker)
    except FileNotFoundError:
        write_private(marker, msgspec.json.encode(_Marker(1, node)))
        return
    except msgspec.DecodeError as error:
        raise RootError(
            f"{marker} can't be understood: {error}", hint="put back a copy, or name another directory"
        ) from error
    if found.format != 1:
        raise RootError(f"{path} was made by a newer pvbinder", hint="use that one, or another directory")
    if found.node != node:
        raise RootError(
            f"{path} has the volumes of node {found.node}, not of {node}",
            hint=f"name it with --node-id {found.node}, or another directory",
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path / LOCK
    check_file(lock)
    try:
        handle = create_private(lock)
    except FileExistsError:
        handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RootError(f"another driver uses {path}", hint="stop it, or name another directory") from error
        yield
    finally:
        with contextlib.suppress(OSError):
            os.close(handle)
