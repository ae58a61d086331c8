"""The embedded server in a process of its own: its memory and processor time are its own, too.

    with running_server(directory) as server:
        ...  # connect to server.port
        server.memory_mib, server.cpu_seconds, server.longest()

Run as a program it is that process: it says on stdout where it listens, and answers each line on stdin with what its
watchdog saw since the line before. It is on asyncio's standard loop, whose callbacks the watchdog can measure.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.processor import hold
from tests.server.watchdog import CALLBACK_SECONDS_MAX, Stop, watching_loop

STOP_SECONDS = 30.0


@dataclass(slots=True)
class ServerProcess:
    """A server that has said that it is ready."""

    process: subprocess.Popen[str]
    port: int
    token: str  # the administrator's
    log_file: Path

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        return self._memory("VmRSS")

    @property
    def peak_mib(self) -> float:
        """The most resident memory that there ever was."""
        return self._memory("VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far by all its threads, to the microsecond."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # clock_getcpuclockid(3) of another process

    def log(self) -> str:
        """Return its stderr so far."""
        return self.log_file.read_text()

    def longest(self) -> Stop:
        """Return the callback that held the loop longest since this was last asked."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seen = json.loads(self.process.stdout.readline())
        return Stop(seen["seconds"], seen["callback"])

    def check_longest(self, seconds_max: float = CALLBACK_SECONDS_MAX) -> None:
        """Fail if a callback held the loop for longer since this was last asked."""
        longest = self.longest()
        hold(longest.seconds, seconds_max, f"the loop was held by {longest.callback}")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


@contextmanager
def running_server(directory: Path, **timeouts: float) -> Iterator[ServerProcess]:
    """Run a server on `directory` with these `Timeouts`, wait for its word, and stop it at the end."""
    directory.mkdir(parents=True, exist_ok=True)
    log_file = directory / "stderr"
    command = [sys.executable, "-m", "tests.server.child", str(directory / "data"), json.dumps(timeouts)]
    with log_file.open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first, log_file.read_text()
        said = json.loads(first)
        yield ServerProcess(process, said["port"], said["token"], log_file)
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


async def _serve(data_dir: Path, timeouts: dict[str, float], stdin: IO[str]) -> None:
    from pvbinder.server.embedded import EmbeddedServer
    from pvbinder.server.wire.messages import Timeouts

    with watching_loop() as watchdog:
        async with EmbeddedServer(data_dir, timeouts=Timeouts(**timeouts)) as server:
            gc.collect()
            gc.freeze()  # as `pvbinder up` does when it has started
            _say(port=server.port, token=server.identity.admin_token)
            watchdog.reset()
            loop = asyncio.get_running_loop()
            while await loop.run_in_executor(None, stdin.readline):
                _say(seconds=watchdog.longest.seconds, callback=watchdog.longest.callback)
                watchdog.reset()


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO)
    asyncio.run(_serve(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.stdin))
