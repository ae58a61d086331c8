"""Answers, checked before they are believed: a document of another kind is no answer to the question.

DOCUMENTS-1  A list is refused when it says that it is one of another kind, when it has no items at all (an empty list
             of them is fine), when it is cut off, and when one of its items says that it is of another kind.
DOCUMENTS-2  A single object is refused when it says that it is of another kind. One that says nothing is believed:
             items of a list don't carry their kind.

The generic ``List`` counts as a list of the kind; so does, in groups of custom kinds, any name of a list.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource

METADATA_VERSION: Final = "meta.k8s.io/v1"
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"  # the annotation of the bookmark that ends a streaming list


class ForeignDocument(PvbinderError):  # noqa: N818 (says which answer came)
    """The document is no list, or not of the kind that was asked for."""


class ListMeta(msgspec.Struct, rename="camel"):
    """The metadata of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ListBody(msgspec.Struct, rename="camel"):
    """A list, its items as they came."""

    kind: str | None = None
    api_version: str | None = None
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | msgspec.UnsetType | None = msgspec.UNSET


class MetadataRead(msgspec.Struct, rename="camel"):
    """The metadata that tell one object from another."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class BookmarkMetadata(MetadataRead):
    """The metadata of a bookmark."""

    annotations: dict[str, str] | None = None


class _Bookmark(msgspec.Struct):
    metadata: BookmarkMetadata = msgspec.field(default_factory=BookmarkMetadata)


class _OnlyMetadata(msgspec.Struct):
    metadata: MetadataRead = msgspec.field(default_factory=MetadataRead)


class _Head(msgspec.Struct, rename="camel"):
    kind: str | None = None
    api_version: str | None = None


class _StatusCode(msgspec.Struct):
    code: int = 500


_lists = msgspec.json.Decoder(ListBody)
_heads = msgspec.json.Decoder(_Head)
_metadata = msgspec.json.Decoder(_OnlyMetadata)
_bookmarks = msgspec.json.Decoder(_Bookmark)
_codes = msgspec.json.Decoder(_StatusCode)
_BROKEN = (msgspec.MsgspecError, UnicodeDecodeError)


def read_list(resource: Resource, body: bytes, *, as_metadata: bool = False) -> ListBody:
    """Return the list of `resource` in `body`; raise `ForeignDocument` for anything else (DOCUMENTS-1)."""
    try:
        found = _lists.decode(body)
    except _BROKEN as error:
        raise ForeignDocument(f"the list of {resource.qualified} is no list: {error}") from error
    if found.items is msgspec.UNSET or not _is_list_of(resource, found, as_metadata=as_metadata):
        came = f"a {found.kind} of {found.api_version}" if found.kind else "something without kind"
        raise ForeignDocument(f"the list of {resource.qualified} is no list of them: {came} came, or it has no items")
    return found


def _is_list_of(resource: Resource, found: ListBody, *, as_metadata: bool) -> bool:
    kind, api_version = found.kind, found.api_version
    if as_metadata and (kind, api_version) == ("PartialObjectMetadataList", METADATA_VERSION):
        return True
    if kind in (None, "List"):  # it doesn't say of which kind; its items do, where they can
        return api_version in (None, "v1")
    return names_list_of(resource, kind or "", api_version or "")


def names_list_of(resource: Resource, kind: str, api_version: str) -> bool:
    """Whether a document of this kind is a list of `resource`; a definition may call its lists anything."""
    if api_version != resource.api_version:
        return False
    return kind == f"{resource.kind}List" or (is_custom(resource) and kind not in ("", resource.kind))


def is_custom(resource: Resource) -> bool:
    """Whether the group can only be one of custom or aggregated kinds: Kubernetes keeps ``k8s.io`` for itself."""
    return "." in resource.group and not resource.group.endswith(".k8s.io")


def check_object(resource: Resource, document: bytes, *, as_metadata: bool = False) -> None:
    """Raise `ForeignDocument` if `document` says that it is of another kind than `resource` (DOCUMENTS-2)."""
    try:
        head = _heads.decode(document)
    except _BROKEN:
        return  # the parser says what is wrong
    if head.kind is None or (head.kind == resource.kind and head.api_version in (None, resource.api_version)):
        return
    if as_metadata and (head.kind, head.api_version) == ("PartialObjectMetadata", METADATA_VERSION):
        return
    raise ForeignDocument(f"a {head.kind} of {head.api_version} came in place of a {resource.kind}")


def read_metadata(document: bytes) -> MetadataRead:
    """Return the object's name, namespace and revision, as far as they can be read."""
    try:
        return _metadata.decode(document).metadata
    except _BROKEN:
        return MetadataRead()


def read_bookmark(document: bytes) -> BookmarkMetadata:
    """Return the bookmark's revision and annotations, as far as they can be read."""
    try:
        return _bookmarks.decode(document).metadata
    except _BROKEN:
        return BookmarkMetadata()


def code_of(status: bytes) -> int:
    """The HTTP status that a Status object in a stream stands for."""
    try:
        return _codes.decode(status).code
    except _BROKEN:
        return 500
