"""What is left of pods that are gone: looked for at the start, and when a pod's object vanishes (MOUNTING-3)."""

from __future__ import annotations

from typing import Final

from pvbinder import logs
from pvbinder.controllers.kubelet.mounting import DriverMissingError, PodMounts
from pvbinder.kube.history import History
from pvbinder.kube.informer import Informer
from pvbinder.kube.queue import RateLimits, WorkQueue
from pvbinder.model.objects import Pod

log = logs.get(__name__)

LIMITS: Final = RateLimits(first_seconds=0.5, most_seconds=122.0)  # as a kubelet's operations come back


class OrphanedVolumes:
    """Unpublishes the volumes of pods that are gone; run its queue as a task that somebody owns."""

    def __init__(self, mounts: PodMounts, pods: Informer[Pod], history: History) -> None:
        self._mounts = mounts
        self._pods_by_uid = pods.add_index("uid", lambda pod: (pod.uid,))
        self.queue: WorkQueue[str] = WorkQueue(
            "kubelet orphaned volumes",
            self._sync,
            history=history,
            limits=LIMITS,
            failure_message="could not unmount volumes of a pod that is gone",
            key_field="pod_uid",
        )

    def look_at_all(self) -> None:
        """Look at everything that is published."""
        for uid in self._mounts.pods():
            self.queue.add(uid)

    async def _sync(self, uid: str) -> None:
        if self._pods_by_uid[uid]:
            return
        try:
            await self._mounts.tear_down(uid)
        except DriverMissingError as error:  # when it comes, all are looked at
            log.info("volumes of a pod that is gone wait for their driver", pod_uid=uid, why=error.message)
