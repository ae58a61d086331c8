"""Whether an object is gone, proven: absence of an answer is never taken for absence of the object.

PROOF-1  `Gone` needs two answers, one directly after the other: a read that is refused with a Kubernetes `Status`,
         reason NotFound, whose details name this very resource and name (or that shows another object under the name),
         and a list of this very kind, with a revision, in which the object isn't.
PROOF-2  Any other answer is `Unproven`: a 404 of a proxy, of an aggregator or about another kind, any other refusal, no
         answer, a list of another kind, without items or revision, cut off, of a larger selection, or older than the
         caller's own knowledge of the kind.
PROOF-3  `Present` is the object itself, read live: the right kind, name and namespace, and the uid of the question.

A kind that isn't served proves nothing about its objects: its API may be switched off for a while. Not promised: that
the answer still holds after the next `await`. An object that was seen with its uid since is proof of the contrary, so a
caller asks its cache again. Call it from the loop's thread, directly before the step that can't be undone.
"""

from __future__ import annotations

from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from pvbinder.kube.client import UNREADABLE, Client, Kind, KubernetesObject
from pvbinder.kube.documents import ListMeta, MetadataRead, names_list_of
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.transport import Answer, Request
from pvbinder.model.resource_versions import revision_number
from pvbinder.model.resources import Resource

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)

LIST_LIMIT = "2"  # there is only one object of a name: an answer with more isn't one to our question


class Gone(Struct, frozen=True):
    """The server that answers for the kind says that there is no such object."""


class Present(Struct, Generic[T_co], frozen=True):
    """The object is there; this is it, as the server has it."""

    object: T_co


class Unproven(Struct, frozen=True):
    """Nobody knows: keep everything, say so, ask again later. `why` is for people."""

    why: str


Proof: TypeAlias = Gone | Present[T] | Unproven


class _Object(Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    metadata: MetadataRead = msgspec.field(default_factory=MetadataRead)


class _List(Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[_Object] | msgspec.UnsetType | None = msgspec.UNSET


_objects = msgspec.json.Decoder(_Object)
_lists = msgspec.json.Decoder(_List)


async def prove_gone(
    client: Client, kind: Kind[T], name: str, namespace: str = "", *, uid: str = "", known_revision: str = ""
) -> Proof[T]:
    """Say whether the object is gone (PROOF-1 to PROOF-3).

    With `uid` the question is about that one object, and another one of its name proves that it is gone; without it,
    about any object of that name. `known_revision` is the newest revision of this kind that the caller knows of: a
    list that is older proves nothing.
    """
    resource = kind.resource
    what = described(resource, name, namespace)
    if not name or (resource.namespaced and not namespace):
        return Unproven(f"{what} is no complete name, so nothing can be asked about it")
    read = Request("GET", resource.path(namespace or None, name))
    try:
        answer = await client.request("get", resource, read)
    except ApiFailure as failure:
        if not failure.names_as_not_found(resource, name):
            return Unproven(_not_about_the_object(what, failure))
    except ConnectionFailed as failed:
        return Unproven(f"{what} could not be read: {failed.message}")
    else:
        found = _read(kind, answer, name, namespace, uid)
        if found is not None:
            return found
    return await _confirm(client, resource, name, namespace, uid, known_revision) or Gone()


def described(resource: Resource, name: str, namespace: str = "") -> str:
    """The object as messages name it."""
    key = f"{namespace}/{name}" if namespace else name
    return f'{resource.qualified} "{key}"'


def _read(kind: Kind[T], answer: Answer, name: str, namespace: str, uid: str) -> Present[T] | Unproven | None:
    """Judge a successful read; None: there is another object of this name, if the server answers for the kind."""
    resource = kind.resource
    what = described(resource, name, namespace)
    try:
        head = _objects.decode(answer.body)
    except UNREADABLE as error:
        return Unproven(f"the answer to a read of {what} is no object: {error}")
    if (head.kind, head.api_version) != (resource.kind, resource.api_version):
        return Unproven(f"the answer to a read of {what} is {_kind_of(head.kind, head.api_version)}")
    meta = head.metadata
    if (meta.name, meta.namespace) != (name, namespace) or (uid and not meta.uid):
        return Unproven(f"the answer to a read of {what} is another object, or has no uid")
    if uid and meta.uid != uid:
        return None
    try:
        return Present(kind.parse(answer.body))
    except UNREADABLE as error:
        return Unproven(f"{what} is there, but can't be understood: {error}")


async def _confirm(
    client: Client, resource: Resource, name: str, namespace: str, uid: str, known_revision: str
) -> Unproven | None:
    """Have the server show that it answers for the kind, and that the object isn't there; None if it does."""
    query = {"fieldSelector": f"metadata.name={name}", "limit": LIST_LIMIT}
    what = f"the list of {resource.qualified}"
    try:
        answer = await client.request("list", resource, Request("GET", resource.path(namespace or None), query))
    except (ApiFailure, ConnectionFailed) as error:
        return Unproven(f"{what} could not be read: {error.message}")
    try:
        listed = _lists.decode(answer.body)
    except UNREADABLE as error:
        return Unproven(f"{what} is no list: {error}")
    if not names_list_of(resource, listed.kind, listed.api_version):
        return Unproven(f"{what} is {_kind_of(listed.kind, listed.api_version)}")
    problem = _problem_of(listed, resource, name, namespace, uid, known_revision)
    return Unproven(f"{what} {problem}") if problem is not None else None


def _problem_of(
    listed: _List, resource: Resource, name: str, namespace: str, uid: str, known_revision: str
) -> str | None:
    """Why `listed` doesn't show that the object is gone, if it doesn't."""
    revision = listed.metadata.resource_version
    number, known = revision_number(revision), revision_number(known_revision)
    if not number:
        return "has no revision"
    if known is not None and number < known:
        return f"is of revision {revision}, older than {known_revision}, which is known already"
    if listed.items is msgspec.UNSET:
        return "has no items, not even an empty list of them"
    if listed.metadata.continue_:
        return "goes on after the objects of one name: it isn't what was asked for"
    for item in listed.items or ():
        if (item.kind or resource.kind, item.api_version or resource.api_version) != (
            resource.kind,
            resource.api_version,
        ):
            return f"has {_kind_of(item.kind, item.api_version)} in it"
        if (item.metadata.name, item.metadata.namespace) != (name, namespace) or not item.metadata.uid:
            return "has objects that were not asked for"
        if uid in ("", item.metadata.uid):
            return "has the object, though a read didn't find it"
    return None


def _not_about_the_object(what: str, failure: ApiFailure) -> str:
    if failure.status == 404:
        return f"a 404 came that doesn't say that {what} is not there: {failure.message}"
    return f"{what} could not be read: {failure.message}"


def _kind_of(kind: str, api_version: str) -> str:
    return f"a {kind} of {api_version or 'no version'}" if kind else "nothing that says its kind"
