"""The objects of a deleted namespace are deleted, then the namespace itself goes (DE-7).

NAMESPACE-1  Everything that discovery tells of, is namespaced and can be deleted goes: pods first, the rest when they
             are gone, each kind with one request for all its objects.
NAMESPACE-2  The namespace is let go (``/finalize``) only after a whole round found nothing left.
NAMESPACE-3  What is left waits for somebody's finalizer or for a pod to end: its kinds are watched in that namespace,
             and the next round begins when a kind is empty. Until then nothing is asked.
NAMESPACE-4  Why a namespace isn't gone yet stands in its conditions, in the reference's words; one that goes at once
             costs no status write.
NAMESPACE-5  A kind that can't be emptied, or a group that doesn't answer, stops the namespace, not the other kinds.
NAMESPACE-6  Nothing in it is deleted before the namespace itself, read live, is the one that is being deleted.
NAMESPACE-7  A kind is empty only by two witnesses: a list that counts as evidence (EVIDENCE-1), and the process's cache
             of that kind; where no cache is kept, a second list after all others.
NAMESPACE-8  A kind that was served is forgotten only when discovery doesn't tell of it and a list of it is answered
             with a Status that says NotFound. A 404 for a kind that is told of is a failure.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.context import ControllerContext
from pvbinder.kube.answers import check_is_object
from pvbinder.kube.client import Kind, KubernetesObject
from pvbinder.kube.discovery import Discovered, Served, discover
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.evidence import CATCH_UP_SECONDS, DoubtfulList, read_whole_list
from pvbinder.kube.informer import Change, Deleted, Informer, Updated
from pvbinder.kube.kinds import NAMESPACES, Metadata, only_metadata_of
from pvbinder.kube.queue import QueueStatistics, WorkQueue
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import PODS, Resource

FINALIZER: Final = "kubernetes"
CONCURRENT_SYNCS_MAX: Final = 10  # --concurrent-namespace-syncs
KINDS_AT_ONCE: Final = 8

log = logs.get(__name__)


class ContentDeletionFailed(PvbinderError):  # noqa: N818  (the queue brings the namespace back)
    """Not everything in a namespace could be deleted."""


@dataclass(frozen=True, slots=True)
class Left:
    """The objects of one kind that a round left."""

    resource: Resource
    count: int
    finalizers: Mapping[str, int]  # -> on how many of them


@dataclass(slots=True)
class Round:
    """The result of one pass over a namespace."""

    left: list[Left] = field(default_factory=list)
    empty: list[Served] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    undiscovered: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left and nothing failed."""
        return not (self.left or self.failures or self.undiscovered)


@dataclass(frozen=True, slots=True)
class NamespaceStatistics:
    """The work that the controller has, and has done."""

    terminating: int  # namespaces that still hold objects
    finalized: int
    queue: QueueStatistics


class Namespaces:
    """Empties terminating namespaces; `run()` it as a task that somebody owns, with the informers running beside it."""

    name = "namespace-controller"

    def __init__(
        self,
        context: ControllerContext,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client = context.client
        self._now = now or context.now
        self._namespaces = context.informers.of(NAMESPACES)
        self._shared = context.informers
        self._also_kept = context.also_kept
        self._known: dict[tuple[str, str], Served] = {}  # kinds that were served, by group and plural (NAMESPACE-8)
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._finalized = 0
        self._queue: WorkQueue[str] = WorkQueue(
            "namespace",
            self._sync,
            history=context.informers.history,
            concurrency=CONCURRENT_SYNCS_MAX,
            failure_message="could not empty namespace",
            key_field="namespace",
        )

    def queues(self) -> Iterator[QueueStatistics]:
        """The state of its queue."""
        yield self._queue.statistics()

    async def run(self) -> None:
        """Empty namespaces until cancelled."""
        await self._namespaces.wait_synced()
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._namespaces.add_handler(self._on_namespace)
            await self._queue.run()

    async def wait_idle(self) -> None:
        """Wait until nothing is to be done; namespaces that wait for somebody else are not waited for."""
        await self._queue.wait_idle()

    def statistics(self) -> NamespaceStatistics:
        """The work that the controller has, and has done."""
        return NamespaceStatistics(len(self._watching), self._finalized, self._queue.statistics())

    def _on_namespace(self, change: Change[Metadata]) -> None:
        namespace = change.object
        if isinstance(change, Deleted):
            self._stop_watching(namespace.name)
        elif namespace.is_deleting and not (isinstance(change, Updated) and change.before.is_deleting):
            self._queue.add(namespace.name)

    async def _sync(self, name: str) -> None:
        namespace = self._namespaces.get(name)
        if namespace is None or not namespace.is_deleting:
            self._stop_watching(name)
            return
        if FINALIZER not in (namespace.document().get("spec") or {}).get("finalizers", ()):
            return
        live = await self._client.get(NAMESPACES, name)
        if live.uid != namespace.uid or not live.is_deleting:  # NAMESPACE-6
            raise ContentDeletionFailed(f"namespace {name} is not the one that is being deleted: what is in it stays")
        result = await self._empty(live)
        if result.is_clean:
            await self._ask_again(live, result)
        if result.is_clean:
            await self._finalize(namespace)
            return
        await self._tell(namespace, result)
        if result.failures or result.undiscovered:
            raise ContentDeletionFailed("; ".join((*result.failures, *result.undiscovered)))
        log.debug("namespace waits", namespace=name, kinds=len(result.left))
        self._watch(name, [left.resource for left in result.left])

    # -- one round

    async def _empty(self, namespace: Metadata) -> Round:
        found: Discovered = await discover(self._client)
        result = Round(undiscovered=found.missing)
        kinds = [served for served in found.kinds if _has_contents(served)]
        told = {_name_of(served.resource) for served in found.kinds}
        self._known |= {_name_of(served.resource): served for served in kinds}
        kinds += [served for key, served in self._known.items() if key not in told]  # NAMESPACE-8
        pods = [served for served in kinds if _name_of(served.resource) == _name_of(PODS)]
        await self._empty_kinds(namespace, pods, result, told)
        if not result.left:
            await self._empty_kinds(namespace, [served for served in kinds if served not in pods], result, told)
        return result

    async def _empty_kinds(
        self, namespace: Metadata, kinds: Iterable[Served], result: Round, told: Collection[tuple[str, str]]
    ) -> None:
        turns = asyncio.Semaphore(KINDS_AT_ONCE)

        async def empty(served: Served) -> None:
            resource = served.resource
            async with turns:
                try:
                    left = await self._empty_kind(namespace, served)
                except ApiFailure as failure:
                    if failure.is_not_found and _name_of(resource) not in told:
                        self._known.pop(_name_of(resource), None)
                    elif failure.status != 405 or failure.reason != "MethodNotAllowed":  # it can't be listed after all
                        result.failures.append(f"{resource.qualified}: {failure.message}")
                except DoubtfulList as doubt:
                    result.failures.append(f"{resource.qualified}: {doubt.message}")
                else:
                    if left is not None:
                        result.left.append(left)
                    else:
                        result.empty.append(served)

        async with asyncio.TaskGroup() as group:
            for served in kinds:
                group.create_task(empty(served), name=f"empty {served.resource.qualified} in {namespace.name}")
        result.left.sort(key=lambda left: left.resource.qualified)

    async def _list(self, kind: Kind[Metadata], namespace: Metadata) -> tuple[Metadata, ...]:
        not_before = (namespace.resource_version,) if _is_built_in(kind.resource) else ()
        return (await read_whole_list(self._client, kind, namespace.name, not_before=not_before)).items

    async def _empty_kind(self, namespace: Metadata, served: Served) -> Left | None:
        """Delete all objects of a kind and return what is still there."""
        name = namespace.name
        kind = only_metadata_of(served.resource)
        there = await self._list(kind, namespace)
        if not there:
            return None
        if any(not one.is_deleting for one in there):
            if served.allows("deletecollection"):
                options = b'{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"}'
                request = Request("DELETE", served.resource.path(name), body=options, accept=kind.accept_list)
                answer = await self._client.request("deletecollection", served.resource, request)
                check_is_object(answer, "the deletion of a collection")
            else:
                await self._delete_each(name, served, there)
            there = await self._list(kind, namespace)
            if not there:
                return None
        finalizers = Counter(finalizer for one in there for finalizer in one.finalizers)
        return Left(served.resource, len(there), finalizers)

    async def _delete_each(self, name: str, served: Served, there: Iterable[Metadata]) -> None:
        for one in there:
            try:
                await self._client.delete(
                    only_metadata_of(served.resource), one.name, name, uid=one.uid, propagation="Background"
                )
            except ApiFailure as failure:
                if not failure.names_as_not_found(served.resource, one.name):
                    raise

    # -- the second witness (NAMESPACE-7)

    async def _ask_again(self, namespace: Metadata, result: Round) -> None:
        """Confirm that the kinds of a clean round are empty; a doubtful answer becomes a failure."""
        turns = asyncio.Semaphore(KINDS_AT_ONCE)

        async def confirm(served: Served) -> None:
            resource = served.resource
            async with turns:
                try:
                    cache = self._cache_of(resource)
                    if cache is not None:
                        await _wait_until_empty(cache, namespace.name)
                    elif await self._list(only_metadata_of(resource), namespace):
                        raise DoubtfulList("what a list didn't have the next one has")
                except (ApiFailure, DoubtfulList) as error:
                    result.failures.append(f"{resource.qualified}: {error.message}")

        async with asyncio.TaskGroup() as group:
            for served in result.empty:
                group.create_task(confirm(served), name=f"confirm {served.resource.qualified} in {namespace.name}")

    def _cache_of(self, resource: Resource) -> Informer[KubernetesObject] | None:
        shared = next((one for one in self._shared if one.kind.resource == resource), None)
        cache = shared or self._also_kept.get(resource)
        return cache if cache is not None and cache.has_synced else None

    async def _finalize(self, namespace: Metadata) -> None:
        document = namespace.document()
        document["spec"]["finalizers"] = [one for one in document["spec"]["finalizers"] if one != FINALIZER]
        try:
            await self._client.replace(NAMESPACES, document, subresource="finalize")
        except ApiFailure as failure:
            if not failure.names_as_not_found(NAMESPACES.resource, namespace.name):
                raise
            return
        self._finalized += 1
        log.info("namespace emptied", namespace=namespace.name)

    # -- waiting for the last objects (NAMESPACE-3)

    def _watch(self, name: str, kinds: Iterable[Resource]) -> None:
        self._stop_watching(name)
        if self._group is None:
            raise RuntimeError("the controller is not running")
        self._watching[name] = self._group.create_task(
            self._wait_until_one_is_empty(name, list(kinds)), name=f"what is left in {name}"
        )

    async def _wait_until_one_is_empty(self, name: str, kinds: list[Resource]) -> None:
        is_empty = asyncio.Event()
        informers = [
            Informer(self._client, only_metadata_of(resource), name, history=self._shared.history) for resource in kinds
        ]

        def watch_for_end(informer: Informer[Metadata]) -> Callable[[Change[Metadata]], None]:
            def on_change(change: Change[Metadata]) -> None:
                if isinstance(change, Deleted) and not informer:
                    is_empty.set()

            return on_change

        async def check_at_first(informer: Informer[Metadata]) -> None:
            await informer.wait_synced()
            if not informer:
                is_empty.set()

        async def end_when_empty() -> None:
            await is_empty.wait()
            for task in tasks:
                task.cancel()

        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for informer in informers:
                informer.add_handler(watch_for_end(informer))
                tasks.append(group.create_task(informer.run()))
                tasks.append(group.create_task(check_at_first(informer)))
            group.create_task(end_when_empty())
        if self._watching.get(name) is asyncio.current_task():
            del self._watching[name]
        self._queue.add(name)

    def _stop_watching(self, name: str) -> None:
        task = self._watching.pop(name, None)
        if task is not None:
            task.cancel()

    # -- telling (NAMESPACE-4)

    async def _tell(self, namespace: Metadata, result: Round) -> None:
        document = namespace.document()
        status: Json = document.setdefault("status", {})
        before = list(status.get("conditions") or [])
        after = namespace_conditions(before, result, self._now())
        if after == before and status.get("phase") == "Terminating":
            return
        status["conditions"] = after
        status["phase"] = "Terminating"
        try:
            self._namespaces.put(await self._client.replace(NAMESPACES, document, subresource="status"))
        except ApiFailure as failure:
            if not (
                failure.names_as_not_found(NAMESPACES.resource, namespace.name) or failure.is_conflict
            ):  # the next round tells again
                raise


async def _wait_until_empty(cache: Informer[KubernetesObject], namespace: str) -> None:
    """Give a cache the time to hear of the latest deletions; raise `DoubtfulList` if it still knows some."""
    for pause_seconds in CATCH_UP_SECONDS:
        await asyncio.sleep(pause_seconds)
        if not any(one.namespace == namespace for one in cache):
            return
    raise DoubtfulList("a cache has objects that a list hasn't")


def _has_contents(served: Served) -> bool:
    """Whether a kind has objects in namespaces that can be deleted; events are served in two groups."""
    is_shown_twice = _name_of(served.resource) == ("events.k8s.io", "events")
    return served.resource.namespaced and served.allows("list", "delete") and not is_shown_twice


def _name_of(resource: Resource) -> tuple[str, str]:
    return resource.group, resource.plural


def _is_built_in(resource: Resource) -> bool:
    """Whether the API server itself keeps the kind: revisions of an aggregated API's own database mean nothing here."""
    return "." not in resource.group or resource.group.endswith(".k8s.io")


def namespace_conditions(before: list[Json], result: Round, now: datetime) -> list[Json]:
    """Return the conditions of a namespace that isn't gone yet, in the reference's words."""
    counts = ", ".join(
        f"{left.resource.plural}.{left.resource.group} has {left.count} resource instances" for left in result.left
    )
    on: Counter[str] = Counter()
    for left in result.left:
        on.update(left.finalizers)
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(on.items()))
    failures = "; ".join(result.failures)
    undiscovered = ", ".join(result.undiscovered)
    told = (
        (
            "NamespaceDeletionDiscoveryFailure",
            ("DiscoveryFailed", f"Discovery failed for some groups, {len(result.undiscovered)} failing: {undiscovered}")
            if undiscovered
            else None,
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        (
            "NamespaceDeletionContentFailure",
            (
                "ContentDeletionFailed",
                f"Failed to delete all resource types, {len(result.failures)} remaining: {failures}",
            )
            if failures
            else None,
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        (
            "NamespaceContentRemaining",
            ("SomeResourcesRemain", f"Some resources are remaining: {counts}") if counts else None,
            ("ContentRemoved", "All content successfully removed"),
        ),
        (
            "NamespaceFinalizersRemaining",
            ("SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {finalizers}")
            if finalizers
            else None,
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    )
    known = {one.get("type"): one for one in before}
    for type_, problem, fine in told:
        reason, message = problem or fine
        status = "True" if problem else "False"
        condition: Json = {"type": type_, "status": status, "reason": reason, "message": message}
        old = known.get(type_)
        is_same = old is not None and old.get("status") == status
        condition["lastTransitionTime"] = (
            old["lastTransitionTime"] if is_same and old else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        known[type_] = condition
    return list(known.values())
