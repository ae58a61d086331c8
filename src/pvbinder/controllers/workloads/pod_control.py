"""Makes and ends the pods of workloads, in the reference's words.

PODCONTROL-1  A pod that was made is in the cache at once; one that was deleted counts as leaving until the watch says
              that it is gone: no pod is made or ended twice.
PODCONTROL-2  A DELETE names the uid of the pod that was decided about.
PODCONTROL-3  A namespace that is going takes no pods: that is no failure of the workload.

A caller of `delete` has proof that its workload is still the one of the decision (`check_is_current`).
"""

from __future__ import annotations

from pvbinder import logs
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.events import EventRecorder, Subject
from pvbinder.kube.informer import Change, Deleted, Informer
from pvbinder.kube.kinds import PODS
from pvbinder.model.json import Json
from pvbinder.model.objects import Pod

log = logs.get(__name__)


class PodControl:
    """Makes and ends pods for one controller."""

    def __init__(self, client: Client, pods: Informer[Pod], recorder: EventRecorder) -> None:
        self._client = client
        self._pods = pods
        self._recorder = recorder
        self._leaving: set[str] = set()  # uids
        self.created = self.deleted = 0

    def follow(self) -> None:
        """Notice from now on which pods are gone."""
        self._pods.add_handler(self._on_pod)

    def _on_pod(self, change: Change[Pod]) -> None:
        if isinstance(change, Deleted):
            self._leaving.discard(change.object.uid)

    def is_leaving(self, pod: Pod) -> bool:
        """Tell whether `pod` is being deleted, whether the watch has told so or not."""
        return pod.is_deleting or pod.uid in self._leaving

    async def create(self, subject: Subject, document: Json) -> Pod | None:
        """Make the pod and return it; None if its namespace is going (PODCONTROL-3)."""
        try:
            pod = await self._client.create(PODS, document)
        except ApiFailure as failure:
            if failure.is_namespace_terminating:
                return None
            self._recorder.event(subject, "Warning", "FailedCreate", f"Error creating: {failure.message}")
            raise
        self._pods.put(pod)
        self.created += 1
        self._recorder.event(subject, "Normal", "SuccessfulCreate", f"Created pod: {pod.name}")
        log.info("pod created", pod=pod.key, by=f"{subject.resource.kind} {subject.namespace}/{subject.name}")
        return pod

    async def delete(self, subject: Subject, pod: Pod) -> None:
        """End `pod` (PODCONTROL-2)."""
        try:
            await self._client.delete(PODS, pod.name, pod.namespace, uid=pod.uid)
        except ApiFailure as failure:
            if failure.names_as_not_found(PODS.resource, pod.name):
                return  # somebody was quicker; the watch tells
            self._recorder.event(subject, "Warning", "FailedDelete", f"Error deleting: {failure.message}")
            raise
        if self._pods.get(pod.key) is not None:
            self._leaving.add(pod.uid)
        self.deleted += 1
        self._recorder.event(subject, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.name}")
        log.info("pod deleted", pod=pod.key, by=f"{subject.resource.kind} {subject.namespace}/{subject.name}")
