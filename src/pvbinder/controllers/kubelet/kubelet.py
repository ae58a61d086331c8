"""The loop of the kubelet in small: for each pod on a node that we play, look, decide, report.

KUBELET-1  A pod runs only when every claim of its volumes is bound and its volume can be used on the node; until
           then it waits, with a ``FailedMount`` event for each new reason.
KUBELET-2  A pod that starts costs one write, and one more when it ends: each is seen Running.
KUBELET-3  A deleted pod goes at once: its containers need no time. It is first told ended, if it ran. The DELETE names
           the uid that was seen being deleted, so it never meets a new pod of the same name.
KUBELET-4  A node without a status of its own is made ready; nodes named at construction are created.
KUBELET-5  A file system that waits to be grown is grown as soon as a pod runs with it, and its volume is seen grown.
KUBELET-6  Nothing is asked while nothing happens; a change by time (``finish-after``, deadlines) has a timer.
KUBELET-7  Events tell what happened to each container: Pulled, Created, Started, and Killing when it is stopped.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.kubelet.addresses import PodAddresses
from pvbinder.controllers.kubelet.nodes import HOST_IP, create_node, is_played, make_ready
from pvbinder.controllers.kubelet.pod_events import PodEvents
from pvbinder.controllers.kubelet.registration import Registration
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Claim, ClaimKey, Node, NodeName, Pod, PodKey, Volume
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.model.resources import PODS as POD_RESOURCE
from pvbinder.rules.csi.registration import NodeInfo
from pvbinder.rules.node_expansion import waits_for_node, with_finished_resize
from pvbinder.rules.pod_lifecycle import Remove, Report, Stay, decide_lifecycle, mount_problem
from pvbinder.rules.pod_status import Address

EVENT_SOURCE: Final = "kubelet"
CONCURRENT_SYNCS_MAX: Final = 16
REGISTRATION_SECONDS: Final = 10.0  # until a driver goes on, whether or not all nodes have it

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class KubeletStatistics:
    """The work that the kubelet has, and has done."""

    started: int
    ended: int
    removed: int
    waiting: int  # pods whose volumes can't be mounted
    pods: QueueStatistics
    claims: QueueStatistics
    nodes: QueueStatistics


class Kubelet:
    """Plays the kubelet; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "kubelet"

    def __init__(
        self,
        context: ControllerContext,
        *,
        create_nodes: Sequence[str] = (),
        drivers: NodeDrivers | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        informers = context.informers
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._events = PodEvents(self._recorder)
        self._create_nodes = tuple(create_nodes)
        drivers = drivers or NodeDrivers()
        self._registration = Registration(context.client, drivers)
        drivers.listen(self._register)
        self._now = now
        self._pods = informers.of(PODS)
        self._nodes = informers.of(NODES)
        self._claims = informers.of(CLAIMS)
        self._volumes = informers.of(VOLUMES)
        self._pods_by_claim = self._pods.add_index("claim", lambda pod: pod.claim_keys)
        self._pods_by_node = self._pods.add_index("node", _node_of)
        self._addresses = PodAddresses()
        self._problems: dict[PodKey, tuple[str, str]] = {}  # the uid and the status that was told last
        self._running_since: dict[PodKey, tuple[str, datetime]] = {}  # uid and time, finer than the status
        self._started = self._ended = self._removed = 0
        self._pod_queue: WorkQueue[PodKey] = WorkQueue(
            "kubelet pods",
            self._sync_pod,
            history=informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not run pod",
            key_field="pod",
        )
        self._claim_queue: WorkQueue[ClaimKey] = WorkQueue(
            "kubelet claims",
            self._sync_claim,
            history=informers.history,
            failure_message="could not finish resize",
            key_field="pvc",
        )
        self._node_queue: WorkQueue[NodeName] = WorkQueue(
            "kubelet nodes",
            self._sync_node,
            history=informers.history,
            failure_message="could not make node ready",
            key_field="node",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queues: pods, claims to grow, nodes."""
        for queue in (self._pod_queue, self._claim_queue, self._node_queue):
            yield queue.statistics()

    async def run(self) -> None:
        """Play until cancelled."""
        for name in self._create_nodes:
            self._nodes.put(await create_node(self._client, name, now=self._now))
            log.info("node created", node=name)
        for informer in (self._pods, self._nodes, self._claims, self._volumes):
            await informer.wait_synced()
        self._nodes.add_handler(self._on_node)
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        self._pods.add_handler(self._on_pod)
        async with asyncio.TaskGroup() as group:
            for queue in (self._pod_queue, self._claim_queue, self._node_queue):
                group.create_task(queue.run(), name=queue.name)

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done now; timers aren't waited for."""
        for queue in (self._pod_queue, self._claim_queue, self._node_queue):
            await queue.wait_idle(delayed_too=False)

    def statistics(self) -> KubeletStatistics:
        """The work that the kubelet has, and has done."""
        return KubeletStatistics(
            self._started,
            self._ended,
            self._removed,
            len(self._problems),
            self._pod_queue.statistics(),
            self._claim_queue.statistics(),
            self._node_queue.statistics(),
        )

    # -- what the rules ask

    def claim(self, key: ClaimKey) -> Claim | None:
        """Return the claim with `key`."""
        return self._claims.get(key)

    def volume(self, name: str) -> Volume | None:
        """Return the volume called `name`."""
        return self._volumes.get(name)

    # -- what wakes whom

    def _on_pod(self, change: Change[Pod]) -> None:
        pod = change.object
        if isinstance(change, Deleted):
            self._forget(pod.key)
            return
        if pod.is_scheduled:
            self._addresses.keep(pod)
            self._pod_queue.add(pod.key)

    def _on_node(self, change: Change[Node]) -> None:
        if isinstance(change, Deleted):
            self._registration.forget(change.object.key)
            return
        node = change.object
        if is_played(node):
            self._node_queue.add(node.key)
        if not isinstance(change, Updated) or _matters(change.before) != _matters(node):
            for pod in self._pods_by_node[node.key]:
                self._pod_queue.add(pod.key)

    def _on_claim(self, change: Change[Claim]) -> None:
        claim = change.object
        for pod in self._pods_by_claim[claim.key]:
            if pod.key in self._problems:
                self._pod_queue.add(pod.key)
        if not isinstance(change, Deleted) and waits_for_node(claim):
            self._claim_queue.add(claim.key)

    def _on_volume(self, change: Change[Volume]) -> None:
        key = change.object.claim_key
        if key is not None:
            claim = self._claims.get(key)
            if claim is not None and waits_for_node(claim):
                self._claim_queue.add(key)
            for pod in self._pods_by_claim[key]:
                if pod.key in self._problems:
                    self._pod_queue.add(pod.key)

    def _forget(self, key: PodKey) -> None:
        self._problems.pop(key, None)
        self._running_since.pop(key, None)
        self._addresses.release(key)
        self._pod_queue.give_up(key)

    # -- pods

    async def _sync_pod(self, key: PodKey) -> None:
        pod = self._pods.get(key)
        if pod is None or not pod.is_scheduled:
            return
        node = self._nodes.get(pod.node_name)
        if node is None or not is_played(node):
            return
        needs_mounts = pod.phase not in ("Running", "Succeeded", "Failed") and not pod.is_deleting
        problem = mount_problem(pod, node.labels, self) if needs_mounts else None
        address = Address(HOST_IP, self._addresses.of(pod.key))
        since = self._running_since.get(key)
        running_since = since[1] if since is not None and since[0] == pod.uid else None
        action = decide_lifecycle(pod, problem, address, self._now(), running_since)
        if problem is None:
            self._problems.pop(key, None)
        match action:
            case Report():
                self._tell_problem(pod, problem)
                await self._report(pod, action)
            case Stay():
                self._tell_problem(pod, action.problem)
                self._look_again(key, action.look_again_after)
            case Remove():
                await self._remove(pod)
            case _:
                assert_never(action)

    async def _report(self, pod: Pod, action: Report) -> None:
        document = pod.document()
        document["status"] = action.status
        try:
            after = await self._client.replace(PODS, document, subresource="status")
        except ApiFailure as failure:
            if failure.names_as_not_found(POD_RESOURCE, pod.name):
                return
            raise
        match action.phase:
            case "Running":
                if pod.phase != "Running":
                    self._started += 1
                    self._events.started(pod)
                    self._running_since[pod.key] = (pod.uid, self._now())
                    log.info("pod runs", pod=pod.key, node=pod.node_name)
                    for key in pod.claim_keys:
                        claim = self._claims.get(key)
                        if claim is not None and waits_for_node(claim):
                            self._claim_queue.add(key)
            case "Succeeded" | "Failed":
                self._ended += 1
                self._running_since.pop(pod.key, None)
                log.info("pod ended", pod=pod.key, phase=action.phase)
            case "Pending":
                pass
            case _:
                assert_never(action.phase)
        self._events.ended(pod, action.status)
        self._pods.put(after)
        self._look_again(pod.key, action.look_again_after)

    async def _remove(self, pod: Pod) -> None:
        try:
            await self._client.delete(PODS, pod.name, pod.namespace, uid=pod.uid, grace_seconds=0)
        except ApiFailure as failure:
            if not failure.names_as_not_found(POD_RESOURCE, pod.name):
                raise
            return
        self._removed += 1
        log.info("pod removed", pod=pod.key)

    def _tell_problem(self, pod: Pod, problem: str | None) -> None:
        if problem is None or self._problems.get(pod.key) == (pod.uid, problem):
            return
        self._problems[pod.key] = (pod.uid, problem)
        self._events.waits(pod, problem)

    def _look_again(self, key: PodKey, seconds: float | None) -> None:
        if seconds is not None:
            self._pod_queue.add_after(key, max(seconds, 0.001))

    # -- claims and nodes

    async def _sync_claim(self, key: ClaimKey) -> None:
        claim = self._claims.get(key)
        volume = self._volumes.get(claim.volume_name) if claim is not None else None
        if claim is None or volume is None:
            return
        pod = next((pod for pod in self._pods_by_claim[key] if self._runs_here(pod)), None)
        document = with_finished_resize(claim, volume) if pod is not None else None
        if pod is None or document is None:
            return
        self._claims.put(await self._client.replace(CLAIMS, document, subresource="status"))
        message = f'MountVolume.NodeExpandVolume succeeded for volume "{volume.name}" {pod.node_name}'
        for subject in (Subject.of(POD_RESOURCE, pod), Subject.of(PERSISTENT_VOLUME_CLAIMS, claim)):
            self._recorder.event(subject, "Normal", "FileSystemResizeSuccessful", message)
        log.info("file system grown", pvc=key, pv=volume.name, node=pod.node_name)

    def _runs_here(self, pod: Pod) -> bool:
        node = self._nodes.get(pod.node_name) if pod.phase == "Running" else None
        return node is not None and is_played(node)

    async def _sync_node(self, name: NodeName) -> None:
        node = self._nodes.get(name)
        if node is not None and is_played(node):
            node = await make_ready(self._client, node, self._now())
            self._nodes.put(await self._registration.sync(node))

    async def _register(self, info: NodeInfo) -> None:
        """Have all nodes that we play get a driver; those that fail are tried again later."""
        try:
            async with asyncio.timeout(REGISTRATION_SECONDS):
                await self._nodes.wait_synced()
                for node in self._nodes:
                    if is_played(node):
                        self._node_queue.add(node.key)
                await self._node_queue.wait_idle(delayed_too=False)
        except TimeoutError:
            log.warning("not all nodes have the driver yet", driver=info.driver)


def _node_of(pod: Pod) -> tuple[str, ...]:
    return (pod.node_name,) if pod.node_name else ()


def _matters(node: Node) -> tuple[bool, dict[str, str]]:
    """The fields of a node that may change what its pods do."""
    return is_played(node), node.labels
