"""A `pvbinder up` process for tests and benchmarks, and a client's way to it: real process, TLS and disk."""

from __future__ import annotations

import base64
import os
import selectors
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

READY_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class RunningPlane:
    """A process that has said that it is ready."""

    process: subprocess.Popen[str]
    kubeconfig: Path
    took_seconds: float  # from the start of the process until it said so
    first_line: str
    log_file: Path

    def log(self) -> str:
        """Return what it has written to stderr so far."""
        return self.log_file.read_text()

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(data_dir: Path, flags: Sequence[str] = (), *, port: int | None = 0) -> Iterator[RunningPlane]:
    """Start `pvbinder up` on `data_dir`, wait for its word, and stop it at the end."""
    command = [sys.executable, "-m", "pvbinder.cli.main", "up", "--data-dir", str(data_dir), *flags]
    if port is not None:
        command += ["--port", str(port)]
    started = time.perf_counter()
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(process.stdout, selectors.EVENT_READ)
                first_line = process.stdout.readline().rstrip() if selector.select(READY_SECONDS) else ""
                if "ready" not in first_line:
                    raise RuntimeError(f"pvbinder up did not get ready:\n{Path(log.name).read_text()}")
            took_seconds = time.perf_counter() - started
            yield RunningPlane(process, data_dir / "kubeconfig", took_seconds, first_line, Path(log.name))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def access(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server's address and a context that knows its CA and has the administrator's certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(
            base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
        )
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context
