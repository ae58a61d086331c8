"""The objects of one kind, kept current by list and watch.

INFORMER-1  Never backwards: an older revision of an object never replaces a newer one (B-10), unless the server itself
            went back (a restored backup): then its list is believed as it is, here and in all caches of the process
            (`kube.history`).
INFORMER-2  Own writes count: after `put(answer)` readers see that answer or a newer state, even before the watch has
            shown it.
INFORMER-3  No ghosts: an object that was deleted while the watch was down is reported as deleted after the next list,
            and a late answer to a write doesn't bring back an object whose deletion the watch has shown.
INFORMER-4  Told once: handlers hear of each state at most once; the echo of an own write is silent.
INFORMER-5  Cache first: when a handler is called, the cache and its indexes hold that state already.
INFORMER-6  Another object of the same name (other UID) is reported as one deleted and one added.
INFORMER-7  One broken object hides no other: it is logged and counted, and the last readable state stays.
INFORMER-8  It survives the server: a broken watch goes on from its revision; an expired revision (410), one that the
            server hasn't reached (504, as after a restored backup) and a watch that goes back lead to a new list. Every
            failure in a row doubles a jittered wait, from under a second to 30, or to 5 where a server answers, but
            with something else. Watches that end at once count as failures; with news in each of them the wait stays at
            a second.
INFORMER-9  The loop gets its turn: long lists and bursts of events are taken in piece by piece.
INFORMER-10 An idle kind costs no request but the renewal of its watch every 5 to 10 minutes; from a server that never
            sends a bookmark, every 2.5 minutes.
INFORMER-11 A failed list empties nothing, and a 404 is a failure like any other. Only a custom kind can be without
            objects because it isn't served: when it never was, or when discovery shows that its definition is gone. It
            is looked for again within a minute.
INFORMER-12 A list is checked: one of another kind, without revision or cut off is a failed list; one that is older than
            the cache, or suddenly empty, is believed only if a second list says the same.
INFORMER-13 A watch without a line for 2.5 minutes, not even a bookmark, is dead: it goes on from its revision.
INFORMER-14 A live read counts: `correct(object)` takes the object in, and a cache that should have had it lists anew.
INFORMER-15 A watch that ended before its time may be followed by one of a server that a backup was restored to. Such a
            watch is open and silent, so the server is asked first whether it has reached our revision.
INFORMER-16 While it is held, the cache and its indexes fill, but handlers hear of nothing. Let go, they hear of every
            object that is there, and of each change from then on.
INFORMER-17 With `streams` the first list comes as the beginning of the watch (`streaming_list`). Where the server
            refuses that, doesn't know of it, falls silent or ends it early, and for every later list, pages are read.

Not promised: that every state is seen, nor any order between two objects; nor that an object put in by hand matches
the informer's selectors. Handlers must be quick, must not wait and must not raise: they enqueue a key. Nobody changes
an object in the cache. All of it belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from pvbinder import logs
from pvbinder.chance import CHANCE
from pvbinder.kube.changes import Added as Added
from pvbinder.kube.changes import Change as Change
from pvbinder.kube.changes import Deleted as Deleted
from pvbinder.kube.changes import Updated as Updated
from pvbinder.kube.client import PAGE_OBJECTS_MAX, Client, Kind, KubernetesObject, Page, Unreadable, WatchEvent
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.history import Follower, History
from pvbinder.kube.index import Index as Index
from pvbinder.kube.informer_statistics import Counts
from pvbinder.kube.informer_statistics import InformerStatistics as InformerStatistics
from pvbinder.kube.listeners import ChangeHandler as ChangeHandler
from pvbinder.kube.object_cache import ObjectCache
from pvbinder.kube.revisions import number as number
from pvbinder.kube.revisions import revision_of as revision_of
from pvbinder.kube.served import is_served_nowhere
from pvbinder.kube.streaming_list import FIRST_SILENCE_SECONDS, NoStreamingList, StreamingList
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import is_built_in

T = TypeVar("T", bound=KubernetesObject)

SHORTEST_WATCH_SECONDS = 300  # then twice as long at most, at random, so that watches don't end together
SILENCE_SECONDS = 150.0  # servers send a bookmark a minute: two are missing by then
EARLY_SECONDS = 5.0  # a watch that ends so much before its time was interrupted
GRACE_SECONDS = 30.0  # how long after its time the server may still end a watch before we do
FIRST_WAIT_SECONDS = 0.5
DOUBLINGS_MAX = 10  # of that: more than any wait needs
LONGEST_WAIT_SECONDS = 30.0
LONGEST_WAIT_ANSWERED_SECONDS = 5.0  # where the line works and somebody else seems to answer
SEEK_SECONDS = 30.0  # then at most twice as long: the pause between two looks for a kind that isn't served
EVENTS_PER_TURN = 100
HEARD_STEP_SECONDS = 1.0  # the time of the last line is noted this often, not with each event of a burst
HEALTHY_WATCH_SECONDS = 1.0  # a watch that lived as long counts as a success, even without an event
FAILURES_WITH_NEWS_MAX = 2  # a server that has news in each short watch is asked again within a second

log = logs.get(__name__)


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
        page_limit: int = PAGE_OBJECTS_MAX,
        chance: Callable[[], float] = CHANCE.random,
        history: History | None = None,
        decides: bool = False,
        streams: bool = False,
    ) -> None:
        """Make the cache; decisions wait for it with `decides`, when another one sees that `history` began anew."""
        self.kind = kind
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._page_limit = page_limit
        self._chance = chance
        self._counts = Counts()
        self._cache: ObjectCache[T] = ObjectCache(self._counts)
        self._objects = self._cache.objects
        self._resource_version = ""  # up to where the watch has told us everything; "" is nowhere
        self._highest = -1  # the same as a number; stays when the next list is due
        self._history = history or History()
        self._decides = decides
        self._streams = streams  # until the first list, or the first try of one
        self._follower = Follower(kind.resource.qualified, self._list_anew)
        self._history_began_anew = False  # true only while a list is taken in
        self._must_list = True
        self._was_served = False
        self._was_interrupted = False  # the last watch ended before its time: the server may be another one by now
        self._had_bookmark = False
        self._wake = asyncio.Event()  # ends a pause
        self._deadline: asyncio.Timeout | None = None  # of the watch that is open
        self._progress = False  # the watch lived; its news alone are no progress: a liar has news each time
        self._had_news = False
        self._synced = asyncio.Event()

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
    def resource_version(self) -> str:
        """The revision up to which everything is known; ``""`` before the first list."""
        return self._resource_version

    @property
    def has_synced(self) -> bool:
        """Whether the first list is in the cache, whole."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait for the first list."""
        await self._synced.wait()

    def statistics(self) -> InformerStatistics:
        """The number of objects, and of everything that has happened so far."""
        counts = {name: getattr(self._counts, name) for name in Counts.__slots__}
        return InformerStatistics(
            objects=len(self._objects),
            has_synced=self.has_synced,
            resource_version=self._resource_version,
            **counts,
        )

    # -- wiring -------------------------------------------------------------------------------------------------------

    def add_handler(self, handler: ChangeHandler[T]) -> None:
        """Call `handler` for every change from now on, and with an `Added` for each that is there (INFORMER-16)."""
        self._cache.listeners.add(handler, self)

    def hold(self) -> None:
        """Tell handlers that are added from now on nothing, until `let_go()` (INFORMER-16)."""
        self._cache.listeners.hold()

    def let_go(self) -> None:
        """Begin to tell the handlers that waited (INFORMER-16)."""
        self._cache.listeners.let_go(self)

    def add_index(self, name: str, values_of: Callable[[T], Iterable[str]]) -> Index[T]:
        """Index the objects by the values that `values_of` gives for each; the index of that name if there is one."""
        return self._cache.add_index(name, values_of)

    def put(self, seen: T) -> bool:
        """Take in the answer to our own write (INFORMER-2); False if it is old news (INFORMER-1, INFORMER-3)."""
        if seen.key not in self._objects and revision_of(seen) <= self._highest:
            self._counts.stale += 1  # the watch is past this write: the object has been deleted since
            return False
        return self._cache.take(seen, anew=self._history_began_anew)

    def correct(self, seen: T) -> None:
        """Take in an object that was just read live; list anew if it should have been here (INFORMER-14)."""
        if not self.put(seen) and seen.key not in self._objects:
            log.warning("object is missing here", resource=self.kind.resource.qualified, object=seen.key)
            self._list_anew()

    # -- keeping current ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List and watch until cancelled (INFORMER-8)."""
        self._history.join(self._follower, decides=self._decides)
        try:
            await self._keep_current()
        finally:
            self._history.leave(self._follower)

    async def _keep_current(self) -> None:
        failures = 0
        while True:
            self._progress = self._had_news = False
            problem: PvbinderError | None = None
            listed_now = self._must_list
            try:
                if self._was_interrupted and not self._must_list:
                    await self._check_history()
                if self._must_list and self._streams:
                    await self._stream()
                    if self._must_list:
                        continue
                else:
                    if self._must_list:
                        await self._list()
                    await self._watch()
            except ApiFailure as failure:
                problem = failure
                if failure.is_expired or failure.is_revision_too_large:
                    self._counts.expired += 1
                    self._must_list = True
                elif failure.status == 404 and await self._is_unserved(failure):
                    await self._be_empty(failure)
                    failures = 0
                    continue
            except ConnectionFailed as failed:
                problem = failed
            if problem is not None:
                self._counts.failures += 1
            if self._progress:
                failures = 0
                if problem is None:
                    continue
            failures = min(failures + 1, FAILURES_WITH_NEWS_MAX) if self._had_news else failures + 1
            if problem is None and failures == 1:
                continue
            if self._must_list and not listed_now:
                continue  # expired: only a list helps, unless we just made one
            wait_seconds = self._wait_seconds(failures, problem)
            log.warning(
                "watch interrupted",
                resource=self.kind.resource.qualified,
                err=problem.message if problem else "the server ended the watch at once",
                again_in_seconds=round(wait_seconds, 1),
            )
            await self._pause(wait_seconds)

    def _wait_seconds(self, failures: int, problem: PvbinderError | None) -> float:
        answered = isinstance(problem, ApiFailure) and (problem.status < 300 or problem.status == 404)
        longest = LONGEST_WAIT_ANSWERED_SECONDS if answered else LONGEST_WAIT_SECONDS
        backoff = min(FIRST_WAIT_SECONDS * 2.0 ** min(failures - 1, DOUBLINGS_MAX), longest)
        return backoff * (0.5 + self._chance() / 2)

    async def _is_unserved(self, failure: ApiFailure) -> bool:
        """Whether the 404 says that there is no such kind, so that it can have no objects (INFORMER-11)."""
        resource = self.kind.resource
        if is_built_in(resource) and (self._was_served or not resource.group):
            return False
        if failure.is_not_found and not failure.details.get("name") and not (self._was_served or is_built_in(resource)):
            return True  # nothing is known of the kind, so nothing is forgotten
        return await is_served_nowhere(self._client, resource, other_versions_too=self._was_served)

    async def _be_empty(self, failure: ApiFailure) -> None:
        """Have no objects, because there is no such kind (INFORMER-11)."""
        if not self._must_list or not self.has_synced:
            log.warning("kind is not served", resource=self.kind.resource.qualified, err=failure.message)
        self._must_list = True
        for key in self.keys():
            self._cache.remove(key)
        self._synced.set()
        self._history.has_listed(self._follower, self._history.epoch)
        await self._pause(SEEK_SECONDS * (1 + self._chance()))

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when a list is asked for meanwhile."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _list_anew(self) -> None:
        self._must_list = True
        self._wake.set()
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(asyncio.get_running_loop().time())

    async def _list(self) -> None:
        """Bring the whole cache to the revision of a list that the server makes now."""
        self._counts.lists += 1
        epoch, self._history_began_anew = self._history.epoch, False
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
                if await self._is_behind(page):
                    self._history.begin_anew(self._follower)
                    epoch = self._history.epoch
                self._history_began_anew = self._follower.epoch < epoch
            for view in page.items:
                listed.add(view.key)
                self._cache.take(view, anew=self._history_began_anew, is_listed=True)
            for broken in page.unreadable:
                listed.add(broken.key)
                self._report_unreadable(broken)
        if not listed and self._missing_from(listed, number(resource_version)):
            await self._doubt_emptiness()
        self._has_listed(listed, resource_version, epoch)

    def _has_listed(self, listed: set[str], resource_version: str, epoch: int) -> None:
        """Be at the revision of a list that is taken in, whole."""
        revision = number(resource_version)
        for key in self._missing_from(listed, revision):
            self._cache.remove(key)
        self._history_began_anew = False
        self._resource_version = resource_version
        self._highest = revision
        self._must_list = epoch < self._history.epoch  # another cache has seen a break meanwhile
        self._was_served = True
        self._history.has_listed(self._follower, epoch)
        if not self._synced.is_set():
            self._synced.set()
            log.debug("cache filled", resource=self.kind.resource.qualified, objects=len(self._objects))

    def _missing_from(self, listed: set[str], revision: int) -> list[str]:
        """Return the keys of the objects that were here before a list of `revision` and aren't in it."""
        anew = self._history_began_anew
        return [
            key for key, one in self._objects.items() if key not in listed and (anew or revision_of(one) <= revision)
        ]

    async def _is_behind(self, page: Page[T]) -> bool:
        """Whether history began anew, because a second list says so too; an old list fails (INFORMER-12)."""
        qualified, revision = self.kind.resource.qualified, number(page.resource_version)
        if revision < 0:
            raise ApiFailure(200, "", f"the list of {qualified} has no revision")
        if revision >= self._highest:
            return False
        second = await self._peek()
        if not 0 <= number(second.resource_version) < self._highest:
            text = f"the list of {qualified} is of revision {revision}, older than {self._highest}, which was seen"
            raise ApiFailure(200, "", text)
        log.warning("revisions begin anew", resource=qualified, before=self._highest, now=revision)
        return True

    async def _doubt_emptiness(self) -> None:
        """Fail if a second list has what the first didn't (INFORMER-12)."""
        second = await self._peek()
        if second.items or second.unreadable or number(second.resource_version) < 0:
            raise ApiFailure(200, "", f"the list of {self.kind.resource.qualified} was empty, and the next one isn't")

    async def _check_history(self) -> None:
        """See that the server has reached our revision: else a watch would be open and silent (INFORMER-15)."""
        page = await self._peek(not_older_than=self._resource_version)
        if number(page.resource_version) < self._highest:
            self._must_list = True

    async def _peek(self, not_older_than: str = "") -> Page[T]:
        return await self._client.peek(
            self.kind,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            not_older_than=not_older_than,
        )

    async def _stream(self) -> None:
        """List and watch by one request; come back without a list where that doesn't work (INFORMER-17)."""
        self._streams = False
        self._counts.lists += 1
        try:
            await self._watch(StreamingList(self._history.epoch))
        except (ApiFailure, NoStreamingList) as failure:
            if not self._must_list:
                raise
            log.debug("no streaming list", resource=self.kind.resource.qualified, err=failure.message)

    async def _watch(self, first: StreamingList | None = None) -> None:
        """Follow the changes from where we are until the server ends the watch; its beginning is the list `first`."""
        self._counts.watches += 1
        self._was_interrupted = True  # until it ends in its time
        loop = asyncio.get_running_loop()
        started = heard = loop.time()
        taken = 0
        timeout_seconds = int(SHORTEST_WATCH_SECONDS * (1 + self._chance()))
        ends = started + timeout_seconds + GRACE_SECONDS
        watch = self._client.watch(
            self.kind,
            self._resource_version,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_seconds=timeout_seconds,
            sends_initial=first is not None,
        )
        silence_seconds = SILENCE_SECONDS if first is None else FIRST_SILENCE_SECONDS
        try:
            async with asyncio.timeout(silence_seconds) as self._deadline, watch as events:
                async for event in events:
                    if self._must_list and (first is None or first.epoch < self._history.epoch):
                        return
                    if loop.time() - heard >= HEARD_STEP_SECONDS:
                        heard = loop.time()
                        self._deadline.reschedule(min(heard + silence_seconds, ends))
                    if first is None:
                        self._take_event(event)
                    elif not first.note(event):
                        self._take_state(event, is_listed=True)
                    else:
                        self._has_listed(first.keys, event.resource_version, first.epoch)
                        self._had_bookmark = True
                        first, silence_seconds = None, SILENCE_SECONDS
                        self._deadline.reschedule(loop.time() + silence_seconds)
                    taken += 1
                    if taken % EVENTS_PER_TURN == 0:
                        await asyncio.sleep(0)
        except TimeoutError:
            if self._had_bookmark and not self._must_list:
                raise ConnectionFailed("nothing comes in the watch: the connection is dead") from None
        finally:
            self._deadline = None
            lived_seconds = loop.time() - started
            if lived_seconds >= HEALTHY_WATCH_SECONDS:
                self._progress = True
            self._was_interrupted = lived_seconds < timeout_seconds - EARLY_SECONDS

    def _take_event(self, event: WatchEvent[T]) -> None:
        if event.resource_version:
            revision = number(event.resource_version)
            if revision < self._highest:
                self._must_list = True
                raise ConnectionFailed(f"the watch went back from revision {self._highest} to {revision}")
            self._resource_version = event.resource_version
            self._highest = revision
        self._had_news = True
        if event.type == "BOOKMARK":
            self._had_bookmark = True
            return
        self._counts.events += 1
        self._take_state(event)

    def _take_state(self, event: WatchEvent[T], *, is_listed: bool = False) -> None:
        if event.unreadable is not None:
            self._report_unreadable(event.unreadable)
            if event.type == "DELETED":
                self._cache.remove(event.unreadable.key)
        elif event.object is not None:
            if event.type == "DELETED":
                self._follow_deletion(event.object)
            else:
                self._cache.take(event.object, is_listed=is_listed)

    def _follow_deletion(self, seen: T) -> None:
        known = self._objects.get(seen.key)
        if known is None:
            return
        if revision_of(known) > revision_of(seen):  # it was made anew by our own write, which came here first
            self._counts.stale += 1
            return
        self._cache.remove(seen.key)

    def _report_unreadable(self, broken: Unreadable) -> None:
        self._counts.unreadable += 1
        log.warning(
            "object can't be read and is left as it was",
            resource=self.kind.resource.qualified,
            object=broken.key,
            err=broken.problem,
        )
