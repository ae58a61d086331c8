"""Running the pod that scrubs a volume: watch, create, wait for its end, delete (RY-7 to RY-11).

RECYCLER_PODS-1  The watches are there before the pod is, so that nothing it does is missed.
RECYCLER_PODS-2  The pod is deleted whatever became of it; one that a crash left behind is deleted by the next attempt,
                 which then says that it will come again.
RECYCLER_PODS-3  Also one whose creation isn't known to have failed: it would scrub a volume that is used again by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from msgspec import Struct

from pvbinder import logs
from pvbinder.controllers.binder.errors import OperationError
from pvbinder.controllers.binder.reporter import Reporter
from pvbinder.kube.client import Client, Kind, WatchEvent
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import Json
from pvbinder.model.objects import IdentityMeta, Pod, Volume
from pvbinder.model.resources import EVENTS
from pvbinder.rules import events

WATCH_SECONDS = 3600  # a pod that has not ended by then is given up; the kubelet's deadline comes long before

log = logs.get(__name__)


class PodEvent(Struct, frozen=True):
    """An Event about the pod, as far as it is passed on."""

    raw: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    type: str
    message: str

    @property
    def key(self) -> str:
        """Its namespace and name."""
        return f"{self.namespace}/{self.name}"


class _EventObject(Struct):
    metadata: IdentityMeta = msgspec.field(default_factory=IdentityMeta)
    type: str | None = None
    message: str | None = None


_decoder = msgspec.json.Decoder(_EventObject)


def _parse_event(data: bytes) -> PodEvent:
    found = _decoder.decode(data)
    meta = found.metadata
    return PodEvent(
        raw=data,
        name=meta.name or "",
        namespace=meta.namespace or "",
        uid=meta.uid or "",
        resource_version=meta.resource_version or "",
        type=found.type or "Normal",
        message=found.message or "",
    )


_POD_EVENTS = Kind(EVENTS, _parse_event)


class RecyclerPods:
    """Runs recycler pods, one for each volume."""

    def __init__(self, client: Client, reporter: Reporter) -> None:
        self._client = client
        self._reporter = reporter

    async def run(self, volume: Volume, pod: Json) -> None:
        """Run `pod` for `volume` to its end; raise `OperationError` with the reference's text if that isn't success."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            async with (
                self._client.watch(
                    PODS, "", namespace, field_selector=f"metadata.name={name}", timeout_seconds=WATCH_SECONDS
                ) as pods,
                self._client.watch(
                    _POD_EVENTS,
                    "",
                    namespace,
                    field_selector=f"involvedObject.name={name}",
                    timeout_seconds=WATCH_SECONDS,
                ) as pod_events,
            ):
                await self._create(pod)
                problem = await self._follow(volume, name, pods, pod_events)
        except (ApiFailure, ConnectionFailed) as error:
            raise OperationError(f"cannot start watcher for pod {namespace}/{name}: {error.message}") from error
        not_deleted = await self._delete(name, namespace)
        if problem is not None:
            raise OperationError(f"failed to recycle volume: {problem}")
        if not_deleted is not None:
            raise OperationError(f"failed to delete recycler pod: {not_deleted}")

    async def _create(self, pod: Json) -> None:
        """Create the pod; an old one of that name is deleted, and the next try creates ours (RY-8)."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            await self._client.create(PODS, pod)
        except ConnectionFailed as failed:
            await self._see_that_it_is_gone(failed, name, namespace)
            raise OperationError(f"unexpected error creating recycler pod:  {failed.message}") from failed
        except ApiFailure as failure:
            if not failure.is_already_exists:
                await self._see_that_it_is_gone(failure, name, namespace)
                raise OperationError(f"unexpected error creating recycler pod:  {failure.message}") from failure
            not_deleted = await self._delete(name, namespace)
            if not_deleted is not None:
                text = f"failed to delete old recycler pod {namespace}/{name}: {not_deleted}"
                raise OperationError(text) from failure
            raise OperationError("old recycler pod found, will retry later") from failure

    async def _see_that_it_is_gone(self, error: ApiFailure | ConnectionFailed, name: str, namespace: str) -> None:
        """Delete a pod that may have been created although its answer was lost (RECYCLER_PODS-3)."""
        if error.leaves_write_unknown:
            await self._delete(name, namespace)

    async def _delete(self, name: str, namespace: str) -> str | None:
        """Delete the pod; return what went wrong, if something did."""
        try:
            await self._client.delete(PODS, name, namespace)
        except (ApiFailure, ConnectionFailed) as error:
            log.warning("could not delete recycler pod", pod=f"{namespace}/{name}", err=error.message)
            return error.message
        return None

    async def _follow(
        self,
        volume: Volume,
        name: str,
        pods: AsyncIterator[WatchEvent[Pod]],
        pod_events: AsyncIterator[WatchEvent[PodEvent]],
    ) -> str | None:
        """Wait for the end of the pod and pass on its events; return why it failed, if it did (RY-9, RY-10)."""
        async with asyncio.TaskGroup() as group:
            copying = group.create_task(self._copy_events(volume, pod_events), name=f"events of {name}")
            try:
                return await _end_of(name, pods)
            finally:
                copying.cancel()

    async def _copy_events(self, volume: Volume, pod_events: AsyncIterator[WatchEvent[PodEvent]]) -> None:
        try:
            async for seen in pod_events:
                if seen.type == "ADDED" and seen.object is not None:
                    type_: events.EventType = "Warning" if seen.object.type == "Warning" else "Normal"
                    self._reporter.on_volume(volume, events.recycler_pod_event(type_, seen.object.message))
        except (ApiFailure, ConnectionFailed) as error:  # only events: the pod's own state counts
            log.debug("events of recycler pod can't be followed", pv=volume.name, err=error.message)


async def _end_of(name: str, pods: AsyncIterator[WatchEvent[Pod]]) -> str | None:
    try:
        async for seen in pods:
            if seen.type == "DELETED":
                return "recycler pod was deleted"
            pod = seen.object
            if pod is None:
                continue
            if pod.phase == "Succeeded":
                return None
            if pod.phase == "Failed":
                return pod.message or "pod failed, pod.Status.Message unknown"
    except (ApiFailure, ConnectionFailed):
        return "recycler pod watcher failed"
    return f'recycler pod "{name}" watch channel had been closed'
