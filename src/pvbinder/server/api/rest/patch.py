"""PATCH of an object or of a subresource: JSON patch, merge patch, strategic merge patch, server-side apply (GW-8)."""

from __future__ import annotations

from typing import cast, get_args

from pvbinder.server.api.rest import subresources
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.errors import ApiError, conflict, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Subresource
from pvbinder.server.objects.patches import PatchType
from pvbinder.server.requests import ApiRequest, ApiResponse

APPLY_PATCH = "application/apply-patch+yaml"
_PATCHES = frozenset({*get_args(PatchType), APPLY_PATCH})


async def patch(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    """Answer a PATCH."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type not in _PATCHES:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    is_apply = content_type == APPLY_PATCH
    write = WriteRequest.read(api, request, attributes, storage, "PatchOptions", is_apply=is_apply)
    if sub is not None and sub.body is not None:
        return await subresources.patch(write, sub, content_type)
    if is_apply:
        return await _apply(write, sub)
    stored = write.find_there()
    write.weigh(stored)
    patched = await write.patched(storage.served(stored.data), storage.kind, cast(PatchType, content_type))
    new = storage.kind.to_storage(patched)
    write.check_identity(new)
    return write.answer(await write.store_change(stored, storage.decode(stored.data), new, sub))


async def _apply(write: WriteRequest, sub: Subresource | None) -> ApiResponse:
    """Server-side apply: creates what isn't there."""
    storage, name = write.storage, write.attributes.name
    stored = write.find()
    if stored is None and sub is not None:
        raise not_found(storage.kind.resource, name)
    write.weigh(stored)
    before = None if stored is None else storage.served(stored.data)
    applied = await write.applied(before, storage.kind, sub)
    write.check_not_overtaken(stored)
    write.check_identity(applied)
    new = storage.kind.to_storage(applied)
    if stored is None:
        if uid := applied["metadata"].get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(storage.kind.resource, name, why)
        return write.answer(await write.store_new(new, record=False), 201)
    return write.answer(await write.store_change(stored, storage.decode(stored.data), new, sub, record=False))
