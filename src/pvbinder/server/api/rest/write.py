"""POST, PUT and PATCH of served kinds: what comes in is decoded and handed to `writing`."""

from __future__ import annotations

from typing import cast, get_args

from pvbinder.server.api.negotiation import Form, negotiate
from pvbinder.server.api.rest import bodies
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.options import OptionsKind, read_write_options
from pvbinder.server.api.rest.read import answer_object
from pvbinder.server.api.rest.writing import Writer
from pvbinder.server.errors import ApiError, bad_request, conflict, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.apply import apply_with_warnings
from pvbinder.server.objects.kind import Json, Subresource
from pvbinder.server.objects.patches import PatchType, apply_patch
from pvbinder.server.objects.schema import decode_body
from pvbinder.server.requests import ApiRequest, ApiResponse

APPLY_PATCH = "application/apply-patch+yaml"
_PATCHES = frozenset({*get_args(PatchType), APPLY_PATCH})


async def create(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a POST to a collection."""
    form = negotiate(request.headers.get("accept", ""))
    writer = _writer(api, request, storage, "CreateOptions")
    obj = await _decode(writer)
    data = await writer.create(storage.kind.to_storage(obj), _namespace(storage, attributes))
    return _answer(writer, data, form, 201)


async def post(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource
) -> ApiResponse:
    """Answer a POST to a subresource of one object."""
    form = negotiate(request.headers.get("accept", ""))
    return await bodies.post(_writer(api, request, storage, "CreateOptions"), attributes, sub, form)


async def update(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    """Answer a PUT of an object or of a subresource."""
    form = negotiate(request.headers.get("accept", ""))
    writer = _writer(api, request, storage, "UpdateOptions")
    if sub is not None and sub.body is not None:
        return await bodies.replace(writer, attributes, sub, form)
    obj = await _decode(writer)
    metadata = obj.setdefault("metadata", {})
    _check_name(metadata, attributes.name)
    _check_namespace(metadata, _namespace(storage, attributes))
    new = storage.kind.to_storage(obj)
    key = storage.key(attributes.namespace, attributes.name)
    stored = api.objects.store.head(storage.store_name, key)
    if stored is None:
        if not storage.base.put_creates or sub is not None:
            raise not_found(storage.kind.resource, attributes.name)
        data = await writer.create(new, _namespace(storage, attributes), instead_of=attributes)
        return _answer(writer, data, form, 201)
    writer.weigh(stored)
    data = await writer.update(stored, storage.decode(stored.data), new, key, sub)
    return _answer(writer, data, form, 200)


async def patch(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    """Answer a PATCH of an object or of a subresource (GW-8)."""
    form = negotiate(request.headers.get("accept", ""))
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if content_type not in _PATCHES:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    is_apply = content_type == APPLY_PATCH
    writer = _writer(api, request, storage, "PatchOptions", is_apply=is_apply)
    if sub is not None and sub.body is not None:
        return await bodies.patch(writer, attributes, sub, form, content_type)
    key = storage.key(attributes.namespace, attributes.name)
    stored = api.objects.store.head(storage.store_name, key)
    if is_apply:
        return await _apply(writer, attributes, key, sub, form)
    if stored is None:
        raise not_found(storage.kind.resource, attributes.name)
    writer.weigh(stored)
    before = storage.served(stored.data)
    patch_type, validation = cast(PatchType, content_type), writer.options.field_validation
    patched, warnings = await writer.aside(
        lambda: apply_patch(before, request.body, patch_type, storage.kind, validation)
    )
    writer.warnings += warnings
    new = storage.kind.to_storage(patched)
    metadata = new.setdefault("metadata", {})
    _check_name(metadata, attributes.name)
    _check_namespace(metadata, _namespace(storage, attributes))
    data = await writer.update(stored, storage.decode(stored.data), new, key, sub)
    return _answer(writer, data, form, 200)


async def _apply(writer: Writer, attributes: Attributes, key: str, sub: Subresource | None, form: Form) -> ApiResponse:
    """Server-side apply: creates what isn't there."""
    storage, api, options = writer.storage, writer.api, writer.options
    stored = api.objects.store.head(storage.store_name, key)
    if stored is None and sub is not None:
        raise not_found(storage.kind.resource, attributes.name)
    writer.weigh(stored)
    before = None if stored is None else storage.served(stored.data)
    applied, warnings = await writer.aside(
        lambda: apply_with_warnings(
            before,
            writer.request.body,
            options.field_validation,
            manager=options.field_manager,
            force=bool(options.force),
            kind=storage.kind,
            now=writer.now,
            subresource=sub.name if sub else "",
        )
    )
    writer.warnings += warnings
    writer.check_not_overtaken(stored, key)
    metadata = applied.setdefault("metadata", {})
    _check_name(metadata, attributes.name)
    _check_namespace(metadata, _namespace(storage, attributes))
    new = storage.kind.to_storage(applied)
    if stored is None:
        if metadata.get("uid"):
            raise conflict(
                storage.kind.resource,
                attributes.name,
                f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found",
            )
        data = await writer.create(new, _namespace(storage, attributes), record=False, instead_of=attributes)
        return _answer(writer, data, form, 201)
    data = await writer.update(stored, storage.decode(stored.data), new, key, sub, record=False)
    return _answer(writer, data, form, 200)


def _writer(api: Api, request: ApiRequest, storage: Storage, options: OptionsKind, *, is_apply: bool = False) -> Writer:
    return Writer(
        api, storage, request, read_write_options(options, request.query, is_apply=is_apply), api.objects.now()
    )


async def _decode(writer: Writer) -> Json:
    request, kind, validation = writer.request, writer.storage.kind, writer.options.field_validation
    content_type = request.headers.get("content-type", "")
    obj, warnings = await writer.aside(lambda: decode_body(request.body, content_type, kind, validation))
    writer.warnings += warnings
    return obj


def _answer(writer: Writer, data: bytes, form: Form, status: int) -> ApiResponse:
    response = answer_object(writer.api, writer.request, writer.storage, data, form, status)
    response.warnings = tuple(dict.fromkeys(writer.warnings))
    return response


def _namespace(storage: Storage, attributes: Attributes) -> str:
    return attributes.namespace if storage.kind.resource.namespaced else ""


def _check_name(metadata: Json, name: str) -> None:
    sent = metadata.get("name", "")
    if not sent:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if sent != name:
        raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")


def _check_namespace(metadata: Json, namespace: str) -> None:
    """GW-2."""
    sent = metadata.get("namespace", "")
    if sent and namespace and sent != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
