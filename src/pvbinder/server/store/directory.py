"""The names in a data directory, and its lock: one process has it, and it is nobody else's."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pvbinder.server.files.disk import trouble_of
from pvbinder.server.files.private_files import check_file, private_directory
from pvbinder.server.files.scratch import OWNER_FILE
from pvbinder.server.store.acknowledged import FILE_NAME as ACKNOWLEDGED_NAME
from pvbinder.server.store.ceiling import FILE_NAME as CEILING_NAME
from pvbinder.server.store.errors import DataDirectoryError, UnusableError
from pvbinder.server.store.reserve import FILE_NAME as RESERVE_NAME

FILE_NAME = "store.db"
LOCK_NAME = "lock"
LAST_GOOD_NAME = "last-good.db"  # a copy from the last start or stop (`last_good.py`)
RECOVERED_NAME = "recovered.db"  # whole and sound, about to take the place of a damaged file (`recovery.py`)
OWN_FILES = (  # each of them is a file of ours, and nothing that leads elsewhere
    FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", LOCK_NAME, LAST_GOOD_NAME, RECOVERED_NAME, CEILING_NAME,
    ACKNOWLEDGED_NAME, RESERVE_NAME,
)  # fmt: skip


def lock_directory(directory: Path) -> int:
    """Make the directory if it isn't there, and hold its lock until the returned file is closed (DATABASE-3)."""
    try:
        private_directory(directory)
    except (FileExistsError, NotADirectoryError) as error:
        raise DataDirectoryError(f"{directory} is not a directory", hint="choose one with --data-dir") from error
    except OSError as error:
        raise UnusableError(directory, error) from error
    found = {path.name for path in directory.iterdir()}
    if found and not found & {FILE_NAME, LOCK_NAME, LAST_GOOD_NAME, OWNER_FILE}:
        raise DataDirectoryError(
            f"{directory} has files in it that are not pvbinder's", hint="choose an empty directory with --data-dir"
        )
    for name in OWN_FILES:
        check_file(directory / name)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        lock = os.open(directory / LOCK_NAME, flags, 0o600)
    except OSError as error:
        raise UnusableError(directory, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
        os.close(lock)
        by = f" (process {holder})" if holder else ""
        raise DataDirectoryError(
            f"another pvbinder is running on {directory}{by}",
            hint="use that one, stop it, or choose another directory with --data-dir",
        ) from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if trouble_of(error, directory) != "full":  # the holder of the lock is only for the other process's message
            os.close(lock)
            raise UnusableError(directory, error) from error
    return lock
