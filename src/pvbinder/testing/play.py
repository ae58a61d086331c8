"""The parts of others, for a cluster that lacks them: the scheduler, the kubelet, an external provisioner.

A server that isn't `bare` has a scheduler and a kubelet in small already; with ``bare=True`` nothing happens to a pod
but what the test plays.

PLAY-1  A provisioner makes the volumes of claims that the binder has annotated with its name, as those outside the tree
        do: after a delay, and after as many failures as asked for. It ends with the test.
PLAY-2  It watches: while there is nothing to do it asks nothing of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import CLAIMS, STORAGE_CLASSES, VOLUMES, metadata_of
from pvbinder.model.json import Json
from pvbinder.model.names import PROVISIONED_BY, SELECTED_NODE, STORAGE_PROVISIONER
from pvbinder.model.objects import Claim
from pvbinder.model.resources import EVENTS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from pvbinder.rules.provisioning import reclaim_policy_of, volume_name_for
from pvbinder.testing.handles import AsyncObject, Object
from pvbinder.testing.work import NamespaceWork

T = TypeVar("T")

PATIENCE_SECONDS: Final = 20.0
RETRY_SECONDS: Final = 0.05  # from an attempt of a played provisioner that fails to the next


@dataclass(slots=True)
class PlayedProvisioner:
    """An external provisioner that a test plays; a test may change `delay_seconds` and `fails` at any time."""

    name: str
    delay_seconds: float = 0.0
    fails: int = 0  # how many of its next attempts fail
    attempts: int = 0
    made: list[str] = field(default_factory=list)  # the volumes that it made


class Acts:
    """What can be played, as coroutines on the cluster's thread."""

    def __init__(self, work: NamespaceWork) -> None:
        self._work = work
        self._client = work.cluster.client
        self._tasks: set[asyncio.Task[None]] = set()

    async def schedule(self, pod: str, node: str) -> None:
        """Bind a pod to a node."""
        body = {"metadata": {"name": pod, "namespace": self._work.namespace}, "target": {"kind": "Node", "name": node}}
        binding = {"apiVersion": "v1", "kind": "Binding", **body}
        await self._client.create(metadata_of(PODS), binding, subresource="binding")

    async def phase(self, pod: str, phase: str) -> None:
        """Write the status of a pod as its kubelet does."""
        is_up = "True" if phase == "Running" else "False"
        conditions = [{"type": kind, "status": is_up} for kind in ("Ready", "ContainersReady")]
        change = {"status": {"phase": phase, "conditions": conditions}}
        await self._work.patch(PODS, pod, self._work.namespace, change, "status")

    async def select_node(self, claim: str, node: str) -> None:
        """Annotate a claim with the node that the scheduler chose for its pod."""
        change: Json = {"metadata": {"annotations": {SELECTED_NODE: node}}}
        await self._work.patch(PERSISTENT_VOLUME_CLAIMS, claim, self._work.namespace, change, "")

    async def choose_volume(self, claim: str, volume: str) -> None:
        """Reserve a volume for a claim that waits for its first consumer."""
        found = await self._work.get(PERSISTENT_VOLUME_CLAIMS, claim, self._work.namespace)
        reference = {"kind": "PersistentVolumeClaim", "namespace": self._work.namespace, "name": claim}
        change: Json = {"spec": {"claimRef": {**reference, "uid": found["metadata"]["uid"]}}}
        await self._work.patch(PERSISTENT_VOLUMES, volume, "", change, "")

    async def provision(self, provisioner: PlayedProvisioner) -> None:
        """Begin to provision for claims (PLAY-1)."""
        task = asyncio.create_task(self._provision_all(provisioner), name=f"provisioner {provisioner.name}")
        self._tasks.add(task)

    async def close(self) -> None:
        """End what is played."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    async def _provision_all(self, provisioner: PlayedProvisioner) -> None:
        informer = Informer(self._client, CLAIMS)
        due: asyncio.Queue[str] = asyncio.Queue()

        def on_claim(seen: Change[Claim]) -> None:
            match seen:
                case Added(claim) | Updated(_, claim):
                    if self._is_for(provisioner, claim):
                        due.put_nowait(claim.key)
                case Deleted():
                    pass

        informer.add_handler(on_claim)
        async with asyncio.TaskGroup() as group:
            group.create_task(informer.run(), name=f"claims of {provisioner.name}")
            done: set[str] = set()
            while True:
                claim = informer.get(await due.get())
                if claim is None or claim.uid in done or not self._is_for(provisioner, claim):
                    continue
                if await self._try(provisioner, claim):
                    done.add(claim.uid)
                else:
                    asyncio.get_running_loop().call_later(RETRY_SECONDS, due.put_nowait, claim.key)

    @staticmethod
    def _is_for(provisioner: PlayedProvisioner, claim: Claim) -> bool:
        return claim.annotations.get(STORAGE_PROVISIONER) == provisioner.name and not claim.volume_name

    async def _try(self, provisioner: PlayedProvisioner, claim: Claim) -> bool:
        provisioner.attempts += 1
        await asyncio.sleep(provisioner.delay_seconds)
        if provisioner.fails > 0:
            provisioner.fails -= 1
            await self._tell(provisioner, claim, "Warning", "ProvisioningFailed", "the test wants it so")
            return False
        await self._make(provisioner, claim)
        return True

    async def _make(self, provisioner: PlayedProvisioner, claim: Claim) -> None:
        document, name = claim.document(), volume_name_for(claim)
        storage_class = await self._client.get(STORAGE_CLASSES, claim.storage_class or "")
        spec = document["spec"]
        reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "name": claim.name, "uid": claim.uid}
        volume: Json = {
            "metadata": {"name": name, "annotations": {PROVISIONED_BY: provisioner.name}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                "volumeMode": spec.get("volumeMode", "Filesystem"),
                "storageClassName": storage_class.name,
                "persistentVolumeReclaimPolicy": reclaim_policy_of(storage_class),
                "claimRef": {**reference, "namespace": claim.namespace},
                "csi": {"driver": provisioner.name, "volumeHandle": name},
            },
        }
        try:
            await self._client.create(VOLUMES, volume)
        except ApiFailure as failure:
            if not failure.is_already_exists:
                raise
        provisioner.made.append(name)
        message = f"Successfully provisioned volume {name}"
        await self._tell(provisioner, claim, "Normal", "ProvisioningSucceeded", message)

    async def _tell(self, provisioner: PlayedProvisioner, claim: Claim, kind: str, reason: str, message: str) -> None:
        document = {
            "metadata": {"generateName": f"{claim.name}.", "namespace": claim.namespace},
            "involvedObject": {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "namespace": claim.namespace,
                "name": claim.name,
                "uid": claim.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": provisioner.name},
            "count": 1,
        }
        await self._client.create(metadata_of(EVENTS), document)


class Play:
    """What synchronous tests can play."""

    def __init__(self, work: NamespaceWork) -> None:
        self._work = work
        self._acts = Acts(work)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._work.cluster.thread.do(work, PATIENCE_SECONDS)

    def schedule(self, pod: Object | str, node: Object | str) -> None:
        """Play the scheduler: bind a pod to a node."""
        self._do(self._acts.schedule(_name(pod), _name(node)))

    def select_node(self, claim: Object | str, node: Object | str) -> None:
        """Play the scheduler: choose a node on which a volume is to be provisioned for a claim."""
        self._do(self._acts.select_node(_name(claim), _name(node)))

    def choose_volume(self, claim: Object | str, volume: Object | str) -> None:
        """Play the scheduler: reserve a volume for a claim that waits for its first consumer."""
        self._do(self._acts.choose_volume(_name(claim), _name(volume)))

    def run(self, pod: Object | str) -> None:
        """Play the kubelet: the pod is Running and ready."""
        self._do(self._acts.phase(_name(pod), "Running"))

    def finish(self, pod: Object | str, *, failed: bool = False) -> None:
        """Play the kubelet: the pod has ended."""
        self._do(self._acts.phase(_name(pod), "Failed" if failed else "Succeeded"))

    def provisioner(self, name: str, *, delay: float = 0.0, fails: int = 0) -> PlayedProvisioner:
        """Play an external provisioner for the classes that name it, until the test ends (PLAY-1)."""
        provisioner = PlayedProvisioner(name, delay, fails)
        self._do(self._acts.provision(provisioner))
        return provisioner

    def close(self) -> None:
        """End what is played."""
        self._do(self._acts.close())


class AsyncPlay:
    """What asynchronous tests can play."""

    def __init__(self, work: NamespaceWork) -> None:
        self._work = work
        self._acts = Acts(work)

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return await self._work.cluster.thread.await_there(work)

    async def schedule(self, pod: AsyncObject | str, node: AsyncObject | str) -> None:
        """Play the scheduler: bind a pod to a node."""
        await self._do(self._acts.schedule(_name(pod), _name(node)))

    async def select_node(self, claim: AsyncObject | str, node: AsyncObject | str) -> None:
        """Play the scheduler: choose a node on which a volume is to be provisioned for a claim."""
        await self._do(self._acts.select_node(_name(claim), _name(node)))

    async def choose_volume(self, claim: AsyncObject | str, volume: AsyncObject | str) -> None:
        """Play the scheduler: reserve a volume for a claim that waits for its first consumer."""
        await self._do(self._acts.choose_volume(_name(claim), _name(volume)))

    async def run(self, pod: AsyncObject | str) -> None:
        """Play the kubelet: the pod is Running and ready."""
        await self._do(self._acts.phase(_name(pod), "Running"))

    async def finish(self, pod: AsyncObject | str, *, failed: bool = False) -> None:
        """Play the kubelet: the pod has ended."""
        await self._do(self._acts.phase(_name(pod), "Failed" if failed else "Succeeded"))

    async def provisioner(self, name: str, *, delay: float = 0.0, fails: int = 0) -> PlayedProvisioner:
        """Play an external provisioner for the classes that name it, until the test ends (PLAY-1)."""
        provisioner = PlayedProvisioner(name, delay, fails)
        await self._do(self._acts.provision(provisioner))
        return provisioner

    def close(self) -> None:
        """End what is played; no loop of the test is needed."""
        self._work.cluster.thread.do(self._acts.close(), PATIENCE_SECONDS)


def _name(target: Object | AsyncObject | str) -> str:
    return target if isinstance(target, str) else target.name
