"""The binder's knowledge of the cluster: the shared informers' caches, and the index that finds a volume for a claim.

CACHES-1  It is the `World` of the decisions, with the newest state that anyone here has seen.
CACHES-2  `take(answer)` counts at once: the next decision sees our own write, before the watch has told it (B-9).
CACHES-3  An older revision than the known one is refused; a revision that is no number is an error (B-10).
CACHES-4  The index holds exactly the volumes of the cache.
CACHES-5  Our own writes are told apart: `is_own_write` is True while the handlers of one are called.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from typing import TypeVar

from pvbinder.kube.client import KubernetesObject
from pvbinder.kube.informer import Added, Change, Deleted, Informer, Updated
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import CLAIMS, NODES, PODS, STORAGE_CLASSES, VOLUMES
from pvbinder.model.errors import PvbinderError
from pvbinder.model.objects import Claim, Volume
from pvbinder.model.resource_versions import revision_number
from pvbinder.rules.plugins import Plugins
from pvbinder.rules.settings import Settings
from pvbinder.rules.volume_index import VolumeIndex
from pvbinder.rules.world import Sources, World

T = TypeVar("T", bound=KubernetesObject)


class RevisionError(PvbinderError):
    """A resource version that is no number can't be compared (B-10)."""


class Caches(World):
    """The informers that the binder needs (B-3), and the indexes made from them."""

    def __init__(self, informers: Informers, plugins: Plugins, settings: Settings) -> None:
        self.volumes = informers.of(VOLUMES)
        self.claims = informers.of(CLAIMS)
        self.classes = informers.of(STORAGE_CLASSES)
        self.pods = informers.of(PODS)
        self.nodes = informers.of(NODES)
        self.index = VolumeIndex(settings=settings)
        pods_by_claim = self.pods.add_index("claim", lambda pod: pod.claim_keys)
        super().__init__(
            Sources(
                volumes=self.volumes,
                claims=self.claims,
                classes=self.classes,
                pods_of=pods_by_claim.__getitem__,
            ),
            nodes=self.nodes,
            index=self.index,
            plugins=plugins,
        )
        self._claims_by_volume = self.claims.add_index("unsettled by volume", _volume_of_unsettled)
        self._own_writes = 0
        self.volumes.add_handler(self._index_volume)

    def claims_naming(self, volume_name: str) -> list[Claim]:
        """Return the claims that name the volume and whose phase isn't `Bound`."""
        return self._claims_by_volume[volume_name]

    # -- our own writes

    @property
    def is_own_write(self) -> bool:
        """Whether the change that a handler is being told of is the answer to a write of ours (CACHES-5)."""
        return self._own_writes > 0

    def take_volume(self, answer: Volume) -> bool:
        """Take in the answer to a write of ours; False if it is old news (CACHES-2, CACHES-3)."""
        return self._take(self.volumes, answer)

    def take_claim(self, answer: Claim) -> bool:
        """Take in the answer to a write of ours; False if it is old news (CACHES-2, CACHES-3)."""
        return self._take(self.claims, answer)

    def _take(self, informer: Informer[T], answer: T) -> bool:
        known = informer.get(answer.key)
        if known is not None and _revision(known) > _revision(answer):
            return False
        self._own_writes += 1
        try:
            return informer.put(answer)
        finally:
            self._own_writes -= 1

    def _index_volume(self, change: Change[Volume]) -> None:
        match change:
            case Deleted(object=volume):
                self.index.remove(volume.name)
            case Added(object=volume) | Updated(object=volume):
                self.index.add(volume)


def _volume_of_unsettled(claim: Claim) -> tuple[str, ...]:
    return (claim.volume_name,) if claim.volume_name and claim.phase != "Bound" else ()


def _revision(view: KubernetesObject) -> int:
    known = revision_number(view.resource_version)
    if known is None:
        raise RevisionError(f'error parsing ResourceVersion "{view.resource_version}" of {view.key}')
    return known
