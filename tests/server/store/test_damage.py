"""What a killed writer leaves behind, and then is damaged: torn ends are fine, everything else is recognised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pvbinder.server.store.ceiling import read_ceiling, write_ceiling
from pvbinder.server.store.database import FILE_NAME, DamagedDataError, Database
from pvbinder.server.store.state import Stored

pytestmark = pytest.mark.slow

PAGE = 4096
FRAME = PAGE + 24
OBJECTS = 600
# It says how far it got after each commit, so that it is known what was acknowledged, and ends as `kill -9` ends it.
WRITER = f"""
import os, pathlib, signal, sys
from pvbinder.server.store.database import Database
from pvbinder.server.store.state import Stored
database = Database(pathlib.Path(sys.argv[1]))
for n in range({OBJECTS}):
    database.commit({{("things", f"k{{n:04}}"): Stored(200 + n, b"%d " % n * 300)}}, 200 + n)
if sys.argv[2] == "in the database":
    database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_writer(directory: Path, where: str) -> Path:
    """Have a process write `OBJECTS` objects, each in a commit of its own, and be killed."""
    run_writer(WRITER, directory, where)
    return directory / FILE_NAME


def run_writer(script: str, directory: Path, where: str) -> None:
    """Run a script that writes and kills itself."""
    process = subprocess.run([sys.executable, "-c", script, str(directory), where], timeout=60, check=False)
    assert process.returncode == -signal.SIGKILL


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def keys_in(directory: Path) -> list[str]:
    database = Database(directory)
    try:
        return [key for _, key, _ in database.load()]
    finally:
        database.close()


ALL = [f"k{n:04}" for n in range(OBJECTS)]


def append_half_a_commit(log: Path) -> None:
    """Add what a writer that was killed in the middle of writing leaves: a frame of this log, and half of one."""
    whole = log.read_bytes()
    frame = whole[32 : 32 + FRAME]
    log.write_bytes(whole + frame + frame[:1000])


@pytest.mark.parametrize("has_shared_file", [True, False], ids=["killed", "power cut"])
def test_log_file_1_a_torn_end_of_the_log_loses_nothing(tmp_path: Path, has_shared_file: bool) -> None:
    path = killed_writer(tmp_path, "in the log")
    append_half_a_commit(log_of(path))
    if not has_shared_file:
        path.with_name(path.name + "-shm").unlink()
    assert keys_in(tmp_path) == ALL


def zeros_in_the_middle(log: Path) -> None:
    overwrite(log, 32 + FRAME * 100 + 24, b"\0" * PAGE)


def one_byte(log: Path) -> None:
    at = 32 + FRAME * 100 + 2000
    overwrite(log, at, bytes([log.read_bytes()[at] ^ 1]))


def cut_in_half(log: Path) -> None:
    os.truncate(log, 32 + FRAME * 200 + 77)


def last_commit_gone(log: Path) -> None:
    os.truncate(log, log.stat().st_size - FRAME)


def header(log: Path) -> None:
    overwrite(log, 0, b"\xff" * 32)


def gone(log: Path) -> None:
    log.unlink()


@pytest.mark.parametrize("damage", [zeros_in_the_middle, one_byte, cut_in_half, last_commit_gone, header, gone])
def test_log_file_1_a_log_without_some_acknowledged_commits_is_recognised(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = killed_writer(tmp_path, "in the log")
    damage(log_of(path))
    assert_refused_and_unchanged(tmp_path)


def test_log_file_1_damage_in_the_middle_is_recognised_after_a_power_cut_too(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the log")
    one_byte(log_of(path))
    path.with_name(path.name + "-shm").unlink()
    assert_refused_and_unchanged(tmp_path)


def assert_refused_and_unchanged(directory: Path) -> DamagedDataError:
    """Check that the directory is refused, twice, and that what is in the files is left as it was found."""
    names = [path for path in directory.iterdir() if path.name in (FILE_NAME, f"{FILE_NAME}-wal")]
    before = {path: path.read_bytes() for path in names}
    with pytest.raises(DamagedDataError, match="is damaged: "):
        Database(directory)
    with pytest.raises(DamagedDataError, match="is damaged: ") as refused:
        Database(directory)
    assert f"pvbinder recover --data-dir {directory}" in str(refused.value.hint)
    assert {path: path.read_bytes() for path in names} == before
    return refused.value


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: os.truncate(path, path.stat().st_size // 2), "truncated"),
        (lambda path: os.truncate(path, 0), "emptied"),
        (lambda path: path.unlink(), "gone"),
        (lambda path: overwrite(path, 0, b"\xff" * 100), "header"),
        (lambda path: overwrite(path, PAGE * 20, b"\0" * PAGE), "zeros"),
        (lambda path: overwrite(path, PAGE * 20, os.urandom(PAGE * 3)), "noise"),
        (lambda path: overwrite(path, PAGE * 20 + 512, b"\0" * 512), "a sector"),
        (lambda path: overwrite(path, path.read_bytes().index(b"77 77 77"), b"7"), "nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_database_5_a_damaged_file_is_recognised(tmp_path: Path, damage: Callable[[Path], None], what: str) -> None:
    path = killed_writer(tmp_path, "in the database")
    damage(path)
    if what == "nothing":  # the same byte as before
        assert keys_in(tmp_path) == ALL
    else:
        assert_refused_and_unchanged(tmp_path)


def test_database_5_a_single_changed_byte_of_an_object_is_recognised(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the database")
    overwrite(path, path.read_bytes().index(b"77 77 77"), b"8")
    assert "things k0077 is not what was written" in assert_refused_and_unchanged(tmp_path).message


def test_database_5_a_page_of_an_earlier_time_is_recognised(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.commit({("things", f"k{n}"): Stored(200, b"x" * 500) for n in range(200)}, 200)
    database.close()
    early = (tmp_path / FILE_NAME).read_bytes()
    database = Database(tmp_path)
    database.commit({("things", "k77"): Stored(201, b"y" * 500)}, 201, {("things", "k77"): Stored(200, b"x" * 500)})
    database.close()
    late = (tmp_path / FILE_NAME).read_bytes()
    at = next(at for at in range(0, len(late), PAGE) if b"y" * 500 in late[at : at + PAGE])
    overwrite(tmp_path / FILE_NAME, at, early[at : at + PAGE])
    assert_refused_and_unchanged(tmp_path)


def test_ceiling_1_after_a_kill_revisions_go_on_above_any_that_was_given_out(tmp_path: Path) -> None:
    killed_writer(tmp_path, "in the log")
    database = Database(tmp_path)
    assert database.revision() >= 200 + OBJECTS - 1
    assert database.revision() == read_ceiling(tmp_path)
    database.close()


def test_ceiling_1_a_clean_stop_leaves_no_gap(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.commit({("things", "a"): Stored(200, b"{}")}, 200)
    database.close()
    assert read_ceiling(tmp_path) == 200


def test_ceiling_1_an_older_file_in_its_place_does_not_bring_revisions_again(tmp_path: Path) -> None:
    Database(tmp_path).close()
    write_ceiling(tmp_path, 5000)
    database = Database(tmp_path)
    assert database.revision() == 5000
    database.close()
