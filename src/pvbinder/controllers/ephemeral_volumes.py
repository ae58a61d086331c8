"""The ephemeral-volume-controller: pods with generic ephemeral volumes get their claims.

The claims go when their pod goes: they name it as their owner, and garbage collection does the rest (EV-4).

EPHEMERAL-1  A lost answer is no failure: the claim is looked for, and taken if it was made for this very pod.

Rules: docs/rules/protection.md#5-ephemeral-volume-controller
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.informer import Added, Change, Deleted
from pvbinder.kube.kinds import CLAIMS, PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, Pod, PodKey, claim_key
from pvbinder.model.resources import PODS as POD_RESOURCE
from pvbinder.rules.ephemeral import (
    ClaimIsAnothers,
    ClaimIsThere,
    MakeClaim,
    decide_ephemeral_claim,
    ephemeral_volumes,
    needs_claims,
)
from pvbinder.rules.protection import owns_claim

EVENT_SOURCE: Final = "ephemeral_volume"

log = logs.get(__name__)


class EphemeralVolumeFailed(PvbinderError):  # noqa: N818  (the queue brings the pod back)
    """A pod's volume has no claim yet; the message is that of the event."""


@dataclass(frozen=True, slots=True)
class EphemeralVolumeStatistics:
    """Requests to create claims, and those that failed (EV-6)."""

    creates: int
    create_failures: int


class EphemeralVolumeController:
    """Makes the claims of pods' ephemeral volumes."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._claims = context.informers.of(CLAIMS)
        self._pods = context.informers.of(PODS)
        self._pods_by_claim = self._pods.add_index("claim", lambda pod: pod.claim_keys)
        self._creates = self._create_failures = 0
        self._queue: WorkQueue[PodKey] = WorkQueue(
            "ephemeral_volume",
            self.sync,
            history=context.informers.history,
            concurrency=context.options.concurrent_ephemeralvolume_syncs,
            failure_message="could not make the claims of pod",
            key_field="pod",
        )
        self._pods.add_handler(self._pod_changed)
        self._claims.add_handler(self._claim_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of the queue."""
        yield self._queue.statistics()

    def statistics(self) -> EphemeralVolumeStatistics:
        """The number of claims created so far."""
        return EphemeralVolumeStatistics(self._creates, self._create_failures)

    async def run(self) -> None:
        """Work until cancelled."""
        log.debug("Starting ephemeral volume controller")
        await self._pods.wait_synced()
        await self._claims.wait_synced()
        await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    def _pod_changed(self, change: Change[Pod]) -> None:
        if isinstance(change, Added) and needs_claims(change.object):  # EV-1
            self._queue.add(change.object.key)

    def _claim_changed(self, change: Change[Claim]) -> None:
        if isinstance(change, Deleted):  # EV-1
            for pod in self._pods_by_claim[change.object.key]:
                self._queue.add(pod.key)

    async def sync(self, key: PodKey) -> None:
        """Make the claims that the pod with `key` lacks; stops at the first volume that fails (EV-5)."""
        pod = self._pods.get(key)
        if pod is None or not needs_claims(pod):  # EV-2
            return
        for volume, name in ephemeral_volumes(pod):
            claim = self._claims.get(claim_key(pod.namespace, name))
            decision = decide_ephemeral_claim(pod, volume, name, claim)
            match decision:
                case MakeClaim(document=document):
                    await self._create(pod, volume, document)
                case ClaimIsAnothers(problem=problem):
                    raise self._failed(pod, volume, problem)
                case ClaimIsThere():
                    pass
                case _:
                    assert_never(decision)

    async def _create(self, pod: Pod, volume: str, document: Json) -> None:
        self._creates += 1
        try:
            claim = await self._client.create(CLAIMS, document)
        except (ApiFailure, ConnectionFailed) as error:
            found = await self._made_before(pod, document["metadata"]["name"], error)
            if found is None:
                self._create_failures += 1
                name = document["metadata"]["name"]
                raise self._failed(pod, volume, f"create PVC {name}: {error.message}") from error
            claim = found
        self._claims.put(claim)
        log.info("Created PVC for ephemeral volume", pvc=claim.key, pod=pod.key, rule="EV-4")

    async def _made_before(self, pod: Pod, name: str, error: ApiFailure | ConnectionFailed) -> Claim | None:
        """Return the pod's claim if it is there all the same: made by a request whose answer got lost (EPHEMERAL-1)."""
        if not (error.leaves_write_unknown or (isinstance(error, ApiFailure) and error.is_already_exists)):
            return None
        try:
            live = await self._client.get(CLAIMS, name, pod.namespace)
        except (ApiFailure, ConnectionFailed):
            return None
        return live if owns_claim(pod, live) else None

    def _failed(self, pod: Pod, volume: str, problem: str) -> EphemeralVolumeFailed:
        message = f"ephemeral volume {volume}: {problem}"
        self._recorder.event(Subject.of(POD_RESOURCE, pod), "Warning", "FailedBinding", message)
        return EphemeralVolumeFailed(message)
