"""The driver as a process of its own, which begins and ends with ours.

LOCALPROCESS-1  When the context is entered it is served; what kept it from that is raised, in its own words.
LOCALPROCESS-2  It ends when we end, however that comes: it reads from a pipe that closes with us.
LOCALPROCESS-3  A terminal's Ctrl-C doesn't reach it: whoever needs it for a clean end has it until then.
LOCALPROCESS-4  Its end is seen: `ended` says how it came.
LOCALPROCESS-5  Its log lines are among ours, in our format, and from our level on.

It is a process because its work is on files: each step of that would let go of the interpreter and wait for it again,
beside an API server that keeps it busy.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

import pvbinder
from pvbinder import logs
from pvbinder.csi.local.options import How, LocalDriver
from pvbinder.model.errors import PvbinderError

MODULE: Final = "pvbinder.csi.local"  # its __main__
_STDIN, _STDOUT, _STDERR = 0, 1, 2
STOP_SECONDS: Final = 10.0  # until it is killed; it gives calls that are under way a moment

log = logs.get(__name__)


class DriverNotStartedError(PvbinderError):
    """The driver's process said why it can't serve, or ended without a word."""


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the process is told."""

    endpoint: str
    root: str
    node: str
    capacity_bytes: int | None
    how: How
    log: logs.LogSettings

    @property
    def driver(self) -> LocalDriver:
        """The driver that is wanted."""
        return LocalDriver(self.endpoint, Path(self.root), self.node, self.capacity_bytes, self.how)


class Started(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the process answers, in one line: that it serves, or what is in the way."""

    trouble: str | None = None
    hint: str | None = None


class DriverProcess:
    """The process of a driver that is served."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    async def ended(self) -> str:
        """Wait for its end, and say how that came."""
        return _how_it_ended(await self._process.wait())


@asynccontextmanager
async def driver_process(options: LocalDriver) -> AsyncGenerator[DriverProcess]:
    """Serve the driver from a process of its own; raise DriverNotStartedError or OSError."""
    start = Start(
        options.endpoint, str(options.root), options.node, options.capacity_bytes, options.how, logs.settings()
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", MODULE, msgspec.json.encode(start).decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    try:
        await _wait_served(process)
        yield DriverProcess(process)
    finally:
        await _stop(process)


def _environment() -> dict[str, str]:
    """Return ours, with what has our own modules in it first."""
    ours = str(Path(pvbinder.__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": ours if not before else f"{ours}{os.pathsep}{before}"}


async def _wait_served(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise DriverNotStartedError(f"its process {_how_it_ended(await process.wait())} before it was served")
    answer = msgspec.json.decode(line, type=Started)
    if answer.trouble is not None:
        raise DriverNotStartedError(answer.trouble, hint=answer.hint)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Let it end by itself, for a while (LOCALPROCESS-2)."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("local driver doesn't end: it is killed", pid=process.pid)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def _how_it_ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


# ---------------------------------------------------------------- in the process itself


def serve_as_told(told: bytes) -> int:
    """Serve the driver until stdin is closed, and return the exit code; `told` is a `Start`."""
    start = msgspec.json.decode(told, type=Start)
    logs.configure_as(start.log)
    with asyncio.Runner() as runner:
        return runner.run(_serve(start))


async def _serve(start: Start) -> int:
    from pvbinder.csi.local.driver import local_driver  # gRPC takes time to import

    try:
        async with local_driver(start.driver):
            _answer(Started())
            gc.freeze()
            gc.enable()
            await _closed(_STDIN)
    except PvbinderError as error:
        _answer(Started(error.message, error.hint))
        return 1
    except OSError as error:
        _answer(Started(str(error)))
        return 1
    return 0


def _answer(answer: Started) -> None:
    """Say it, once; what else is written to stdout is a log line."""
    with suppress(BrokenPipeError):
        os.write(_STDOUT, msgspec.json.encode(answer) + b"\n")
    os.dup2(_STDERR, _STDOUT)


async def _closed(pipe: int) -> None:
    """Wait until nobody can write into `pipe` any more."""
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(pipe, 4096):
            closed.set()

    loop.add_reader(pipe, look)
    try:
        await closed.wait()
    finally:
        loop.remove_reader(pipe)
