"""Subresources whose body is another kind: ``scale`` is read and written, ``binding`` and ``eviction`` are posted."""

from __future__ import annotations

from dataclasses import replace as with_fields
from typing import cast, get_args

from pvbinder.server.api.negotiation import respond
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.bindings import bind, of_bindings
from pvbinder.server.api.rest.evictions import evict
from pvbinder.server.api.rest.object_meta import put_in_namespace
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.errors import ApiError
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.built_in.pods import BIND
from pvbinder.server.kinds.parts.scaled_fields import bring_back, entries_of_scale
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json, ServedKind, Subresource
from pvbinder.server.objects.patches import PatchType
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.store import Stored


async def post(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource
) -> ApiResponse:
    """Answer a POST to a subresource of one object."""
    write = WriteRequest.read(api, request, attributes, storage, "CreateOptions")
    if sub.removes:
        await evict(write, await write.decode(_kind_of(sub, b'"policy/v1beta1"' in request.body)), sub)
        return respond(request, 201, _success(), write.form.media_type)
    if sub is BIND:
        await bind(write, await write.decode(_kind_of(sub)))
        return respond(request, 201, _success(), write.form.media_type)
    write.find_there()
    asked = await write.decode(_kind_of(sub))
    put_in_namespace(asked, write.namespace)
    answer = api.posts[storage.kind.resource.qualified, sub.name]
    shown = answer(storage.served(write.find_there().data), asked)
    return respond(request, 201, shown, write.form.media_type)


async def post_binding(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a POST to ``bindings``."""
    write, body = await of_bindings(api, request, attributes, storage)
    await bind(write, body)
    return respond(request, 201, _success(), write.form.media_type)


async def replace(write: WriteRequest, sub: Subresource) -> ApiResponse:
    """Answer a PUT of a subresource that has a body of its own."""
    body = await write.decode(_kind_of(sub))
    write.check_identity(body)
    return await _store(write, sub, write.find_there(), body)


async def patch(write: WriteRequest, sub: Subresource, content_type: str) -> ApiResponse:
    """Answer a PATCH of a subresource that has a body of its own; only a Scale can be applied."""
    stored = write.find_there()
    if content_type not in get_args(PatchType):
        if not sub.replicas_path:
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
        return await _apply(write, sub, stored)
    before = sub.read(write.storage.served(stored.data))
    body = await write.patched(before, _kind_of(sub), cast(PatchType, content_type))
    write.check_name(body)
    return await _store(write, sub, stored, body)


async def _apply(write: WriteRequest, sub: Subresource, stored: Stored) -> ApiResponse:
    """Server-side apply of a Scale: who applies it owns the object's replicas (SCALED-1, SCALED-2)."""
    obj = write.storage.decode(stored.data)
    before = sub.read(write.storage.served(stored.data))
    entries = entries_of_scale(obj["metadata"].get("managedFields"), sub.replicas_path)
    if entries:
        before["metadata"]["managedFields"] = entries
    body = await write.applied(before, _kind_of(sub), sub)
    write.check_name(body)
    return await _store(write, sub, stored, body, is_applied=True)


async def _store(
    write: WriteRequest, sub: Subresource, stored: Stored, body: Json, *, is_applied: bool = False
) -> ApiResponse:
    """Put a body into the object, store that, and show the subresource anew; an applied body has its managed fields."""
    assert sub.take_in is not None
    write.weigh(stored)
    storage = write.storage
    old, new = storage.decode(stored.data), storage.decode(stored.data)
    del new["metadata"]["resourceVersion"]  # what the body says counts
    sub.take_in(new, body, write.now)
    if write.request.method == "PUT" and (uid := body["metadata"].get("uid")):
        new["metadata"]["uid"] = uid  # it is checked as one that an update means
    if is_applied:
        entries = body["metadata"].get("managedFields")
        bring_back(new["metadata"], entries, sub.replicas_path, storage.kind.resource.api_version)
    data = await write.store_change(stored, old, new, sub, record=not is_applied)
    return respond(write.request, 200, sub.read(storage.served(data)), write.form.media_type)


def _kind_of(sub: Subresource, is_older: bool = False) -> ServedKind:
    """Return the declaration by which a body is decoded; `is_older`: of the version before, with the same fields."""
    assert sub.body is not None
    body = with_fields(sub.body, version="v1beta1") if is_older else sub.body
    return ServedKind(resource=body, singular=sub.body.kind.lower(), schema=sub.body_schema)


def _success() -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
