"""The data directory: what holds on disk, and what is said when it can't be used."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.store.database import FILE_NAME, LOCK_NAME, Database, DataDirectoryError, WriteFailed
from pvbinder.server.store.directory import OWN_FILES
from pvbinder.server.store.recovery import recover
from pvbinder.server.store.state import Stored


def test_database_1_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    database = Database(tmp_path)
    assert database._connection is not None
    (journal,) = database._connection.execute("PRAGMA journal_mode").fetchone()
    assert database._connection is not None
    (synchronous,) = database._connection.execute("PRAGMA synchronous").fetchone()
    assert (journal, synchronous) == ("wal", 2)
    database.close()


def test_database_2_a_batch_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.commit({("things", "a"): Stored(200, b"{}")}, 200)
    database.limit_size(1)
    with pytest.raises(WriteFailed):
        database.commit({("things", "b"): Stored(201, b"{}"), ("things", "c"): Stored(202, b"x" * 1_000_000)}, 202)
    database.close()

    database = Database(tmp_path)
    assert [(key, stored.revision) for _, key, stored in database.load()] == [("a", 200)]
    assert database.revision() == 202, "a revision that was given out doesn't come again, though its write failed"
    database.close()


def test_database_3_a_second_process_is_told_and_changes_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path)
    code = "import sys, pathlib, pvbinder.server.store.database as d; d.Database(pathlib.Path(sys.argv[1]))"
    second = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode != 0
    assert f"another pvbinder is running on {tmp_path} (process {os.getpid()})" in second.stderr
    with pytest.raises(DataDirectoryError, match="another pvbinder is running"):
        Database(tmp_path)
    database.commit({("things", "a"): Stored(200, b"{}")}, 200)
    database.close()
    Database(tmp_path).close()


def test_database_4_only_the_owner_can_read_it(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    database = Database(directory)
    database.commit({("secrets", "a"): Stored(200, b"{}")}, 200)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    database.close()


def test_database_4_a_link_in_the_place_of_a_file_is_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in OWN_FILES:
        directory = tmp_path / f"data of {name}"
        Database(directory).close()
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(victim)
        with pytest.raises(PrivateFileError, match=f"{name} is a link"):
            Database(directory)
        with pytest.raises(PrivateFileError, match=f"{name} is a link"):
            recover(directory)
    assert victim.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_database_4_a_directory_or_a_file_of_somebody_else_is_refused_and_not_changed(tmp_path: Path) -> None:
    Database(tmp_path / "data").close()
    os.chown(tmp_path / "data" / FILE_NAME, 54321, 54321)
    with pytest.raises(PrivateFileError, match="belongs to user 54321"):
        Database(tmp_path / "data")
    os.chown(tmp_path / "data", 54321, 54321)
    with pytest.raises(PrivateFileError, match="belongs to user 54321"):
        Database(tmp_path / "data")


def refusal(directory: Path) -> DataDirectoryError:
    with pytest.raises(DataDirectoryError) as refused:
        Database(directory)
    assert refused.value.hint
    return refused.value


def test_a_directory_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "files in it that are not pvbinder's" in refusal(tmp_path).message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "is not a directory" in refusal(tmp_path / "data").message


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_a_directory_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert "can't use" in refusal(tmp_path).message
    finally:
        tmp_path.chmod(0o700)


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Database(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "newer pvbinder (format 99" in refusal(tmp_path).message


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()
    assert "a database of another program" in refusal(tmp_path).message


@pytest.mark.parametrize("damage", ["not a database at all" * 500, ""], ids=["other bytes", "a torn page"])
def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    database = Database(tmp_path)
    database.commit({("things", f"k{n}"): Stored(200 + n, b"x" * 1000) for n in range(50)}, 250)
    database.close()
    path = tmp_path / FILE_NAME
    if damage:
        path.write_text(damage)
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:8192] + b"\xff" * 4096 + whole[12288:])
    before = path.read_bytes()
    assert "is damaged" in refusal(tmp_path).message
    assert path.read_bytes() == before


def test_the_lock_is_free_again_after_a_refusal(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("")
    (tmp_path / FILE_NAME).write_text("not a database at all" * 500)
    refusal(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    Database(tmp_path).close()
