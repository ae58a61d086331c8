"""Where metrics and health are asked for: a page of the embedded server, or a small listener of its own.

ENDPOINT-1  The listener answers GET and HEAD of ``/metrics``, ``/healthz``, ``/livez``, ``/readyz``; nothing else.
ENDPOINT-2  It listens on this machine only unless told otherwise: without `access` it has no authentication.
ENDPOINT-3  With `access` nothing is answered to anybody that it refuses.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pvbinder.metrics.metrics import CONTENT_TYPE, Metrics
from pvbinder.server.api.health import TEXT, Check, Health, plain_not_found
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.wire.http import Listener

if TYPE_CHECKING:  # most ask nobody
    from pvbinder.metrics.access import DelegatedAccess

PATH: Final = "/metrics"


async def metrics_page(metrics: Metrics) -> ApiResponse:
    """Return the answer to a request for `metrics`."""
    return ApiResponse(200, await metrics.text(), {"Content-Type": CONTENT_TYPE})


class Endpoint:
    """A listener for metrics and health. Construct, then ``async with``."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        live: Mapping[str, Check] | None = None,
        ready: Mapping[str, Check] | None = None,
        path: str = PATH,
        tls: ssl.SSLContext | None = None,
        access: DelegatedAccess | None = None,
        shares_port: bool = False,
    ) -> None:
        """`path` is where the metrics are; `live` and `ready` are checks that say what is wrong, None if nothing is."""
        self._access = access
        self._metrics = metrics
        self._path = path
        self._health = Health(live or {}, ready or {})
        self._listener = Listener(self._answer, host=host, port=port, tls=tls, screen=_screen, shares_port=shares_port)

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listener.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._listener.url

    async def _answer(self, request: ApiRequest) -> ApiResponse:
        refusal = _screen(request)
        if refusal is None and self._access is not None:
            refusal = await self._access.refusal(request)
        if refusal is not None:
            return refusal
        if request.path == self._path:
            return await metrics_page(self._metrics)
        return self._health.answer(request) or plain_not_found()


def _screen(request: ApiRequest) -> ApiResponse | None:
    """Refuse what is no question, before its body comes."""
    if request.method in ("GET", "HEAD"):
        return None
    return ApiResponse(405, b"method not allowed\n", {**TEXT, "Allow": "GET, HEAD"})
