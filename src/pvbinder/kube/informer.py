"""The objects of one kind, kept current by list and watch.

INFORMER-1  Never backwards: an older revision of an object never replaces a newer one (B-10), unless the server itself
            went back (a restored backup): then its list is believed as it is.
INFORMER-2  Own writes count: after `put(answer)` readers see that answer or something newer, echo or not.
INFORMER-3  No ghosts: what was deleted while the watch was down is reported as deleted after the next list, and a late
            answer to a write doesn't bring back what the watch has already seen go.
INFORMER-4  Told once: handlers hear of each state at most once; the echo of an own write is silent.
INFORMER-5  Cache first: when a handler is called, the cache and its indexes hold that state already.
INFORMER-6  Another object of the same name (other UID) is reported as one deleted and one added.
INFORMER-7  One broken object hides no other: it is logged and counted, and the last readable state stays.
INFORMER-8  It survives the server: a broken watch goes on from its revision, an expired one (410) lists anew, and
            every failure in a row doubles a jittered wait, from under a second to 30.
INFORMER-9  The loop gets its turn: long lists and bursts of events are taken in by pieces.
INFORMER-10 An idle kind costs no request but the renewal of its watch every 5 to 10 minutes.
INFORMER-11 A kind that the server doesn't serve has no objects; every 5 to 10 minutes it is looked for again.

Not promised: that every state is seen, nor any order between two objects; nor that an object put in by hand matches
the informer's selectors. Handlers must be quick, must not wait and must not raise: they enqueue a key. Nobody changes
an object in the cache. All of it belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pvbinder import logs
from pvbinder.kube.client import PAGE_LIMIT, Client, Kind, KubernetesObject, Unreadable
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)

SHORTEST_WATCH_SECONDS = 300  # then twice as long at most, at random, so that watches don't end together
GRACE_SECONDS = 30.0  # how long after its time the server may still end a watch before we do
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
EVENTS_PER_TURN = 100
HEALTHY_WATCH_SECONDS = 1.0  # one that lived as long counts as a success, event or not

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Added(Generic[T_co]):
    """An object that was not there before."""

    object: T_co


@dataclass(frozen=True, slots=True)
class Updated(Generic[T_co]):
    """The same object (same UID), changed."""

    before: T_co
    object: T_co


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T_co]):
    """An object that is gone; `object` is the last state that we know of."""

    object: T_co


Change: TypeAlias = Added[T] | Updated[T] | Deleted[T]
Handler: TypeAlias = Callable[[Change[T]], None]


@dataclass(frozen=True, slots=True)
class InformerStatistics:
    """What one informer holds and has been through."""

    objects: int
    has_synced: bool
    resource_version: str
    lists: int
    watches: int
    events: int
    echoes: int  # states that we had already, from our own writes
    stale: int  # states older than what we had
    expired: int  # 410
    failures: int  # of lists and watches, in total
    unreadable: int


class Index(Generic[T]):
    """The objects of an informer by some value of theirs; made by `Informer.add_index`."""

    def __init__(self, objects: dict[str, T], values_of: Callable[[T], Iterable[str]]) -> None:
        self._objects = objects
        self._values_of = values_of
        self._keys: dict[str, dict[str, None]] = {}  # value -> keys, in the order they came

    def __getitem__(self, value: str) -> list[T]:
        """All objects that have `value`; none is an empty list."""
        return [self._objects[key] for key in self._keys.get(value, ())]

    def __contains__(self, value: str) -> bool:
        return value in self._keys

    def _replace(self, key: str, before: T | None, after: T | None) -> None:
        old = set(self._values_of(before)) if before is not None else set()
        new = set(self._values_of(after)) if after is not None else set()
        for value in old - new:
            keys = self._keys[value]
            del keys[key]
            if not keys:
                del self._keys[value]
        for value in new - old:
            self._keys.setdefault(value, {})[key] = None


@dataclass(slots=True)
class _Counts:
    lists: int = 0
    watches: int = 0
    events: int = 0
    echoes: int = 0
    stale: int = 0
    expired: int = 0
    failures: int = 0
    unreadable: int = 0


class Informer(Generic[T]):
    """A cache of one kind: construct, add handlers and indexes, then `run()` it as a task that somebody owns."""

    def __init__(
        self,
        client: Client,
        kind: Kind[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_limit: int = PAGE_LIMIT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.kind = kind
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._page_limit = page_limit
        self._chance = chance
        self._objects: dict[str, T] = {}
        self._indexes: dict[str, Index[T]] = {}
        self._handlers: list[Handler[T]] = []
        self._resource_version = ""  # up to where the watch has told us everything; "" is nowhere
        self._highest = -1  # the same as a number; stays when the next list is due
        self._history_began_anew = False
        self._must_list = True
        self._progress = False
        self._synced = asyncio.Event()
        self._counts = _Counts()

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, key: str) -> T | None:
        """The object with `key`, or None."""
        return self._objects.get(key)

    def __getitem__(self, key: str) -> T:
        return self._objects[key]

    def __contains__(self, key: object) -> bool:
        return key in self._objects

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[T]:
        """All objects; no other task may run while you iterate."""
        return iter(self._objects.values())

    def keys(self) -> list[str]:
        """The keys of all objects, as a list that stays what it is."""
        return list(self._objects)

    @property
    def has_synced(self) -> bool:
        """Whether the first list is in the cache, whole."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait for the first list."""
        await self._synced.wait()

    def statistics(self) -> InformerStatistics:
        """What it holds and has been through."""
        c = self._counts
        return InformerStatistics(
            objects=len(self._objects),
            has_synced=self.has_synced,
            resource_version=self._resource_version,
            lists=c.lists,
            watches=c.watches,
            events=c.events,
            echoes=c.echoes,
            stale=c.stale,
            expired=c.expired,
            failures=c.failures,
            unreadable=c.unreadable,
        )

    # -- wiring -------------------------------------------------------------------------------------------------------

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler` for every change from now on, and at once with an `Added` for each object that is there."""
        self._handlers.append(handler)
        for view in list(self._objects.values()):
            handler(Added(view))

    def add_index(self, name: str, values_of: Callable[[T], Iterable[str]]) -> Index[T]:
        """Index the objects by the values that `values_of` gives for each; the index of that name if there is one."""
        known = self._indexes.get(name)
        if known is not None:
            return known
        index = Index(self._objects, values_of)
        for key, view in self._objects.items():
            index._replace(key, None, view)
        self._indexes[name] = index
        return index

    def put(self, seen: T) -> bool:
        """Take in the answer to our own write (INFORMER-2); False if it is old news (INFORMER-1, INFORMER-3)."""
        if seen.key not in self._objects and revision_of(seen) <= self._highest:
            self._counts.stale += 1  # the watch is past this write: what it wrote has been deleted since
            return False
        return self._take(seen)

    # -- keeping current ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List and watch until cancelled (INFORMER-8)."""
        failures = 0
        while True:
            self._progress = False
            problem: PvbinderError | None = None
            listed_now = self._must_list
            try:
                if self._must_list:
                    await self._list()
                await self._watch()
            except ApiFailure as failure:
                problem = failure
                if failure.is_expired:
                    self._counts.expired += 1
                    self._must_list = True
                elif failure.is_not_found:
                    await self._be_empty(failure)
                    continue
            except ConnectionFailed as failed:
                problem = failed
            if problem is not None:
                self._counts.failures += 1
            if self._progress:
                failures = 0
                if problem is None:
                    continue
            failures += 1
            if problem is None and failures == 1:
                continue
            if self._must_list and not listed_now:
                continue  # expired: to list is what helps, unless we just did
            wait_seconds = self._wait_seconds(failures)
            log.warning(
                "watch interrupted",
                resource=self.kind.resource.qualified,
                err=problem.message if problem else "the server ended the watch at once",
                again_in_seconds=round(wait_seconds, 1),
            )
            await asyncio.sleep(wait_seconds)

    def _wait_seconds(self, failures: int) -> float:
        backoff = min(FIRST_WAIT_SECONDS * 2.0 ** (failures - 1), LONGEST_WAIT_SECONDS)
        return backoff * (0.5 + self._chance() / 2)

    async def _be_empty(self, failure: ApiFailure) -> None:
        """INFORMER-11."""
        if not self._must_list or not self.has_synced:
            log.warning("kind is not served", resource=self.kind.resource.qualified, err=failure.message)
        self._must_list = True
        for key in self.keys():
            self._remove(key)
        self._synced.set()
        await asyncio.sleep(SHORTEST_WATCH_SECONDS * (1 + self._chance()))

    async def _list(self) -> None:
        """Bring the whole cache to the revision of a list that the server makes now."""
        self._counts.lists += 1
        listed: set[str] = set()
        resource_version = ""
        pages = self._client.pages(
            self.kind,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            limit=self._page_limit,
        )
        async for page in pages:
            if not resource_version:
                resource_version = page.resource_version
                self._history_began_anew = number(resource_version) < self._highest
            for view in page.items:
                listed.add(view.key)
                self._take(view)
            for broken in page.unreadable:
                listed.add(broken.key)
                self._report_unreadable(broken)
        revision = number(resource_version)
        for key in [key for key in self._objects if key not in listed]:
            if self._history_began_anew or revision_of(self._objects[key]) <= revision:
                self._remove(key)
        self._history_began_anew = False
        self._resource_version = resource_version
        self._highest = revision
        self._must_list = False
        if not self._synced.is_set():
            self._synced.set()
            log.debug("cache filled", resource=self.kind.resource.qualified, objects=len(self._objects))

    async def _watch(self) -> None:
        """Follow the changes from where we are until the server ends the watch."""
        self._counts.watches += 1
        loop = asyncio.get_running_loop()
        started = loop.time()
        timeout_seconds = int(SHORTEST_WATCH_SECONDS * (1 + self._chance()))
        watch = self._client.watch(
            self.kind,
            self._resource_version,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=timeout_seconds,
        )
        try:
            async with asyncio.timeout(timeout_seconds + GRACE_SECONDS), watch as events:
                async for event in events:
                    self._progress = True
                    if event.resource_version:
                        self._resource_version = event.resource_version
                        self._highest = number(event.resource_version)
                    if event.type == "BOOKMARK":
                        continue
                    self._counts.events += 1
                    if event.unreadable is not None:
                        self._report_unreadable(event.unreadable)
                        if event.type == "DELETED":
                            self._remove(event.unreadable.key)
                    elif event.object is not None:
                        self._follow(event.object, gone=event.type == "DELETED")
                    if self._counts.events % EVENTS_PER_TURN == 0:
                        await asyncio.sleep(0)
        except TimeoutError:
            raise ConnectionFailed("the watch outlived its time: the connection is dead") from None
        finally:
            if loop.time() - started >= HEALTHY_WATCH_SECONDS:
                self._progress = True

    def _follow(self, seen: T, *, gone: bool) -> None:
        if not gone:
            self._take(seen)
            return
        known = self._objects.get(seen.key)
        if known is None:
            return
        if revision_of(known) > revision_of(seen):  # it was made anew by our own write, which came here first
            self._counts.stale += 1
            return
        self._remove(seen.key)

    # -- the cache itself ---------------------------------------------------------------------------------------------

    def _take(self, seen: T) -> bool:
        key = seen.key
        known = self._objects.get(key)
        if known is not None and not self._history_began_anew:
            known_revision, seen_revision = revision_of(known), revision_of(seen)
            if known_revision > seen_revision:
                self._counts.stale += 1
                return False
            if known_revision == seen_revision and known.uid == seen.uid:
                self._counts.echoes += 1
                return True
        self._objects[key] = seen
        for index in self._indexes.values():
            index._replace(key, known, seen)
        if known is None:
            self._tell(Added(seen))
        elif known.uid == seen.uid:
            self._tell(Updated(known, seen))
        else:
            self._tell(Deleted(known))
            self._tell(Added(seen))
        return True

    def _remove(self, key: str) -> None:
        known = self._objects.pop(key, None)
        if known is None:
            return
        for index in self._indexes.values():
            index._replace(key, known, None)
        self._tell(Deleted(known))

    def _tell(self, change: Change[T]) -> None:
        for handler in self._handlers:
            handler(change)

    def _report_unreadable(self, broken: Unreadable) -> None:
        self._counts.unreadable += 1
        log.warning(
            "object can't be read and is left as it was",
            resource=self.kind.resource.qualified,
            object=broken.key,
            err=broken.problem,
        )


class Informers:
    """One informer a kind, shared by all controllers of a process: one list and one watch, however many listen."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[Resource, Informer[KubernetesObject]] = {}
        self._running = False

    def of(self, kind: Kind[T]) -> Informer[T]:
        """The informer of `kind`, made at the first call; all kinds must be known before `run()`."""
        informer = self._informers.get(kind.resource)
        if informer is None:
            if self._running:
                raise RuntimeError(f"no informer of {kind.resource.qualified} was asked for before the start")
            informer = Informer(self._client, kind)  # type: ignore[arg-type]
            self._informers[kind.resource] = informer
        elif informer.kind != kind:
            raise RuntimeError(f"{kind.resource.qualified} is read in two ways: one informer can't make both views")
        return informer  # type: ignore[return-value]

    def any_of(self, kind: Kind[T]) -> Informer[KubernetesObject]:
        """The informer of the resource of `kind`, whatever views it makes; as `kind` says if there is none yet."""
        if kind.resource not in self._informers:
            self.of(kind)
        return self._informers[kind.resource]

    def __iter__(self) -> Iterator[Informer[KubernetesObject]]:
        return iter(self._informers.values())

    async def run(self) -> None:
        """Keep all of them current until cancelled."""
        self._running = True
        async with asyncio.TaskGroup() as group:
            for resource, informer in self._informers.items():
                group.create_task(informer.run(), name=f"informer {resource.qualified}")

    async def wait_synced(self) -> None:
        """Wait for the first list of every one."""
        for informer in self._informers.values():
            await informer.wait_synced()

    def statistics(self) -> dict[str, InformerStatistics]:
        """By the name of the resource."""
        return {resource.qualified: informer.statistics() for resource, informer in self._informers.items()}


def revision_of(view: KubernetesObject) -> int:
    """The revision of an object as a number (B-10)."""
    return number(view.resource_version)


def number(resource_version: str) -> int:
    """A resource version as a number; one that is none counts as the oldest, so that anything numbered replaces it."""
    try:
        return int(resource_version)
    except ValueError:
        return -1
