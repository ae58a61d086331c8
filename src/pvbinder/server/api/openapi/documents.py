"""Answers /openapi/v3, its documents, and /openapi/v2.

OPENAPI-1  The index of v3 names a document for each group and version with a hash in its address; the hash changes when
           the document may have changed, and needs no document to be made.
OPENAPI-2  A document asked for by its hash may be kept for ever; any other carries an ETag and answers 304.
OPENAPI-3  Documents are made when first asked for, and kept as bytes until the registry changes. They are JSON; v2 is
           protobuf too, for clients that take nothing else.
OPENAPI-4  A document of all kinds takes tenths of a second: `prepare` makes it in a thread, so that `answer` needn't.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from pvbinder import __version__
from pvbinder.server.api.discovery import KUBERNETES_VERSION
from pvbinder.server.api.openapi import protobuf_v2
from pvbinder.server.api.openapi.paths import PathWriter, patch_types
from pvbinder.server.api.openapi.schemas import Dialect, SchemaWriter
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.schema.types import CATALOGUE
from pvbinder.server.requests import ApiRequest, ApiResponse

_INFO: Final[Json] = {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"}
_BEARER: Final[Json] = {
    "type": "apiKey",
    "name": "authorization",
    "in": "header",
    "description": "Bearer Token authentication",
}
JSON: Final = "application/json"
_Key: TypeAlias = tuple[str, str]  # path and media type


@dataclass(frozen=True, slots=True)
class OpenApiStatistics:
    """The number of documents that are kept, and their size."""

    documents: int
    size_bytes: int


class OpenApi:
    """Answers the paths under /openapi."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[_Key, bytes] = {}
        self._revision = -1

    async def prepare(self, request: ApiRequest) -> None:
        """Make the document that this request asks for in a thread, if it isn't there yet (OPENAPI-4)."""
        asked = self._asked(request)
        if asked is None or asked[0] in self._made:
            return
        key, kinds = asked
        revision = self._revision
        made = await asyncio.to_thread(_document, key, kinds)
        if self._revision == revision:
            self._made[key] = made

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET under /openapi; None for any other path (OPENAPI-1 to 3)."""
        path = request.path.rstrip("/")
        if path == "/openapi/v2" != request.path:
            return None
        if path not in ("/openapi/v2", "/openapi/v3") and not path.startswith("/openapi/v3/"):
            return None
        if path == "/openapi/v3":
            return ApiResponse(200, self._index(), {"Content-Type": "text/plain; charset=utf-8"})
        if not _chosen(request.headers.get("accept", ""), path):
            return ApiResponse(406)
        asked = self._asked(request)
        return ApiResponse(404) if asked is None else self._answered(request, *asked)

    def statistics(self) -> OpenApiStatistics:
        """Count what is kept."""
        return OpenApiStatistics(len(self._made), sum(map(len, self._made.values())))

    def _asked(self, request: ApiRequest) -> tuple[_Key, tuple[ServedKind, ...]] | None:
        """Which document a request is for, and its kinds; None if there is none."""
        if self._revision != self._registry.revision:
            self._made.clear()
            self._revision = self._registry.revision
        path = request.path.rstrip("/")
        media_type = _chosen(request.headers.get("accept", ""), path)
        kinds = tuple(self._registry) if path == "/openapi/v2" else self._kinds_of(path)
        return ((path, media_type), kinds) if media_type and kinds else None

    def _index(self) -> bytes:
        paths = {}
        for group in self._registry.groups():
            for version in self._registry.versions(group):
                name = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = self._hash(self._registry.kinds(group, version))
                paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        return msgspec.json.encode({"paths": paths})

    def _kinds_of(self, path: str) -> tuple[ServedKind, ...]:
        match path.split("/")[1:]:
            case ["openapi", "v3", "api", version]:
                return self._registry.kinds("", version)
            case ["openapi", "v3", "apis", group, version]:
                return self._registry.kinds(group, version)
            case _:
                return ()

    def _answered(self, request: ApiRequest, key: _Key, kinds: tuple[ServedKind, ...]) -> ApiResponse:
        path, media_type = key
        digest = self._hash(kinds)
        asked = request.query.get("hash", [""])[0]
        if asked and asked != digest:
            return ApiResponse(301, headers={"Location": f"{path}?hash={digest}"})
        content_type = JSON if media_type == JSON else protobuf_v2.ANSWERED_AS
        headers = {"Content-Type": content_type, "ETag": f'"{digest}"', "Vary": "Accept"}
        if asked:
            headers["Cache-Control"] = "public, immutable"
        if request.headers.get("if-none-match") == f'"{digest}"':
            return ApiResponse(304, headers=headers)
        if key not in self._made:
            self._made[key] = _document(key, kinds)
        return ApiResponse(200, self._made[key], headers)

    @staticmethod
    def _hash(kinds: tuple[ServedKind, ...]) -> str:
        """A hash of all that the document of these kinds depends on (OPENAPI-1)."""
        digest = hashlib.sha256(__version__.encode())
        for kind in kinds:
            parts = (kind.resource, kind.schema, kind.verbs, [sub.name for sub in kind.subresources], patch_types(kind))
            digest.update(repr(parts).encode())
            if kind.schema in CATALOGUE.customs:
                digest.update(msgspec.json.encode(CATALOGUE.customs[kind.schema].published("")))
        return digest.hexdigest().upper()


def _document(key: _Key, kinds: tuple[ServedKind, ...]) -> bytes:
    path, media_type = key
    if path != "/openapi/v2":
        return msgspec.json.encode(_v3(kinds))
    document = _v2(kinds)
    return msgspec.json.encode(document) if media_type == JSON else protobuf_v2.encode_document(document)


def _v3(kinds: tuple[ServedKind, ...]) -> Json:
    schemas, paths = _written("v3", kinds)
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": paths.paths,
        "components": {
            "schemas": dict(sorted(schemas.schemas.items())),
            "securitySchemes": {"BearerToken": _BEARER},
        },
    }


def _v2(kinds: tuple[ServedKind, ...]) -> Json:
    schemas, paths = _written("v2", kinds)
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": paths.paths,
        "definitions": dict(sorted(schemas.schemas.items())),
        "securityDefinitions": {"BearerToken": _BEARER},
        "security": [{"BearerToken": []}],
    }


def _written(dialect: Dialect, kinds: tuple[ServedKind, ...]) -> tuple[SchemaWriter, PathWriter]:
    schemas = SchemaWriter(dialect)
    paths = PathWriter(schemas)
    for kind in kinds:
        paths.add(kind)
    return schemas, paths


def _chosen(accept: str, path: str) -> str:
    """The first media type of an ``Accept`` header in which a document is to be had; "" for none, JSON for any."""
    if not accept:
        return JSON
    media_types = (JSON, protobuf_v2.MEDIA_TYPE) if path == "/openapi/v2" else (JSON,)
    for clause in accept.split(","):
        media_type = clause.partition(";")[0].strip()
        if media_type in media_types:
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    return ""
