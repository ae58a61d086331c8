"""PUT of an object or of a subresource: all of it anew. A kind may let it create what isn't there."""

from __future__ import annotations

from pvbinder.server.api.rest import subresources
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.object_meta import put_in_namespace
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.errors import not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Subresource
from pvbinder.server.requests import ApiRequest, ApiResponse


async def update(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    """Answer a PUT."""
    write = WriteRequest.read(api, request, attributes, storage, "UpdateOptions")
    if sub is not None and sub.body is not None:
        return await subresources.replace(write, sub)
    obj = await write.decode(storage.kind)
    put_in_namespace(obj, write.namespace)
    write.check_identity(obj)
    new = storage.kind.to_storage(obj)
    stored = write.find()
    if stored is None:
        if not storage.base.put_creates or sub is not None:
            raise not_found(storage.kind.resource, attributes.name)
        return write.answer(await write.store_new(new), 201)
    write.weigh(stored)
    return write.answer(await write.store_change(stored, storage.decode(stored.data), new, sub))
