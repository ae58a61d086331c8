"""The sources of a page: a cluster that is watched, or files that were read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import msgspec

from pvbinder import logs
from pvbinder.foresight.reading import read_copy
from pvbinder.insight.snapshot import ObservedEvent, Snapshot
from pvbinder.kube.changes import Change, Deleted, Updated
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.history import History
from pvbinder.kube.informer import Informer
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.kube.reviews import may_we
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import EVENTS, PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.plugins import Plugins
from pvbinder.web.asking import Questions
from pvbinder.web.journal import NotedEvent
from pvbinder.web.objects import READ, FixedObjects, InformedObjects
from pvbinder.web.page import PageSource
from pvbinder.web.rows import RowKind, RowView, row_id

FIRST_LIST_SECONDS: Final = 60.0

log = logs.get(__name__)


class PageRightsError(PvbinderError):
    """The user may not even read claims."""


@asynccontextmanager
async def watched(client: Client, name: str, namespace: str, *, plugins: Plugins) -> AsyncIterator[PageSource]:
    """Watch a cluster, claims and pods in `namespace` or in all (``""``), and give what a page needs of it.

    A kind that the user may not list and watch is left out and named. Raises `PageRightsError` for claims.
    """
    chosen: dict[RowKind, Any] = {}
    missing: list[str] = []
    for kind, read in READ.items():
        where = namespace if read.resource.namespaced else ""
        lacking = [verb for verb in ("list", "watch") if not await _may(client, verb, read.resource, where)]
        if not lacking:
            chosen[kind] = read
            continue
        wanted = f"{' and '.join(lacking)} {read.resource.qualified}{f' in namespace {where}' if where else ''}"
        if read.resource == PERSISTENT_VOLUME_CLAIMS:
            hint = (
                "ask for a role that has it" if where else "ask for a role that has it, or choose a namespace with -n"
            )
            raise PageRightsError(f"the user of this kubeconfig may not {wanted}", hint=hint)
        missing.append(f"the page does without {read.resource.qualified}: the user may not {wanted}")
    history = History()
    informers: Mapping[RowKind, Informer[Any]] = {
        kind: Informer(client, read, namespace if read.resource.namespaced else "", history=history)
        for kind, read in chosen.items()
    }
    told = await _events(client, namespace, history, missing)
    may_write = await _may(client, "update", PERSISTENT_VOLUME_CLAIMS, namespace)
    async with asyncio.TaskGroup() as group:
        running = [*informers.values(), *((told,) if told is not None else ())]
        tasks = [group.create_task(one.run(), name=f"page: {one.kind.resource.plural}") for one in running]
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                for one in running:
                    await one.wait_synced()
        except TimeoutError:
            log.warning("the page begins with what there is: the API server is slow")
        objects = InformedObjects(informers)
        events = partial(_hear_events, told) if told is not None else None
        questions = Questions(objects, plugins=plugins, client=client)
        try:
            yield PageSource(
                kind="cluster",
                name=name,
                objects=objects,
                questions=questions,
                may_write=may_write,
                missing=missing,
                decisions="watched",
                events=events,
                plan_state=partial(state_of_cluster, client),
            )
        finally:
            for task in tasks:
                task.cancel()


async def state_of_cluster(client: Client) -> tuple[list[tuple[str, Json]], list[str], str | None]:
    """Return the objects that a plan is made against, notes about what is missing, and their time: now."""
    found, notes = await read_copy(client)
    return found, notes, None


async def _may(client: Client, verb: str, resource: Any, namespace: str) -> bool:
    """Tell whether we may; a server that doesn't say is asked by doing it."""
    try:
        return (await may_we(client, verb, resource.group, resource.plural, namespace)).allowed
    except ApiFailure:
        return True


async def _events(client: Client, namespace: str, history: History, missing: list[str]) -> Informer[Metadata] | None:
    """Return the informer of events about claims: what the controllers of a cluster say of them."""
    if not (await _may(client, "list", EVENTS, namespace) and await _may(client, "watch", EVENTS, namespace)):
        missing.append("the page does without events: the user may not list and watch events")
        return None
    about = f"involvedObject.kind={PERSISTENT_VOLUME_CLAIMS.kind}"
    return Informer(client, metadata_of(EVENTS), namespace, field_selector=about, history=history)


def _hear_events(informer: Informer[Metadata], note: Callable[[NotedEvent], None]) -> None:
    has_begun = False

    def hear(change: Change[Metadata]) -> None:
        if not has_begun or isinstance(change, Deleted):
            return
        found = _noted(change.object)
        before = _noted(change.before) if isinstance(change, Updated) else None
        if found is not None and (before is None or before.message != found.message):
            note(found)  # said again and again, it is news once

    informer.add_handler(hear)
    has_begun = True


def _noted(view: Metadata) -> NotedEvent | None:
    try:
        event = msgspec.json.decode(view.raw, type=ObservedEvent)
    except msgspec.MsgspecError:
        return None
    about = event.involved_object
    id_ = row_id("claim", f"{about.namespace}/{about.name}")
    return NotedEvent(time.time(), id_, f"{event.reason}: {event.message}")


def of_files(
    name: str, documents: Iterable[Json], *, plugins: Plugins, written_at: datetime | None, notes: Iterable[str]
) -> PageSource:
    """Return the source that shows the objects of files."""
    found = list(documents)
    snapshot = Snapshot(found, plugins=plugins, written_at=written_at)
    views: list[RowView] = [
        *snapshot.storage_classes(),
        *snapshot.nodes(),
        *snapshot.volumes,
        *snapshot.claims(),
        *snapshot.pods(),
    ]
    shown = {read.resource.kind for read in READ.values()}
    beside = [one for one in found if one.get("kind") not in shown]
    objects = FixedObjects(views, {str(one.get("kind")) for one in found})
    questions = Questions(objects, plugins=plugins, beside=beside, moment=written_at)
    return PageSource(
        kind="dump",
        name=name,
        objects=objects,
        questions=questions,
        plan_state=partial(_state_of_files, found, written_at),
        missing=[*notes, *(f"left out: {problem}" for problem in snapshot.unreadable)],
    )


async def _state_of_files(
    documents: list[Json], written_at: datetime | None
) -> tuple[list[tuple[str, Json]], list[str], str | None]:
    when = (written_at or datetime.now(UTC)).isoformat()
    return [("the dump", each) for each in documents], [], when
