"""The way of a request through the server: who asks, whether they may, which handler, and what errors become.

DISPATCH-1  Every request is answered; whatever goes wrong inside is a Status 500 and one line in the log, no traceback
            to the client.
DISPATCH-2  Requests from a socket and from the same process take this same way.
DISPATCH-3  Nothing is routed before it is authenticated and authorised: who may not see a path does not learn whether
            it exists.
DISPATCH-4  Who may do what a request says may do no more: an update or an apply that creates needs ``create``, too.
DISPATCH-5  What a head alone refuses is refused before the body is taken: `screen` asks who it is and whether they may.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import Final, Protocol, TypeAlias, runtime_checkable

from pvbinder import logs
from pvbinder.model.durations import go_nanoseconds
from pvbinder.server.api.health import Health, plain_not_found
from pvbinder.server.api.measures import RequestMeasures
from pvbinder.server.api.negotiation import error_response
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.reviews import Reviews
from pvbinder.server.api.rest.routes import no_such_resource, not_allowed, serve_kind
from pvbinder.server.errors import ApiError, bad_request
from pvbinder.server.identity.attributes import Attributes, read_attributes
from pvbinder.server.identity.authentication import Authenticator
from pvbinder.server.identity.authorization import permit
from pvbinder.server.identity.impersonation import PREFIX as IMPERSONATE
from pvbinder.server.identity.impersonation import read_impersonation
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import WriteFailed

log = logs.get(__name__)

Handler: TypeAlias = Callable[[ApiRequest], Awaitable[ApiResponse]]
Interceptor: TypeAlias = Callable[[ApiRequest, Handler], Awaitable[ApiResponse]]
NonResourcePath: TypeAlias = Callable[[], Awaitable[ApiResponse]]  # what answers it, as `/metrics` is answered

SUBRESOURCES = frozenset({"status", "scale", "binding", "eviction", "finalize", "token", "log", "exec", "approval"})
_LONG: Final = ("attach", "exec", "proxy", "log", "portforward")


class Documents(Protocol):
    """Something that answers fixed paths: discovery, OpenAPI, health."""

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET of a path of its own; None if the path is none."""
        ...


@runtime_checkable
class SlowDocuments(Protocol):
    """Documents of which some take so long to make that the loop must not wait for it."""

    async def prepare(self, request: ApiRequest) -> None:
        """Make what `answer` will need for this request, off the loop."""
        ...


class Dispatcher:
    """Answers requests over one store. `pages` are made when their path is asked for, as metrics are.

    An `interceptor` is given each request and the handler that would answer it, and answers in its place: a recorder,
    or a test that makes the server fail. What it raises reaches the transport.
    """

    def __init__(
        self,
        api: Api,
        authenticator: Authenticator,
        *,
        health: Health | None = None,
        documents: Sequence[Documents] = (),
        pages: Mapping[str, NonResourcePath] | None = None,
        interceptor: Interceptor | None = None,
    ) -> None:
        self._interceptor: Final = interceptor
        self.measures: Final = RequestMeasures()
        self._api: Final = api
        self._authenticator: Final = authenticator
        self._health: Final = health or Health({}, {})
        self._documents: Final = tuple(documents)
        self._pages: Final = dict(pages or {})
        self._reviews: Final = Reviews(authenticator, api.authorizer, api.objects.now, api.aside)

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer `request` (DISPATCH-1)."""
        if self._interceptor is not None:
            return await self._interceptor(request, self._counted)
        return await self._counted(request)

    async def _counted(self, request: ApiRequest) -> ApiResponse:
        started = perf_counter()
        attributes = _attributes_of(request)
        response = await self._answer(request, attributes)
        if request.warnings:
            response.warnings = tuple(dict.fromkeys((*request.warnings, *response.warnings)))
        self.measures.count(attributes.verb, self._resource_of(attributes), response.status, perf_counter() - started)
        return response

    def screen(self, request: ApiRequest) -> ApiResponse | None:
        """Refuse a request from its head, before its body is taken; None if it may go on (DISPATCH-5)."""
        started = perf_counter()
        attributes = _attributes_of(request)
        try:
            self._admit(request, attributes)
        except ApiError as error:
            response = error_response(request, error)
        except Exception as error:  # noqa: BLE001  (told in the log, as where a request is answered)
            response = self._failed(request, error)
        else:
            return None
        if request.warnings:
            response.warnings = tuple(dict.fromkeys((*request.warnings, *response.warnings)))
        self.measures.count(attributes.verb, self._resource_of(attributes), response.status, perf_counter() - started)
        return response

    async def _answer(self, request: ApiRequest, attributes: Attributes) -> ApiResponse:
        try:
            response = await self._handle(request, attributes)
            return response if response.finish is None else await self._finished(request, response, response.finish)
        except ApiError as error:
            return error_response(request, error)
        except WriteFailed as error:
            return error_response(request, not_stored(error))
        except Exception as error:  # noqa: BLE001  (DISPATCH-1)
            return self._failed(request, error)

    @staticmethod
    def _failed(request: ApiRequest, error: Exception) -> ApiResponse:
        log.exception("request failed", method=request.method, path=request.path)
        why = f"Internal error occurred: {type(error).__name__}"
        return error_response(request, ApiError(500, "InternalError", why))

    async def _finished(self, request: ApiRequest, response: ApiResponse, finish: Callable[[], bytes]) -> ApiResponse:
        """Make the body of an answer that takes long to be written down, aside."""
        user = request.user.name if request.user is not None else ""
        response.body, response.finish = await self._api.aside.run(user, finish, heavy=True), None
        return response

    async def _handle(self, request: ApiRequest, attributes: Attributes) -> ApiResponse:
        if not request.is_admitted:
            self._admit(request, attributes)
        if attributes.is_resource:
            storage = self._api.objects.storage(attributes.group, attributes.version, attributes.resource)
            if storage is not None:
                review = await self._reviews.answer(storage.kind, request, attributes)
                return review or await serve_kind(self._api, request, attributes, storage)
        page = self._pages.get(request.path)
        if page is not None:
            if request.method not in ("GET", "HEAD"):
                raise not_allowed()
            return await page()
        for documents in self._documents:
            if isinstance(documents, SlowDocuments):
                await documents.prepare(request)
        return self._answer_document(request)

    def _admit(self, request: ApiRequest, attributes: Attributes) -> None:
        """Find out who asks and whether they may; ApiError 401 or 403, or 400 of an impossible ``timeout``."""
        if "timeout" in request.query:
            _check_timeout(request, attributes)
        user = request.user
        if user is None:
            user = self._authenticator.authenticate(request)
        if IMPERSONATE in " ".join(request.headers):  # once through all names, as nearly nobody does
            user = self._impersonate(user, request)
        request.user = user
        permit(self._api.authorizer, user, attributes)
        request.is_admitted = True

    def _resource_of(self, attributes: Attributes) -> str:
        """The resource as metrics name it; ``""`` for all that isn't served (MEASURES-1)."""
        if not attributes.is_resource:
            return ""
        storage = self._api.objects.storage(attributes.group, attributes.version, attributes.resource)
        if storage is None:
            return ""
        qualified = storage.kind.resource.qualified
        return f"{qualified}/{attributes.subresource}" if attributes.subresource in SUBRESOURCES else qualified

    def _answer_document(self, request: ApiRequest) -> ApiResponse:
        reading = request.method in ("GET", "HEAD") or not _reads_only(request.path)
        asked = request if reading else ApiRequest("GET", request.path, headers=request.headers)
        for document in (self._health, *self._documents):
            try:
                answer = document.answer(asked)
            except ApiError:
                if reading:
                    raise
                raise not_allowed() from None  # whatever else is wrong with it
            if answer is not None:
                if not reading:
                    raise not_allowed()
                return answer
        parts = [part for part in request.path.split("/") if part]
        groups = {kind.resource.group for kind in self._api.objects.registry if not kind.is_custom}
        if len(parts) > 1 and (parts[0] == "api" or (parts[0] == "apis" and parts[1] in groups)):
            raise no_such_resource()
        return plain_not_found()

    def _impersonate(self, user: UserInfo, request: ApiRequest) -> UserInfo:
        """Return whom the request is to be taken for, if its user may be them."""
        wanted = read_impersonation(request.headers, request.repeated)
        if wanted is None:
            return user
        for attributes in wanted.rights():
            permit(self._api.authorizer, user, attributes)
        return wanted.as_user()


def _attributes_of(request: ApiRequest) -> Attributes:
    """Return what `request` asks for, read once off its head (DISPATCH-5)."""
    read = request.head_read
    if not isinstance(read, Attributes):
        request.head_read = read = read_attributes(request.method, request.path, request.query)
    return read


def _reads_only(path: str) -> bool:
    """Whether a path that isn't a resource's has methods; others answer any, as in the reference."""
    parts = path.strip("/").split("/")
    return parts[0] in ("api", "version", "openid", ".well-known") or (parts[0] == "apis" and len(parts) > 2)


def _check_timeout(request: ApiRequest, attributes: Attributes) -> None:
    """Refuse a ``timeout`` that is no length of time; what takes long by nature has none."""
    sent = request.query.get("timeout", ("",))[0]
    if not sent or attributes.verb == "watch" or attributes.subresource in _LONG:
        return
    try:
        go_nanoseconds(sent)
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from None


def not_stored(error: WriteFailed) -> ApiError:
    """500 of a write that the disk didn't take; when it is full, in the words of etcd, which tools know."""
    if error.trouble == "full":
        return ApiError(500, "", "etcdserver: mvcc: database space exceeded: the disk is full; deleting works")
    return ApiError(500, "InternalError", f"Internal error occurred: {error.message}")
