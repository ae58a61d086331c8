"""The durations and counts that controllers measure while they work; metrics read it when somebody asks.

Plain numbers, so that measuring costs next to nothing and needs no metrics library. Each controller has its own and
gives it out as `measures`; belongs to the loop's thread.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pvbinder.controllers.binder.timers import BUCKETS, Duration
from pvbinder.model.histogram import Durations, Histogram
from pvbinder.volumes.calls import PluginOperation

StorageOperation: TypeAlias = PluginOperation | Literal["expand_volume"]  # as MT-7 and EX-13 call them


class Measures:
    """Operations from end to end, and calls to plugins."""

    def __init__(self) -> None:
        self._operations: dict[tuple[str, str], Histogram] = {}
        self._calls: dict[tuple[str, str, str], Histogram] = {}

    def operation_ended(self, duration: Duration) -> None:
        """Count an operation from its first attempt to its success (MT-2 to MT-4)."""
        key = (duration.plugin, duration.operation)
        self._operations.setdefault(key, Histogram(BUCKETS)).observe(duration.seconds)

    def plugin_called(self, plugin: str, operation: StorageOperation, success: bool, seconds: float) -> None:
        """Count one call to a plugin (MT-7, EX-13); the reference has no such count of recycling."""
        if operation != "volume_recycle":
            key = (plugin, operation, "success" if success else "fail-unknown")
            self._calls.setdefault(key, Histogram(BUCKETS)).observe(seconds)

    @property
    def operations(self) -> dict[tuple[str, str], Durations]:
        """By plugin and operation (MT-2)."""
        return {key: histogram.value() for key, histogram in self._operations.items()}

    @property
    def calls(self) -> dict[tuple[str, str, str], Durations]:
        """By plugin, operation and status (MT-7)."""
        return {key: histogram.value() for key, histogram in self._calls.items()}
