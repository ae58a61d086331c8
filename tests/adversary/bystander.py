"""A bystander of an attack: it asks the server again and again, and measures the cost of its requests.

The cost is the processor time of the server from before the question until after the answer: the time for others
ahead of it, and for its own answer. Unlike the time on the clock, it is the same on an idle machine and a busy one.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import yaml
from tests.adversary.attack import (
    MEMORY_MIB_MAX,
    OTHERS_SECONDS_MAX,
    Figure,
    peak_memory_mib,
    processor_seconds,
)
from tests.processor import hold
from tools.plane import RunningPlane, access

PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Bystander:
    """What was measured so far."""

    plane: RunningPlane
    asked: int = 0
    wrong: list[str] = field(default_factory=list)  # answers that were none
    longest_processor_seconds: float = 0.0
    longest_seconds: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask_all_the_time(self) -> None:
        """Ask until told to stop; on a new connection after one was lost."""
        connection = None
        while not self._stop.wait(PAUSE_SECONDS):
            connection = connection or self._connect()
            try:
                if connection.sock is None:
                    connection.connect()  # a handshake is several questions: `test_floods` has its bound
                before, began = processor_seconds(self.plane), time.monotonic()
                connection.request("GET", "/api/v1/namespaces/default", headers=authorization(self.plane))
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.wrong.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
                connection = None
                continue
            self.asked += 1
            self.longest_processor_seconds = max(self.longest_processor_seconds, processor_seconds(self.plane) - before)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def check(self) -> dict[str, Figure]:
        """Return the figures; refuse them if the server is worse than it may be."""
        figures: dict[str, Figure] = {
            "asked": self.asked,
            "processor_seconds_ahead": self.longest_processor_seconds,
            "longest_seconds": self.longest_seconds,
            "memory_mib": peak_memory_mib(self.plane),
        }
        assert self.asked, "somebody else got no answer at all"
        assert not self.wrong, f"somebody else got {self.wrong[:3]}, {len(self.wrong)} times; {figures}"
        hold(self.longest_processor_seconds, OTHERS_SECONDS_MAX, f"a bystander's GET; {figures}")
        assert peak_memory_mib(self.plane) < MEMORY_MIB_MAX, f"memory: {figures}"
        assert "Traceback" not in self.plane.log(), self.plane.log()[-3000:]
        return figures

    def _connect(self) -> http.client.HTTPSConnection:
        url, context = access(self.plane.kubeconfig)
        parts = urlsplit(url)
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=PATIENCE_SECONDS)


def authorization(plane: RunningPlane) -> dict[str, str]:
    """Return the header that says that the administrator asks."""
    return {"Authorization": f"Bearer {token_of(plane)}"}


def token_of(plane: RunningPlane) -> str:
    """Return the administrator's token."""
    return str(yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]["token"])


@contextmanager
def bystander(plane: RunningPlane) -> Iterator[Bystander]:
    """Let a bystander ask while the context lasts."""
    asking = Bystander(plane)
    thread = threading.Thread(target=asking.ask_all_the_time, daemon=True)
    thread.start()
    try:
        yield asking
    finally:
        asking.stop()
        thread.join(PATIENCE_SECONDS)


@contextmanager
def in_threads(count: int, work: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Run `work` in so many threads until the context is left; errors of its socket are ignored."""

    def safely() -> None:
        while not stop.is_set():
            with suppress(OSError):
                work()
            stop.wait(0.05)

    threads = [threading.Thread(target=safely, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
