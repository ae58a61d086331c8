"""Driving the binder by the cases of `mode` sync, multisync and controller (README, "Controller cases")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeVar

from tests.vectors.compare import differences, missing_events, without_reads_beside
from tests.vectors.functions import claim_of, settings_of, unequal, volume_of
from tests.vectors.plugin import MockPlugin
from tests.vectors.runner import Case
from tests.vectors.store import PLURALS, SeenRequest, Store, key_of
from tests.virtual_time import VirtualTimeLoop

from pvbinder.controllers.binder import Binder
from pvbinder.controllers.operations import Operations
from pvbinder.kube.client import Client, Kind, KubernetesObject, Retries
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import EventType, Subject
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, encode
from pvbinder.rules.settings import Settings
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue

# Where something irreversible is done, we read more than the reference: the proof that it may be (kube.proof). What it
# reads and writes has to be there, in its order; everywhere else nothing more may be.
SUITES_WITH_PROOF = {"delete", "recycle"}
WITH_PROOF = {
    ("binder", "3-6"),
    ("binder", "4-3"),
    ("binder", "4-7"),
    ("provision", "11-11"),
    ("retroactive-class", "15-3"),
}
LISTS = ("volumes", "claims", "storageClasses", "pods", "nodes", "volumeAttributesClasses")
MOST_ROUNDS = 100

T = TypeVar("T", bound=KubernetesObject)


class Recorder:
    """Keeps the events as the vectors write them."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, subject: Subject, type: EventType, reason: str, message: str) -> None:  # noqa: A002
        self.events.append(f"{type} {reason} {message}")


class CaseOperations(Operations):
    """The real operations, with someone else's change just before one of them, and back-off that takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], None] = lambda: None

    def start(self, name: str, operation: Callable[[], Awaitable[None]]) -> bool:
        async def with_change() -> None:
            self.before()
            await operation()

        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.jump(self.seconds_until_retry(name) or 0)
        return super().start(name, with_change)


class BinderCase:
    """One case: store, caches, controller."""

    def __init__(self, case: Case, settings: Settings) -> None:
        self.case = case
        self.store = Store()
        self.recorder = Recorder()
        self.operations = CaseOperations()
        calls = case.get("pluginCalls")
        self.plugin = MockPlugin(calls) if calls is not None else None
        client = Client(self.store, retries=Retries(attempts=1))
        self.informers = Informers(client)
        self.binder = Binder(
            client,
            self.informers,
            self.recorder,
            self.operations,
            PluginCalls(Catalogue([self.plugin] if self.plugin is not None else [])),
            settings=settings,
            provision_pause_seconds=0.01,
        )
        for obj in _objects(case["initial"], case.get("apiOnly", {})):
            self.store.put(obj)
        self.store.revision = max(
            (int(obj["metadata"]["resourceVersion"]) for obj in self.store.objects.values()), default=1
        )
        self.store.inject(case.get("apiErrors", []))
        self.operations.before = self._inject
        self._injected = "inject" not in case

    def fill_caches(self) -> None:
        for obj in _objects(self.case["initial"], self.case.get("cacheOnly", {})):
            self.cache(obj)

    def cache(self, obj: Json) -> None:
        """Put `obj` into the local cache of the controller."""
        obj = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
        put = {
            "PersistentVolume": partial(self._put, VOLUMES),
            "PersistentVolumeClaim": partial(self._put, CLAIMS),
            "StorageClass": partial(self._put, STORAGE_CLASSES),
            "Pod": partial(self._put, PODS),
            "Node": partial(self._put, NODES),
        }.get(obj["kind"])
        if put is not None:
            put(encode(obj))

    def _put(self, kind: Kind[T], data: bytes) -> None:
        self.informers.of(kind).put(kind.parse(data))

    async def sync(self, obj: Json) -> None:
        """Run one sync with `obj` as it is, and wait for what it started."""
        obj = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
        try:
            if obj["kind"] == "PersistentVolume":
                await self.binder.volume_sync.sync(volume_of(obj))
            else:
                await self.binder.claim_sync.sync(claim_of(obj))
        finally:
            await self.operations.wait_idle()

    def target(self) -> Json:
        target = self.case["target"]
        return next(obj for obj in _objects(self.case["initial"], {}) if _is(obj, target))

    def _inject(self) -> None:
        if self._injected:
            return
        inject = self.case["inject"]
        condition = inject.get("condition")
        if condition is not None:
            target = condition["target"]
            key = f"{target['namespace']}/{target['name']}" if "namespace" in target else target["name"]
            if not self.binder.timers.is_running(condition["operationStartedBefore"], key):
                return
        self._injected = True
        for op in inject["ops"]:
            match op["op"]:
                case "apiPut":
                    self.store.put(op["object"])
                case "cachePut":
                    self.cache(op["object"])
                case "apiDelete":
                    del self.store.objects[_key(op["target"])]
                case "apiMerge":
                    found = self.store.objects[_key(op["target"])]
                    self.store.objects[_key(op["target"])] = _merged(found, op["merge"])

    def beside_reference(self) -> list[str]:
        """Return where events, requests and plugin calls differ from what the reference does in this case."""
        reference = self.case.get("reference")
        if reference is None:
            return []
        requests = [_as_reference(seen) for seen in self.store.requests]
        problems = unequal("events", reference["events"], self.recorder.events)
        if (self.case["suite"], self.case["id"]) in WITH_PROOF or self.case["suite"] in SUITES_WITH_PROOF:
            requests = without_reads_beside(reference["requests"], requests)
        problems += unequal("requests", reference["requests"], requests)
        if self.plugin is not None:
            problems += unequal("plugin calls", reference["pluginCallCounts"], self.plugin.used)
        return problems

    def compare(self) -> list[str]:
        expected, ignoring = self.case["expected"], self.case["compareIgnoring"]
        problems = differences(expected["volumes"], self.store.all_of("persistentvolumes"), ignoring, "volume")
        problems += differences(expected["claims"], self.store.all_of("persistentvolumeclaims"), ignoring, "claim")
        return problems + missing_events(expected.get("events", []), self.recorder.events)


async def compare_with_reference(case: Case) -> list[str]:
    """Run a case of mode sync and return where it differs from the reference, result or not."""
    problems = []
    for settings in settings_of(case):
        it = BinderCase(case, settings)
        it.fill_caches()
        async with it.operations:
            await _call(it)
        problems += it.beside_reference()
    return problems


async def run(case: Case) -> list[str]:
    """Run a case with every setting that it holds for."""
    problems = []
    for settings in settings_of(case):
        match case["mode"]:
            case "sync":
                problems += await _run_sync(case, settings)
            case "multisync":
                problems += await _run_multisync(case, settings)
            case "controller":
                problems += await _run_controller(case, settings)
            case mode:
                problems.append(f"unknown mode {mode!r}")
    return problems


async def _run_sync(case: Case, settings: Settings) -> list[str]:
    it = BinderCase(case, settings)
    it.fill_caches()
    async with it.operations:
        problems = await _call(it)
    return problems + it.compare()


async def _call(it: BinderCase) -> list[str]:
    try:
        await it.sync(it.target())
    except PvbinderError as error:
        return [] if it.case["expected"]["error"] else [f"the sync reports an error: {error}"]
    return ["the sync reports no error"] if it.case["expected"]["error"] else []


async def _run_multisync(case: Case, settings: Settings) -> list[str]:
    it = BinderCase(case, settings)
    it.fill_caches()
    async with it.operations:
        return await _sync_until_settled(it)


async def _sync_until_settled(it: BinderCase) -> list[str]:
    problems = await _call(it)
    is_first = True
    for _ in range(MOST_ROUNDS):
        if not it.store.written:
            if not is_first and it.store.changes == 0:
                return problems + it.compare()
            is_first = False
            it.store.changes = 0
            it.store.written.extend(it.store.all_of("persistentvolumeclaims") + it.store.all_of("persistentvolumes"))
        obj = it.store.written.popleft()
        it.cache(obj)
        try:
            await it.sync(obj)
        except ApiFailure as failure:
            if not failure.is_conflict:
                return [*problems, f"a sync reports an error: {failure}"]
        except PvbinderError as error:
            return [*problems, f"a sync reports an error: {error}"]
    return [*problems, f"not settled after {MOST_ROUNDS} rounds"]


async def _run_controller(case: Case, settings: Settings) -> list[str]:
    it = BinderCase(case, settings)
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(it.operations)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(it.informers.run()), group.create_task(it.binder.run())]
        try:
            async with asyncio.timeout(60):
                await it.informers.wait_synced()
                for step in case["steps"]:
                    problems += await _step(it, step)
                await it.binder.resync()
                for _ in range(100):
                    if not it.compare():
                        break
                    await asyncio.sleep(0.1)
        finally:
            for task in tasks:
                task.cancel()
    return problems + it.compare()


async def _step(it: BinderCase, step: Json) -> list[str]:
    match step["op"]:
        case "createClaim":
            it.store.announce("ADDED", step["object"])
        case "deleteClaim" | "deleteVolume":
            it.store.announce("DELETED", it.store.objects[_key(step["target"])])
        case "waitGoneFromCache":
            await _until(lambda: _cached(it, step["target"]) is None)
        case "waitPhaseInCache":
            await _until(lambda: _cached(it, step["target"]) == step["phase"])
        case "waitOperation":
            await _until(lambda: it.binder.timers.is_running(step["operation"], _timer_key(step["target"])))
        case "expectNoOperation":
            if it.binder.timers.is_running(step["operation"], _timer_key(step["target"])):
                return [f"there is a {step['operation']} operation of {step['target']['name']}"]
        case op:
            return [f"unknown step {op!r}"]
    return []


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.05)


def _cached(it: BinderCase, target: Json) -> str | None:
    """The phase of an object in the cache, None if it isn't there."""
    if target["kind"] == "PersistentVolume":
        volume = it.binder.caches.volume(target["name"])
        return volume.phase if volume is not None else None
    claim = it.binder.caches.claims.get(f"{target['namespace']}/{target['name']}")
    return claim.phase if claim is not None else None


def _as_reference(seen: SeenRequest) -> Json:
    request = {"verb": seen.verb, "resource": seen.resource, "subresource": seen.subresource, "name": seen.name}
    return {field: value for field, value in request.items() if value}


def _timer_key(target: Json) -> str:
    return f"{target['namespace']}/{target['name']}" if "namespace" in target else str(target["name"])


def _key(target: Json) -> tuple[str, str, str]:
    return (PLURALS[target["kind"]], target.get("namespace", ""), target["name"])


def _is(obj: Json, target: Json) -> bool:
    return key_of(obj) == _key(target)


def _objects(initial: Json, overlay: Json) -> list[Json]:
    """All objects of `initial`, those of the same name in `overlay` in their place."""
    found = {key_of(obj): obj for lists in (initial, overlay) for kind in LISTS for obj in lists.get(kind, [])}
    return list(found.values())


def _merged(target: Json, patch: Json) -> Json:
    """A JSON merge patch."""
    result = dict(target)
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            inner = result.get(field)
            result[field] = _merged(inner if isinstance(inner, dict) else {}, value)
        else:
            result[field] = value
    return result
