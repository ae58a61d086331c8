"""Recovery of a damaged data directory: every row that can be read, and the last good copy for those that can't.

RECOVERY-1  Nothing is destroyed: the files as they were found are kept in ``damaged-TIME`` beside the new one.
RECOVERY-2  Of each object the newest state that is sound anywhere is taken: from the database, from the commits in its
            log, from the copy. What the database knows to be deleted is not brought back from the copy.
RECOVERY-3  Revisions go on above any that was given out (CEILING-1), so no client takes a new state for an old one.
RECOVERY-4  It says what it did: how many objects, from where, which are older than they may have been, which are lost.
RECOVERY-5  It may be interrupted and repeated: the new file takes the place of the damaged one in one step, when it is
            whole and on disk. On a sound directory it does nothing.

What can be in the result although it was deleted: objects whose deletion was in a damaged part of the file or its log.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pvbinder.model.errors import PvbinderError
from pvbinder.server.private_files import sync_directory
from pvbinder.server.store.ceiling import FILE_NAME as CEILING_NAME
from pvbinder.server.store.ceiling import read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of
from pvbinder.server.store.database import (
    FILE_NAME,
    LAST_GOOD_NAME,
    RECOVERED_NAME,
    DamagedDataError,
    DataDirectoryError,
    checked_rows,
    create,
    finish_recovery,
    lock_directory,
    open_for_reading,
    read_sound,
)
from pvbinder.server.store.log_file import Frame, read_log
from pvbinder.server.store.state import Stored

_WORK_NAME = "recovering"
_PAGE_BYTES = 4096
_UNKNOWN_CEILING = 1_000_000  # how far revisions jump when it isn't known which were given out


class RecoveryFailed(PvbinderError):  # noqa: N818  (says what happened)
    """Nothing could be recovered; everything is as it was."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery did. `from_copy` are older than they may have been; `lost` are known to have been there."""

    objects: int
    newest_revision: int
    from_copy: tuple[tuple[str, str], ...]
    copy_revision: int | None
    lost: tuple[tuple[str, str], ...]
    missing: int  # how many objects are fewer than there were, by the totals of the file; `lost` are among them
    next_revision: int
    kept: Path


@dataclass(slots=True)
class _Salvage:
    rows: dict[tuple[str, str], Stored] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    gone: set[tuple[str, str]] = field(default_factory=set)
    meta: Stored | None = None


def recover(directory: Path) -> Recovery | None:
    """Recover `directory` and say what was done; None if it is sound. Raises RecoveryFailed or DataDirectoryError."""
    path = directory / FILE_NAME
    if not any((directory / name).exists() for name in (FILE_NAME, LAST_GOOD_NAME, RECOVERED_NAME)):
        raise DataDirectoryError(f"{directory} is no data directory of pvbinder", hint="name another with --data-dir")
    lock = lock_directory(directory)
    try:
        finish_recovery(directory)
        try:
            if not path.exists() or not path.stat().st_size:
                raise DamagedDataError(path, "there is nothing in it any more")
            read_sound(path)
        except DamagedDataError as error:
            return _recover(directory, path, error)
        return None
    finally:
        os.close(lock)


def _recover(directory: Path, path: Path, why: DamagedDataError) -> Recovery:
    kept = _keep(directory, path)
    copy = _read_copy(directory / LAST_GOOD_NAME)
    with _work_directory(directory) as work:
        found, log = _salvage_all(path, work, sorted(copy.rows))
        rows = dict(found.rows)
        for where, stored in log.rows.items():
            if where not in rows or rows[where].revision < stored.revision:
                rows[where] = stored
        from_copy = []
        for where, stored in copy.rows.items():
            if where not in found.gone and (where not in rows or rows[where].revision < stored.revision):
                rows[where] = stored
                from_copy.append(where)
        if not rows:
            raise RecoveryFailed(
                f"nothing can be read from {path} and there is no copy", hint=f"the files are kept in {kept}"
            ) from why
        metas = [meta for meta in (found.meta, log.meta, copy.meta) if meta is not None]
        revisions = [*(stored.revision for stored in rows.values()), *(meta.revision for meta in metas)]
        ceiling = read_ceiling(directory)
        revision = max(revisions) + _UNKNOWN_CEILING if ceiling is None else max(ceiling, *revisions)
        new = work / RECOVERED_NAME
        create(new, ((kind, key, stored) for (kind, key), stored in sorted(rows.items())), revision)
        with closing(open_for_reading(new, alone=True)) as connection:
            for _ in checked_rows(connection, new):
                pass
        write_ceiling(directory, revision)
        new.replace(directory / RECOVERED_NAME)
        sync_directory(directory)
    finish_recovery(directory)
    newest = max((meta for meta in (found.meta, log.meta) if meta), key=lambda meta: meta.revision, default=None)
    lost = sorted((found.broken | log.broken) - rows.keys())
    there_were = Totals.decode(newest.data).objects if newest is not None else 0
    return Recovery(
        objects=len(rows),
        newest_revision=max(stored.revision for stored in rows.values()),
        from_copy=tuple(sorted(from_copy)),
        copy_revision=copy.meta.revision if copy.meta is not None else None,
        lost=tuple(lost),
        missing=max(len(lost), there_were - len(rows)),
        next_revision=revision + 1,
        kept=kept,
    )


def _keep(directory: Path, path: Path) -> Path:
    """Copy the files as they were found to a directory of their own (RECOVERY-1)."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    kept = next(
        place
        for place in (directory / f"damaged-{stamp}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
        if not place.exists()
    )
    kept.mkdir(mode=0o700)
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", CEILING_NAME):
        if (directory / name).exists():
            shutil.copy2(directory / name, kept / name)
            _sync(kept / name)
    sync_directory(kept)
    sync_directory(directory)
    return kept


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _work_directory(directory: Path) -> Iterator[Path]:
    work = directory / _WORK_NAME
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _read_copy(path: Path) -> _Salvage:
    """Return what is sound in the last good copy, which may be damaged itself."""
    if not path.exists():
        return _Salvage()
    try:
        with closing(open_for_reading(path, alone=True)) as connection:
            return _salvage(connection, [])
    except sqlite3.DatabaseError:
        return _Salvage()


def _salvage_all(path: Path, work: Path, known: list[tuple[str, str]]) -> tuple[_Salvage, _Salvage]:
    """Return what is in the database with the log up to its damage, and with all the frames of it that are sound.

    The second has newer states, but mixes pages of different times if a frame between is missing: so only its rows
    count, each of which has its checksum, and never that it lacks one.
    """
    log = read_log(path)
    template = work / "template.db"
    create(template)
    found = _salvage_with(path, work / "up-to-the-damage.db", log.frames[: log.usable], template, known)
    rest = [frame for frame in log.frames if frame.is_sound]
    if len(rest) == log.usable:
        return found, _Salvage()
    return found, _salvage_with(path, work / "with-all-frames.db", rest, template, known)


def _salvage_with(
    path: Path, work: Path, frames: Iterable[Frame], template: Path, known: list[tuple[str, str]]
) -> _Salvage:
    data = bytearray(path.read_bytes() if path.exists() else b"")
    for frame in frames:
        end = frame.page * _PAGE_BYTES
        if len(frame.data) == _PAGE_BYTES:
            data.extend(bytes(max(0, end - len(data))))
            data[end - _PAGE_BYTES : end] = frame.data
    data.extend(bytes(-len(data) % _PAGE_BYTES))
    for first_page in (bytes(data[:_PAGE_BYTES]), template.read_bytes()[:_PAGE_BYTES]):
        data[:_PAGE_BYTES] = first_page
        data[18:20] = b"\x01\x01"  # there is no log beside it: what was in it is applied
        data[28:32] = (len(data) // _PAGE_BYTES).to_bytes(4, "big")
        work.write_bytes(data)
        try:
            with closing(open_for_reading(work, alone=True)) as connection:
                if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'object'").fetchone()[0]:
                    return _salvage(connection, known)
        except sqlite3.DatabaseError:
            continue  # the first page is damaged: it says where the table is, which is the same in all our files
    return _Salvage()


def _salvage(connection: sqlite3.Connection, known: list[tuple[str, str]]) -> _Salvage:
    """Return the rows that are sound, those that are there but not sound, and which of the `known` ones are deleted."""
    connection.text_factory = lambda data: data.decode(errors="replace")
    found = _Salvage()
    for where in _readable_keys(connection, known) | {("", "")}:
        try:
            stored = _read_row(connection, where)
        except (sqlite3.Error, ValueError, TypeError):
            stored = None
        if stored is None:
            if where[0]:
                found.broken.add(where)
        elif where[0]:
            found.rows[where] = stored
        else:
            found.meta = stored
    for where in known:
        if where not in found.rows and where not in found.broken and _is_gone(connection, where):
            found.gone.add(where)
    return found


def _readable_keys(connection: sqlite3.Connection, known: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the keys on all pages that can be reached: from the start, from the end, and from `known` keys between."""
    keys: set[tuple[str, str]] = set()

    def scan(query: str, start: tuple[str, ...]) -> tuple[str, str] | None:
        """Add the keys of a query, and return the last one if an error ended it."""
        last = (start[0], start[1]) if start else ("", "")
        try:
            for kind, key in connection.execute(query, start):
                last = (kind, key)
                keys.add(last)
        except sqlite3.Error:
            return last
        return None

    forwards = "SELECT kind, key FROM object WHERE (kind, key) >= (?, ?) ORDER BY kind, key"
    reached = scan(forwards, ("", ""))
    for seed in known:
        if reached is None:
            return keys
        if seed > reached:
            last = scan(forwards, seed)
            reached = None if last is None else max(last, reached)
    if reached is not None:
        scan("SELECT kind, key FROM object ORDER BY kind DESC, key DESC", ())
    return keys


def _read_row(connection: sqlite3.Connection, where: tuple[str, str]) -> Stored | None:
    row = connection.execute("SELECT revision, data, checksum FROM object WHERE (kind, key) = (?, ?)", where).fetchone()
    if row is None:
        return None
    revision, data, checksum = row
    if not isinstance(revision, int) or not isinstance(data, bytes):
        return None
    stored = Stored(revision, data)
    return stored if checksum_of(*where, stored) == checksum else None


def _is_gone(connection: sqlite3.Connection, where: tuple[str, str]) -> bool:
    try:
        return connection.execute("SELECT 1 FROM object WHERE (kind, key) = (?, ?)", where).fetchone() is None
    except sqlite3.Error:
        return False
