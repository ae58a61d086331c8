"""What a sidecar has done and how long it took; metrics read it when somebody asks (2.6, CA-6)."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from pvbinder.controllers.csi.snapshot_operations import SnapshotOperations
from pvbinder.model.histogram import Durations, Histogram

LIBRARY_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CALL_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 25.0, 50.0, 120.0, 300.0, 600.0)


class CapacityStatistics(Struct, frozen=True):
    """The pairs that should have an object, those of them that have one, and objects that should not be (CA-6)."""

    goal: int
    current: int
    obsolete: int


@runtime_checkable
class HasCapacities(Protocol):
    """A part of a role that keeps CSIStorageCapacity objects."""

    def capacity_statistics(self) -> CapacityStatistics:
        """How far the objects are what they should be."""
        ...


class CsiMeasures:
    """The counts of one driver's sidecar; belongs to the loop's thread."""

    def __init__(self) -> None:
        self.driver = ""  # its name, once it has said it
        self.failed_provisions: Counter[tuple[str, str]] = Counter()  # by class and source
        self.failed_deletes: Counter[str] = Counter()  # by class
        self.snapshots = SnapshotOperations()
        self._provisions: dict[tuple[str, str], Histogram] = {}
        self._deletes: dict[str, Histogram] = {}
        self._calls: dict[tuple[str, str], Histogram] = {}

    def called(self, method: str, code: str, seconds: float) -> None:
        """Count one call to the driver."""
        self._calls.setdefault((method, code), Histogram(CALL_BOUNDS)).observe(seconds)

    def provisioned(self, storage_class: str, source: str, seconds: float) -> None:
        """Count a volume that was made, by the kind that it was made from."""
        self._provisions.setdefault((storage_class, source), Histogram(LIBRARY_BOUNDS)).observe(seconds)

    def deleted(self, storage_class: str, seconds: float) -> None:
        """Count a volume that was deleted."""
        self._deletes.setdefault(storage_class, Histogram(LIBRARY_BOUNDS)).observe(seconds)

    @property
    def calls(self) -> dict[tuple[str, str], Durations]:
        """By path of the method and code."""
        return {key: one.value() for key, one in self._calls.items()}

    @property
    def provisions(self) -> dict[tuple[str, str], Durations]:
        """By class and source."""
        return {key: one.value() for key, one in self._provisions.items()}

    @property
    def deletes(self) -> dict[str, Durations]:
        """By class."""
        return {key: one.value() for key, one in self._deletes.items()}
