"""The steps of a recovery one by one, on small directories: what is read, what is kept, and what is said as a whole."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pvbinder.server.store import recovery
from pvbinder.server.store.acknowledged import begin, read_acknowledged
from pvbinder.server.store.ceiling import read_ceiling
from pvbinder.server.store.database import FILE_NAME, LAST_GOOD_NAME, Database
from pvbinder.server.store.errors import DamagedDataError, DataDirectoryError, UnusableError
from pvbinder.server.store.findings import Current, Lost, Older, Recovery, Unproven
from pvbinder.server.store.last_good import keep_copy
from pvbinder.server.store.recovery import RecoveryFailed, recover
from pvbinder.server.store.state import Stored

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def thing(key: str) -> tuple[str, str]:
    return ("things", key)


def at(revision: int, letter: bytes = b"x") -> Stored:
    return Stored(revision, letter * 3000)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return NOW.astimezone(tz)

    monkeypatch.setattr(recovery, "datetime", Clock)


@contextmanager
def opened(directory: Path) -> Iterator[Database]:
    database = Database(directory)
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A directory as a kill leaves it: three objects in a copy, and then one changed, one deleted, one made."""
    with opened(tmp_path / "used") as database:
        first = {thing(key): at(200 + n, key.encode()) for n, key in enumerate("abc")}
        database.commit(dict(first), 202)
        assert database._connection is not None
        database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        copy = keep_copy(tmp_path / "used")
        assert copy is not None
        database.forget_acknowledged(copy)
        database.commit({thing("a"): at(203, b"A")}, 203, {thing("a"): first[thing("a")]})
        database.commit({thing("b"): None}, 204, {thing("b"): first[thing("b")]})
        database.commit({thing("d"): at(205, b"d")}, 205)
        shutil.copytree(tmp_path / "used", tmp_path / "data")
    os.utime(tmp_path / "data" / LAST_GOOD_NAME, (1_700_000_000, 1_700_000_000))
    (tmp_path / "data").chmod(0o700)
    return tmp_path / "data"


def stored_in(directory: Path) -> dict[str, Stored]:
    with opened(directory) as database:
        return {key: stored for _, key, stored in database.load()}


def log_of(directory: Path) -> Path:
    return directory / f"{FILE_NAME}-wal"


def shared_of(directory: Path) -> Path:
    return directory / f"{FILE_NAME}-shm"


def test_recovery_4_what_is_said_when_the_log_is_gone(killed: Path) -> None:
    log_of(killed).unlink()
    ceiling = read_ceiling(killed)
    assert ceiling is not None

    assert recover(killed) == Recovery(
        (
            Older("things", "a", 200, "database", 203),
            Current("things", "c", 202, "database"),
            Lost("things", "d", 205),
        ),
        deleted=(("things", "b"),),
        unnamed=0,
        newest_revision=202,
        acknowledged_revision=205,
        is_complete=False,
        why_unproven="",
        copy_revision=202,
        copy_time="2023-11-14T22:13:20Z",
        next_revision=ceiling + 1,
        kept=killed / "damaged-20260304T050607",
    )
    assert stored_in(killed) == {"a": at(200, b"a"), "c": at(202, b"c")}
    known = read_acknowledged(killed)
    assert known is not None
    assert (known.since, known.newest) == (ceiling, {})


def test_recovery_4_nothing_is_proven_without_the_list_and_the_copy(killed: Path) -> None:
    (killed / "acknowledged").unlink()
    (killed / LAST_GOOD_NAME).unlink()

    done = recover(killed)

    assert done is not None
    assert {type(each) for each in done.outcomes} == {Unproven}
    assert done.why_unproven == "there is no list of the writes that were acknowledged"
    assert (done.copy_revision, done.copy_time, done.acknowledged_revision) == (None, "", None)
    assert stored_in(killed) == {"a": at(203, b"A"), "b": at(201, b"b"), "c": at(202, b"c"), "d": at(205, b"d")}


def test_recovery_4_a_list_of_another_directory_is_left_out(killed: Path) -> None:
    begin(killed, "another", 204)

    done = recover(killed)

    assert done is not None
    assert done.acknowledged_revision is None
    assert done.why_unproven == "there is no list of the writes that were acknowledged"
    assert stored_in(killed)["d"] == at(205, b"d")


def test_recovery_2_a_copy_of_another_directory_is_left_out(killed: Path, tmp_path: Path) -> None:
    log_of(killed).unlink()
    with opened(tmp_path / "other") as database:
        database.commit({thing("theirs"): at(201)}, 202)
        keep_copy(tmp_path / "other")
    shutil.copy(tmp_path / "other" / LAST_GOOD_NAME, killed / LAST_GOOD_NAME)

    done = recover(killed)

    assert done is not None
    assert (done.copy_revision, done.copy_time) == (None, "")
    assert set(stored_in(killed)) == {"a", "c"}


def test_recovery_2_from_the_copy_alone(killed: Path) -> None:
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "acknowledged"):
        (killed / name).unlink()

    done = recover(killed)

    assert done is not None
    assert done.from_copy == tuple(thing(key) for key in "abc")
    assert (done.copy_revision, done.newest_revision, done.acknowledged_revision) == (202, 202, None)
    assert stored_in(killed) == {key: at(200 + n, key.encode()) for n, key in enumerate("abc")}


def test_recovery_2_what_can_be_read_of_a_damaged_copy_counts(killed: Path) -> None:
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (killed / name).unlink()
    copy = bytearray((killed / LAST_GOOD_NAME).read_bytes())
    copy[copy.index(b"cccc")] = 0
    (killed / LAST_GOOD_NAME).write_bytes(copy)

    done = recover(killed)

    assert done is not None
    assert done.outcomes == (
        Older("things", "a", 200, "copy", 203),
        Lost("things", "c", None),
        Lost("things", "d", 205),
    )
    assert (done.deleted, done.copy_revision) == ((thing("b"),), 202)


@pytest.mark.parametrize("has_list", [True, False])
def test_recovery_3_without_a_ceiling_revisions_jump_from_the_highest_that_is_known(
    killed: Path, has_list: bool
) -> None:
    log_of(killed).unlink()
    (killed / "ceiling").unlink()
    if not has_list:
        (killed / "acknowledged").unlink()

    done = recover(killed)

    assert done is not None
    assert done.next_revision == (205 if has_list else 202) + 1_000_001
    assert read_ceiling(killed) == done.next_revision - 1


def test_recovery_3_a_ceiling_that_is_too_low_does_not_count(killed: Path) -> None:
    log_of(killed).unlink()
    (killed / "ceiling").write_bytes(b"3\n")

    done = recover(killed)

    assert done is not None
    assert done.next_revision == 206


def test_recovery_5_a_sound_directory_is_left_as_it_is(killed: Path) -> None:
    before = {path.name for path in killed.iterdir()}

    assert recover(killed) is None
    assert {path.name for path in killed.iterdir()} == before | {"lock"}
    with opened(killed):
        pass


# ------------------------------------------------------------------------------------------------ what is kept


def test_recovery_1_files_are_kept_under_another_name_and_durably(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    handles: list[str] = []
    monkeypatch.setattr(recovery, "sync_directory", synced.append)
    real = os.fsync

    def fsync(handle: int) -> None:
        handles.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    names = {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "ceiling", "acknowledged"}
    before = {name: (killed / name).read_bytes() for name in names}

    kept = recovery._keep(killed, killed / FILE_NAME)

    assert kept == killed / "damaged-20260304T050607"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    same = {name for name in names if (kept / name).samefile(killed / name)}
    assert same == names - {f"{FILE_NAME}-shm"}, "SQLite makes that one anew in its place"
    assert synced == [kept, killed]
    assert handles == [str(kept / f"{FILE_NAME}-shm")]
    assert recovery._keep(killed, killed / FILE_NAME) == killed / "damaged-20260304T050607-2"
    assert recovery._keep(killed, killed / FILE_NAME) == killed / "damaged-20260304T050607-3"


def test_recovery_1_what_is_not_there_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "ceiling").write_bytes(b"7\n")

    kept = recovery._keep(tmp_path, tmp_path / FILE_NAME)

    assert [path.name for path in kept.iterdir()] == ["ceiling"]


def test_recovery_1_files_are_copied_where_they_can_not_have_two_names(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    before = (killed / FILE_NAME).read_bytes()

    kept = recovery._keep(killed, killed / FILE_NAME)

    assert (kept / FILE_NAME).read_bytes() == before
    assert not (kept / FILE_NAME).samefile(killed / FILE_NAME)
    assert stat.S_IMODE((kept / FILE_NAME).stat().st_mode) == 0o600


def test_recovery_1_nothing_half_kept_stays_when_the_disk_says_no(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_of(killed).unlink()
    before = {path.name for path in killed.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "_sync", full)
        with pytest.raises(UnusableError) as refused:
            recover(killed)

    assert refused.value.message == f"can't use {killed}: the disk is full"
    assert {path.name for path in killed.iterdir()} - {"lock"} == before - {"reserve", "lock"}
    assert recover(killed) is not None, "and it can be tried again"


@pytest.mark.parametrize("step", ["create", "write_ceiling"])
def test_recovery_1_what_was_kept_goes_again_when_nothing_could_be_replaced(
    killed: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    log_of(killed).unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(recovery, step, full)
        with pytest.raises(UnusableError):
            recover(killed)

    assert [path.name for path in killed.iterdir() if path.is_dir()] == []
    assert (killed / FILE_NAME).exists()
    done = recover(killed)
    assert done is not None
    assert done.kept == killed / "damaged-20260304T050607"


def test_recovery_1_what_was_kept_stays_once_the_new_file_is_there(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_of(killed).unlink()

    def fail_at_the_end(directory: Path) -> None:
        if (directory / "recovered.db").exists():
            raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "finish_recovery", fail_at_the_end)
        with pytest.raises(UnusableError):
            recover(killed)

    assert (killed / "damaged-20260304T050607" / FILE_NAME).exists()
    assert not (killed / "recovering").exists()
    assert set(stored_in(killed)) == {"a", "c"}, "the next start goes on"


def test_recovery_1_nothing_is_replaced_by_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("not a database at all" * 500)
    (tmp_path / "reserve").write_bytes(b"room")

    with pytest.raises(RecoveryFailed) as failed:
        recover(tmp_path)

    assert failed.value.message == f"nothing can be read from {path} and there is no copy"
    assert failed.value.hint == f"the files are kept in {tmp_path / 'damaged-20260304T050607'}"
    assert isinstance(failed.value.__cause__, DamagedDataError)
    assert not (tmp_path / "reserve").exists(), "a recovery may have its room"
    with pytest.raises(RecoveryFailed):
        recover(tmp_path)


def test_a_directory_without_our_files_is_not_recovered(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError) as refused:
        recover(tmp_path)

    assert refused.value.message == f"{tmp_path} is no data directory of pvbinder"
    assert refused.value.hint == "name another with --data-dir"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [FILE_NAME, LAST_GOOD_NAME])
def test_an_empty_file_is_recovered_from_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")

    with pytest.raises(RecoveryFailed) as failed:
        recover(tmp_path)

    assert isinstance(failed.value.__cause__, DamagedDataError)
    assert failed.value.__cause__.message == f"{tmp_path / FILE_NAME} is damaged: there is nothing in it any more"


def test_recovery_5_a_work_directory_of_before_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "recovering").mkdir()
    (tmp_path / "recovering" / "old").write_text("")

    with recovery._work_directory(tmp_path) as work:
        assert work == tmp_path / "recovering"
        assert list(work.iterdir()) == []
        assert stat.S_IMODE(work.stat().st_mode) == 0o700
        (work / "new").write_text("")

    assert list(tmp_path.iterdir()) == []
