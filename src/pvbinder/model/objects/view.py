"""The fields that the views of all kinds share, and the parsing of them.

Metadata are decoded one way: `IdentityMeta`, which says which object it is, and structs that extend it by the fields
that a view reads. Names that the package doesn't re-export are for `model` only.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, decode
from pvbinder.model.objects.kept import unpacked
from pvbinder.model.objects.sharing import NOTHING
from pvbinder.model.quantity import Quantity, QuantityError, parse_quantity


class MalformedObjectError(PvbinderError):
    """JSON that is no object of its kind."""


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """An owner of an object."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    api_version: str | None = None


class IdentityMeta(Struct, frozen=True, gc=False, rename="camel"):
    """Metadata as JSON has them, as far as they say which object it is; views that read more of them extend it."""

    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None


class ObjectMeta(IdentityMeta, frozen=True):
    """The metadata that views have."""

    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: tuple[str, ...] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class WorkloadMeta(ObjectMeta, frozen=True):
    """The metadata of a workload, whose controller says which generation of it it has seen."""

    generation: int | None = None


class View(Struct, frozen=True, gc=False):
    """The fields of every view; the JSON in the form in which it is kept."""

    kept: bytes
    name: str
    namespace: str
    uid: str
    resource_version: str
    labels: dict[str, str]
    annotations: dict[str, str]
    finalizers: tuple[str, ...]
    created: str
    deletion_timestamp: str | None

    @property
    def raw(self) -> bytes:
        """The object's own JSON (OBJECTS-1)."""
        return unpacked(self.kept)

    def document(self) -> Json:
        """Return a fresh copy of the whole object, to change and write back (OBJECTS-1)."""
        return decode(self.raw)

    @property
    def is_deleting(self) -> bool:
        """Tell whether a deletion timestamp is set."""
        return self.deletion_timestamp is not None


class MetadataOnly(Struct, frozen=True, gc=False):
    """An object of any kind, reduced to its metadata."""

    metadata: ObjectMeta | None = None


Amounts: TypeAlias = dict[str, str | int | float]

NO_META = ObjectMeta()
_named = msgspec.json.Decoder(MetadataOnly)

_Found = TypeVar("_Found")


def parsed(decoder: msgspec.json.Decoder[_Found], data: bytes, kind: str) -> _Found:
    """Return what `decoder` reads in `data`, or raise `MalformedObjectError` (OBJECTS-3)."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedObjectError(f"{kind}{_name_in(data)} can't be read: {error}") from error


def _name_in(data: bytes) -> str:
    try:
        return quoted(_named.decode(data).metadata or NO_META)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""


def quoted(meta: ObjectMeta) -> str:
    """Return the name for a message, after a space."""
    return f' "{meta.namespace}/{meta.name}"' if meta.namespace else f' "{meta.name}"'


def view_fields(
    data: bytes, meta: ObjectMeta
) -> tuple[bytes, str, str, str, str, dict[str, str], dict[str, str], tuple[str, ...], str, str | None]:
    """Return the fields of `View`, in their order."""
    return (
        data,
        meta.name or "",
        meta.namespace or "",
        meta.uid or "",
        meta.resource_version or "",
        meta.labels or NOTHING,
        meta.annotations or NOTHING,
        meta.finalizers or (),
        meta.creation_timestamp or "",
        meta.deletion_timestamp,
    )


def amount(amounts: Amounts | None, kind: str, meta: ObjectMeta, path: str) -> Quantity | None:
    """Return the amount of storage among `amounts`, or raise `MalformedObjectError` (OBJECTS-3)."""
    value = amounts.get("storage") if amounts else None
    if value is None:
        return None
    try:
        return parse_quantity(value if isinstance(value, str) else repr(value))
    except QuantityError as error:
        raise MalformedObjectError(f"{kind}{quoted(meta)}: {path}[storage]: {value!r}: {error.message}") from error
