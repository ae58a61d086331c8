"""Failures of the API server, as a test asks for them.

    k8s.faults.add("PUT", "*/persistentvolumes/*", nth=2, status=500)
    k8s.faults.add("POST", "*/persistentvolumes", lost=True)     # carried out, and the answer is lost

FAULTS-1  A fault happens to the requests that it matches, from the `nth` on, `times` times; it counts both.
FAULTS-2  Faults are gone after the test that added them.
FAULTS-3  What is `dropped` isn't carried out, what is `lost` is; neither is answered: the connection breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from pvbinder.kube.errors import ConnectionFailed
from pvbinder.model.json import encode
from pvbinder.plane.recorder import Chronicle, Made
from pvbinder.server.api.dispatch import Handler
from pvbinder.server.requests import ApiRequest, ApiResponse

_REASONS: Final = {
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(slots=True)
class Fault:
    """One failure; `matched` and `happened` count, for the test to look at."""

    method: str
    path: str
    nth: int = 1
    times: int = 1
    status: int | None = None
    delay_seconds: float = 0.0
    dropped: bool = False
    lost: bool = False
    user: str = ""
    matched: int = field(default=0, init=False)
    happened: int = field(default=0, init=False)

    def strikes(self, request: ApiRequest) -> bool:
        """Tell whether it happens to `request`, and count (FAULTS-1)."""
        user = request.user.name if request.user is not None else ""
        if self.method not in ("*", request.method) or not fnmatchcase(request.path, self.path):
            return False
        if self.user and not fnmatchcase(user, self.user):
            return False
        self.matched += 1
        if self.matched < self.nth or self.happened >= self.times:
            return False
        self.happened += 1
        return True


class Faults:
    """The failures that are asked for now; it stands before every request of the server."""

    def __init__(self, recorder: Chronicle) -> None:
        self._recorder = recorder
        self._faults: list[Fault] = []

    def add(
        self,
        method: str,
        path: str = "*",
        *,
        nth: int = 1,
        times: int = 1,
        status: int | None = None,
        delay: float = 0.0,
        dropped: bool = False,
        lost: bool = False,
        user: str = "",
    ) -> Fault:
        """Have requests fail: those of `method` (``*`` for all), to a `path` with ``*`` and ``?``, of a `user`.

        `status` answers with a Status of that code; `delay` (seconds, on the cluster's clock) comes first. Without any
        of the four ways to fail a `ValueError` is raised.
        """
        if status is None and not (delay or dropped or lost):
            raise ValueError("a fault needs a status or a delay, or is dropped or lost")
        fault = Fault(method.upper(), path, nth, times, status, delay, dropped, lost, user)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Have nothing fail any more (FAULTS-2)."""
        self._faults.clear()

    async def intercept(self, request: ApiRequest, handle: Handler) -> ApiResponse:
        """Answer a request, or fail as asked; either is recorded."""
        fault = next((one for one in list(self._faults) if one.strikes(request)), None)
        status = 0
        try:
            response = await (handle(request) if fault is None else self._fail(fault, request, handle))
            status = response.status
            return response
        finally:
            user = request.user.name if request.user is not None else ""
            self._recorder.note(Made(request.method, request.path, user, status))

    async def _fail(self, fault: Fault, request: ApiRequest, handle: Handler) -> ApiResponse:
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.lost:
            await handle(request)
        if fault.lost or fault.dropped:
            return _broken(request)
        if fault.status is None:
            return await handle(request)
        reason = _REASONS.get(fault.status, "InternalError")
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason}
        body = encode({**status, "message": "the test wants it so", "code": fault.status})
        return ApiResponse(fault.status, body, {"Content-Type": "application/json"})


def _broken(request: ApiRequest) -> ApiResponse:
    """Return an answer that breaks off, or raise as a line in the same process does."""
    if request.repeated is None:
        raise ConnectionFailed("the connection broke off: the test wants it so")
    return ApiResponse(
        200, headers={"Content-Type": "application/json"}, stream=_break_off(), is_document=True, length=2
    )


async def _break_off() -> AsyncIterator[bytes]:
    for chunk in (b"{",):
        yield chunk
        raise ConnectionResetError
