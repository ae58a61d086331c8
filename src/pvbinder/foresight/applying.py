"""Manifests, applied to a copy as ``kubectl apply`` and ``helm upgrade`` apply them, and what the API server says.

APPLYING-1  Each object is sent to the real server, one after the other: defaults, validation, admission and quotas have
            their say, and a refusal is kept in the server's own words. The others are applied all the same.
APPLYING-2  Definitions and namespaces come first, then classes, then the rest in the order of the files.
APPLYING-3  What only a server writes (uid, revision, status of kinds that have one) isn't taken from a manifest.
APPLYING-4  Hooks of Helm that don't run at an install or an upgrade are left out, and told.

It is a server-side apply that takes every field it names: a field that is no longer in a manifest stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import Struct

from pvbinder.foresight.rehearsal import Rehearsal
from pvbinder.kube.client import PATCH_CONTENT_TYPES
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Request
from pvbinder.model.json import Json, decode, encode
from pvbinder.model.resources import Resource
from pvbinder.server.kinds.registry import BUILT_IN

PAUSE_SECONDS: Final = 1.0  # virtual, after each object: the controllers see it before the next one comes
MANAGER: Final = "pvbinder-plan"
HOOK: Final = "helm.sh/hook"
_RUN: Final = frozenset({"pre-install", "post-install", "pre-upgrade", "post-upgrade", "crd-install"})
_SERVERS_OWN: Final = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "generation")
_FIRST: Final = {
    kind: place
    for place, kind in enumerate(
        (
            "CustomResourceDefinition",
            "Namespace",
            "PriorityClass",
            "StorageClass",
            "VolumeAttributesClass",
            "ResourceQuota",
            "LimitRange",
            "ServiceAccount",
        )
    )
}

_WITHOUT_NAMESPACE: Final = {kind.resource.kind for kind in BUILT_IN if not kind.resource.namespaced}

Done = Literal["created", "changed", "unchanged"]


class RefusedObject(Struct, frozen=True, rename="camel"):
    """The no of the API server to one object, in its own words."""

    object: str
    source: str
    status: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of manifests: each object's own outcome, and what was left out."""

    done: dict[str, Done] = field(default_factory=dict)
    refused: list[RefusedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def in_order(found: Iterable[tuple[str, Json]]) -> list[tuple[str, Json]]:
    """Return the objects in the order in which they are applied (APPLYING-2)."""
    return sorted(found, key=lambda one: _FIRST.get(str(one[1].get("kind")), len(_FIRST)))


def comes_first(document: Json) -> bool:
    """Tell whether objects of this kind are applied before all others, in whatever order they come."""
    return document.get("kind") in _FIRST


def name_of(document: Json, namespace: str = "default") -> str:
    """Return what a person calls the object: ``StatefulSet shop/db``."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}…"
    if document.get("kind") in _WITHOUT_NAMESPACE:
        return f"{document.get('kind')} {name}"
    return f"{document.get('kind')} {metadata.get('namespace') or namespace}/{name}"


async def apply(copy: Rehearsal, found: Sequence[tuple[str, Json]], *, namespace: str = "default") -> Applied:
    """Apply the objects of `found`, each with the name of its source, in that order (APPLYING-1)."""
    applied = Applied()
    for source, document in found:
        if _is_idle_hook(document):
            applied.notes.append(f"{name_of(document, namespace)} is a hook that doesn't run now, and is left out")
            continue
        name = name_of(document, namespace)
        try:
            applied.done[name] = await _apply_one(copy, document, namespace)
        except ApiFailure as failure:
            applied.refused.append(RefusedObject(name, source, failure.status, failure.reason, failure.message))
        await asyncio.sleep(PAUSE_SECONDS)
    return applied


async def _apply_one(copy: Rehearsal, document: Json, namespace: str) -> Done:
    resource = resource_of(copy, document)
    metadata = document.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    for key in _SERVERS_OWN:
        metadata.pop(key, None)
    where = None
    if resource.namespaced:
        where = metadata["namespace"] = str(metadata.get("namespace") or namespace)
    document = {"apiVersion": resource.api_version, **document, "metadata": metadata}
    if not metadata.get("name"):
        created = Request("POST", resource.path(where), body=encode(document))
        await copy.client.request("create", resource, created)
        return "created"
    path = resource.path(where, str(metadata["name"]))
    before = await _revision(copy, resource, path)
    query = {"fieldManager": MANAGER, "force": "true"}
    request = Request("PATCH", path, query, encode(document), PATCH_CONTENT_TYPES["apply"])
    answer = await copy.client.request("patch", resource, request)
    if before is None:
        return "created"
    is_same = decode(answer.body)["metadata"].get("resourceVersion") == before
    return "unchanged" if is_same else "changed"


def resource_of(copy: Rehearsal, document: Json) -> Resource:
    """Return the resource of an object's kind; raise `ApiFailure` if it isn't served here."""
    api_version, kind = str(document.get("apiVersion") or ""), str(document.get("kind") or "")
    group, _, version = api_version.rpartition("/")
    served = copy.server.api.objects.registry.of_kind(group, version, kind)
    if served is None:
        raise ApiFailure(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version}"')
    return served.resource


async def _revision(copy: Rehearsal, resource: Resource, path: str) -> str | None:
    try:
        answer = await copy.client.request("get", resource, Request("GET", path))
    except ApiFailure as failure:
        if failure.status != 404:
            raise
        return None
    return str(decode(answer.body)["metadata"].get("resourceVersion"))


def _is_idle_hook(document: Json) -> bool:
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    said = annotations.get(HOOK) if isinstance(annotations, dict) else None
    return bool(said) and not _RUN & {word.strip() for word in str(said).split(",")}
