"""Whether a kind is served at all, as discovery shows it: a 404 of the kind's own path doesn't.

SERVED-1  "Nowhere" is said only of answers that are discovery documents: the list of all groups, and the resources of
          each version of the kind's group that it names. Any other answer, or none, is a no.

The core group has no entry in that list: its kinds are always served.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.transport import Request
from pvbinder.model.resources import Resource

_DOCUMENTS = Resource("", "", "APIGroupList", "discovery", False)  # to count the requests


class _Version(msgspec.Struct, rename="camel"):
    group_version: str


class _Group(msgspec.Struct):
    name: str
    versions: list[_Version]


class _Groups(msgspec.Struct):
    kind: str
    groups: list[_Group]


class _Listed(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct, rename="camel"):
    kind: str
    group_version: str
    resources: list[_Listed]


async def is_served_nowhere(client: Client, resource: Resource, *, other_versions_too: bool) -> bool:
    """Tell whether discovery shows that `resource` isn't served in its version, or not in any (SERVED-1)."""
    if not resource.group:
        return False
    groups = await _document(client, "/apis", _Groups)
    if groups is None or groups.kind != "APIGroupList" or not groups.groups:
        return False
    named = [one.group_version for group in groups.groups if group.name == resource.group for one in group.versions]
    if not other_versions_too:
        named = [one for one in named if one == resource.api_version]
    for group_version in named:
        found = await _document(client, f"/apis/{group_version}", _Resources)
        if found is None or (found.kind, found.group_version) != ("APIResourceList", group_version):
            return False
        if any(one.name == resource.plural for one in found.resources):
            return False
    return True


async def _document(client: Client, path: str, as_type: type[Any]) -> Any:
    try:
        answer = await client.request("get", _DOCUMENTS, Request("GET", path))
        return msgspec.json.decode(answer.body, type=as_type)
    except (ApiFailure, ConnectionFailed, msgspec.MsgspecError, UnicodeDecodeError):
        return None
