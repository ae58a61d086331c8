"""Classes whose plugin raises, hangs or answers nonsense: their claims are told, and everybody else is served."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.controllers.cluster import Cluster, claim, cluster, storage_class

from pvbinder.controllers.binder_controller import BinderController
from pvbinder.controllers.options import ControllerOptions
from pvbinder.kube.kinds import CLAIMS, EVENTS
from pvbinder.model.objects import Volume
from pvbinder.volumes import loading
from pvbinder.volumes.plugin import DeleteOutcome, Identity, ProvisionOutcome, ProvisionRequest

RELEASED = threading.Event()  # lets hanging calls go on, at the end of a test


class _Troubled:
    """What the troubled plugins have in common."""

    identity = Identity("none", frozenset())

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        raise NotImplementedError

    def delete(self, volume: Volume) -> DeleteOutcome:
        raise NotImplementedError


class Raising(_Troubled):
    """A plugin that always raises."""

    identity = Identity("example.com/raising", frozenset())

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        raise OSError(28, "No space left on device")


class Hanging(_Troubled):
    """A plugin that never comes back."""

    identity = Identity("example.com/hanging", frozenset())

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        RELEASED.wait(60)
        raise OSError("too late")


class Babbling(_Troubled):
    """A plugin that answers nonsense."""

    identity = Identity("example.com/babbling", frozenset())

    def provision(self, request: ProvisionRequest) -> ProvisionOutcome:
        return "done"  # type: ignore[return-value]


TROUBLED = {"Raising": "example.com/raising", "Hanging": "example.com/hanging", "Babbling": "example.com/babbling"}


@asynccontextmanager
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """A cluster whose binder found the troubled plugins installed."""
    installed = [EntryPoint(name, f"{__name__}:{name}", loading.ENTRY_POINTS) for name in TROUBLED]
    monkeypatch.setattr(loading, "entry_points", lambda group: installed if group == loading.ENTRY_POINTS else [])
    options = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=str(tmp_path))
    try:
        async with cluster(options) as found:
            await found.create(
                storage_class("healthy", "kubernetes.io/host-path"),
                *(storage_class(name.lower(), provisioner) for name, provisioner in TROUBLED.items()),
            )
            yield found
    finally:
        RELEASED.set()
        RELEASED.clear()


def is_bound(found: Cluster, name: str) -> bool:
    seen = found.of(CLAIMS).get(f"default/{name}")
    return seen is not None and seen.phase == "Bound"


def told(found: Cluster, name: str) -> set[str]:
    """The messages of the warnings about a claim."""
    documents = [event.document() for event in found.of(EVENTS)]
    return {
        document["message"]
        for document in documents
        if document["involvedObject"]["name"] == name and document["type"] == "Warning"
    }


REASONS = {
    "raising": 'Failed to provision volume with StorageClass "raising": [Errno 28] No space left on device',
    "babbling": 'Failed to provision volume with StorageClass "babbling": '
    "volume plugin example.com/babbling answered with str, which is no outcome",
}


@pytest.mark.parametrize(("used_class", "reason"), REASONS.items())
async def test_the_claim_of_a_troubled_plugin_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used_class: str, reason: str
) -> None:
    """PR-13."""
    async with running(tmp_path, monkeypatch) as found:
        await found.create(claim("unlucky", storageClassName=used_class))
        await found.until(lambda: reason in told(found, "unlucky"))


@pytest.mark.slow
async def test_claims_of_other_classes_are_served_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, monkeypatch) as found:
        unlucky = [f"{used_class.lower()}-{number}" for used_class in TROUBLED for number in range(100)]
        await found.create(*(claim(name, storageClassName=name.partition("-")[0]) for name in unlucky))
        binder = found.manager.controllers["persistentvolume-binder-controller"]
        assert isinstance(binder, BinderController)
        calls = binder.calls
        await found.until(lambda: calls.statistics().running.get("example.com/hanging", 0) > 0)
        lucky = [f"lucky-{number}" for number in range(100)]
        await found.create(*(claim(name, storageClassName="healthy") for name in lucky))
        await found.until(lambda: all(is_bound(found, name) for name in lucky))

        assert not any(is_bound(found, name) for name in unlucky)
        assert calls.statistics().running["example.com/hanging"] <= 16


async def test_a_hanging_plugin_does_not_keep_the_controllers_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path, monkeypatch) as found:
        await found.create(claim("unlucky", storageClassName="hanging"))
        binder = found.manager.controllers["persistentvolume-binder-controller"]
        assert isinstance(binder, BinderController)
        await found.until(lambda: bool(binder.calls.statistics().running))

    assert binder.calls.statistics().running == {"example.com/hanging": 1}
