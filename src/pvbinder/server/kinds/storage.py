"""Where the objects of a kind are kept, and how their bytes go out.

An object is stored as the very bytes that a GET of it answers: ``kind`` and ``apiVersion`` first, then ``metadata``
with its fields in the reference's order, then the rest. A list shows its items without the first two, so an item is a
slice.

STORAGE-1  No object larger than `OBJECT_BYTES_MAX` is stored, and a dry run says so, too: measured is what would be
           stored, after decoding, defaults and patches, with managed fields. A larger object of an older store, which
           had no limit, can be read, made smaller and deleted.

A kind that is served from the objects of another kind has the storage of that kind, and converts on the way in and out.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pvbinder.model.resources import Resource
from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import METADATA_ORDER, Json, ServedKind
from pvbinder.server.objects.schema.empty_lists import always_written, write_empty_as_null
from pvbinder.server.store import Stored

OBJECT_BYTES_MAX = 3 << 19  # 1.5 MiB, as etcd

_decoder = msgspec.json.Decoder(dict)
_encoder = msgspec.json.Encoder()


class Storage:
    """Where one served kind has its objects; `base` is the kind whose form is stored and whose rules hold."""

    __slots__ = ("_prefix", "base", "kind", "store_name")

    def __init__(self, kind: ServedKind, base: ServedKind) -> None:
        self.kind = kind
        self.base = base
        self.store_name = base.resource.qualified
        self._prefix = len(_encoder.encode({"kind": base.resource.kind, "apiVersion": base.resource.api_version}))

    @property
    def converts(self) -> bool:
        """Whether the served form differs from the stored one."""
        return self.kind is not self.base or self.base.reread is not None

    def key(self, namespace: str, name: str) -> str:
        """Return the key of an object."""
        return f"{namespace}/{name}" if self.kind.resource.namespaced else name

    def prefix(self, namespace: str) -> str:
        """Return what the keys of a namespace begin with; "" for all of them."""
        return f"{namespace}/" if namespace and self.kind.resource.namespaced else ""

    def decode(self, data: bytes) -> Json:
        """Return an object in the form in which it is stored."""
        obj: Json = _decoder.decode(data)
        return obj if self.base.reread is None else self.base.reread(obj)

    def answer(self, data: bytes) -> bytes:
        """Return a stored object's bytes as they go out."""
        if not self.converts:
            return data
        return _encoder.encode(self.served(data))

    def item_members(self, data: bytes) -> bytes | memoryview:
        """Return an object's bytes as they stand in a list, without kind and apiVersion, from after the first ``{``."""
        if not self.converts:
            return memoryview(data)[self._prefix :]
        obj = self.served(data)
        return _encoder.encode({name: value for name, value in obj.items() if name not in ("kind", "apiVersion")})[1:]

    def members_length(self, weight: int, count: int) -> int:
        """Return how long `count` stored objects of `weight` bytes together are in a list, with their ``{``."""
        return weight - count * (self._prefix - 1)

    def served(self, data: bytes) -> Json:
        """Return a stored object as it is served."""
        return self.kind.from_storage(self.decode(data))

    def arrange(self, obj: Json) -> Json:
        """Return `obj`, in the form in which it is stored, with its parts in the order of canonical bytes."""
        resource = self.base.resource
        stored = self.base.stored_form(obj)
        metadata = stored["metadata"]
        metadata.setdefault("resourceVersion", "")
        arranged: Json = {
            "kind": resource.kind,
            "apiVersion": resource.api_version,
            "metadata": {name: metadata[name] for name in METADATA_ORDER if name in metadata},
        }
        for name, value in stored.items():
            if name not in arranged:
                arranged[name] = value
        if not self.base.is_custom:
            write_empty_as_null(always_written(self.base.schema), arranged)
        return arranged


def encoder_of(arranged: Json, bytes_max: int | None = OBJECT_BYTES_MAX) -> Callable[[int], bytes]:
    """Return the encoder of an arranged object; it raises ApiError 413 for one that is too large (STORAGE-1)."""
    metadata = arranged["metadata"]

    def encode(revision: int) -> bytes:
        metadata["resourceVersion"] = str(revision)
        return encode_object(arranged, bytes_max)

    return encode


def encode_object(arranged: Json, bytes_max: int | None = OBJECT_BYTES_MAX) -> bytes:
    """Return the bytes of an arranged object, or raise ApiError 413 if they are too many (STORAGE-1)."""
    data = _encoder.encode(arranged)
    if bytes_max is not None and len(data) > bytes_max:
        raise too_large_to_store(len(data))
    return data


def too_large_to_store(size: int) -> ApiError:
    """413 of an object that is too large to be stored (STORAGE-1)."""
    why = f"the object takes {size} bytes with its managed fields, and at most {OBJECT_BYTES_MAX} can be stored"
    return ApiError(413, "RequestEntityTooLarge", f"etcdserver: request is too large: {why}", details={})


def room_for(stored: Stored) -> int:
    """Return the size that an object in the place of `stored` may have: one too large may shrink (STORAGE-1)."""
    return max(OBJECT_BYTES_MAX, len(stored.data))


def encode(document: object) -> bytes:
    """Return `document` as compact JSON."""
    return _encoder.encode(document)


def plural_as_kind(resource: Resource) -> Resource:
    """Return `resource` as the reference names it in the messages that show the plural for the kind (GW-5)."""
    return Resource(resource.group, resource.version, resource.plural, resource.plural, resource.namespaced)
