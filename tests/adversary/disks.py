"""A disk of 4 MiB that others fill, too: acknowledged writes are kept, refused ones aren't there, and it goes on.

The disk is a file system in memory, in a mount namespace of its own, so that no root is needed where users may have
namespaces; elsewhere the attack is skipped. Inside: write until it is full, read, free space by deleting, write again;
be killed and started while it is full, or while somebody else's file takes the rest.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from tests.adversary.attack import BARE, Attack, Figures, Unavailable
from tests.adversary.bystander import authorization
from tools.plane import RunningPlane, access, running

MAPS = "/api/v1/namespaces/default/configmaps"
DISK_MIB = 4
WRITES_MAX = 400
TRIES = 20  # of a deletion, or of a write after space was made
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]


@contextmanager
def line(plane: RunningPlane) -> Iterator[http.client.HTTPSConnection]:
    """Connect."""
    url, context = access(plane.kubeconfig)
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


class Client:
    """Writes, and remembers what was acknowledged."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self.there: set[str] = set()
        self.acknowledged = 0
        self.refused = 0

    def fill(self, plane: RunningPlane) -> None:
        """Create until a write is refused."""
        with line(plane) as connection:
            for _ in range(WRITES_MAX):
                self._number += 1
                name = f"m{self._number}"
                body = {"metadata": {"name": name}, "data": {"large": "x" * self._random.randrange(60_000)}}
                status, said = self._ask(plane, connection, "POST", MAPS, body)
                if status == 201:
                    self.there.add(name)
                    self.acknowledged += 1
                    continue
                assert 500 <= status < 600, said
                self.refused += 1
                return
        raise AssertionError(f"{WRITES_MAX} writes went into {DISK_MIB} MiB")

    def free(self, plane: RunningPlane) -> None:
        """Delete half of what is there: at the latest some tries later each deletion is done."""
        said: object = None
        with line(plane) as connection:
            for name in self._random.sample(sorted(self.there), len(self.there) // 2):
                for _ in range(TRIES):
                    status, said = self._ask(plane, connection, "DELETE", f"{MAPS}/{name}", None)
                    if status in (200, 404):
                        self.there.discard(name)
                        break
                    assert 500 <= status < 600, said
                else:
                    raise AssertionError(f"a full disk can't be freed: {said}")
            self.acknowledged += 1

    def check(self, plane: RunningPlane) -> None:
        """Compare with the list."""
        with line(plane) as connection:
            status, said = self._ask(plane, connection, "GET", MAPS, None)
        assert status == 200, said
        found = {item["metadata"]["name"] for item in said["items"]} - {"kube-root-ca.crt"}
        assert found == self.there, f"lost {self.there - found}, not acknowledged and there {found - self.there}"

    @staticmethod
    def _ask(
        plane: RunningPlane, connection: http.client.HTTPSConnection, method: str, path: str, body: object
    ) -> tuple[int, dict[str, list[dict[str, dict[str, str]]]]]:
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {**authorization(plane), "Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def inside(disk: Path, seconds: float, random: Random) -> dict[str, int]:
    """Attack where `disk` is small."""
    client, rounds, others = Client(random), 0, disk / "of-somebody-else"
    until = time.monotonic() + seconds
    while time.monotonic() < until or not rounds:
        rounds += 1
        with running(disk / "data", BARE, port=None if rounds > 1 else 0) as plane:
            client.check(plane)
            client.fill(plane)
            client.check(plane)
            plane.process.kill()
            plane.process.wait(60)
        with running(disk / "data", BARE, port=None) as plane:  # full from the start
            client.check(plane)
            client.free(plane)
            client.check(plane)
            client.fill(plane)
            assert "Traceback" not in plane.log(), plane.log()
        if random.random() < 0.5 or rounds == 1:
            _fill(others)
            with running(disk / "data", BARE, port=None) as plane:
                client.check(plane)
                others.unlink()
                client.free(plane)
                client.fill(plane)
            assert "Traceback" not in plane.log_file.name
        with running(disk / "data", BARE, port=None) as plane:
            client.free(plane)
    return {"rounds": rounds, "acknowledged": client.acknowledged, "refused": client.refused}


def _fill(path: Path) -> None:
    """Take all room that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def run(directory: Path, seconds: float, random: Random) -> Figures:
    """Attack in a namespace with a small disk."""
    mount = f"mount -t tmpfs -o size={DISK_MIB}m none {directory}"
    if shutil.which("unshare") is None:
        raise Unavailable("there is no command unshare, which makes mount namespaces")
    probe = subprocess.run([*NAMESPACE, "sh", "-c", mount], capture_output=True, text=True, check=False)
    if probe.returncode:
        raise Unavailable(f"may not mount a file system here: {probe.stderr.strip()}")
    attack = f"{sys.executable} -m tests.adversary.disks {directory} {seconds} {random.randrange(10**9)}"
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", f"{mount} && exec {attack}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


if __name__ == "__main__":
    print(json.dumps(inside(Path(sys.argv[1]), float(sys.argv[2]), Random(int(sys.argv[3])))))

ATTACKS = (Attack("small-disk", run, 4),)
