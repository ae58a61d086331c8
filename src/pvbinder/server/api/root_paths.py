"""The list at ``/`` of the paths that are served, as the reference gives it to whom a role lets get that path."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pvbinder.server.api.negotiation import JSON_TYPE
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.requests import ApiRequest, ApiResponse


class RootPaths:
    """Answers ``/``: the groups and versions of the registry, and the paths that are `fixed`."""

    def __init__(self, registry: Registry, fixed: Sequence[str]) -> None:
        self._registry = registry
        self._fixed = fixed

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET of ``/``; None for other paths."""
        if request.path != "/":
            return None
        paths = {*self._fixed, "/api", "/apis", "/apis/"}
        for group in self._registry.groups():
            root = f"/apis/{group}" if group else "/api"
            paths |= {root, *(f"{root}/{version}" for version in self._registry.versions(group))}
        body = msgspec.json.format(msgspec.json.encode({"paths": sorted(paths)}), indent=2)
        return ApiResponse(200, body, {"Content-Type": JSON_TYPE})
