"""What this machine has of all that pvbinder needs, and what to do about the rest: the checks of ``pvbinder doctor``.

MACHINE-1  Every check ends within `SECONDS_MAX`, unless a disk hangs, and raises nothing: what can't be found out is
           said.
MACHINE-2  Nothing stays behind: what a check writes, it removes.
MACHINE-3  Only what keeps `pvbinder up` from working is wrong; everything else is a note.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Final, Literal, TypeAlias

from msgspec import Struct

SECONDS_MAX: Final = 10.0
OPEN_FILES_MIN: Final = 1024
ROOM_BYTES_MIN: Final = 100 << 20
SYNCS: Final = 20
SYNC_SLOW_MS: Final = 20.0
KUBECTL_MINOR_OURS: Final = 36  # of the Kubernetes that the server is like; kubectl may be one away
KUBECTL_MINORS_AWAY_MAX: Final = 1
SQLITE_MIN: Final = (3, 37, 0)
REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "afs"})

Fitness: TypeAlias = Literal["fine", "note", "wrong"]


class Diagnosis(Struct, frozen=True):
    """What a check found: `text` says it in one line, `way_out` what to do about it."""

    subject: str
    verdict: Fitness
    text: str
    way_out: str = ""


def examine(data_dir: Path, port: int) -> Iterator[Diagnosis]:
    """Give what each check finds, as soon as it is found, for an `up` with this data directory and port."""
    checks: tuple[tuple[str, Callable[[], Diagnosis]], ...] = (
        ("python", check_python),
        ("sqlite", check_sqlite),
        ("kubectl", check_kubectl),
        ("port", lambda: check_port(port)),
        ("data directory", lambda: check_directory(data_dir)),
        ("disk sync", lambda: check_sync(data_dir)),
        ("open files", check_open_files),
        ("mounts", check_mounts),
    )
    for subject, check in checks:
        try:
            yield check()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            yield Diagnosis(subject, "note", f"could not be found out: {error}")


def check_python() -> Diagnosis:
    """Name the interpreter, and whether the faster event loop is installed."""
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        import uvloop  # noqa: F401  (whether it can be)
    except ImportError:
        return Diagnosis("python", "note", f"{version}, without uvloop", "pip install 'pvbinder[fast]' answers sooner")
    return Diagnosis("python", "fine", f"{version}, with uvloop")


def check_sqlite() -> Diagnosis:
    """Name the SQLite that Python was built with."""
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        wanted = ".".join(map(str, SQLITE_MIN))
        return Diagnosis("sqlite", "note", sqlite3.sqlite_version, f"tested with {wanted} and newer")
    return Diagnosis("sqlite", "fine", sqlite3.sqlite_version)


def check_kubectl(path: str | None = None) -> Diagnosis:
    """Find kubectl, and its version."""
    command = shutil.which("kubectl", path=path)
    if command is None:
        return Diagnosis("kubectl", "note", "not on the PATH", "pvbinder needs none; you do, to look at what is there")
    asked = [command, "version", "--client", "-o", "json"]
    done = subprocess.run(asked, capture_output=True, timeout=SECONDS_MAX, check=False)  # noqa: S603  (the user's)
    if done.returncode:
        return Diagnosis("kubectl", "note", f"{command} fails: {done.stderr.decode(errors='replace').strip()[:200]}")
    client = json.loads(done.stdout)["clientVersion"]
    minor = int("".join(filter(str.isdigit, str(client["minor"]))))
    if abs(minor - KUBECTL_MINOR_OURS) > KUBECTL_MINORS_AWAY_MAX:
        away = f"made for servers of 1.{minor - 1} to 1.{minor + 1}; the server here is like 1.{KUBECTL_MINOR_OURS}"
        return Diagnosis("kubectl", "note", f"{client['gitVersion']} at {command}", away)
    return Diagnosis("kubectl", "fine", f"{client['gitVersion']} at {command}")


def check_port(port: int) -> Diagnosis:
    """Tell whether anything can listen on loopback, and whether this port is free there."""
    try:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Diagnosis("port", "wrong", f"nothing can listen on 127.0.0.1: {error.strerror}", "is loopback up?")
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = "pvbinder up takes another, unless --port names this one"
            return Diagnosis("port", "note", f"{port} on 127.0.0.1: {error.strerror}", other)
    return Diagnosis("port", "fine", f"{port} on 127.0.0.1 is free")


def check_directory(data_dir: Path) -> Diagnosis:
    """Tell whether the directory, or the one that it will be made in, can be written, and has room."""
    there = _nearest(data_dir)
    if not os.access(there, os.W_OK | os.X_OK):
        other = "name another with --data-dir, or use --ephemeral"
        return Diagnosis("data directory", "wrong", f"{data_dir}: {there} can't be written", other)
    free_bytes = shutil.disk_usage(there).free
    text = f"{data_dir}, {free_bytes >> 20} MiB free"
    if free_bytes < ROOM_BYTES_MIN:
        return Diagnosis("data directory", "wrong", text, f"it takes {ROOM_BYTES_MIN >> 20} MiB to work")
    kind = _file_system_of(there)
    if kind in REMOTE:
        local = "keep it on a local disk: SQLite's log needs locks that such file systems lack"
        return Diagnosis("data directory", "wrong", f"{text}, on {kind}", local)
    return Diagnosis("data directory", "fine", f"{text}, on {kind}" if kind else text)


def check_sync(data_dir: Path) -> Diagnosis:
    """Measure how long the disk takes to keep a page for certain, for which each write waits (MACHINE-2)."""
    page, began = b"\0" * 4096, time.monotonic()
    took_ms: list[float] = []
    with tempfile.TemporaryFile(dir=_nearest(data_dir)) as file:
        while len(took_ms) < SYNCS and time.monotonic() < began + SECONDS_MAX / 2:
            started = time.perf_counter()
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - started) * 1000)
    text = f"{median(took_ms):.1f} ms (median of {len(took_ms)})"
    if median(took_ms) > SYNC_SLOW_MS:
        return Diagnosis(
            "disk sync", "note", text, "each write waits for it; a data directory on tmpfs, for tests, doesn't"
        )
    return Diagnosis("disk sync", "fine", text)


def check_open_files() -> Diagnosis:
    """Tell how many connections there may be."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES_MIN:
        more = (
            "ulimit -n 4096" if hard == resource.RLIM_INFINITY or hard >= OPEN_FILES_MIN else "ask your administrator"
        )
        return Diagnosis("open files", "note", f"at most {soft}, of which each connection takes one", more)
    return Diagnosis("open files", "fine", "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft}")


def check_mounts() -> Diagnosis:
    """Tell whether volumes of the local CSI driver can be mounted into the directories of pods."""
    if sys.platform == "linux" and os.geteuid() == 0:
        return Diagnosis("mounts", "fine", "root: CSI volumes are mounted into pods' directories")
    links = "as root on Linux they would be mounted, which read-only volumes need"
    return Diagnosis("mounts", "note", "CSI volumes are symbolic links in pods' directories", links)


def _nearest(path: Path) -> Path:
    """Return `path`, or what is there of the way to it."""
    whole = path.expanduser().absolute()
    return next(each for each in (whole, *whole.parents) if each.is_dir())


def _file_system_of(path: Path) -> str:
    """Return the type of the file system that `path` is on; "" where nothing says so."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        is_above = point == "/" or str(path) == point or str(path).startswith(f"{point}/")
        if is_above and len(point) >= len(best):
            best, kind = point, found
    return kind
