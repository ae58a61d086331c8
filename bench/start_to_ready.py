"""How long `pvbinder up` takes until it answers over TLS, and what it weighs when it has nothing to do."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from pathlib import Path

from bench.figure import median_of, report
from tools.plane import access, running

REPETITIONS = 7
IDLE_SECONDS = 10.0


def start_once() -> float:
    """Start on an empty directory; return the seconds until /readyz has answered."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with running(Path(folder) / "data") as plane:
            url, context = access(plane.kubeconfig)
            with urllib.request.urlopen(f"{url}/readyz", context=context) as answer:
                assert answer.status == 200
            return time.perf_counter() - started


def idle() -> tuple[float, float]:
    """Return the resident memory in MiB and the processor time in seconds a minute of a plane that does nothing."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as plane:
        before = plane.cpu_seconds
        time.sleep(IDLE_SECONDS)
        return plane.memory_mib, (plane.cpu_seconds - before) * 60 / IDLE_SECONDS


def main() -> None:
    """Print the two figures."""
    seconds, values = median_of(REPETITIONS, start_once)
    report("start to ready", seconds, "s", budget=1.0, better="lower", n=REPETITIONS, values=values)
    memory_mib, cpu_seconds = idle()
    report("idle memory", memory_mib, "MiB", budget=120, better="lower", n=1, idle_cpu_seconds_a_minute=cpu_seconds)


if __name__ == "__main__":
    main()
