"""The kinds that an API server serves, with their verbs, as its discovery documents tell.

DISCOVERY-1  Each kind is listed once: in the preferred version of its group, or the next one that has the kind.
DISCOVERY-2  Two requests where the server has aggregated discovery, else two and one for each group and version.
DISCOVERY-3  A group that doesn't answer hides no other: it is named in `missing`.
DISCOVERY-4  An answer that is no discovery document, or that tells of no kind at all, is a failure: to believe it would
             be to forget kinds that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.transport import Request
from pvbinder.model.errors import PvbinderError
from pvbinder.model.json import Json, decode
from pvbinder.model.resources import Resource

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_DOCUMENTS = Resource("", "", "APIGroupDiscoveryList", "discovery", False)  # to count the requests


@dataclass(frozen=True, slots=True)
class Served:
    """A kind that a server serves, and its verbs."""

    resource: Resource
    verbs: frozenset[str]

    def allows(self, *verbs: str) -> bool:
        """Whether all of `verbs` are served."""
        return self.verbs.issuperset(verbs)


@dataclass(frozen=True, slots=True)
class Discovered:
    """All kinds that a server told of, and the groups and versions that it named but didn't describe."""

    kinds: tuple[Served, ...]
    missing: tuple[str, ...] = ()

    def find(self, group: str, kind: str) -> Served | None:
        """The kind called `kind` in `group`, whatever its version."""
        return next((one for one in self.kinds if (one.resource.group, one.resource.kind) == (group, kind)), None)


async def discover(client: Client) -> Discovered:
    """Ask the server what it serves."""
    kinds: dict[tuple[str, str], Served] = {}
    missing: list[str] = []
    for path, listed in (("/api", "versions"), ("/apis", "groups")):
        document = await _get(client, path, AGGREGATED)
        _check_tells_of_kinds(path, document, listed)
        if document.get("kind") == "APIGroupDiscoveryList":
            found: Iterable[Served] = _from_aggregated(document, missing)
        else:
            found = await _one_by_one(client, path, document, missing)
        for served in found:
            kinds.setdefault((served.resource.group, served.resource.plural), served)
    return Discovered(tuple(kinds.values()), tuple(missing))


async def _get(client: Client, path: str, accept: str = "application/json") -> Json:
    answer = await client.request("get", _DOCUMENTS, Request("GET", path, accept=accept))
    try:
        return decode(answer.body)
    except PvbinderError as error:
        raise ApiFailure(answer.status, "", f"the answer to GET {path} is no document: {error.message}") from error


def _check_tells_of_kinds(path: str, document: Json, listed: str) -> None:
    """Raise `ApiFailure` unless `document` is a list of kinds or groups, as discovery answers with (DISCOVERY-4)."""
    kinds = {"/api": "APIVersions", "/apis": "APIGroupList"}
    is_aggregated = document.get("kind") == "APIGroupDiscoveryList"
    if not is_aggregated and document.get("kind") != kinds[path]:
        raise ApiFailure(200, "", f"the answer to GET {path} is no discovery document, but {document.get('kind')!r}")
    if not document.get("items" if is_aggregated else listed):
        raise ApiFailure(200, "", f"the answer to GET {path} tells of no kinds at all")


def _from_aggregated(document: Json, missing: list[str]) -> Iterator[Served]:
    for group in document.get("items") or []:
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions") or []:
            if version.get("freshness") == "Stale" and not version.get("resources"):
                missing.append(f"{name}/{version['version']}")
            for resource in version.get("resources") or []:
                kind = (resource.get("responseKind") or {}).get("kind")
                if kind:
                    yield _served(
                        name,
                        version["version"],
                        kind,
                        resource["resource"],
                        resource.get("scope") == "Namespaced",
                        resource.get("verbs") or (),
                    )


async def _one_by_one(client: Client, path: str, document: Json, missing: list[str]) -> list[Served]:
    found = []
    for group, version in _group_versions(document):
        place = f"{path}/{group}/{version}" if group else f"{path}/{version}"
        try:
            listed = await _get(client, place)
        except ApiFailure:
            missing.append(f"{group}/{version}" if group else version)
            continue
        if not isinstance(listed.get("resources"), list):
            missing.append(f"{group}/{version}" if group else version)
            continue
        for resource in listed["resources"]:
            if "/" not in resource["name"]:
                namespaced = bool(resource.get("namespaced"))
                verbs = resource.get("verbs") or ()
                found.append(_served(group, version, resource["kind"], resource["name"], namespaced, verbs))
    return found


def _group_versions(document: Json) -> Iterator[tuple[str, str]]:
    """Groups and versions of an APIVersions or an APIGroupList, the preferred version of a group first."""
    for version in document.get("versions") or []:
        yield "", version
    for group in document.get("groups") or []:
        preferred: Any = (group.get("preferredVersion") or {}).get("version")
        versions = [one["version"] for one in group.get("versions") or []]
        for version in sorted(versions, key=lambda one: one != preferred):
            yield group["name"], version


def _served(group: str, version: str, kind: str, plural: str, namespaced: bool, verbs: Iterable[str]) -> Served:
    return Served(Resource(group, version, kind, plural, namespaced), frozenset(verbs))
