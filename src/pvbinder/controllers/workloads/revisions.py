"""Keeps the ControllerRevisions of a workload: records its template, and lets go what is beyond the history.

REVISIONS-1  A template has one revision; its name says which template, so a lost answer makes no second. A name that
             something else has gets another (``collisionCount``).
REVISIONS-2  Revisions are adopted and released like pods, so `delete --cascade=orphan` loses no history.
REVISIONS-3  A revision is deleted only after its workload, read live, is the one that was decided about; the DELETE
             names uid and revision of the object.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, Generic, TypeVar, assert_never

import msgspec

from pvbinder import logs
from pvbinder.controllers.workloads.dependents import Dependents, WorkloadHasChanged, check_is_current
from pvbinder.controllers.workloads.dependents import Workload as Owner
from pvbinder.kube.client import Client, Kind
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Informer
from pvbinder.model.workloads import CONTROLLER_REVISIONS, Workload, parse_workload
from pvbinder.rules.revisions import (
    CreateRevision,
    Recorded,
    RenumberRevision,
    UseRevision,
    beyond_history,
    decide_recording,
    template_of,
)

REVISIONS: Final[Kind[Workload]] = Kind(CONTROLLER_REVISIONS, parse_workload)
COLLISIONS_MAX: Final = 20

W = TypeVar("W", bound=Owner)
log = logs.get(__name__)


class RevisionHistory(Generic[W]):
    """The revisions of the workloads of one kind."""

    def __init__(
        self, client: Client, owners: Informer[W], revisions: Informer[Workload], wake: Callable[[W], None]
    ) -> None:
        self._client = client
        self._owners = owners
        self._revisions = revisions
        self._own = Dependents(client, owners, revisions, wake)

    def follow(self) -> None:
        """Wake workloads whose revisions change."""
        self._own.follow()

    async def claim(self, workload: W) -> list[Workload]:
        """Return the revisions of `workload` (REVISIONS-2)."""
        return await self._own.claim(workload)

    async def record(self, recorded: Recorded, revisions: list[Workload]) -> Workload:
        """Return the revision of the template, after it was written if it has to be (REVISIONS-1)."""
        recording = decide_recording(recorded, revisions)
        match recording:
            case UseRevision(revision=revision):
                return revision
            case RenumberRevision(document=document):
                revision = await self._client.replace(REVISIONS, document)
            case CreateRevision(document=document):
                try:
                    revision = await self._client.create(REVISIONS, document)
                except ApiFailure as failure:
                    if not failure.is_already_exists:
                        raise
                    return await self._existing(recorded, revisions, str(document["metadata"]["name"]))
            case _:
                assert_never(recording)
        self._revisions.put(revision)
        return revision

    async def _existing(self, recorded: Recorded, revisions: list[Workload], name: str) -> Workload:
        """The revision of that name, if it is ours; else one with another name."""
        found = await self._client.get(REVISIONS, name, recorded.namespace)
        owner = found.controller
        if owner is not None and owner.uid == recorded.uid and template_of(found) == recorded.template:
            self._revisions.put(found)
            return found
        if recorded.collisions >= COLLISIONS_MAX:
            raise WorkloadHasChanged(f"revision {name} is somebody else's, and so are all other names that were tried")
        return await self.record(msgspec.structs.replace(recorded, collisions=recorded.collisions + 1), revisions)

    async def truncate(self, workload: W, revisions: list[Workload], in_use: Collection[str], limit: int) -> None:
        """Delete what is beyond the history (REVISIONS-3)."""
        old = beyond_history(revisions, in_use, limit)
        if old:
            await check_is_current(self._client, self._owners, workload)
        for revision in old:
            try:
                await self._client.delete(
                    REVISIONS,
                    revision.name,
                    revision.namespace,
                    uid=revision.uid,
                    resource_version=revision.resource_version,
                )
            except ApiFailure as failure:
                if not failure.names_as_not_found(CONTROLLER_REVISIONS, revision.name):
                    raise
            log.info("old revision deleted", revision=revision.key)
