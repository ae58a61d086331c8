"""From a request for a resource to the handler of its verb, or to the reference's 404 and 405."""

from __future__ import annotations

from pvbinder.model.resources import Resource
from pvbinder.server.api.rest import create, delete, patch, reach, read, subresources, update, watch
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.bindings import is_binding
from pvbinder.server.api.rest.write_request import Overtaken
from pvbinder.server.errors import ApiError, conflict, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Subresource
from pvbinder.server.requests import ApiRequest, ApiResponse

ATTEMPTS_MAX = 5  # as often as the reference tries a patch, while others write to the object


async def serve_kind(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Serve a request for a served kind."""
    verb = attributes.verb
    if request.method == "HEAD":
        raise not_allowed()
    _check_path(storage, attributes)
    sub = None
    if attributes.subresource:
        sub = storage.kind.subresource(attributes.subresource)
        if sub is None and storage.kind.is_custom:
            raise not_found(storage.kind.resource, attributes.name)
        if sub is None or (attributes.rest and not sub.has_path) or verb == "watch":
            raise no_such_resource()
        if verb not in sub.verbs:
            raise _unsupported(storage.kind.resource, verb) if storage.kind.is_custom else not_allowed()
        if sub.reach is not None:
            return reach.reach(api, request, attributes, storage, sub.reach)
    elif verb not in storage.kind.verbs:
        raise no_such_resource() if attributes.name and storage.kind.verbs == ("create",) else not_allowed()
    if storage.kind.deprecation:
        request.warnings.append(storage.kind.deprecation)
    match verb:
        case "get":
            return read.get(api, request, attributes, storage, sub)
        case "list":
            return await read.list_objects(api, request, attributes, storage)
        case "watch":
            return watch.watch(api, request, attributes, storage)
    for _ in range(ATTEMPTS_MAX):
        try:
            return await _serve_write(api, request, attributes, storage, sub)
        except ApiError as error:
            if error.code == 405:
                request.warnings.clear()  # nothing is there to warn of
            await api.objects.store.barrier()  # WRITING-4
            raise
        except Overtaken:
            continue  # WRITING-1
    raise conflict(storage.kind.resource, attributes.name)


async def _serve_write(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    resource = storage.kind.resource
    match attributes.verb:
        case "update" if attributes.name:
            return await update.update(api, request, attributes, storage, sub)
        case "patch" if attributes.name:
            return await patch.patch(api, request, attributes, storage, sub)
        case "create" if is_binding(storage.kind) and not attributes.name and attributes.namespace:
            return await subresources.post_binding(api, request, attributes, storage)
        case "create" if sub is None and not attributes.name and (attributes.namespace or not resource.namespaced):
            return await create.create(api, request, attributes, storage)
        case "create" if sub is not None and attributes.name:
            return await subresources.post(api, request, attributes, storage, sub)
        case "delete" if sub is None:
            return await delete.delete(api, request, attributes, storage)
        case "deletecollection" if attributes.namespace or not resource.namespaced:
            return await delete.delete_collection(api, request, attributes, storage)
        case _:
            raise not_allowed()


def _check_path(storage: Storage, attributes: Attributes) -> None:
    """Refuse paths that put a kind where it isn't: cluster-scoped under a namespace, or one object without its own."""
    resource = storage.kind.resource
    if resource.namespaced:
        if attributes.name and not attributes.namespace:
            raise no_such_resource()
    elif attributes.namespace and not (resource.plural == "namespaces" and attributes.namespace == attributes.name):
        raise no_such_resource()


def _unsupported(resource: Resource, verb: str) -> ApiError:
    """405 of a method that a path of a custom kind doesn't have."""
    details = {"group": resource.group, "kind": resource.plural}
    message = f'{verb} is not supported on resources of kind "{resource.qualified}"'
    return ApiError(405, "MethodNotAllowed", message, details=details)


def no_such_resource() -> ApiError:
    """404 of a path below a served group that leads nowhere."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def not_allowed() -> ApiError:
    """405 of a method that a path doesn't have."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})
