"""Driving the protection controllers (README, "Protection controllers").

The caches stand still, as the vectors want it: they show the state after all events, handlers hear of the events only,
and what the controller writes doesn't come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from tests.vectors.compare import comparable, without_reads_beside
from tests.vectors.runner import Case
from tests.vectors.store import Store

from pvbinder.controllers.context import ControllerContext
from pvbinder.controllers.features import FeatureGates
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.protection.attributes_classes import AttributesClassProtectionController
from pvbinder.controllers.protection.claims import ClaimProtectionController
from pvbinder.controllers.protection.volumes import VolumeProtectionController
from pvbinder.kube.client import Client, Kind, KubernetesObject, Retries
from pvbinder.kube.informer import Added, Change, ChangeHandler, Deleted, Informer, Updated
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import ATTRIBUTES_CLASSES, CLAIMS, PODS, VOLUMES
from pvbinder.model.json import Json, encode

T = TypeVar("T", bound=KubernetesObject)

LISTS: dict[str, Kind[KubernetesObject]] = {
    "claims": CLAIMS,  # type: ignore[dict-item]
    "volumes": VOLUMES,  # type: ignore[dict-item]
    "pods": PODS,  # type: ignore[dict-item]
    "volumeAttributesClasses": ATTRIBUTES_CLASSES,  # type: ignore[dict-item]
}
EVENTS: dict[str, str] = {"claim": "claims", "volume": "volumes", "pod": "pods", "class": "volumeAttributesClasses"}
QUEUE_ENDS_SECONDS = 3600.0
SUITES_WITH_PROOF = {"vac-protection"}  # the reference believes its caches (VP-4); we read more: `docs/irreversible.md`


class StillInformer(Informer[T]):
    """An informer whose cache only the test fills, and whose handlers only the test calls."""

    def __init__(self, client: Client, kind: Kind[T]) -> None:
        super().__init__(client, kind)
        self.handlers: list[ChangeHandler[T]] = []
        self._synced.set()

    def add_handler(self, handler: ChangeHandler[T]) -> None:
        self.handlers.append(handler)

    def fill(self, view: T) -> None:
        super().put(view)

    def put(self, seen: T) -> bool:
        return True


class StillInformers(Informers):
    """Still informers of whatever kind is asked for."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.still: dict[str, StillInformer[KubernetesObject]] = {}

    def of(self, kind: Kind[T]) -> Informer[T]:
        plural = kind.resource.plural
        if plural not in self.still:
            self.still[plural] = StillInformer(self._client, kind)  # type: ignore[arg-type]
        return self.still[plural]  # type: ignore[return-value]


class Protector(Protocol):
    """A protection controller, as far as a case needs it."""

    async def run(self) -> None: ...
    async def wait_idle(self) -> None: ...


def controller_of(case: Case, context: ControllerContext) -> Protector:
    match case["call"]:
        case "protectClaims":
            now = datetime.fromisoformat(case.get("now", "2026-01-01T00:00:00Z")).astimezone(UTC)
            return ClaimProtectionController(context, now=lambda: now)
        case "protectVolumes":
            return VolumeProtectionController(context)
        case "protectAttributesClasses":
            return AttributesClassProtectionController(context)
        case call:
            raise AssertionError(f"unknown call {call}")


async def run(case: Case) -> list[str]:
    """Run one case and return the faults of its requests."""
    store = Store()
    store.inject(case["apiErrors"])
    client = Client(store, retries=Retries(attempts=1))
    informers = StillInformers(client)
    gates = FeatureGates({name: setting is True for name, setting in case.get("features", {}).items()})
    context = ControllerContext(client, informers, ControllerOptions(feature_gates=gates))
    fill(case, store, informers)
    controller = controller_of(case, context)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(controller.run())
        for event in case["events"]:
            tell(event, informers)
            async with asyncio.timeout(QUEUE_ENDS_SECONDS):
                await controller.wait_idle()
        task.cancel()
    return unequal_requests(case, store)


def fill(case: Case, store: Store, informers: StillInformers) -> None:
    """Put the objects of the case where it wants them."""
    for place in ("initial", "cacheOnly", "apiOnly"):
        for name, objects in case.get(place, {}).items():
            informer = informers.of(LISTS[name])
            assert isinstance(informer, StillInformer)
            for obj in map(as_served, objects) if case["suite"] in SUITES_WITH_PROOF else objects:
                if place != "cacheOnly":
                    store.put(obj)
                if place != "apiOnly":
                    informer.fill(view_of(name, obj))


def as_served(obj: Json) -> Json:
    """Return a volume or claim of a case with a uid: no API server has one without, so no list of them is believed."""
    if obj["kind"] not in ("PersistentVolume", "PersistentVolumeClaim"):
        return obj
    name = f"uid of {obj['metadata']['name']}"
    return {**obj, "metadata": {"uid": name, **obj["metadata"]}}


def view_of(list_name: str, obj: Json) -> KubernetesObject:
    obj = {**obj, "metadata": {"resourceVersion": "1", **obj["metadata"]}}
    return LISTS[list_name].parse(encode(obj))


def tell(event: Json, informers: StillInformers) -> None:
    """Call the handlers with the change that an informer would make of `event`."""
    name = next(plural for word, plural in EVENTS.items() if event["type"].startswith(word))
    informer = informers.of(LISTS[name])
    assert isinstance(informer, StillInformer)
    for change in changes_of(event, lambda obj: view_of(name, obj)):
        for handler in informer.handlers:
            handler(change)


def changes_of(event: Json, view: Callable[[Json], T]) -> Iterator[Change[T]]:
    seen = view(event["object"])
    if event["type"].endswith("Deleted"):
        yield Deleted(seen)
    elif "old" not in event:
        yield Added(seen)
    else:
        before = view(event["old"])
        if before.uid == seen.uid:
            yield Updated(before, seen)
        else:  # another object in its place: INFORMER-6
            yield Deleted(before)
            yield Added(seen)


def unequal_requests(case: Case, store: Store) -> list[str]:
    ignoring = case["compareIgnoring"]

    def shown(verb: str, resource: str, subresource: str, namespace: str, obj: Json | None) -> Json:
        parts = {"verb": verb, "resource": resource, "subresource": subresource, "namespace": namespace}
        return {**parts, "object": comparable(obj, ignoring) if obj is not None else None}

    wanted = [
        shown(r["verb"], r["resource"], r.get("subresource", ""), r.get("namespace", ""), r.get("object"))
        for r in case["expected"]["requests"]
    ]
    found = [shown(r.verb, r.resource, r.subresource, r.namespace, r.object) for r in store.requests]
    if case["suite"] in SUITES_WITH_PROOF:
        found = without_reads_beside(wanted, found)
    return [] if wanted == found else [f"requests should be {wanted} but are {found}"]
