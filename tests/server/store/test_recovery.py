"""Recovery: what comes back from a damaged file, its log and the copy, and what is said of the rest."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.store.test_damage import (
    ALL,
    OBJECTS,
    PAGE,
    WRITER,
    cut_in_half,
    gone,
    header,
    killed_writer,
    log_of,
    overwrite,
    run_writer,
    zeros_in_the_middle,
)

from pvbinder import logs
from pvbinder.server.store import DataDirectoryError, Store
from pvbinder.server.store.ceiling import read_ceiling
from pvbinder.server.store.database import FILE_NAME, LAST_GOOD_NAME, RECOVERED_NAME, DamagedDataError, Database
from pvbinder.server.store.last_good import keep_copy
from pvbinder.server.store.recovery import RecoveryFailed, recover
from pvbinder.server.store.state import Stored


def stored_in(directory: Path) -> dict[str, Stored]:
    database = Database(directory)
    try:
        return {key: stored for _, key, stored in database.load()}
    finally:
        database.close()


def with_copy(directory: Path) -> Path:
    """Have 600 objects and a copy of them; then one is changed, one deleted, one made."""
    path = killed_writer(directory, "in the database")
    database = Database(directory)
    keep_copy(directory)
    before = {key: stored for _, key, stored in database.load()}
    database.commit({("things", "k0001"): Stored(900, b"changed")}, 900, {("things", "k0001"): before["k0001"]})
    database.commit({("things", "k0002"): None}, 901, {("things", "k0002"): before["k0002"]})
    database.commit({("things", "k9999"): Stored(902, b"new")}, 902)
    database.close()
    return path


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    ("truncated", lambda path: os.truncate(path, path.stat().st_size // 2 + 100)),
    ("header", lambda path: overwrite(path, 0, b"\xff" * PAGE)),
    ("zeros", lambda path: overwrite(path, PAGE * 20, b"\0" * PAGE * 9)),
    ("noise", lambda path: overwrite(path, PAGE * 20, bytes(range(256)) * 16 * 5)),
    ("a sector", lambda path: overwrite(path, PAGE * 20 + 512, b"\0" * 512)),
    ("the root", lambda path: overwrite(path, PAGE, b"\0" * PAGE)),
    ("emptied", lambda path: os.truncate(path, 0)),
    ("gone", lambda path: path.unlink()),
]


@pytest.mark.parametrize("damage", [damage for _, damage in DAMAGES], ids=[name for name, _ in DAMAGES])
def test_recovery_2_with_a_copy_no_object_of_it_is_lost(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = with_copy(tmp_path)
    damage(path)
    with pytest.raises(DamagedDataError):
        Database(tmp_path)

    done = recover(tmp_path)

    assert done is not None
    found = stored_in(tmp_path)
    assert set(found) >= set(ALL) - {"k0002"}
    assert done.objects == len(found)
    assert all(found[key].data == b"%d " % n * 300 for n, key in enumerate(ALL) if n not in (1, 2))
    assert set(done.lost) <= {("things", "k9999")}, "which was made after the copy, and is known by name"


@pytest.mark.parametrize("name", ["zeros", "a sector", "header"])
def test_recovery_2_what_is_readable_is_newer_than_the_copy_and_deletions_hold(tmp_path: Path, name: str) -> None:
    path = with_copy(tmp_path)
    dict(DAMAGES)[name](path)
    done = recover(tmp_path)
    found = stored_in(tmp_path)
    assert done is not None
    assert found["k0001"] == Stored(900, b"changed")
    assert found["k9999"] == Stored(902, b"new")
    assert "k0002" not in found
    assert bool(done.from_copy) == (name != "header"), "from the copy comes only what is damaged"
    assert len(done.from_copy) < 100


def test_recovery_1_the_damaged_files_are_kept_as_they_were(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the log")
    zeros_in_the_middle(log_of(path))
    before = {each.name: each.read_bytes() for each in (path, log_of(path))}
    done = recover(tmp_path)
    assert done is not None
    assert done.kept.parent == tmp_path
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o700
    assert {each.name: each.read_bytes() for each in done.kept.iterdir() if each.name in before} == before
    assert not (tmp_path / "recovering").exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_recovery_2_commits_after_the_damage_in_the_log_are_found(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the log")
    zeros_in_the_middle(log_of(path))
    done = recover(tmp_path)
    assert done is not None
    assert done.newest_revision == 200 + OBJECTS - 1
    assert len(stored_in(tmp_path)) >= OBJECTS - 5, "all but those that were on the damaged page alone"


@pytest.mark.parametrize("damage", [zeros_in_the_middle, cut_in_half, header, gone])
def test_recovery_3_revisions_go_on_above_any_that_was_given_out(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = killed_writer(tmp_path, "in the database")
    database = Database(tmp_path)
    keep_copy(tmp_path)
    database.close()
    path = killed_writer_again(tmp_path)
    damage(log_of(path))
    done = recover(tmp_path)
    assert done is not None
    assert done.next_revision > 5000 + OBJECTS
    database = Database(tmp_path)
    assert database.revision() == done.next_revision - 1
    database.close()


def killed_writer_again(directory: Path) -> Path:
    """Write more objects on top, in the log, and leave the files as a kill would."""
    run_writer(WRITER.replace('f"k{n:04}"', 'f"m{n:04}"').replace("200 + n", "5001 + n"), directory, "in the log")
    return directory / FILE_NAME


def test_recovery_3_without_a_ceiling_revisions_jump(tmp_path: Path) -> None:
    path = with_copy(tmp_path)
    dict(DAMAGES)["zeros"](path)
    (tmp_path / "ceiling").unlink()
    done = recover(tmp_path)
    assert done is not None
    assert done.next_revision > 1_000_000


def test_recovery_4_without_a_copy_it_says_what_is_lost(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the database")
    overwrite(path, path.read_bytes().index(b"77 77 77"), b"8")
    overwrite(path, path.read_bytes().index(b"155 155"), b"\0" * 100)
    done = recover(tmp_path)
    assert done is not None
    assert done.lost == (("things", "k0077"), ("things", "k0155"))
    assert (done.objects, done.missing, done.from_copy) == (OBJECTS - 2, 2, ())
    assert set(stored_in(tmp_path)) == set(ALL) - {"k0077", "k0155"}


def test_recovery_4_lost_pages_are_counted_by_the_totals(tmp_path: Path) -> None:
    path = killed_writer(tmp_path, "in the database")
    overwrite(path, PAGE * 20, b"\0" * PAGE)
    done = recover(tmp_path)
    assert done is not None
    assert done.missing == OBJECTS - done.objects > 0


def test_recovery_5_repeated_it_does_nothing(tmp_path: Path) -> None:
    path = with_copy(tmp_path)
    dict(DAMAGES)["zeros"](path)
    assert recover(tmp_path) is not None
    after = path.read_bytes()
    assert recover(tmp_path) is None
    assert path.read_bytes() == after
    assert len([each for each in tmp_path.iterdir() if each.name.startswith("damaged-")]) == 1


def test_recovery_5_interrupted_before_the_new_file_takes_its_place_the_next_start_goes_on(tmp_path: Path) -> None:
    path = killed_writer(tmp_path / "damaged", "in the log")
    zeros_in_the_middle(log_of(path))
    new = killed_writer(tmp_path / "new", "in the database")
    Database(tmp_path / "new").close()
    new.replace(tmp_path / "damaged" / RECOVERED_NAME)

    assert set(stored_in(tmp_path / "damaged")) == set(ALL), "and the damaged log is not applied to the new file"
    assert not (tmp_path / "damaged" / RECOVERED_NAME).exists()


def test_nothing_can_be_recovered_from_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="is no data directory"):
        recover(tmp_path)
    (tmp_path / FILE_NAME).write_text("not a database at all" * 500)
    with pytest.raises(RecoveryFailed, match="there is no copy"):
        recover(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == "not a database at all" * 500


# ------------------------------------------------------------------------------------------------ the copy


async def write(store: Store, key: str) -> None:
    _, durable = store.put("things", key, lambda revision: b'{"metadata":{"resourceVersion":"%d"}}' % revision)
    await durable


async def test_last_good_1_a_clean_stop_leaves_a_sound_and_private_copy(tmp_path: Path) -> None:
    async with Store(tmp_path, keep_copy=True) as store:
        await write(store, "a")
    assert stat.S_IMODE((tmp_path / LAST_GOOD_NAME).stat().st_mode) == 0o600
    (tmp_path / FILE_NAME).unlink()
    done = recover(tmp_path)
    assert done is not None
    assert done.from_copy == (("things", "a"),)


async def test_last_good_1_a_damaged_file_never_takes_the_place_of_a_good_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Store(tmp_path, keep_copy=True) as store:
        for n in range(100):
            await write(store, f"k{n}")
    good = (tmp_path / LAST_GOOD_NAME).read_bytes()
    async with Store(tmp_path, keep_copy=True) as store:
        await write(store, "another")
        assert store._database._connection is not None
        store._database._connection.execute("UPDATE object SET data = x'00' WHERE key = 'k7'")
    assert (tmp_path / LAST_GOOD_NAME).read_bytes() == good
    (said,) = (logs.fields_of(record) for record in caplog.records if "no copy was kept" in record.message)
    assert "k7 is not what was written" in str(said["err"])


async def test_a_start_after_a_kill_makes_a_copy_while_writes_go_on(tmp_path: Path) -> None:
    killed_writer(tmp_path, "in the log")
    async with Store(tmp_path, keep_copy=True) as store:
        await asyncio.gather(*(write(store, f"during{n}") for n in range(50)))
        await asyncio.get_running_loop().run_in_executor(store._copier, lambda: None)  # behind the copy in its queue
        assert (tmp_path / LAST_GOOD_NAME).exists()


def test_the_ceiling_is_the_revision_after_a_recovery(tmp_path: Path) -> None:
    path = with_copy(tmp_path)
    dict(DAMAGES)["zeros"](path)
    done = recover(tmp_path)
    assert done is not None
    assert read_ceiling(tmp_path) == done.next_revision - 1
