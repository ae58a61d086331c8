"""What has been asked of a driver and isn't in the cluster yet, written down where any replica finds it again.

INTENTS-1  An intent that `record` has returned for is stored in the cluster; a replica that starts later `load`s it.
INTENTS-2  It stays there until it is `settle`d; after a crash in between it is found once more, which costs an
           idempotent call.
INTENTS-3  Many are stored with one write: what is recorded while a write is under way goes with the next, and what is
           settled goes with it or a second later.
INTENTS-4  What another replica has written meanwhile is kept: its intents are merged with ours.
INTENTS-5  No record is larger than is written at little cost, but for one with a single large intent, which may be as
           large as an object: when one is full there is another.
INTENTS-6  An idle store costs no request.

They are in ConfigMaps of one namespace, labelled with the driver's name, one key for each intent. There are names and
parameters in them, never the content of a secret.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from pvbinder import logs
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import CONFIG_MAPS

I = TypeVar("I", bound=Struct)  # noqa: E741  (an intent)

INTENT_BYTES_MAX: Final = 512 << 10  # a ConfigMap may have twice as much
RECORD_BYTES_MAX: Final = 14 << 10  # of one ConfigMap with several: each write of it is a write of them all
SETTLED_SECONDS: Final = 1.0  # how long a settled intent may stay in the cluster
RETRY_SECONDS: Final = 1.0
LOAD_SECONDS: Final = 5.0  # between two tries to read what was begun before
LABEL: Final = "pvbinder.io/csi-intents"

_RECORDS: Final = metadata_of(CONFIG_MAPS)

log = logs.get(__name__)


class IntentTooLargeError(PvbinderError):
    """What is asked for is too large to be written down."""


class _Record:
    """One ConfigMap: what is in it as far as we know, and what should be in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.revision = ""  # of the ConfigMap; "" while there is none
        self.stored: dict[str, str] = {}
        self.wanted: dict[str, str] = {}
        self.removed: set[str] = set()
        self.bytes = 0  # of what is wanted
        self.waiting: list[asyncio.Future[None]] = []  # for what was added to be stored

    def put(self, key: str, text: str) -> None:
        self.drop(key)
        self.wanted[key] = text
        self.bytes += len(key) + len(text)

    def drop(self, key: str) -> None:
        text = self.wanted.pop(key, None)
        if text is not None:
            self.bytes -= len(key) + len(text)

    def put_all(self, wanted: dict[str, str]) -> None:
        self.wanted = wanted
        self.bytes = sum(len(key) + len(text) for key, text in wanted.items())

    @property
    def is_dirty(self) -> bool:
        return self.wanted != self.stored


class Intents(Generic[I]):
    """The intents of one driver and one purpose; `load` once, then `run()` it as a task that somebody owns."""

    def __init__(self, client: Client, namespace: str, driver: str, purpose: str, kind: type[I]) -> None:
        """Name the store: `purpose` is a word such as ``volumes``, `kind` the struct of an intent."""
        self._client = client
        self._namespace = namespace
        self._label = re.sub(r"[^A-Za-z0-9_.-]", "-", driver)[:63]
        self._prefix = f"pvbinder-csi-{purpose}-{re.sub(r'[^a-z0-9-]+', '-', driver.lower()).strip('-')[:160]}"
        self._purpose = purpose
        self._decoder = msgspec.json.Decoder(kind)
        self._intents: dict[str, I] = {}
        self._where: dict[str, _Record] = {}
        self._records: list[_Record] = []
        self._changed = asyncio.Event()
        self._urgent = asyncio.Event()
        self._settled_due: float | None = None  # when what was settled is written at the latest

    def __len__(self) -> int:
        return len(self._intents)

    def __contains__(self, key: str) -> bool:
        return key in self._intents

    def get(self, key: str) -> I | None:
        """Return the intent called `key`, or None."""
        return self._intents.get(key)

    def keys(self) -> list[str]:
        """Return the names of all of them."""
        return list(self._intents)

    # -- reading what was left

    async def load(self) -> None:
        """Read what replicas before us have left; raise what the requests raise."""
        pages = self._client.pages(_RECORDS, self._namespace, label_selector=f"{LABEL}={self._label}")
        async for page in pages:
            for view in page.items:
                if view.name.removeprefix(f"{self._prefix}-").isdigit():
                    self._take_in(self._record(view.name), view)

    async def load_at_last(self) -> None:
        """Read it as soon as it can be read: nothing is begun before it is known what was begun."""
        while True:
            try:
                await self.load()
                return
            except (ApiFailure, ConnectionFailed) as error:
                log.warning("intents can't be read", of=self._label, err=error.message)
                await asyncio.sleep(LOAD_SECONDS)

    def _record(self, name: str) -> _Record:
        for record in self._records:
            if record.name == name:
                return record
        record = _Record(name)
        self._records.append(record)
        return record

    def _take_in(self, record: _Record, view: Metadata) -> None:
        """Make `record` what the cluster has, with our own changes over it (INTENTS-4)."""
        data: dict[str, str] = view.document().get("data") or {}
        ours = {key: text for key, text in record.wanted.items() if record.stored.get(key) != text}
        record.revision, record.stored = view.resource_version, dict(data)
        record.put_all({key: text for key, text in data.items() if key not in record.removed} | ours)
        for key, text in data.items():
            if key in record.removed or key in self._intents:
                continue
            try:
                self._intents[key] = self._decoder.decode(text)
                self._where[key] = record
            except msgspec.DecodeError as error:  # kept as it is: somebody must look at it
                log.error("intent can't be read", configmap=f"{self._namespace}/{record.name}", key=key, err=str(error))

    # -- writing

    async def record(self, key: str, intent: I) -> None:
        """Store `intent`, and return when it is stored (INTENTS-1); raise IntentTooLargeError."""
        text = msgspec.json.encode(intent).decode()
        if len(text) > INTENT_BYTES_MAX:
            raise IntentTooLargeError(f"the parameters for {key} have {len(text)} bytes, more than can be written down")
        record = self._where.get(key) or self._roomy(len(key) + len(text))
        if record.stored.get(key) == text and key not in record.removed:
            self._intents[key] = intent
            return
        self._intents[key], self._where[key] = intent, record
        record.put(key, text)
        record.removed.discard(key)
        stored = asyncio.get_running_loop().create_future()
        record.waiting.append(stored)
        self._changed.set()
        self._urgent.set()
        await stored

    def _roomy(self, size: int) -> _Record:
        for record in self._records:
            if not record.wanted or record.bytes + size <= RECORD_BYTES_MAX:
                return record
        taken = {record.name for record in self._records}
        number = next(n for n in range(len(taken) + 1) if f"{self._prefix}-{n}" not in taken)
        return self._record(f"{self._prefix}-{number}")

    def settle(self, key: str) -> None:
        """Forget the intent called `key`: an object in the cluster, or a confirmed delete, stands for it."""
        self._intents.pop(key, None)
        record = self._where.pop(key, None)
        if record is not None:
            record.drop(key)
            record.removed.add(key)
            if self._settled_due is None:
                self._settled_due = asyncio.get_running_loop().time() + SETTLED_SECONDS
            self._changed.set()

    async def run(self) -> None:
        """Write what changes, until cancelled; what is settled only, not at once (INTENTS-3)."""
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._settled_due):
                    await self._urgent.wait()
            self._changed.clear()
            self._urgent.clear()
            due = [record for record in self._records if record.waiting]
            if self._settled_due is not None and loop.time() >= self._settled_due:
                self._settled_due = None
                due = [record for record in self._records if record.waiting or record.is_dirty]
            async with asyncio.TaskGroup() as group:
                for record in due:
                    group.create_task(self._store(record), name=f"intents in {record.name}")
            if self._settled_due is not None:
                self._changed.set()

    async def _store(self, record: _Record) -> None:
        """Write a record until it is stored, and tell those who wait for it."""
        waiting, record.waiting = record.waiting, []
        try:
            while record.is_dirty and not await self._write(record):
                pass
        except BaseException:
            for stored in waiting:
                stored.cancel()
            raise
        for stored in waiting:
            if not stored.done():
                stored.set_result(None)

    async def _write(self, record: _Record) -> bool:
        """Write one record; False if it has to be tried again."""
        wanted = dict(record.wanted)
        document = self._document(record, wanted)
        try:
            if record.revision:
                answer = await self._client.replace(_RECORDS, document)
            else:
                answer = await self._client.create(_RECORDS, document)
        except ApiFailure as failure:
            if failure.is_conflict or failure.is_already_exists or (failure.is_not_found and record.revision):
                return await self._read_anew(record)
            await self._pause(record, failure.message)
            return False
        except ConnectionFailed as failed:  # it may have been done: the next try says Conflict, and it is read
            await self._pause(record, failed.message)
            return False
        record.revision, record.stored = answer.resource_version, wanted
        record.removed -= {key for key in record.removed if key not in wanted}
        return True

    async def _read_anew(self, record: _Record) -> bool:
        try:
            view = await self._client.get(_RECORDS, record.name, self._namespace)
        except ApiFailure as failure:
            if failure.names_as_not_found(CONFIG_MAPS, record.name):
                record.revision, record.stored = "", {}
                return False
            await self._pause(record, failure.message)
            return False
        except ConnectionFailed as failed:
            await self._pause(record, failed.message)
            return False
        self._take_in(record, view)
        return not record.is_dirty

    async def _pause(self, record: _Record, why: str) -> None:
        log.warning("intents are not stored yet", configmap=f"{self._namespace}/{record.name}", err=why)
        await asyncio.sleep(RETRY_SECONDS)

    def _document(self, record: _Record, data: dict[str, str]) -> Json:
        metadata: Json = {"name": record.name, "namespace": self._namespace, "labels": {LABEL: self._label}}
        if record.revision:
            metadata["resourceVersion"] = record.revision
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
