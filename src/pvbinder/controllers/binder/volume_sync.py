"""Carrying out what a volume needs next.

Rules: docs/rules/binder.md#3-syncvolume, docs/rules/binder.md#7-bind--unbind, docs/rules/binder.md#9-reclaim
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import assert_never

from pvbinder import logs
from pvbinder.controllers.binder.begun import BegunBinds
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.errors import SyncError
from pvbinder.controllers.binder.pairs import Pairs
from pvbinder.controllers.binder.reclaimer import VolumeReclaimer
from pvbinder.controllers.binder.reporter import Reporter
from pvbinder.controllers.binder.retries import RetriedOperations
from pvbinder.controllers.binder.timers import Timers
from pvbinder.controllers.binder.writes import Writes
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.model.objects import ClaimKey, Volume, VolumeName
from pvbinder.rules import binding
from pvbinder.rules.reclaim import DeleteWith, Leave, Reclaim, RefusePolicy, StartDeleting, StartRecycling, find_deleter
from pvbinder.rules.settings import Settings
from pvbinder.rules.volumes import (
    AnnealVolume,
    AskServer,
    AwaitClaim,
    AwaitEnd,
    KeepVolume,
    Release,
    ReportModes,
    SetPhase,
    Unbind,
    VolumeAction,
    decide_volume,
)

log = logs.get(__name__)


def _needs_proof(action: VolumeAction, volume: Volume) -> bool:
    """Whether `action`, decided from the cache, needs the server's own answer about the claim first.

    A volume that is released already isn't asked for at each sync: the operations that reclaim it ask themselves.
    """
    match action:
        case AskServer() | Unbind():
            return True
        case Release():
            return not volume.is_released
        case AnnealVolume() | SetPhase() | ReportModes() | AwaitClaim() | AwaitEnd() | KeepVolume():
            return False
        case _:
            assert_never(action)


def _has_to_act(then: Reclaim, volume: Volume) -> bool:
    """Whether `then` does or says anything for `volume`, which is released."""
    match then:
        case Leave():
            return False
        case RefusePolicy():
            return volume.phase != "Failed"
        case StartRecycling() | StartDeleting():
            return True
        case _:
            assert_never(then)


class VolumeSync:
    """One volume at a time, decided from the caches and carried out."""

    def __init__(
        self,
        caches: Caches,
        writes: Writes,
        reporter: Reporter,
        pairs: Pairs,
        begun: BegunBinds,
        reclaimer: VolumeReclaimer,
        operations: RetriedOperations,
        timers: Timers,
        settings: Settings,
        wake_claim: Callable[[ClaimKey], None],
        wake_volume: Callable[[VolumeName], None],
    ) -> None:
        self._caches = caches
        self._writes = writes
        self._reporter = reporter
        self._pairs = pairs
        self._begun = begun
        self._reclaimer = reclaimer
        self._operations = operations
        self._timers = timers
        self._settings = settings
        self._wake_claim = wake_claim
        self._wake_volume = wake_volume
        self.decisions: Counter[tuple[str, str]] = Counter()  # by outcome and rule

    async def sync(self, volume: Volume) -> None:
        """Do what `volume` needs next, unless a claim is binding it; raise what the queue should retry."""
        action = decide_volume(volume, self._caches, self._settings)
        self.decisions[type(action).__name__, action.rule] += 1
        log.debug("volume decided", pv=volume.name, decision=type(action).__name__, rule=action.rule)
        if isinstance(action, SetPhase) and action.phase == volume.phase:
            return  # the most frequent outcome by far
        with self._pairs.for_volume(volume.key) as held:
            if held:
                await self._carry_out(volume, action)

    def has_work(self, volume: Volume) -> bool:
        """Tell whether a sync of `volume` would do or say anything (BINDER-4)."""
        action = decide_volume(volume, self._caches, self._settings)
        match action:
            case SetPhase(phase=phase):
                return phase != volume.phase
            case Release(then=then):
                return not volume.is_released or _has_to_act(then, volume)
            case AwaitEnd():
                return False
            case AnnealVolume() | AskServer() | ReportModes() | AwaitClaim() | Unbind() | KeepVolume():
                return True
            case _:
                assert_never(action)

    async def _carry_out(self, volume: Volume, action: VolumeAction) -> None:
        if isinstance(action, AnnealVolume):
            volume = await self._anneal(volume, action)
            action = decide_volume(volume, self._caches, self._settings)
        if volume.claim_ref is not None and _needs_proof(action, volume):
            answer = await self._writes.ask_claim(volume.claim_ref)
            action = decide_volume(volume, self._caches, self._settings, answer)
        match action:
            case KeepVolume(claim=claim, why=why):
                raise SyncError(
                    f'volume "{volume.name}" is kept, because it is not proven that its claim "{claim}" is gone: {why}'
                )
            case SetPhase(phase=phase, rule=rule):
                await self._writes.phase(volume, phase, rule=rule)
            case AwaitEnd():
                return
            case AwaitClaim(claim=claim):
                self._wake_claim(claim)
            case ReportModes(claim=claim, on_volume=on_volume, on_claim=on_claim):
                self._reporter.on_volume(volume, on_volume)
                self._reporter.on_claim(claim, on_claim)
            case Release() if not volume.is_released and self._begun.is_unused(volume):
                await self._unbind(volume, rule="BN-3")
            case Release(then=then, rule=rule):
                if not volume.is_released:
                    volume = await self._writes.phase(volume, "Released", rule=rule)
                await self._reclaim(volume, then)
            case Unbind(rule=rule):
                await self._unbind(volume, rule=rule)
            case AnnealVolume() | AskServer():
                raise SyncError(f'volume "{volume.name}" doesn\'t stay as it was written')
            case _:
                assert_never(action)

    async def _unbind(self, volume: Volume, *, rule: str) -> None:
        volume = await self._writes.volume(binding.without_claim(volume))
        self._begun.forget(volume.key)
        log.info("volume unbound", pv=volume.name, rule=rule)
        await self._writes.phase(volume, "Available", rule="UB-3")

    async def _anneal(self, volume: Volume, action: AnnealVolume) -> Volume:
        try:
            return await self._writes.volume(action.document)
        except (ApiFailure, ConnectionFailed) as error:
            if isinstance(error, ApiFailure) and error.is_conflict:
                raise
            text = "persistent Volume Controller can't anneal migration annotations or finalizer"
            raise SyncError(f"{text}: {error.message}") from error

    async def _reclaim(self, volume: Volume, then: Reclaim) -> None:
        match then:
            case Leave():
                return
            case RefusePolicy(event=event):
                await self._reclaimer.fail(volume, event)
            case StartRecycling():
                self._operations.start(
                    f"recycle-{volume.name}[{volume.uid}]",
                    lambda: self._reclaimer.recycle(self._newest(volume)),
                    again=lambda: self._wake_volume(volume.key),
                )
            case StartDeleting():
                self._timers.start("delete", volume.name, self._deleter_of(volume))
                self._operations.start(
                    f"delete-{volume.name}[{volume.uid}]",
                    lambda: self._reclaimer.delete(self._newest(volume)),
                    again=lambda: self._wake_volume(volume.key),
                )
            case _:
                assert_never(then)

    def _newest(self, volume: Volume) -> Volume:
        known = self._caches.volume(volume.name)
        return known if known is not None and known.uid == volume.uid else volume

    def _deleter_of(self, volume: Volume) -> str:
        """Return the name of its deleter in the metrics (MT-4)."""
        deleter = find_deleter(volume, self._caches.plugins)
        if isinstance(deleter, DeleteWith):
            return deleter.plugin.name
        storage_class = self._caches.storage_class(volume.storage_class)
        if storage_class is None:
            return "N/A"
        return self._settings.migrations.driver_of(storage_class.provisioner) or storage_class.provisioner
