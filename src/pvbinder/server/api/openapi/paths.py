"""The paths of a kind in OpenAPI: which requests there are, with which parameters, and what they are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.api.openapi.parameters import PARAMETERS
from pvbinder.server.api.openapi.schemas import Dialect, SchemaWriter
from pvbinder.server.objects.kind import Json, ServedKind

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CUSTOM_PATCH_TYPES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
)
_PATCH_TYPES: Final = (*_CUSTOM_PATCH_TYPES, "application/strategic-merge-patch+json")
SHARED_SCHEMAS: Final = (f"{_META}Status", f"{_META}DeleteOptions")

_APPLY_MANAGER: Final = (
    " This field is required for apply requests (application/apply-patch) but optional for non-apply patch types "
    "(JsonPatch, MergePatch, StrategicMergePatch)."
)
_LIST: Final = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_DELETE: Final = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
_VERBS: Final = {
    "list": ("get", "list", _LIST, "list or watch objects of kind"),
    "create": ("post", "post", _WRITE, "create a"),
    "deletecollection": ("delete", "deletecollection", (*_DELETE, *_LIST[1:-1]), "delete collection of"),
    "get": ("get", "get", (), "read the specified"),
    "update": ("put", "put", _WRITE, "replace the specified"),
    "patch": ("patch", "patch", (*_WRITE, "force"), "partially update the specified"),
    "delete": ("delete", "delete", _DELETE, "delete a"),
}


def patch_types(kind: ServedKind) -> tuple[str, ...]:
    """Return the media types of the patches that a kind takes; kubectl apply sends the best that it finds here."""
    return _CUSTOM_PATCH_TYPES if kind.is_custom else _PATCH_TYPES


class PathWriter:
    """Writes the paths of kinds, and remembers which schemas they need."""

    def __init__(self, schemas: SchemaWriter) -> None:
        self.paths: dict[str, Json] = {}
        self._schemas = schemas
        self._dialect: Dialect = schemas.dialect

    def add(self, kind: ServedKind) -> None:
        """Write all paths of a kind."""
        resource = kind.resource
        base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        inner = (
            f"{base}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{base}/{resource.plural}"
        )
        self._schemas.add((kind.schema, f"{kind.schema}List", *SHARED_SCHEMAS))
        self._path(inner, kind, [verb for verb in ("list", "create", "deletecollection") if verb in kind.verbs])
        if resource.namespaced and "list" in kind.verbs:
            self._path(f"{base}/{resource.plural}", kind, ["list"])
        self._path(f"{inner}/{{name}}", kind, [v for v in ("get", "update", "patch", "delete") if v in kind.verbs])
        for sub in kind.subresources:
            verbs = [verb for verb in ("get", "create", "update", "patch", "delete") if verb in sub.verbs]
            self._path(f"{inner}/{{name}}/{sub.name}", kind, verbs, sub.body, sub.name)

    def _path(
        self, path: str, kind: ServedKind, verbs: Sequence[str], body: Resource | None = None, sub: str = ""
    ) -> None:
        if not verbs:
            return
        entry: Json = {}
        for verb in verbs:
            method, operation = self._operation(path, kind, verb, body, sub)
            entry[method] = operation
        entry["parameters"] = list(self._path_parameters(path))
        self.paths[path] = entry

    def _operation(self, path: str, kind: ServedKind, verb: str, body: Resource | None, sub: str) -> tuple[str, Json]:
        method, action, parameters, what = _VERBS[verb]
        resource = body or kind.resource
        schema = kind.schema if body is None else ""
        of = f"{sub} of " if sub else ""
        answer = f"{schema}List" if verb == "list" else f"{_META}Status" if verb.startswith("delete") else schema
        sent = schema if verb in ("create", "update") else f"{_META}DeleteOptions" if verb.startswith("delete") else ""
        operation: Json = {
            "tags": [f"{(kind.resource.group.partition('.')[0] or 'core')}_{kind.resource.version}"],
            "description": f"{what} {of}{kind.resource.kind}",
            "operationId": _operation_id(path, kind, verb, sub),
        }
        listed = [self._parameter(name, apply=verb == "patch") for name in parameters]
        patches = patch_types(kind)
        if self._dialect == "v2":
            media = {"produces": ["application/json", "application/yaml"]}
            operation |= media | {"consumes": list(patches) if verb == "patch" else ["*/*"]}
            if sent:
                listed.append({"name": "body", "in": "body", "schema": self._schemas.reference(sent)})
            elif verb == "patch":
                listed.append({"name": "body", "in": "body", "required": True, "schema": {"type": "object"}})
            operation["responses"] = {"200": {"description": "OK", **self._answer_v2(answer)}}
        else:
            if sent or verb == "patch":
                content = self._schemas.reference(sent) if sent else {"type": "object"}
                types = patches if verb == "patch" else ("*/*",)
                operation["requestBody"] = {"content": {name: {"schema": content} for name in types}}
            operation["responses"] = {"200": {"description": "OK", **self._answer_v3(answer)}}
        if listed:
            operation["parameters"] = listed
        operation["x-kubernetes-action"] = action
        operation["x-kubernetes-group-version-kind"] = {
            "group": resource.group, "version": resource.version, "kind": resource.kind,
        }  # fmt: skip
        return method, operation

    def _answer_v2(self, schema: str) -> Json:
        return {"schema": self._schemas.reference(schema)} if schema else {}

    def _answer_v3(self, schema: str) -> Json:
        return {"content": {"application/json": {"schema": self._schemas.reference(schema)}}} if schema else {}

    def _parameter(self, name: str, *, apply: bool = False) -> Json:
        type_, text = PARAMETERS[name]
        if name == "fieldManager" and apply:
            text += _APPLY_MANAGER
        return self._placed("query", name, text, type_)

    def _placed(self, place: str, name: str, text: str, type_: str, *, required: bool = False) -> Json:
        entry: Json = {"name": name, "in": place, "description": text}
        if required:
            entry["required"] = True
        kind = {"type": type_, "uniqueItems": True}
        return entry | (kind if self._dialect == "v2" else {"schema": kind})

    def _path_parameters(self, path: str) -> Iterator[Json]:
        if "{name}" in path:
            yield self._placed("path", "name", "name of the object", "string", required=True)
        if "{namespace}" in path:
            text = "object name and auth scope, such as for teams and projects"
            yield self._placed("path", "namespace", text, "string", required=True)
        yield self._placed("query", "pretty", PARAMETERS["pretty"].description, "string")


def _operation_id(path: str, kind: ServedKind, verb: str, sub: str) -> str:
    resource = kind.resource
    verbs = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}
    group = "".join(part.capitalize() for part in (resource.group.removesuffix(".k8s.io") or "core").split("."))
    scope = "Namespaced" if "{namespace}" in path else ""
    everywhere = "ForAllNamespaces" if resource.namespaced and not scope else ""
    version = resource.version.capitalize()
    return f"{verbs.get(verb, verb)}{group}{version}{scope}{resource.kind}{sub.capitalize()}{everywhere}"
