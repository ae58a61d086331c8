"""A recovery that is killed at each of its steps: the next one, or the next start, has the same objects."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pvbinder.server.store.database import FILE_NAME, DamagedDataError, Database
from pvbinder.server.store.recovery import recover
from pvbinder.server.store.state import Stored

PAGE = 4096

# Each step is something that the system is asked for: opening, renaming, removing, linking, a connection of SQLite. A
# process is forked for each, and killed there, with all that it has not synced left to the system, as by kill -9.
KILLER = """
import os, pathlib, shutil, sys
from pvbinder.server.store.recovery import recover
template, places = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
STEPS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "sqlite3.connect")
step = 0
while True:
    directory = places / str(step)
    shutil.copytree(template, directory)
    directory.chmod(0o700)
    child = os.fork()
    if not child:
        left = step

        def count(event, arguments):
            global left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(count)
        recover(directory)
        os._exit(0)
    if not os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        break
    step += 1
print(step)
"""


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("damaged") / "data"
    database = Database(directory)
    for n in range(60):
        database.commit({("things", f"k{n}"): Stored(200 + n, b"%d" % n * 900)}, 200 + n)
    database.close()
    path = directory / FILE_NAME
    shutil.copy(path, directory / "last-good.db")
    data = bytearray(path.read_bytes())
    for page in (5, 6, 11):
        data[PAGE * page : PAGE * (page + 1)] = bytes(PAGE)
    path.write_bytes(data)
    return directory


def test_recovery_5_killed_at_any_step_it_can_be_repeated_or_is_finished_by_the_next_start(
    tmp_path: Path, damaged: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(damaged), str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps > 30, "each step had its turn"
    original = (damaged / FILE_NAME).read_bytes()
    for step in range(steps + 1):
        directory = tmp_path / str(step)
        try:
            database = Database(directory)
        except DamagedDataError:
            assert (directory / FILE_NAME).read_bytes() == original, f"killed at step {step}: it is as it was"
            assert recover(directory) is not None
            database = Database(directory)
        found = {key: stored.data for _, key, stored in database.load()}
        database.close()
        assert found == {f"k{n}": b"%d" % n * 900 for n in range(60)}, f"killed at step {step}"
        kept = [each / FILE_NAME for each in directory.glob("damaged-*") if (each / FILE_NAME).exists()]
        assert kept, f"killed at step {step}: the damaged file is kept"
        assert all(each.read_bytes() == original for each in kept)
