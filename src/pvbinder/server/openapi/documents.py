"""Answers /openapi/v3, its documents, and /openapi/v2.

OPENAPI-1  The index of v3 names a document for each group and version with a hash in its address; the hash changes when
           the document may have changed, and needs no document to be made.
OPENAPI-2  A document asked for by its hash may be kept for ever; any other carries an ETag and answers 304.
OPENAPI-3  Documents are made when first asked for, and kept as bytes until the registry changes. They are JSON; v2 is
           protobuf too, for those who take nothing else.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from pvbinder import __version__
from pvbinder.server.discovery import KUBERNETES_VERSION
from pvbinder.server.kinds.kind import Json, ServedKind
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.openapi import protobuf_v2
from pvbinder.server.openapi.paths import PathWriter
from pvbinder.server.openapi.schemas import Dialect, SchemaWriter
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.schema.types import CATALOGUE

_INFO: Final[Json] = {"title": "Kubernetes", "version": f"v{KUBERNETES_VERSION}"}
_BEARER: Final[Json] = {
    "type": "apiKey",
    "name": "authorization",
    "in": "header",
    "description": "Bearer Token authentication",
}
JSON: Final = "application/json"


class OpenApi:
    """Answers the paths under /openapi."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[tuple[str, str], bytes] = {}
        self._revision = -1

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET under /openapi; None for any other path (OPENAPI-1 to 3)."""
        path = request.path.rstrip("/")
        if path != "/openapi/v2" and path != "/openapi/v3" and not path.startswith("/openapi/v3/"):
            return None
        if self._revision != self._registry.revision:
            self._made.clear()
            self._revision = self._registry.revision
        if path == "/openapi/v3":
            return ApiResponse(200, self._index(), {"Content-Type": "text/plain; charset=utf-8"})
        media_types = (JSON, protobuf_v2.MEDIA_TYPE) if path == "/openapi/v2" else (JSON,)
        media_type = _chosen(request.headers.get("accept", ""), media_types)
        if media_type is None:
            return ApiResponse(406)
        kinds = tuple(self._registry) if path == "/openapi/v2" else self._kinds_of(path.removeprefix("/openapi/v3/"))
        return self._answered(request, path, media_type, self._hash(kinds)) if kinds else ApiResponse(404)

    def _index(self) -> bytes:
        paths = {}
        for group in self._registry.groups():
            for version in self._registry.versions(group):
                name = f"apis/{group}/{version}" if group else f"api/{version}"
                digest = self._hash(self._registry.kinds(group, version))
                paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        return msgspec.json.encode({"paths": paths})

    def _kinds_of(self, name: str) -> tuple[ServedKind, ...]:
        match name.split("/"):
            case ["api", version]:
                return self._registry.kinds("", version)
            case ["apis", group, version]:
                return self._registry.kinds(group, version)
            case _:
                return ()

    def _answered(self, request: ApiRequest, path: str, media_type: str, digest: str) -> ApiResponse:
        asked = request.query.get("hash", [""])[0]
        if asked and asked != digest:
            return ApiResponse(301, headers={"Location": f"{path}?hash={digest}"})
        content_type = JSON if media_type == JSON else protobuf_v2.ANSWERED_AS
        headers = {"Content-Type": content_type, "ETag": f'"{digest}"', "Vary": "Accept"}
        if asked:
            headers["Cache-Control"] = "public, immutable"
        if request.headers.get("if-none-match") == f'"{digest}"':
            return ApiResponse(304, headers=headers)
        key = path, media_type
        if key not in self._made:
            self._made[key] = self._document(path, media_type)
        return ApiResponse(200, self._made[key], headers)

    def _document(self, path: str, media_type: str) -> bytes:
        if path != "/openapi/v2":
            return msgspec.json.encode(_v3(self._kinds_of(path.removeprefix("/openapi/v3/"))))
        document = _v2(tuple(self._registry))
        return msgspec.json.encode(document) if media_type == JSON else protobuf_v2.encode_document(document)

    @staticmethod
    def _hash(kinds: tuple[ServedKind, ...]) -> str:
        """A hash of all that the document of these kinds depends on (OPENAPI-1)."""
        digest = hashlib.sha256(__version__.encode())
        for kind in kinds:
            digest.update(
                repr((kind.resource, kind.schema, kind.verbs, [sub.name for sub in kind.subresources])).encode()
            )
            if kind.schema in CATALOGUE.customs:
                digest.update(msgspec.json.encode(CATALOGUE.customs[kind.schema].published("")))
        return digest.hexdigest().upper()


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


def _chosen(accept: str, media_types: tuple[str, ...]) -> str | None:
    """The first media type of an ``Accept`` header that is to be had; JSON for any."""
    if not accept:
        return JSON
    for clause in accept.split(","):
        media_type = clause.partition(";")[0].strip()
        if media_type in media_types:
            return media_type
        if media_type in ("*/*", "application/*"):
            return JSON
    return None
