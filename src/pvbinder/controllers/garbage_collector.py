"""Dependents go with their owners: background, foreground and orphan deletion, for every kind that is served (DE-8).

GARBAGE-1  Nothing is deleted on hearsay: before an object goes, it and each owner that isn't surely there are read
           live, uids are compared, and the DELETE names the uid and the revision that was judged.
GARBAGE-2  An object with an owner that lives, or that can't be found out about, stays; it forgets the owners that are
           gone.
GARBAGE-3  Foreground: an owner goes after the dependents that block it. Orphan: dependents forget it, and stay.
GARBAGE-4  Owners of namespaced objects are looked for in the object's own namespace or cluster-wide, never in another
           namespace; a namespaced owner of a cluster-wide object counts as unknown.
GARBAGE-5  A kind that another controller watches is not watched again; of the others only the metadata is asked for,
           and of objects without owners nothing but the key, uid and revision is kept.
GARBAGE-6  Nothing is asked while nothing changes. New kinds are found when definitions of kinds change.
GARBAGE-7  An owner is absent only by two witnesses: a read that is denied by name (or shows another uid), and the
           cache of its kind, which is filled and doesn't know it; where nobody keeps such a cache, a list (PROOF-1).
GARBAGE-8  The finalizers of an owner (``orphan``, ``foregroundDeletion``) go only after all kinds have been listed
           live: a dependent that the caches missed would be deleted later, or be late.
GARBAGE-9  An owner reference into another namespace is told (``OwnerRefInvalidNamespace``) before the object goes.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.client import Kind, KubernetesObject
from pvbinder.kube.discovery import Discovered, discover
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.events import Subject
from pvbinder.kube.evidence import read_whole_list
from pvbinder.kube.informer import Change, Deleted, Informer
from pvbinder.kube.kinds import Metadata, only_metadata_of
from pvbinder.kube.proof import Gone, Present, Unproven, prove_gone
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.model.errors import PvbinderError
from pvbinder.model.ownership import ORPHAN, Owned, Owner, parse_owned
from pvbinder.model.resources import Resource
from pvbinder.rules.garbage import (
    Delete,
    DeleteDependents,
    DropOwners,
    Finish,
    KeepIt,
    OwnerState,
    ReleaseDependents,
    decide_garbage,
    finalizer_removal,
    with_unblocked_owners,
    without_owners,
)

CONCURRENT_SYNCS_MAX: Final = 20  # --concurrent-gc-syncs
EVENT_SOURCE: Final = "garbage-collector-controller"
DEFINITIONS: Final = ("apiextensions.k8s.io", "customresourcedefinitions")
IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})
ABSENT_OWNERS_KEPT_MAX: Final = 500  # owners, as the reference
OVERLOOKED_SECONDS: Final = 0.1  # for dependents that the caches missed, to be worked on
DISCOVERY_RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)

log = logs.get(__name__)


class OwnerUnproven(PvbinderError):  # noqa: N818  (the queue brings the object back)
    """Nobody can say for sure what became of an owner or its dependents: everything stays."""


@dataclass(frozen=True, slots=True)
class GarbageStatistics:
    """The work that the controller has, and has done."""

    kinds: int  # watched, by us or by others
    owned: int  # objects with owners, or that wait for dependents
    deleted: int
    queue: QueueStatistics


@dataclass(frozen=True, slots=True)
class _Known:
    """An object in the graph, and its kind."""

    resource: Resource
    object: Owned


class GarbageCollector:
    """Deletes what nobody owns any more; `run()` it as a task that somebody owns, with the informers beside it."""

    name = "garbage-collector-controller"

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._recorder = context.recorder(EVENT_SOURCE)
        self._shared = context.informers
        self._also_kept = context.also_kept
        self._informers: dict[Resource, Informer[KubernetesObject]] = {}
        self._discovered = Discovered(())
        self._graph: dict[str, _Known] = {}  # uid -> objects with owners, or that wait for their dependents
        self._dependents: dict[str, set[str]] = {}  # uid of the owner -> uids
        self._unresolved: set[str] = set()  # uids of objects with an owner of a kind that isn't served
        self._absent: OrderedDict[tuple[str, Owner], None] = OrderedDict()  # namespace and owner that wasn't there
        self._ready = False
        self._kinds_changed = asyncio.Event()
        self._deleted = 0
        self._queue: WorkQueue[str] = WorkQueue(
            "garbage_collector_attempt_to_delete",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not collect garbage",
            key_field="uid",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            await self._watch_kinds(group)
            self._ready = True
            for uid in list(self._graph):
                self._check(uid)
            group.create_task(self._queue.run(), name=self._queue.name)
            group.create_task(self._follow_kinds(group), name="kinds to collect")

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done."""
        await self._queue.wait_idle()

    def statistics(self) -> GarbageStatistics:
        """The work that the controller has, and has done."""
        return GarbageStatistics(len(self._informers), len(self._graph), self._deleted, self._queue.statistics())

    # -- the kinds to watch (GARBAGE-5, GARBAGE-6)

    async def _follow_kinds(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._kinds_changed.wait()
            self._kinds_changed.clear()
            await self._watch_kinds(group)

    async def _watch_kinds(self, group: asyncio.TaskGroup) -> None:
        self._discovered = await self._discover()
        shared = {informer.kind.resource: informer for informer in self._shared}
        new: list[Informer[KubernetesObject]] = []
        for served in self._discovered.kinds:
            resource = served.resource
            wanted = served.allows("list", "watch", "delete") and (resource.group, resource.plural) not in IGNORED
            if not wanted or resource in self._informers:
                continue
            informer = shared.get(resource)
            if informer is None:
                kind: Kind[KubernetesObject] = Kind(resource, parse_owned, only_metadata=True)
                informer = Informer(self._client, kind, history=self._shared.history)
                group.create_task(informer.run(), name=f"garbage informer {resource.qualified}")
            self._informers[resource] = informer
            new.append(informer)
        for informer in new:
            await informer.wait_synced()
            self._also_kept[informer.kind.resource] = informer
            informer.add_handler(self._handler_for(informer.kind.resource))
        for uid in list(self._unresolved):
            self._queue.add(uid)

    async def _discover(self) -> Discovered:
        attempt = 0
        while True:
            try:
                return await discover(self._client)
            except (ApiFailure, ConnectionFailed) as failure:
                seconds = DISCOVERY_RETRY_SECONDS[min(attempt, len(DISCOVERY_RETRY_SECONDS) - 1)]
                log.warning("kinds can't be discovered", err=failure.message, again_in_seconds=seconds)
                attempt += 1
                await asyncio.sleep(seconds)

    def _handler_for(self, resource: Resource) -> Callable[[Change[KubernetesObject]], None]:
        defines_kinds = (resource.group, resource.plural) == DEFINITIONS

        def on_change(change: Change[KubernetesObject]) -> None:
            if defines_kinds and self._ready:
                self._kinds_changed.set()
            if isinstance(change, Deleted):
                self._on_deleted(change.object.uid)
            else:
                known = self._graph.get(change.object.uid)  # its earlier state, if that matters
                if known is not None or _may_say_something(change.object):
                    before = known.object if known is not None else None
                    self._on_changed(resource, before, _as_owned(change.object))

        return on_change

    # -- the graph

    def _on_changed(self, resource: Resource, before: Owned | None, obj: Owned) -> None:
        if before is not None and before.owners != obj.owners:
            self._unlink(before)
        is_waiting = obj.waits_for_dependents or obj.orphans_dependents
        if not (obj.owners or is_waiting):
            self._graph.pop(obj.uid, None)
            return
        self._graph[obj.uid] = _Known(resource, obj)
        for owner in obj.owners:
            self._dependents.setdefault(owner.uid, set()).add(obj.uid)
        if before is not None and before.owners != obj.owners:
            self._tell_waiting_owners(before)
        self._check(obj.uid)

    def _on_deleted(self, uid: str) -> None:
        known = self._graph.pop(uid, None)
        if known is not None:
            self._unlink(known.object)
            self._tell_waiting_owners(known.object)
        self._unresolved.discard(uid)
        if self._ready:
            for dependent in self._dependents.get(uid, ()):
                self._queue.add(dependent)

    def _unlink(self, obj: Owned) -> None:
        for owner in obj.owners:
            dependents = self._dependents.get(owner.uid)
            if dependents is not None:
                dependents.discard(obj.uid)
                if not dependents:
                    del self._dependents[owner.uid]

    def _tell_waiting_owners(self, obj: Owned) -> None:
        for owner in obj.owners:
            known = self._graph.get(owner.uid)
            if known is not None and known.object.waits_for_dependents:
                self._queue.add(owner.uid)

    def _check(self, uid: str) -> None:
        """Look closer at an object whose owners aren't surely there, or that waits for its dependents."""
        known = self._graph.get(uid)
        if known is None or not self._ready:
            return
        obj = known.object
        if obj.is_deleting:
            is_due = obj.waits_for_dependents or obj.orphans_dependents
        else:
            is_due = any(self._cached_state(known, owner) != "present" for owner in obj.owners)
        if is_due:
            self._queue.add(uid)

    def _dependents_of(self, uid: str) -> list[_Known]:
        return [self._graph[one] for one in sorted(self._dependents.get(uid, ())) if one in self._graph]

    # -- owners (GARBAGE-1, GARBAGE-4)

    def _owner_kind(self, known: _Known, owner: Owner) -> Resource | None:
        """The kind of `owner`, None if nobody can say: not served, or namespaced while the object is not."""
        served = self._discovered.find(owner.group, owner.kind)
        if served is None or (served.resource.namespaced and not known.resource.namespaced):
            return None
        return served.resource

    def _cached_state(self, known: _Known, owner: Owner) -> OwnerState | None:
        """The state of an owner according to the caches; None if they don't know it, which proves nothing."""
        resource = self._owner_kind(known, owner)
        informer = self._informers.get(resource) if resource is not None else None
        if resource is None or informer is None:
            return None
        key = f"{known.object.namespace}/{owner.name}" if resource.namespaced else owner.name
        found = informer.get(key)
        if found is None or found.uid != owner.uid:
            return None
        waiting = self._graph.get(owner.uid)
        return "waiting" if waiting is not None and waiting.object.waits_for_dependents else "present"

    async def _state_of(self, known: _Known, owner: Owner) -> OwnerState:
        state = self._cached_state(known, owner)
        if state is not None:
            return state
        resource = self._owner_kind(known, owner)
        if resource is None:
            return "unknown"
        namespace = known.object.namespace if resource.namespaced else ""
        if (namespace, owner) in self._absent:  # an object that is gone never comes back with the same uid
            return "absent"
        found = await self._look_for(resource, owner.name, namespace, owner.uid)
        if found is not None:
            return "waiting" if found.waits_for_dependents else "present"
        self._absent[namespace, owner] = None
        if len(self._absent) > ABSENT_OWNERS_KEPT_MAX:
            self._absent.popitem(last=False)
        return "absent"

    async def _look_for(self, resource: Resource, name: str, namespace: str, uid: str) -> Owned | None:
        """Read an owner that the caches don't have; None if it is proven to be gone (GARBAGE-7)."""
        kind = Kind(resource, parse_owned, only_metadata=True)
        if resource not in self._informers:
            match await prove_gone(self._client, Kind(resource, parse_owned), name, namespace, uid=uid):
                case Present(object=found):
                    return found
                case Gone():
                    return None
                case Unproven(why=why):
                    raise OwnerUnproven(f"nobody knows whether {resource.qualified} {name!r} is gone: {why}")
        try:
            found = await self._client.get(kind, name, namespace)
        except ApiFailure as failure:
            if not failure.names_as_not_found(resource, name):
                raise
            return None
        if not found.uid:
            raise OwnerUnproven(f"{resource.qualified} {name!r} came without a uid")
        return found if found.uid == uid else None

    # -- one object

    async def _sync(self, uid: str) -> None:
        known = self._graph.get(uid)
        if known is None:
            return
        kind = only_metadata_of(known.resource)
        try:
            live = await self._client.get(kind, known.object.name, known.object.namespace)
        except ApiFailure as failure:
            if failure.names_as_not_found(known.resource, known.object.name):
                return  # the watch tells
            raise
        obj = parse_owned(live.raw)
        if obj.uid != uid:
            return
        owners: list[tuple[Owner, OwnerState]] = []
        if not obj.is_deleting:
            owners = [(owner, await self._state_of(_Known(known.resource, obj), owner)) for owner in obj.owners]
            self._tell_elsewhere(known.resource, live, owners)
        if any(state == "unknown" for _, state in owners):
            self._unresolved.add(uid)
        else:
            self._unresolved.discard(uid)
        dependents = self._dependents_of(uid)
        action = decide_garbage(obj, owners, [dependent.object for dependent in dependents])
        match action:
            case KeepIt():
                pass
            case Delete():
                await self._delete(kind, live, action)
            case DropOwners(uids=uids):
                await self._patch(kind, live, without_owners(live.document(), uids))
            case ReleaseDependents() | Finish() if await self._overlooked(_Known(known.resource, obj)):
                self._queue.add_after(uid, OVERLOOKED_SECONDS)  # they are known now
            case ReleaseDependents():
                await self._release(dependents, uid)
                await self._patch(kind, live, finalizer_removal(live.document(), ORPHAN))
            case DeleteDependents(uids=uids):
                for dependent in uids:
                    if not self._graph[dependent].object.is_deleting:
                        self._queue.add(dependent)
            case Finish(finalizer=finalizer):
                await self._patch(kind, live, finalizer_removal(live.document(), finalizer))
            case _:
                assert_never(action)

    def _tell_elsewhere(self, resource: Resource, obj: Metadata, owners: Iterable[tuple[Owner, OwnerState]]) -> None:
        """Say of an owner that isn't where it counts, that it is in another namespace (GARBAGE-9)."""
        for owner, state in owners:
            if state not in ("absent", "unknown"):
                continue
            served = self._discovered.find(owner.group, owner.kind)
            informer = self._informers.get(served.resource) if served is not None else None
            if served is None or not served.resource.namespaced or informer is None:
                continue
            if any(one.uid == owner.uid and one.namespace != obj.namespace for one in informer):
                named = f"{owner.api_version}/{owner.kind}, namespace: {obj.namespace}, name: {owner.name}"
                message = f'ownerRef [{named}, uid: {owner.uid}] does not exist in namespace "{obj.namespace}"'
                self._recorder.event(Subject.of(resource, obj), "Warning", "OwnerRefInvalidNamespace", message)

    async def _delete(self, kind: Kind[Metadata], obj: Metadata, action: Delete) -> None:
        if action.unblock:
            await self._patch(kind, obj, with_unblocked_owners(obj.document()))
        try:
            await self._client.delete(
                kind,
                obj.name,
                obj.namespace,
                uid=obj.uid,
                resource_version="" if action.unblock else obj.resource_version,
                propagation=action.propagation,
            )
        except ApiFailure as failure:
            if not failure.names_as_not_found(kind.resource, obj.name):
                raise
            return
        self._deleted += 1
        log.info("dependent deleted", resource=kind.resource.qualified, object=obj.key)

    async def _release(self, dependents: Iterable[_Known], owner_uid: str) -> None:
        for known in dependents:
            kind = only_metadata_of(known.resource)
            try:
                live = await self._client.get(kind, known.object.name, known.object.namespace)
                if live.uid == known.object.uid:
                    await self._patch(kind, live, without_owners(live.document(), [owner_uid]))
            except ApiFailure as failure:
                if not failure.names_as_not_found(known.resource, known.object.name):
                    raise

    async def _overlooked(self, owner: _Known) -> bool:
        """List every kind that may have dependents of `owner`; take in the objects that the graph lacks (GARBAGE-8)."""
        found = await discover(self._client)
        if found.missing:
            raise OwnerUnproven(f"kinds that can't be listed may have dependents: {', '.join(found.missing)}")
        resources = {served.resource for served in found.kinds if served.allows("list", "delete")}
        namespace = owner.object.namespace if owner.resource.namespaced else ""
        news = False
        for resource in sorted(resources | set(self._informers), key=lambda one: one.qualified):
            if (resource.group, resource.plural) in IGNORED or (namespace and not resource.namespaced):
                continue
            kind = Kind(resource, parse_owned, only_metadata=True)
            try:
                listed = await read_whole_list(self._client, kind, namespace)
            except ApiFailure as failure:
                if failure.is_not_found and resource not in resources:
                    continue  # its definition has been deleted, and its objects with it
                raise
            for one in listed.items:
                is_dependent = any(reference.uid == owner.object.uid for reference in one.owners)
                if is_dependent and one.uid not in self._dependents.get(owner.object.uid, ()):
                    self._on_changed(resource, None, one)
                    news = True
        return news

    async def _patch(self, kind: Kind[Metadata], obj: Metadata, change: dict[str, object]) -> None:
        try:
            await self._client.patch(kind, obj.name, obj.namespace, change, patch_type="merge")
        except ApiFailure as failure:
            if not failure.names_as_not_found(kind.resource, obj.name):
                raise


def _may_say_something(view: KubernetesObject) -> bool:
    """Whether the object may have owners or be being deleted; most have none and aren't, and need no parsing."""
    if isinstance(view, Owned) or b"\\u" in view.raw:  # a letter could be written otherwise
        return True
    return b'"ownerReferences"' in view.raw or b'"deletionTimestamp"' in view.raw


def _as_owned(view: KubernetesObject) -> Owned:
    return view if isinstance(view, Owned) else parse_owned(view.raw)
