"""`pvbinder up` on a real small disk that is full: it says so, serves, deletes, and goes on by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_durability import CONFIG_MAPS, ask, command, create, names
from tools.plane import RunningPlane, running

pytestmark = pytest.mark.slow  # each starts processes

BARE = ["--bare", "--controllers="]
DISK_BYTES = 7 << 20


def mounted(directory: Path, size: int = DISK_BYTES) -> bool:
    """Mount a small disk of its own, if we may."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", str(directory)]
    return subprocess.run(mount, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "disk"
    directory.mkdir()
    if not mounted(directory):
        pytest.skip("may not mount a disk of its own here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return path


def room(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def leave(disk: Path, size: int) -> Path:
    """Take all the room that is left but `size` bytes."""
    path = fill(disk)
    os.truncate(path, max(0, path.stat().st_size - size))
    return path


def delete(plane: RunningPlane, name: str) -> int:
    return ask(plane, f"{CONFIG_MAPS}/{name}", "DELETE")[0]


def refused(plane: RunningPlane, name: str, size: int = 2000) -> dict[str, Any]:
    body = {"metadata": {"name": name}, "data": {"is": "x" * size}}
    status, answer = ask(plane, CONFIG_MAPS, "POST", body)
    assert status == 500, answer
    return dict(answer)


def test_database_6_a_disk_that_gets_full_refuses_what_grows_takes_deletions_and_goes_on_by_itself(disk: Path) -> None:
    with running(disk / "data", BARE) as plane:
        made = {name for n in range(40) if create(plane, name := f"before{n}", 4000) == 201}
        filler = fill(disk)
        made |= {name for n in range(200) if create(plane, name := f"during{n}", 8000) == 201}
        for n in range(50):  # a checkpoint of the database may have made room once more
            if create(plane, f"then{n}", 8000) != 201:
                break
            made.add(f"then{n}")
        answer = refused(plane, "one-more", 8000)
        assert answer["message"].startswith("etcdserver: mvcc: database space exceeded")
        assert "the disk is full" in answer["message"]
        assert "reason" not in answer
        assert names(plane) == made
        assert ask(plane, "/readyz?verbose")[0] == 500

        gone = {f"before{n}" for n in range(40)}
        assert [delete(plane, name) for name in sorted(gone)] == [200] * 40, "deletions are stored"
        made -= gone
        assert names(plane) == made
        assert create(plane, "in-the-room-of-those", 2000) == 201, "what was deleted has made room"
        made.add("in-the-room-of-those")
        assert plane.log().count("writes refused") == 1, "said once"

        filler.unlink()
        assert create(plane, "after", 8000) == 201
        assert ask(plane, "/readyz")[0] == 200
        assert "writes are stored again" in plane.log()
        assert "Traceback" not in plane.log()
    with running(disk / "data", BARE) as plane:
        assert names(plane) == made | {"after"}


@pytest.mark.parametrize("killed", [False, True], ids=["after a clean stop", "after a kill"])
def test_database_6_a_start_on_a_full_disk_serves_what_is_stored(disk: Path, killed: bool) -> None:
    with running(disk / "data", BARE) as plane:
        made = {name for n in range(30) if create(plane, name := f"before{n}", 4000) == 201}
        if killed:
            plane.process.kill()
            plane.process.wait()
    filler = fill(disk)
    with running(disk / "data", BARE) as plane:
        assert names(plane) == made
        assert "the disk is full" in refused(plane, "new", 50_000)["message"]
        assert delete(plane, "before1") == 200
        made.remove("before1")
        filler.unlink()
        assert create(plane, "after", 8000) == 201
    with running(disk / "data", BARE) as plane:
        assert names(plane) == made | {"after"}


def test_database_6_a_first_start_on_a_full_disk_says_that_it_is_full(disk: Path) -> None:
    (disk / "data").mkdir()
    filler = fill(disk)
    done = command("up", disk / "data", "--port", "0", *BARE, "--", "true")
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    for word in ("Traceback", "damaged", "bug"):
        assert word not in done.stderr
    filler.unlink()
    done = command("up", disk / "data", "--port", "0", *BARE, "--", "true")
    assert done.returncode == 0, done.stderr


def test_database_6_a_recovery_on_a_full_disk_says_that_it_is_full_and_can_be_repeated(disk: Path) -> None:
    with running(disk / "data", BARE) as plane:
        made = {name for n in range(40) if create(plane, name := f"before{n}", 20_000) == 201}
    path = disk / "data" / "store.db"
    data = bytearray(path.read_bytes())
    data[4096 * 40 : 4096 * 44] = bytes(4096 * 4)
    path.write_bytes(data)
    filler = fill(disk)
    done = command("recover", disk / "data")
    assert done.returncode in (2, 3)
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    filler.unlink()
    done = command("recover", disk / "data", "-o", "json")
    said = json.loads(done.stdout)
    assert said["schema"] == "pvbinder.recovery/v1"
    assert (done.returncode, said["complete"]) in ((0, True), (1, False))
    with running(disk / "data", BARE) as plane:
        assert names(plane) == made


@pytest.mark.parametrize("left", [0, 4096, 40_000, 200_000, 500_000])
def test_database_6_killed_again_and_again_on_a_full_disk_it_deletes_all_that_there_is(disk: Path, left: int) -> None:
    with running(disk / "data", BARE) as plane:
        made = {name for n in range(200) if create(plane, name := f"c{n}", 8000) == 201}
        filler = leave(disk, left)
        made |= {name for n in range(100) if create(plane, name := f"full{n}", 8000) == 201}
        while (status := create(plane, name := f"large{len(made)}", 60_000)) == 201:  # the log was emptied just now
            made.add(name)
        assert status == 500
        plane.process.kill()
        plane.process.wait()
    while made:
        fill(disk)
        with running(disk / "data", BARE) as plane:
            assert names(plane) == made
            for name in sorted(made)[:60]:
                assert delete(plane, name) == 200
                made.discard(name)
            plane.process.kill()
            plane.process.wait()
    with running(disk / "data", BARE) as plane:
        assert names(plane) == set()
        assert "Traceback" not in plane.log()
        filler.unlink()
        assert create(plane, "after", 8000) == 201
        assert ask(plane, "/readyz")[0] == 200


def test_reserve_1_the_reserve_is_there_again_when_less_than_twice_of_it_was_free(disk: Path) -> None:
    (disk / "data").mkdir(mode=0o700)
    filler = leave(disk, 5_000_000)  # enough for a start, however its writes fall into batches
    with running(disk / "data", BARE) as plane:
        assert create(plane, "one") == 201
    leave(disk, 300_000)
    with running(disk / "data", BARE) as plane:
        fill(disk)
        assert delete(plane, "one") == 200
        assert (disk / "data" / "reserve").stat().st_size >= 128 << 10
        filler.unlink()
        assert create(plane, "two") == 201
