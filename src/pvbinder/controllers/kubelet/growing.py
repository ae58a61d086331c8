"""The last step of growing a volume: its file system follows on the node (KUBELET-5, KUBELET-8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pvbinder import logs
from pvbinder.controllers.csi.secrets import SecretMissingError
from pvbinder.controllers.kubelet.mounting import PodMounts
from pvbinder.csi.errors import CallFailed, Code
from pvbinder.kube.client import Client
from pvbinder.kube.events import EventRecorder, Subject
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import CLAIMS
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import Claim, ClaimKey, Pod, Volume
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from pvbinder.rules.node_expansion import with_finished_resize, with_resize_begun, with_resize_failed

INFEASIBLE: Final = frozenset({Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND})
NOT_FINAL: Final = frozenset(
    {Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.ABORTED}
)

log = logs.get(__name__)


class GrowLater(PvbinderError):  # noqa: N818  (the queue brings the claim back)
    """A file system could not be grown; it has been told where it should be."""


class FileSystemGrower:
    """Finishes the resize of claims whose pods run here; `runs_here` gives the pods of a claim that do."""

    def __init__(
        self,
        client: Client,
        recorder: EventRecorder,
        claims: Informer[Claim],
        mounts: PodMounts | None,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._claims = claims
        self._mounts = mounts
        self._now = now
        self._refused: dict[ClaimKey, tuple[str, str]] = {}  # by whom it was not to be grown in use, and up to where

    async def grow(self, claim: Claim, volume: Volume, pods: list[Pod]) -> None:
        """Finish the resize of `claim` on the node of one of `pods`; raise GrowLater."""
        if with_finished_resize(claim, volume) is None or not pods:
            return
        pod = pods[0]
        if self._mounts is not None and self._mounts.is_ours(volume):
            having = [one for one in pods if self._mounts.is_published(one, volume)]
            if not having:
                return  # it isn't mounted here
            pod = having[0]
            grown = await self._ask(self._mounts, claim, volume, pod)
            if grown is None:
                return
            claim = grown
        document = with_finished_resize(claim, volume)
        if document is None:
            return
        await self._write(document)
        self._refused.pop(claim.key, None)
        message = f'MountVolume.NodeExpandVolume succeeded for volume "{volume.name}" {pod.node_name}'
        for subject in (Subject.of(PODS, pod), Subject.of(PERSISTENT_VOLUME_CLAIMS, claim)):
            self._recorder.event(subject, "Normal", "FileSystemResizeSuccessful", message)
        log.info("file system grown", pvc=claim.key, pv=volume.name, node=pod.node_name)

    async def _ask(self, mounts: PodMounts, claim: Claim, volume: Volume, pod: Pod) -> Claim | None:
        """Have the driver grow it, and return the claim; None if that is of no use now; raise GrowLater."""
        asked = (pod.uid, str(volume.capacity))
        if self._refused.get(claim.key) == asked:
            return None
        begun = with_resize_begun(claim)
        if begun is not None:
            claim = await self._write(begun)
        try:
            await mounts.expand(pod, volume)
        except (CallFailed, SecretMissingError) as failed:
            code = failed.code if isinstance(failed, CallFailed) else Code.UNAVAILABLE
            why = f"Expander.NodeExpand failed to expand the volume : {failed}"
            if code not in NOT_FINAL:
                is_infeasible = code in INFEASIBLE
                await self._write(with_resize_failed(claim, why, self._now(), is_infeasible=is_infeasible))
            if code is Code.FAILED_PRECONDITION:  # not while it is in use
                self._refused[claim.key] = asked
                log.warning("volume can't be grown in use", pvc=claim.key, pv=volume.name, err=str(failed))
                return None
            message = f'NodeExpandVolume.NodeExpandVolume failed for volume "{volume.name}" : {why}'
            self._recorder.event(Subject.of(PODS, pod), "Warning", "VolumeResizeFailed", message)
            if code in INFEASIBLE:
                return None
            raise GrowLater(message) from failed
        return claim

    async def _write(self, document: Json) -> Claim:
        after = await self._client.replace(CLAIMS, document, subresource="status")
        self._claims.put(after)
        return after
