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
KUBELET-8  Volumes of CSI drivers that this process serves are published before a pod runs and unpublished before it
           goes (`mounting`); their drivers grow their file systems. Volumes of others are passed over.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.csi.node_drivers import NodeDrivers
from pvbinder.controllers.kubelet.addresses import PodAddresses
from pvbinder.controllers.kubelet.growing import FileSystemGrower
from pvbinder.controllers.kubelet.mounting import MountError, PodMounts, UnmountError
from pvbinder.controllers.kubelet.nodes import HOST_IP, create_node, is_played, make_ready
from pvbinder.controllers.kubelet.orphans import OrphanedVolumes
from pvbinder.controllers.kubelet.pod_events import PodEvents
from pvbinder.controllers.kubelet.registration import Registration
from pvbinder.controllers.scheduler.caches import DRIVERS
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted, Updated
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, VOLUMES
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.objects import Claim, ClaimKey, Node, NodeName, Pod, PodKey, Volume
from pvbinder.model.resources import PODS as POD_RESOURCE
from pvbinder.rules.csi.registration import NodeInfo
from pvbinder.rules.node_expansion import waits_for_node
from pvbinder.rules.pod_lifecycle import PodAction, Remove, Report, Stay, decide_lifecycle, mount_problem
from pvbinder.rules.pod_status import Address
from pvbinder.volumes.pod_directories import PodDirectories

EVENT_SOURCE: Final = "kubelet"
CONCURRENT_SYNCS_MAX: Final = 16
MOUNT_SECONDS_MIN: Final = 0.5  # until a failed mount is tried again, twice as long each time
MOUNT_SECONDS_MAX: Final = 122.0
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
        directories: PodDirectories | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        informers = context.informers
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._events = PodEvents(self._recorder)
        self._create_nodes = tuple(create_nodes)
        drivers = drivers or NodeDrivers()
        self._registration = Registration(context.client, drivers)
        drivers.listen(self._register)
        self._mounts: PodMounts | None = None
        if directories is not None:
            self._mounts = PodMounts(context.client, drivers, informers.of(DRIVERS), directories)
        self._mount_tries: Counter[PodKey] = Counter()
        self._mount_due: dict[PodKey, float] = {}  # when the next try is, on the loop's clock
        self._now = now or context.now
        self._pods = informers.of(PODS)
        self._nodes = informers.of(NODES)
        self._claims = informers.of(CLAIMS)
        self._volumes = informers.of(VOLUMES)
        self._pods_by_claim = self._pods.add_index("claim", lambda pod: pod.claim_keys)
        self._pods_by_node = self._pods.add_index("node", _node_of)
        self._addresses = PodAddresses()
        self._orphans: OrphanedVolumes | None = None
        if self._mounts is not None:
            self._orphans = OrphanedVolumes(self._mounts, self._pods, informers.history)
        self._grower = FileSystemGrower(self._client, self._recorder, self._claims, self._mounts, self._now)
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
        """The state of its queues: pods, claims to grow, nodes, and what is left of pods that are gone."""
        for queue in (self._pod_queue, self._claim_queue, self._node_queue):
            yield queue.statistics()
        if self._orphans is not None:
            yield self._orphans.queue.statistics()

    async def run(self) -> None:
        """Play until cancelled."""
        for name in self._create_nodes:
            self._nodes.put(await create_node(self._client, name, now=self._now))
            log.info("node created", node=name)
        for informer in (self._pods, self._nodes, self._claims, self._volumes):
            await informer.wait_synced()
        if self._mounts is not None and self._orphans is not None:
            await self._mounts.load()
            self._orphans.look_at_all()
        self._nodes.add_handler(self._on_node)
        self._claims.add_handler(self._on_claim)
        self._volumes.add_handler(self._on_volume)
        self._pods.add_handler(self._on_pod)
        async with asyncio.TaskGroup() as group:
            for queue in (self._pod_queue, self._claim_queue, self._node_queue):
                group.create_task(queue.run(), name=queue.name)
            if self._orphans is not None:
                group.create_task(self._orphans.queue.run(), name=self._orphans.queue.name)

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
            self._forget(pod)
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

    def _forget(self, pod: Pod) -> None:
        key = pod.key
        if self._orphans is not None:
            self._orphans.queue.add(pod.uid)
        self._forget_tries(key)
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
        failed = await self._set_up(pod, action) if problem is None else None
        if self._pods.get(key) is not pod:
            return  # it has changed meanwhile, and comes again for that
        if failed is not None and needs_mounts:
            problem = failed.message
            action = decide_lifecycle(pod, problem, address, self._now(), running_since)
        if problem is None:
            self._problems.pop(key, None)
        is_block = failed is not None and failed.is_block
        match action:
            case Report():
                self._tell_problem(pod, problem, is_block=is_block)
                await self._report(pod, action)
            case Stay():
                self._tell_problem(pod, action.problem, is_block=is_block)
                self._look_again(key, action.look_again_after)
                if is_over(pod):
                    await self._tear_down(pod)
            case Remove():
                if await self._tear_down(pod):
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
                    self._grow_volumes(pod)
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

    async def _set_up(self, pod: Pod, action: PodAction) -> MountError | None:
        """Publish the volumes of a pod that is to run, or that runs since before our start; return why it failed."""
        starts = isinstance(action, Report) and action.phase == "Running"
        runs = pod.phase == "Running" and not pod.is_deleting and isinstance(action, Stay)
        if self._mounts is None or not (starts or runs) or self._mounts.is_set_up(pod):
            return None
        try:
            await self._mounts.set_up(pod, self)
        except MountError as failed:
            self._try_later(pod.key)
            if runs:
                log.warning("volumes of a running pod can't be mounted", pod=pod.key, err=failed.message)
            return failed
        finally:
            self._leave_no_orphan(pod)
        self._forget_tries(pod.key)
        if runs:
            self._grow_volumes(pod)
        return None

    async def _tear_down(self, pod: Pod) -> bool:
        """Unpublish the volumes of a pod that is over; False if that must be tried again."""
        if self._mounts is None:
            return True
        try:
            await self._mounts.tear_down(pod.uid)
        except UnmountError as failed:
            log.warning("volumes are not unmounted yet", pod=pod.key, err=failed.message)
            self._try_later(pod.key)
            return False
        self._forget_tries(pod.key)
        return True

    def _try_later(self, key: PodKey) -> None:
        """Try again after a pause, twice as long each time; a try that something else brought doesn't count."""
        now = asyncio.get_running_loop().time()
        if now >= self._mount_due.get(key, now):
            tries = self._mount_tries[key]
            self._mount_tries[key] += 1
            self._mount_due[key] = now + min(MOUNT_SECONDS_MAX, MOUNT_SECONDS_MIN * 2.0 ** min(tries, 20))
        self._look_again(key, self._mount_due[key] - now)

    def _forget_tries(self, key: PodKey) -> None:
        self._mount_tries.pop(key, None)
        self._mount_due.pop(key, None)

    def _leave_no_orphan(self, pod: Pod) -> None:
        """Have what was published for a pod that went meanwhile unpublished."""
        found = self._pods.get(pod.key)
        if self._orphans is not None and (found is None or found.uid != pod.uid):
            self._orphans.queue.add(pod.uid)

    def _tell_problem(self, pod: Pod, problem: str | None, *, is_block: bool = False) -> None:
        if problem is None or self._problems.get(pod.key) == (pod.uid, problem):
            return
        self._problems[pod.key] = (pod.uid, problem)
        self._events.waits(pod, problem, is_block=is_block)

    def _look_again(self, key: PodKey, seconds: float | None) -> None:
        if seconds is not None:
            self._pod_queue.add_after(key, max(seconds, 0.001))

    # -- claims and nodes

    async def _sync_claim(self, key: ClaimKey) -> None:
        claim = self._claims.get(key)
        volume = self._volumes.get(claim.volume_name) if claim is not None else None
        if claim is not None and volume is not None:
            await self._grower.grow(claim, volume, [pod for pod in self._pods_by_claim[key] if self._runs_here(pod)])

    def _grow_volumes(self, pod: Pod) -> None:
        """Have the file systems of a pod's volumes grown that wait for that."""
        for key in pod.claim_keys:
            claim = self._claims.get(key)
            if claim is not None and waits_for_node(claim):
                self._claim_queue.add(key)

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
        if self._mounts is not None and self._orphans is not None:
            self._orphans.look_at_all()
            for pod in self._pods:
                if pod.is_scheduled and not self._mounts.is_set_up(pod):
                    self._pod_queue.add(pod.key)


def is_over(pod: Pod) -> bool:
    """Tell whether its containers have ended for good, or need no time to."""
    return pod.phase in ("Succeeded", "Failed") or pod.is_shut_down


def _node_of(pod: Pod) -> tuple[str, ...]:
    return (pod.node_name,) if pod.node_name else ()


def _matters(node: Node) -> tuple[bool, dict[str, str]]:
    """The fields of a node that may change what its pods do."""
    return is_played(node), node.labels
