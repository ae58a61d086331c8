"""The one plugin of the vectors (README, "pluginCalls"): it gives the results it was told, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pvbinder.model.json import Json
from pvbinder.model.objects import Volume
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    Identity,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
    Recycled,
    RecycleOutcome,
)

T = TypeVar("T")

NAME = "kubernetes.io/mock-volume"
SOURCES = frozenset(
    {"awsElasticBlockStore", "azureDisk", "azureFile", "cinder", "fc", "flexVolume", "gcePersistentDisk", "hostPath"}
    | {"iscsi", "local", "nfs", "portworxVolume", "rbd", "vsphereVolume"}
)


class MockPlugin:
    """Provisions, deletes and recycles by lists of results."""

    def __init__(self, calls: Json) -> None:
        self._results: dict[str, list[Any]] = {kind: list(calls.get(kind) or []) for kind in KINDS}
        self._used: dict[str, int] = dict.fromkeys(KINDS, 0)
        lacking = {
            kind: None if self._results[kind] else f"Mock plugin error: no {kind}Calls configured" for kind in KINDS
        }
        self.identity = Identity(NAME, SOURCES, unavailable=lacking["provision"], undeletable=lacking["delete"])

    @property
    def used(self) -> dict[str, int]:
        """How many entries of each list were used up."""
        return {kind: min(self._used[kind], len(self._results[kind])) for kind in KINDS}

    def _next(self, kind: str) -> Any:
        results = self._results[kind]
        if not results:
            return Failed(f"Mock plugin error: no {kind}Calls configured")
        number = self._used[kind]
        self._used[kind] += 1
        if number >= len(results):
            return Failed(f"Mock plugin error: unexpected {KINDS[kind]} call {len(results)}")
        return results[number]

    def delete(self, _volume: Volume) -> DeleteOutcome:
        return _outcome(self._next("delete"), Deleted)

    def recycle(self, _volume: Volume) -> RecycleOutcome:
        return _outcome(self._next("recycle"), Recycled)

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        result = self._next("provision")
        if isinstance(result, Failed):
            return result
        if result["expectedParameters"] != request.storage_class.parameters:
            return Failed("Mock plugin error: invalid provisioner call")
        if result["error"] is not None:
            return Failed(result["error"])
        return Provisioned({"gcePersistentDisk": {"pdName": ""}})


KINDS = {"provision": "provisioner", "delete": "deleter", "recycle": "recycle"}


def _outcome(result: Any, success: Callable[[], T]) -> T | Failed:
    if isinstance(result, Failed):
        return result
    return success() if result is None else Failed(result)
