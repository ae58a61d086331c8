"""The resourcequota-controller in small: the status of quotas says what is used of them.

QUOTA_STATUS-1  ``hard`` is copied from the spec; ``used`` has each amount of it that admission enforces, counted as
                admission counts (`server.api.admission.quotas`).
QUOTA_STATUS-2  A status is written when what it says has changed, and only then; an idle cluster costs no request.
QUOTA_STATUS-3  A kind is watched while a quota counts its objects, and claims always, as everybody does. Of pods and
                services it takes the whole object to count them, of other kinds the metadata.
QUOTA_STATUS-4  A status that somebody else has overwritten is put right.

Admission counts the stored objects by itself, so a status that is late refuses and allows nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.discovery import discover
from pvbinder.kube.informer import Change, Index, Informer, Updated
from pvbinder.kube.kinds import CLAIMS, Metadata, metadata_of, only_metadata_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim
from pvbinder.model.quantity import ZERO
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, SERVICES, Resource
from pvbinder.rules.pod_amounts import Amounts
from pvbinder.rules.quotas import COUNTED_BY_NAME, is_about, is_counted_by, names_of, usage_of

CONCURRENT_SYNCS_MAX: Final = 5  # --concurrent-resource-quota-syncs
LONGEST_WAIT_SECONDS: Final = 30.0  # for a cache to be filled
OBJECTS_PER_TURN: Final = 1_000  # objects, of one turn of the loop
COUNTED_WHOLE: Final = (PODS, SERVICES)
_QUOTAS: Final = metadata_of(RESOURCE_QUOTAS)

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class _Counted:
    """The cache of a kind that is counted, and the task that keeps it current."""

    informer: Informer[Metadata]
    index: Index[Metadata]
    task: asyncio.Task[None]


class ResourceQuotas:
    """Keeps the status of quotas; `run()` it as a task that somebody owns, with the informers running beside it."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._history = context.informers.history
        self._quotas = context.informers.of(_QUOTAS)
        self._quotas_in = self._quotas.add_index("namespace", lambda quota: (quota.namespace,))
        self._claims = context.informers.of(CLAIMS)
        self._claims_in = self._claims.add_index("namespace", lambda claim: (claim.namespace,))
        self._group: asyncio.TaskGroup | None = None
        self._counted: dict[Resource, _Counted] = {}
        self._known: dict[str, Resource] = {}  # by the keys of quotas that count them
        self._know(context.served)
        self._queue: WorkQueue[str] = WorkQueue(
            "resource_quota",
            self.sync,
            history=self._history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not write the status of quota",
            key_field="quota",
        )
        self._quotas.add_handler(self._on_quota)
        self._claims.add_handler(self._on_claim)

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Keep statuses right until cancelled."""
        await self._quotas.wait_synced()
        await self._claims.wait_synced()
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done, now or after a delay."""
        await self._queue.wait_idle()

    @property
    def watched(self) -> frozenset[Resource]:
        """The kinds that are watched because a quota counts them."""
        return frozenset(self._counted)

    async def sync(self, key: str) -> None:
        """Bring the status of one quota about."""
        quota = self._quotas.get(key)
        if quota is None:
            self._forget_uncounted()
            return
        document = quota.document()
        spec = document.get("spec") or {}
        hard: Mapping[str, str] = spec.get("hard") or {}
        used = await self._used(quota.namespace, spec, hard)
        self._forget_uncounted()
        wanted: Json = {"hard": dict(hard), "used": {name: str(used[name]) for name in hard if name in used}}
        wanted = {name: amounts for name, amounts in wanted.items() if amounts}
        if wanted == (document.get("status") or {}) or self._quotas.get(key) is not quota:
            return  # the newer one is in the queue
        document["status"] = wanted
        self._quotas.put(await self._client.replace(_QUOTAS, document, subresource="status"))
        log.info("quota's status written", quota=key, used=len(used))

    async def _used(self, namespace: str, spec: Json, hard: Iterable[str]) -> Amounts:
        """Return the used part of each amount in `hard`, without those that nothing counts (QUOTA_STATUS-1)."""
        counted: dict[Resource, Amounts] = {}
        used: Amounts = {}
        for name in hard:
            resource = await self._resource_of(name)
            if resource is None:
                continue
            if resource not in counted:
                counted[resource] = await self._usage_in(resource, namespace, spec)
            used[name] = counted[resource].get(name, ZERO)
        return used

    async def _usage_in(self, resource: Resource, namespace: str, spec: Json) -> Amounts:
        """Return what the objects of a kind that a quota is about count for together."""
        total: Amounts = {}
        for position, obj in enumerate(await self._objects_in(resource, namespace), 1):
            if position % OBJECTS_PER_TURN == 0:
                await asyncio.sleep(0)  # the loop is everybody's
            if is_about(spec, resource, obj):
                for name, amount in usage_of(resource, obj).items():
                    total[name] = total.get(name, ZERO) + amount
        return total

    # -- the kinds that are counted

    def _know(self, served: Iterable[Resource]) -> None:
        for resource in served:
            if resource.namespaced:
                for name in names_of(resource):
                    self._known.setdefault(name, resource)

    async def _resource_of(self, name: str) -> Resource | None:
        """Return the kind whose objects the amount `name` counts."""
        for resource in (PERSISTENT_VOLUME_CLAIMS, *COUNTED_WHOLE):
            if is_counted_by(name, resource):
                return resource
        if name not in self._known and (name.startswith("count/") or name in COUNTED_BY_NAME):
            self._know(kind.resource for kind in (await discover(self._client)).kinds if kind.allows("list", "watch"))
        return self._known.get(name)

    async def _objects_in(self, resource: Resource, namespace: str) -> list[Json]:
        """Return the objects of a kind, from a cache that is kept from now on."""
        if resource == PERSISTENT_VOLUME_CLAIMS:
            return [claim.document() for claim in self._claims_in[namespace]]
        found = self._counted.get(resource)
        if found is None:
            assert self._group is not None
            kind = metadata_of(resource) if resource in COUNTED_WHOLE else only_metadata_of(resource)
            informer = Informer(self._client, kind, history=self._history)
            informer.add_handler(partial(self._on_counted, resource))
            index = informer.add_index("namespace", lambda one: (one.namespace,))
            task = self._group.create_task(informer.run(), name=f"counting {resource.qualified}")
            found = self._counted[resource] = _Counted(informer, index, task)
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):  # its task may be gone by then; the queue tries again
            await found.informer.wait_synced()
        return [one.document() for one in found.index[namespace]]

    def _forget_uncounted(self) -> None:
        """Stop watching kinds that no quota counts any more (QUOTA_STATUS-3)."""
        names = {name for quota in self._quotas for name in (quota.document().get("spec") or {}).get("hard") or ()}
        wanted = {self._known[name] for name in names if name in self._known}
        wanted |= {resource for resource in COUNTED_WHOLE if any(is_counted_by(name, resource) for name in names)}
        for resource in [each for each in self._counted if each not in wanted]:
            self._counted.pop(resource).task.cancel()

    # -- what happens

    def _on_quota(self, change: Change[Metadata]) -> None:
        self._queue.add(change.object.key)

    def _on_claim(self, change: Change[Claim]) -> None:
        claim = change.object
        if claim.namespace not in self._quotas_in:
            return
        if isinstance(change, Updated):
            before, after = change.before.document(), claim.document()
            usage = usage_of(PERSISTENT_VOLUME_CLAIMS, before)
            is_same = usage == usage_of(PERSISTENT_VOLUME_CLAIMS, after)
            if is_same and _attributes_of(before) == _attributes_of(after):
                return
        self._add_all_in(claim.namespace)

    def _on_counted(self, resource: Resource, change: Change[Metadata]) -> None:
        if isinstance(change, Updated):
            if resource not in COUNTED_WHOLE:
                return
            before, after = change.before.document(), change.object.document()
            is_same = usage_of(resource, before) == usage_of(resource, after)
            if is_same and before.get("spec") == after.get("spec"):  # scopes are about the spec
                return
        self._add_all_in(change.object.namespace)

    def _add_all_in(self, namespace: str) -> None:
        for quota in self._quotas_in[namespace]:
            self._queue.add(quota.key)


def _attributes_of(claim: Json) -> tuple[object, ...]:
    """Return what scopes look at in a claim."""
    status: Json = claim.get("status") or {}
    return (
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        status.get("modifyVolumeStatus"),
    )
