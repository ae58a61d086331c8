"""POST to a collection: a new object."""

from __future__ import annotations

from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.schema.media_types import media_type_of
from pvbinder.server.requests import ApiRequest, ApiResponse


async def create(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a POST to a collection."""
    media_type_of(request.headers.get("content-type", ""))  # refused before the options are looked at
    write = WriteRequest.read(api, request, attributes, storage, "CreateOptions")
    obj = await write.decode(storage.kind)
    return write.answer(await write.store_new(storage.kind.to_storage(obj)), 201)
