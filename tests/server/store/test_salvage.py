"""What a recovery reads: of the database and its log, of a copy, and of files of another directory (RECOVERY-2)."""

from __future__ import annotations

import shutil
from pathlib import Path
from zlib import crc32

from tests.server.store.test_recovery_parts import at, killed, log_of, opened, shared_of, thing

from pvbinder.server.store import recovery
from pvbinder.server.store.acknowledged import read_acknowledged
from pvbinder.server.store.database import FILE_NAME, LAST_GOOD_NAME
from pvbinder.server.store.pages import PAGE_BYTES
from pvbinder.server.store.recovery import recover

__all__ = ["killed"]  # a fixture


def salvage(directory: Path) -> recovery._Salvage:
    copy = recovery._identity_of_file(directory / LAST_GOOD_NAME)
    return recovery._salvage(directory / FILE_NAME, read_acknowledged(directory), copy)


def revisions(found: recovery._Salvage) -> dict[str, tuple[int, str]]:
    return {key: (stored.revision, source) for (_, key), (stored, source) in found.rows.items()}


def test_recovery_2_a_whole_file_with_its_log_alone_counts(killed: Path) -> None:
    known = read_acknowledged(killed)
    assert known is not None

    found = salvage(killed)

    assert revisions(found) == {"a": (203, "database"), "c": (202, "database"), "d": (205, "database")}
    assert (found.is_whole, found.identity, found.broken, found.log_is_damaged) == (True, known.identity, set(), False)
    assert found.meta is not None
    assert found.meta.revision == 205


def test_recovery_2_what_the_file_and_its_log_have_when_the_last_is_missing(killed: Path) -> None:
    """One line of the list more than the log has: what is whole isn't the last, and all states are looked at."""
    with (killed / "acknowledged").open("ab") as file:
        text = b'[4,[[206,"things","e"]]]'
        file.write(b"%08x %s\n" % (crc32(text), text))

    found = salvage(killed)

    assert {key: revision for key, (revision, _) in revisions(found).items()} == {
        "a": 203,
        "b": 201,
        "c": 202,
        "d": 205,
    }
    assert (revisions(found)["a"][1], revisions(found)["d"][1]) == ("log", "log")
    assert found.is_whole
    assert found.meta is not None
    assert found.meta.revision == 205
    done = recover(killed)
    assert done is not None
    assert done.lost == (thing("e"),)
    assert done.deleted == (thing("b"),)


def test_recovery_2_without_a_log_the_file_alone_is_read(killed: Path) -> None:
    log_of(killed).unlink()

    found = salvage(killed)

    assert revisions(found) == {"a": (200, "database"), "b": (201, "database"), "c": (202, "database")}
    assert (found.is_whole, found.log_is_damaged) == (True, True)
    shared_of(killed).unlink()
    assert not salvage(killed).log_is_damaged


def test_recovery_2_frames_after_a_damage_in_the_log_are_read(killed: Path) -> None:
    log = bytearray(log_of(killed).read_bytes())
    log[32 + 2 * (24 + PAGE_BYTES) + 24 + 1000] ^= 1  # in the third of nine frames, whose page no later one has
    log_of(killed).write_bytes(log)

    found = salvage(killed)

    assert found.log_is_damaged
    assert revisions(found)["d"] == (205, "log")
    assert thing("a") in found.broken


def test_recovery_2_a_log_of_another_directory_is_left_out(killed: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "other") as database:
        assert database._connection is not None
        database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.commit({thing("theirs"): at(300)}, 300)
        shutil.copy(log_of(tmp_path / "other"), log_of(killed))
    shared_of(killed).unlink()

    found = salvage(killed)

    assert revisions(found) == {"a": (200, "database"), "b": (201, "database"), "c": (202, "database")}
    assert found.log_is_damaged


def test_recovery_2_a_file_of_another_directory_is_left_out(killed: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "other") as database:
        database.commit({thing("theirs"): at(300)}, 300)
    known = read_acknowledged(killed)
    assert known is not None
    shutil.copy(tmp_path / "other" / FILE_NAME, killed / FILE_NAME)

    found = salvage(killed)

    assert found.identity == known.identity
    assert "theirs" not in revisions(found)
    assert revisions(found)["d"] == (205, "log")
    (killed / LAST_GOOD_NAME).unlink()
    assert revisions(salvage(killed))["theirs"] == (300, "database"), "only the copy says that it isn't ours"


def test_recovery_2_the_identity_is_that_of_the_list_when_the_file_does_not_say(killed: Path) -> None:
    known = read_acknowledged(killed)
    assert known is not None
    (killed / FILE_NAME).write_bytes(b"")
    log_of(killed).unlink()

    found = salvage(killed)

    assert (found.identity, found.rows, found.meta, found.is_whole) == (known.identity, {}, None, False)
    (killed / "acknowledged").unlink()
    assert salvage(killed).identity == ""


def test_recovery_2_a_file_is_whole_only_if_it_is_sound(killed: Path) -> None:
    path = killed / LAST_GOOD_NAME
    image = path.read_bytes()
    whole = recovery._whole(image, path)
    assert whole is not None
    assert whole.is_whole
    assert whole.identity == recovery._identity_of(image) != ""
    assert whole.meta is not None
    assert whole.meta.revision == 202
    changed = bytearray(image)
    changed[image.index(b"bbbb")] = 0
    for damaged in (b"", bytes(changed), b"no database" * 1000, image[:PAGE_BYTES], bytes(PAGE_BYTES)):
        assert recovery._whole(damaged, path) is None
    for none in (b"", b"no database" * 1000):
        assert recovery._identity_of(none) == ""
    assert recovery._identity_of_file(killed / "missing") == ""


def test_recovery_2_a_copy_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert recovery._read_copy(tmp_path / LAST_GOOD_NAME, "me") == (recovery._Salvage(), "")
