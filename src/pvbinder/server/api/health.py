"""Health as the reference serves it: ``/healthz``, ``/livez``, ``/readyz``, their checks one by one and verbose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pvbinder.server.requests import ApiRequest, ApiResponse

Check = Callable[[], str | None]  # the problem, None if there is none

TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
ENDPOINTS = ("healthz", "livez", "readyz")


class Health:
    """The checks of one server: `live` ones count everywhere, `ready` ones for ``/readyz`` and ``/healthz`` only."""

    def __init__(self, live: Mapping[str, Check], ready: Mapping[str, Check]) -> None:
        self._live = {"ping": _ping, **live}
        self._ready = {**self._live, **ready}

    def paths(self) -> list[str]:
        """All paths of health."""
        checks = {"healthz": self._ready, "livez": self._live, "readyz": self._ready}
        return [
            f"/{endpoint}{rest}" for endpoint in ENDPOINTS for rest in ("", *(f"/{one}" for one in checks[endpoint]))
        ]

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a health request; None if the path is none."""
        parts = [part for part in request.path.split("/") if part]
        if not parts or parts[0] not in ENDPOINTS:
            return None
        if request.path.endswith("/"):
            return plain_not_found()
        endpoint = parts[0]
        checks = self._live if endpoint == "livez" else self._ready
        if len(parts) > 1:
            check = checks.get("/".join(parts[1:]))
            if check is None:
                return plain_not_found()
            wrong = check()
            if wrong is None:
                return ApiResponse(200, b"ok", dict(TEXT))
            return ApiResponse(500, f"internal server error: {wrong}\n".encode(), dict(TEXT))
        return _answer_all(endpoint, checks, request.query)


def plain_not_found() -> ApiResponse:
    """404 of a path that no API group has, as Go's own mux answers it."""
    return ApiResponse(404, b"404 page not found\n", dict(TEXT))


def _answer_all(endpoint: str, checks: Mapping[str, Check], query: Mapping[str, list[str]]) -> ApiResponse:
    excluded = set(query.get("exclude", ()))
    lines: list[str] = []
    failed: list[str] = []
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok\n")
            continue
        wrong = check()
        if wrong is None:
            lines.append(f"[+]{name} ok\n")
        else:
            failed.append(name)
            lines.append(f"[-]{name} failed: reason withheld\n")
    unknown = sorted(excluded - set(checks))
    if unknown:
        quoted = " ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}\n")
    if failed:
        return ApiResponse(500, f"{''.join(lines)}{endpoint} check failed\n".encode(), dict(TEXT))
    if "verbose" not in query:
        return ApiResponse(200, b"ok", dict(TEXT))
    return ApiResponse(200, f"{''.join(lines)}{endpoint} check passed\n".encode(), dict(TEXT))


def _ping() -> str | None:
    return None
