"""Calls to plugins that block, raise, hang or answer nonsense: nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from tests.virtual_time import on_virtual_time
from tests.volumes.objects import request, volume

from pvbinder.model.objects import Volume
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Failed,
    Identity,
    InUse,
    Provisioned,
    ProvisionOutcome,
    ProvisionRequest,
    Recycled,
    RecycleOutcome,
)

LONG = 30.0  # seconds that no test reaches


@dataclass
class Plugin:
    """A plugin that does what it's told; `gate` holds its calls until it's opened."""

    name: str = "example.com/plugin"
    answer: Callable[[], object] = Deleted
    gate: threading.Event = field(default_factory=threading.Event)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    calls: int = 0
    threads: set[int] = field(default_factory=set)

    @property
    def identity(self) -> Identity:
        return Identity(self.name, frozenset())

    def act(self) -> object:
        self.calls += 1
        self.threads.add(threading.get_ident())
        self.started.release()
        assert self.gate.wait(LONG)
        return self.answer()

    def provision(self, _request: ProvisionRequest) -> ProvisionOutcome:
        return self.act()  # type: ignore[return-value]

    def delete(self, _volume: Volume) -> DeleteOutcome:
        return self.act()  # type: ignore[return-value]

    def recycle(self, _volume: Volume) -> RecycleOutcome:
        return self.act()  # type: ignore[return-value]


def ready(answer: Callable[[], object], name: str = "example.com/plugin") -> Plugin:
    """A plugin that answers at once."""
    plugin = Plugin(name, answer)
    plugin.gate.set()
    return plugin


def raising(error: BaseException) -> Callable[[], object]:
    def answer() -> object:
        raise error

    return answer


@contextlib.asynccontextmanager
async def hanging(plugin: Plugin) -> AsyncIterator[Plugin]:
    """Let the calls of `plugin` hang inside of the context, and wait until they ended after it."""
    try:
        yield plugin
    finally:
        plugin.gate.set()


async def has_started(plugin: Plugin) -> None:
    assert await asyncio.to_thread(plugin.started.acquire, timeout=LONG)


NAME = "example.com/plugin"


async def test_calls_1_a_call_has_a_thread_to_itself() -> None:
    plugin = ready(Deleted)
    calls = PluginCalls(Catalogue([plugin]))

    assert await calls.delete(NAME, volume("a")) == Deleted()

    assert threading.get_ident() not in plugin.threads
    async with hanging(Plugin("example.com/slow")) as slow:
        both = PluginCalls(Catalogue([plugin, slow]))
        task = asyncio.create_task(both.delete("example.com/slow", volume("a")))
        await has_started(slow)
        plugin.threads.clear()
        for name in "bcd":
            await both.delete(NAME, volume(name))
        assert not plugin.threads & slow.threads
        slow.gate.set()
        await task
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "volume plugin")


OUTCOMES = {  # what the plugin does: (its answer to delete, the outcome)
    "it's done": (Deleted, Deleted()),
    "it's in use": (lambda: InUse("mounted"), InUse("mounted")),
    "it failed": (lambda: Failed("no"), Failed("no")),
    "it raises": (raising(OSError("disk on fire")), Failed("disk on fire")),
    "it raises without a word": (raising(KeyError()), Failed("KeyError")),
    "it wants to end the process": (raising(SystemExit(3)), Failed("3")),
    "it answers nothing": (
        lambda: None,
        Failed("volume plugin example.com/plugin answered with NoneType, which is no outcome"),
    ),
    "it answers for another question": (
        Recycled,
        Failed("volume plugin example.com/plugin answered with Recycled, which is no outcome"),
    ),
}


@pytest.mark.parametrize(("answer", "outcome"), OUTCOMES.values(), ids=OUTCOMES.keys())
async def test_calls_2_whatever_a_plugin_does_is_an_outcome(answer: Callable[[], object], outcome: object) -> None:
    calls = PluginCalls(Catalogue([ready(answer)]))

    assert await calls.delete(NAME, volume("a")) == outcome


async def test_calls_2_no_answer_in_time_is_a_failure() -> None:
    async with hanging(Plugin()) as plugin:
        calls = PluginCalls(Catalogue([plugin]), timeout_seconds=0.05)

        outcome = await calls.delete(NAME, volume("a"))

    assert outcome == Failed("volume plugin example.com/plugin has not answered within 0.05 s")


async def test_the_other_abilities_are_called_likewise() -> None:
    source = {"nfs": {"server": "nas", "path": "/"}}
    makes = PluginCalls(Catalogue([ready(lambda: Provisioned(source))]))
    scrubs = PluginCalls(Catalogue([ready(Recycled)]))

    assert await makes.provision(NAME, request()) == Provisioned(source)
    assert await scrubs.recycle(NAME, volume("a")) == Recycled()
    assert isinstance(await scrubs.provision(NAME, request()), Failed)
    assert isinstance(await makes.recycle(NAME, volume("a")), Failed)


async def test_calls_3_who_asks_again_gets_the_answer_of_the_call_that_runs() -> None:
    plugin = Plugin()
    calls = PluginCalls(Catalogue([plugin]))
    async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
        first = group.create_task(calls.delete(NAME, volume("a")))
        await has_started(plugin)
        again = group.create_task(calls.delete(NAME, volume("a")))
        other = group.create_task(calls.delete(NAME, volume("b")))
        await has_started(plugin)
        plugin.gate.set()

    assert {first.result(), again.result(), other.result()} == {Deleted()}
    assert plugin.calls == 2


async def test_calls_4_a_plugin_has_a_bounded_number_of_calls_and_one_that_hangs_costs_only_itself() -> None:
    quick = ready(Deleted, "example.com/quick")
    async with asyncio.timeout(LONG), hanging(Plugin()) as slow, asyncio.TaskGroup() as group:
        calls = PluginCalls(Catalogue([slow, quick]), most_at_once=2)
        waiting = [group.create_task(calls.delete(NAME, volume(name))) for name in "abcd"]
        await has_started(slow)
        await has_started(slow)

        assert calls.statistics().running == {NAME: 2}
        for name in "abcd":
            assert await calls.delete("example.com/quick", volume(name)) == Deleted()
        assert slow.calls == 2
        slow.gate.set()

    assert [task.result() for task in waiting] == [Deleted()] * 4


async def test_calls_4_waiting_for_a_turn_is_bounded_too() -> None:
    async with hanging(Plugin()) as plugin:
        calls = PluginCalls(Catalogue([plugin]), most_at_once=1, timeout_seconds=0.05)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(calls.delete(NAME, volume(name))) for name in "ab"]

    assert all(isinstance(task.result(), Failed) for task in tasks)
    assert plugin.calls == 1


async def test_calls_5_a_cancelled_call_ends_with_the_plugin_and_its_answer_is_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = Plugin()
    calls = PluginCalls(Catalogue([plugin]))
    task = asyncio.create_task(calls.delete(NAME, volume("a")))
    await has_started(plugin)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with caplog.at_level(logging.WARNING):
        assert calls.statistics().running == {NAME: 1}
        plugin.gate.set()
        async with asyncio.timeout(LONG):
            while calls.statistics().running:
                await asyncio.to_thread(threading.Event().wait, 0)

    assert calls.statistics().late == {NAME: 1}
    assert [record.message for record in caplog.records] == ["volume plugin answered too late"]
    assert await calls.delete(NAME, volume("a")) == Deleted()
    assert plugin.calls == 2


async def test_each_call_is_observed_with_its_end() -> None:
    """MT-7."""
    seen: list[tuple[str, str, bool]] = []

    def observe(plugin: str, operation: str, success: bool, seconds: float) -> None:
        assert seconds >= 0
        seen.append((plugin, operation, success))

    plugin = ready(Deleted)
    calls = PluginCalls(Catalogue([plugin]), observe=observe)
    await calls.delete(NAME, volume("a"))
    plugin.answer = lambda: InUse("mounted")
    await calls.delete(NAME, volume("a"))
    await calls.provision(NAME, request())

    assert seen == [(NAME, "volume_delete", True), (NAME, "volume_delete", False), (NAME, "volume_provision", False)]


async def test_a_call_that_hangs_is_observed_once_when_its_time_is_over() -> None:
    """MT-7."""
    seen: list[tuple[bool, float]] = []
    async with hanging(Plugin()) as plugin:
        calls = PluginCalls(
            Catalogue([plugin]),
            timeout_seconds=0.05,
            most_at_once=1,
            observe=lambda _plugin, _operation, success, seconds: seen.append((success, seconds)),
        )
        async with asyncio.TaskGroup() as group:
            for name in ("a", "a", "waits for a turn"):
                group.create_task(calls.delete(NAME, volume(name)))

    assert seen == [(False, 0.05)]


async def test_no_more_threads_is_a_failure_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = PluginCalls(Catalogue([ready(Deleted)]))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", lambda _thread: raising(RuntimeError("can't start new thread"))())
        outcome = await calls.delete(NAME, volume("a"))

    assert outcome == Failed("volume plugin example.com/plugin can't be called: can't start new thread")
    assert await calls.delete(NAME, volume("a")) == Deleted()


@on_virtual_time
async def test_virtual_time_stands_still_while_a_plugin_works() -> None:
    calls = PluginCalls(Catalogue([ready(Deleted)]))

    assert await calls.delete(NAME, volume("a")) == Deleted()
    assert asyncio.get_running_loop().time() < LONG
