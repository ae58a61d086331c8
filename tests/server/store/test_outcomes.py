"""The verdict of a recovery on each object, for every kind of damage, compared with the acknowledged writes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import pytest
from tests.server.store.test_damage import PAGE, log_of, overwrite, run_writer

from pvbinder.server.store.acknowledged import FILE_NAME as ACKNOWLEDGED_NAME
from pvbinder.server.store.acknowledged import read_acknowledged
from pvbinder.server.store.database import FILE_NAME, LAST_GOOD_NAME, DamagedDataError, Database
from pvbinder.server.store.errors import DataDirectoryError
from pvbinder.server.store.findings import Current, Lost, MaybeDeleted, Older, Recovery, Unproven
from pvbinder.server.store.last_good import keep_copy
from pvbinder.server.store.recovery import recover
from pvbinder.server.store.state import Stored

# 400 objects and a copy of them; then 14 are changed, 50 deleted, 30 made, each with a word on stdout when it is
# acknowledged; killed with that in the log.
WRITER = """
import os, pathlib, signal, sys
from pvbinder.server.store.database import Database
from pvbinder.server.store.last_good import keep_copy
from pvbinder.server.store.state import Stored
directory = pathlib.Path(sys.argv[1])
database = Database(directory)
def data(n, word): return b"%s %d " % (word, n) * (60 if n % 7 else 500)
first = {("things", f"k{n:04}"): Stored(200 + n, data(n, b"first")) for n in range(400)}
database.commit(first, 599)
database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.forget_acknowledged(keep_copy(directory))
if sys.argv[2] == "early":
    os.kill(os.getpid(), signal.SIGKILL)
for n in range(14):
    where = ("things", f"k{n * 20:04}")
    database.commit({where: Stored(600 + n, data(n, b"second"))}, 600 + n, {where: first[where]})
for n in range(50):
    where = ("things", f"k{n * 5 + 3:04}")
    database.commit({where: None}, 620 + n, {where: first[where]})
for n in range(30):
    database.commit({("things", f"m{n:04}"): Stored(700 + n, data(n, b"made"))}, 700 + n)
if sys.argv[2] == "in the database":
    database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
os.kill(os.getpid(), signal.SIGKILL)
"""
CHANGED = {f"k{n * 20:04}": 600 + n for n in range(14)}
DELETED = {f"k{n * 5 + 3:04}" for n in range(50)}
MADE = {f"m{n:04}": 700 + n for n in range(30)}
FIRST = {f"k{n:04}": 200 + n for n in range(400)}
LAST = {key: revision for key, revision in (FIRST | CHANGED | MADE).items() if key not in DELETED}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The directories of killed writers; tests must not change them."""
    found = {}
    for where in ("in the log", "in the database", "early"):
        found[where] = tmp_path_factory.mktemp("written") / "data"
        run_writer(WRITER, found[where], where)
    return found


def copied(directory: Path, to: Path) -> Path:
    shutil.copytree(directory, to)
    return to / FILE_NAME


def stored_in(directory: Path) -> dict[str, int]:
    database = Database(directory)
    try:
        return {key: stored.revision for _, key, stored in database.load()}
    finally:
        database.close()


def assert_true(done: Recovery, directory: Path) -> None:
    """Check every verdict of `done` against the acknowledged writes, and against the stored objects."""
    found = stored_in(directory)
    assert {each.key for each in done.outcomes if not isinstance(each, Lost)} == found.keys()
    said = {each.key for each in done.outcomes}
    for each in done.outcomes:
        match each:
            case Current(key=key, revision=revision):
                assert LAST.get(key) == revision == found[key], f"{key} is said to be current"
            case Older(key=key, revision=revision, acknowledged=acknowledged):
                assert revision == found[key] < acknowledged == LAST[key]
            case Lost(key=key, acknowledged=revision):
                assert revision in (None, LAST[key])
            case Unproven(key=key, revision=revision) | MaybeDeleted(key=key, revision=revision):
                assert revision == found[key]
            case _:
                assert_never(each)
    assert {key for _, key in done.deleted} <= DELETED
    if done.is_complete:
        assert found == LAST
    else:
        unknown = LAST.keys() - said
        assert done.why_unproven or not unknown, f"of {sorted(unknown)} nothing is said"


def database_page(number: int, data: bytes) -> Callable[[Path], None]:
    return lambda path: overwrite(path, PAGE * number, data)


def swapped(path: Path) -> None:
    """Two leaves change places."""
    data = bytearray(path.read_bytes())
    one, two = PAGE * 9, PAGE * 21
    data[one : one + PAGE], data[two : two + PAGE] = data[two : two + PAGE], data[one : one + PAGE]
    path.write_bytes(data)


def another_page_in_its_place(path: Path) -> None:
    data = path.read_bytes()
    overwrite(path, PAGE * 9, data[PAGE * 21 : PAGE * 22])


def bits(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(PAGE + 700, len(data), PAGE * 5):
        data[at] ^= 16
    path.write_bytes(data)


def nothing(_path: Path) -> None:
    pass


def log_gone(path: Path) -> None:
    log_of(path).unlink()


def log_and_shared_gone(path: Path) -> None:
    log_of(path).unlink()
    path.with_name(path.name + "-shm").unlink()


def log_cut_at_a_commit(path: Path) -> None:
    os.truncate(log_of(path), 32 + 24 * 4120)
    path.with_name(path.name + "-shm").unlink()


def log_zeros(path: Path) -> None:
    overwrite(log_of(path), 32 + 4120 * 40 + 24, bytes(PAGE))


def log_header(path: Path) -> None:
    overwrite(log_of(path), 0, b"\xff" * 32)


def list_gone(path: Path) -> None:
    path.with_name(ACKNOWLEDGED_NAME).unlink()


def list_damaged(path: Path) -> None:
    lines = path.with_name(ACKNOWLEDGED_NAME).read_bytes().splitlines(keepends=True)
    path.with_name(ACKNOWLEDGED_NAME).write_bytes(b"".join([*lines[:20], b"x" + lines[20][1:], *lines[21:]]))


def copy_gone(path: Path) -> None:
    path.with_name(LAST_GOOD_NAME).unlink()


def everything_but_the_copy(path: Path) -> None:
    for each in (path, path.with_name(ACKNOWLEDGED_NAME), path.with_name("ceiling")):
        each.unlink()


DAMAGE: dict[str, tuple[str, list[Callable[[Path], None]]]] = {
    "bits": ("in the database", [bits]),
    "zeros": ("in the database", [database_page(9, bytes(PAGE * 9))]),
    "root": ("in the database", [database_page(1, bytes(PAGE))]),
    "first page": ("in the database", [database_page(0, bytes(PAGE))]),
    "noise": ("in the database", [database_page(9, bytes(range(256)) * 160)]),
    "two pages swapped": ("in the database", [swapped]),
    "a page swapped for another": ("in the database", [another_page_in_its_place]),
    "cut": ("in the database", [lambda path: os.truncate(path, path.stat().st_size // 2 + 100)]),
    "emptied": ("in the database", [lambda path: os.truncate(path, 0)]),
    "gone": ("in the database", [lambda path: path.unlink()]),
    "log gone": ("in the log", [log_gone]),
    "log and shared file gone": ("in the log", [log_and_shared_gone]),
    "log cut at a commit": ("in the log", [log_cut_at_a_commit]),
    "log zeros": ("in the log", [log_zeros]),
    "log header": ("in the log", [log_header]),
    "log gone, page swapped": ("in the log", [log_gone, another_page_in_its_place]),
    "log gone, list gone": ("in the log", [log_gone, list_gone]),
    "zeros, list gone": ("in the database", [database_page(9, bytes(PAGE * 9)), list_gone]),
    "zeros, list damaged": ("in the database", [database_page(9, bytes(PAGE * 9)), list_damaged]),
    "swapped, list damaged": ("in the database", [another_page_in_its_place, list_damaged]),
    "zeros, copy gone": ("in the database", [database_page(9, bytes(PAGE * 9)), copy_gone]),
    "zeros, both gone": ("in the database", [database_page(9, bytes(PAGE * 9)), copy_gone, list_gone]),
    "list gone": ("in the database", [list_gone]),
    "only the copy is left": ("in the database", [everything_but_the_copy]),
}


@pytest.mark.parametrize(("where", "damage"), DAMAGE.values(), ids=DAMAGE.keys())
def test_recovery_4_every_word_is_true(
    tmp_path: Path, written: dict[str, Path], where: str, damage: list[Callable[[Path], None]]
) -> None:
    path = copied(written[where], tmp_path / "data")
    for each in damage:
        each(path)
    with pytest.raises(DataDirectoryError, match="is damaged"):
        Database(path.parent)
    done = recover(path.parent)
    assert done is not None
    assert_true(done, path.parent)
    assert recover(path.parent) is None


def test_recovery_4_a_lost_log_is_told_object_by_object(tmp_path: Path, written: dict[str, Path]) -> None:
    path = copied(written["in the log"], tmp_path / "data")
    log_and_shared_gone(path)
    done = recover(path.parent)
    assert done is not None
    assert {key for _, key in done.named(Older)} == set(CHANGED)
    assert {key for _, key in done.lost} == set(MADE)
    assert {key for _, key in done.deleted} == DELETED, "and none of them is back"
    assert not done.is_complete
    assert done.acknowledged_revision == 729


@pytest.mark.parametrize("name", ["two pages swapped", "a page swapped for another", "zeros", "first page"])
def test_recovery_2_what_a_lost_page_held_comes_from_wherever_it_can_be_read(
    tmp_path: Path, written: dict[str, Path], name: str
) -> None:
    path = copied(written["in the database"], tmp_path / "data")
    for damage in DAMAGE[name][1]:
        damage(path)
    done = recover(path.parent)
    assert done is not None
    found = stored_in(path.parent)
    assert set(found) | MADE.keys() == set(LAST) | MADE.keys(), "all that the copy has, and that isn't deleted"
    assert not done.named(Unproven)


def test_recovery_4_without_the_list_nothing_is_claimed(tmp_path: Path, written: dict[str, Path]) -> None:
    path = copied(written["in the log"], tmp_path / "data")
    log_gone(path)
    list_gone(path)
    done = recover(path.parent)
    assert done is not None
    assert not done.is_complete
    assert "no list" in done.why_unproven
    assert not done.named(Current)


# ------------------------------------------------------------------------- recognised at the start


def rolled_back(path: Path, early: Path) -> None:
    """Every page in turn is taken from before; here, the first one of objects that differs."""
    late, before = path.read_bytes(), early.read_bytes()
    at = next(at for at in range(PAGE, len(before), PAGE) if late[at : at + PAGE] != before[at : at + PAGE])
    overwrite(path, at, before[at : at + PAGE])


def test_sound_1_each_page_of_an_earlier_time_is_recognised_and_recovered(
    tmp_path: Path, written: dict[str, Path]
) -> None:
    late, early = written["in the database"] / FILE_NAME, written["early"] / FILE_NAME
    early_bytes, late_bytes = early.read_bytes(), late.read_bytes()
    pages = [
        at for at in range(PAGE, len(early_bytes), PAGE) if early_bytes[at : at + PAGE] != late_bytes[at : at + PAGE]
    ]
    assert len(pages) > 10
    for number, at in enumerate(pages[::6]):
        path = copied(late.parent, tmp_path / f"data{number}")
        overwrite(path, at, early_bytes[at : at + PAGE])
        with pytest.raises(DamagedDataError):
            Database(path.parent)
        done = recover(path.parent)
        assert done is not None
        assert_true(done, path.parent)


def test_sound_1_a_whole_file_of_an_earlier_time_is_recognised(tmp_path: Path, written: dict[str, Path]) -> None:
    path = copied(written["in the log"], tmp_path / "data")
    Database(path.parent).close()
    shutil.copy(written["in the log"] / LAST_GOOD_NAME, path)
    with pytest.raises(DamagedDataError, match="ends at revision 599, and writes up to 729 were acknowledged"):
        Database(path.parent)
    done = recover(path.parent)
    assert done is not None
    assert_true(done, path.parent)


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_sound_1_a_file_or_a_log_of_another_directory_is_recognised(
    tmp_path: Path, written: dict[str, Path], suffix: str
) -> None:
    path = copied(written["in the log"], tmp_path / "data")
    run_writer(WRITER.replace("first", "fresh"), tmp_path / "other", "in the log")
    shutil.copy(tmp_path / "other" / (FILE_NAME + suffix), path.with_name(path.name + suffix))
    path.with_name(path.name + "-shm").unlink()
    if not suffix:
        log_of(path).unlink()
    with pytest.raises(DamagedDataError):
        Database(path.parent)
    assert recover(path.parent) is not None


def test_sound_2_reading_changes_nothing(tmp_path: Path, written: dict[str, Path]) -> None:
    path = copied(written["in the log"], tmp_path / "data")
    list_gone(path)
    before = {each.name: each.read_bytes() for each in (path, log_of(path))}
    with pytest.raises(DamagedDataError, match="list of acknowledged writes"):
        Database(path.parent)
    assert {each.name: each.read_bytes() for each in (path, log_of(path))} == before


def test_sound_1_a_log_of_another_directory_is_recognised_by_the_totals_alone(tmp_path: Path) -> None:
    """All pages of objects are in the log, and it is sound in itself: only the page with the identity isn't in it."""
    script = """
import os, pathlib, signal, sys
from pvbinder.server.store.database import Database
from pvbinder.server.store.state import Stored
database = Database(pathlib.Path(sys.argv[1]))
database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
for n in range(3):
    database.commit({("things", f"{sys.argv[2]}{n}"): Stored(200 + n, b"{}")}, 200 + n)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for name in ("ours", "theirs"):
        run_writer(script, tmp_path / name, name)
    path = tmp_path / "ours" / FILE_NAME
    shutil.copy(log_of(tmp_path / "theirs" / FILE_NAME), log_of(path))
    path.with_name(path.name + "-shm").unlink()
    with pytest.raises(DamagedDataError):
        Database(path.parent)
    done = recover(path.parent)
    assert done is not None
    assert not [each for each in done.outcomes if each.key.startswith("theirs") and isinstance(each, Current)]


# ------------------------------------------------------------------------- the list


def test_acknowledged_1_it_names_every_write_after_a_kill(written: dict[str, Path]) -> None:
    known = read_acknowledged(written["in the log"])
    assert known is not None
    assert known.is_whole
    assert (known.since, known.revision) == (599, 729)
    assert {key: noted.revision for (_, key), noted in known.newest.items() if not noted.deleted} == CHANGED | MADE
    assert {key for (_, key), noted in known.newest.items() if noted.deleted} == DELETED


def test_acknowledged_2_a_torn_end_costs_nothing_and_a_gap_is_noticed(tmp_path: Path, written: dict[str, Path]) -> None:
    path = copied(written["in the log"], tmp_path / "data").with_name(ACKNOWLEDGED_NAME)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[-50:-20] + bytes(100))
    known = read_acknowledged(path.parent)
    assert known is not None
    assert (known.is_whole, known.revision) == (True, 729)
    assert len(stored_in(path.parent)) == len(LAST), "and the server starts on it"
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:30] + lines[31:]))
    known = read_acknowledged(path.parent)
    assert known is not None
    assert not known.is_whole


def test_acknowledged_3_a_write_that_cannot_be_noted_is_stored_and_noted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        database.commit({("things", "a"): Stored(200, b"{}")}, 200)
    database.commit({("things", "b"): Stored(201, b"{}")}, 201)
    database.close()
    known = read_acknowledged(tmp_path)
    assert known is not None
    assert {key for _, key in known.newest} == {"a", "b"}
    assert known.is_whole


def test_acknowledged_1_it_begins_after_the_copy_and_goes_on(tmp_path: Path) -> None:
    database = Database(tmp_path)
    for n in range(10):
        database.commit({("things", f"k{n}"): Stored(200 + n, b"{}")}, 200 + n)
    revision = keep_copy(tmp_path)
    assert revision == 209
    database.commit({("things", "late"): Stored(210, b"{}")}, 210)
    database.forget_acknowledged(revision)
    database.commit({("things", "later"): Stored(211, b"{}")}, 211)
    database.close()
    known = read_acknowledged(tmp_path)
    assert known is not None
    assert (known.since, known.revision, known.is_whole) == (209, 211, True)
    assert {key for _, key in known.newest} == {"late", "later"}


@pytest.mark.parametrize("when", ["in the log", "in the database"])
def test_recovery_2_a_database_of_another_directory_is_no_reason_to_leave_out_the_copy(
    tmp_path: Path, written: dict[str, Path], when: str
) -> None:
    path = copied(written[when], tmp_path / "data")
    other = tmp_path / "other"
    Database(other).close()
    path.write_bytes((other / FILE_NAME).read_bytes())
    with pytest.raises(DamagedDataError):
        Database(tmp_path / "data")

    done = recover(tmp_path / "data")

    assert done is not None
    assert set(stored_in(tmp_path / "data")) >= FIRST.keys() - DELETED
    assert not done.is_complete or stored_in(tmp_path / "data") == LAST
