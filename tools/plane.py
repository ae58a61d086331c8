"""`pvbinder up` and `pvbinder controller` as processes for tests and benchmarks, and a client's way to them."""

from __future__ import annotations

import base64
import os
import selectors
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
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
        return self._memory_mib("VmRSS")

    @property
    def memory_mib_max(self) -> float:
        """The most resident memory that it had at any time."""
        return self._memory_mib("VmHWM")

    def _memory_mib(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    data_dir: Path, flags: Sequence[str] = (), *, port: int | None = 0, ready_seconds: float = READY_SECONDS
) -> Iterator[RunningPlane]:
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
                first_line = process.stdout.readline().rstrip() if selector.select(ready_seconds) else ""
                if "ready" not in first_line:
                    raise RuntimeError(f"pvbinder up did not get ready:\n{Path(log.name).read_text()}")
            took_seconds = time.perf_counter() - started
            yield RunningPlane(process, data_dir / "kubeconfig", took_seconds, first_line, Path(log.name))
        finally:
            _stop(process)
            if process.stdout is not None:
                process.stdout.close()


class RunningController:
    """A `pvbinder controller` process and what it has written to stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._has_ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def log(self) -> str:
        """Return what it has written so far; all of it, once it has ended."""
        if self.process.poll() is not None:
            self._reader.join(STOP_SECONDS)
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str) -> str:
        """Wait for the next line with `text` and return it, with the lines before it forgotten."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._index(text) is not None or self._has_ended, READY_SECONDS)
            at = self._index(text)
            if not found or at is None:
                raise RuntimeError(f"pvbinder controller did not say {text!r}:\n{''.join(self._lines)}")
            line = self._lines[at]
            del self._lines[: at + 1]
            return line

    def _index(self, text: str) -> int | None:
        return next((number for number, line in enumerate(self._lines) if text in line), None)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


@contextmanager
def controlling(kubeconfig: Path, flags: Sequence[str] = (), *, wait: bool = True) -> Iterator[RunningController]:
    """Start `pvbinder controller` on the server of `kubeconfig`, wait for its word, and stop it at the end."""
    command = [sys.executable, "-m", "pvbinder.cli.main", "controller", "--kubeconfig", str(kubeconfig)]
    process = subprocess.Popen([*command, "--metrics-port", "0", *flags], stderr=subprocess.PIPE, text=True)
    controller = RunningController(process)
    try:
        if wait:
            controller.wait_for(" ready ")
        yield controller
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def access(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server's address and a context that knows its CA and has the administrator's certificate.

    The kubeconfig has a token only; the certificate lies beside it in the data directory.
    """
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    pki = kubeconfig.parent / "pki"
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return cluster["server"], context
