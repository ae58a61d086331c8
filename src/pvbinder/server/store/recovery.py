"""Recovery of a damaged data directory: of each object the newest state that can be read, and a word on each.

RECOVERY-1  Nothing is destroyed: the files as they were found are kept in ``damaged-TIME`` beside the new one.
RECOVERY-2  Of each object the newest state that is sound anywhere is taken: on any page of the database, in the commits
            of its log, in the copy. An object that is known to be deleted is not brought back.
RECOVERY-3  Revisions go on above any that was given out (CEILING-1), so no client takes a new state for an old one.
RECOVERY-4  It says of each object whether it is current, older, lost, or can't be judged (`findings.py`), and claims no
            more than is proven: by the totals that the file has of itself, or the list of acknowledged writes.
RECOVERY-5  It may be interrupted and repeated: the new file takes the place of the damaged one in one step, when it is
            whole and on disk. On a sound directory it does nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pvbinder.model.errors import PvbinderError
from pvbinder.server.files.private_files import sync_directory
from pvbinder.server.store.acknowledged import FILE_NAME as ACKNOWLEDGED_NAME
from pvbinder.server.store.acknowledged import Acknowledged, read_acknowledged
from pvbinder.server.store.ceiling import FILE_NAME as CEILING_NAME
from pvbinder.server.store.ceiling import read_ceiling, write_ceiling
from pvbinder.server.store.checksums import Totals, checksum_of
from pvbinder.server.store.database import finish_recovery, read_sound
from pvbinder.server.store.directory import FILE_NAME, LAST_GOOD_NAME, RECOVERED_NAME, lock_directory
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError
from pvbinder.server.store.findings import Current, FoundIn, Lost, MaybeDeleted, Older, Outcome, Recovery, Unproven
from pvbinder.server.store.log_file import Frame, read_log
from pvbinder.server.store.making import EMPTY_STORE_REVISION, create
from pvbinder.server.store.pages import PAGE_BYTES, rows_in, with_frames
from pvbinder.server.store.reserve import Reserve
from pvbinder.server.store.sound import check_acknowledged, checked_rows, identity_in, open_for_reading
from pvbinder.server.store.state import Stored

__all__ = ["Recovery", "RecoveryFailed", "recover"]

_WORK_NAME = "recovering"
_UNKNOWN_CEILING = 1_000_000  # how far revisions jump when it isn't known which were given out

Where = tuple[str, str]


class RecoveryFailed(PvbinderError):  # noqa: N818  (says what happened)
    """Nothing could be recovered; everything is as it was."""


@dataclass(slots=True)
class _Salvage:
    """The objects found in the files: of each the newest sound state, and states that are damaged."""

    rows: dict[Where, tuple[Stored, FoundIn]] = field(default_factory=dict)
    broken: set[Where] = field(default_factory=set)
    meta: Stored | None = None
    identity: str = ""
    is_whole: bool = False  # nothing is missing from it, by its totals
    log_is_damaged: bool = False

    def add(self, image: bytes, source: FoundIn) -> None:
        """Take in newer states from the pages of `image`."""
        for row in rows_in(image, self.identity):
            where = (row.kind, row.key)
            if not row.is_sound:
                if row.kind:
                    self.broken.add(where)
            elif not row.kind:
                if self.meta is None or self.meta.revision < row.stored.revision:
                    self.meta = row.stored
            elif where not in self.rows or self.rows[where][0].revision < row.stored.revision:
                self.rows[where] = (row.stored, source)


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
            check_acknowledged(path, read_sound(path), read_acknowledged(directory))
        except DamagedDataError as error:
            Reserve(directory).give_up()
            return _recover(directory, path, error)
        return None
    except (OSError, sqlite3.Error) as error:
        raise UnusableError(directory, error) from error
    finally:
        os.close(lock)


def _recover(directory: Path, path: Path, why: DamagedDataError) -> Recovery:
    kept = _keep(directory, path)
    try:
        return _replace(directory, path, kept, why)
    except (OSError, sqlite3.Error, UnusableError):
        with suppress(OSError):
            if path.samefile(kept / path.name) and not (directory / RECOVERED_NAME).exists():
                shutil.rmtree(kept)  # nothing was replaced: all files are where they were
        raise


def _replace(directory: Path, path: Path, kept: Path, why: DamagedDataError) -> Recovery:
    known = read_acknowledged(directory)
    found = _salvage(path, known, _identity_of_file(directory / LAST_GOOD_NAME))
    identity = found.identity or (known.identity if known is not None else "")
    copy, copy_time = _read_copy(directory / LAST_GOOD_NAME, identity)
    if known is not None and found.identity != known.identity:
        known = None  # it is about another directory
    choice = _Choice(found, copy, known)
    if not choice.rows and not choice.outcomes:
        raise RecoveryFailed(
            f"nothing can be read from {path} and there is no copy", hint=f"the files are kept in {kept}"
        ) from why
    metas = [meta for meta in (found.meta, copy.meta) if meta is not None]
    revisions = [*(stored.revision for stored, _ in choice.rows.values()), *(meta.revision for meta in metas)]
    if known is not None:
        revisions.append(known.revision)
    ceiling = read_ceiling(directory)
    revision = max(revisions) + _UNKNOWN_CEILING if ceiling is None else max(ceiling, *revisions)
    identity = identity or secrets.token_hex(16)
    with _work_directory(directory) as work:
        new = work / RECOVERED_NAME
        rows = ((kind, key, stored) for (kind, key), (stored, _) in sorted(choice.rows.items()))
        create(new, rows, revision, identity)
        with closing(open_for_reading(new, alone=True)) as connection:
            for _ in checked_rows(connection, new):
                pass
        write_ceiling(directory, revision)
        new.replace(directory / RECOVERED_NAME)
        sync_directory(directory)
    finish_recovery(directory)
    return Recovery(
        outcomes=tuple(sorted(choice.outcomes, key=lambda each: (each.kind, each.key))),
        deleted=tuple(sorted(choice.deleted)),
        unnamed=choice.unnamed,
        newest_revision=max((stored.revision for stored, _ in choice.rows.values()), default=0),
        acknowledged_revision=known.revision if known is not None else None,
        is_complete=choice.is_complete,
        why_unproven=choice.why_unproven,
        copy_revision=copy.meta.revision if copy.meta is not None else None,
        copy_time=copy_time,
        next_revision=revision + 1,
        kept=kept,
    )


class _Choice:
    """The choice of states, and the findings about them (RECOVERY-2, RECOVERY-4)."""

    def __init__(self, found: _Salvage, copy: _Salvage, known: Acknowledged | None) -> None:
        self.rows: dict[Where, tuple[Stored, FoundIn]] = {}
        self.outcomes: list[Outcome] = []
        self.deleted: list[Where] = []
        self._found, self._copy, self._known = found, copy, known
        self._noted = known.newest if known is not None else {}
        copy_revision = copy.meta.revision if copy.is_whole and copy.meta is not None else 0
        # every write since a state that is known as a whole is known by name
        self._knows = known is not None and known.is_whole and max(copy_revision, EMPTY_STORE_REVISION) >= known.since
        self._copy_revision = copy_revision
        places = found.rows.keys() | copy.rows.keys() | found.broken | copy.broken | self._noted.keys()
        for where in places:
            self._judge(where)
        meta = found.meta
        self.unnamed = 0
        self.is_complete = self._knows and all(isinstance(each, Current) for each in self.outcomes)
        if meta is not None and self._is_last(meta):
            totals = Totals.decode(meta.data)
            if _totals_of(self.rows) == totals:
                self._all_current()
            elif not self._knows:
                self.unnamed = max(0, totals.objects - len(self.rows) - self._count(Lost))
        self.why_unproven = "" if self.is_complete or self._knows else self._why()

    def _is_last(self, meta: Stored) -> bool:
        """Whether the totals in `meta` are those of the last acknowledged write, as far as can be known."""
        if self._known is None:
            return not self._found.log_is_damaged and not self._found.identity
        return meta.revision >= self._known.revision

    def _all_current(self) -> None:
        self.is_complete = True
        self.outcomes = [Current(*where, stored.revision, source) for where, (stored, source) in self.rows.items()]

    def _count(self, outcome: type[Outcome]) -> int:
        return sum(isinstance(each, outcome) for each in self.outcomes)

    def _judge(self, where: Where) -> None:
        best = self._found.rows.get(where)
        in_copy = self._copy.rows.get(where)
        if in_copy is not None and (best is None or best[0].revision <= in_copy[0].revision):
            best = in_copy if best is None or best[0] != in_copy[0] else (in_copy[0], best[1])
        noted = self._noted.get(where)
        if noted is not None:
            if noted.deleted and (best is None or best[0].revision <= noted.revision):
                if best is not None:
                    self.deleted.append(where)
            elif best is None:
                self.outcomes.append(Lost(*where, noted.revision))
            elif best[0].revision < noted.revision:
                self._take(where, best, Older(*where, best[0].revision, best[1], noted.revision))
            elif best[0].revision > noted.revision:  # it came after the end of the list
                self._take(where, best, Unproven(*where, best[0].revision, best[1]))
            else:
                self._take(where, best, Current(*where, best[0].revision, best[1]))
        elif self._knows:
            if best is not None and in_copy is not None and best[0] == in_copy[0]:
                self._take(where, best, Current(*where, best[0].revision, best[1]))
            elif best is not None and best[0].revision > self._copy_revision:
                self._take(where, best, Unproven(*where, best[0].revision, best[1]))
            elif best is not None:
                self.deleted.append(where)  # before the copy was made, which doesn't have it
        elif best is None:
            self.outcomes.append(Lost(*where, None))
        elif in_copy is None and self._copy_revision and best[0].revision <= self._copy_revision:
            self.deleted.append(where)
        elif where in self._found.rows:
            self._take(where, best, Unproven(*where, best[0].revision, best[1]))
        elif self._found.is_whole and self._found.meta and self._found.meta.revision >= self._copy_revision:
            self.deleted.append(where)
        elif where in self._found.broken:
            self._take(where, best, Unproven(*where, best[0].revision, best[1]))
        else:
            self._take(where, best, MaybeDeleted(*where, best[0].revision, best[1]))

    def _take(self, where: Where, best: tuple[Stored, FoundIn], outcome: Outcome) -> None:
        self.rows[where] = best
        self.outcomes.append(outcome)

    def _why(self) -> str:
        if self._known is None:
            return "there is no list of the writes that were acknowledged"
        if not self._known.is_whole:
            return "the list of the writes that were acknowledged is damaged, too"
        return "the list of the writes that were acknowledged begins after the copy, or there is no copy that is whole"


def _totals_of(rows: dict[Where, tuple[Stored, FoundIn]]) -> Totals:
    return Totals(len(rows), sum(checksum_of(*where, stored) for where, (stored, _) in rows.items()))


def _salvage(path: Path, known: Acknowledged | None, identity_of_copy: str) -> _Salvage:
    """Return what is in the database and its log; nothing of a database that is of another directory.

    That it is one is believed when the copy and the list of acknowledged writes agree on whose the directory is.

    Three states are looked at: with all frames of the log that are sound, with those before its damage, with none. If
    one of the first two is whole, and the last that was acknowledged, it alone counts.
    """
    database = path.read_bytes() if path.exists() else b""
    identity = _identity_of(with_frames(database, []))
    if identity and known is not None and known.identity == identity_of_copy != identity:
        database, identity = b"", ""
    identity = identity or (known.identity if known is not None else "")
    log = read_log(path)
    sound = [frame for frame in log.frames if frame.is_sound]
    if identity and _is_of_another(sound, identity):
        log, sound = replace(log, frames=[], usable=0, lost=True), []
    images: list[tuple[bytes, FoundIn]] = [(with_frames(database, sound), "log" if sound else "database")]
    if log.usable != len(sound):
        images.append((with_frames(database, log.frames[: log.usable]), "log"))
    if sound:
        images.append((with_frames(database, []), "database"))
    every = _Salvage(log_is_damaged=log.lost)
    for image, source in images:
        whole = _whole(image, path)
        if whole is not None and whole.meta is not None:
            every.identity = every.identity or whole.identity
            if known is not None and whole.identity == known.identity and whole.meta.revision >= known.revision:
                return whole
            every.is_whole = every.is_whole or every.meta is None or whole.meta.revision >= every.meta.revision
        every.identity = every.identity or _identity_of(image) or (known.identity if known is not None else "")
        every.add(image, source)
    return every


def _is_of_another(frames: list[Frame], identity: str) -> bool:
    """Whether a log is of another directory: the row of the revision, which each commit writes, says so."""
    for frame in frames:
        for row in rows_in(bytes(PAGE_BYTES) + frame.data, identity):  # not as the first page, which has a header
            if not row.kind:
                return not row.is_sound
    return False


def _whole(image: bytes, path: Path) -> _Salvage | None:
    """Return what is in a file that is sound as a whole; None if it isn't."""
    if not image:
        return None
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(image)
            if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                return None
            found = _Salvage(is_whole=True, identity=identity_in(connection))
            for kind, key, stored in checked_rows(connection, path):
                if kind:
                    found.rows[kind, key] = (stored, "database")
                else:
                    found.meta = stored
    except (sqlite3.Error, DamagedDataError, ValueError, TypeError, OverflowError):
        return None
    return found


def _identity_of(image: bytes) -> str:
    if not image:
        return ""
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(image)
            return identity_in(connection)
    except (sqlite3.Error, ValueError, OverflowError):
        return ""


def _identity_of_file(path: Path) -> str:
    try:
        return _identity_of(path.read_bytes())
    except OSError:
        return ""


def _read_copy(path: Path, identity: str) -> tuple[_Salvage, str]:
    """Return what is sound in the last good copy, which may be damaged itself, and when it was made."""
    try:
        image, made = path.read_bytes(), path.stat().st_mtime
    except OSError:
        return _Salvage(), ""
    if identity and (other := _identity_of(image)) and other != identity:
        return _Salvage(), ""  # a copy of another directory
    found = _whole(image, path)
    if found is None:
        found = _Salvage(identity=identity)
        found.add(image, "copy")
    found.rows = {where: (stored, "copy") for where, (stored, _) in found.rows.items()}
    return found, datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _keep(directory: Path, path: Path) -> Path:
    """Keep the files as they were found in a directory of their own (RECOVERY-1).

    Under another name, not copied, where that can be: it needs no room, and they aren't changed any more, but replaced.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    kept = next(
        place
        for place in (directory / f"damaged-{stamp}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
        if not place.exists()
    )
    kept.mkdir(mode=0o700)
    try:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", CEILING_NAME, ACKNOWLEDGED_NAME):
            if (directory / name).exists():
                _keep_file(directory / name, kept / name)
        sync_directory(kept)
        sync_directory(directory)
    except OSError:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    return kept


def _keep_file(path: Path, kept: Path) -> None:
    if not path.name.endswith("-shm"):  # SQLite makes that one anew in its place
        with suppress(OSError):
            kept.hardlink_to(path)
            return
    shutil.copy2(path, kept)
    _sync(kept)


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
