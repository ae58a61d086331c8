"""Ten thousand TLS connections on which nothing is asked: what each costs the server, and what others feel of them.

The server, the one who holds the connections and the one who asks and measures are three processes. Each connection has
asked once, so that the server has made everything that belongs to it; 127.0.0.1 alone has ports enough for them.

    python -m bench.idle_connections [CONNECTIONS]
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from bench.figure import report
from tools.plane import RunningPlane, access, running

CONNECTIONS = 10_000
ASKED = 1_000  # GETs, one after the other
HOLDERS = 8  # threads that open connections
SPARE_FILES = 200
LONGEST_SECONDS = 300.0
FLAGS = ("--bare", "--controllers=")
PATH = "/api/v1/namespaces/default"

MOST_BYTES_A_CONNECTION = 40 << 10
MOST_TIMES_SLOWER = 1.5


def hold(kubeconfig: Path, connections: int) -> None:
    """Open connections, ask once on each, say so, and hold them until stdin ends."""
    allow_files(connections + SPARE_FILES)
    url, context = access(kubeconfig)
    context.set_alpn_protocols(["http/1.1"])
    host, _, port = url.rpartition("/")[2].rpartition(":")

    def connect(_: int) -> ssl.SSLSocket:
        raw = socket.create_connection((host, int(port)), timeout=60)
        connection = context.wrap_socket(raw, server_hostname=host)
        connection.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return connection

    with ThreadPoolExecutor(HOLDERS) as threads:
        held = list(threads.map(connect, range(connections)))
    print("held", flush=True)
    sys.stdin.read()
    alive = 0
    for connection in held:
        connection.setblocking(False)
        try:
            alive += connection.recv(1) != b""
        except ssl.SSLWantReadError:  # nothing came, and it is open
            alive += 1
    print(alive, flush=True)


def allow_files(wanted: int) -> None:
    """Take as many file descriptors as are needed; say so when there can't be as many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{wanted} open files are needed, and this machine allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def held(kubeconfig: Path, connections: int) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold connections."""
    command = [sys.executable, "-m", "bench.idle_connections", "hold", str(kubeconfig), str(connections)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline().strip() == "held"
        yield holder
    finally:
        if holder.poll() is None:
            holder.kill()
        holder.wait()


async def ask(kubeconfig: Path) -> list[float]:
    """GET one after the other on one connection; return the seconds of each GET."""
    url, context = access(kubeconfig)
    took = []
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=context)) as session:
        for _ in range(ASKED):
            started = time.perf_counter()
            async with session.get(PATH) as answer:
                await answer.read()
                assert answer.status == 200
            took.append(time.perf_counter() - started)
    return sorted(took)


def measure(plane: RunningPlane, connections: int) -> None:
    """Print what the connections cost, and what others feel."""
    asyncio.run(ask(plane.kubeconfig))  # warm
    before = asyncio.run(ask(plane.kubeconfig))
    memory = plane.memory_mib
    started = time.perf_counter()
    with held(plane.kubeconfig, connections) as holder:
        opened = time.perf_counter() - started
        cpu, at = plane.cpu_seconds, time.perf_counter()
        during = asyncio.run(ask(plane.kubeconfig))
        grown = plane.memory_mib - memory
        busy = (plane.cpu_seconds - cpu) / (time.perf_counter() - at)
        alive, _ = holder.communicate(timeout=LONGEST_SECONDS)
        assert int(alive) == connections, alive
    after = asyncio.run(ask(plane.kubeconfig))
    report(
        "memory of an idle TLS connection",
        grown * 2**20 / connections,
        "bytes",
        budget=MOST_BYTES_A_CONNECTION,
        better="lower",
        n=connections,
        memory_mib_before=round(memory, 1),
        memory_mib=round(memory + grown, 1),
        memory_mib_after=round(plane.memory_mib, 1),
        opened_a_second=round(connections / opened),
    )
    report(
        f"a GET beside {connections} idle connections, by one without them",
        statistics.median(during) / statistics.median(before),
        "times",
        budget=MOST_TIMES_SLOWER,
        better="lower",
        n=ASKED,
        p50_ms_before=round(statistics.median(before) * 1000, 2),
        p50_ms=round(statistics.median(during) * 1000, 2),
        p50_ms_after=round(statistics.median(after) * 1000, 2),
        p99_ms_before=round(before[int(ASKED * 0.99)] * 1000, 2),
        p99_ms=round(during[int(ASKED * 0.99)] * 1000, 2),
        busy=round(busy, 2),
    )


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["hold"]:
        hold(Path(sys.argv[2]), int(sys.argv[3]))
        return
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    allow_files(connections + SPARE_FILES)  # the server inherits it
    with (
        tempfile.TemporaryDirectory(prefix=".bench-", dir=".") as name,
        running(Path(name).absolute() / "d", FLAGS) as p,
    ):
        measure(p, connections)


if __name__ == "__main__":
    main()
