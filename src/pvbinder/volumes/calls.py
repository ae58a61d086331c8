"""Calls to plugins: blocking work of other people's code, kept away from everything else.

CALLS-1  A call has a thread to itself while it runs, which doesn't keep the process alive.
CALLS-2  It always comes back with an outcome: an exception of a plugin, or an answer that is no outcome, becomes
         `Failed`; so does no answer within `timeout_seconds`.
CALLS-3  One call for one volume and operation at a time: a second caller, while the first call still runs, gets its
         answer. So a plugin that was too slow is not set on the same storage twice.
CALLS-4  A plugin has at most `most_at_once` calls; further ones wait for their turn, within the same time. Plugins
         don't wait for each other, so one that hangs costs only itself.
CALLS-5  Cancelled is not undone: the thread ends when the plugin does. Its answer is dropped, and the next attempt
         finds what is there (PLUGIN-4).

Belongs to the loop's thread; call it from as many tasks as you like.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Literal, ParamSpec, TypeAlias, TypeVar

from pvbinder import logs
from pvbinder.model.objects import Volume
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    InUse,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
    Recycled,
    RecycleOutcome,
    RunPod,
)

PluginOperation: TypeAlias = Literal["volume_provision", "volume_delete", "volume_recycle"]  # as MT-7 calls them
CallKey: TypeAlias = tuple[str, PluginOperation, str]  # the plugin, its operation, and the volume
Observer: TypeAlias = Callable[[str, PluginOperation, bool, float], None]  # plugin, operation, success, seconds

SUCCESSES = (Provisioned, Deleted, Recycled, RunPod)
TIMEOUT_SECONDS = 600.0
CALLS_AT_ONCE_MAX = 16
IDLE_THREADS_MAX = 16  # threads that wait for a job
IDLE_SECONDS = 5.0

log = logs.get(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallStatistics:
    """Calls that run now and calls that nobody waited for any longer, by plugin."""

    running: Mapping[str, int]
    late: Mapping[str, int]


@dataclass(slots=True)
class _Running:
    answer: asyncio.Future[object]
    waiters: int = 0
    is_observed: bool = False


class PluginCalls:
    """The one way to call the plugins of a catalogue."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        most_at_once: int = CALLS_AT_ONCE_MAX,
        observe: Observer | None = None,
        aside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        """`observe` hears of each call that ended; the waiting for a plugin is done inside of ``aside()``."""
        self.catalogue = catalogue
        self._aside = aside
        self._timeout_seconds = timeout_seconds
        self._most_at_once = most_at_once
        self._observe = observe
        self._threads = _Threads()
        self._running: dict[CallKey, _Running] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._late: Counter[str] = Counter()

    async def provision(self, plugin: str, request: ProvisionRequest) -> ProvisionOutcome:
        """Have `plugin` make the storage that `request` asks for (PR-13)."""
        provisioner = self.catalogue.provisioner(plugin)
        key: CallKey = (plugin, "volume_provision", request.volume_name)
        outcome = await self._call(key, lambda: provisioner.provision(request))
        match outcome:
            case Provisioned() | Failed():
                return outcome
            case _:
                return _no_outcome(plugin, outcome)

    async def delete(self, plugin: str, volume: Volume) -> DeleteOutcome:
        """Have `plugin` delete the storage of `volume` (DL-5)."""
        deleter = self.catalogue.deleter(plugin)
        outcome = await self._call((plugin, "volume_delete", _identity(volume)), lambda: deleter.delete(volume))
        match outcome:
            case Deleted() | InUse() | Failed():
                return outcome
            case _:
                return _no_outcome(plugin, outcome)

    async def recycle(self, plugin: str, volume: Volume) -> RecycleOutcome:
        """Have `plugin` scrub the storage of `volume`, or say which pod would (RY-4)."""
        recycler = self.catalogue.recycler(plugin)
        outcome = await self._call((plugin, "volume_recycle", _identity(volume)), lambda: recycler.recycle(volume))
        match outcome:
            case Recycled() | RunPod() | Failed():
                return outcome
            case _:
                return _no_outcome(plugin, outcome)

    def statistics(self) -> CallStatistics:
        """The calls that run now."""
        return CallStatistics(Counter(plugin for plugin, _, _ in self._running), dict(self._late))

    # ------------------------------------------------------------------------------------------------------------

    async def _call(self, key: CallKey, work: Callable[[], object]) -> object:
        plugin = key[0]
        try:
            async with self._aside(), asyncio.timeout(self._timeout_seconds):
                return await self._answer(key, work)
        except TimeoutError:
            running = self._running.get(key)
            if running is not None:
                self._tell(key, running, success=False, seconds=self._timeout_seconds)
            return Failed(f"volume plugin {plugin} has not answered within {self._timeout_seconds:g} s")
        except RuntimeError as error:
            return Failed(f"volume plugin {plugin} can't be called: {error}")

    def _tell(self, key: CallKey, running: _Running, *, success: bool, seconds: float) -> None:
        """Let the observer know how a call ended, once; the time before its turn doesn't count."""
        if self._observe is not None and not running.is_observed:
            running.is_observed = True
            plugin, operation, _ = key
            self._observe(plugin, operation, success, seconds)

    async def _answer(self, key: CallKey, work: Callable[[], object]) -> object:
        running = self._running.get(key)
        if running is None:
            turns = self._turns.setdefault(key[0], asyncio.Semaphore(self._most_at_once))
            await turns.acquire()
            running = self._running.get(key)  # somebody else may have had a turn before us
            if running is None:
                running = self._start(key, work, turns)
            else:
                turns.release()
        running.waiters += 1
        try:
            return await asyncio.shield(running.answer)
        finally:
            running.waiters -= 1

    def _start(self, key: CallKey, work: Callable[[], object], turns: asyncio.Semaphore) -> _Running:
        started = perf_counter()
        answer = asyncio.get_running_loop().run_in_executor(self._threads, _outcome_of, work)
        running = self._running[key] = _Running(answer)

        def ended(answer: asyncio.Future[object]) -> None:
            del self._running[key]
            turns.release()
            success = answer.exception() is None and isinstance(answer.result(), SUCCESSES)
            self._tell(key, running, success=success, seconds=perf_counter() - started)
            if not running.waiters:
                plugin, operation, volume = key
                self._late[plugin] += 1
                log.warning("volume plugin answered too late", plugin=plugin, operation=operation, pv=volume)

        answer.add_done_callback(ended)
        return running


class _Threads(Executor):
    """A daemon thread for each job that runs (CALLS-1): one that hangs holds up neither others nor the process's end.

    A few threads that are done wait some seconds for the next job, because a new one costs more than most calls.
    """

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Callable[[], None]]] = []
        self._lock = threading.Lock()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  (an executor hands on whatever comes)
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._lock:
            jobs = self._idle.pop() if self._idle else None
        if jobs is None:
            jobs = SimpleQueue()
            try:
                threading.Thread(target=self._work, args=(jobs,), name="volume plugin", daemon=True).start()
            except RuntimeError as error:  # no more threads
                future.set_exception(error)
        jobs.put(job)
        return future

    def _work(self, jobs: SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                jobs.get(timeout=IDLE_SECONDS)()
            except Empty:
                with self._lock:
                    if jobs in self._idle:
                        self._idle.remove(jobs)
                        return
                continue  # a job is on its way to us
            with self._lock:
                if len(self._idle) >= IDLE_THREADS_MAX:
                    return
                self._idle.append(jobs)


def _outcome_of(work: Callable[[], Any]) -> object:
    """Run `work` in the thread; any exception is its outcome, even a wish to end the process (CALLS-2)."""
    try:
        return work()
    except BaseException as error:  # noqa: BLE001  (the boundary to other people's code)
        log.debug("volume plugin raised", err=repr(error))
        return Failed(str(error) or type(error).__name__)


def _no_outcome(plugin: str, answer: object) -> Failed:
    return Failed(f"volume plugin {plugin} answered with {type(answer).__name__}, which is no outcome")


def _identity(volume: Volume) -> str:
    return f"{volume.name}[{volume.uid}]"
