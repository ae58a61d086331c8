"""How long `pvbinder up --load` takes with an etcd snapshot of 100 000 live objects, and what it weighs then.

Each of the objects but the config maps has been written three times, as in a cluster: the file has 300 000 revisions.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bench.figure import report
from bench.load_dump import dump
from tests.sources.etcd_writer import Change, etcd_file, puts
from tools.plane import running

from pvbinder.sources.reading import read_sources

TIMES = 3


def main() -> None:
    """Print how long reading alone takes, and until the plane is ready with it."""
    with tempfile.TemporaryDirectory() as folder:
        file, data = Path(folder) / "snapshot.db", Path(folder) / "data"
        items = dump()
        changes: list[Change] = puts(items)
        file.write_bytes(etcd_file(changes * TIMES, snapshot=True))
        size = {"mib": round(file.stat().st_size / 2**20), "revisions": len(changes) * TIMES}
        del changes
        started = time.process_time()
        count = sum(1 for _ in read_sources([str(file)]))
        report("read an etcd snapshot", time.process_time() - started, "s", budget=40, better="lower", n=count, **size)
        del items
        with running(data, ["--load", str(file)]) as plane:
            report(
                "load an etcd snapshot",
                plane.took_seconds,
                "s",
                budget=60,
                better="lower",
                n=count,
                memory_mib=round(plane.memory_mib),
                memory_mib_max=round(plane.memory_mib_max),
                cpu_seconds=plane.cpu_seconds,
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
