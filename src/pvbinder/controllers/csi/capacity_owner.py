"""The owner of CSIStorageCapacity objects: with it they go when the sidecar is uninstalled (CA-1)."""

from __future__ import annotations

from pvbinder.controllers.csi.options import CapacityOptions
from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import Metadata, metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json
from pvbinder.model.objects import OwnerReference
from pvbinder.model.resources import PODS, Resource


class CapacityOwnerError(PvbinderError):
    """What the objects should belong to can't be found."""


async def find_owner(client: Client, asked: CapacityOptions) -> Json | None:
    """Return the owner reference that objects get; raise CapacityOwnerError."""
    if asked.ownerref_level < 0:
        return None
    resource: Resource = PODS
    current = await _read(client, PODS, asked.pod, asked.namespace)
    for step in range(asked.ownerref_level):
        above = _controller_of(current)
        if above is None:
            raise CapacityOwnerError(
                f"{resource.kind} {current.key} has no controller: nothing is {asked.ownerref_level} steps above",
                hint="choose another --capacity-ownerref-level; -1 is none",
            )
        if step == asked.ownerref_level - 1:
            return _reference(above.api_version or "", above.kind, above.name, above.uid)
        resource = await _resource_of(client, above)
        current = await _read(client, resource, above.name, asked.namespace if resource.namespaced else "")
    return _reference(PODS.api_version, PODS.kind, current.name, current.uid)


def _reference(api_version: str, kind: str, name: str, uid: str) -> Json:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def _controller_of(view: Metadata) -> OwnerReference | None:
    return next((one for one in view.owner_references if one.controller), None)


async def _resource_of(client: Client, owner: OwnerReference) -> Resource:
    group = (owner.api_version or "").rpartition("/")[0]
    try:
        served = (await discover(client)).find(group, owner.kind)
    except (ApiFailure, ConnectionFailed) as error:
        raise CapacityOwnerError(f"the API server doesn't say what it serves: {error.message}") from error
    if served is None:
        raise CapacityOwnerError(f"the API server serves no {owner.api_version} {owner.kind}")
    return served.resource


async def _read(client: Client, resource: Resource, name: str, namespace: str) -> Metadata:
    try:
        return await client.get(metadata_of(resource), name, namespace)
    except (ApiFailure, ConnectionFailed) as error:
        where = f"{namespace}/{name}" if namespace else name
        raise CapacityOwnerError(f"{resource.kind} {where} can't be read: {error.message}") from error
