"""Subresources whose body is another kind: ``scale`` is read and written, ``binding`` and ``eviction`` are posted."""

from __future__ import annotations

from typing import cast, get_args

from pvbinder.server.api.negotiation import Form, respond
from pvbinder.server.api.rest.delete import evict
from pvbinder.server.api.rest.options import read_delete_options
from pvbinder.server.api.rest.writing import Writer
from pvbinder.server.errors import ApiError, bad_request, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.parts.scaled_fields import bring_back, entries_of_scale
from pvbinder.server.kinds.storage import encode
from pvbinder.server.objects.apply import apply_with_warnings
from pvbinder.server.objects.kind import Json, ServedKind, Subresource
from pvbinder.server.objects.patches import PatchType, apply_patch
from pvbinder.server.objects.schema import decode_body
from pvbinder.server.requests import ApiResponse
from pvbinder.server.store import Stored


async def replace(writer: Writer, attributes: Attributes, sub: Subresource, form: Form) -> ApiResponse:
    """Answer a PUT of a subresource that has a body of its own."""
    _check_reach(writer, sub, _stored(writer, attributes))
    body = await _decode(writer, sub)
    _check_name(body, attributes.name)
    stored = _stored(writer, attributes)
    return await _write(writer, attributes, sub, form, stored, body)


async def patch(writer: Writer, attributes: Attributes, sub: Subresource, form: Form, content_type: str) -> ApiResponse:
    """Answer a PATCH of a subresource that has a body of its own; only a Scale can be applied."""
    stored = _stored(writer, attributes)
    _check_reach(writer, sub, stored)
    if content_type not in get_args(PatchType):
        if not sub.replicas_path:
            raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
        return await _apply(writer, attributes, sub, form, stored)
    before = sub.read(writer.storage.served(stored.data))
    validation = writer.options.field_validation
    patch_type = cast(PatchType, content_type)
    body, warnings = await writer.aside(
        lambda: apply_patch(before, writer.request.body, patch_type, _kind_of(sub), validation)
    )
    writer.warnings += warnings
    if body.get("metadata", {}).get("resourceVersion") == before["metadata"].get("resourceVersion"):
        body["metadata"].pop("resourceVersion", None)
    return await _write(writer, attributes, sub, form, stored, body)


async def post(writer: Writer, attributes: Attributes, sub: Subresource, form: Form) -> ApiResponse:
    """Answer a POST to a subresource."""
    if sub.removes:
        return await _evict(writer, attributes, sub, form)
    stored = _stored(writer, attributes)
    answer = writer.api.posts.get((writer.storage.kind.resource.qualified, sub.name))
    if answer is not None:
        asked = await _decode(writer, sub)
        stored = _stored(writer, attributes)
        response = respond(writer.request, 201, answer(writer.storage.served(stored.data), asked), form.media_type)
        response.warnings = tuple(writer.warnings)
        return response
    _check_reach(writer, sub, stored)
    body = await _decode(writer, sub)
    return await _write(writer, attributes, sub, form, _stored(writer, attributes), body)


async def _apply(writer: Writer, attributes: Attributes, sub: Subresource, form: Form, stored: Stored) -> ApiResponse:
    """Server-side apply of a Scale: who applies it owns the object's replicas (SCALED-1, SCALED-2)."""
    kind, options = _kind_of(sub), writer.options
    obj = writer.storage.decode(stored.data)
    before = sub.read(writer.storage.served(stored.data))
    entries = entries_of_scale(obj["metadata"].get("managedFields"), sub.replicas_path)
    if entries:
        before["metadata"]["managedFields"] = entries
    body, warnings = await writer.aside(
        lambda: apply_with_warnings(
            before,
            writer.request.body,
            options.field_validation,
            manager=options.field_manager,
            force=bool(options.force),
            kind=kind,
            now=writer.now,
            subresource=sub.name,
        )
    )
    writer.warnings += warnings
    _check_name(body, attributes.name)
    return await _write(writer, attributes, sub, form, stored, body, is_applied=True)


async def _write(
    writer: Writer,
    attributes: Attributes,
    sub: Subresource,
    form: Form,
    stored: Stored,
    body: Json,
    *,
    is_applied: bool = False,
) -> ApiResponse:
    """Put a body into the object, store that, and show the subresource anew; an applied body has its managed fields."""
    assert sub.write is not None
    writer.weigh(stored)
    storage = writer.storage
    old, new = storage.decode(stored.data), storage.decode(stored.data)
    del new["metadata"]["resourceVersion"]  # what the body says counts
    sub.write(new, body, writer.now)
    if is_applied:
        entries = body["metadata"].get("managedFields")
        bring_back(new["metadata"], entries, sub.replicas_path, storage.kind.resource.api_version)
    key = storage.key(attributes.namespace, attributes.name)
    data = await writer.update(stored, old, new, key, sub, record=not is_applied)
    if sub.answers_status:
        return respond(writer.request, 201, _success(), form.media_type)
    response = respond(writer.request, 200, sub.read(storage.served(data)), form.media_type)
    response.warnings = tuple(dict.fromkeys(writer.warnings))
    return response


async def _evict(writer: Writer, attributes: Attributes, sub: Subresource, form: Form) -> ApiResponse:
    body = await _decode(writer, sub)
    _check_name(body, attributes.name)
    asked: Json = {"kind": "DeleteOptions", "apiVersion": "v1", **(body.get("deleteOptions") or {})}
    options = read_delete_options(writer.request.query, encode(asked))
    await evict(writer.api, writer.storage, attributes.namespace, attributes.name, options, writer.user)
    return respond(writer.request, 201, _success(), form.media_type)


def _stored(writer: Writer, attributes: Attributes) -> Stored:
    storage = writer.storage
    stored = writer.api.objects.store.head(storage.store_name, storage.key(attributes.namespace, attributes.name))
    if stored is None:
        raise not_found(storage.kind.resource, attributes.name)
    return stored


def _check_reach(writer: Writer, sub: Subresource, stored: Stored) -> None:
    """Refuse a write to what stands for something else that isn't there, such as a kubelet."""
    if sub.write is None:
        sub.read(writer.storage.served(stored.data))  # says so
        raise ApiError(501, "NotImplemented", f"{sub.name} can't be written")


def _kind_of(sub: Subresource) -> ServedKind:
    """Return the declaration by which a body is decoded."""
    assert sub.body is not None
    return ServedKind(resource=sub.body, singular=sub.body.kind.lower(), schema=sub.body_schema)


async def _decode(writer: Writer, sub: Subresource) -> Json:
    request, kind, validation = writer.request, _kind_of(sub), writer.options.field_validation
    content_type = request.headers.get("content-type", "")
    body, warnings = await writer.aside(lambda: decode_body(request.body, content_type, kind, validation))
    writer.warnings += warnings
    return body


def _check_name(body: Json, name: str) -> None:
    sent = body.get("metadata", {}).get("name", "")
    if sent and sent != name:
        raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")


def _success() -> Json:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
