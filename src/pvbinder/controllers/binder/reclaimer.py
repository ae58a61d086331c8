"""The operations on volumes whose claim is gone: delete the storage, or scrub it.

RECLAIMER-1  Storage is touched only after the volume has been read live and its claim has been proven to be gone, or
             to use another volume (RC-6); before a scrub a live list of the pods that counts as evidence, and agrees
             with the cache of pods, has none that uses the claim (RY-2). In doubt it is kept, and tried again.
RECLAIMER-2  A volume is deleted only after its storage is; an operation that was interrupted starts again from the
             beginning.
RECLAIMER-3  Once both are deleted nothing is asked again, however long others' finalizers keep the volume. Only the
             binder's own finalizer is removed again, if a sync put it back while the DELETE was on its way.
RECLAIMER-4  What is deleted is this volume and no other of its name.

Rules: docs/rules/binder.md#91-recycle-operation, docs/rules/binder.md#92-delete-operation
"""

from __future__ import annotations

from typing import Protocol, assert_never

from pvbinder import logs
from pvbinder.controllers.binder.caches import Caches
from pvbinder.controllers.binder.errors import OperationError
from pvbinder.controllers.binder.reporter import Reporter
from pvbinder.controllers.binder.writes import Writes
from pvbinder.controllers.operations import aside
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.evidence import DoubtfulList
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.names import PV_CONTROLLER_FINALIZER
from pvbinder.model.objects import Volume
from pvbinder.rules import binding, events
from pvbinder.rules.events import Event
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.rules.protection import without_finalizer
from pvbinder.rules.reclaim import (
    CannotDelete,
    CannotRecycle,
    DeleteOutside,
    DeleteWith,
    NotReleased,
    RecycleWith,
    StillUsed,
    decide_recycling,
    find_deleter,
    is_released,
    lets_go,
)
from pvbinder.rules.volumes import LiveClaim, NotProven
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.plugin import Deleted, Failed, InUse, Recycled, RunPod
from pvbinder.volumes.recycler import recycler_pod

log = logs.get(__name__)


class PodRunner(Protocol):
    """Runs a recycler pod (`controllers.binder.recycler_pods`)."""

    async def run(self, volume: Volume, pod: Json) -> None:
        """Run `pod` for `volume` to its end; raise `OperationError` if it doesn't succeed (RY-7 to RY-11)."""
        ...


class VolumeReclaimer:
    """Carries out `StartDeleting` and `StartRecycling`."""

    def __init__(self, caches: Caches, writes: Writes, reporter: Reporter, calls: PluginCalls, pods: PodRunner) -> None:
        self._caches = caches
        self._writes = writes
        self._reporter = reporter
        self._calls = calls
        self._pods = pods
        self._deleted: dict[str, str] = {}  # name to uid of volumes whose DELETE was accepted, until they are gone

    def forget(self, name: str) -> None:
        """The volume called `name` is gone."""
        self._deleted.pop(name, None)

    async def fail(self, volume: Volume, event: Event) -> None:
        """Put `volume` into phase `Failed` with the text of `event`; both only if it isn't there yet (ST-2)."""
        if volume.phase == "Failed":
            return
        await self._writes.phase(volume, "Failed", event.message, rule=event.rule)
        self._reporter.on_volume(volume, event)

    # -- delete

    async def delete(self, volume: Volume) -> None:
        """Delete the storage of `volume`, then `volume` itself (DL); raise where the reference backs off."""
        if self._deleted.get(volume.name) == volume.uid:  # RECLAIMER-3
            if PV_CONTROLLER_FINALIZER in volume.finalizers:
                await self._drop_finalizer(volume)
            return
        deleter = find_deleter(volume, self._calls.catalogue)
        match deleter:
            case DeleteOutside():
                return
            case CannotDelete(why=why):
                await self._try_to_fail(volume, events.delete_failed(why))
            case DeleteWith(plugin=plugin):
                live = await self._still_released(volume)
                if live is not None:
                    await self._delete(live, plugin)
            case _:
                assert_never(deleter)

    async def _delete(self, volume: Volume, plugin: PluginAbilities) -> None:
        undeletable = self._calls.catalogue.identity(plugin.name).undeletable
        if undeletable is not None:
            why = f'failed to create deleter for volume "{volume.name}": {undeletable}'
            await self._try_to_fail(volume, events.delete_failed(why))
            raise OperationError(why)
        outcome = await self._calls.delete(plugin.name, volume)
        match outcome:
            case InUse(reason=reason):
                self._reporter.on_volume(volume, events.delete_postponed(reason))
                raise OperationError(reason)
            case Failed(reason=reason):
                await self._try_to_fail(volume, events.delete_failed(reason))
                raise OperationError(reason)
            case Deleted():
                pass
            case _:
                assert_never(outcome)
        log.info("Volume deleted", pv=volume.name, plugin=plugin.name, rule="DL-6")
        await self._drop_finalizer(volume)
        try:
            await self._writes.delete_volume(volume)
            self._deleted[volume.name] = volume.uid
        except (ApiFailure, ConnectionFailed) as error:  # the next sync does it all again (DL-6)
            log.warning("could not delete volume", pv=volume.name, err=error.message)

    async def _drop_finalizer(self, volume: Volume) -> None:
        """Remove the binder's finalizer, whose storage is deleted; put `volume` into `Failed` and raise if it fails."""
        try:
            await self._remove_finalizer(volume)
        except (ApiFailure, ConnectionFailed) as error:
            why = f"persistent volume controller can't update finalizer: {error.message}"
            await self._try_to_fail(volume, events.delete_failed(why))
            raise OperationError(why) from error

    async def _remove_finalizer(self, volume: Volume) -> None:
        """DL-6; a volume that is gone by now needs nothing."""
        live = await self._writes.live_volume(volume.name)
        if live is not None and live.uid == volume.uid and PV_CONTROLLER_FINALIZER in live.finalizers:
            await self._writes.volume(without_finalizer(live, PV_CONTROLLER_FINALIZER))

    # -- recycle

    async def recycle(self, volume: Volume) -> None:
        """Scrub the storage of `volume` and make it available again (RY); raise only where nothing is proven."""
        live = await self._live(volume)
        if live is None:
            return
        decision = decide_recycling(live, self._caches)
        match decision:
            case NotReleased():
                return
            case StillUsed(event=event):
                self._reporter.on_volume(live, event)
            case CannotRecycle(event=event):
                await self._try_to_fail(live, event)
            case RecycleWith(plugin=plugin):
                if not await self._is_let_go(live) or await self._is_used(live):
                    return
                problem = await self._scrub(live, plugin)
                if problem is not None:
                    await self._try_to_fail(live, events.recycle_failed(problem))
                    return
                self._reporter.on_volume(live, events.RECYCLED)
                log.info("Volume recycled", pv=live.name, plugin=plugin.name, rule="RY-5")
                await self._free(live)
            case _:
                assert_never(decision)

    async def _scrub(self, volume: Volume, plugin: PluginAbilities) -> str | None:
        """Scrub the storage; return what went wrong, if something did (RY-4)."""
        outcome = await self._calls.recycle(plugin.name, volume)
        match outcome:
            case Recycled():
                return None
            case Failed(reason=reason):
                return reason
            case RunPod():
                try:
                    async with aside():
                        await self._pods.run(volume, recycler_pod(volume, outcome))
                except PvbinderError as error:
                    return error.message
                return None
            case _:
                assert_never(outcome)

    async def _free(self, volume: Volume) -> None:
        try:
            unbound = await self._writes.volume(binding.without_claim(volume))
            await self._writes.phase(unbound, "Available", rule="RY-5")
        except (ApiFailure, ConnectionFailed) as error:  # retried at every sync while it is released (RY-6)
            log.warning("could not free recycled volume", pv=volume.name, err=error.message)

    # -- both

    async def _still_released(self, volume: Volume) -> Volume | None:
        """The volume as the server has it, if it is still released; None ends the operation (DL-4)."""
        live = await self._live(volume)
        if live is None or not is_released(live, self._caches):
            return None
        return live if await self._is_let_go(live) else None

    async def _is_let_go(self, volume: Volume) -> bool:
        """Whether the server shows that the claim of `volume` is gone or uses another; raise if it proves nothing."""
        ref = volume.claim_ref
        if ref is None or not ref.uid:
            return False
        answer = await self._writes.ask_claim(ref)
        match answer:
            case LiveClaim(claim=claim):
                return lets_go(claim, volume)
            case NotProven(why=why):
                log.warning("storage is kept: nobody knows whether its claim is gone", pv=volume.name, err=why)
                raise OperationError(f'storage is kept: it is not proven that claim "{ref.key}" is gone: {why}')
            case _:
                assert_never(answer)

    async def _is_used(self, volume: Volume) -> bool:
        """Whether the server has pods that use a claim that is gone (RY-2); raise if they can't be read."""
        if volume.claim_ref is None or self._caches.claim(volume.claim_ref.key) is not None:
            return False
        try:
            pods = await self._writes.pods_using(volume.claim_ref.key)
        except (ApiFailure, ConnectionFailed, DoubtfulList) as error:
            raise OperationError(f"storage is kept: pods that may use it can't be read: {error.message}") from error
        if pods:
            self._reporter.on_volume(volume, events.volume_in_use(pods))
        return bool(pods)

    async def _live(self, volume: Volume) -> Volume | None:
        """The volume as the server has it; None if it is gone, another one, or can't be read (RY-1, DL-4)."""
        try:
            live = await self._writes.live_volume(volume.name)
        except (ApiFailure, ConnectionFailed) as error:
            log.warning("could not read volume", pv=volume.name, err=error.message)
            return None
        return live if live is not None and live.uid == volume.uid else None

    async def _try_to_fail(self, volume: Volume, event: Event) -> None:
        """`fail`, in an operation that has something else to say if even that fails: the next sync repeats it."""
        try:
            await self.fail(volume, event)
        except (ApiFailure, ConnectionFailed) as error:
            log.warning("could not mark volume as failed", pv=volume.name, err=error.message)
