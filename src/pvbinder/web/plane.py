"""The page of `pvbinder up`: the caches that its controllers share, and what they decide.

OWN_PAGE-1  The page makes no list and no watch of its own: objects come from the controllers' caches.
OWN_PAGE-2  Decisions are those of the controllers' own log lines, with the rules and the writes, from when the page is
            served on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from pvbinder import logs
from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.plane.control_plane import Plane
from pvbinder.plane.recorder import Interception
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue
from pvbinder.web.asking import Questions
from pvbinder.web.journal import Journal, NotedWrite
from pvbinder.web.objects import READ, InformedObjects
from pvbinder.web.opening import state_of_cluster
from pvbinder.web.page import PageSource
from pvbinder.web.rows import RowKind


def source_of(plane: Plane) -> PageSource:
    """Return what a page needs of a control plane in this process: no list and no watch but those there are."""
    informers: dict[RowKind, Informer[Any]] = {
        kind: plane.manager.informers.any_of(read) for kind, read in READ.items()
    }
    objects = InformedObjects(informers)
    client = Client(plane.transport)
    return PageSource(
        kind="up",
        name=plane.url,
        objects=objects,
        questions=Questions(objects, plugins=load_catalogue(in_tree_plugins()), client=client),
        may_write=True,
        decisions="own",
        plan_state=partial(state_of_cluster, client),
    )


@contextmanager
def noting(journal: Journal, interception: Interception) -> Iterator[None]:
    """Have the journal note what the controllers say and write (OWN_PAGE-2)."""
    interception.hear = lambda made: journal.note(NotedWrite(time.time(), made))
    try:
        with logs.overheard(journal.note):
            yield
    finally:
        interception.hear = None
