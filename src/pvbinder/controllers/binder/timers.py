"""How long making and deleting volumes takes, end to end, across syncs and controllers (MT-2 to MT-5).

A timer starts with the first operation for an object and ends when the result is there, whoever made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct

OperationName: TypeAlias = Literal["provision", "delete"]

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 25.0, 50.0, 120.0, 300.0, 600.0)  # seconds, MT-2


class Duration(Struct, frozen=True):
    """One operation that has ended well."""

    operation: OperationName
    plugin: str
    seconds: float


class _Started(Struct, frozen=True):
    plugin: str
    at: float


class Timers:
    """The operations under way, by object; finished ones go to `observe`."""

    def __init__(self, now: Callable[[], float], observe: Callable[[Duration], None] = lambda _: None) -> None:
        self._now = now
        self._observe = observe
        self._started: dict[tuple[OperationName, str], _Started] = {}
        self.errors: Counter[tuple[str, OperationName]] = Counter()  # by plugin and operation (MT-5)

    def start(self, operation: OperationName, key: str, plugin: str) -> None:
        """Start the timer for the object, unless it runs already."""
        self._started.setdefault((operation, key), _Started(plugin, self._now()))

    def is_running(self, operation: OperationName, key: str) -> bool:
        """Tell whether a timer runs for the object."""
        return (operation, key) in self._started

    def finish(self, operation: OperationName, key: str) -> None:
        """End the timer well; nothing if none runs."""
        started = self._started.pop((operation, key), None)
        if started is not None:
            self._observe(Duration(operation, started.plugin, self._now() - started.at))

    def fail(self, operation: OperationName, key: str) -> None:
        """Count an error, if a timer runs; it goes on."""
        started = self._started.get((operation, key))
        if started is not None:
            self.errors[started.plugin, operation] += 1

    def drop(self, operation: OperationName, key: str) -> None:
        """Forget the timer: nobody waits any more."""
        self._started.pop((operation, key), None)
