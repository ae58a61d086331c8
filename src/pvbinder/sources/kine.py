"""kine, etcd's API over SQL, in its SQLite form, which k3s has: a table of revisions.

KINE-1  A name has the value of its newest row, or of the newest up to `at_revision`, unless that row deletes it; a
        row's number is its revision.
KINE-2  A revision that isn't written yet, or compacted already, is refused with those that there are.
KINE-3  The database is never written: one in use is read under SQLite's own locks; of one that was copied without its
        index of the log (``-shm``), a copy is read.
KINE-4  A database that is damaged, or made to mislead, ends in an error: only a table is read, within limits of size
        and time.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from pvbinder.sources.errors import DumpFileError
from pvbinder.sources.etcd import StoredValue
from pvbinder.sources.revisions import Moment

SQLITE: Final = b"SQLite format 3\0"
VALUE_BYTES_MAX: Final = 64 << 20
SECONDS_MAX: Final = 600.0
_STEPS: Final = 1_000_000  # of SQLite between two looks at the clock
_COLUMNS: Final = frozenset({"id", "name", "created", "deleted", "prev_revision", "value"})
_OF_OURS: Final = "object"


def read_kine(path: Path, at_revision: int | None = None) -> Iterator[StoredValue]:
    """Yield the names that there are at a revision, in the order of their revisions (KINE-1); raise `DumpFileError`."""
    try:
        with _opened(path) as database:
            database.execute("BEGIN")  # one moment for all that follows
            _check_table(database, path)
            yield from _newest(database, str(path), at_revision)
    except (sqlite3.Error, OverflowError) as error:
        raise DumpFileError(f"{path} can't be read as a database of kine: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database for reading (KINE-3)."""
    log, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    with tempfile.TemporaryDirectory(prefix="pvbinder-kine-") as folder:
        place = path
        if log.exists() and not index.exists():
            place = Path(folder) / "copy.db"
            shutil.copyfile(path, place)
            shutil.copyfile(log, place.with_name("copy.db-wal"))
        mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{place.absolute().as_uri()}?{mode}", uri=True, timeout=5)) as database:
            _limit(database)
            yield database


def _limit(database: sqlite3.Connection) -> None:
    """See that a hostile database costs neither memory nor time (KINE-4)."""
    database.isolation_level = None
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    database.execute("PRAGMA query_only = ON")
    database.text_factory = bytes
    until = time.monotonic() + SECONDS_MAX
    database.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)


def _check_table(database: sqlite3.Connection, path: Path) -> None:
    tables = {
        name.decode(errors="replace")
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchmany(1000)
    }
    if "kine" not in tables:
        hint = f"is it pvbinder's own? pvbinder export --data-dir {path.parent}" if _OF_OURS in tables else None
        raise DumpFileError(f"{path} is a database of SQLite, and not of kine: it has no table kine", hint=hint)
    columns = {name.decode(errors="replace") for _, name, *_ in database.execute("PRAGMA table_info(kine)")}
    if missing := _COLUMNS - columns:
        raise DumpFileError(f"{path} is no database of kine that is known: no {', '.join(sorted(missing))}")


def _newest(database: sqlite3.Connection, name: str, at_revision: int | None) -> Iterator[StoredValue]:
    (newest,) = database.execute("SELECT max(id) FROM kine").fetchone()
    (compacted,) = database.execute("SELECT max(prev_revision) FROM kine WHERE name = 'compact_rev_key'").fetchone()
    if not isinstance(newest or 0, int) or not isinstance(compacted or 0, int):
        raise DumpFileError(f"{name} is damaged: its revisions are no numbers")
    moment = Moment(name, compacted or 0, newest or 0, at_revision)
    rows = database.execute(
        "SELECT id, name, value FROM kine WHERE deleted = 0 AND name <> 'compact_rev_key' AND id IN "
        "(SELECT max(id) FROM kine WHERE id <= ? GROUP BY name) ORDER BY id",
        (moment.revision,),
    )
    for revision, key, value in rows:
        if not isinstance(key, bytes) or not isinstance(value, bytes | None):
            raise DumpFileError(f"{name} is damaged: row {revision} has no name or no value")
        yield StoredValue(key, value or b"", revision)
