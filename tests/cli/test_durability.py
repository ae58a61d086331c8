"""`pvbinder up` as a process on a disk that is full, can't be written to, or returned other bytes than were written."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tools.plane import RunningPlane, access, running

pytestmark = pytest.mark.slow  # each starts processes

DEADLINE_SECONDS = 60
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
BARE = ["--bare", "--controllers="]
PAGE = 4096


def ask(plane: RunningPlane, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Return the status and the body of an answer."""
    url, context = access(plane.kubeconfig)
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(asked, context=context, timeout=DEADLINE_SECONDS) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read()
    return status, json.loads(text) if text.startswith(b"{") else text.decode()


def create(plane: RunningPlane, name: str, size: int = 2000) -> int:
    """Create a config map and return the status of the answer."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"is": f"{name} " * (size // len(name))},
    }
    return ask(plane, CONFIG_MAPS, "POST", body)[0]


def names(plane: RunningPlane) -> set[str]:
    status, listed = ask(plane, CONFIG_MAPS)
    assert status == 200
    return {item["metadata"]["name"] for item in listed["items"]}


def command(name: str, directory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of pvbinder on the data directory until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "pvbinder.cli.main", name, "--data-dir", str(directory), *more],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


# ------------------------------------------------------------------------------------------------ writes that fail


def limit_files(plane: RunningPlane, size: int) -> None:
    """Make every write of the process beyond `size` bytes in a file fail, as it does for lack of room on the disk."""
    _, hard = resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(plane.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def used_by_log(directory: Path) -> int:
    return (directory / "store.db-wal").stat().st_size


@pytest.mark.parametrize("room", [100_000, 0], ids=["the disk gets full", "nothing can be written"])
def test_writes_are_refused_reads_go_on_and_nothing_acknowledged_is_lost(tmp_path: Path, room: int) -> None:
    directory = tmp_path / "data"
    acknowledged = set()
    with running(directory, BARE) as plane:
        assert create(plane, "before") == 201
        acknowledged.add("before")
        # smaller than the log file already is, with room for the process's messages, which are in a file as well
        limit_files(plane, used_by_log(directory) + room if room else 60_000)
        statuses = []
        for n in range(100):
            statuses.append(create(plane, f"during{n}"))
            if statuses[-1] == 201:
                acknowledged.add(f"during{n}")

        refused = {status for status in statuses if status != 201}
        assert refused, "the disk was never full"
        assert all(500 <= status <= 599 for status in refused)
        assert bool(room) == (201 in statuses)
        assert names(plane) >= acknowledged
        assert not names(plane) - acknowledged, "what was refused is not shown"
        assert ask(plane, "/readyz")[0] == 500, "and whoever looks at its health knows"
        assert "writes refused" in plane.log()
        assert "Traceback" not in plane.log()

        limit_files(plane, resource.RLIM_INFINITY)
        assert create(plane, "after") == 201, "without a restart"
        acknowledged.add("after")
        assert ask(plane, "/readyz")[0] == 200
    with running(directory, BARE) as plane:
        assert names(plane) >= acknowledged


def test_a_kill_while_the_disk_is_full_loses_nothing_acknowledged(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    with running(directory, BARE) as plane:
        limit_files(plane, used_by_log(directory) + 150_000)
        acknowledged = {f"during{n}" for n in range(60) if create(plane, f"during{n}") == 201}
        assert 0 < len(acknowledged) < 60
        plane.process.kill()
        plane.process.wait(DEADLINE_SECONDS)
    with running(directory, BARE) as plane:
        assert names(plane) >= acknowledged


def can_mount() -> bool:
    probe = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


def on_small_disk(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where /mnt is a disk of its own of 4 MiB."""
    return subprocess.run(
        [
            "unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child",
            "sh", "-c", f"mount -t tmpfs -o size=4m none /mnt\n{script}",
        ],
        capture_output=True, text=True, timeout=2 * DEADLINE_SECONDS, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.skipif(not can_mount(), reason="may not mount a disk of its own here")
def test_a_start_on_a_full_or_a_read_only_disk_says_so() -> None:
    pvbinder = f"{sys.executable} -m pvbinder.cli.main up --data-dir /mnt/data --port 0 {' '.join(BARE)} -- true"
    done = on_small_disk(
        f"{pvbinder} && echo fine\n"
        f"mount -o remount,ro /mnt\n{pvbinder}; echo code $?\n"
        "mount -o remount,rw /mnt; rm -r /mnt/data; mkdir /mnt/data; cat /dev/zero > /mnt/fill 2>/dev/null\n"
        f"{pvbinder}; echo code $?\n"
        f"rm /mnt/fill; {pvbinder} && echo fine again"
    )
    assert done.stdout.splitlines() == ["fine", "code 2", "code 2", "fine again"], done.stderr
    assert "Read-only file system" in done.stderr
    assert "No space left" in done.stderr or "disk is full" in done.stderr or "disk I/O error" in done.stderr
    assert "Traceback" not in done.stderr


# ------------------------------------------------------------------------------------------------ damage


def killed_plane(directory: Path, count: int = 60) -> set[str]:
    """Start, create config maps one by one, and kill it; return what was acknowledged."""
    with running(directory, BARE) as plane:
        made = {f"c{n}" for n in range(count) if create(plane, f"c{n}") == 201}
        plane.process.send_signal(signal.SIGKILL)
        plane.process.wait(DEADLINE_SECONDS)
    return made


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def append_torn_frame(directory: Path) -> None:
    with (directory / "store.db-wal").open("ab") as file:
        file.write(b"\x77" * 5000)


def test_a_torn_end_of_the_log_loses_nothing_acknowledged(tmp_path: Path) -> None:
    made = killed_plane(tmp_path / "data")
    append_torn_frame(tmp_path / "data")
    with running(tmp_path / "data", BARE) as plane:
        assert names(plane) >= made


def middle_of_log(directory: Path) -> None:
    overwrite(directory / "store.db-wal", 32 + 4120 * 40 + 24, b"\0" * PAGE)


def half_of_log(directory: Path) -> None:
    os.truncate(directory / "store.db-wal", used_by_log(directory) // 2)


def middle_of_database(directory: Path) -> None:
    (directory / "store.db-wal").unlink(missing_ok=True)
    size = (directory / "store.db").stat().st_size
    overwrite(directory / "store.db", size // 2 // PAGE * PAGE, b"\xaa" * PAGE * 2)


@pytest.mark.parametrize("damage", [middle_of_log, half_of_log, middle_of_database])
def test_damage_is_refused_recovered_by_the_command_that_it_names_and_then_it_starts(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    directory = tmp_path / "data"
    with running(directory, BARE) as plane:
        early = {f"e{n}" for n in range(20) if create(plane, f"e{n}") == 201}
    late = killed_plane(directory)
    if damage is middle_of_database:
        with running(directory, BARE):  # which empties the log into it and has a copy of everything
            pass
        early, late = early | late, set()
    damage(directory)

    refused = command("up", directory, "--port", "0", *BARE, "--", "true")
    assert refused.returncode == 2
    assert "is damaged" in refused.stderr
    assert f"pvbinder recover --data-dir {directory}" in refused.stderr
    assert "Traceback" not in refused.stderr

    recovered = command("recover", directory)
    assert recovered.returncode in (0, 1), recovered.stderr
    assert "the damaged files are kept in" in recovered.stdout
    again = command("recover", directory)
    assert (again.returncode, again.stdout) == (0, f"{directory} is sound: there is nothing to recover\n")

    with running(directory, BARE) as plane:
        found = names(plane)
        assert found >= early, "what was in the last good copy is there whatever happened"
        assert found <= early | late
        if damage is middle_of_log:
            assert len(found) >= len(early | late) - 5, "and what came after the damage, too"
        status, made = ask(plane, CONFIG_MAPS, "POST", {"metadata": {"name": "new"}})
        assert status == 201
        assert int(made["metadata"]["resourceVersion"]) > 100_000, "no revision of before comes again"


def test_recover_on_a_running_one_or_on_nothing_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data", BARE):
        assert "another pvbinder is running" in command("recover", tmp_path / "data").stderr
    assert "is no data directory" in command("recover", tmp_path / "nothing").stderr
    assert not (tmp_path / "nothing").exists()
