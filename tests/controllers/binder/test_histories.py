"""Random histories of users, restarts and failed writes: invariants at all times, and those of the settled state.

On virtual time, over the small API store of the vectors, so that thousands of histories take seconds.
`PVBINDER_HISTORIES` says how many.
"""

from __future__ import annotations

import asyncio
import copy
import os
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tests.vectors.binder_cases import Recorder
from tests.vectors.store import Store
from tests.virtual_time import VirtualTimeLoop

from pvbinder.controllers.binder import Binder
from pvbinder.controllers.operations import Operations
from pvbinder.kube.client import Client, Retries
from pvbinder.kube.errors import ConnectionFailed
from pvbinder.kube.informers import Informers
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.json import Json, encode
from pvbinder.model.objects import Volume
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.plugin import Deleted, DeleteOutcome, Identity

HISTORIES = int(os.environ.get("PVBINDER_HISTORIES", "500"))
NAMESPACE = "shop"
SETTLED_SECONDS = 300.0  # virtual ones: many resyncs, and every back-off of a few failures
VOLUMES, CLAIMS = "persistentvolumes", "persistentvolumeclaims"


@dataclass(frozen=True)
class CreateVolume:
    name: str
    size: int
    modes: tuple[str, ...]
    storage_class: str
    policy: str
    reserved_for: str | None


@dataclass(frozen=True)
class CreateClaim:
    name: str
    size: int
    modes: tuple[str, ...]
    storage_class: str | None
    volume_name: str | None


@dataclass(frozen=True)
class Delete:
    plural: str
    name: str


@dataclass(frozen=True)
class ClearReference:
    volume: str


@dataclass(frozen=True)
class CreateClass:
    name: str
    is_default: bool


@dataclass(frozen=True)
class Restart:
    pass


@dataclass(frozen=True)
class FailWrite:
    how: str  # what happens to the next write
    after: int  # how many writes go well before


@dataclass(frozen=True)
class Pass:
    seconds: float


Action: TypeAlias = CreateVolume | CreateClaim | Delete | ClearReference | CreateClass | Restart | FailWrite | Pass

DISKS = st.sampled_from(["disk-1", "disk-2", "disk-3"])
WANTS = st.sampled_from(["a", "b", "c"])
MODES = st.sampled_from([("ReadWriteOnce",)] * 4 + [("ReadWriteOnce", "ReadWriteMany"), ("ReadWriteMany",)])
POLICIES = st.sampled_from(["Retain", "Delete"])
RARELY_DISKS = st.sampled_from([None] * 6 + ["disk-1", "disk-2", "disk-3"])
RARELY_WANTS = st.sampled_from([None] * 6 + ["a", "b", "c"])
NEW_VOLUMES = st.builds(
    CreateVolume, DISKS, st.integers(2, 3), MODES, st.sampled_from(["", "", "", "fast"]), POLICIES, RARELY_WANTS
)
NEW_CLAIMS = st.builds(
    CreateClaim, WANTS, st.sampled_from([1, 1, 2, 3]), MODES, st.sampled_from(["", "", "", None, "fast"]), RARELY_DISKS
)
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    NEW_VOLUMES,
    NEW_VOLUMES,
    NEW_CLAIMS,
    NEW_CLAIMS,
    st.builds(Pass, st.sampled_from([0.0, 0.0, 0.01, 1.0, 20.0])),
    st.builds(Pass, st.sampled_from([0.0, 0.0, 0.01, 1.0, 20.0])),
    st.builds(Delete, st.just(VOLUMES), DISKS),
    st.builds(Delete, st.just(CLAIMS), WANTS),
    st.builds(ClearReference, DISKS),
    st.builds(CreateClass, st.just("fast"), st.booleans()),
    st.just(Restart()),
    st.builds(FailWrite, st.sampled_from(["conflict", "error", "lost", "refused"]), st.integers(0, 4)),
)
HISTORY = st.lists(ACTIONS, min_size=12, max_size=40)


class Cluster(Store):
    """The store, with writes that fail when the history says so."""

    failing: FailWrite | None = None

    async def send(self, request: Request) -> Answer:
        """Answer a request, or fail it."""
        if request.method == "GET" or self.failing is None:
            await asyncio.sleep(0)
            return await super().send(request)
        if self.failing.after:
            self.failing = FailWrite(self.failing.how, self.failing.after - 1)
            await asyncio.sleep(0)
            return await super().send(request)
        how, self.failing = self.failing.how, None
        match how:
            case "conflict":
                return Answer(409, encode({"reason": "Conflict", "message": "somebody was faster", "code": 409}))
            case "error":
                return Answer(500, encode({"reason": "InternalError", "message": "out of order", "code": 500}))
            case "lost":
                await super().send(request)
                raise ConnectionFailed("the answer got lost")
            case _:
                raise ConnectionFailed("nobody there", request_sent=False)

    def find(self, plural: str, name: str) -> Json | None:
        namespace = NAMESPACE if plural == CLAIMS else ""
        return copy.deepcopy(self.objects.get((plural, namespace, name)))


class Storage:
    """A plugin that deletes the storage of volumes, and sees to it that nobody needs it any more."""

    identity = Identity("kubernetes.io/host-path", frozenset({"hostPath"}))

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.lost: list[str] = []

    def delete(self, volume: Volume) -> DeleteOutcome:
        """Delete the storage of `volume`."""
        for found in self._cluster.all_of(CLAIMS):
            if found["metadata"]["uid"] == volume.claim_uid and found["spec"].get("volumeName") in (None, volume.name):
                self.lost.append(f"{volume.name} of {found['metadata']['name']}")
        return Deleted()


class Running:
    """The controller over the cluster, and its restarts."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.storage = Storage(cluster)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        client = Client(self.cluster, retries=Retries(attempts=1))
        informers, operations = Informers(client), Operations()
        self.binder = Binder(client, informers, Recorder(), operations, PluginCalls(Catalogue([self.storage])))

        async def run() -> None:
            async with operations, asyncio.TaskGroup() as group:
                group.create_task(informers.run())
                group.create_task(self.binder.run())

        self._task = asyncio.create_task(run())

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])


def act(cluster: Cluster, action: Action, number: int) -> None:
    """Carry out an act of the user, unless the API server would refuse it."""
    match action:
        case CreateVolume(name=name):
            if cluster.find(VOLUMES, name) is None:
                cluster.announce("ADDED", volume(action, number))
        case CreateClaim(name=name):
            if cluster.find(CLAIMS, name) is None:
                cluster.announce("ADDED", claim(action, number))
        case Delete(plural=plural, name=name):
            found = cluster.find(plural, name)
            if found is not None:
                cluster.announce("DELETED", found)
        case ClearReference(volume=name):
            found = cluster.find(VOLUMES, name)
            if found is not None and found["spec"].pop("claimRef", None):
                cluster.announce("MODIFIED", found)
        case CreateClass(name=name, is_default=is_default):
            if cluster.find("storageclasses", name) is None:
                annotations = {"storageclass.kubernetes.io/is-default-class": str(is_default).lower()}
                metadata = {"name": name, "uid": f"class-{number}", "annotations": annotations}
                document = {"kind": "StorageClass", "metadata": metadata, "provisioner": "csi.example.com"}
                cluster.announce("ADDED", {**document, "volumeBindingMode": "Immediate"})
        case FailWrite():
            cluster.failing = action
        case Restart() | Pass():
            pass


def volume(made: CreateVolume, number: int) -> Json:
    spec: dict[str, Any] = {
        "capacity": {"storage": f"{made.size}Gi"},
        "accessModes": list(made.modes),
        "persistentVolumeReclaimPolicy": made.policy,
        "hostPath": {"path": "/data"},
    }
    if made.storage_class:
        spec["storageClassName"] = made.storage_class
    if made.reserved_for is not None:
        spec["claimRef"] = {"namespace": NAMESPACE, "name": made.reserved_for}
    metadata = {"name": made.name, "uid": f"volume-{number}"}
    return {"kind": "PersistentVolume", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def claim(made: CreateClaim, number: int) -> Json:
    requests = {"storage": f"{made.size}Gi"}
    spec: dict[str, Any] = {"resources": {"requests": requests}, "accessModes": list(made.modes)}
    if made.storage_class is not None:
        spec["storageClassName"] = made.storage_class
    if made.volume_name is not None:
        spec["volumeName"] = made.volume_name
    metadata = {"name": made.name, "namespace": NAMESPACE, "uid": f"claim-{number}"}
    return {"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def check_always(cluster: Cluster) -> None:
    """Check the invariant of every moment: no two claims are told that they have the same volume."""
    takers: dict[str, str] = {}
    volumes = {found["metadata"]["name"]: found for found in cluster.all_of(VOLUMES)}
    for found in cluster.all_of(CLAIMS):
        name = found["spec"].get("volumeName")
        if found["status"].get("phase") != "Bound" or name not in volumes:
            continue
        if volumes[name]["spec"].get("claimRef", {}).get("uid") == found["metadata"]["uid"]:
            assert name not in takers, f"{name} belongs to {takers[name]} and to {found['metadata']['name']}"
            takers[name] = found["metadata"]["name"]


def check_settled(cluster: Cluster) -> None:
    """Check the invariants of the settled state."""
    volumes = {found["metadata"]["name"]: found for found in cluster.all_of(VOLUMES)}
    holders: dict[str, str] = {}
    for found in cluster.all_of(CLAIMS):
        if found["status"]["phase"] == "Bound":
            volume = volumes[found["spec"]["volumeName"]]
            assert volume["spec"]["claimRef"]["uid"] == found["metadata"]["uid"], (
                "a claim is Bound, its volume disagrees"
            )
            assert volume["status"]["phase"] == "Bound"
    for name, found in volumes.items():
        uid = found["spec"].get("claimRef", {}).get("uid")
        if found["status"]["phase"] == "Bound":
            assert uid not in holders, f"one claim has {holders[uid]} and {name}"
            holders[uid] = name
        if found["status"]["phase"] == "Available":
            assert not uid or uid in {each["metadata"]["uid"] for each in cluster.all_of(CLAIMS)}


async def live_through(history: list[Action]) -> None:
    cluster = Cluster()
    running = Running(cluster)
    await running.start()
    for number, action in enumerate(history):
        act(cluster, action, number)
        if isinstance(action, Restart):
            await running.stop()
            await running.start()
        await asyncio.sleep(action.seconds if isinstance(action, Pass) else 0)
        check_always(cluster)
    cluster.failing = None
    await asyncio.sleep(SETTLED_SECONDS)
    check_always(cluster)
    check_settled(cluster)
    assert running.storage.lost == [], "storage was deleted under a claim that lives"
    assert running.binder.claims.statistics().in_work == 0
    before = len([seen for seen in cluster.requests if seen.verb != "list"])
    await running.binder.resync()
    await asyncio.sleep(SETTLED_SECONDS)
    after = [str(seen) for seen in cluster.requests if seen.verb != "list"]
    assert after[before:] == [], "a settled system makes no request"
    await running.stop()


@pytest.mark.slow
@settings(max_examples=HISTORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORY)
def test_binder_4_whatever_happens_it_settles_and_is_quiet(history: list[Action]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(live_through(history))


@pytest.mark.soak
def test_binder_4_for_hours() -> None:
    """New histories until `PVBINDER_SOAK_SECONDS` are over; a failure names the seed that brings it back."""
    until = time.monotonic() + float(os.environ.get("PVBINDER_SOAK_SECONDS", "60"))
    number = time.time_ns() % 1_000_000_000
    while time.monotonic() < until:
        number += 1

        @seed(number)
        @settings(max_examples=500, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(HISTORY)
        def live(history: list[Action]) -> None:
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(live_through(history))

        try:
            live()
        except Exception as error:
            error.add_note(f"with seed {number}")
            raise
