"""Events about objects, as people see them with ``kubectl describe``.

RECORDER-1  `event()` never waits and never fails: it queues at most `QUEUED_EVENTS_MAX` events and drops the others,
            which is said once each time that it begins. Kubernetes queues 1000; a thousand claims that are provisioned
            in three seconds have more.
RECORDER-2  The same event again (source, object, type, reason, message) is a patch of the first one: count and time.
RECORDER-3  After 10 different messages with the same source, object, type and reason within 600 s the next ones become
            one event whose message begins with ``(combined from similar events): ``.
RECORDER-4  Per source, object and type 25 events at once, then one every 300 s; events above that are only counted.
RECORDER-5  An event that the server can't take now is tried 12 times, 10 s apart (the first pause is a random part of
            that), then dropped. One that it refuses is dropped at once: an event is never worth more.
RECORDER-6  Events about one object are written in the order in which they happened.

Not promised: that an event arrives. Everything belongs to the loop's thread.

Rules: docs/rules/binder.md#13-events
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

from pvbinder import logs
from pvbinder.chance import CHANCE
from pvbinder.kube.client import Client, KubernetesObject
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import EVENTS
from pvbinder.kube.queue import TokenBucket
from pvbinder.model.json import Json
from pvbinder.model.resources import Resource

EventType = Literal["Normal", "Warning"]

QUEUED_EVENTS_MAX = 10_000
SIMILAR_MESSAGES_MAX = 10
SIMILAR_SECONDS = 600.0
SPAM_BURST_EVENTS = 25
SPAM_EVENTS_PER_SECOND = 1 / 300
TRIES_MAX = 12
RETRY_SECONDS = 10.0
ENTRIES_KEPT_MAX = 4096  # entries of each of the three memories, least recently used goes first
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMBINED = "(combined from similar events): "

log = logs.get(__name__)

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Subject:
    """The object that an event is about."""

    resource: Resource
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""  # the part of it, such as spec.containers{web}
    host: str = ""  # the node on which things happen to it

    @classmethod
    def of(cls, resource: Resource, view: KubernetesObject, field_path: str = "", host: str = "") -> Subject:
        """The object behind a view, or a part of it."""
        return cls(resource, view.name, view.namespace, view.uid, view.resource_version, field_path, host)

    @property
    def identity(self) -> tuple[str, ...]:
        """The fields that tell this object from others: a new revision of it is still the same object."""
        return (self.resource.api_version, self.resource.kind, self.namespace, self.name, self.uid, self.field_path)

    def reference(self) -> Json:
        """The ``involvedObject`` of an Event."""
        reference = {"kind": self.resource.kind, "namespace": self.namespace, "name": self.name, "uid": self.uid}
        reference |= {"apiVersion": self.resource.api_version, "resourceVersion": self.resource_version}
        reference["fieldPath"] = self.field_path
        return {key: value for key, value in reference.items() if value}


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, not yet an Event."""

    subject: Subject
    type: EventType
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RecorderStatistics:
    """The outcomes of the events so far."""

    queued: int
    created: int
    patched: int
    dropped: int  # the queue was full
    suppressed: int  # by the spam filter
    refused: int  # the server said no
    given_up: int  # no answer in all tries


class _Memory(Generic[V]):
    """A dict that forgets what was least recently used."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, entry: V) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > ENTRIES_KEPT_MAX:
            self._entries.popitem(last=False)


@dataclass(slots=True)
class _Similar:
    messages: set[str]
    last: float


@dataclass(slots=True)
class _Written:
    """An event that is written already, its count and its address."""

    count: int
    name: str = ""
    first: str = ""


class EventRecorder:
    """Writes the events of one component; `run()` it as a task that somebody owns."""

    def __init__(
        self,
        client: Client,
        component: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = CHANCE.random,
    ) -> None:
        self.component = component
        self._client = client
        self._now = now
        self._chance = chance
        self._queue: asyncio.Queue[Happening] = asyncio.Queue(QUEUED_EVENTS_MAX)
        self._similar: _Memory[_Similar] = _Memory()
        self._written: _Memory[_Written] = _Memory()
        self._spam: _Memory[TokenBucket] = _Memory()
        self._last_moment = 0
        self._is_dropping = False
        self._created = self._patched = self._dropped = self._suppressed = self._refused = self._given_up = 0

    def event(self, subject: Subject, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        """Record that something happened to `subject` (RECORDER-1)."""
        try:
            self._queue.put_nowait(Happening(subject, type, reason, message, self._now()))
        except asyncio.QueueFull:
            if not self._is_dropping:
                log.warning("events dropped: too many at once", component=self.component, queued=QUEUED_EVENTS_MAX)
            self._is_dropping = True
            self._dropped += 1
        else:
            self._is_dropping = False

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            happening = await self._queue.get()
            try:
                await self._write(happening)
            finally:
                self._queue.task_done()

    async def wait_written(self) -> None:
        """Wait until all events so far are written or dropped."""
        await self._queue.join()

    def statistics(self) -> RecorderStatistics:
        """The outcomes of the events so far."""
        return RecorderStatistics(
            queued=self._queue.qsize(),
            created=self._created,
            patched=self._patched,
            dropped=self._dropped,
            suppressed=self._suppressed,
            refused=self._refused,
            given_up=self._given_up,
        )

    async def _write(self, happening: Happening) -> None:
        key, message = self._merged(happening)
        written = self._written.get(key)
        if written is None:
            written = _Written(0, first=_stamp(happening.at))
            self._written.put(key, written)
        written.count += 1
        if not self._passes_spam_filter(happening):
            self._suppressed += 1
            return
        name = event_name(happening.subject.name, self._moment(happening.at))
        problem = ""
        for attempt in range(TRIES_MAX):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * (self._chance() if attempt == 1 else 1))
            try:
                await self._create_or_patch(happening, message, written, name)
            except ConnectionFailed as failed:
                problem = failed.message
            except ApiFailure as failure:
                if not failure.is_transient:
                    self._refused += 1
                    write = log.debug if failure.is_namespace_terminating else log.warning
                    write("event refused", **self._fields(happening, failure.message))
                    return
                problem = failure.message
            else:
                return
        self._given_up += 1
        log.warning("event given up", **self._fields(happening, problem))

    async def _create_or_patch(self, happening: Happening, message: str, written: _Written, name: str) -> None:
        namespace = happening.subject.namespace or "default"
        if written.name:
            change: Json = {"count": written.count, "lastTimestamp": _stamp(happening.at), "message": message}
            try:
                await self._client.patch(EVENTS, written.name, namespace, change, patch_type="strategic")
            except ApiFailure as failure:
                if not failure.is_not_found:
                    raise
            else:
                self._patched += 1
                return
        try:
            await self._client.create(EVENTS, self._event(happening, message, written, name, namespace))
        except ApiFailure as failure:
            if not failure.is_already_exists:  # the first try got there, only its answer got lost
                raise
        written.name = name
        self._created += 1

    def _moment(self, at: datetime) -> int:
        """Nanoseconds since 1970, never the same twice: clocks are coarser than that, and names must differ."""
        since = at - _EPOCH
        moment = ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
        self._last_moment = max(moment, self._last_moment + 1)
        return self._last_moment

    def _merged(self, happening: Happening) -> tuple[Hashable, str]:
        """The identity of the event that `happening` goes into, and its message there (RECORDER-2, RECORDER-3)."""
        group = (happening.subject.identity, happening.type, happening.reason)
        now = asyncio.get_running_loop().time()
        similar = self._similar.get(group)
        if similar is None or now - similar.last > SIMILAR_SECONDS:
            similar = _Similar(set(), now)
            self._similar.put(group, similar)
        similar.messages.add(happening.message)
        similar.last = now
        if len(similar.messages) < SIMILAR_MESSAGES_MAX:
            return (group, happening.message), happening.message
        similar.messages.pop()
        return group, COMBINED + happening.message

    def _passes_spam_filter(self, happening: Happening) -> bool:
        """Whether the event may be written (RECORDER-4)."""
        key = (happening.subject.identity[:-1], happening.type)  # of the whole object, not of a part
        bucket = self._spam.get(key)
        if bucket is None:
            bucket = TokenBucket(SPAM_EVENTS_PER_SECOND, SPAM_BURST_EVENTS)
            self._spam.put(key, bucket)
        return bucket.take(asyncio.get_running_loop().time())

    def _event(self, happening: Happening, message: str, written: _Written, name: str, namespace: str) -> Json:
        host = happening.subject.host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": happening.subject.reference(),
            "reason": happening.reason,
            "message": message,
            "source": {"component": self.component, **({"host": host} if host else {})},
            "firstTimestamp": written.first,
            "lastTimestamp": _stamp(happening.at),
            "count": written.count,
            "type": happening.type,
            "eventTime": None,
            "reportingComponent": self.component,
            "reportingInstance": host,
        }

    def _fields(self, happening: Happening, problem: str) -> dict[str, str]:
        return {"object": happening.subject.name, "reason": happening.reason, "err": problem}


def event_name(object_name: str, nanoseconds: int) -> str:
    """``<object>.<hex nanoseconds>``; an object name too long for that is cut so that the event's name stays valid."""
    suffix = f".{nanoseconds:x}"
    return object_name[: 253 - len(suffix)].rstrip(".-") + suffix


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
