"""Tests run in a process of their own, forked off one that has imported the libraries but nothing of pvbinder.

So a mistake is there before anything is imported: tables made at import, in the code or in a test, have it, too. So do
the commands that a test starts.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from tools.mutation.changed import put_in_place
from tools.mutation.mistakes import Mistake
from tools.mutation.rooms import ROOT

OPTIONS = [
    *("-q", "--timeout", "60", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-p", "no:schemathesis", "-p", "no:anyio"),  # plugins that no test of a room needs; loading them takes a second
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
]
MEMORY = Path("/dev/shm")  # where tests keep their files, if there is one: they would wait for the disk
LIBRARIES = (  # what tests and code import, and takes long
    "aiohttp",
    "cryptography.x509",
    "h2.connection",
    "hypothesis.strategies",
    "jsonpatch",
    "jwt",
    "prometheus_client",
    "pytest_asyncio.plugin",
    "pytest_timeout",
    "re2",
    "rich.console",
    "sqlite3",
    "yaml",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How tests ended: pytest's exit code (None when they ran out of time), and the first test that failed."""

    exit_code: int | None
    failed: str | None
    log: str


@dataclass(slots=True)
class Reports:
    """Pytest's plugin that remembers what failed first, which tests passed, and how long they took."""

    failed: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid
        if report.when == "call" and report.passed:
            self.seconds[report.nodeid] = round(report.duration, 4)
        elif report.failed:
            self.seconds.pop(report.nodeid, None)


def import_libraries() -> None:
    """Import what costs time and has no part of pvbinder, once for all processes."""
    for name in LIBRARIES:
        importlib.import_module(name)
    if loaded := [name for name in sys.modules if name.split(".")[0] == "pvbinder"]:
        raise RuntimeError(f"{loaded[0]} is imported already, and no mistake could be put in its place")


def run_tests(tests: Sequence[str], mistake: Mistake | None, seconds_max: float) -> Ran:
    """Run tests until one fails, with the mistake in its place."""

    def body() -> bytes:
        if mistake is not None:
            put_in_place(mistake.file, mistake.number)
        reports = Reports()
        code = pytest.main([*OPTIONS, "-x", *tests], plugins=[reports])
        return msgspec.json.encode([int(code), reports.failed])

    answer, log = in_child(body, seconds_max)
    if answer is None:
        return Ran(None, None, log)
    code, failed = msgspec.json.decode(answer, type=tuple[int, str | None])
    return Ran(code, failed, log)


def in_child(body: Callable[[], bytes], seconds_max: float) -> tuple[bytes | None, str]:
    """Return what `body` returns in a forked process, or None if it ended in another way, and the end of its output."""
    reader, writer = os.pipe()
    log = Path(f"/tmp/pvbinder-mutation-{os.getpid()}.log")
    child = os.fork()
    if child == 0:
        _be_child(body, writer, log, seconds_max)
    os.close(writer)
    answer = b""
    deadline = time.monotonic() + seconds_max
    while (left := deadline - time.monotonic()) > 0 and select.select([reader], [], [], left)[0]:
        piece = os.read(reader, 1 << 20)
        if not piece:
            break
        answer += piece
    os.close(reader)
    _end(child)
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    return (answer[1:] if answer[:1] == b"+" else None), text[-4000:]


def _be_child(body: Callable[[], bytes], writer: int, log: Path, seconds_max: float) -> None:
    os.setsid()
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(ROOT)
        if MEMORY.is_dir():
            os.environ |= {"TMPDIR": str(MEMORY), "PYTEST_DEBUG_TEMPROOT": str(MEMORY)}
        seconds = int(seconds_max) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        answer = b"+" + body()
        sys.stdout.flush()
        while answer:
            answer = answer[os.write(writer, answer) :]
    finally:
        os._exit(0)


def _end(child: int) -> None:
    """End the child and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
