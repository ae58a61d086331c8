"""How long `pvbinder up --load` takes with an etcd snapshot of 100 000 live objects, and what it weighs then.

    python -m bench.load_etcd [FILE]    # FILE is a snapshot that is there already

Otherwise one is written, in which each object was written three times, as in a cluster: it has 300 000 revisions.
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
        file = Path(sys.argv[1]) if sys.argv[1:] else written(Path(folder) / "snapshot.db")
        started = time.process_time()
        count = sum(1 for _ in read_sources([str(file)]))
        took_seconds = time.process_time() - started
        mib = round(file.stat().st_size / 2**20)
        report("read an etcd snapshot (processor)", took_seconds, "s", budget=40, better="lower", n=count, mib=mib)
        with running(Path(folder) / "data", ["--bare", "--load", str(file)], ready_seconds=600) as plane:
            report(
                "load an etcd snapshot",
                plane.took_seconds,
                "s",
                budget=60,
                better="lower",
                n=count,
                mib=mib,
                memory_mib=round(plane.memory_mib),
                memory_mib_max=round(plane.memory_mib_max),
                cpu_seconds=plane.cpu_seconds,
            )
        sys.stdout.flush()


def written(file: Path) -> Path:
    """Write the snapshot, and return its path."""
    changes: list[Change] = puts(dump())
    file.write_bytes(etcd_file(changes * TIMES, snapshot=True))
    return file


if __name__ == "__main__":
    main()
