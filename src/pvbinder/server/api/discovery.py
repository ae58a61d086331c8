"""The served kinds, as clients are told: /api, /apis and the documents below them, aggregated or not, and /version.

DISCOVERY-1  Everything comes from the registry, in its order, and is current as of its `revision`.
DISCOVERY-2  A client that asks for the aggregated form (v2) gets everything at /api and /apis in one document, and
             needn't fetch it again while it stays the same. Of an older form the reference says 406.
DISCOVERY-3  Documents are encoded once and kept until the registry changes.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from pvbinder import __version__
from pvbinder.model.resources import Resource
from pvbinder.server.api.negotiation import (
    JSON_TYPE,
    YAML_TYPE,
    Form,
    check_route,
    clauses_of,
    negotiate,
    respond_bytes,
)
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind, Subresource
from pvbinder.server.requests import ApiRequest, ApiResponse

KUBERNETES_VERSION: Final = "1.36.2"


class Discovery:
    """Answers the paths of discovery and of /version."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._documents: dict[tuple[str, str], bytes | None] = {}
        self._revision = -1

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET of a path of discovery; None if the path is none (DISCOVERY-1 to 3)."""
        path = request.path.rstrip("/")
        accept = request.headers.get("accept", "")
        if path == "/version":
            if accept:
                check_route(accept, (JSON_TYPE,))
            pretty = ApiRequest("GET", path, query={"pretty": ["true"]} | dict(request.query))
            return respond_bytes(pretty, 200, msgspec.json.encode(version()))
        if path == "/api" or path.startswith(("/api/", "/apis/")) or path == "/apis":
            form = aggregated_form(accept) if path in ("/api", "/apis") else None
            body = self._document(path, form.version if form is not None else "")
            if body is None:
                return None
            if form is not None:
                return _aggregated(request, body, form)
            agreed = negotiate(accept, transformable=False)
            if path == "/api":
                body = _with_address(body, request.headers.get("host", ""))
            return respond_bytes(request, 200, body, agreed.media_type)
        return None

    def _document(self, path: str, form: str) -> bytes | None:
        if self._revision != self._registry.revision:
            self._documents.clear()
            self._revision = self._registry.revision
        if (path, form) not in self._documents:
            document = self._made(path, form)
            if document is None:
                return None
            self._documents[path, form] = msgspec.json.encode(document)
        return self._documents[path, form]

    def _made(self, path: str, form: str) -> Json | None:
        registry = self._registry
        match path.split("/")[1:]:
            case ["api" | "apis" as root] if form:
                groups = [group for group in registry.groups() if bool(group) == (root == "apis")]
                return {
                    "kind": "APIGroupDiscoveryList",
                    "apiVersion": f"apidiscovery.k8s.io/{form}",
                    "metadata": {},
                    "items": [self._aggregated_group(group) for group in groups],
                }
            case ["api"]:
                return {
                    "kind": "APIVersions",
                    "versions": list(registry.versions("")),
                    "serverAddressByClientCIDRs": [],
                }
            case ["api", version] if version in registry.versions(""):
                return self._resources("", version)
            case ["apis"]:
                groups = [group for group in registry.groups() if group]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._group(group) for group in groups]}
            case ["apis", group] if group and group in registry.groups():
                return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group)}
            case ["apis", group, version] if group and version in registry.versions(group):
                return self._resources(group, version)
            case _:
                return None

    def _group(self, group: str) -> Json:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version} for version in self._registry.versions(group)
        ]
        return {"name": group, "versions": versions, "preferredVersion": versions[0]}

    def _resources(self, group: str, version: str) -> Json:
        resources: list[Json] = []
        for kind in self._registry.kinds(group, version):
            entries = list(self._legacy_resources(kind))
            resources += entries if kind.is_custom else sorted(entries, key=lambda entry: str(entry["name"]))
        document: Json = {"kind": "APIResourceList"}
        if group:
            document["apiVersion"] = "v1"
        document["groupVersion"] = f"{group}/{version}" if group else version
        document["resources"] = resources
        return document

    def _legacy_resources(self, kind: ServedKind) -> Iterable[Json]:
        resource = kind.resource
        entry: Json = {
            "name": resource.plural,
            "singularName": kind.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": _verbs(kind),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        if "get" in kind.verbs:
            entry["storageVersionHash"] = storage_version_hash(kind.storage_version_of or resource)
        yield entry
        for sub in kind.subresources:
            body = sub.body or resource
            entry = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
            if (body.group, body.version) != (resource.group, resource.version):
                entry |= {"group": body.group, "version": body.version}
            yield entry | {"kind": body.kind, "verbs": sorted(sub.verbs)}

    def _aggregated_group(self, group: str) -> Json:
        metadata = {"name": group} if group else {}
        versions = [
            {
                "version": version,
                "resources": [_aggregated_resource(kind) for kind in self._registry.kinds(group, version)],
                "freshness": "Current",
            }
            for version in self._registry.versions(group)
        ]
        return {"metadata": metadata, "versions": versions}


def aggregated_form(accept: str) -> Form | None:
    """The form of aggregated discovery that an ``Accept`` header asks for; None for the plain documents."""
    for clause in clauses_of(accept):
        asked = clause.parameters
        if (asked.get("as"), asked.get("g"), asked.get("v")) != ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2"):
            continue
        for media_type in (JSON_TYPE, YAML_TYPE):
            if clause.takes(media_type):
                return Form(media_type, version="v2")
    return None


def _aggregated(request: ApiRequest, body: bytes, form: Form) -> ApiResponse:
    """Answer with an aggregated document, which may be kept as long as it is the same (DISCOVERY-2)."""
    headers = {
        "ETag": f'"{hashlib.sha512(body).hexdigest().upper()}"',
        "Vary": "Accept",
        "Cache-Control": "public",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return ApiResponse(304, headers=headers)
    response = respond_bytes(request, 200, body, form.media_type)
    kind = f"g=apidiscovery.k8s.io;v={form.version};as=APIGroupDiscoveryList"
    response.headers |= headers | {"Content-Type": f"{form.media_type};{kind}"}
    return response


def storage_version_hash(resource: Resource) -> str:
    """The hash of the version that a kind is stored in: equal hashes mean the same storage."""
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def version() -> Json:
    """The document at /version: which Kubernetes this behaves like."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"v{KUBERNETES_VERSION}+pvbinder-{__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _aggregated_resource(kind: ServedKind) -> Json:
    resource = kind.resource
    entry: Json = {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, resource, whole=kind.is_custom),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        by_name: Callable[[Subresource], str] = lambda sub: sub.name  # noqa: E731
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(sub.body or resource, resource, whole=kind.is_custom),
                "verbs": sorted(sub.verbs),
            }
            for sub in (kind.subresources if kind.is_custom else sorted(kind.subresources, key=by_name))
        ]
    return entry


def _verbs(kind: ServedKind) -> list[str]:
    """The verbs of a kind, as discovery tells them."""
    if kind.refuses_new:
        return [verb for verb in kind.verbs if verb not in ("create", "patch", "update")]
    return list(kind.verbs) if kind.is_custom else sorted(kind.verbs)


def _response_kind(body: Resource, of: Resource, *, whole: bool) -> Json:
    """Group and version are left empty where they are those of the resource itself, but for custom kinds."""
    if not whole and (body.group, body.version) == (of.group, of.version):
        return {"group": "", "version": "", "kind": body.kind}
    return {"group": body.group, "version": body.version, "kind": body.kind}


def _with_address(body: bytes, host: str) -> bytes:
    """/api tells clients where they have reached the server."""
    document = msgspec.json.decode(body)
    document["serverAddressByClientCIDRs"] = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    return msgspec.json.encode(document)
