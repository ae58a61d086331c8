"""A list as evidence: that nothing refers to an object, that a namespace has no objects of a kind left.

On the strength of such a list, finalizers, dependents and whole namespaces are removed. So the absence of an object is
believed only of a list that has been checked.

EVIDENCE-1  A list counts only if it is complete: answered 200, of this very kind (or of its metadata, where they were
            asked for), with its items and a revision, read page by page to its end. An object in it that can't be read
            makes it doubtful: it may be the one that matters.
EVIDENCE-2  A list that is older than the caller's own knowledge proves nothing.
EVIDENCE-3  It must agree with the cache: for an object of the cache that isn't in the list, the cache gets time to
            catch up, then the server is asked by name. It must deny each; one that is there shows that the list is
            false.

A failure raises `DoubtfulList`, or the error of the request: keep everything, say so, ask again later. A list that has
more than the cache is no contradiction: it is the better witness.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from pvbinder.kube.client import PAGE_OBJECTS_MAX, UNREADABLE, Client, Kind, KubernetesObject
from pvbinder.kube.documents import ListMeta, names_list_of
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resource_versions import revision_number
from pvbinder.model.resources import Resource

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)

METADATA_LIST: Final = ("PartialObjectMetadataList", "meta.k8s.io/v1")
CATCH_UP_SECONDS: Final = (0.0, 0.01, 0.03, 0.1, 0.3, 0.6)  # usually the first few are enough for a cache
ASKED_ONE_BY_ONE_MAX: Final = 20  # objects that only the cache has; more are not explained by a cache that is late


class DoubtfulList(PvbinderError):  # noqa: N818  (an answer that proves nothing)
    """The list proves nothing about the objects that aren't in it."""


class WholeList(Struct, Generic[T_co], frozen=True):
    """All objects of a kind, in a namespace or everywhere, at one revision."""

    resource: Resource
    items: tuple[T_co, ...]
    resource_version: str


class _Meta(ListMeta, rename="camel"):
    remaining_item_count: int | None = None


class _Body(Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


class _Head(Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""


_bodies = msgspec.json.Decoder(_Body)
_heads = msgspec.json.Decoder(_Head)


async def read_whole_list(
    client: Client, kind: Kind[T], namespace: str = "", *, not_before: Iterable[str] = ()
) -> WholeList[T]:
    """Read a list that may serve as evidence (EVIDENCE-1, EVIDENCE-2).

    `not_before` are revisions that were seen before the question was asked: of the kind's cache, of the object that the
    question is about. One that is no number is no hurdle.
    """
    known = max((revision_number(one) or 0 for one in not_before), default=0)
    path = kind.resource.path(namespace or None)
    query = {"limit": str(PAGE_OBJECTS_MAX)}
    found: list[T] = []
    first = ""
    while True:
        answer = await client.request("list", kind.resource, Request("GET", path, query, accept=kind.accept_list))
        body = _decoded(kind, answer.body, namespace)
        first = first or body.metadata.resource_version
        _check_age(kind, body.metadata.resource_version, first, known)
        found += _parsed(kind, body.items or (), namespace)
        await asyncio.sleep(0)
        if not body.metadata.continue_:
            break
        query["continue"] = body.metadata.continue_
    if body.metadata.remaining_item_count:
        raise _doubt(kind, f"ends, though {body.metadata.remaining_item_count} more objects should come")
    return WholeList(kind.resource, tuple(found), first)


async def check_against(
    listed: WholeList[T], client: Client, kind: Kind[T], cached: Callable[[], Collection[KubernetesObject]]
) -> None:
    """Raise `DoubtfulList` unless what `cached` has and `listed` has not is really gone (EVIDENCE-3)."""
    there = {one.uid for one in listed.items}
    revision = revision_number(listed.resource_version) or 0
    missing: list[KubernetesObject] = []
    for pause_seconds in CATCH_UP_SECONDS:
        if pause_seconds:
            await asyncio.sleep(pause_seconds)
        missing = [one for one in cached() if one.uid not in there and not _is_newer(one, revision)]
        if not missing:
            return
    if len(missing) > ASKED_ONE_BY_ONE_MAX:
        raise _doubt(kind, f"lacks {len(missing)} objects that the cache has")
    for one in missing:
        try:
            found = await client.get(kind, one.name, one.namespace)
        except ApiFailure as failure:
            if not failure.names_as_not_found(kind.resource, one.name):
                raise
            continue  # the cache is late
        if found.uid == one.uid or (found.name, found.namespace) != (one.name, one.namespace):
            raise _doubt(kind, f"lacks {one.key}, which is there")


def _is_newer(view: KubernetesObject, revision: int) -> bool:
    return (revision_number(view.resource_version) or 0) > revision


def _decoded(kind: Kind[T], data: bytes, namespace: str) -> _Body:
    try:
        body = _bodies.decode(data)
    except UNREADABLE as error:
        raise _doubt(kind, f"is no list: {error}") from error
    named = (body.kind, body.api_version)
    if not names_list_of(kind.resource, *named) and not (kind.only_metadata and named == METADATA_LIST):
        raise _doubt(kind, f"is a {body.kind or 'document without a kind'} of {body.api_version or 'no version'}")
    if body.items is msgspec.UNSET:
        raise _doubt(kind, "has no items, not even an empty list of them")
    return body


def _check_age(kind: Kind[T], revision: str, first: str, known: int) -> None:
    number = revision_number(revision)
    if not number:
        raise _doubt(kind, "has no revision")
    if revision != first:
        raise _doubt(kind, f"goes on at revision {revision}, but began at {first}")
    if number < known:
        raise _doubt(kind, f"is of revision {revision}, older than {known}, which is known already")


def _parsed(kind: Kind[T], documents: Iterable[msgspec.Raw], namespace: str) -> list[T]:
    views = []
    for document in documents:
        raw = bytes(document)
        try:
            head, view = _heads.decode(raw), kind.parse(raw)
        except UNREADABLE as error:
            raise _doubt(kind, f"has an object that can't be read: {error}") from error
        is_metadata = kind.only_metadata and head.kind == "PartialObjectMetadata"
        if head.kind not in ("", kind.resource.kind) and not is_metadata:
            raise _doubt(kind, f"has a {head.kind} in it")
        if not view.name or not view.uid or (namespace and view.namespace != namespace):
            raise _doubt(kind, f"has an object that was not asked for: {view.key or 'one without a name'}")
        views.append(view)
    return views


def _doubt(kind: Kind[T], why: str) -> DoubtfulList:
    return DoubtfulList(f"the list of {kind.resource.qualified} {why}")
