"""Temporary data directories: one for each ephemeral server, gone when it ends, or else at a later start.

SCRATCH-1  A directory is gone when its context is left.
SCRATCH-2  What a killed process left is removed by `sweep`: directories with our name, of our user, without a holder of
           their lock.
SCRATCH-3  A directory is never seen under its name without its lock held, so that no sweep can take a living one.
SCRATCH-4  What is mounted in a directory is unmounted before; while something stays mounted, nothing is removed.

The lock is the kernel's (`flock`): it ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pvbinder import logs
from pvbinder.server.files.mounts import unmount_below

PREFIX: Final = "pvbinder-"
OWNER_FILE: Final = "owner"  # locked as long as the owner lives
_NAME: Final = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")

log = logs.get(__name__)


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a temporary directory, 0700, and remove it at the end (SCRATCH-1, SCRATCH-3)."""
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    directory = made
    lock = os.open(made / OWNER_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        directory = made.rename(made.with_name(made.name.removeprefix(".")))
        yield directory
    finally:
        _remove(directory)
        os.close(lock)


def sweep() -> list[Path]:
    """Remove the directories that killed processes left, and return them (SCRATCH-2)."""
    removed = []
    try:
        entries = list(os.scandir(tempfile.gettempdir()))
    except OSError:
        return []
    for entry in entries:
        path = Path(entry.path)
        if _NAME.fullmatch(entry.name) and _is_ours(entry) and _is_abandoned(path) and _remove(path):
            log.info("directory of a killed process removed", path=entry.path)
            removed.append(path)
    return removed


def _remove(directory: Path) -> bool:
    """Remove a directory, unless something stays mounted in it (SCRATCH-4)."""
    left = unmount_below(directory)
    if left:
        log.warning("temporary directory stays: something is mounted in it", path=str(directory), mounted=str(left[0]))
        return False
    shutil.rmtree(directory, ignore_errors=True)
    return True


def _is_ours(entry: os.DirEntry[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _is_abandoned(directory: Path) -> bool:
    """Whether nobody holds the lock of the directory; without a lock it isn't for us to judge."""
    try:
        lock = os.open(directory / OWNER_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
