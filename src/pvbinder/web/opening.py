"""The sources of a page: a cluster that is watched, or files that were read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from pvbinder import logs
from pvbinder.insight.snapshot import Snapshot
from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.history import History
from pvbinder.kube.informer import Informer
from pvbinder.kube.reviews import may_we
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.resources import PERSISTENT_VOLUME_CLAIMS
from pvbinder.rules.plugins import Plugins
from pvbinder.web.asking import Questions
from pvbinder.web.objects import READ, FixedObjects, InformedObjects
from pvbinder.web.page import PageSource
from pvbinder.web.rows import RowKind, RowView

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
    may_write = await _may(client, "update", PERSISTENT_VOLUME_CLAIMS, namespace)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run(), name=f"page: {kind}") for kind, one in informers.items()]
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                for one in informers.values():
                    await one.wait_synced()
        except TimeoutError:
            log.warning("the page begins with what there is: the API server is slow")
        objects = InformedObjects(informers)
        questions = Questions(objects, plugins=plugins, client=client)
        try:
            yield PageSource(
                kind="cluster",
                name=name,
                objects=objects,
                questions=questions,
                may_write=may_write,
                missing=missing,
            )
        finally:
            for task in tasks:
                task.cancel()


async def _may(client: Client, verb: str, resource: Any, namespace: str) -> bool:
    """Tell whether we may; a server that doesn't say is asked by doing it."""
    try:
        return (await may_we(client, verb, resource.group, resource.plural, namespace)).allowed
    except ApiFailure:
        return True


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
        missing=[*notes, *(f"left out: {problem}" for problem in snapshot.unreadable)],
    )
