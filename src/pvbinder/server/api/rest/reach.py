"""Requests through an object to something else: a pod's log or containers, what a node or a service leads to."""

from __future__ import annotations

from pvbinder.server.api.rest.api import Api
from pvbinder.server.errors import not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Reach
from pvbinder.server.requests import ApiRequest, ApiResponse


def reach(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, into: Reach) -> ApiResponse:
    """Answer with the text that comes from behind the object; ApiError 404 if it isn't there."""
    name = _name_in(attributes)
    stored = api.objects.store.get(storage.store_name, storage.key(attributes.namespace, name))
    if stored is None:
        raise not_found(storage.kind.resource, name)
    text = into(storage.served(stored.data), request.query)
    return ApiResponse(200, text.encode(), {"Content-Type": "text/plain"})


def _name_in(attributes: Attributes) -> str:
    """Return the object's name, without the scheme and the port that a proxied one may have around it."""
    parts = attributes.name.split(":")
    if attributes.subresource != "proxy" or len(parts) == 1:
        return attributes.name
    return parts[1] if len(parts) == 3 else parts[0]
