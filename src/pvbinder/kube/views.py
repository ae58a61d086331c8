"""What requests give back: a kind with the views of its objects, pages of lists, events of watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from pvbinder.kube import documents
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource

JSON_ONLY = "application/json"
ONE_AS_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
LIST_AS_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
UNREADABLE = (msgspec.MsgspecError, ValueError, PvbinderError)  # the errors of parsing a document


class KubernetesObject(Protocol):
    """The parts of a view that requests need: its key, its revision, and the object's own JSON."""

    @property
    def key(self) -> str: ...  # "namespace/name" or "name"
    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...
    @property
    def raw(self) -> bytes: ...


T = TypeVar("T", bound=KubernetesObject)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of object that we read: how it is addressed and how its JSON becomes a view.

    With `only_metadata` the server is asked for the metadata only, and sends the whole object if it can't leave the
    rest out.
    """

    resource: Resource
    parse: Callable[[bytes], T]
    only_metadata: bool = False

    @property
    def accept_one(self) -> str:
        """The ``Accept`` header for one object, or a watch."""
        return ONE_AS_METADATA if self.only_metadata else JSON_ONLY

    @property
    def accept_list(self) -> str:
        """The ``Accept`` header for a list."""
        return LIST_AS_METADATA if self.only_metadata else JSON_ONLY


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that makes no view of its kind, and why."""

    key: str
    resource_version: str
    problem: str


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; `resource_version` is that of the whole list."""

    items: tuple[T, ...]
    resource_version: str
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """A line of a watch; a bookmark has no object, and one that can't be parsed is `unreadable`.

    The bookmark that ends a streaming list says so: `ends_initial`.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    resource_version: str
    object: T | None = None
    unreadable: Unreadable | None = None
    ends_initial: bool = False


def unreadable(document: bytes, error: Exception) -> Unreadable:
    """Return what can be told of an object that makes no view."""
    metadata = documents.read_metadata(document)
    key = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
    return Unreadable(key, metadata.resource_version, str(error))
