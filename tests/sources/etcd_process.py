"""A real etcd for tests, driven over its JSON gateway; etcdctl takes its snapshots."""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.sources.etcd_writer import Change

IS_INSTALLED = bool(shutil.which("etcd") and shutil.which("etcdctl"))
READY = "ready to serve client requests"
CHANGES_AT_ONCE = 100  # of etcd's limit of 128 for a transaction


class Etcd:
    """A running etcd."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port = port
        self.directory = directory
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    @property
    def file(self) -> Path:
        """Its data file."""
        return self.directory / "member" / "snap" / "db"

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send one request of the gateway and return its answer."""
        self._line.request("POST", f"/v3/{path}", json.dumps(body))
        answer = self._line.getresponse()
        data: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, data
        return data

    def change(self, changes: Sequence[Change]) -> int:
        """Carry out the changes, each with a revision of its own; return the last one."""
        revision = 0
        for key, value in changes:
            operation = {"key": _text(key.encode())} | ({} if value is None else {"value": _text(value)})
            answer = self.ask("kv/deleterange" if value is None else "kv/put", operation)
            revision = int(answer["header"]["revision"])
        return revision

    def put_many(self, changes: Sequence[Change]) -> None:
        """Put many values, a hundred in each transaction."""
        for at in range(0, len(changes), CHANGES_AT_ONCE):
            parts = changes[at : at + CHANGES_AT_ONCE]
            puts = [{"requestPut": {"key": _text(key.encode()), "value": _text(value or b"")}} for key, value in parts]
            self.ask("kv/txn", {"success": puts})

    def compact(self, revision: int) -> None:
        """Forget all before a revision, and wait until it is done."""
        self.ask("kv/compaction", {"revision": revision, "physical": True})

    def snapshot(self, to: Path) -> Path:
        """Take a snapshot as administrators do."""
        run = ["etcdctl", f"--endpoints=http://127.0.0.1:{self.port}", "snapshot", "save", str(to)]
        subprocess.run(run, check=True, capture_output=True, env={**os.environ, "ETCDCTL_API": "3"}, timeout=60)
        return to

    def close(self) -> None:
        """Close the line to it."""
        self._line.close()


@contextmanager
def running_etcd(directory: Path) -> Iterator[Etcd]:
    """Run an etcd in `directory` until the context is left."""
    client, peer = _free_port(), _free_port()
    urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
    command = [
        "etcd",
        f"--data-dir={directory}",
        f"--listen-client-urls={urls[0]}",
        f"--advertise-client-urls={urls[0]}",
    ]
    command += [f"--listen-peer-urls={urls[1]}", f"--initial-advertise-peer-urls={urls[1]}"]
    command += [f"--initial-cluster=default={urls[1]}", "--unsafe-no-fsync"]
    log = directory.with_name(directory.name + ".log")
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if READY in line:
                    break
            else:
                raise AssertionError(f"etcd ended with {process.wait()}")
            with log.open("w") as rest, subprocess.Popen(["cat"], stdin=process.stderr, stdout=rest) as drain:
                with closing(Etcd(client, directory)) as etcd:
                    yield etcd
                process.terminate()
                process.wait(30)
                drain.wait(30)
        finally:
            process.kill()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
