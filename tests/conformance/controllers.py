"""Stop and start `pvbinder controller` as a process of its own, as a scenario with `needs: [restart]` asks for.

    python -m tests.conformance.controllers FOLDER start|stop

`start` returns when all caches are filled and all controllers run. FOLDER holds the process id and the log from one
call to the next; the API server is that of KUBECONFIG. The flags are those that the scenarios were recorded with.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FLAGS = ("--sync-period", "2s", "--enable-hostpath-provisioner", "--controllers", "*,-ephemeral-volume", "--no-metrics")
DEADLINE_SECONDS = 60
NEXT_LOOK_SECONDS = 0.02


def start(folder: Path) -> None:
    """Start the controllers and wait for their word."""
    log = folder / "log"
    before = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "pvbinder.cli.main", "controller", *FLAGS]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    (folder / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while b" ready " not in log.read_bytes()[before:]:
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"pvbinder controller did not get ready:\n{log.read_text()}")
        time.sleep(NEXT_LOOK_SECONDS)


def stop(folder: Path) -> None:
    """Stop the controllers, if any run, and wait until they have."""
    try:
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        return
    (folder / "pid").unlink()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while is_running(pid):
        if time.monotonic() > deadline:
            sys.exit(f"pvbinder controller, process {pid}, did not stop")
        time.sleep(NEXT_LOOK_SECONDS)


def is_running(pid: int) -> bool:
    """Tell whether the process still runs; one that has ended and whose parent hasn't asked yet doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


if __name__ == "__main__":
    {"start": start, "stop": stop}[sys.argv[2]](Path(sys.argv[1]))
