"""The persistentvolumeclaim-protection-controller: a claim stays while a pod uses it.

CLAIMS-1  A claim loses its finalizer only when the API server itself, asked for it, knows no pod that uses it (PC-15):
          by a list of pods that counts as evidence (EVIDENCE-1), no older than the claim as we know it, and that the
          cache of pods doesn't contradict (EVIDENCE-3).
CLAIMS-2  Claims of one namespace that wait together share one list of its pods, made only if one needs it (PC-7, PC-8).
CLAIMS-3  A namespace is worked on by one task at a time, several namespaces side by side; the writes of a batch run
          side by side, too.
CLAIMS-4  A failed claim comes back by itself, with its own back-off; the others of its batch are not held up (PC-13).

Rules: docs/rules/protection.md#2-pvc-protection
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers import features
from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.protection.finalizers import FinalizerWrites
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.evidence import DoubtfulList, WholeList, check_against, read_whole_list
from pvbinder.kube.informer import Added, Change, Deleted, Index, Informer, Updated
from pvbinder.kube.kinds import CLAIMS, PODS
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.json import encode
from pvbinder.model.names import PVC_PROTECTION_FINALIZER
from pvbinder.model.objects import Claim, ClaimKey, Pod, parse_claim
from pvbinder.model.resource_versions import revision_number
from pvbinder.rules.protection import (
    AskPods,
    KeepFinalizer,
    MarkUsage,
    RemoveFinalizer,
    Settled,
    claims_of_changed_pod,
    decide_claim_finalizer,
    decide_usage,
    has_unused_condition,
    needs_attention,
    with_usage,
)

NAMESPACES_AT_ONCE: Final = 8
CLAIMS_AT_ONCE: Final = 16
COUNTED_APART: Final = timedelta(minutes=10)

log = logs.get(__name__)


class ClaimProtectionController:
    """Adds and removes ``kubernetes.io/pvc-protection``, and keeps the ``Unused`` condition if its gate is on."""

    def __init__(self, context: ControllerContext, *, now: Callable[[], datetime] | None = None) -> None:
        self._client = context.client
        self._now = now or context.now
        self._tracks_usage = context.options.feature_gates.is_on(features.UNUSED_SINCE)
        self._claims = context.informers.of(CLAIMS)
        self._writes = FinalizerWrites(context.client, self._claims, CLAIMS, "PVC")
        self._pods = context.informers.of(PODS)
        self._pods_by_claim = self._pods.add_index("claim", lambda pod: pod.claim_keys)
        self._pods_in = self._pods.add_index("namespace", lambda pod: (pod.namespace,))
        self._batches: dict[str, dict[ClaimKey, None]] = {}
        self._keys: WorkQueue[ClaimKey] = WorkQueue(
            "pvcprotection", self._put_in_batch, history=context.informers.history, forgets_after_success=False
        )
        self._namespaces: WorkQueue[str] = WorkQueue(
            "pvcprotection_namespaces",
            self._work_on_batch,
            history=context.informers.history,
            concurrency=NAMESPACES_AT_ONCE,
            key_field="namespace",
        )
        self._claims.add_handler(self._claim_changed)
        self._pods.add_handler(self._pod_changed)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of both queues: claims, and the namespaces that have some."""
        yield self._keys.statistics()
        yield self._namespaces.statistics()

    async def run(self) -> None:
        """Work until cancelled."""
        log.debug("Starting PVC protection controller")
        await self._claims.wait_synced()
        await self._pods.wait_synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keys.run(), name="pvcprotection keys")
            group.create_task(self._namespaces.run(), name="pvcprotection namespaces")

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        while not all(statistics.is_idle for statistics in self.queues()):
            await self._keys.wait_idle()
            await self._namespaces.wait_idle()

    # -- what is looked at

    def _claim_changed(self, change: Change[Claim]) -> None:
        match change:
            case Added(object=claim) | Updated(object=claim):  # PC-1
                is_new_to_tracking = self._tracks_usage and not has_unused_condition(claim)
                if needs_attention(claim, PVC_PROTECTION_FINALIZER) or is_new_to_tracking:
                    self._keys.add(claim.key)
            case Deleted():
                pass  # PC-2
            case _:
                assert_never(change)

    def _pod_changed(self, change: Change[Pod]) -> None:
        match change:
            case Added(object=pod) | Updated(object=pod):
                keys = claims_of_changed_pod(pod, usage_tracked=self._tracks_usage)
            case Deleted(object=pod):  # PC-4, and of another pod in its place PC-5
                keys = pod.claim_keys
            case _:
                assert_never(change)
        for key in keys:
            self._keys.add(key)

    # -- batches

    async def _put_in_batch(self, key: ClaimKey) -> None:
        namespace = key.partition("/")[0]
        self._batches.setdefault(namespace, {})[key] = None
        self._namespaces.add(namespace)

    async def _work_on_batch(self, namespace: str) -> None:
        batch = self._batches.pop(namespace, {})
        keys = iter(batch)
        pods = _LivePods(self._client, self._pods, self._pods_in, namespace)

        async def work() -> None:
            for key in keys:  # shared by all of these tasks
                await self._protect(key, pods)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(CLAIMS_AT_ONCE, len(batch))):
                    group.create_task(work(), name=f"pvcprotection {namespace}")
        except ExceptionGroup:  # a defect: the namespace comes back, and must find its claims
            self._batches[namespace] = batch | self._batches.get(namespace, {})
            raise

    async def _protect(self, key: ClaimKey, pods: _LivePods) -> None:
        claim = self._claims.get(key)
        try:
            if claim is not None:  # PC-9
                await self._bring_about(claim, pods)
        except (ApiFailure, ConnectionFailed, DoubtfulList) as error:
            if not (isinstance(error, ApiFailure) and error.is_conflict):
                log.error(f"PVC {key.partition('/')[2]}/{key.partition('/')[0]} failed with: {error.message}", pvc=key)
            self._keys.add_rate_limited(key)
        else:
            self._keys.forget(key)

    async def _bring_about(self, claim: Claim, pods: _LivePods) -> None:
        cached = self._pods_by_claim[claim.key]  # PC-14
        if self._tracks_usage:
            claim = await self._mark_usage(claim, cached, pods)
        decision = decide_claim_finalizer(claim, cached)
        if isinstance(decision, AskPods):
            live = await pods.get(self._not_before(claim))
            decision = decide_claim_finalizer(claim, cached, live)
            if isinstance(decision, KeepFinalizer):  # the cache should have known
                for pod in live:
                    if pod.key == decision.user:
                        self._pods.correct(pod)
        if isinstance(decision, RemoveFinalizer):
            log.debug("PVC is unused", pvc=claim.key)
        if not isinstance(decision, AskPods):
            await self._writes.carry_out(claim.key, decision)

    def _not_before(self, claim: Claim) -> str:
        """The revision that a list of pods must have reached to say something about `claim`.

        Revisions of two kinds are counted apart only if the cluster keeps them in two databases; then the list never
        gets there, and after `COUNTED_APART` it need no longer.
        """
        since = datetime.fromisoformat(claim.deletion_timestamp) if claim.deletion_timestamp else None
        if since is not None and self._now() - since > COUNTED_APART:
            return ""
        return claim.resource_version

    async def _mark_usage(self, claim: Claim, cached: list[Pod], pods: _LivePods) -> Claim:
        """Say in the status whether `claim` is used; return it as it was read, at the revision that it has now.

        The status was written from the revision that was read, so nothing but the status has changed since.
        """
        usage = decide_usage(claim, cached)
        if isinstance(usage, AskPods):
            usage = decide_usage(claim, cached, await pods.get())  # said anew with the next pod: no proof is needed
        match usage:
            case MarkUsage(is_used=is_used, rule=rule):
                now = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                marked = await self._client.replace(CLAIMS, with_usage(claim, usage, now), subresource="status")
                self._claims.put(marked)
                log.info("PVC usage marked", pvc=claim.key, used=is_used, rule=rule)
                return _at_revision(claim, marked.resource_version)
            case Settled() | AskPods():
                return claim
            case _:
                assert_never(usage)


def _at_revision(claim: Claim, resource_version: str) -> Claim:
    document = claim.document()
    document["metadata"]["resourceVersion"] = resource_version
    return parse_claim(encode(document))


class _LivePods:
    """The pods of a namespace as the API server lists them, asked for at most once (PC-8), as evidence (CLAIMS-1)."""

    def __init__(self, client: Client, cache: Informer[Pod], cached_in: Index[Pod], namespace: str) -> None:
        self._client = client
        self._cache = cache
        self._cached_in = cached_in
        self._namespace = namespace
        self._listed: WholeList[Pod] | None = None
        self._turn = asyncio.Lock()

    async def get(self, not_before: str = "") -> tuple[Pod, ...]:
        """Return the pods, none is an answer, too; raise `DoubtfulList` if they were listed before `not_before`."""
        async with self._turn:
            try:
                if self._listed is None:
                    known = (not_before, self._cache.statistics().resource_version)
                    listed = await read_whole_list(self._client, PODS, self._namespace, not_before=known)
                    await check_against(listed, self._client, PODS, lambda: self._cached_in[self._namespace])
                    self._listed = listed
                listed = self._listed
                if (revision_number(listed.resource_version) or 0) < (revision_number(not_before) or 0):
                    raise DoubtfulList("it was made before the claim was as it is now")
            except ApiFailure as failure:
                message = f"live list of pods failed: {failure.message}"
                raise ApiFailure(failure.status, failure.reason, message) from failure
            except ConnectionFailed as failed:
                raise ConnectionFailed(f"live list of pods failed: {failed.message}") from failed
            except DoubtfulList as doubt:
                raise DoubtfulList(f"live list of pods failed: {doubt.message}") from doubt
            return listed.items
