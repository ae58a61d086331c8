"""The objects that belong to the workloads of one kind: found by controller, adopted and released by selector.

DEPENDENTS-1  A change of an object wakes the workload that controls it, and that which did before; one that nobody
              controls wakes those that select it.
DEPENDENTS-2  Before the first adoption the workload is read live: one that is being deleted, or another one of its
              name, adopts nothing. Patches name the uid of their object.
DEPENDENTS-3  What a workload did counts at once: the answers go into the cache.

Everything belongs to the loop's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from pvbinder import logs
from pvbinder.kube.client import Client, Kind, KubernetesObject
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.informer import Change, Deleted, Informer, Updated
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference
from pvbinder.model.selectors import LabelSelector
from pvbinder.model.workloads import controller_of
from pvbinder.rules.adoption import Claimable, decide_belonging, selects
from pvbinder.rules.pod_templates import controller_reference

log = logs.get(__name__)


class Workload(KubernetesObject, Protocol):
    """An object that has dependents."""

    @property
    def is_deleting(self) -> bool:
        """Tell whether it is being deleted."""
        ...

    @property
    def generation(self) -> int:
        """The number of its spec."""
        ...

    @property
    def selector(self) -> LabelSelector | None:
        """The selector of its dependents."""
        ...


class Dependent(KubernetesObject, Claimable, Protocol):
    """An object that can belong to a workload."""


W = TypeVar("W", bound=Workload)
D = TypeVar("D", bound=Dependent)


class WorkloadHasChanged(PvbinderError):  # noqa: N818  (the queue brings it back)
    """The decision was about another workload than the one that is there."""


async def check_is_current(client: Client, informer: Informer[W], workload: W) -> None:
    """Read `workload` live; raise what brings it back, if it isn't the generation that was decided about."""
    live = await client.get(informer.kind, workload.name, workload.namespace)
    if (live.uid, live.generation, live.is_deleting) != (workload.uid, workload.generation, False):
        informer.correct(live)
        kind = informer.kind.resource.kind
        raise WorkloadHasChanged(f"{kind} {workload.key} is another than was decided about: it is looked at anew")


class Dependents(Generic[W, D]):
    """The objects of one kind that belong to workloads of another."""

    def __init__(self, client: Client, owners: Informer[W], objects: Informer[D], wake: Callable[[W], None]) -> None:
        self._client = client
        self._owners = owners
        self._objects = objects
        self._wake = wake
        self._by_controller = objects.add_index("controller", _controllers_of)
        self._orphans = objects.add_index("orphans", _orphaned_in)
        self._owners_by_namespace = owners.add_index("namespace", lambda owner: (owner.namespace,))

    def follow(self) -> None:
        """Wake workloads from now on (DEPENDENTS-1)."""
        self._objects.add_handler(self._on_change)

    def controlled_by(self, workload: W) -> list[D]:
        """All objects that `workload` controls, selected or not."""
        return self._by_controller[workload.uid]

    def _on_change(self, change: Change[D]) -> None:
        controller = controller_of(change.object.owner_references)
        if isinstance(change, Updated):
            before = controller_of(change.before.owner_references)
            if before is not None and before != controller:
                self._wake_controller(change.before, before)
        if controller is not None:
            self._wake_controller(change.object, controller)
        elif not isinstance(change, Deleted):
            for owner in self._owners_by_namespace[change.object.namespace]:
                if selects(owner.selector, change.object.labels):
                    self._wake(owner)

    def _wake_controller(self, obj: D, controller: OwnerReference) -> None:
        if controller.kind != self._owners.kind.resource.kind:
            return
        owner = self._owners.get(f"{obj.namespace}/{controller.name}")
        if owner is not None and owner.uid == controller.uid:
            self._wake(owner)

    async def claim(
        self, workload: W, *, is_selected: Callable[[D], bool] | None = None, finalizer: str = ""
    ) -> list[D]:
        """Return what belongs to `workload`, after it adopted and released what it has to (DEPENDENTS-2).

        An adopted object gets `finalizer`.
        """
        may_adopt = False
        found = []
        for obj in self._candidates(workload):
            selected = is_selected(obj) if is_selected is not None else selects(workload.selector, obj.labels)
            match decide_belonging(obj, workload.uid, is_selected=selected, owner_is_going=workload.is_deleting):
                case "ours":
                    found.append(obj)
                case "adopt":
                    if not may_adopt:
                        await check_is_current(self._client, self._owners, workload)
                        may_adopt = True
                    adopted = await self._adopt(workload, obj, finalizer)
                    if adopted is not None:
                        found.append(adopted)
                case "release":
                    await self._release(workload, obj, finalizer)
                case "not ours":
                    pass
        return found

    def _candidates(self, workload: W) -> Iterator[D]:
        yield from self._by_controller[workload.uid]
        yield from self._orphans[workload.namespace]

    async def _adopt(self, workload: W, obj: D, finalizer: str) -> D | None:
        reference = controller_reference(self._owners.kind.resource, workload.name, workload.uid)
        change: Json = {"metadata": {"uid": obj.uid, "ownerReferences": [reference]}}
        if finalizer:
            change["metadata"]["finalizers"] = [finalizer]
        adopted = await self._patch(obj, change)
        if adopted is not None:
            self._note("adopted", workload, obj)
        return adopted

    async def _release(self, workload: W, obj: D, finalizer: str) -> None:
        change: Json = {
            "metadata": {"uid": obj.uid, "ownerReferences": [{"$patch": "delete", "uid": workload.uid}]},
        }
        if finalizer:
            change["metadata"]["$deleteFromPrimitiveList/finalizers"] = [finalizer]
        if await self._patch(obj, change) is not None:
            self._note("released", workload, obj)

    async def _patch(self, obj: D, change: Json) -> D | None:
        kind: Kind[D] = self._objects.kind
        try:
            after = await self._client.patch(kind, obj.name, obj.namespace, change, patch_type="strategic")
        except ApiFailure as failure:
            if failure.names_as_not_found(kind.resource, obj.name):
                return None
            raise
        self._objects.put(after)
        return after

    def _note(self, what: str, workload: W, obj: D) -> None:
        log.info(what, workload=f"{self._owners.kind.resource.kind} {workload.key}", object=obj.key)


def _controllers_of(obj: Dependent) -> list[str]:
    controller = controller_of(obj.owner_references)
    return [controller.uid] if controller is not None else []


def _orphaned_in(obj: Dependent) -> list[str]:
    return [obj.namespace] if controller_of(obj.owner_references) is None else []
