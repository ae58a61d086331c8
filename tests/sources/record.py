"""Record the files of a real etcd that the tests read where none is installed.

    python -m tests.sources.record      # needs etcd and etcdctl (Debian: etcd-server, etcd-client)

It puts `etcd_history.history()` into an etcd of its own, with a compaction in the middle, and writes to ``data/``: a
snapshot, the data file at that moment while etcd ran, and the data file after it was stopped; each compressed.
"""

from __future__ import annotations

import gzip
import subprocess
import tempfile
from pathlib import Path

from tests.sources.etcd_history import COMPACTED, history
from tests.sources.etcd_process import running_etcd

DATA = Path(__file__).parent / "data"


def main() -> None:
    """Write the files."""
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "etcd"
        changes = history()
        with running_etcd(directory) as etcd:
            half = len(changes) // 2
            etcd.change(changes[:half])
            etcd.compact(COMPACTED)
            etcd.change(changes[half:])
            files = {
                "snapshot": etcd.snapshot(Path(folder) / "snapshot").read_bytes(),
                "running": etcd.file.read_bytes(),
            }
        files["stopped"] = etcd.file.read_bytes()
    for name, data in files.items():
        (DATA / f"etcd-{name}.db.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    print(subprocess.run(["etcd", "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0])


if __name__ == "__main__":
    main()
