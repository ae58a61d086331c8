"""The source of the page of `pvbinder up`: the caches that its controllers share."""

from __future__ import annotations

from typing import Any

from pvbinder.kube.client import Client
from pvbinder.kube.informer import Informer
from pvbinder.plane.control_plane import Plane
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue
from pvbinder.web.asking import Questions
from pvbinder.web.objects import READ, InformedObjects
from pvbinder.web.page import PageSource
from pvbinder.web.rows import RowKind


def source_of(plane: Plane) -> PageSource:
    """Return what a page needs of a control plane in this process: no list and no watch but those there are."""
    informers: dict[RowKind, Informer[Any]] = {
        kind: plane.manager.informers.any_of(read) for kind, read in READ.items()
    }
    objects = InformedObjects(informers)
    questions = Questions(objects, plugins=load_catalogue(in_tree_plugins()), client=Client(plane.transport))
    return PageSource(kind="up", name=plane.url, objects=objects, questions=questions, may_write=True)
