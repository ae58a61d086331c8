"""The events of a kubelet about the containers of a pod: pulled, created, started, killing, back-off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pvbinder.kube.events import EventRecorder, EventType, Subject
from pvbinder.model.json import Json
from pvbinder.model.objects import Pod
from pvbinder.model.resources import PODS
from pvbinder.rules.pod_status import DEADLINE_MESSAGE, is_crashing

INIT: Final = "initContainers"
MAIN: Final = "containers"


class PodEvents:
    """Writes the events of pods, each on its node."""

    def __init__(self, recorder: EventRecorder) -> None:
        self._recorder = recorder

    def waits(self, pod: Pod, problem: str, *, is_block: bool = False) -> None:
        """Its volumes can't be mounted."""
        self._tell(pod, "Warning", "FailedMapVolume" if is_block else "FailedMount", problem)

    def started(self, pod: Pod) -> None:
        """Its containers have been started, one after the other."""
        for container, path in _containers(pod, INIT, MAIN):
            image = container.get("image", "")
            pulled = f'Container image "{image}" already present on machine and can be accessed by the pod'
            self._tell(pod, "Normal", "Pulled", pulled, path)
            self._tell(pod, "Normal", "Created", "Container created", path)
            self._tell(pod, "Normal", "Started", "Container started", path)

    def ended(self, pod: Pod, status: Json) -> None:
        """It has this status now, and doesn't go on: it was deleted or has run too long, or fails again and again."""
        if pod.is_deleting:
            self._stopping(pod)
        elif status.get("reason") == "DeadlineExceeded":
            self._tell(pod, "Normal", "DeadlineExceeded", DEADLINE_MESSAGE)
            if pod.phase == "Running":
                self._stopping(pod)
        elif is_crashing(status):
            for container, path in _containers(pod, MAIN):
                what = f"container {container['name']} in pod {pod.name}_{pod.namespace}({pod.uid})"
                self._tell(pod, "Warning", "BackOff", f"Back-off restarting failed {what}", path)

    def _stopping(self, pod: Pod) -> None:
        for container, path in _containers(pod, MAIN):
            self._tell(pod, "Normal", "Killing", f"Stopping container {container['name']}", path)

    def _tell(self, pod: Pod, kind: EventType, reason: str, message: str, path: str = "") -> None:
        self._recorder.event(Subject.of(PODS, pod, path, pod.node_name), kind, reason, message)


def _containers(pod: Pod, *fields: str) -> Iterator[tuple[Json, str]]:
    """Give each container with the path that events name it by."""
    spec = pod.document().get("spec") or {}
    for field in fields:
        for container in spec.get(field) or []:
            yield container, f"spec.{field}{{{container['name']}}}"
